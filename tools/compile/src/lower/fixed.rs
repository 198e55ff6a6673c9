//! Networks in TensorFlow Lite's fixed-point arithmetic.
//!
//! Products leave their integer sums as `f32`, which holds them exactly below 2^24, and a step behind them scales each
//! channel by its fixed-point factor.

use limbic_engine::step::{Fixed, FixedPair, MeanFixed, Pair, PairFixed, Pool, Rescale};
use limbic_graph::op::Binary;
use limbic_graph::{Dtype, Quantization, Result, Rounding, Tensor, ValueId};

use super::numbers::Numbers;
use super::{Lowering, unsupported};
use crate::place::{Kind, NONE, Placed};
use crate::strides::{loops, number};

/// Bits that the operands of a sum are shifted left before they are brought to one scale.
const HEADROOM: u32 = 20;

/// A real factor as a mantissa in Q31 and an exponent.
fn fixed(real: f64) -> Fixed {
    let none = Fixed::default();
    if !(real.is_finite() && real > 0.0) {
        return none;
    }
    let (mut mantissa, mut shift) = (real, 0);
    while mantissa >= 1.0 {
        mantissa /= 2.0;
        shift += 1;
    }
    while mantissa < 0.5 {
        mantissa *= 2.0;
        shift -= 1;
    }
    let mut multiplier = (mantissa * (1u64 << 31) as f64).round() as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    match shift {
        ..-31 => none,
        31.. => Fixed {
            multiplier: i32::MAX,
            shift: 30,
        },
        _ => Fixed {
            multiplier: multiplier as i32,
            shift,
        },
    }
}

/// An integer times a factor: a doubling high product, then a right shift, each rounding to nearest.
fn scaled(x: i64, factor: Fixed) -> i32 {
    let left = (x << factor.shift.max(0)).clamp(i32::MIN.into(), i32::MAX.into());
    let product = left * i64::from(factor.multiplier);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    let high = (product + nudge) / (1i64 << 31);
    let exponent = factor.shift.min(0).unsigned_abs();
    let mask = (1i64 << exponent) - 1;
    let threshold = (mask >> 1) + i64::from(high < 0);
    ((high >> exponent) + i64::from(high & mask > threshold)) as i32
}

/// The scales of a quantization.
fn scales(quantization: &Quantization) -> &[f32] {
    match quantization {
        Quantization::PerTensor { scale, .. } => std::slice::from_ref(scale),
        Quantization::PerAxis { scales, .. } | Quantization::Blocks { scales, .. } => scales,
    }
}

/// Weights as tensors of `i8` that add up to them: two where they need nine bits.
fn parts(weights: &Tensor) -> Result<Vec<Tensor>> {
    let Some(Quantization::PerTensor { scale, zero_point }) = weights.quantization else {
        return Ok(vec![weights.clone()]);
    };
    let centred = weights.to_i64()?;
    let centred = centred.iter().map(|&w| w - i64::from(zero_point));
    let part = |elements: Vec<i8>| {
        let made = Tensor::new(weights.shape(), elements)?;
        let zero_point = 0;
        Ok(made.with_quantization(Some(Quantization::PerTensor { scale, zero_point })))
    };
    let first: Vec<i8> = centred.clone().map(|w| w.clamp(-128, 127) as i8).collect();
    let rest: Vec<i8> = centred
        .zip(&first)
        .map(|(w, &first)| (w - i64::from(first)) as i8)
        .collect();
    let mut found = vec![part(first)?];
    if rest.iter().any(|&w| w != 0) {
        found.push(part(rest)?);
    }
    Ok(found)
}

