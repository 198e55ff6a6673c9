//! What a TFLite file says, as plain data: tensors, operators, buffers.

use std::cell::Cell;

use half::{bf16, f16};

use super::flatbuffer::{Scalar, Table};
use super::schema::{OPERATORS, options};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{Storage, Tensor, element_count};
use crate::types::Quantization;

/// Bytes of vectors that may be read from a file of no size; a file may share each of its vectors eight times.
const BUDGET: usize = 64 << 20;

/// Most tensors, operators or buffers of a file.
const MOST_TABLES: usize = 100_000;

/// Most axes of a tensor.
const MOST_AXES: usize = 8;

/// Elements of a tensor as the schema numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A type that the graph has.
    Plain(Dtype),
    /// Pairs of `f32`.
    Complex64,
    /// Four bits, two a byte, the lower first.
    I4,
    /// Any other, by its number.
    Unknown(i8),
}

impl Kind {
    fn new(number: i8) -> Self {
        Self::Plain(match number {
            0 => Dtype::F32,
            1 => Dtype::F16,
            2 => Dtype::I32,
            3 => Dtype::U8,
            4 => Dtype::I64,
            6 => Dtype::Bool,
            7 => Dtype::I16,
            8 => return Self::Complex64,
            9 => Dtype::I8,
            10 => Dtype::F64,
            12 => Dtype::U64,
            15 => Dtype::U32,
            16 => Dtype::U16,
            17 => return Self::I4,
            18 => Dtype::Bf16,
            other => return Self::Unknown(other),
        })
    }
}

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct TensorInfo<'a> {
    pub name: &'a str,
    pub kind: Kind,
    /// As stored; an extent that is not fixed is 1 or 0 here.
    pub shape: Vec<usize>,
    /// Which extents are fixed.
    pub fixed: Vec<bool>,
    pub buffer: usize,
    pub quantization: Option<Quantization>,
    /// Why its elements cannot be read, if so.
    pub refused: Option<&'static str>,
}

/// An operator of the file.
#[derive(Debug)]
pub(super) struct Operator<'a> {
    /// Name of the schema, or `CUSTOM name`.
    pub code: String,
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<usize>,
    pub options: Option<Table<'a>>,
}

/// A file's only subgraph.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub tensors: Vec<TensorInfo<'a>>,
    pub operators: Vec<Operator<'a>>,
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    buffers: Vec<Table<'a>>,
}

impl<'a> File<'a> {
    /// What may be read of a file of these bytes.
    pub(super) fn budget(bytes: &[u8]) -> Cell<usize> {
        Cell::new(bytes.len().saturating_mul(8).saturating_add(BUDGET))
    }

    pub(super) fn new(bytes: &'a [u8], budget: &'a Cell<usize>) -> Result<Self> {
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err(Error::new(
                ErrorKind::Malformed,
                "TFLite file",
                "the identifier TFL3",
                "another",
            ));
        }
        let root = Table::root(bytes, budget)?;
        let version = root.number(0, 0u32)?;
        if version != 3 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "TFLite file",
                "schema version 3",
                version,
            ));
        }
        let subgraphs = root.tables(2, MOST_TABLES)?;
        let [graph] = subgraphs[..] else {
            let names: Vec<_> = subgraphs
                .iter()
                .take(8)
                .map(|g| g.string(4))
                .collect::<Result<_>>()?;
            let found = format!("{}: {}", subgraphs.len(), names.join(", "));
            return Err(Error::new(
                ErrorKind::Unsupported,
                "TFLite file",
                "one subgraph",
                found,
            ));
        };
        let buffers = root.tables(4, MOST_TABLES)?;
        let tensors: Vec<TensorInfo<'a>> = graph
            .tables(0, MOST_TABLES)?
            .into_iter()
            .map(|table| tensor(table, buffers.len()))
            .collect::<Result<_>>()?;
        let codes = root
            .tables(1, MOST_TABLES)?
            .into_iter()
            .map(operator_code)
            .collect::<Result<Vec<_>>>()?;
        let operators = graph
            .tables(3, MOST_TABLES)?
            .into_iter()
            .map(|table| operator(table, &codes, tensors.len()))
            .collect::<Result<_>>()?;
        Ok(Self {
            inputs: indices(&graph, 1, tensors.len())?,
            outputs: indices(&graph, 2, tensors.len())?,
            tensors,
            operators,
            buffers,
        })
    }

    /// The bytes that the file holds of a tensor; none for one that is made by an operator or given.
    pub(super) fn stored(&self, tensor: &TensorInfo<'_>) -> Result<&'a [u8]> {
        let buffer = &self.buffers[tensor.buffer];
        let offset = buffer.number(1, 0u64)?;
        if offset > 1 {
            return buffer.outside(offset, buffer.number(2, 0u64)?);
        }
        buffer.bytes(0)
    }

    /// The elements of a tensor that the file holds; `None` where it holds none.
    pub(super) fn constant(&self, index: usize) -> Result<Option<Tensor>> {
        let tensor = &self.tensors[index];
        let bytes = self.stored(tensor)?;
        let place = || format!("tensor {}", tensor.name);
        let count = element_count(&tensor.shape).ok_or_else(|| {
            Error::new(
                ErrorKind::Limit,
                place(),
                "fewer elements",
                format!("{:?}", tensor.shape),
            )
        })?;
        if bytes.is_empty() && count > 0 {
            return Ok(None);
        }
        if let Some(found) = tensor.refused {
            return Err(Error::new(
                ErrorKind::Unsupported,
                place(),
                "dense elements",
                found,
            ));
        }
        let storage = storage(tensor.kind, bytes, count).map_err(|e| e.within(place()))?;
        let constant = Tensor::new(&tensor.shape, storage).map_err(|e| e.within(place()))?;
        Ok(Some(constant.with_quantization(tensor.quantization.clone())))
    }
}

