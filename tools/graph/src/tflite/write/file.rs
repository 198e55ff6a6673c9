//! The file in the making: tensors, buffers and operators by number.

use std::collections::HashMap;

use super::super::schema::{OPERATORS, options};
use super::flatbuffer::{self, Field, Table};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{Storage, Tensor};
use crate::types::Quantization;

/// A tensor of the file, by its number.
pub(super) type Index = usize;

/// What the file says of a tensor.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub quantization: Option<Quantization>,
    /// Number of its buffer; 0 for none.
    buffer: usize,
}

/// Tensors, buffers and operators.
#[derive(Debug, Default)]
pub(super) struct File {
    tensors: Vec<Described>,
    /// Those behind the first, which is empty.
    buffers: Vec<Vec<u8>>,
    operators: Vec<Table>,
    /// Operator codes with their versions, in the order of their first use.
    codes: Vec<(&'static str, i32)>,
    names: HashMap<String, usize>,
}

impl File {
    pub(super) fn tensor(&self, index: Index) -> &Described {
        &self.tensors[index]
    }

    /// Adds a tensor that an operator or the caller fills.
    pub(super) fn add(
        &mut self,
        name: &str,
        dtype: Dtype,
        shape: &[usize],
        quantization: Option<Quantization>,
    ) -> Index {
        let doubles = self.names.entry(name.to_owned()).or_insert(0);
        *doubles += 1;
        let name = if *doubles == 1 {
            name.to_owned()
        } else {
            format!("{name}#{doubles}")
        };
        self.tensors.push(Described {
            name,
            dtype,
            shape: shape.to_vec(),
            quantization,
            buffer: 0,
        });
        self.tensors.len() - 1
    }

    /// Adds a tensor of the type and extents of another.
    pub(super) fn like(&mut self, name: &str, other: Index) -> Index {
        let Described {
            dtype,
            shape,
            quantization,
            ..
        } = self.tensors[other].clone();
        self.add(name, dtype, &shape, quantization)
    }

    /// Adds a constant.
    pub(super) fn constant(&mut self, name: &str, tensor: &Tensor) -> Index {
        let index = self.add(name, tensor.dtype(), tensor.shape(), tensor.quantization.clone());
        self.buffers.push(bytes(tensor.storage()));
        self.tensors[index].buffer = self.buffers.len();
        index
    }

    /// Adds a vector of whole numbers, as the file's shapes and axes are.
    pub(super) fn ints(&mut self, name: &str, numbers: &[i32]) -> Index {
        self.constant(name, &Tensor::vector(numbers.to_vec()))
    }

    /// Adds an operator; `None` among the inputs leaves one out.
    pub(super) fn operator(
        &mut self,
        code: &'static str,
        settings: Table,
        inputs: &[Option<Index>],
        outputs: &[Index],
    ) {
        let version = self.version(code, outputs);
        let place = self.codes.iter().position(|known| *known == (code, version));
        let place = place.unwrap_or_else(|| {
            self.codes.push((code, version));
            self.codes.len() - 1
        });
        let number = |index: &Index| i32::try_from(*index).unwrap_or(i32::MAX);
        let inputs = inputs
            .iter()
            .map(|index| index.as_ref().map_or(-1, number))
            .collect();
        let mut table = Table::new()
            .with(0, Field::Int(i32::try_from(place).unwrap_or(i32::MAX)))
            .with(1, Field::Ints(inputs))
            .with(2, Field::Ints(outputs.iter().map(number).collect()));
        if let Some(kind) = options(code) {
            table = table.with(3, Field::Byte(kind)).with(4, Field::Table(settings));
        }
        self.operators.push(table);
    }

    /// The operator's version that first knew the type of its output, so that an older runtime refuses the file.
    fn version(&self, code: &str, outputs: &[Index]) -> i32 {
        let small = outputs
            .first()
            .is_some_and(|&index| self.tensors[index].dtype == Dtype::I8);
        match code {
            _ if !small => 1,
            "CONV_2D" | "DEPTHWISE_CONV_2D" => 3,
            "FULLY_CONNECTED" => 4,
            "ADD"
            | "SUB"
            | "MUL"
            | "MAXIMUM"
            | "MINIMUM"
            | "AVERAGE_POOL_2D"
            | "MAX_POOL_2D"
            | "CONCATENATION"
            | "SOFTMAX"
            | "LOGISTIC"
            | "TANH"
            | "RELU"
            | "RELU6"
            | "LEAKY_RELU"
            | "PAD"
            | "PADV2"
            | "MEAN"
            | "SUM"
            | "REDUCE_MAX"
            | "REDUCE_MIN"
            | "RESIZE_BILINEAR"
            | "RESIZE_NEAREST_NEIGHBOR"
            | "TRANSPOSE"
            | "STRIDED_SLICE"
            | "SPLIT_V"
            | "GATHER"
            | "SPACE_TO_DEPTH"
            | "DEPTH_TO_SPACE"
            | "TRANSPOSE_CONV" => 2,
            _ => 1,
        }
    }

