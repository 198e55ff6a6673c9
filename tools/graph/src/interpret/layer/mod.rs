//! Layers: convolutions, pools, products, normalizations, attention, recurrence, resampling.

mod attention;
mod cell;
mod convolution;
mod deformable;
mod integer;
mod normalization;
mod pool;
mod product;
mod real;
mod recurrent;
mod region;
mod resize;
mod rotary;
mod sample;
mod transposed;

use crate::error::{Error, ErrorKind, Result};
use crate::interpret::Call;
use crate::op::{Convolution, Op};
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
        Op::ConvTranspose(c) => one(transposed::run(
            c,
            call.input(0)?,
            call.input(1)?,
            call.optional(2),
        )),
        Op::DeformConv(d) => one(deformable::run(
            d,
            call.input(0)?,
            call.input(1)?,
            call.input(2)?,
            call.optional(3),
            call.optional(4),
        )),
        Op::Col2Im(c) => one(transposed::run_columns(
            c,
            call.input(0)?,
            call.input(1)?,
            call.input(2)?,
        )),
        Op::ConvInteger(c) => one(integer::run_convolution(c, call)),
        Op::MatMulInteger => one(integer::run_matmul(call)),
        Op::QLinearConv(c) => one(integer::run_quantized_convolution(c, call)),
        Op::QLinearMatMul => one(integer::run_quantized_matmul(call)),
        Op::InstanceNormalization { epsilon } => one(normalization::run_instance(
            *epsilon,
            call.input(0)?,
            call.input(1)?,
            call.input(2)?,
        )),
        Op::GroupNormalization { epsilon, groups } => one(normalization::run_group(
            *epsilon,
            *groups,
            call.input(0)?,
            call.input(1)?,
            call.input(2)?,
        )),
        Op::LayerNormalization { axis, epsilon } => {
            normalization::run_layer(*axis, *epsilon, call.input(0)?, call.input(1)?, call.optional(2))
        }
        Op::RmsNormalization { axis, epsilon } => one(normalization::run_rms(
            *axis,
            *epsilon,
            call.input(0)?,
            call.input(1)?,
        )),
        Op::MeanVarianceNormalization { axes } => one(normalization::run_mean_variance(axes, call.input(0)?)),
        &Op::LocalResponseNormalization {
            alpha,
            beta,
            bias,
            size,
        } => {
            let response = normalization::Response {
                alpha,
                beta,
                bias,
                size,
            };
            one(normalization::run_local_response(response, call.input(0)?))
        }
        Op::Attention(a) => attention::run(a, call),
        Op::RotaryEmbedding(r) => one(rotary::run(
            r,
            call.input(0)?,
            call.input(1)?,
            call.input(2)?,
            call.optional(3),
        )),
        Op::Recurrent(r) => recurrent::run(r, call),
        Op::Resize(r) => one(resize::run(
            r,
            call.input(0)?,
            call.optional(1),
            call.optional(2),
            call.optional(3),
        )),
        &Op::GridSample {
            mode,
            padding,
            align_corners,
        } => {
            let sampling = sample::Sampling {
                mode,
                padding,
                align_corners,
            };
            one(sample::run_grid(sampling, call.input(0)?, call.input(1)?))
        }
        Op::AffineGrid { align_corners } => {
            one(sample::run_affine(*align_corners, call.input(0)?, call.input(1)?))
        }
        Op::RoiAlign(r) => one(region::run_align(
            r,
            call.input(0)?,
            call.input(1)?,
            call.input(2)?,
        )),
        Op::NonMaxSuppression { center } => one(region::run_suppression(
            *center,
            [0, 1, 2, 3, 4].map(|n| call.optional(n)),
        )),
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "an operation that is implemented",
            format!("{other:?}"),
        )),
    }
}

/// Extents and elements of an operand.
type Operand<'a> = (&'a [usize], &'a [f64]);

/// Sums of a convolution of integers, with the shape of its output.
pub(super) fn integer_convolution(
    c: &Convolution,
    (x_shape, x): Operand<'_>,
    (w_shape, w): Operand<'_>,
    bias: Option<&Tensor>,
) -> Result<(Vec<f64>, Vec<usize>)> {
    let extents = convolution::Extents::new(c, x_shape, w_shape)?;
    let mut sums = extents.convolve(x, w)?;
    if let Some(bias) = bias {
        convolution::add_bias(&mut sums, extents.batch, extents.kernels, &real::reals(bias))?;
    }
    Ok((sums, extents.output()))
}

/// Sums of a transposed convolution of integers, with the shape of its output.
pub(super) fn integer_transposed(
    c: &Convolution,
    (x_shape, x): Operand<'_>,
    (w_shape, w): Operand<'_>,
    bias: Option<&Tensor>,
) -> Result<(Vec<f64>, Vec<usize>)> {
    let extents = transposed::Transposed::new(c, x_shape, w_shape)?;
    let mut sums = extents.convolve(x, w)?;
    if let Some(bias) = bias {
        convolution::add_bias(&mut sums, extents.batch, extents.kernels, &real::reals(bias))?;
    }
    Ok((sums, extents.output()))
}

/// Sums of a product of integers, with the shape of its output.
pub(super) fn integer_product(
    op: &Op,
    (a_shape, a): Operand<'_>,
    (b_shape, b): Operand<'_>,
    bias: Option<&Tensor>,
) -> Result<(Vec<f64>, Vec<usize>)> {
    match *op {
        Op::Gemm {
            alpha,
            beta,
            transpose_a,
            transpose_b,
        } => {
            if alpha != 1.0 || beta != 1.0 {
                return Err(Error::new(
                    ErrorKind::Value,
                    "",
                    "factors of 1 where operands are quantized",
                    format!("alpha {alpha} and beta {beta}"),
                ));
            }
            product::gemm(
                (a_shape, a, transpose_a),
                (b_shape, b, transpose_b),
                1.0,
                bias.map(|c| (c, 1.0)),
            )
        }
        _ => {
            let product = product::Product::new(a_shape, b_shape)?;
            Ok((product.multiply(a, b)?, product.shape))
        }
    }
}

#[cfg(test)]
mod tests;
