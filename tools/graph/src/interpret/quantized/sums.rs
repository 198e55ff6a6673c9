//! Convolutions and products of integers.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Rounding;
use crate::interpret::Call;
use crate::interpret::layer::{integer_convolution, integer_product, integer_transposed};
use crate::interpret::requantize::Factor;
use crate::op::Op;
use crate::quantization::integer_tensor;
use crate::tensor::Tensor;
use crate::types::{Quantization, TensorType};

/// Integer sums of products and how they become an output.
pub(super) struct Sums {
    x_scale: f32,
    x_zero: i32,
    w_scales: Vec<f32>,
    w_zeros: Vec<i32>,
    y_scale: f32,
    y_zero: i32,
    dtype: Dtype,
}

impl Sums {
    /// The parameters, where inputs and output have such for which there is an integer rule.
    pub fn of(call: &Call<'_>) -> Result<Option<Self>> {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let output = call.outputs.first().copied().flatten();
        let (
            Some(&Quantization::PerTensor {
                scale: x_scale,
                zero_point: x_zero,
            }),
            Some(TensorType {
                quantization:
                    Some(Quantization::PerTensor {
                        scale: y_scale,
                        zero_point: y_zero,
                    }),
                dtype,
                ..
            }),
        ) = (x.quantization.as_ref(), output)
        else {
            return Ok(None);
        };
        let kernel_axis = match call.op {
            Op::Conv(_) => Some(0),
            Op::ConvTranspose(_) => Some(1),
            Op::Gemm {
                transpose_b: true, ..
            } => Some(0),
            Op::Gemm { .. } => Some(1),
            _ => w.rank().checked_sub(1),
        };
        let (w_scales, w_zeros) = match &w.quantization {
            Some(Quantization::PerTensor { scale, zero_point }) => (vec![*scale], vec![*zero_point]),
            Some(Quantization::PerAxis {
                axis,
                scales,
                zero_points,
            }) if Some(*axis) == kernel_axis => {
                let extent = w.shape().get(*axis).copied().unwrap_or(0);
                if scales.len() != extent || zero_points.len() != extent || extent == 0 {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        "quantization",
                        format!("{extent} scales and zero points"),
                        format!("{} and {}", scales.len(), zero_points.len()),
                    ));
                }
                (scales.clone(), zero_points.clone())
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            x_scale,
            x_zero,
            w_scales,
            w_zeros,
            y_scale: *y_scale,
            y_zero: *y_zero,
            dtype: *dtype,
        }))
    }

    /// The quantized output.
    pub fn run(&self, call: &Call<'_>) -> Result<Tensor> {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let centred: Vec<f64> = x
            .to_i64()?
            .iter()
            .map(|&q| (q - i64::from(self.x_zero)) as f64)
            .collect();
        let bias = match call.optional(2) {
            None => None,
            Some(b) if b.dtype().is_integer() => Some(b),
            Some(b) => {
                return Err(Error::new(
                    ErrorKind::Dtype,
                    "bias of an integer operation",
                    "integers",
                    b.dtype(),
                ));
            }
        };
        let (sums, shape, stride) = match call.op {
            Op::Conv(c) => {
                let weights = self.weights(w, 0)?;
                let (sums, shape) =
                    integer_convolution(c, (x.shape(), &centred), (w.shape(), &weights), bias)?;
                let stride = shape[2..].iter().product();
                (sums, shape, stride)
            }
            Op::ConvTranspose(c) => {
                let weights = self.weights(w, 1)?;
                let (sums, shape) =
                    integer_transposed(c, (x.shape(), &centred), (w.shape(), &weights), bias)?;
                let stride = shape[2..].iter().product();
                (sums, shape, stride)
            }
            op => {
                let axis = match op {
                    Op::Gemm {
                        transpose_b: true, ..
                    } => 0,
                    _ => w.rank().saturating_sub(1),
                };
                let weights = self.weights(w, axis)?;
                let (sums, shape) = integer_product(op, (x.shape(), &centred), (w.shape(), &weights), bias)?;
                (sums, shape, 1)
            }
        };
        let factors: Vec<Factor> = (0..self.w_scales.len()).map(|n| self.factor(call, n)).collect();
        let Some((least, greatest)) = self.dtype.bounds() else {
            return Err(Error::new(
                ErrorKind::Dtype,
                "output",
                "integers of at most 32 bits",
                self.dtype,
            ));
        };
        let stride: usize = stride;
        let integers = sums
            .iter()
            .enumerate()
            .map(|(n, &sum)| {
                let factor = factors[n / stride.max(1) % factors.len()];
                let scaled = factor.apply(sum as i64);
                scaled.saturating_add(self.y_zero.into()).clamp(least, greatest)
            })
            .collect();
        let parameters = Quantization::PerTensor {
            scale: self.y_scale,
            zero_point: self.y_zero,
        };
        Ok(integer_tensor(&shape, self.dtype, integers)?.with_quantization(Some(parameters)))
    }

    /// Weights less their zero points, which lie along an axis.
    fn weights(&self, w: &Tensor, axis: usize) -> Result<Vec<f64>> {
        let inner: usize = w.shape().get(axis + 1..).unwrap_or(&[]).iter().product();
        let zero = |n: usize| self.w_zeros[n / inner.max(1) % self.w_zeros.len()];
        Ok(w.to_i64()?
            .iter()
            .enumerate()
            .map(|(n, &q)| (q - i64::from(zero(n))) as f64)
            .collect())
    }

    /// From the scale of a sum to that of the output.
    fn factor(&self, call: &Call<'_>, n: usize) -> Factor {
        let (x, w, y) = (self.x_scale, self.w_scales[n], self.y_scale);
        // TensorFlow Lite multiplies the scales in f32 where its weights are not those of an int8 convolution.
        let convolution = matches!(call.op, Op::Conv(_) | Op::ConvTranspose(_));
        let single = call.rounding == Rounding::Gemmlowp
            && self.w_scales.len() == 1
            && !(convolution && self.dtype != Dtype::U8);
        let product = if single {
            f64::from(x * w)
        } else {
            f64::from(x) * f64::from(w)
        };
        let wide = call.optional(0).is_some_and(|x| x.dtype() == Dtype::I16);
        Factor::new(product / f64::from(y), call.rounding, wide)
    }
}
