//! Types of layers' outputs.

mod product;
mod resample;
mod sequence;
mod spatial;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, dtype, typed};
use crate::op::Op;
use crate::types::{Dim, TensorType};

/// Types of the outputs.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, _outputs: usize) -> Result<Vec<TensorType>> {
    let one = |ty: Result<TensorType>| Ok(vec![ty?]);
    match op {
        Op::Conv(c) => one(spatial::convolution(c, inputs, 1, dtype(inputs.ty(0)?))),
        Op::ConvInteger(c) => one(spatial::convolution(c, inputs, 1, Dtype::I32)),
        Op::ConvTranspose(c) => one(spatial::transposed(c, inputs)),
        Op::Pool(p) => spatial::pool(p, inputs),
        Op::GlobalPool(_) => one(spatial::global_pool(inputs)),
        Op::MaxUnpool(p) => one(spatial::unpool(p, inputs)),
        Op::MatMul => one(product::matmul(inputs, 1, dtype(inputs.ty(0)?))),
        Op::MatMulInteger => one(product::matmul(inputs, 1, Dtype::I32)),
        Op::Gemm {
            transpose_a,
            transpose_b,
            ..
        } => one(product::gemm(inputs, *transpose_a, *transpose_b)),
        Op::BatchNormalization { .. }
        | Op::InstanceNormalization { .. }
        | Op::GroupNormalization { .. }
        | Op::RmsNormalization { .. }
        | Op::MeanVarianceNormalization { .. }
        | Op::LocalResponseNormalization { .. }
        | Op::RotaryEmbedding(_) => {
            let x = inputs.ty(0)?;
            one(Ok(typed(dtype(x), x.dims.clone())))
        }
        Op::Resize(r) => one(resample::resize(r, inputs)),
        Op::GridSample { .. } => one(resample::grid(inputs)),
        Op::AffineGrid { .. } => one(resample::affine(inputs)),
        Op::RoiAlign(r) => one(resample::regions(r, inputs)),
        Op::NonMaxSuppression { .. } => Ok(vec![resample::suppression()]),
        Op::Attention(a) => sequence::attention(a, inputs),
        Op::Recurrent(r) => sequence::recurrent(r, inputs),
        Op::LayerNormalization { axis, .. } => layer_normalization(*axis, inputs),
        Op::DeformConv(d) => one(spatial::convolution(
            &d.convolution,
            inputs,
            1,
            dtype(inputs.ty(0)?),
        )),
        Op::Col2Im(_) => one(spatial::columns(inputs)),
        Op::QLinearConv(c) => one(spatial::convolution(c, inputs, 3, inputs.ty(7)?.dtype)),
        Op::QLinearMatMul => one(product::matmul(inputs, 3, inputs.ty(7)?.dtype)),
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "an operation with a known shape",
            format!("{other:?}"),
        )),
    }
}

/// `(X, scale, bias?) -> (Y, mean, inverse_deviation)`.
fn layer_normalization(axis: i64, inputs: Known<'_>) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    let reduced = x
        .dims
        .as_ref()
        .map(|dims| {
            let axis = extent::axis(axis, dims.len())?;
            let mut reduced = dims[..axis].to_vec();
            reduced.resize(dims.len(), Dim::Known(1));
            Ok(reduced)
        })
        .transpose()?;
    let stash = if dtype(x) == Dtype::F64 {
        Dtype::F64
    } else {
        Dtype::F32
    };
    Ok(vec![
        typed(dtype(x), x.dims.clone()),
        typed(stash, reduced.clone()),
        typed(stash, reduced),
    ])
}
