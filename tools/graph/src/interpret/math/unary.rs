//! Functions of one element.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::op::Unary;
use crate::tensor::{Storage, Tensor};

/// The function of each element.
pub(super) fn unary(function: Unary, x: &Tensor) -> Result<Storage> {
    let dtype = x.dtype();
    match widen(x) {
        Wide::F32(x) => match flags_f32(function, &x) {
            Some(flags) => Ok(flags.into()),
            None => f32::narrow(floats_f32(function, &x)?, dtype),
        },
        Wide::F64(x) => match flags_f64(function, &x) {
            Some(flags) => Ok(flags.into()),
            None => f64::narrow(floats_f64(function, &x)?, dtype),
        },
        Wide::I64(x) => i64::narrow(signed(function, &x, dtype)?, dtype),
        Wide::U64(x) => u64::narrow(unsigned(function, &x)?, dtype),
    }
}

fn refuse<T>(function: Unary, dtype: Dtype) -> Result<T> {
    Err(Error::new(
        ErrorKind::Dtype,
        format!("{function:?}"),
        "elements that it is defined for",
        dtype,
    ))
}

fn each<T: Copy>(x: &[T], f: impl Fn(T) -> T) -> Vec<T> {
    x.iter().map(|&x| f(x)).collect()
}

/// The functions of floats, written once for both widths; `$erf` and the constants are what differs.
macro_rules! float_functions {
    ($name:ident, $flags:ident, $type:ident, $erf:path, $dtype:expr) => {
        fn $flags(function: Unary, x: &[$type]) -> Option<Vec<bool>> {
            Some(match function {
                Unary::IsNan => x.iter().map(|x| x.is_nan()).collect(),
                Unary::IsInf { positive, negative } => x
                    .iter()
                    .map(|&x| (positive && x == $type::INFINITY) || (negative && x == $type::NEG_INFINITY))
                    .collect(),
                _ => return None,
            })
        }

        fn $name(function: Unary, x: &[$type]) -> Result<Vec<$type>> {
            use Unary::*;
            let sigmoid = |x: $type| 1.0 / (1.0 + (-x).exp());
            // Neither overflows for great x nor loses the small ones.
            let softplus = |x: $type| x.max(0.0) + (-x.abs()).exp().ln_1p();
            Ok(match function {
                Abs => each(x, $type::abs),
                Neg => each(x, |x| -x),
                Sign => each(x, |x| {
                    if x == 0.0 || x.is_nan() {
                        x
                    } else {
                        x.signum()
                    }
                }),
                Reciprocal => each(x, |x| 1.0 / x),
                Sqrt => each(x, $type::sqrt),
                Rsqrt => each(x, |x| 1.0 / x.sqrt()),
                Exp => each(x, $type::exp),
                Log => each(x, $type::ln),
                Ceil => each(x, $type::ceil),
                Floor => each(x, $type::floor),
                Round => each(x, $type::round_ties_even),
                Sin => each(x, $type::sin),
                Cos => each(x, $type::cos),
                Tan => each(x, $type::tan),
                Asin => each(x, $type::asin),
                Acos => each(x, $type::acos),
                Atan => each(x, $type::atan),
                Sinh => each(x, $type::sinh),
                Cosh => each(x, $type::cosh),
                Tanh => each(x, $type::tanh),
                Asinh => each(x, $type::asinh),
                Acosh => each(x, $type::acosh),
                Atanh => each(x, $type::atanh),
                Erf => each(x, $erf),
                // Comparisons that are false for NaN keep it.
                Relu => each(x, |x| if x < 0.0 { 0.0 } else { x }),
                Relu6 => each(x, |x| x.clamp(0.0, 6.0)),
                LeakyRelu { alpha } => {
                    let alpha = $type::from(alpha);
                    each(x, |x| if x < 0.0 { alpha * x } else { x })
                }
                Elu { alpha } => {
                    let alpha = $type::from(alpha);
                    each(x, |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
                }
                Celu { alpha } => {
                    let alpha = $type::from(alpha);
                    each(x, |x| {
                        if x < 0.0 {
                            alpha * (x / alpha).exp_m1()
                        } else {
                            x
                        }
                    })
                }
                Selu { alpha, gamma } => {
                    let (alpha, gamma) = ($type::from(alpha), $type::from(gamma));
                    each(x, |x| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x })
                }
                Sigmoid => each(x, sigmoid),
                HardSigmoid { alpha, beta } => {
                    let (alpha, beta) = ($type::from(alpha), $type::from(beta));
                    each(x, |x| (alpha * x + beta).clamp(0.0, 1.0))
                }
                HardSwish => each(x, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
                Swish { alpha } => {
                    let alpha = $type::from(alpha);
                    each(x, |x| x * sigmoid(alpha * x))
                }
                Gelu { tanh: false } => each(x, |x| {
                    0.5 * x * (1.0 + $erf(x * std::$type::consts::FRAC_1_SQRT_2))
                }),
                Gelu { tanh: true } => {
                    let factor = (2.0 / std::$type::consts::PI).sqrt();
                    each(x, |x| {
                        0.5 * x * (1.0 + (factor * (x + 0.044715 * x * x * x)).tanh())
                    })
                }
                Mish => each(x, |x| x * softplus(x).tanh()),
                Softplus => each(x, softplus),
                Softsign => each(x, |x| x / (1.0 + x.abs())),
                ThresholdedRelu { alpha } => {
                    let alpha = $type::from(alpha);
                    each(x, |x| if x > alpha { x } else { 0.0 })
                }
                Shrink { bias, lambd } => {
                    let (bias, lambd) = ($type::from(bias), $type::from(lambd));
                    each(x, |x| {
                        if x < -lambd {
                            x + bias
                        } else if x > lambd {
                            x - bias
                        } else {
                            0.0
                        }
                    })
                }
                Not | BitwiseNot | IsNan | IsInf { .. } => return refuse(function, $dtype),
            })
        }
    };
}

float_functions!(floats_f32, flags_f32, f32, libm::erff, Dtype::F32);
float_functions!(floats_f64, flags_f64, f64, libm::erf, Dtype::F64);

fn signed(function: Unary, x: &[i64], dtype: Dtype) -> Result<Vec<i64>> {
    Ok(match function {
        Unary::Abs => each(x, i64::wrapping_abs),
        Unary::Neg => each(x, i64::wrapping_neg),
        Unary::Sign => each(x, i64::signum),
        Unary::Relu => each(x, |x| x.max(0)),
        Unary::Relu6 => each(x, |x| x.clamp(0, 6)),
        Unary::Ceil | Unary::Floor | Unary::Round => x.to_vec(),
        Unary::Not => each(x, |x| i64::from(x == 0)),
        Unary::BitwiseNot => each(x, |x| !x),
        Unary::ThresholdedRelu { alpha } => each(x, |x| if x as f64 > f64::from(alpha) { x } else { 0 }),
        // The bias is cut to an integer after the sum, as a computation in floats and a cast would.
        Unary::Shrink { bias, lambd } => {
            let (bias, lambd) = (f64::from(bias), f64::from(lambd));
            each(x, |x| {
                let real = x as f64;
                if real < -lambd {
                    (real + bias) as i64
                } else if real > lambd {
                    (real - bias) as i64
                } else {
                    0
                }
            })
        }
        _ => return refuse(function, dtype),
    })
}

fn unsigned(function: Unary, x: &[u64]) -> Result<Vec<u64>> {
    Ok(match function {
        Unary::Abs | Unary::Relu | Unary::Ceil | Unary::Floor | Unary::Round => x.to_vec(),
        Unary::Relu6 => each(x, |x| x.min(6)),
        Unary::Neg => each(x, u64::wrapping_neg),
        Unary::Sign => each(x, |x| x.min(1)),
        Unary::BitwiseNot => each(x, |x| !x),
        Unary::ThresholdedRelu { alpha } => each(x, |x| if x as f64 > f64::from(alpha) { x } else { 0 }),
        Unary::Shrink { bias, lambd } => {
            let (bias, lambd) = (f64::from(bias), f64::from(lambd));
            each(x, |x| {
                if x as f64 > lambd {
                    (x as f64 - bias) as u64
                } else {
                    0
                }
            })
        }
        _ => return refuse(function, Dtype::U64),
    })
}
