//! Operations besides convolutions and products for which TensorFlow Lite has an integer rule of its own.

use super::super::requantize::Factor;
use super::super::{Call, kernel};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::graph::Rounding;
use crate::op::{Binary, Op, Pool, PoolKind, Reduce};
use crate::quantization::integer_tensor;
use crate::tensor::Tensor;
use crate::types::{Quantization, TensorType};

/// Bits that the operands of a sum are shifted left before they are brought to one scale.
const HEADROOM: u32 = 20;

/// A tensor of 8-bit integers of one scale.
struct Operand {
    scale: f32,
    zero_point: i64,
    integers: Vec<i64>,
    shape: Vec<usize>,
}

impl Operand {
    fn of(tensor: &Tensor) -> Result<Option<Self>> {
        let Some(Quantization::PerTensor { scale, zero_point }) = tensor.quantization else {
            return Ok(None);
        };
        if !matches!(tensor.dtype(), Dtype::I8 | Dtype::U8) {
            return Ok(None);
        }
        Ok(Some(Self {
            scale,
            zero_point: zero_point.into(),
            integers: tensor.to_i64()?,
            shape: tensor.shape().to_vec(),
        }))
    }

    /// The integers from the zero point on, each through a function, as a plain tensor.
    fn map(&self, function: impl Fn(i64) -> i64) -> Result<Tensor> {
        let numbers = self.integers.iter().map(|&n| function(n - self.zero_point));
        integer_tensor(&self.shape, Dtype::I32, numbers.collect())
    }
}

/// The output's scale, zero point and type.
struct Wanted {
    scale: f32,
    zero_point: i64,
    dtype: Dtype,
}

impl Wanted {
    /// The integers, moved to the zero point and held in the type's range.
    fn finish(&self, shape: &[usize], integers: impl Iterator<Item = i64>) -> Result<Tensor> {
        let (low, high) = self.dtype.bounds().unwrap_or((i64::MIN, i64::MAX));
        let moved = integers.map(|n| n.saturating_add(self.zero_point).clamp(low, high));
        let tensor = integer_tensor(shape, self.dtype, moved.collect())?;
        Ok(tensor.with_quantization(Some(Quantization::PerTensor {
            scale: self.scale,
            zero_point: self.zero_point as i32,
        })))
    }
}

/// Applies the rule that the operation has; `None` where it has none.
pub(super) fn run(call: &Call<'_>) -> Result<Option<Tensor>> {
    let Some(&Some(TensorType {
        dtype: dtype @ (Dtype::I8 | Dtype::U8),
        quantization: Some(Quantization::PerTensor { scale, zero_point }),
        ..
    })) = call.outputs.first()
    else {
        return Ok(None);
    };
    let wanted = Wanted {
        scale: *scale,
        zero_point: (*zero_point).into(),
        dtype: *dtype,
    };
    match call.op {
        Op::Binary(function @ (Binary::Add | Binary::Sub | Binary::Mul)) => pair(call, *function, &wanted),
        Op::Pool(Pool {
            kind: PoolKind::Average {
                include_padding: false,
            },
            ..
        }) => pool(call, &wanted),
        Op::GlobalPool(PoolKind::Average { .. })
        | Op::Reduce {
            function: Reduce::Mean,
            ..
        } => mean(call, &wanted),
        _ => Ok(None),
    }
}

/// A sum or difference has its operands brought to half of the greater scale, a product is one of integers.
fn pair(call: &Call<'_>, function: Binary, wanted: &Wanted) -> Result<Option<Tensor>> {
    let (Some(a), Some(b)) = (Operand::of(call.input(0)?)?, Operand::of(call.input(1)?)?) else {
        return Ok(None);
    };
    let factor = |real| Factor::new(real, Rounding::Gemmlowp, false);
    let (x, y, last) = if function == Binary::Mul {
        let product = a.scale * b.scale / wanted.scale;
        (a.map(|n| n)?, b.map(|n| n)?, factor(product.into()))
    } else {
        let twice = 2.0 * f64::from(a.scale.max(b.scale));
        let scaled = |operand: &Operand| {
            let factor = factor(f64::from(operand.scale) / twice);
            operand.map(|n| factor.apply(n << HEADROOM))
        };
        let last = twice / (f64::from(1u32 << HEADROOM) * f64::from(wanted.scale));
        (scaled(&a)?, scaled(&b)?, factor(last))
    };
    let plain = TensorType::unshaped(Dtype::I32);
    let made = kernel(Call {
        inputs: &[Some(&x), Some(&y)],
        outputs: &[Some(&plain)],
        ..*call
    })?;
    let Some(sums) = made.first() else { return Ok(None) };
    let integers = sums.to_i64()?;
    let found = wanted.finish(sums.shape(), integers.into_iter().map(|n| last.apply(n)))?;
    Ok(Some(found))
}

/// The operation on the input's integers less `zero_point`, as real numbers.
fn on_integers(call: &Call<'_>, operand: &Operand, zero_point: i64) -> Result<Vec<Tensor>> {
    let reals = operand.integers.iter().map(|&n| (n - zero_point) as f32);
    let reals = Tensor::new(&operand.shape, reals.collect::<Vec<f32>>())?;
    let mut inputs = call.inputs.to_vec();
    if let Some(first) = inputs.first_mut() {
        *first = Some(&reals);
    }
    let plain = TensorType::unshaped(Dtype::F32);
    kernel(Call {
        inputs: &inputs,
        outputs: &[Some(&plain)],
        ..*call
    })
}

/// The mean of a window's integers as they are stored, ties away from zero.
fn pool(call: &Call<'_>, wanted: &Wanted) -> Result<Option<Tensor>> {
    let Some(x) = Operand::of(call.input(0)?)? else {
        return Ok(None);
    };
    if (x.scale, x.zero_point) != (wanted.scale, wanted.zero_point) {
        return Ok(None);
    }
    let made = on_integers(call, &x, 0)?;
    let Some(means) = made.first() else {
        return Ok(None);
    };
    // A mean of integers is exact where it is a tie.
    let integers = means
        .to_f32()
        .into_iter()
        .map(|mean| mean.round() as i64 - wanted.zero_point);
    Ok(Some(wanted.finish(means.shape(), integers)?))
}

/// The sum, brought to the output's scale, divided by the number of elements, ties away from zero.
fn mean(call: &Call<'_>, wanted: &Wanted) -> Result<Option<Tensor>> {
    let Some(x) = Operand::of(call.input(0)?)? else {
        return Ok(None);
    };
    let made = on_integers(call, &x, x.zero_point)?;
    let Some(means) = made.first() else {
        return Ok(None);
    };
    if wanted.dtype != Dtype::I8 || means.is_empty() {
        return Ok(None);
    }
    let count = (x.integers.len() / means.len()) as i64;
    let factor = Factor::new(
        f64::from(x.scale) / f64::from(wanted.scale),
        Rounding::Gemmlowp,
        false,
    );
    let integers = means.to_f32().into_iter().map(|mean| {
        let sum = (f64::from(mean) * count as f64).round() as i64;
        let scaled = factor.apply(sum);
        (scaled + scaled.signum() * (count / 2)) / count
    });
    Ok(Some(wanted.finish(means.shape(), integers)?))
}