    /// The bytes of the file.
    pub(super) fn finish(self, name: &str, inputs: &[Index], outputs: &[Index]) -> Result<Vec<u8>> {
        let codes = self
            .codes
            .iter()
            .map(|(code, version)| operator_code(code, *version))
            .collect::<Result<_>>()?;
        let numbers = |list: &[Index]| {
            list.iter()
                .map(|&n| i32::try_from(n).unwrap_or(i32::MAX))
                .collect()
        };
        let tensors = self.tensors.iter().map(tensor_table).collect::<Result<_>>()?;
        let graph = Table::new()
            .with(0, Field::Tables(tensors))
            .with(1, Field::Ints(numbers(inputs)))
            .with(2, Field::Ints(numbers(outputs)))
            .with(3, Field::Tables(self.operators))
            .with(4, Field::Text(name.to_owned()));
        let buffers = self
            .buffers
            .into_iter()
            .map(|bytes| Table::new().with(0, Field::Bytes(bytes)));
        let buffers = std::iter::once(Table::new()).chain(buffers).collect();
        let root = Table::new()
            .with(0, Field::Int(3))
            .with(1, Field::Tables(codes))
            .with(2, Field::Tables(vec![graph]))
            .with(3, Field::Text(name.to_owned()))
            .with(4, Field::Tables(buffers));
        flatbuffer::file(&root, *b"TFL3")
    }
}

fn operator_code(code: &str, version: i32) -> Result<Table> {
    let number = OPERATORS
        .iter()
        .position(|name| *name == code)
        .and_then(|n| i32::try_from(n).ok());
    let number = number
        .ok_or_else(|| Error::new(ErrorKind::Unsupported, "TFLite file", "a builtin operator", code))?;
    // Numbers that do not fit the first field are marked there and stand in the last.
    let short = u8::try_from(number.min(127)).unwrap_or(127);
    Ok(Table::new()
        .with(0, Field::Byte(short))
        .with(2, Field::Int(version))
        .with(3, Field::Int(number)))
}

fn tensor_table(tensor: &Described) -> Result<Table> {
    let shape: std::result::Result<Vec<i32>, _> = tensor.shape.iter().map(|&n| i32::try_from(n)).collect();
    let place = || format!("tensor {}", tensor.name);
    let shape = shape.map_err(|_| {
        Error::new(
            ErrorKind::Limit,
            place(),
            "extents below 2^31",
            format!("{:?}", tensor.shape),
        )
    })?;
    let kind = match tensor.dtype {
        Dtype::F32 => 0,
        Dtype::F16 => 1,
        Dtype::I32 => 2,
        Dtype::U8 => 3,
        Dtype::I64 => 4,
        Dtype::Bool => 6,
        Dtype::I16 => 7,
        Dtype::I8 => 9,
        Dtype::F64 => 10,
        Dtype::U64 => 12,
        Dtype::U32 => 15,
        Dtype::U16 => 16,
        Dtype::Bf16 => 18,
    };
    let mut table = Table::new()
        .with(0, Field::Ints(shape))
        .with(1, Field::Byte(kind))
        .with(2, Field::Int(i32::try_from(tensor.buffer).unwrap_or(i32::MAX)))
        .with(3, Field::Text(tensor.name.clone()));
    let parameters = match &tensor.quantization {
        None => return Ok(table),
        Some(Quantization::PerTensor { scale, zero_point }) => {
            (vec![*scale], vec![i64::from(*zero_point)], 0)
        }
        Some(Quantization::PerAxis {
            axis,
            scales,
            zero_points,
        }) => (
            scales.clone(),
            zero_points.iter().map(|&z| z.into()).collect(),
            *axis,
        ),
        Some(Quantization::Blocks { .. }) => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                place(),
                "one scale a tensor or channel",
                "blocks",
            ));
        }
    };
    let (scales, zero_points, axis) = parameters;
    table = table.with(
        4,
        Field::Table(
            Table::new()
                .with(2, Field::Reals(scales))
                .with(3, Field::Longs(zero_points))
                .with(6, Field::Int(i32::try_from(axis).unwrap_or(i32::MAX))),
        ),
    );
    Ok(table)
}

fn bytes(storage: &Storage) -> Vec<u8> {
    match storage {
        Storage::F32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::F16(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::Bf16(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::F64(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::I8(e) => e.iter().map(|&x| x as u8).collect(),
        Storage::I16(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::I32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::I64(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::U8(e) => e.to_vec(),
        Storage::U16(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::U32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::U64(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::Bool(e) => e.iter().map(|&x| u8::from(x)).collect(),
    }
}
