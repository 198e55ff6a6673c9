//! Integer convolutions and products whose scales and zero points are inputs, as ONNX has them.

use super::convolution::{Extents, add_bias};
use super::product::Product;
use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Rounding;
use crate::interpret::Call;
use crate::interpret::requantize::Factor;
use crate::op::Convolution;
use crate::quantization::integer_tensor;
use crate::tensor::Tensor;

/// Integers less their zero points; `place` brings a vector of zero points to a shape that broadcasts.
fn centred(
    tensor: &Tensor,
    zero: Option<&Tensor>,
    place: impl Fn(&[usize]) -> Vec<usize>,
) -> Result<Vec<f64>> {
    integers(tensor)?;
    let mut values = real::reals(tensor);
    if let Some(zero) = zero {
        integers(zero)?;
        let zeros = real::reals(zero);
        let places = real::places(&place(zero.shape()), tensor.shape())?;
        for (value, place) in values.iter_mut().zip(places) {
            *value -= zeros[place];
        }
    }
    Ok(values)
}

fn integers(tensor: &Tensor) -> Result<()> {
    if tensor.dtype().is_integer() {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Dtype, "", "integers", tensor.dtype()))
    }
}

/// A single number or one for each kernel, along the first axis of a kernel.
fn of_kernels(rank: usize) -> impl Fn(&[usize]) -> Vec<usize> {
    move |shape| match shape {
        [n] if *n != 1 => [&[*n], &vec![1; rank - 1][..]].concat(),
        [1] => Vec::new(),
        other => other.to_vec(),
    }
}

/// A single number or one for each row.
fn of_rows(shape: &[usize]) -> Vec<usize> {
    match shape {
        [1] => Vec::new(),
        [n] => vec![*n, 1],
        other => other.to_vec(),
    }
}

/// A single number or one for each column.
fn of_columns(shape: &[usize]) -> Vec<usize> {
    match shape {
        [1] => Vec::new(),
        other => other.to_vec(),
    }
}

/// Sums as `i32`, wrapping around.
fn wrapped(sums: &[f64]) -> Vec<i32> {
    sums.iter().map(|&x| x as i64 as i32).collect()
}

/// `(X, W, x_zero_point?, w_zero_point?)`: to `i32`.
pub(super) fn run_convolution(c: &Convolution, call: Call<'_>) -> Result<Tensor> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let extents = Extents::new(c, x.shape(), w.shape())?;
    let x = centred(x, call.optional(2), of_columns)?;
    let w = centred(w, call.optional(3), of_kernels(w.rank()))?;
    Tensor::new(&extents.output(), wrapped(&extents.convolve(&x, &w)?))
}

/// `(A, B, a_zero_point?, b_zero_point?)`: to `i32`.
pub(super) fn run_matmul(call: Call<'_>) -> Result<Tensor> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let product = Product::new(a.shape(), b.shape())?;
    let a = centred(a, call.optional(2), of_rows)?;
    let b = centred(b, call.optional(3), of_columns)?;
    Tensor::new(&product.shape, wrapped(&product.multiply(&a, &b)?))
}

/// The only element of a tensor.
fn single(name: &str, tensor: &Tensor) -> Result<f64> {
    match real::reals(tensor)[..] {
        [one] => Ok(one),
        _ => Err(Error::new(
            ErrorKind::Shape,
            name,
            "one element",
            format!("{:?}", tensor.shape()),
        )),
    }
}

/// Quantizes sums, each times its factor.
fn requantized(
    sums: &[f64],
    shape: &[usize],
    zero: &Tensor,
    factor: impl Fn(usize) -> f64,
    rounding: Rounding,
) -> Result<Tensor> {
    let Some((least, greatest)) = zero.dtype().bounds() else {
        return Err(Error::new(
            ErrorKind::Dtype,
            "zero point",
            "integers of at most 32 bits",
            zero.dtype(),
        ));
    };
    let zero_point = single("zero point", zero)? as i64;
    let integers = sums
        .iter()
        .enumerate()
        .map(|(n, &sum)| {
            let scaled = Factor::new(factor(n), rounding, false).apply(sum as i64);
            scaled.saturating_add(zero_point).clamp(least, greatest)
        })
        .collect();
    integer_tensor(shape, zero.dtype(), integers)
}

/// `(x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, B?)`.
pub(super) fn run_quantized_convolution(c: &Convolution, call: Call<'_>) -> Result<Tensor> {
    let (x, w) = (call.input(0)?, call.input(3)?);
    let extents = Extents::new(c, x.shape(), w.shape())?;
    let x_scale = single("x_scale", call.input(1)?)?;
    let w_scales = real::floats(call.input(4)?)?;
    let y_scale = single("y_scale", call.input(6)?)?;
    if w_scales.len() != 1 && w_scales.len() != extents.kernels {
        return Err(Error::new(
            ErrorKind::Shape,
            "w_scale",
            format!("1 or {} elements", extents.kernels),
            w_scales.len(),
        ));
    }
    let x = centred(x, call.optional(2), of_columns)?;
    let w = centred(w, call.optional(5), of_kernels(w.rank()))?;
    let mut sums = extents.convolve(&x, &w)?;
    if let Some(bias) = call.optional(8) {
        integers(bias)?;
        add_bias(&mut sums, extents.batch, extents.kernels, &real::reals(bias))?;
    }
    let shape = extents.output();
    let places: usize = shape[2..].iter().product();
    let factor = |n: usize| {
        let kernel = n / places % extents.kernels;
        x_scale * w_scales.get(kernel).unwrap_or(&w_scales[0]) / y_scale
    };
    requantized(&sums, &shape, call.input(7)?, factor, call.rounding)
}

/// `(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero)`.
pub(super) fn run_quantized_matmul(call: Call<'_>) -> Result<Tensor> {
    let (a, b) = (call.input(0)?, call.input(3)?);
    let product = Product::new(a.shape(), b.shape())?;
    let (a_scale, b_scale) = (call.input(1)?, call.input(4)?);
    let y_scale = single("y_scale", call.input(6)?)?;
    let a = centred(a, Some(call.input(2)?), of_rows)?;
    let b = centred(b, Some(call.input(5)?), of_columns)?;
    let sums = product.multiply(&a, &b)?;
    let (a_scales, b_scales) = (real::floats(a_scale)?, real::floats(b_scale)?);
    let a_places = real::places(&of_rows(a_scale.shape()), &product.shape)?;
    let b_places = real::places(&of_columns(b_scale.shape()), &product.shape)?;
    let factor = |n: usize| a_scales[a_places[n]] * b_scales[b_places[n]] / y_scale;
    requantized(&sums, &product.shape, call.input(7)?, factor, call.rounding)
}
