//! Normalizations.

use super::real;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::extent;
use crate::tensor::Tensor;

/// A vector of one element a channel.
fn per_channel(name: &str, tensor: &Tensor, channels: usize) -> Result<Vec<f64>> {
    if tensor.shape() != [channels] {
        return Err(Error::new(
            ErrorKind::Shape,
            name,
            format!("[{channels}]"),
            format!("{:?}", tensor.shape()),
        ));
    }
    real::floats(tensor)
}

/// Batch, channels and elements of a channel of `[N,C,...]`.
fn channels(x: &Tensor) -> Result<(usize, usize, usize)> {
    match x.shape() {
        [n, c, rest @ ..] => Ok((*n, *c, real::count(rest)?)),
        other => Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C,...]",
            format!("{other:?}"),
        )),
    }
}

/// `(X, scale, bias, mean, variance)`.
pub(super) fn run_batch(epsilon: f32, inputs: [&Tensor; 5]) -> Result<Tensor> {
    let [x, scale, bias, mean, variance] = inputs;
    let (_, count, size) = match x.shape() {
        // A vector is a batch of one channel.
        [n] => (*n, 1, 1),
        _ => channels(x)?,
    };
    let scale = per_channel("scale", scale, count)?;
    let bias = per_channel("bias", bias, count)?;
    let mean = per_channel("mean", mean, count)?;
    let variance = per_channel("variance", variance, count)?;
    let mut values = real::floats(x)?;
    if !values.is_empty() {
        for (n, plane) in values.chunks_exact_mut(size).enumerate() {
            let c = n % count;
            let factor = scale[c] / (variance[c] + f64::from(epsilon)).sqrt();
            plane
                .iter_mut()
                .for_each(|x| *x = (*x - mean[c]) * factor + bias[c]);
        }
    }
    real::tensor(x.shape(), x.dtype(), values)
}

/// Zero mean and unit variance in place; returns the mean and the inverse deviation.
fn standardize(values: &mut [f64], epsilon: f32) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let inverse = 1.0 / (variance + f64::from(epsilon)).sqrt();
    values.iter_mut().for_each(|x| *x = (*x - mean) * inverse);
    (mean, inverse)
}

/// `(X, scale, bias)`: over `groups` groups of channels, scale and bias per channel.
fn grouped(x: &Tensor, scale: &Tensor, bias: &Tensor, groups: usize, epsilon: f32) -> Result<Tensor> {
    let (_, count, size) = channels(x)?;
    if groups == 0 || count % groups != 0 {
        return Err(Error::new(
            ErrorKind::Value,
            "groups",
            format!("a divisor of {count} channels"),
            groups,
        ));
    }
    let scale = per_channel("scale", scale, count)?;
    let bias = per_channel("bias", bias, count)?;
    let mut values = real::floats(x)?;
    if !values.is_empty() {
        for group in values.chunks_exact_mut(count / groups * size) {
            standardize(group, epsilon);
        }
        for (n, plane) in values.chunks_exact_mut(size).enumerate() {
            let c = n % count;
            plane.iter_mut().for_each(|x| *x = *x * scale[c] + bias[c]);
        }
    }
    real::tensor(x.shape(), x.dtype(), values)
}

/// `(X, scale, bias)`: over the spatial axes of each channel.
pub(super) fn run_instance(epsilon: f32, x: &Tensor, scale: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (_, count, _) = channels(x)?;
    grouped(x, scale, bias, count.max(1), epsilon)
}

/// `(X, scale, bias)`: over groups of channels.
pub(super) fn run_group(
    epsilon: f32,
    groups: usize,
    x: &Tensor,
    scale: &Tensor,
    bias: &Tensor,
) -> Result<Tensor> {
    grouped(x, scale, bias, groups, epsilon)
}

