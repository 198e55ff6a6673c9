//! An i32 accumulator to a quantized output.

use crate::graph::Rounding;

/// The factor from an accumulator's scale to an output's, by a rounding rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Factor {
    /// As `f32`.
    Float(f32),
    /// `multiplier * 2^(shift - 31)`.
    Fixed {
        /// From 2^30 to below 2^31, or 0.
        multiplier: i32,
        /// Positive to the left.
        shift: i32,
        /// Whether accumulators have 64 bits, as those of 16-bit activations have.
        wide: bool,
    },
}

impl Factor {
    /// Of a positive real factor; `wide` for accumulators of 64 bits.
    pub fn new(real: f64, rounding: Rounding, wide: bool) -> Self {
        match rounding {
            Rounding::TiesToEven => Self::Float(real as f32),
            Rounding::Gemmlowp => {
                let (multiplier, shift) = fixed(real);
                Self::Fixed {
                    multiplier,
                    shift,
                    wide,
                }
            }
        }
    }

    /// The accumulator times the factor, to an integer.
    pub fn apply(self, accumulator: i64) -> i64 {
        match self {
            Self::Float(factor) => (accumulator as f32 * factor).round_ties_even() as i64,
            Self::Fixed {
                multiplier,
                shift,
                wide: true,
            } => wide_product(accumulator, multiplier, shift),
            Self::Fixed {
                multiplier, shift, ..
            } => {
                let accumulator = accumulator.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                fixed_product(accumulator, multiplier, shift)
            }
        }
    }
}

/// As `QuantizeMultiplier` of TensorFlow Lite: a mantissa in Q31 and an exponent.
fn fixed(real: f64) -> (i32, i32) {
    if !(real.is_finite() && real > 0.0) {
        return (0, 0);
    }
    let mut shift = 0;
    let mut mantissa = real;
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
    if shift < -31 {
        return (0, 0);
    }
    if shift > 30 {
        return (i32::MAX, 30);
    }
    (multiplier as i32, shift)
}

/// The high half of twice a product, rounded: `SaturatingRoundingDoublingHighMul`.
fn doubling_high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1i64 << 31)) as i32
}

/// A right shift that rounds to nearest, ties away from zero: `RoundingDivideByPOT`.
fn rounding_shift(x: i32, exponent: i32) -> i32 {
    let mask = (1i64 << exponent) - 1;
    let remainder = i64::from(x) & mask;
    let threshold = (mask >> 1) + i64::from(x < 0);
    (x >> exponent.min(31)) + i32::from(remainder > threshold)
}

/// `MultiplyByQuantizedMultiplier` with its two roundings.
fn fixed_product(x: i32, multiplier: i32, shift: i32) -> i64 {
    let shifted = (i64::from(x) << shift.max(0)).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    rounding_shift(doubling_high_product(shifted, multiplier), (-shift).max(0)).into()
}

/// `MultiplyByQuantizedMultiplier` of a 64-bit accumulator, with a multiplier of 16 bits.
fn wide_product(x: i64, multiplier: i32, shift: i32) -> i64 {
    let reduced = if multiplier < 0x7fff_0000 {
        (i64::from(multiplier) + (1 << 15)) >> 16
    } else {
        0x7fff
    };
    let total = 15 - shift;
    let product = i128::from(x) * i128::from(reduced);
    if total <= 0 {
        return (product << (-total)) as i64;
    }
    ((product + (1i128 << (total - 1))) >> total) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_rules_are_within_half_a_step_of_the_real_product() {
        for real in [0.000_31, 0.004_7, 0.25, 0.5, 0.999_999, 1.0, 1.7, 6.3] {
            for (rounding, wide) in [
                (Rounding::TiesToEven, false),
                (Rounding::Gemmlowp, false),
                (Rounding::Gemmlowp, true),
            ] {
                let factor = Factor::new(real, rounding, wide);
                for x in (-70_000i64..70_000).step_by(331) {
                    let exact = x as f64 * real;
                    let found = factor.apply(x) as f64;
                    // The fixed-point rule rounds twice, the wide one has a multiplier of 16 bits.
                    let twice = if rounding == Rounding::Gemmlowp { 0.25 } else { 0.0 };
                    let coarse = exact.abs() * if wide { 4e-5 } else { 1e-6 };
                    assert!(
                        (found - exact).abs() <= 0.5 + twice + coarse,
                        "{x} * {real}: {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn ties_go_where_the_rule_says() {
        let each = |factor: Factor, numbers: [i64; 6]| numbers.map(|x| factor.apply(x));
        let even = Factor::new(0.5, Rounding::TiesToEven, false);
        assert_eq!(each(even, [-5, -3, -1, 1, 3, 5]), [-2, -2, 0, 0, 2, 2]);
        // The product rounds ties up, the shift behind it away from zero.
        let product = Factor::new(0.5, Rounding::Gemmlowp, false);
        assert_eq!(each(product, [-5, -3, -1, 1, 3, 5]), [-2, -1, 0, 1, 2, 3]);
        let shift = Factor::new(0.25, Rounding::Gemmlowp, false);
        assert_eq!(each(shift, [-10, -6, -2, 2, 6, 10]), [-3, -2, -1, 1, 2, 3]);
    }

    #[test]
    fn multipliers_are_those_of_tensorflow_lite() {
        // QuantizeMultiplier's own numbers for powers of two and their neighbours.
        let check = |real: f64, multiplier: i32, shift: i32| {
            assert_eq!(fixed(real), (multiplier, shift));
        };
        check(0.5, 1 << 30, 0);
        check(1.0, 1 << 30, 1);
        check(0.25, 1 << 30, -1);
        check(0.7, 1_503_238_554, 0);
        check(1e-12, 0, 0);
        check(1.0 - 1e-12, 1 << 30, 1);
    }
}
