//! Layers: convolutions, pools, products, normalizations, attention, recurrence, resampling.

mod convolution;
mod normalization;
mod pool;
mod product;
mod real;

use crate::error::{Error, ErrorKind, Result};
use crate::interpret::Call;
use crate::op::Op;
use crate::tensor::Tensor;

/// The outputs, those at the end that are not wanted left out.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    let one = |tensor: Result<Tensor>| Ok(vec![tensor?]);
    match call.op {
        Op::Conv(c) => one(convolution::run(
            c,
            call.input(0)?,
            call.input(1)?,
            call.optional(2),
        )),
        Op::Pool(p) => pool::run(p, call.input(0)?, call.wants(1)),
        Op::GlobalPool(kind) => one(pool::run_global(*kind, call.input(0)?)),
        Op::MaxUnpool(p) => one(pool::run_unpool(
            p,
            call.input(0)?,
            call.input(1)?,
            call.optional(2),
        )),
        Op::MatMul => one(product::run_matmul(call.input(0)?, call.input(1)?)),
        &Op::Gemm {
            alpha,
            beta,
            transpose_a,
            transpose_b,
        } => {
            let factors = product::Factors {
                alpha,
                beta,
                transpose_a,
                transpose_b,
            };
            one(product::run_gemm(
                factors,
                call.input(0)?,
                call.input(1)?,
                call.optional(2),
            ))
        }
        Op::BatchNormalization { epsilon } => {
            let inputs = [
                call.input(0)?,
                call.input(1)?,
                call.input(2)?,
                call.input(3)?,
                call.input(4)?,
            ];
            one(normalization::run_batch(*epsilon, inputs))
        }
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "an operation that is implemented",
            format!("{other:?}"),
        )),
    }
}

#[cfg(test)]
mod tests;