impl Lowering<'_> {
    /// Whether a product of these kinds follows the fixed-point rule.
    pub(super) fn is_fixed(&self, input: Kind, output: ValueId) -> Result<bool> {
        let integers = matches!((input, self.kind(output)?), (Kind::U8(_), Kind::U8(_)));
        Ok(integers && self.graph.rounding == Rounding::Gemmlowp)
    }

    /// The factors from the sums of a product to its output.
    pub(super) fn factors(
        &self,
        input: Kind,
        weights: &Tensor,
        output: ValueId,
        convolution: bool,
    ) -> Result<Vec<Fixed>> {
        let (Kind::U8(x), Kind::U8(y), Some(w)) = (input, self.kind(output)?, &weights.quantization) else {
            return Err(unsupported("integers throughout", "other kinds"));
        };
        let w = scales(w);
        // TensorFlow Lite multiplies the scales in f32 where its weights are not those of an int8 convolution.
        let single = w.len() == 1 && !(convolution && self.graph.value(output).ty.dtype != Dtype::U8);
        let factor = |w: f32| {
            let product = if single {
                f64::from(x.scale * w)
            } else {
                f64::from(x.scale) * f64::from(w)
            };
            fixed(product / f64::from(y.scale))
        };
        Ok(w.iter().map(|&w| factor(w)).collect())
    }

    /// Scales sums of `f32` to a value's integers, limits behind it included.
    pub(super) fn rescale(
        &mut self,
        sums: &Placed,
        output: ValueId,
        factors: &[Fixed],
        bias: Option<&Tensor>,
    ) -> Result<()> {
        let tail = self.limits_only(output)?;
        let dims = self.shape(tail.value)?;
        let kind = self.kind(tail.value)?;
        let Kind::U8(affine) = kind else {
            return Err(unsupported("integers", format!("{kind:?}")));
        };
        let spatial = matches!(dims.len(), 3 | 4);
        let placed = if spatial {
            self.channels_last(kind, &dims, self.borders[tail.value.0])
        } else {
            self.row_major(kind, &dims)
        };
        self.fill_border(&placed)?;
        let axis = if spatial { 1 } else { dims.len() - 1 };
        let channels = dims[axis];
        let others = |numbers: &[usize]| super::axis::without(numbers, axis);
        let found = loops(&others(&dims), [&others(&sums.strides), &others(&placed.strides)])?;
        let each = |part: fn(&Fixed) -> i32| -> Vec<u8> {
            let channels = (0..channels).map(|n| factors[n % factors.len()]);
            channels.flat_map(|factor| part(&factor).to_le_bytes()).collect()
        };
        let bias = match bias {
            None => NONE,
            Some(bias) if bias.dtype() == Dtype::I32 => {
                let given = bias.elements::<i32>()?;
                let channels = (0..channels).map(|n| given[n % given.len()]);
                self.pack.add(channels.flat_map(i32::to_le_bytes).collect())?
            }
            Some(bias) => return Err(unsupported("an i32 bias", bias.dtype())),
        };
        let multipliers = self.pack.add(each(|factor| factor.multiplier))?;
        let shifts = self.pack.add(each(|factor| factor.shift))?;
        self.step(Rescale {
            dims: found.dims,
            input: sums.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
            channels: number(channels)?,
            bias,
            multipliers,
            shifts,
            zero: affine.zero,
            low: tail.epilogue.low as i32 + affine.zero,
            high: tail.epilogue.high as i32 + affine.zero,
        });
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    /// The sums of a product in `placed`, made by steps for each part of its weights.
    pub(super) fn fixed_sums(
        &mut self,
        input: Kind,
        weights: &Tensor,
        outputs: usize,
        placed: Placed,
        mut make: impl FnMut(&mut Self, &Numbers, &Placed) -> Result<()>,
    ) -> Result<Placed> {
        let parts = parts(weights)?;
        let mut sums: Option<Placed> = None;
        for (n, part) in parts.iter().enumerate() {
            let numbers = Numbers::new(input, Kind::F32, part, None, outputs)?.unscaled(parts.len())?;
            let like = |lowering: &mut Self| Placed {
                buffer: lowering.another(&placed),
                ..placed.clone()
            };
            let own = if n == 0 { placed.clone() } else { like(self) };
            make(self, &numbers, &own)?;
            sums = Some(match sums {
                None => own,
                Some(before) => {
                    let both = like(self);
                    self.pair(Pair::Add, [&before, &own], &both)?;
                    both
                }
            });
        }
        sums.ok_or_else(|| unsupported("weights", "none"))
    }

    /// A buffer as long as that of a place.
    fn another(&mut self, placed: &Placed) -> usize {
        let buffer = self.buffer();
        self.buffers[buffer] = placed.bytes;
        buffer
    }

    /// A sum, difference or product of two tensors of integers.
    pub(super) fn binary_fixed(
        &mut self,
        function: Binary,
        operands: [&Placed; 2],
        output: ValueId,
        like: &Placed,
    ) -> Result<bool> {
        let [a, b] = operands;
        let (Kind::U8(x), Kind::U8(y), Kind::U8(z)) = (a.kind, b.kind, self.kind(output)?) else {
            return Ok(false);
        };
        let twice = 2.0 * f64::from(x.scale.max(y.scale));
        let (function, factor) = match function {
            Binary::Mul => (FixedPair::Mul, f64::from(x.scale * y.scale / z.scale)),
            Binary::Add | Binary::Sub => {
                let factor = twice / (f64::from(1u32 << HEADROOM) * f64::from(z.scale));
                let function = if function == Binary::Add {
                    FixedPair::Add
                } else {
                    FixedPair::Sub
                };
                (function, factor)
            }
            _ => return Ok(false),
        };
        let mut table = |scale: f32, zero: i32| {
            let own = fixed(f64::from(scale) / twice);
            let integers = (0..256i64).map(|q| {
                let centred = q - i64::from(zero);
                if function == FixedPair::Mul {
                    centred as i32
                } else {
                    scaled(centred << HEADROOM, own)
                }
            });
            self.pack.add(integers.flat_map(i32::to_le_bytes).collect())
        };
        let (a_table, b_table) = (table(x.scale, x.zero)?, table(y.scale, y.zero)?);
        let placed = self.place_like(output, like)?;
        let found = placed.pairs(a, b)?;
        let [at, bt, to] = found.strides;
        self.step(PairFixed {
            function,
            dims: found.dims,
            a: a.strided(at)?,
            a_table,
            b: b.strided(bt)?,
            b_table,
            output: placed.strided(to)?,
            factor: fixed(factor),
            zero: z.zero,
        });
        self.placed[output.0] = Some(placed);
        Ok(true)
    }

    /// A mean over windows in fixed point, where there is a rule for it: `whole` for one that changes the scale.
    pub(super) fn mean_fixed(
        &self,
        pool: Pool,
        kinds: [Kind; 2],
        dtype: Dtype,
        whole: bool,
    ) -> Option<MeanFixed> {
        let [Kind::U8(x), Kind::U8(y)] = kinds else {
            return None;
        };
        if self.graph.rounding != Rounding::Gemmlowp || pool.include_padding != 0 {
            return None;
        }
        let mut found = MeanFixed {
            pool,
            factor: Fixed::default(),
        };
        if whole {
            if dtype != Dtype::I8 {
                return None;
            }
            found.factor = fixed(f64::from(x.scale) / f64::from(y.scale));
            return Some(found);
        }
        if x != y {
            return None;
        }
        // The mean is one of the integers as the file stores them.
        let stored = if dtype == Dtype::I8 { 128 } else { 0 };
        found.pool.input_affine.zero = stored;
        found.pool.output_affine.zero = stored;
        Some(found)
    }
}

