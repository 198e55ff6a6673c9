//! Functions of one element, softmax and normalizations of runs whose elements lie next to each other.

use core::arch::aarch64::*;

use super::lanes::{four, load, load_floats, store, store_floats};
use crate::kernels::{floats, floats_mut, for_each_run, is_vectorised};
use crate::step::{Function, Normalize, Softmax, Unary};

/// Elements at a time.
const LANES: usize = 16;
/// Elements of a register.
const WIDTH: usize = 4;

/// Runs a function there is code for; `false` where there is none, and nothing has run.
pub(super) fn unary(step: &Unary, input: &[u8], output: &mut [u8]) -> bool {
    if !is_vectorised(step.function) || step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let x = &floats(input)[from..from + count];
        let y = &mut floats_mut(output)[to..to + count];
        function_run(step.function, [step.alpha, step.beta], x, y);
    });
    true
}

/// Softmax along an axis whose places lie next to each other; `false` where they do not, and nothing has run.
pub(super) fn softmax(step: &Softmax, input: &[u8], output: &mut [u8]) -> bool {
    if step.input_step != 1 || step.output_step != 1 {
        return false;
    }
    let length = step.length as usize;
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let x = &floats(input)[from..from + length];
            softmax_run(x, &mut floats_mut(output)[to..to + length]);
        }
    });
    true
}

/// Normalizes runs of a step that was checked.
pub(super) fn normalize(step: &Normalize, input: &[u8], scale: &[u8], bias: &[u8], output: &mut [u8]) {
    let length = step.length as usize;
    let (scale, bias) = (floats(scale), floats(bias));
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let x = &floats(input)[from..from + length];
            normalize_run(step, x, [scale, bias], &mut floats_mut(output)[to..to + length]);
        }
    });
}

/// A polynomial by its factors, that of the highest power first.
#[inline(always)]
fn polynomial<const N: usize>(x: float32x4_t, factors: [f32; N]) -> float32x4_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let mut y = vdupq_n_f32(factors[0]);
        for &factor in &factors[1..] {
            y = vfmaq_f32(vdupq_n_f32(factor), y, x);
        }
        y
    }
}

/// `min(max(x, low), high)`, where what is no number comes to `low`.
#[inline(always)]
fn limited(x: float32x4_t, low: f32, high: f32) -> float32x4_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe { vminnmq_f32(vmaxnmq_f32(x, vdupq_n_f32(low)), vdupq_n_f32(high)) }
}

/// `e^x`: by powers of two and the series to the seventh power, which is within 1e-8 on half of ln 2.
#[inline(always)]
fn exp(x: float32x4_t) -> float32x4_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        // Beyond these the result is 0 or infinite anyway; what is no number stays so.
        let x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-104.0)), vdupq_n_f32(89.0));
        let n = vrndnq_f32(vmulq_n_f32(x, core::f32::consts::LOG2_E));
        // ln 2 in two parts, the first short enough that its product with n is exact.
        let r = vfmsq_f32(x, n, vdupq_n_f32(0.693_359_4));
        let r = vfmsq_f32(r, n, vdupq_n_f32(-2.121_944_4e-4));
        let factors = [
            1.0 / 5040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ];
        let y = polynomial(r, factors);
        // Two powers of two, since one alone may be beyond the exponents of f32.
        let n = vcvtq_s32_f32(n);
        let half = vshrq_n_s32::<1>(n);
        let power = |n: int32x4_t| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127))));
        vmulq_f32(vmulq_f32(y, power(half)), power(vsubq_s32(n, half)))
    }
}