fn tensor(table: Table<'_>, buffers: usize) -> Result<TensorInfo<'_>> {
    let name = table.string(3)?;
    let place = || format!("tensor {name}");
    let kind = Kind::new(table.number(1, 0i8)?);
    let stored: Vec<i32> = table.numbers(0)?;
    let signature: Vec<i32> = table.numbers(7)?;
    if stored.len() > MOST_AXES || (!signature.is_empty() && signature.len() != stored.len()) {
        let found = format!("{} and {}", stored.len(), signature.len());
        return Err(Error::new(
            ErrorKind::Malformed,
            place(),
            format!("at most {MOST_AXES} axes"),
            found,
        ));
    }
    let shape = stored
        .iter()
        .map(|&n| usize::try_from(if n == -1 { 0 } else { n }))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| Error::new(ErrorKind::Malformed, place(), "extents", format!("{stored:?}")))?;
    let fixed = (0..shape.len())
        .map(|n| stored[n] >= 0 && signature.get(n).is_none_or(|&n| n >= 0))
        .collect();
    let buffer = usize::try_from(table.number(2, 0u32)?)
        .ok()
        .filter(|&n| n < buffers);
    let buffer = buffer.ok_or_else(|| {
        Error::new(
            ErrorKind::Malformed,
            place(),
            format!("one of {buffers} buffers"),
            "another",
        )
    })?;
    let mut refused = table.table(6)?.map(|_| "a sparse tensor");
    let mut quantization = None;
    if let (Some(parameters), Kind::Plain(Dtype::I8 | Dtype::U8 | Dtype::I16 | Dtype::I32) | Kind::I4) =
        (table.table(4)?, kind)
    {
        if parameters.number(4, 0u8)? != 0 {
            refused = Some("quantization in blocks or of another kind");
        } else {
            quantization = self::quantization(&parameters, kind, &shape).map_err(|e| e.within(place()))?;
        }
    }
    Ok(TensorInfo {
        name,
        kind,
        shape,
        fixed,
        buffer,
        quantization,
        refused,
    })
}

fn quantization(parameters: &Table<'_>, kind: Kind, shape: &[usize]) -> Result<Option<Quantization>> {
    let scales: Vec<f32> = parameters.numbers(2)?;
    let zero_points: Vec<i64> = parameters.numbers(3)?;
    let fault = |expected: String, found: String| Err(Error::new(ErrorKind::Malformed, "", expected, found));
    if scales.is_empty() {
        return Ok(None);
    }
    if let Some(scale) = scales.iter().find(|s| !s.is_finite() || **s < 0.0) {
        return fault("a positive scale".into(), scale.to_string());
    }
    // A tensor that is zero everywhere can have scale 0; any scale stands for the same real numbers then.
    let positive = |&s: &f32| if s == 0.0 { f32::MIN_POSITIVE } else { s };
    let scales: Vec<f32> = scales.iter().map(positive).collect();
    let (low, high) = match kind {
        Kind::Plain(dtype) => dtype.bounds().unwrap_or((i64::MIN, i64::MAX)),
        _ => (-8, 7),
    };
    let zero = |n: usize| {
        let zero = zero_points.get(n).copied().unwrap_or(0);
        i32::try_from(zero)
            .ok()
            .filter(|_| (low..=high).contains(&zero))
            .ok_or_else(|| {
                let expected = format!("a zero point in {low}..={high}");
                Error::new(ErrorKind::Malformed, "", expected, zero)
            })
    };
    if let [scale] = scales[..] {
        let zero_point = zero(0)?;
        return Ok(Some(Quantization::PerTensor { scale, zero_point }));
    }
    let axis = parameters.number(6, 0i32)?;
    let axis = usize::try_from(axis)
        .ok()
        .filter(|&axis| shape.get(axis) == Some(&scales.len()));
    let Some(axis) = axis else {
        return fault(
            format!("scales along an axis of {shape:?}"),
            format!("{} scales", scales.len()),
        );
    };
    let zero_points = (0..scales.len()).map(zero).collect::<Result<_>>()?;
    Ok(Some(Quantization::PerAxis {
        axis,
        scales,
        zero_points,
    }))
}

