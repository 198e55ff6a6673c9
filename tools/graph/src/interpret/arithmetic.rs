//! What two numbers make together, for each type that arithmetic is done in.

use crate::op::Binary;

/// A type that arithmetic is done in.
pub(super) trait Number: Copy + PartialOrd + Send + Sync + 'static {
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    /// Integers towards zero; an integer divided by 0 gives 0.
    fn div(self, b: Self) -> Self;
    fn floor_div(self, b: Self) -> Self;
    /// Sign of the divisor.
    fn modulo(self, b: Self) -> Self;
    /// Sign of the dividend.
    fn remainder(self, b: Self) -> Self;
    /// The lesser; NaN if either is.
    fn least(self, b: Self) -> Self;
    /// The greater; NaN if either is.
    fn greatest(self, b: Self) -> Self;
    fn pow(self, b: Self) -> Self;
    fn zero() -> Self;
    fn one() -> Self;
    fn from_count(n: usize) -> Self;
    /// A function of bits; `None` for floats.
    fn bits(function: Binary) -> Option<fn(Self, Self) -> Self>;
}

macro_rules! float_number {
    ($type:ident) => {
        impl Number for $type {
            fn add(self, b: Self) -> Self {
                self + b
            }
            fn sub(self, b: Self) -> Self {
                self - b
            }
            fn mul(self, b: Self) -> Self {
                self * b
            }
            fn div(self, b: Self) -> Self {
                self / b
            }
            fn floor_div(self, b: Self) -> Self {
                (self / b).floor()
            }
            fn modulo(self, b: Self) -> Self {
                let rest = self % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                    rest + b
                } else {
                    rest
                }
            }
            fn remainder(self, b: Self) -> Self {
                self % b
            }
            fn least(self, b: Self) -> Self {
                if self.is_nan() || self < b { self } else { b }
            }
            fn greatest(self, b: Self) -> Self {
                if self.is_nan() || self > b { self } else { b }
            }
            fn pow(self, b: Self) -> Self {
                self.powf(b)
            }
            fn zero() -> Self {
                0.0
            }
            fn one() -> Self {
                1.0
            }
            fn from_count(n: usize) -> Self {
                n as $type
            }
            fn bits(_: Binary) -> Option<fn(Self, Self) -> Self> {
                None
            }
        }
    };
}

float_number!(f32);
float_number!(f64);

macro_rules! integer_number {
    ($type:ident, $floor_div:expr, $modulo:expr) => {
        impl Number for $type {
            fn add(self, b: Self) -> Self {
                self.wrapping_add(b)
            }
            fn sub(self, b: Self) -> Self {
                self.wrapping_sub(b)
            }
            fn mul(self, b: Self) -> Self {
                self.wrapping_mul(b)
            }
            fn div(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_div(b) }
            }
            fn floor_div(self, b: Self) -> Self {
                if b == 0 { 0 } else { $floor_div(self, b) }
            }
            fn modulo(self, b: Self) -> Self {
                if b == 0 { 0 } else { $modulo(self, b) }
            }
            fn remainder(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_rem(b) }
            }
            fn least(self, b: Self) -> Self {
                self.min(b)
            }
            fn greatest(self, b: Self) -> Self {
                self.max(b)
            }
            #[allow(
                unused_comparisons,
                reason = "the unsigned type has no negative exponents"
            )]
            fn pow(self, b: Self) -> Self {
                if b < 0 {
                    // The truth lies strictly between -1 and 1 but for these bases.
                    return match self {
                        1 => 1,
                        x if x.wrapping_add(1) == 0 => {
                            if b % 2 == 0 {
                                1
                            } else {
                                x
                            }
                        }
                        _ => 0,
                    };
                }
                let (mut result, mut base, mut exponent) = (1 as $type, self, b);
                while exponent > 0 {
                    if exponent % 2 == 1 {
                        result = result.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    exponent /= 2;
                }
                result
            }
            fn zero() -> Self {
                0
            }
            fn one() -> Self {
                1
            }
            fn from_count(n: usize) -> Self {
                n as $type
            }
            fn bits(function: Binary) -> Option<fn(Self, Self) -> Self> {
                Some(match function {
                    Binary::BitwiseAnd => |a, b| a & b,
                    Binary::BitwiseOr => |a, b| a | b,
                    Binary::BitwiseXor => |a, b| a ^ b,
                    // A distance of the width or more leaves nothing.
                    Binary::ShiftLeft => |a, b| {
                        u32::try_from(b)
                            .ok()
                            .and_then(|b| a.checked_shl(b))
                            .unwrap_or(0)
                    },
                    Binary::ShiftRight => |a, b| {
                        u32::try_from(b)
                            .ok()
                            .and_then(|b| a.checked_shr(b))
                            .unwrap_or(0)
                    },
                    _ => return None,
                })
            }
        }
    };
}

integer_number!(
    i64,
    |a: i64, b: i64| {
        let quotient = a.wrapping_div(b);
        if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) {
            quotient - 1
        } else {
            quotient
        }
    },
    |a: i64, b: i64| {
        let rest = a.wrapping_rem(b);
        if rest != 0 && (rest < 0) != (b < 0) {
            rest + b
        } else {
            rest
        }
    }
);
integer_number!(u64, |a: u64, b: u64| a / b, |a: u64, b: u64| a % b);
