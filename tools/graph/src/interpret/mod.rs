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

use crate::error::{Error, ErrorKind, Result};
use crate::graph::Rounding;
use crate::op::Op;
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
    /// [`ErrorKind::Name`] if it is left out.
    pub fn input(&self, n: usize) -> Result<&'a Tensor> {
        self.optional(n)
            .ok_or_else(|| Error::new(ErrorKind::Name, "", format!("input {n}"), "none"))
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
    use Op::*;
    match call.op {
        Unary(_)
        | Binary(_)
        | Compare(_)
        | Logic(_)
        | Variadic(_)
        | Where
        | Clip
        | Cast { .. }
        | BitCast { .. }
        | Reduce { .. }
        | ArgExtreme { .. }
        | Softmax { .. }
        | LogSoftmax { .. }
        | Hardmax { .. }
        | Cumulative { .. }
        | TopK { .. }
        | LpNormalization { .. } => math::run(call),
        Conv(_)
        | ConvTranspose(_)
        | DeformConv(_)
        | ConvInteger(_)
        | Pool(_)
        | GlobalPool(_)
        | MaxUnpool(_)
        | Gemm { .. }
        | MatMul
        | MatMulInteger
        | BatchNormalization { .. }
        | InstanceNormalization { .. }
        | GroupNormalization { .. }
        | LayerNormalization { .. }
        | RmsNormalization { .. }
        | MeanVarianceNormalization { .. }
        | LocalResponseNormalization { .. }
        | Attention(_)
        | RotaryEmbedding(_)
        | Recurrent(_)
        | Resize(_)
        | GridSample { .. }
        | AffineGrid { .. }
        | RoiAlign(_)
        | NonMaxSuppression { .. }
        | Col2Im(_)
        | QLinearConv(_)
        | QLinearMatMul => layer::run(call),
        Dft { .. } | Stft { .. } | Window { .. } => signal::run(call),
        DynamicMatMul => dynamic::run(call),
        Quantize(_) | Dequantize(_) | DynamicQuantize | Requantize => quant::run(call),
        If { .. } => control::run(call),
        _ => array::run(call),
    }
}

/// Applies one operation, quantized types included.
///
/// # Errors
/// [`ErrorKind::Shape`], [`ErrorKind::Dtype`], [`ErrorKind::Value`] or [`ErrorKind::Name`] where the inputs do not fit.
pub fn evaluate(call: Call<'_>) -> Result<Vec<Tensor>> {
    if quantized::concerns(&call) {
        return quantized::run(call);
    }
    kernel(call)
}
