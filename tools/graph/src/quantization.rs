//! Real numbers to quantized integers and back.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{Storage, Tensor};
use crate::types::Quantization;

/// Which scale and zero point each element of a tensor has.
struct Parameters<'a> {
    scales: &'a [f32],
    zero_points: &'a [i32],
    /// Elements behind the axis, elements of the axis that share parameters, extent of the axis, blocks of the axis.
    layout: [usize; 4],
}

impl<'a> Parameters<'a> {
    fn new(quantization: &'a Quantization, shape: &[usize]) -> Result<Self> {
        let (axis, size, scales, zero_points) = match quantization {
            Quantization::PerTensor { scale, zero_point } => {
                return Ok(Self {
                    scales: std::slice::from_ref(scale),
                    zero_points: std::slice::from_ref(zero_point),
                    layout: [1; 4],
                });
            }
            Quantization::PerAxis {
                axis,
                scales,
                zero_points,
            } => (*axis, 1, scales, zero_points),
            Quantization::Blocks {
                axis,
                size,
                scales,
                zero_points,
            } => (*axis, *size, scales, zero_points),
        };
        let refused = || {
            Error::new(
                ErrorKind::Shape,
                "quantization",
                format!("scales and zero points for axis {axis} of {shape:?} in blocks of {size}"),
                format!("{} and {}", scales.len(), zero_points.len()),
            )
        };
        let (Some(&extent), true) = (shape.get(axis), size > 0) else {
            return Err(refused());
        };
        let inner: usize = shape[axis + 1..].iter().product();
        let blocks = extent.div_ceil(size);
        let count = match quantization {
            Quantization::PerAxis { .. } => extent,
            _ => shape[..axis].iter().product::<usize>() * blocks * inner,
        };
        if scales.len() != count || zero_points.len() != count {
            return Err(refused());
        }
        // Along an axis the parameters do not depend on the place before or behind it.
        let per_axis = matches!(quantization, Quantization::PerAxis { .. });
        Ok(Self {
            scales,
            zero_points,
            layout: [inner, size, extent, if per_axis { 0 } else { blocks }],
        })
    }

    /// Scale and zero point of an element.
    fn of(&self, element: usize) -> (f32, i32) {
        let [inner, size, extent, blocks] = self.layout;
        let n = if self.scales.len() == 1 {
            0
        } else if blocks == 0 {
            element / inner % extent
        } else {
            let block = element / inner % extent / size;
            (element / inner / extent * blocks + block) * inner + element % inner
        };
        (self.scales[n], self.zero_points[n])
    }
}

/// The real numbers that a quantized tensor stands for: `(integer - zero_point) * scale` as `f32`.
///
/// # Errors
/// [`ErrorKind::Dtype`] if it is not quantized, [`ErrorKind::Shape`] if its parameters do not fit its extents.
pub fn dequantize(tensor: &Tensor) -> Result<Tensor> {
    let Some(quantization) = &tensor.quantization else {
        return Err(Error::new(
            ErrorKind::Dtype,
            "",
            "a quantized tensor",
            tensor.tensor_type(),
        ));
    };
    let parameters = Parameters::new(quantization, tensor.shape())?;
    let reals: Vec<f32> = tensor
        .to_i64()?
        .iter()
        .enumerate()
        .map(|(n, &integer)| {
            let (scale, zero_point) = parameters.of(n);
            integer.saturating_sub(zero_point.into()) as f32 * scale
        })
        .collect();
    Tensor::new(tensor.shape(), reals)
}

/// Integers of a type for real numbers: `x / scale` in `f32` to nearest with ties to even, plus the zero point, clamped.
///
/// # Errors
/// [`ErrorKind::Dtype`] for a type that is no integer of at most 32 bits, [`ErrorKind::Shape`] if the parameters do not
/// fit the extents.
pub fn quantize(reals: &Tensor, dtype: Dtype, quantization: &Quantization) -> Result<Tensor> {
    let Some((least, greatest)) = dtype.bounds() else {
        return Err(Error::new(
            ErrorKind::Dtype,
            "quantization",
            "integers of at most 32 bits",
            dtype,
        ));
    };
    let parameters = Parameters::new(quantization, reals.shape())?;
    let integers = reals
        .to_f32()
        .iter()
        .enumerate()
        .map(|(n, &x)| {
            let (scale, zero_point) = parameters.of(n);
            let nearest = (x / scale).round_ties_even() as i64;
            nearest.saturating_add(zero_point.into()).clamp(least, greatest)
        })
        .collect();
    Ok(integer_tensor(reals.shape(), dtype, integers)?.with_quantization(Some(quantization.clone())))
}

