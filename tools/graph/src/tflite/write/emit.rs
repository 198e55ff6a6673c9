//! Operators around the one that computes: between floats and integers, and between scales.

use super::Exporter;
use super::file::Index;
use super::flatbuffer::Table;
use crate::dtype::Dtype;
use crate::error::Result;
use crate::types::Quantization;

/// What LiteRT's kernel of an operator does with integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Integers {
    /// It has none.
    None,
    /// Any scales.
    Any,
    /// Inputs and output of one scale; what it computes is the same whether numbers are cut before or behind it.
    Same,
    /// Inputs and output of one scale; others are not brought to it, for the input may need a wider range.
    Equal,
    /// An output of this scale and zero point of `i8`.
    Fixed(f32, i32),
}

impl Exporter<'_> {
    fn is_quantized(&self, tensor: Index) -> bool {
        self.file.tensor(tensor).quantization.is_some()
    }

    /// A tensor of the same extents with other elements.
    fn variant(&mut self, of: Index, what: &str, dtype: Dtype, quantization: Option<Quantization>) -> Index {
        let described = self.file.tensor(of);
        let (name, shape) = (format!("{}/{what}", described.name), described.shape.clone());
        self.file.add(&name, dtype, &shape, quantization)
    }

    /// A tensor as `f32`.
    pub(super) fn dequantize(&mut self, tensor: Index) -> Index {
        let to = self.variant(tensor, "f32", Dtype::F32, None);
        self.file
            .operator("DEQUANTIZE", Table::new(), &[Some(tensor)], &[to]);
        to
    }

    /// Brings one tensor to the type of another.
    pub(super) fn requantize(&mut self, from: Index, to: Index) {
        let code = if self.is_quantized(to) {
            "QUANTIZE"
        } else {
            "DEQUANTIZE"
        };
        self.file.operator(code, Table::new(), &[Some(from)], &[to]);
    }

    /// Computes `out` by an operator of the extents of `inputs`, `body`, that knows integers as `integers` says.
    pub(super) fn compute(
        &mut self,
        inputs: &[Index],
        out: Index,
        integers: Integers,
        body: impl FnOnce(&mut Self, &[Index], Index) -> Result<()>,
    ) -> Result<()> {
        let quantized = |tensor: &Index| self.is_quantized(*tensor);
        if !quantized(&out) && !inputs.iter().any(quantized) {
            return body(self, inputs, out);
        }
        // A kernel of integers wants all of them to be.
        let all = quantized(&out) && inputs.iter().all(quantized);
        let scale = |tensor: &Index| &self.file.tensor(*tensor).quantization;
        let unequal = integers == Integers::Equal && inputs.iter().any(|input| scale(input) != scale(&out));
        if !all || unequal || integers == Integers::None {
            let mut floats = Vec::with_capacity(inputs.len());
            for &input in inputs {
                floats.push(if self.is_quantized(input) {
                    self.dequantize(input)
                } else {
                    input
                });
            }
            if !self.is_quantized(out) {
                return body(self, &floats, out);
            }
            let result = self.variant(out, "f32", Dtype::F32, None);
            body(self, &floats, result)?;
            self.requantize(result, out);
            return Ok(());
        }
        match integers {
            Integers::Same => {
                let wanted = self.file.tensor(out).quantization.clone();
                let mut same = Vec::with_capacity(inputs.len());
                for &input in inputs {
                    if self.file.tensor(input).quantization == wanted {
                        same.push(input);
                        continue;
                    }
                    let dtype = self.file.tensor(out).dtype;
                    let scaled = self.variant(input, "rescaled", dtype, wanted.clone());
                    self.requantize(input, scaled);
                    same.push(scaled);
                }
                body(self, &same, out)
            }
            Integers::Fixed(scale, zero_point) => {
                let dtype = self.file.tensor(out).dtype;
                // The unsigned range is the signed one moved by 128.
                let zero_point = if dtype == Dtype::U8 {
                    zero_point + 128
                } else {
                    zero_point
                };
                let fixed = Some(Quantization::PerTensor { scale, zero_point });
                if self.file.tensor(out).quantization == fixed {
                    return body(self, inputs, out);
                }
                let result = self.variant(out, "fixed", dtype, fixed);
                body(self, inputs, result)?;
                self.requantize(result, out);
                Ok(())
            }
            Integers::Any | Integers::Equal | Integers::None => body(self, inputs, out),
        }
    }

    /// An operator without settings.
    pub(super) fn op(&mut self, code: &'static str, inputs: &[Index], out: Index) {
        let inputs: Vec<Option<Index>> = inputs.iter().copied().map(Some).collect();
        self.file.operator(code, Table::new(), &inputs, &[out]);
    }
}
