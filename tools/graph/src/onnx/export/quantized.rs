//! Quantized values as integer tensors between `QuantizeLinear` and `DequantizeLinear`.

use super::attribute::Attributes;
use super::{Exporter, unsupported};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Node, ValueId};
use crate::op::Op;
use crate::tensor::{Storage, Tensor};
use crate::types::Quantization;

impl Exporter<'_> {
    /// Names of a node's inputs, quantized ones dequantized.
    pub(super) fn real_inputs(&mut self, node: &Node) -> Result<Vec<String>> {
        // These do not look at the elements.
        let blind = matches!(node.op, Op::Shape { .. } | Op::Size);
        let mut names = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            names.push(match *id {
                None => String::new(),
                Some(id) if self.graph.value(id).ty.quantization.is_some() && !blind => {
                    let name = self.unique(&format!("{}.dequantized", self.name(id)));
                    self.dequantize(id, &name)?;
                    name
                }
                Some(id) => self.name(id),
            });
        }
        Ok(names)
    }

    /// Names under which a node makes its outputs, and those that are then quantized.
    pub(super) fn real_outputs(&mut self, node: &Node) -> (Vec<String>, Vec<(ValueId, String)>) {
        let mut quantized = Vec::new();
        let mut names = Vec::with_capacity(node.outputs.len());
        for id in &node.outputs {
            names.push(match *id {
                None => String::new(),
                Some(id) if self.graph.value(id).ty.quantization.is_some() => {
                    let name = self.unique(&format!("{}.real", self.name(id)));
                    quantized.push((id, name.clone()));
                    name
                }
                Some(id) => self.name(id),
            });
        }
        (names, quantized)
    }

    /// From or to a quantized type, or between two.
    pub(super) fn requantize(&mut self, node: &Node) -> Result<()> {
        let (Some(Some(input)), Some(Some(output))) = (node.inputs.first(), node.outputs.first()) else {
            return Err(Error::new(ErrorKind::Name, "", "an input and an output", "none"));
        };
        let quantized = |id: ValueId| self.graph.value(id).ty.quantization.is_some();
        match (quantized(*input), quantized(*output)) {
            (true, true) => {
                let real = self.unique(&format!("{}.dequantized", self.name(*input)));
                self.dequantize(*input, &real)?;
                self.quantize(*output, &real)
            }
            (true, false) => self.dequantize(*input, &self.name(*output)),
            (false, true) => self.quantize(*output, &self.name(*input)),
            (false, false) => {
                self.call(
                    "Identity",
                    &[self.name(*input)],
                    &[self.name(*output)],
                    Vec::new(),
                );
                Ok(())
            }
        }
    }

    /// Adds the node that makes the real numbers of a quantized value.
    fn dequantize(&mut self, id: ValueId, real: &str) -> Result<()> {
        let dtype = self.graph.value(id).ty.dtype;
        if !matches!(dtype, Dtype::I8 | Dtype::U8 | Dtype::I32) {
            return Err(unsupported(format!("DequantizeLinear of {dtype}")));
        }
        let ((scale, zero_point), attributes) = self.parameters(id)?;
        let inputs = [self.name(id), scale, zero_point];
        self.call("DequantizeLinear", &inputs, &[real.to_owned()], attributes);
        Ok(())
    }

    /// Adds the node that makes a quantized value from real numbers.
    pub(super) fn quantize(&mut self, id: ValueId, real: &str) -> Result<()> {
        let dtype = self.graph.value(id).ty.dtype;
        if !matches!(dtype, Dtype::I8 | Dtype::U8) {
            return Err(unsupported(format!("QuantizeLinear to {dtype}")));
        }
        let ((scale, zero_point), attributes) = self.parameters(id)?;
        let inputs = [real.to_owned(), scale, zero_point];
        self.call("QuantizeLinear", &inputs, &[self.name(id)], attributes);
        Ok(())
    }

    /// Names of the scale and the zero point of a value, and the axis they are along.
    fn parameters(&mut self, id: ValueId) -> Result<((String, String), Attributes)> {
        let value = self.graph.value(id);
        let dtype = value.ty.dtype;
        let (scale, zero_points, shape, attributes) = match &value.ty.quantization {
            None => {
                return Err(Error::new(
                    ErrorKind::Dtype,
                    &value.name,
                    "a quantized type",
                    dtype,
                ));
            }
            Some(Quantization::PerTensor { scale, zero_point }) => {
                (Tensor::scalar(*scale), vec![*zero_point], Vec::new(), Vec::new())
            }
            Some(Quantization::PerAxis {
                axis,
                scales,
                zero_points,
            }) => {
                let attributes = vec![("axis", (*axis as i64).into())];
                (
                    Tensor::vector(scales.clone()),
                    zero_points.clone(),
                    vec![scales.len()],
                    attributes,
                )
            }
            Some(Quantization::Blocks { .. }) => {
                return Err(unsupported(format!(
                    "DequantizeLinear-21 with blocks for {}",
                    value.name
                )));
            }
        };
        if let Some(names) = self.scales.get(&id) {
            return Ok((names.clone(), attributes));
        }
        let elements: Option<Storage> = match dtype {
            Dtype::U8 => narrow::<u8>(&zero_points).map(Storage::from),
            Dtype::I8 => narrow::<i8>(&zero_points).map(Storage::from),
            // 32-bit integers have no zero point in this form.
            _ if zero_points.iter().all(|&z| z == 0) => None,
            _ => return Err(unsupported(format!("a zero point of {dtype}"))),
        };
        let name = self.name(id);
        let scale = self.constant(&format!("{name}.scale"), &scale);
        let zero_point = match elements {
            Some(elements) => self.constant(&format!("{name}.zero_point"), &Tensor::new(&shape, elements)?),
            None if dtype == Dtype::I32 => String::new(),
            None => {
                return Err(Error::new(
                    ErrorKind::Value,
                    name,
                    format!("zero points of {dtype}"),
                    "others",
                ));
            }
        };
        self.scales.insert(id, (scale.clone(), zero_point.clone()));
        Ok(((scale, zero_point), attributes))
    }
}

fn narrow<T: TryFrom<i32>>(values: &[i32]) -> Option<Vec<T>> {
    values.iter().map(|&v| T::try_from(v).ok()).collect()
}
