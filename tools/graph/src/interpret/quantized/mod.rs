//! Operations on quantized tensors: integer arithmetic where there is a rule for it, else on real numbers.

mod gemmlowp;
mod sums;
#[cfg(test)]
mod tests;

use sums::Sums;

use super::{Call, kernel};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::graph::Rounding;
use crate::op::{Op, PadMode, Pool, PoolKind, ScatterReduction};
use crate::quantization::{dequantize, integer_tensor, quantize};
use crate::tensor::Tensor;
use crate::types::{Quantization, TensorType};

/// Whether a call has a quantized input or output.
pub(super) fn concerns(call: &Call<'_>) -> bool {
    call.inputs.iter().flatten().any(|t| t.quantization.is_some())
        || call.outputs.iter().flatten().any(|t| t.quantization.is_some())
}

/// Applies an operation to tensors some of which are quantized.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    match call.op {
        // These see to parameters themselves, or look at no elements.
        Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::DynamicQuantize
        | Op::DynamicMatMul
        | Op::Shape { .. }
        | Op::Size
        | Op::If { .. } => return kernel(call),
        Op::Requantize => return Ok(vec![requantize(&call)?]),
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::MatMul => {
            if let Some(sums) = Sums::of(&call)? {
                return Ok(vec![sums.run(&call)?]);
            }
        }
        _ => {
            if call.rounding == Rounding::Gemmlowp
                && let Some(made) = gemmlowp::run(&call)?
            {
                return Ok(vec![made]);
            }
            if let Some(moved) = moved(&call)? {
                return Ok(moved);
            }
        }
    }
    real(call)
}

/// The same real numbers in the output's type.
fn requantize(call: &Call<'_>) -> Result<Tensor> {
    let input = call.input(0)?;
    let real = match input.quantization {
        Some(_) => dequantize(input)?,
        None => input.clone(),
    };
    match call.outputs.first().copied().flatten() {
        Some(TensorType {
            dtype,
            quantization: Some(quantization),
            ..
        }) => quantize(&real, *dtype, quantization),
        _ => Ok(real),
    }
}

/// Inputs dequantized, outputs quantized.
fn real(call: Call<'_>) -> Result<Vec<Tensor>> {
    let reals: Vec<Option<Tensor>> = call
        .inputs
        .iter()
        .map(|input| match input {
            Some(tensor) if tensor.quantization.is_some() => dequantize(tensor).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_>>()?;
    let inputs: Vec<Option<&Tensor>> = call
        .inputs
        .iter()
        .zip(&reals)
        .map(|(&input, real)| real.as_ref().or(input))
        .collect();
    let types: Vec<Option<TensorType>> = call
        .outputs
        .iter()
        .map(|ty| {
            ty.map(|ty| match ty.quantization {
                None => ty.clone(),
                Some(_) => TensorType {
                    dtype: Dtype::F32,
                    quantization: None,
                    ..ty.clone()
                },
            })
        })
        .collect();
    let outputs: Vec<Option<&TensorType>> = types.iter().map(Option::as_ref).collect();
    let made = kernel(Call {
        inputs: &inputs,
        outputs: &outputs,
        ..call
    })?;
    made.into_iter()
        .enumerate()
        .map(|(n, tensor)| match call.outputs.get(n).copied().flatten() {
            Some(TensorType {
                dtype,
                quantization: Some(quantization),
                ..
            }) => quantize(&tensor, *dtype, quantization),
            _ => Ok(tensor),
        })
        .collect()
}

/// Inputs of an operation that only moves elements, by their places; `None` for other operations.
fn moved_inputs(op: &Op, count: usize) -> Option<Vec<usize>> {
    Some(match op {
        Op::Identity
        | Op::Reshape { .. }
        | Op::Flatten { .. }
        | Op::Squeeze
        | Op::Unsqueeze
        | Op::Transpose { .. }
        | Op::Expand
        | Op::Tile
        | Op::Split { .. }
        | Op::Slice
        | Op::Gather(_)
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
        | Op::Compress { .. }
        | Op::ReverseSequence { .. }
        | Op::GlobalPool(PoolKind::Max)
        | Op::Pool(Pool {
            kind: PoolKind::Max, ..
        }) => vec![0],
        Op::Concat { .. } => (0..count).collect(),
        Op::Pad { .. } => vec![0, 2],
        Op::Where => vec![1, 2],
        Op::ScatterElements {
            reduction: ScatterReduction::Replace,
            ..
        }
        | Op::ScatterNd {
            reduction: ScatterReduction::Replace,
        } => vec![0, 2],
        _ => return None,
    })
}

/// An operation that only moves elements, on integers whose parameters are all equal; `None` where they are not.
fn moved(call: &Call<'_>) -> Result<Option<Vec<Tensor>>> {
    let Some(places) = moved_inputs(call.op, call.inputs.len()) else {
        return Ok(None);
    };
    let first = call.input(0)?;
    let source = if matches!(call.op, Op::Where) {
        call.input(1)?
    } else {
        first
    };
    let Some(parameters @ Quantization::PerTensor { zero_point, .. }) = &source.quantization else {
        return Ok(None);
    };
    let wanted = call.outputs.first().copied().flatten();
    if wanted.is_some_and(|ty| ty.quantization.as_ref() != Some(parameters) || ty.dtype != source.dtype()) {
        return Ok(None);
    }
    let same = |t: &Tensor| t.quantization.as_ref() == Some(parameters) && t.dtype() == source.dtype();
    let mut inputs: Vec<Option<Tensor>> = Vec::with_capacity(call.inputs.len());
    for (n, input) in call.inputs.iter().enumerate() {
        let input = match input {
            Some(t) if places.contains(&n) && same(t) => Some((*t).clone().with_quantization(None)),
            Some(t) if places.contains(&n) && matches!(call.op, Op::Pad { .. }) => {
                let value = if t.quantization.is_some() {
                    dequantize(t)?
                } else {
                    (*t).clone()
                };
                Some(quantize(&value, source.dtype(), parameters)?.with_quantization(None))
            }
            Some(_) if places.contains(&n) => return Ok(None),
            other => other.cloned(),
        };
        inputs.push(input);
    }
    let constant = matches!(
        call.op,
        Op::Pad {
            mode: PadMode::Constant
        }
    );
    if constant && call.optional(2).is_none() {
        // What is added around real numbers is 0, and the zero point stands for it.
        inputs.resize(inputs.len().max(3), None);
        inputs[2] = Some(integer_tensor(&[], source.dtype(), vec![i64::from(*zero_point)])?);
    }
    let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
    let types: Vec<Option<TensorType>> = call
        .outputs
        .iter()
        .map(|ty| {
            ty.map(|ty| TensorType {
                quantization: None,
                ..ty.clone()
            })
        })
        .collect();
    let outputs: Vec<Option<&TensorType>> = types.iter().map(Option::as_ref).collect();
    let made = kernel(Call {
        inputs: &inputs,
        outputs: &outputs,
        ..*call
    })?;
    let quantized = |t: Tensor| {
        // Indices of a pool are no elements.
        if t.dtype() == source.dtype() {
            t.with_quantization(Some(parameters.clone()))
        } else {
            t
        }
    };
    Ok(Some(made.into_iter().map(quantized).collect()))
}
