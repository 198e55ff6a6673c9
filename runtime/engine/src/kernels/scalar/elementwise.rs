//! Functions of one or two elements, and changes of type.

use super::round;
use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{Affine, Binary, BinaryU8, Dequantize, Function, Pair, Quantize, Table, Unary};

/// A function of one element.
pub(crate) fn apply(function: Function, alpha: f32, beta: f32, x: f32) -> f32 {
    let sigmoid = |x: f32| 1.0 / (1.0 + libm::expf(-x));
    // Neither overflows for great x nor loses the small ones.
    let softplus = |x: f32| x.max(0.0) + libm::log1pf(libm::expf(-libm::fabsf(x)));
    let elu = |x: f32| if x < 0.0 { alpha * libm::expm1f(x) } else { x };
    match function {
        Function::Relu => x.max(0.0),
        Function::Clip => x.max(alpha).min(beta),
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => libm::tanhf(x),
        Function::Erf => libm::erff(x),
        Function::Gelu => 0.5 * x * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2)),
        Function::GeluTanh => {
            let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + libm::tanhf(inner))
        }
        Function::Swish => x * sigmoid(alpha * x),
        Function::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Function::HardSigmoid => (alpha * x + beta).clamp(0.0, 1.0),
        Function::LeakyRelu => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        Function::Exp => libm::expf(x),
        Function::Log => libm::logf(x),
        Function::Sqrt => libm::sqrtf(x),
        Function::Neg => -x,
        Function::Abs => libm::fabsf(x),
        Function::Reciprocal => 1.0 / x,
        Function::Identity => x,
        Function::Sign if x == 0.0 || x.is_nan() => x,
        Function::Sign => libm::copysignf(1.0, x),
        Function::Rsqrt => 1.0 / libm::sqrtf(x),
        Function::Ceil => libm::ceilf(x),
        Function::Floor => libm::floorf(x),
        Function::Round => libm::rintf(x),
        Function::Sin => libm::sinf(x),
        Function::Cos => libm::cosf(x),
        Function::Tan => libm::tanf(x),
        Function::Asin => libm::asinf(x),
        Function::Acos => libm::acosf(x),
        Function::Atan => libm::atanf(x),
        Function::Sinh => libm::sinhf(x),
        Function::Cosh => libm::coshf(x),
        Function::Asinh => libm::asinhf(x),
        Function::Acosh => libm::acoshf(x),
        Function::Atanh => libm::atanhf(x),
        Function::Elu => elu(x),
        Function::Celu if x < 0.0 => alpha * libm::expm1f(x / alpha),
        Function::Celu => x,
        Function::Selu => beta * elu(x),
        Function::Mish => x * libm::tanhf(softplus(x)),
        Function::Softplus => softplus(x),
        Function::Softsign => x / (1.0 + libm::fabsf(x)),
        Function::ThresholdedRelu => {
            if x > alpha {
                x
            } else {
                0.0
            }
        }
        Function::Shrink => {
            if x < -beta {
                x + alpha
            } else if x > beta {
                x - alpha
            } else {
                0.0
            }
        }
    }
}

/// A function of two elements.
pub(crate) fn combine(function: Pair, a: f32, b: f32) -> f32 {
    match function {
        Pair::Add => a + b,
        Pair::Sub => a - b,
        Pair::Mul => a * b,
        Pair::Div => a / b,
        Pair::Min => a.min(b),
        Pair::Max => a.max(b),
        Pair::PRelu => {
            if a < 0.0 {
                b * a
            } else {
                a
            }
        }
        Pair::Pow => libm::powf(a, b),
        Pair::Remainder => libm::fmodf(a, b),
        Pair::Modulo => {
            let rest = libm::fmodf(a, b);
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                rest + b
            } else {
                rest
            }
        }
        Pair::FloorDiv => libm::floorf(a / b),
        Pair::SquaredDifference => (a - b) * (a - b),
    }
}

pub(super) fn real(q: u8, affine: &Affine) -> f32 {
    (i32::from(q) - affine.zero) as f32 * affine.scale
}

pub(super) fn quantized(x: f32, affine: &Affine, low: i32, high: i32) -> u8 {
    let (low, high) = ((low - affine.zero) as f32, (high - affine.zero) as f32);
    (round((x / affine.scale).max(low).min(high)) as i32 + affine.zero) as u8
}

pub(crate) fn unary(step: &Unary, input: &[u8], output: &mut [u8]) {
    let (input, output) = (floats(input), floats_mut(output));
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            output[to + n * to_step] =
                apply(step.function, step.alpha, step.beta, input[from + n * from_step]);
        }
    });
}

pub(crate) fn binary(step: &Binary, a: &[u8], b: &[u8], output: &mut [u8]) {
    let (a, b, output) = (floats(a), floats(b), floats_mut(output));
    let [a_step, b_step, to_step] = [&step.a, &step.b, &step.output].map(|o| o.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        for n in 0..step.dims[5] as usize {
            output[to + n * to_step] = combine(step.function, a[at + n * a_step], b[bt + n * b_step]);
        }
    });
}

pub(crate) fn binary_u8(step: &BinaryU8, a: &[u8], b: &[u8], output: &mut [u8]) {
    let [a_step, b_step, to_step] = [&step.a, &step.b, &step.output].map(|o| o.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        for n in 0..step.dims[5] as usize {
            let x = real(a[at + n * a_step], &step.a_affine);
            let y = real(b[bt + n * b_step], &step.b_affine);
            let found = combine(step.function, x, y);
            output[to + n * to_step] = quantized(found, &step.output_affine, step.low, step.high);
        }
    });
}

pub(crate) fn quantize(step: &Quantize, input: &[u8], output: &mut [u8]) {
    let input = floats(input);
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            output[to + n * to_step] = quantized(input[from + n * from_step], &step.affine, 0, 255);
        }
    });
}

pub(crate) fn dequantize(step: &Dequantize, input: &[u8], output: &mut [u8]) {
    let output = floats_mut(output);
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            output[to + n * to_step] = real(input[from + n * from_step], &step.affine);
        }
    });
}

pub(crate) fn table(step: &Table, input: &[u8], table: &[u8], output: &mut [u8]) {
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            output[to + n * to_step] = table[usize::from(input[from + n * from_step])];
        }
    });
}
