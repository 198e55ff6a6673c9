//! Types of layers' outputs.

mod product;
mod spatial;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::op::Op;
use crate::types::TensorType;

/// Types of the outputs.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, _outputs: usize) -> Result<Vec<TensorType>> {
    let one = |ty: Result<TensorType>| Ok(vec![ty?]);
    match op {
        Op::Conv(c) => one(spatial::convolution(c, inputs, 1, inputs.ty(0)?.dtype)),
        Op::ConvInteger(c) => one(spatial::convolution(c, inputs, 1, Dtype::I32)),
        Op::ConvTranspose(c) => one(spatial::transposed(c, inputs)),
        Op::Pool(p) => spatial::pool(p, inputs),
        Op::GlobalPool(_) => one(spatial::global_pool(inputs)),
        Op::MaxUnpool(p) => one(spatial::unpool(p, inputs)),
        Op::MatMul => one(product::matmul(inputs, 1, inputs.ty(0)?.dtype)),
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
        | Op::LocalResponseNormalization { .. } => {
            let x = inputs.ty(0)?;
            one(Ok(spatial::with_dims(x.dtype, x.dims.clone())))
        }
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "an operation with a known shape",
            format!("{other:?}"),
        )),
    }
}
