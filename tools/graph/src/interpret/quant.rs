//! Between real numbers and integers that stand for them.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::{Granularity, granularity};
use crate::interpret::Call;
use crate::interpret::cast::cast;
use crate::interpret::requantize::Factor;
use crate::interpret::strided::around;
use crate::interpret::wide::Narrow;
use crate::op::{Dequantize, Op, Quantize};
use crate::quantization;
use crate::tensor::{Storage, Tensor};
use crate::types::Quantization;

/// The outputs, those at the end that are not wanted left out.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    call.inferred()?;
    match call.op {
        Op::Quantize(parameters) => Ok(vec![quantize(call, parameters)?]),
        Op::Dequantize(parameters) => Ok(vec![dequantize(call, parameters)?]),
        Op::DynamicQuantize => dynamic_quantize(call.input(0)?),
        Op::Requantize => Ok(vec![requantize(call)?]),
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "an operation between real numbers and integers",
            format!("{other:?}"),
        )),
    }
}

/// A function of each element and the place of its scale.
fn scaled<T: Copy, R>(
    x: &[T],
    shape: &[usize],
    granularity: Granularity,
    block: usize,
    f: impl Fn(T, usize) -> R,
) -> Vec<R> {
    let (along, block) = match granularity {
        Granularity::Tensor => return x.iter().map(|&x| f(x, 0)).collect(),
        Granularity::Axis(place) => (place, None),
        Granularity::Blocks(place) => (place, Some(block)),
    };
    let (outer, length, inner) = around(shape, along);
    let mut out = Vec::with_capacity(x.len());
    for o in 0..outer {
        for n in 0..length {
            let start = (o * length + n) * inner;
            let run = &x[start..start + inner];
            match block {
                None => out.extend(run.iter().map(|&x| f(x, n))),
                Some(block) => {
                    let first = (o * length.div_ceil(block) + n / block) * inner;
                    out.extend(run.iter().enumerate().map(|(i, &x)| f(x, first + i)));
                }
            }
        }
    }
    out
}

fn layout(call: &Call<'_>, axis: i64, block: usize) -> Result<Granularity> {
    let scales = call.input(1)?;
    granularity(
        call.input(0)?.rank(),
        (scales.rank(), Some(scales.len())),
        axis,
        block,
    )
}

fn zero_points(call: &Call<'_>) -> Result<Vec<i64>> {
    match call.optional(2) {
        Some(tensor) => tensor.to_i64(),
        None => Ok(vec![0; call.input(1)?.len()]),
    }
}

/// `x / scale`, in the type of the scales, to nearest with ties to even, plus the zero point, clamped.
fn quantize(call: Call<'_>, parameters: &Quantize) -> Result<Tensor> {
    let (x, scales) = (call.input(0)?, call.input(1)?);
    let layout = layout(&call, parameters.axis, parameters.block)?;
    let zeros = zero_points(&call)?;
    let Some((least, greatest)) = parameters.dtype.bounds() else {
        return Err(Error::new(
            ErrorKind::Dtype,
            "",
            "integers of at most 32 bits",
            parameters.dtype,
        ));
    };
    let reals = Tensor::new(x.shape(), cast(x, Dtype::F32))?;
    let factors = scales.to_f32();
    let quotients = scaled(
        reals.elements::<f32>()?,
        x.shape(),
        layout,
        parameters.block,
        |x, n| x / factors[n],
    );
    let quotients = Tensor::new(x.shape(), quotients)?;
    // A division in 16 bits is rounded to them first.
    let quotients = match scales.dtype() {
        Dtype::F16 | Dtype::Bf16 => Tensor::new(x.shape(), cast(&quotients, scales.dtype()))?.to_f32(),
        _ => quotients.to_f32(),
    };
    let integers = scaled(&quotients, x.shape(), layout, parameters.block, |x, n| {
        let nearest = x.round_ties_even() as i64;
        nearest.saturating_add(zeros[n]).clamp(least, greatest)
    });
    Tensor::new(x.shape(), i64::narrow(integers, parameters.dtype)?)
}

