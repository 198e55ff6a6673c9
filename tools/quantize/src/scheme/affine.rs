//! Scales, zero points, and constants rounded with them.

use limbic_graph::{Dtype, Quantization, Tensor};

use crate::calibrate::Range;
use crate::error::{Error, ErrorKind, Result};

/// Least scale: products of two stay normal `f32`.
const LEAST_SCALE: f64 = 1.0 / (1u64 << 60) as f64;

/// Greatest accumulated magnitude that a bias may have, which leaves half of the accumulator to the products.
const GREATEST_BIAS: f64 = (1u32 << 30) as f64;

/// Scale and zero point of an `i8` activation that holds a range; zero is one of the integers' real numbers.
pub(crate) fn activation(range: Range, symmetric: bool) -> Quantization {
    let (min, max) = (f64::from(range.min).min(0.0), f64::from(range.max).max(0.0));
    let (scale, zero_point) = if symmetric {
        (min.abs().max(max) / 127.0, 0)
    } else {
        let scale = ((max - min) / 255.0).max(LEAST_SCALE);
        (scale, (-128.0 - min / scale).round_ties_even() as i32)
    };
    Quantization::PerTensor {
        scale: scale.max(LEAST_SCALE) as f32,
        zero_point: zero_point.clamp(-128, 127),
    }
}

/// The scale of an activation's quantization.
pub(crate) fn scale_of(quantization: &Quantization) -> f64 {
    match quantization {
        Quantization::PerTensor { scale, .. } => f64::from(*scale),
        Quantization::PerAxis { .. } | Quantization::Blocks { .. } => 1.0,
    }
}

/// Weights as `i8` from -127 to 127 with a scale for each place along an axis, zero points 0.
///
/// A channel's scale is wide enough that its `bias` fits the accumulator when `input_scale` times it is the bias's.
///
/// # Errors
/// [`ErrorKind::NotFinite`] naming the tensor; [`ErrorKind::Graph`] if it is not `f32`.
pub(crate) fn weights(
    name: &str,
    tensor: &Tensor,
    axis: usize,
    bias: Option<&[f32]>,
    input_scale: f64,
) -> Result<Tensor> {
    let values = tensor.elements::<f32>()?;
    finite(name, values)?;
    let channels = tensor.shape().get(axis).copied().unwrap_or(1);
    let inner: usize = tensor.shape().iter().skip(axis + 1).product();
    let channel = |n: usize| n / inner.max(1) % channels.max(1);
    let mut greatest = vec![0f64; channels];
    for (n, &value) in values.iter().enumerate() {
        let slot = &mut greatest[channel(n)];
        *slot = slot.max(f64::from(value).abs());
    }
    let scales: Vec<f32> = greatest
        .iter()
        .enumerate()
        .map(|(n, &greatest)| {
            let bias = bias
                .and_then(|bias| bias.get(n))
                .map_or(0.0, |b| f64::from(b.abs()));
            let least = bias / (GREATEST_BIAS * input_scale);
            (greatest / 127.0).max(least).max(LEAST_SCALE) as f32
        })
        .collect();
    let integers: Vec<i8> = values
        .iter()
        .enumerate()
        .map(|(n, &value)| {
            let scaled = (f64::from(value) / f64::from(scales[channel(n)])).round_ties_even();
            scaled.clamp(-127.0, 127.0) as i8
        })
        .collect();
    let zero_points = vec![0; channels];
    let quantization = Quantization::PerAxis {
        axis,
        scales,
        zero_points,
    };
    Ok(Tensor::new(tensor.shape(), integers)?.with_quantization(Some(quantization)))
}

/// A bias as `i32` with the scales of the accumulator.
pub(crate) fn bias(name: &str, values: &[f32], input_scale: f64, weights: &Tensor) -> Result<Tensor> {
    finite(name, values)?;
    let Some(Quantization::PerAxis { scales, .. }) = &weights.quantization else {
        return Err(Error::new(
            ErrorKind::Graph,
            format!("tensor {name}"),
            "weights of one scale a channel",
            format!("{:?}", weights.quantization),
        ));
    };
    let products: Vec<f32> = scales
        .iter()
        .map(|scale| (f64::from(*scale) * input_scale) as f32)
        .collect();
    let integers: Vec<i32> = values
        .iter()
        .zip(&products)
        .map(|(&value, &scale)| (f64::from(value) / f64::from(scale)).round_ties_even() as i32)
        .collect();
    let quantization = Quantization::PerAxis {
        axis: 0,
        zero_points: vec![0; products.len()],
        scales: products,
    };
    Ok(Tensor::vector(integers).with_quantization(Some(quantization)))
}