/// A tensor of integers that lie in the range of their type.
pub(crate) fn integer_tensor(shape: &[usize], dtype: Dtype, integers: Vec<i64>) -> Result<Tensor> {
    let storage: Storage = match dtype {
        Dtype::I8 => integers.iter().map(|&x| x as i8).collect::<Vec<_>>().into(),
        Dtype::I16 => integers.iter().map(|&x| x as i16).collect::<Vec<_>>().into(),
        Dtype::I32 => integers.iter().map(|&x| x as i32).collect::<Vec<_>>().into(),
        Dtype::I64 => integers.into(),
        Dtype::U8 => integers.iter().map(|&x| x as u8).collect::<Vec<_>>().into(),
        Dtype::U16 => integers.iter().map(|&x| x as u16).collect::<Vec<_>>().into(),
        Dtype::U32 => integers.iter().map(|&x| x as u32).collect::<Vec<_>>().into(),
        Dtype::U64 => integers.iter().map(|&x| x as u64).collect::<Vec<_>>().into(),
        other => return Err(Error::new(ErrorKind::Dtype, "", "integers", other)),
    };
    Tensor::new(shape, storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quantization: Quantization, integers: &[i8], reals: &[f32]) {
        let tensor = Tensor::new(&[2, 3], integers.to_vec())
            .unwrap()
            .with_quantization(Some(quantization.clone()));
        let found = dequantize(&tensor).unwrap();
        assert_eq!(found.elements::<f32>().unwrap(), reals);
        assert_eq!(quantize(&found, Dtype::I8, &quantization).unwrap(), tensor);
    }

    #[test]
    fn integers_stand_for_real_numbers() {
        let integers = [0, 1, 2, 3, 4, -5];
        let per_tensor = Quantization::PerTensor {
            scale: 0.5,
            zero_point: 1,
        };
        check(per_tensor, &integers, &[-0.5, 0.0, 0.5, 1.0, 1.5, -3.0]);
        let per_axis = Quantization::PerAxis {
            axis: 1,
            scales: vec![1.0, 2.0, 4.0],
            zero_points: vec![0, 1, 2],
        };
        check(per_axis, &integers, &[0.0, 0.0, 0.0, 3.0, 6.0, -28.0]);
        let blocks = Quantization::Blocks {
            axis: 1,
            size: 2,
            scales: vec![1.0, 2.0, 4.0, 8.0],
            zero_points: vec![0; 4],
        };
        check(blocks, &integers, &[0.0, 1.0, 4.0, 12.0, 16.0, -40.0]);
    }

    #[test]
    fn rounding_goes_to_even_and_stays_in_range() {
        let reals = Tensor::vector(vec![0.5f32, 1.5, -2.5, 1e9, -1e9, f32::NAN]);
        let unit = Quantization::PerTensor {
            scale: 1.0,
            zero_point: 0,
        };
        let found = quantize(&reals, Dtype::I8, &unit).unwrap();
        assert_eq!(found.elements::<i8>().unwrap(), [0, 2, -2, 127, -128, 0]);
    }

    #[test]
    fn parameters_that_do_not_fit_are_refused() {
        let per_axis = Quantization::PerAxis {
            axis: 1,
            scales: vec![1.0],
            zero_points: vec![0, 0],
        };
        let reals = Tensor::new(&[1, 2], vec![0.0f32; 2]).unwrap();
        assert_eq!(
            quantize(&reals, Dtype::I8, &per_axis).unwrap_err().kind(),
            ErrorKind::Shape
        );
        let unit = Quantization::PerTensor {
            scale: 1.0,
            zero_point: 0,
        };
        assert_eq!(
            quantize(&reals, Dtype::F32, &unit).unwrap_err().kind(),
            ErrorKind::Dtype
        );
        assert_eq!(dequantize(&reals).unwrap_err().kind(), ErrorKind::Dtype);
    }
}
