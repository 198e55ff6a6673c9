//! From a TFLite file to a graph.

mod array;
mod call;
mod index;
mod layer;
mod math;
mod recurrent;
mod resample;
mod signal;

use std::collections::HashMap;

use super::model::{File, Kind};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, Rounding, ValueId};
use crate::op::{Op, Unary};
use crate::tensor::Tensor;
use crate::types::{Dim, Symbol, TensorType};
use call::Call;

/// Greatest number that an extent that the file leaves open may be bound to.
const MOST_EXTENT: usize = 1 << 24;

/// Reads a TFLite file.
///
/// Values keep the names of the file's tensors. Extents that the file leaves open become symbols: one named `batch`
/// for the first axis of all inputs of two or more axes, and `NAME.AXIS` for the others. Activations that the file
/// fuses into operators become nodes; quantization parameters become part of the types, with
/// [`Rounding::Gemmlowp`]. Weights that are stored as `f16`, or as integers for floating-point activations, become
/// the `f32` that they stand for. The limit of 10 that converters put on the cell of an LSTM is left out.
///
/// # Errors
/// [`ErrorKind::Malformed`] or [`ErrorKind::Limit`] for a damaged file; [`ErrorKind::Unsupported`] listing all
/// operators that are not known, each with its first output.
pub fn read(bytes: &[u8]) -> Result<Graph> {
    let budget = File::budget(bytes);
    let file = File::new(bytes, &budget)?;
    let mut importer = Importer {
        values: vec![None; file.tensors.len()],
        graph: Graph::new("tflite"),
        names: HashMap::new(),
        file: &file,
    };
    importer.graph.rounding = Rounding::Gemmlowp;
    importer.inputs()?;
    importer.operators()?;
    importer.outputs()?;
    importer.graph.check()?;
    Ok(importer.graph)
}

/// A graph in the making.
struct Importer<'a> {
    file: &'a File<'a>,
    graph: Graph,
    /// What each tensor of the file has become.
    values: Vec<Option<ValueId>>,
    /// Names in use, each with the number of its last double.
    names: HashMap<String, usize>,
}

impl<'a> Importer<'a> {
    fn inputs(&mut self) -> Result<()> {
        for &index in &self.file.inputs {
            let tensor = &self.file.tensors[index];
            if self.values[index].is_some() {
                return Err(Error::new(
                    ErrorKind::Name,
                    "inputs",
                    "each tensor once",
                    tensor.name,
                ));
            }
            let mut ty = self.ty(index)?;
            let dims = (0..tensor.shape.len()).map(|axis| {
                if tensor.fixed[axis] {
                    Dim::Known(tensor.shape[axis])
                } else if axis == 0 && tensor.shape.len() > 1 {
                    self.symbol("batch".to_owned())
                } else {
                    self.symbol(format!("{}.{axis}", tensor.name))
                }
            });
            ty.dims = Some(dims.collect());
            let name = self.unique(tensor.name);
            self.values[index] = Some(self.graph.add_input(name, ty));
        }
        Ok(())
    }

    fn symbol(&mut self, name: String) -> Dim {
        let known = self.graph.symbols.iter().position(|s| s.name == name);
        Dim::Symbol(known.unwrap_or_else(|| {
            self.graph.symbols.push(Symbol {
                name,
                min: 1,
                max: MOST_EXTENT,
            });
            self.graph.symbols.len() - 1
        }))
    }