/// `(X, scale, bias?) -> (Y, mean, inverse_deviation)`: over the axes from `axis` on.
pub(super) fn run_layer(
    axis: i64,
    epsilon: f32,
    x: &Tensor,
    scale: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Vec<Tensor>> {
    let axis = extent::axis(axis, x.rank())?;
    let size = real::count(&x.shape()[axis..])?;
    let mut values = real::floats(x)?;
    let (mut means, mut inverses) = (Vec::new(), Vec::new());
    if !values.is_empty() {
        for row in values.chunks_exact_mut(size) {
            let (mean, inverse) = standardize(row, epsilon);
            means.push(mean);
            inverses.push(inverse);
        }
    }
    real::broadcast(scale, x.shape(), |n, scale| values[n] *= scale)?;
    if let Some(bias) = bias {
        real::broadcast(bias, x.shape(), |n, bias| values[n] += bias)?;
    }
    let mut reduced = x.shape()[..axis].to_vec();
    reduced.resize(x.rank(), 1);
    // Mean and deviation are f32 for f16 and bf16 too, as they are computed in f32 there.
    let stash = if x.dtype() == Dtype::F64 {
        Dtype::F64
    } else {
        Dtype::F32
    };
    let count = real::count(&reduced)?;
    means.resize(count, 0.0);
    inverses.resize(count, 0.0);
    Ok(vec![
        real::tensor(x.shape(), x.dtype(), values)?,
        real::tensor(&reduced, stash, means)?,
        real::tensor(&reduced, stash, inverses)?,
    ])
}

/// `(X, scale)`: divided by the root of the mean square over the axes from `axis` on.
pub(super) fn run_rms(axis: i64, epsilon: f32, x: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let axis = extent::axis(axis, x.rank())?;
    let size = real::count(&x.shape()[axis..])?;
    let mut values = real::floats(x)?;
    if !values.is_empty() {
        for row in values.chunks_exact_mut(size) {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / size as f64;
            let inverse = 1.0 / (mean + f64::from(epsilon)).sqrt();
            row.iter_mut().for_each(|x| *x *= inverse);
        }
    }
    real::broadcast(scale, x.shape(), |n, scale| values[n] *= scale)?;
    real::tensor(x.shape(), x.dtype(), values)
}

/// Added to the deviation by `MeanVarianceNormalization`.
const MEAN_VARIANCE_EPSILON: f64 = 1e-9;

/// `(X)`: zero mean and unit variance over axes.
pub(super) fn run_mean_variance(axes: &[i64], x: &Tensor) -> Result<Tensor> {
    let mut reduced = x.shape().to_vec();
    for &axis in axes {
        let axis = extent::axis(axis, x.rank())?;
        if let Some(extent) = reduced.get_mut(axis) {
            *extent = 1;
        }
    }
    let mut values = real::floats(x)?;
    let kept = real::count(&reduced)?;
    if values.is_empty() {
        return Ok(x.clone());
    }
    let count = (values.len() / kept) as f64;
    let places = real::places(&reduced, x.shape())?;
    let mut means = vec![0.0; kept];
    let mut squares = vec![0.0; kept];
    places
        .iter()
        .zip(&values)
        .for_each(|(&p, x)| means[p] += x / count);
    for (&p, x) in places.iter().zip(&values) {
        squares[p] += (x - means[p]).powi(2) / count;
    }
    for (&p, x) in places.iter().zip(&mut values) {
        *x = (*x - means[p]) / (squares[p].sqrt() + MEAN_VARIANCE_EPSILON);
    }
    real::tensor(x.shape(), x.dtype(), values)
}

/// Parameters of a normalization across neighbouring channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Response {
    pub alpha: f32,
    pub beta: f32,
    pub bias: f32,
    pub size: usize,
}

/// `(X)`: `x / (bias + alpha / size * sum of squares)^beta`, over a window of channels, the odd one behind.
pub(super) fn run_local_response(r: Response, x: &Tensor) -> Result<Tensor> {
    let (batch, count, size) = channels(x)?;
    if r.size == 0 {
        return Err(Error::new(ErrorKind::Value, "size", "1 or more", 0));
    }
    let values = real::floats(x)?;
    let mut y = Vec::with_capacity(values.len());
    for n in 0..batch {
        for c in 0..count {
            let first = c.saturating_sub((r.size - 1) / 2);
            let last = c.saturating_add(r.size / 2).min(count - 1);
            for place in 0..size {
                let at = |c: usize| values[(n * count + c) * size + place];
                let sum: f64 = (first..=last).map(|c| at(c).powi(2)).sum();
                let base = f64::from(r.bias) + f64::from(r.alpha) / r.size as f64 * sum;
                y.push(at(c) / base.powf(r.beta.into()));
            }
        }
    }
    real::tensor(x.shape(), x.dtype(), y)
}