/// `(x - zero_point) * scale` in `f32`, rounded to the type of the output.
fn dequantize(call: Call<'_>, parameters: &Dequantize) -> Result<Tensor> {
    let (x, scales) = (call.input(0)?, call.input(1)?);
    let layout = layout(&call, parameters.axis, parameters.block)?;
    let zeros = zero_points(&call)?;
    let factors = scales.to_f32();
    let reals = scaled(&x.to_i64()?, x.shape(), layout, parameters.block, |x, n| {
        x.saturating_sub(zeros[n]) as f32 * factors[n]
    });
    let dtype = parameters.dtype.unwrap_or(scales.dtype());
    let reals = Tensor::new(x.shape(), reals)?;
    Tensor::new(x.shape(), cast(&reals, dtype))
}

/// To `u8` by the range of the tensor and 0.
fn dynamic_quantize(x: &Tensor) -> Result<Vec<Tensor>> {
    let elements = x.elements::<f32>()?;
    let least = elements.iter().fold(0f32, |a, &b| a.min(b));
    let greatest = elements.iter().fold(0f32, |a, &b| a.max(b));
    // Where all elements are 0 any scale stands for them.
    let scale = if greatest > least {
        (greatest - least) / 255.0
    } else {
        1.0
    };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    let integers: Vec<u8> = elements
        .iter()
        .map(|&x| ((x / scale).round_ties_even() + zero).clamp(0.0, 255.0) as u8)
        .collect();
    Ok(vec![
        Tensor::new(x.shape(), Storage::from(integers))?,
        Tensor::scalar(scale),
        Tensor::scalar(zero as u8),
    ])
}

