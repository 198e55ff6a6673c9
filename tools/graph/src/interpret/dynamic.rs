//! The product with rows quantized as they come.

use crate::error::{Error, ErrorKind, Result};
use crate::interpret::Call;
use crate::tensor::Tensor;
use crate::types::Quantization;

/// The product of [`crate::Op::DynamicMatMul`].
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let &[depth, columns] = w.shape() else {
        return Err(Error::new(
            ErrorKind::Shape,
            "input 1",
            "[K,N]",
            format!("{:?}", w.shape()),
        ));
    };
    if x.shape().last() != Some(&depth) {
        return Err(Error::new(
            ErrorKind::Shape,
            "input 0",
            format!("[...,{depth}]"),
            format!("{:?}", x.shape()),
        ));
    }
    let scales = column_scales(w, columns)?;
    let bias = match call.optional(2) {
        None => vec![0.0; columns],
        Some(b) if b.shape() == [columns] => b.elements::<f32>()?.to_vec(),
        Some(b) => {
            return Err(Error::new(
                ErrorKind::Shape,
                "input 2",
                format!("[{columns}]"),
                format!("{:?}", b.shape()),
            ));
        }
    };
    let (x_values, w_values) = (x.elements::<f32>()?, w.elements::<i8>()?);
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = columns;
    }
    let rows = shape
        .iter()
        .take(shape.len().saturating_sub(1))
        .product::<usize>();
    let mut y = Vec::with_capacity(rows * columns);
    let mut sums = vec![0i32; columns];
    for n in 0..rows {
        let row = &x_values[n * depth..][..depth];
        let scale = row.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
        sums.fill(0);
        for (&x, weights) in row.iter().zip(w_values.chunks_exact(columns.max(1))) {
            let q = quantized(x, scale);
            if q != 0 {
                for (sum, &w) in sums.iter_mut().zip(weights) {
                    *sum = sum.wrapping_add(q * i32::from(w));
                }
            }
        }
        y.extend(
            sums.iter()
                .zip(&scales)
                .zip(&bias)
                .map(|((&sum, &w_scale), &b)| sum as f32 * (scale * w_scale) + b),
        );
    }
    Ok(vec![Tensor::new(&shape, y)?])
}

fn quantized(x: f32, scale: f32) -> i32 {
    if scale == 0.0 {
        return 0;
    }
    (x / scale).round_ties_even().clamp(-127.0, 127.0) as i32
}

fn column_scales(w: &Tensor, columns: usize) -> Result<Vec<f32>> {
    let wrong = || {
        Error::new(
            ErrorKind::Dtype,
            "input 1",
            "one symmetric scale, or one for each column",
            format!("{:?}", w.quantization),
        )
    };
    match &w.quantization {
        Some(Quantization::PerTensor { scale, zero_point: 0 }) => Ok(vec![*scale; columns]),
        Some(Quantization::PerAxis {
            axis: 1,
            scales,
            zero_points,
        }) if scales.len() == columns && zero_points.iter().all(|&zero| zero == 0) => Ok(scales.clone()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::Rounding;
    use crate::interpret::{Call, evaluate};
    use crate::op::Op;
    use crate::tensor::Tensor;
    use crate::types::Quantization;

    fn check(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> crate::error::Result<Tensor> {
        let made = evaluate(Call {
            op: &Op::DynamicMatMul,
            inputs: &[Some(x), Some(w), b],
            outputs: &[None],
            rounding: Rounding::default(),
        })?;
        Ok(made[0].clone())
    }

    fn weights() -> Tensor {
        Tensor::new(&[2, 2], vec![1i8, -2, 3, 4])
            .unwrap()
            .with_quantization(Some(Quantization::PerAxis {
                axis: 1,
                scales: vec![0.5, 0.25],
                zero_points: vec![0, 0],
            }))
    }

    #[test]
    fn each_row_has_a_scale_of_its_own() {
        let x = Tensor::new(&[1, 3, 2], vec![127.0f32, 63.5, 0.127, 0.0, 0.0, 0.0]).unwrap();
        let y = check(&x, &weights(), Some(&Tensor::vector(vec![1.0f32, 0.0]))).unwrap();
        assert_eq!(y.shape(), [1, 3, 2]);
        // 63.5 is a tie between 63 and 64 and goes to the even one.
        let expected = [
            (127.0 + 3.0 * 64.0) * 0.5 + 1.0,
            (-254.0 + 4.0 * 64.0) * 0.25,
            0.127 * 0.5 + 1.0,
            -0.127 * 2.0 * 0.25,
            1.0,
            0.0,
        ];
        for (y, e) in y.elements::<f32>().unwrap().iter().zip(expected) {
            assert!((y - e).abs() < 1e-5, "{y} {e}");
        }
    }

    #[test]
    fn weights_with_a_zero_point_and_rows_of_another_length_are_refused() {
        let x = Tensor::new(&[1, 2], vec![1.0f32, 2.0]).unwrap();
        let skewed = weights().with_quantization(Some(Quantization::PerTensor {
            scale: 1.0,
            zero_point: 3,
        }));
        assert!(check(&x, &skewed, None).is_err());
        let long = Tensor::new(&[1, 3], vec![1.0f32; 3]).unwrap();
        assert!(check(&long, &weights(), None).is_err());
        assert!(check(&x, &weights(), Some(&Tensor::vector(vec![1.0f32]))).is_err());
    }
}
