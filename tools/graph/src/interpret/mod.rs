//! The reference interpreter: clear, f32 with f64 accumulation, every operation the graph has.

#[cfg(test)]
mod apply;
mod arithmetic;
mod array;
mod cast;
mod control;
mod drive;
mod dynamic;
mod layer;
mod math;
mod quant;
mod quantized;
mod requantize;
mod shape;
mod signal;
mod strided;
mod wide;

pub use drive::{run, run_observed};

use crate::error::{Error, Result};
use crate::graph::Rounding;
use crate::op::{Family, Op};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// What an operation is applied to.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What is computed.
    pub op: &'a Op,
    /// In the order that the operation documents; `None` where one is left out.
    pub inputs: &'a [Option<&'a Tensor>],
    /// Types of the outputs as far as they are known; `None` where one is not wanted.
    pub outputs: &'a [Option<&'a TensorType>],
    /// Rule of integer operations.
    pub rounding: Rounding,
}

impl<'a> Call<'a> {
    /// An input.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Name`] if it is left out.
    pub fn input(&self, n: usize) -> Result<&'a Tensor> {
        self.optional(n).ok_or_else(|| Error::left_out(n))
    }

    /// An input that may be left out.
    pub fn optional(&self, n: usize) -> Option<&'a Tensor> {
        self.inputs.get(n).copied().flatten()
    }

    /// Whether an output is wanted.
    pub fn wants(&self, n: usize) -> bool {
        self.outputs.get(n).copied().flatten().is_some()
    }
}

/// Applies one operation to real numbers and plain integers: quantized types are seen to by the caller.
fn kernel(call: Call<'_>) -> Result<Vec<Tensor>> {
    match call.op.family() {
        Family::Math => math::run(call),
        Family::Layer => layer::run(call),
        Family::Signal => signal::run(call),
        Family::Dynamic => dynamic::run(call),
        Family::Quantization => quant::run(call),
        Family::Control => control::run(call),
        Family::Array => array::run(call),
    }
}

/// Applies one operation, quantized types included.
///
/// # Errors
/// As [`crate::infer::output_types`].
pub fn evaluate(call: Call<'_>) -> Result<Vec<Tensor>> {
    if quantized::concerns(&call) {
        return quantized::run(call);
    }
    kernel(call)
}