fn operator_code(table: Table<'_>) -> Result<String> {
    // Numbers above 127 did not fit the first field; the greater one counts.
    let code = i32::from(table.number(0, 0i8)?).max(table.number(3, 0i32)?);
    let name = usize::try_from(code).ok().and_then(|code| OPERATORS.get(code));
    Ok(match name {
        Some(&"CUSTOM") => format!("CUSTOM {}", table.string(1)?),
        Some(name) => (*name).to_owned(),
        None => format!("number {code}"),
    })
}

fn operator<'a>(table: Table<'a>, codes: &[String], tensors: usize) -> Result<Operator<'a>> {
    let index = table.number(0, 0u32)?;
    let code = usize::try_from(index)
        .ok()
        .and_then(|index| codes.get(index))
        .ok_or_else(|| {
            let expected = format!("one of {} operator codes", codes.len());
            Error::new(ErrorKind::Malformed, "operator", expected, index)
        })?;
    let place = || format!("operator {code}");
    let inputs = table
        .numbers::<i32>(1)?
        .into_iter()
        .map(|n| (n != -1).then(|| tensor_index(n, tensors)).transpose())
        .collect::<Result<_>>()
        .map_err(|e| e.within(place()))?;
    let mut options_table = table.table(4)?;
    let kind = table.number(3, 0u8)?;
    // A table of another kind would be read as if it were the right one.
    if options(code).is_some_and(|expected| expected != kind) {
        if kind != 0 {
            return Err(Error::new(
                ErrorKind::Malformed,
                place(),
                "its own options",
                format!("options {kind}"),
            ));
        }
        options_table = None;
    }
    Ok(Operator {
        code: code.clone(),
        inputs,
        outputs: indices(&table, 2, tensors).map_err(|e| e.within(place()))?,
        options: options_table,
    })
}

fn indices(table: &Table<'_>, slot: usize, tensors: usize) -> Result<Vec<usize>> {
    let numbers = table.numbers::<i32>(slot)?;
    numbers.into_iter().map(|n| tensor_index(n, tensors)).collect()
}

fn tensor_index(n: i32, tensors: usize) -> Result<usize> {
    usize::try_from(n).ok().filter(|&n| n < tensors).ok_or_else(|| {
        Error::new(
            ErrorKind::Malformed,
            "TFLite file",
            format!("one of {tensors} tensors"),
            n,
        )
    })
}

fn storage(kind: Kind, bytes: &[u8], count: usize) -> Result<Storage> {
    let (length, expected) = match kind {
        Kind::Plain(dtype) => (Some(bytes.len()), count.checked_mul(dtype.size())),
        Kind::I4 => (Some(bytes.len()), Some(count.div_ceil(2))),
        Kind::Complex64 | Kind::Unknown(_) => {
            let found = format!("{kind:?}");
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "a constant of numbers or bool",
                found,
            ));
        }
    };
    if length != expected {
        let expected = format!("the bytes of {count} elements of {kind:?}");
        return Err(Error::new(
            ErrorKind::Malformed,
            "",
            expected,
            format!("{} bytes", bytes.len()),
        ));
    }
    let Kind::Plain(dtype) = kind else {
        let nibbles = bytes.iter().flat_map(|&b| [(b << 4) as i8 >> 4, b as i8 >> 4]);
        return Ok(nibbles.take(count).collect::<Vec<i8>>().into());
    };
    Ok(match dtype {
        Dtype::F32 => numbers::<f32>(bytes).into(),
        Dtype::F16 => numbers(bytes)
            .into_iter()
            .map(f16::from_bits)
            .collect::<Vec<_>>()
            .into(),
        Dtype::Bf16 => numbers(bytes)
            .into_iter()
            .map(bf16::from_bits)
            .collect::<Vec<_>>()
            .into(),
        Dtype::F64 => numbers(bytes)
            .into_iter()
            .map(f64::from_bits)
            .collect::<Vec<_>>()
            .into(),
        Dtype::I8 => numbers::<i8>(bytes).into(),
        Dtype::I16 => numbers::<u16>(bytes)
            .into_iter()
            .map(|n| n as i16)
            .collect::<Vec<_>>()
            .into(),
        Dtype::I32 => numbers::<i32>(bytes).into(),
        Dtype::I64 => numbers::<i64>(bytes).into(),
        Dtype::U8 => numbers::<u8>(bytes).into(),
        Dtype::U16 => numbers::<u16>(bytes).into(),
        Dtype::U32 => numbers::<u32>(bytes).into(),
        Dtype::U64 => numbers::<u64>(bytes).into(),
        Dtype::Bool => bytes.iter().map(|&b| b != 0).collect::<Vec<_>>().into(),
    })
}

fn numbers<T: Scalar>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(T::SIZE).filter_map(T::from_bytes).collect()
}
