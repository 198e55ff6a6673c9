//! Normalizations.

use super::real;
use crate::error::{Error, ErrorKind, Result};
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