    fn operators(&mut self) -> Result<()> {
        let mut unsupported = Vec::new();
        for operator in &self.file.operators {
            let name = match operator.outputs.first() {
                Some(&output) => self.file.tensors[output].name,
                None => "without outputs",
            };
            let call = Call { operator, name };
            match self.operator(call) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Unsupported => {
                    unsupported.push(match e.found() {
                        "" => format!("{} ({name})", operator.code),
                        found => format!("{} with {found} ({name})", operator.code),
                    });
                    // What reads its outputs is looked at as well.
                    for &output in &operator.outputs {
                        let ty = TensorType::unshaped(Dtype::F32);
                        self.values[output] = Some(self.graph.add_value("", ty));
                    }
                }
                Err(e) if unsupported.is_empty() => {
                    return Err(if e.place().starts_with(&operator.code) {
                        e
                    } else {
                        e.within(format!("{} {name}", operator.code))
                    });
                }
                // It may only fail for want of the operators before it.
                Err(_) => {}
            }
        }
        if unsupported.is_empty() {
            return Ok(());
        }
        Err(Error::unsupported(
            "TFLite file",
            "operators that are known",
            unsupported,
        ))
    }

    fn operator(&mut self, call: Call<'a>) -> Result<()> {
        for &output in &call.operator.outputs {
            if self.values[output].is_some() {
                let found = format!("{} twice", self.file.tensors[output].name);
                return Err(call.fault(ErrorKind::Order, "an output made once", found));
            }
        }
        let done = layer::import(self, call)?
            || resample::import(self, call)?
            || math::import(self, call)?
            || array::import(self, call)?
            || index::import(self, call)?
            || signal::import(self, call)?
            || recurrent::import(self, call)?;
        if done { Ok(()) } else { Err(call.unsupported("")) }
    }

    fn outputs(&mut self) -> Result<()> {
        for &index in &self.file.outputs {
            let value = self.value(index)?;
            self.graph.outputs.push(value);
        }
        Ok(())
    }

    /// The value that a tensor has become: made before, or a constant.
    fn value(&mut self, index: usize) -> Result<ValueId> {
        if let Some(value) = self.values[index] {
            return Ok(value);
        }
        let tensor = &self.file.tensors[index];
        let constant = self.file.constant(index)?.ok_or_else(|| {
            let place = format!("tensor {}", tensor.name);
            Error::new(
                ErrorKind::Order,
                place,
                "an operator before that makes it",
                "none",
            )
        })?;
        let name = self.unique(tensor.name);
        let value = self.graph.add_constant(name, constant);
        self.values[index] = Some(value);
        Ok(value)
    }

    /// The value that an operator reads.
    fn operand(&mut self, call: Call<'a>, n: usize) -> Result<ValueId> {
        self.value(call.input(n)?)
    }

    /// All values that an operator reads.
    fn operands(&mut self, call: Call<'a>) -> Result<Vec<ValueId>> {
        (0..call.operator.inputs.len())
            .map(|n| self.operand(call, n))
            .collect()
    }

    /// The elements of a tensor that is a constant of the file or was folded to one.
    fn constant(&self, index: usize) -> Result<Option<Tensor>> {
        match self.values[index] {
            Some(value) => Ok(self.graph.constant(value).cloned()),
            None => self.file.constant(index),
        }
    }

    /// The elements of a constant tensor of integers, such as a shape or axes.
    fn integers(&self, index: usize) -> Result<Option<Vec<i64>>> {
        self.constant(index)?.map(|tensor| tensor.to_i64()).transpose()
    }

    /// Element type and quantization of a tensor.
    fn ty(&self, index: usize) -> Result<TensorType> {
        let tensor = &self.file.tensors[index];
        let dtype = match tensor.kind {
            Kind::Plain(dtype) => dtype,
            Kind::Complex64 => Dtype::F32,
            Kind::I4 => Dtype::I8,
            Kind::Unknown(n) => {
                let found = format!("tensor {} of element type {n}", tensor.name);
                return Err(Error::new(ErrorKind::Unsupported, "", "numbers or bool", found));
            }
        };
        Ok(TensorType {
            quantization: tensor.quantization.clone(),
            ..TensorType::unshaped(dtype)
        })
    }

    /// Extents of a tensor as the file states them; those that are not fixed are stated as some number.
    fn shape(&self, index: usize) -> &'a [usize] {
        &self.file.tensors[index].shape
    }

    /// A name that nothing else has.
    fn unique(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        while self.names.contains_key(&name) {
            let doubles = self.names.entry(base.to_owned()).or_insert(1);
            *doubles += 1;
            name = format!("{base}_{doubles}");
        }
        self.names.insert(name.clone(), 1);
        name
    }

    /// A constant that the file does not have.
    fn fresh(&mut self, call: Call<'a>, what: &str, tensor: Tensor) -> ValueId {
        let name = self.unique(&format!("{}/{what}", call.name));
        self.graph.add_constant(name, tensor)
    }

    /// Whole numbers as the constant that shapes and axes are.
    fn vector(&mut self, call: Call<'a>, what: &str, numbers: Vec<i64>) -> ValueId {
        self.fresh(call, what, Tensor::vector(numbers))
    }

    /// A node with several outputs, whose values are then named by [`Importer::define`].
    fn emit_many(
        &mut self,
        call: Call<'a>,
        what: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        outputs: Vec<TensorType>,
    ) -> Vec<ValueId> {
        let name = self.unique(&format!("{}/{what}", call.name));
        let values: Vec<ValueId> = outputs
            .into_iter()
            .map(|ty| {
                let name = self.unique(&name);
                self.graph.add_value(name, ty)
            })
            .collect();
        self.graph.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: values.iter().copied().map(Some).collect(),
        });
        values
    }

    /// A node with one output.
    fn emit(
        &mut self,
        call: Call<'a>,
        what: &str,
        op: Op,
        inputs: &[ValueId],
        output: TensorType,
    ) -> ValueId {
        let name = self.unique(&format!("{}/{what}", call.name));
        self.graph.add_node(name, op, inputs, output)
    }

    /// Makes a value that was just emitted the tensor of the file, with its name.
    fn define(&mut self, index: usize, value: ValueId) {
        let name = self.unique(self.file.tensors[index].name);
        self.graph.value_mut(value).name = name;
        self.values[index] = Some(value);
    }

    /// One node that makes the first output.
    fn simple(&mut self, call: Call<'a>, op: Op, inputs: &[ValueId]) -> Result<()> {
        let output = call.output(0)?;
        let ty = self.ty(output)?;
        let value = self.emit(call, "op", op, inputs, ty);
        self.define(output, value);
        Ok(())
    }

    /// The fused activation of an option, applied to a value.
    fn activate(&mut self, call: Call<'a>, slot: usize, value: ValueId) -> Result<ValueId> {
        let function = match call.choice(slot)? {
            0 => return Ok(value),
            1 => Op::Unary(Unary::Relu),
            2 => return Ok(self.clip(call, value, -1.0, 1.0)),
            3 => Op::Unary(Unary::Relu6),
            4 => Op::Unary(Unary::Tanh),
            other => return Err(call.unsupported(format!("fused activation {other}"))),
        };
        let ty = self.graph.value(value).ty.clone();
        Ok(self.emit(call, "activation", function, &[value], ty))
    }

    /// Limits a value to a range.
    fn clip(&mut self, call: Call<'a>, value: ValueId, low: f32, high: f32) -> ValueId {
        let low = self.fresh(call, "low", Tensor::scalar(low));
        let high = self.fresh(call, "high", Tensor::scalar(high));
        let ty = self.graph.value(value).ty.clone();
        self.emit(call, "clip", Op::Clip, &[value, low, high], ty)
    }

    /// Transposes a value; a constant at once.
    fn permute(&mut self, call: Call<'a>, value: ValueId, permutation: &[usize]) -> Result<ValueId> {
        let name = format!("{}/transposed", self.graph.value(value).name);
        if let Some(tensor) = self.graph.constant(value) {
            let permuted = tensor.permuted(permutation)?;
            let name = self.unique(&name);
            return Ok(self.graph.add_constant(name, permuted));
        }
        let mut ty = TensorType::unshaped(self.graph.value(value).ty.dtype);
        ty.quantization = self
            .graph
            .value(value)
            .ty
            .quantization
            .as_ref()
            .map(|q| q.permuted(permutation))
            .transpose()?;
        let op = Op::Transpose {
            permutation: permutation.to_vec(),
        };
        Ok(self.emit(call, "transposed", op, &[value], ty))
    }

    /// A value of an operation whose weights or activations may be floats: integers and halves that stand for real
    /// numbers as `f32`.
    fn real(&mut self, call: Call<'a>, value: ValueId) -> Result<ValueId> {
        let stated = &self.graph.value(value).ty;
        if stated.dtype == Dtype::F32 {
            return Ok(value);
        }
        if let Some(tensor) = self.graph.constant(value) {
            let tensor = tensor.dequantized()?;
            let name = format!("{}/f32", self.graph.value(value).name);
            let name = self.unique(&name);
            return Ok(self.graph.add_constant(name, tensor));
        }
        let op = if stated.quantization.is_some() {
            Op::Requantize
        } else {
            Op::Cast {
                to: Dtype::F32,
                saturate: true,
            }
        };
        Ok(self.emit(call, "f32", op, &[value], TensorType::unshaped(Dtype::F32)))
    }
}