/// The error function within 4e-7: a quotient of two polynomials of `x^2`, times `x`, fitted on -3.9 to 3.9.
#[inline(always)]
fn erf(x: float32x4_t) -> float32x4_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-3.9)), vdupq_n_f32(3.9));
        let square = vmulq_f32(x, x);
        let over = [
            2.050_386_7e-6,
            2.874_577_8e-4,
            3.836_891_6e-3,
            0.052_966_967,
            0.191_941_35,
            core::f32::consts::FRAC_2_SQRT_PI,
        ];
        let under = [
            3.823_076_3e-5,
            1.181_738_6e-3,
            0.015_109_235,
            0.114_758_34,
            0.503_435_4,
            1.0,
        ];
        vdivq_f32(vmulq_f32(x, polynomial(square, over)), polynomial(square, under))
    }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid(x: float32x4_t) -> float32x4_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let one = vdupq_n_f32(1.0);
        vdivq_f32(one, vaddq_f32(one, exp(vnegq_f32(x))))
    }
}

/// The hyperbolic tangent, to a few units in the last place.
#[inline(always)]
fn tanh(x: float32x4_t) -> float32x4_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let far = vfmaq_f32(vdupq_n_f32(-1.0), sigmoid(vaddq_f32(x, x)), vdupq_n_f32(2.0));
        // Near 0 that difference keeps few bits, and the first terms of the series are enough.
        let series = [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0];
        let near = vmulq_f32(x, polynomial(vmulq_f32(x, x), series));
        vbslq_f32(vcaltq_f32(x, vdupq_n_f32(0.25)), near, far)
    }
}

/// A function of all elements, for which there is code.
pub(super) fn function_run(function: Function, [alpha, beta]: [f32; 2], x: &[f32], y: &mut [f32]) {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        match function {
            Function::Relu => map(x, y, |x| vmaxnmq_f32(x, vdupq_n_f32(0.0))),
            Function::Clip => map(x, y, |x| limited(x, alpha, beta)),
            Function::Sigmoid => map(x, y, sigmoid),
            Function::Tanh => map(x, y, tanh),
            Function::Erf => map(x, y, erf),
            Function::Gelu => map(x, y, |x| {
                let half = vmulq_n_f32(x, 0.5);
                vfmaq_f32(half, half, erf(vmulq_n_f32(x, core::f32::consts::FRAC_1_SQRT_2)))
            }),
            Function::Swish => map(x, y, |x| vmulq_f32(x, sigmoid(vmulq_n_f32(x, alpha)))),
            Function::HardSwish => map(x, y, |x| {
                let gate = vaddq_f32(vdivq_f32(x, vdupq_n_f32(6.0)), vdupq_n_f32(0.5));
                vmulq_f32(x, vminq_f32(vmaxq_f32(gate, vdupq_n_f32(0.0)), vdupq_n_f32(1.0)))
            }),
            Function::Exp => map(x, y, exp),
            // There is no code for these: nobody comes here with them.
            _ => y.copy_from_slice(x),
        }
    }
}

/// A function of all elements; as many are made as there are.
#[inline(always)]
fn map(x: &[f32], y: &mut [f32], function: impl Fn(float32x4_t) -> float32x4_t) {
    let (whole, rest) = x.as_chunks::<LANES>();
    let (to, to_rest) = y.as_chunks_mut::<LANES>();
    // SAFETY: no more elements are read or written than there are.
    unsafe {
        for (x, y) in whole.iter().zip(to) {
            let x = load_floats(x.as_ptr(), LANES);
            store_floats(y.as_mut_ptr(), four(|n| function(x[n])), LANES);
        }
        for (x, y) in rest.chunks(WIDTH).zip(to_rest.chunks_mut(WIDTH)) {
            store(y.as_mut_ptr(), function(load(x.as_ptr(), x.len())), y.len());
        }
    }
}