/// To the type that the graph states for the output: between two tensors of one scale each by the rounding rule, else
/// through the real numbers.
fn requantize(call: Call<'_>) -> Result<Tensor> {
    let x = call.input(0)?;
    let Some(wanted) = call.outputs.first().copied().flatten() else {
        return Err(Error::new(ErrorKind::Name, "output 0", "a stated type", "none"));
    };
    let (from, to) = (&x.quantization, &wanted.quantization);
    match (from, to) {
        (None, None) => Err(Error::new(
            ErrorKind::Dtype,
            "",
            "a quantized input or output",
            format!("{} to {wanted}", x.tensor_type()),
        )),
        (Some(_), None) => {
            let reals = quantization::dequantize(x)?;
            Tensor::new(x.shape(), cast(&reals, wanted.dtype))
        }
        (None, Some(to)) => {
            let reals = Tensor::new(x.shape(), cast(x, Dtype::F32))?;
            quantization::quantize(&reals, wanted.dtype, to)
        }
        (Some(from), Some(to)) if from == to && x.dtype() == wanted.dtype => Ok(x.clone()),
        (
            &Some(Quantization::PerTensor {
                scale: from,
                zero_point: zero,
            }),
            &Some(Quantization::PerTensor { scale, zero_point }),
        ) => {
            let Some((least, greatest)) = wanted.dtype.bounds() else {
                return Err(Error::new(
                    ErrorKind::Dtype,
                    "output 0",
                    "integers of at most 32 bits",
                    wanted.dtype,
                ));
            };
            let factor = Factor::new(f64::from(from) / f64::from(scale), call.rounding, false);
            let rescaled = |x: i64| {
                let nearest = factor.apply(x.saturating_sub(zero.into()));
                nearest.saturating_add(zero_point.into()).clamp(least, greatest)
            };
            let integers = x.to_i64()?.into_iter().map(rescaled).collect();
            Ok(Tensor::new(x.shape(), i64::narrow(integers, wanted.dtype)?)?.with_quantization(to.clone()))
        }
        (Some(_), Some(to)) => quantization::quantize(&quantization::dequantize(x)?, wanted.dtype, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Rounding;
    use crate::interpret::apply::{apply, apply_some, check, tensor};
    use crate::interpret::evaluate;
    use crate::types::TensorType;

    fn quantize_to(dtype: Dtype, axis: i64, block: usize) -> Op {
        Op::Quantize(Quantize { axis, block, dtype })
    }

    #[test]
    fn quotients_go_to_even_and_are_clamped() {
        let x = tensor(&[6], &[1f32, 3.0, 5.0, -1.0, 1e9, f32::NAN]);
        let (scale, zero) = (tensor(&[], &[2f32]), tensor(&[], &[10u8]));
        check(
            &quantize_to(Dtype::U8, 0, 0),
            &[&x, &scale, &zero],
            &tensor(&[6], &[10u8, 12, 12, 10, 255, 10]),
        );
    }

    #[test]
    fn scales_lie_along_an_axis_or_in_blocks() {
        let x = tensor(&[2, 3], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = (tensor(&[2], &[1f32, 2.0]), tensor(&[2], &[0i8, 1]));
        let q = tensor(&[2, 3], &[1i8, 2, 3, 3, 3, 4]);
        check(&quantize_to(Dtype::I8, -2, 0), &[&x, &rows.0, &rows.1], &q);
        let real = Op::Dequantize(Dequantize {
            axis: 0,
            block: 0,
            dtype: None,
        });
        check(
            &real,
            &[&q, &rows.0, &rows.1],
            &tensor(&[2, 3], &[1f32, 2.0, 3.0, 4.0, 4.0, 6.0]),
        );
        let blocks = tensor(&[2, 2], &[1f32, 0.5, 2.0, 3.0]);
        check(
            &quantize_to(Dtype::I8, 1, 2),
            &[&x, &blocks],
            &tensor(&[2, 3], &[1i8, 2, 6, 2, 2, 2]),
        );
        let wrong = apply(&quantize_to(Dtype::I8, 1, 0), &[&x, &rows.0], 1).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Shape);
    }

    #[test]
    fn ranges_of_dynamic_quantization_hold_zero() {
        let x = tensor(&[3], &[2f32, 4.0, 1.0]);
        let found = apply(&Op::DynamicQuantize, &[&x], 3).unwrap();
        assert_eq!(found[1], tensor(&[], &[4f32 / 255.0]));
        assert_eq!(found[2], tensor(&[], &[0u8]));
        assert_eq!(found[0], tensor(&[3], &[127u8, 255, 64]));
        let zeros = apply(&Op::DynamicQuantize, &[&tensor(&[2], &[0f32; 2])], 3).unwrap();
        assert_eq!(zeros[0], tensor(&[2], &[0u8; 2]));
    }

    #[test]
    fn zero_points_may_be_left_out_and_i32_has_none() {
        let x = tensor(&[2], &[-7i32, 9]);
        let scale = tensor(&[], &[0.5f32]);
        let real = Op::Dequantize(Dequantize {
            axis: 1,
            block: 0,
            dtype: None,
        });
        let found = apply_some(&real, &[Some(&x), Some(&scale), None], 1).unwrap();
        assert_eq!(found[0], tensor(&[2], &[-3.5f32, 4.5]));
    }

    #[test]
    fn stated_types_say_how_tensors_are_requantized() {
        let per_tensor = |scale, zero_point| Some(Quantization::PerTensor { scale, zero_point });
        let run = |x: &Tensor, dtype, quantization: Option<Quantization>, rounding| {
            let ty = TensorType {
                quantization,
                ..TensorType::unshaped(dtype)
            };
            let call = Call {
                op: &Op::Requantize,
                inputs: &[Some(x)],
                outputs: &[Some(&ty)],
                rounding,
            };
            evaluate(call).unwrap().remove(0)
        };
        let x = tensor(&[4], &[-1.0f32, 0.25, 0.75, 100.0]);
        let q = run(&x, Dtype::I8, per_tensor(0.5, -1), Rounding::TiesToEven);
        assert_eq!(
            q,
            tensor(&[4], &[-3i8, -1, 1, 127]).with_quantization(per_tensor(0.5, -1))
        );
        let back = run(&q, Dtype::F32, None, Rounding::TiesToEven);
        assert_eq!(back, tensor(&[4], &[-1f32, 0.0, 1.0, 64.0]));
        let small = tensor(&[4], &[-3i8, -1, 1, 3]).with_quantization(per_tensor(0.5, 0));
        let even = run(&small, Dtype::U8, per_tensor(1.0, 128), Rounding::TiesToEven);
        assert_eq!(even.elements::<u8>().unwrap(), [126, 128, 128, 130]);
        let away = run(&small, Dtype::U8, per_tensor(2.0, 128), Rounding::Gemmlowp);
        assert_eq!(away.elements::<u8>().unwrap(), [127, 128, 128, 129]);
        let axis = Some(Quantization::PerAxis {
            axis: 0,
            scales: vec![0.5, 1.0, 0.25, 0.5],
            zero_points: vec![0; 4],
        });
        let rows = run(&small, Dtype::I8, axis.clone(), Rounding::TiesToEven);
        assert_eq!(rows, tensor(&[4], &[-3i8, 0, 2, 3]).with_quantization(axis));
    }
}