impl Numbers {
    /// Numbers whose sums are left as they are, and added to those of other parts.
    ///
    /// # Errors
    /// `Unsupported` where a sum could be beyond what `f32` holds exactly.
    pub fn unscaled(self, parts: usize) -> Result<Self> {
        let Self::Integer { weights, bias, scale } = self else {
            return Err(unsupported("integer weights", "others"));
        };
        let each = weights.len() / bias.len().max(1);
        for (weights, bias) in weights.chunks_exact(each.max(1)).zip(&bias) {
            let size: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
            let greatest = 255 * size + i64::from(*bias).abs();
            if greatest * parts as i64 >= 1 << 24 {
                return Err(unsupported("sums below 2^24", greatest * parts as i64));
            }
        }
        Ok(Self::Integer {
            weights,
            bias,
            scale: vec![1.0; scale.len()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_tensorflow_lite() {
        let check = |real: f64, multiplier: i32, shift: i32| {
            assert_eq!(fixed(real), Fixed { multiplier, shift });
        };
        check(0.5, 1 << 30, 0);
        check(1.0, 1 << 30, 1);
        check(0.25, 1 << 30, -1);
        check(0.7, 1_503_238_554, 0);
        check(1e-12, 0, 0);
        check(1.0 - 1e-12, 1 << 30, 1);
    }

    #[test]
    fn ties_go_where_the_rule_says() {
        let each = |real, numbers: [i64; 6]| numbers.map(|x| scaled(x, fixed(real)));
        assert_eq!(each(0.5, [-5, -3, -1, 1, 3, 5]), [-2, -1, 0, 1, 2, 3]);
        assert_eq!(each(0.25, [-10, -6, -2, 2, 6, 10]), [-3, -2, -1, 1, 2, 3]);
    }
}