fn softmax_run(x: &[f32], y: &mut [f32]) {
    // SAFETY: every 64-bit Arm processor has the instructions; no more elements are read or written than there are.
    unsafe {
        let (whole, rest) = x.as_chunks::<LANES>();
        let mut most = [vdupq_n_f32(f32::NEG_INFINITY); 4];
        for x in whole {
            let x = load_floats(x.as_ptr(), LANES);
            most = four(|n| vmaxnmq_f32(most[n], x[n]));
        }
        let most = vmaxnmq_f32(vmaxnmq_f32(most[0], most[1]), vmaxnmq_f32(most[2], most[3]));
        let greatest = rest.iter().fold(vmaxnmvq_f32(most), |most, &x| most.max(x));
        let greatest = vdupq_n_f32(greatest);
        let mut sums = [vdupq_n_f32(0.0); 4];
        let (to, to_rest) = y.as_chunks_mut::<LANES>();
        for (x, y) in whole.iter().zip(to) {
            let x = load_floats(x.as_ptr(), LANES);
            let power = four(|n| exp(vsubq_f32(x[n], greatest)));
            sums = four(|n| vaddq_f32(sums[n], power[n]));
            store_floats(y.as_mut_ptr(), power, LANES);
        }
        let sum = vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]));
        let mut sum = vaddvq_f32(sum);
        for (x, y) in rest.chunks(WIDTH).zip(to_rest.chunks_mut(WIDTH)) {
            let mut power = [0.0; WIDTH];
            vst1q_f32(
                power.as_mut_ptr(),
                exp(vsubq_f32(load(x.as_ptr(), x.len()), greatest)),
            );
            for (y, power) in y.iter_mut().zip(power) {
                *y = power;
                sum += power;
            }
        }
        let factor = 1.0 / sum;
        for y in y.chunks_mut(LANES) {
            let found = load_floats(y.as_ptr(), y.len());
            store_floats(y.as_mut_ptr(), four(|n| vmulq_n_f32(found[n], factor)), y.len());
        }
    }
}

/// The sum of a function of all elements, in 16 parts of `f32` that are summed in `f64`.
#[inline(always)]
fn sum(x: &[f32], function: impl Fn(float32x4_t) -> float32x4_t) -> f64 {
    // Sums of few elements each lose little.
    const MOST: usize = LANES * 64;
    let mut whole = 0.0;
    // SAFETY: every 64-bit Arm processor has the instructions; no more elements are read than there are.
    unsafe {
        for x in x.chunks(MOST) {
            let (groups, rest) = x.as_chunks::<LANES>();
            let mut sums = [vdupq_n_f32(0.0); 4];
            for x in groups {
                let x = load_floats(x.as_ptr(), LANES);
                sums = four(|n| vaddq_f32(sums[n], function(x[n])));
            }
            let sum = vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3]));
            whole += vaddvq_f64(vaddq_f64(vcvt_f64_f32(vget_low_f32(sum)), vcvt_high_f64_f32(sum)));
            for &x in rest {
                whole += f64::from(vgetq_lane_f32::<0>(function(vdupq_n_f32(x))));
            }
        }
    }
    whole
}

/// Normalizes a run; the first table has as many elements, the second as many or none.
fn normalize_run(step: &Normalize, x: &[f32], [scale, bias]: [&[f32]; 2], y: &mut [f32]) {
    let length = x.len() as f64;
    let mean = if step.centre == 0 {
        0.0
    } else {
        sum(x, |x| x) / length
    };
    // SAFETY: every 64-bit Arm processor has the instructions.
    let squares = unsafe {
        let centre = vdupq_n_f32(mean as f32);
        sum(x, |x| {
            let x = vsubq_f32(x, centre);
            vmulq_f32(x, x)
        })
    };
    let factor = (1.0 / libm::sqrt(squares / length + f64::from(step.epsilon))) as f32;
    for (n, (x, y)) in x.chunks(LANES).zip(y.chunks_mut(LANES)).enumerate() {
        // SAFETY: no more elements are read or written than there are.
        unsafe {
            let count = y.len();
            let mean = vdupq_n_f32(mean as f32);
            let (x, scale) = (
                load_floats(x.as_ptr(), count),
                load_floats(scale.as_ptr().add(n * LANES), count),
            );
            let mut found = four(|q| vmulq_f32(vmulq_n_f32(vsubq_f32(x[q], mean), factor), scale[q]));
            if !bias.is_empty() {
                let bias = load_floats(bias.as_ptr().add(n * LANES), count);
                found = four(|q| vaddq_f32(found[q], bias[q]));
            }
            store_floats(y.as_mut_ptr(), found, count);
        }
    }
}