/// Weights in blocks along an axis, one symmetric scale a block, as `i8` from `-limit` to `limit`.
///
/// # Errors
/// As [`weights`].
pub(crate) fn blocks(name: &str, tensor: &Tensor, axis: usize, size: usize, limit: i8) -> Result<Tensor> {
    let values = tensor.elements::<f32>()?;
    finite(name, values)?;
    let length = tensor.shape().get(axis).copied().unwrap_or(1);
    let inner: usize = tensor.shape().iter().skip(axis + 1).product();
    let per_axis = length.div_ceil(size.max(1));
    let outer: usize = tensor.shape().iter().take(axis).product();
    let block = |n: usize| {
        let (place, rest) = (n / inner.max(1) % length.max(1), n % inner.max(1));
        let outer = n / (inner * length).max(1);
        (outer * per_axis + place / size.max(1)) * inner + rest
    };
    let mut scales = vec![0f32; outer * per_axis * inner];
    for (n, &value) in values.iter().enumerate() {
        let slot = &mut scales[block(n)];
        *slot = slot.max(value.abs());
    }
    for scale in &mut scales {
        *scale = (f64::from(*scale) / f64::from(limit)).max(LEAST_SCALE) as f32;
    }
    let limit = f64::from(limit);
    let integers: Vec<i8> = values
        .iter()
        .enumerate()
        .map(|(n, &value)| {
            let scaled = (f64::from(value) / f64::from(scales[block(n)])).round_ties_even();
            scaled.clamp(-limit, limit) as i8
        })
        .collect();
    let quantization = Quantization::Blocks {
        axis,
        size,
        zero_points: vec![0; scales.len()],
        scales,
    };
    Ok(Tensor::new(tensor.shape(), integers)?.with_quantization(Some(quantization)))
}

fn finite(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(n) => Err(Error::new(
            ErrorKind::NotFinite,
            format!("constant {name}"),
            "finite values",
            format!("{} at element {n}", values[n]),
        )),
    }
}

/// An unshaped-agnostic quantized `i8` type: the extents of `like`.
pub(crate) fn quantized_type(
    like: &limbic_graph::TensorType,
    quantization: Quantization,
) -> limbic_graph::TensorType {
    limbic_graph::TensorType {
        dtype: Dtype::I8,
        dims: like.dims.clone(),
        quantization: Some(quantization),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn zero_is_exact_and_the_range_is_held(min in -1e6f32..1e6, extent in 0f32..1e6) {
            let range = Range { min, max: min + extent };
            for symmetric in [false, true] {
                let Quantization::PerTensor { scale, zero_point } = activation(range, symmetric) else {
                    panic!("one scale")
                };
                prop_assert!((-128..=127).contains(&zero_point));
                prop_assert!(!symmetric || zero_point == 0);
                let real = |q: i32| (q - zero_point) as f32 * scale;
                let slack = scale * 0.51;
                prop_assert!(real(-128) <= min.min(0.0) + slack && real(127) >= range.max.max(0.0) - slack);
            }
        }

        #[test]
        fn weights_are_off_by_half_a_step_at_most(
            values in prop::collection::vec(-10f32..10.0, 24),
            axis in 0usize..3,
        ) {
            let tensor = Tensor::new(&[2, 3, 4], values.clone()).unwrap();
            let rounded = weights("w", &tensor, axis, None, 1.0).unwrap();
            let Some(Quantization::PerAxis { scales, .. }) = &rounded.quantization else { panic!("per axis") };
            let inner: usize = tensor.shape()[axis + 1..].iter().product();
            for (n, (&q, &value)) in rounded.elements::<i8>().unwrap().iter().zip(&values).enumerate() {
                let scale = scales[n / inner % tensor.shape()[axis]];
                prop_assert!((f32::from(q) * scale - value).abs() <= scale * 0.5001);
            }
        }

        #[test]
        fn blocks_are_off_by_half_a_step_at_most(values in prop::collection::vec(-10f32..10.0, 30), size in 1usize..7) {
            let tensor = Tensor::new(&[5, 6], values.clone()).unwrap();
            for (axis, limit) in [(0, 7), (1, 127)] {
                let rounded = blocks("w", &tensor, axis, size, limit).unwrap();
                let Some(Quantization::Blocks { scales, .. }) = &rounded.quantization else { panic!("blocks") };
                for (n, (&q, &value)) in rounded.elements::<i8>().unwrap().iter().zip(&values).enumerate() {
                    let (row, column) = (n / 6, n % 6);
                    let block = if axis == 0 { row / size * 6 + column } else { row * 6usize.div_ceil(size) + column / size };
                    prop_assert!((f32::from(q) * scales[block] - value).abs() <= scales[block] * 0.5001);
                }
            }
        }
    }

    #[test]
    fn a_channel_of_zeros_still_holds_its_bias() {
        let tensor = Tensor::new(&[2, 2], vec![0f32, 0.0, 1.0, -1.0]).unwrap();
        let biases = [5.0f32, -3.0];
        let input_scale = 1e-4;
        let rounded = weights("w", &tensor, 0, Some(&biases), input_scale).unwrap();
        let bias = bias("b", &biases, input_scale, &rounded).unwrap();
        let Some(Quantization::PerAxis { scales, .. }) = &bias.quantization else {
            panic!("per axis")
        };
        for ((&q, scale), value) in bias.elements::<i32>().unwrap().iter().zip(scales).zip(biases) {
            assert!((q as f32 * scale - value).abs() < 1e-4, "{q} {scale}");
        }
    }
}
