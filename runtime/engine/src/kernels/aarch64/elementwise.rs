//! Changes of type and functions of two elements, 16 at a time where they lie next to each other.

use core::arch::aarch64::*;

use super::lanes::{four, load_bytes, load_floats, store_bytes, store_floats};
use super::store::{Limits, integers};
use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{Affine, Binary, BinaryU8, Dequantize, Epilogue, Pair, Quantize, Strided};

/// Elements at a time.
const LANES: usize = 16;

/// Whether an operand's innermost elements are next to each other, or all the same.
fn dense(operand: &Strided) -> bool {
    operand.strides[5] <= 1
}

/// Runs a step whose operands are dense; `false` where they are not, and nothing has run.
pub(super) fn quantize(step: &Quantize, input: &[u8], output: &mut [u8]) -> bool {
    if step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    let limits = limits(&step.affine, 0, 255);
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let (x, y) = (&floats(input)[from..from + count], &mut output[to..to + count]);
        for (x, y) in x.chunks(LANES).zip(y.chunks_mut(LANES)) {
            // SAFETY: no more elements are read or written than there are.
            unsafe {
                let x = load_floats(x.as_ptr(), x.len());
                store_bytes(y.as_mut_ptr(), to_bytes(x, &step.affine, &limits), y.len());
            }
        }
    });
    true
}

/// As [`quantize`].
pub(super) fn dequantize(step: &Dequantize, input: &[u8], output: &mut [u8]) -> bool {
    if step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let (x, y) = (
            &input[from..from + count],
            &mut floats_mut(output)[to..to + count],
        );
        for (x, y) in x.chunks(LANES).zip(y.chunks_mut(LANES)) {
            // SAFETY: no more elements are read or written than there are.
            unsafe {
                let x = to_reals(load_bytes(x.as_ptr(), x.len()), &step.affine);
                store_floats(y.as_mut_ptr(), x, y.len());
            }
        }
    });
    true
}

/// As [`quantize`].
pub(super) fn binary(step: &Binary, a: &[u8], b: &[u8], output: &mut [u8]) -> bool {
    let dense = dense(&step.a) && dense(&step.b) && step.output.strides[5] == 1;
    if !dense || !is_known(step.function) {
        return false;
    }
    let count = step.dims[5] as usize;
    let (a, b) = (floats(a), floats(b));
    let [a_step, b_step] = [&step.a, &step.b].map(|operand| operand.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        let x = &a[at..at + (count - 1) * a_step + 1];
        let y = &b[bt..bt + (count - 1) * b_step + 1];
        let z = &mut floats_mut(output)[to..to + count];
        for (n, z) in z.chunks_mut(LANES).enumerate() {
            // SAFETY: an operand has one element, or as many as the output.
            let load = |x: &[f32], step: usize| unsafe {
                if step == 0 {
                    [vdupq_n_f32(x[0]); 4]
                } else {
                    load_floats(x.as_ptr().add(n * LANES), z.len())
                }
            };
            let (x, y) = (load(x, a_step), load(y, b_step));
            // SAFETY: no more elements are written than there are.
            unsafe { store_floats(z.as_mut_ptr(), combine(step.function, x, y), z.len()) };
        }
    });
    true
}

/// As [`quantize`].
pub(super) fn binary_u8(step: &BinaryU8, a: &[u8], b: &[u8], output: &mut [u8]) -> bool {
    let dense = dense(&step.a) && dense(&step.b) && step.output.strides[5] == 1;
    if !dense || !is_known(step.function) {
        return false;
    }
    let count = step.dims[5] as usize;
    let limits = limits(&step.output_affine, step.low, step.high);
    let [a_step, b_step] = [&step.a, &step.b].map(|operand| operand.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        let x = &a[at..at + (count - 1) * a_step + 1];
        let y = &b[bt..bt + (count - 1) * b_step + 1];
        let z = &mut output[to..to + count];
        for (n, z) in z.chunks_mut(LANES).enumerate() {
            // SAFETY: an operand has one element, or as many as the output.
            let load = |x: &[u8], step: usize| unsafe {
                if step == 0 {
                    vdupq_n_u8(x[0])
                } else {
                    load_bytes(x.as_ptr().add(n * LANES), z.len())
                }
            };
            let x = to_reals(load(x, a_step), &step.a_affine);
            let y = to_reals(load(y, b_step), &step.b_affine);
            let found = to_bytes(combine(step.function, x, y), &step.output_affine, &limits);
            // SAFETY: no more elements are written than there are.
            unsafe { store_bytes(z.as_mut_ptr(), found, z.len()) };
        }
    });
    true
}

/// Limits of integers.
fn limits(affine: &Affine, low: i32, high: i32) -> Limits {
    Limits::new(&Epilogue {
        zero_point: affine.zero,
        low: (low - affine.zero) as f32,
        high: (high - affine.zero) as f32,
    })
}

/// Integers of real numbers; what is no number becomes the least.
#[inline(always)]
fn to_bytes(x: [float32x4_t; 4], affine: &Affine, limits: &Limits) -> uint8x16_t {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let (scale, least) = (vdupq_n_f32(affine.scale), vdupq_n_f32(-255.0));
        limits.bytes(four(|n| vmaxnmq_f32(vdivq_f32(x[n], scale), least)))
    }
}

/// The real numbers that bytes stand for.
#[inline(always)]
fn to_reals(x: uint8x16_t, affine: &Affine) -> [float32x4_t; 4] {
    let x = integers(x);
    // SAFETY: every 64-bit Arm processor has the instructions.
    four(|n| unsafe {
        vmulq_n_f32(
            vcvtq_f32_s32(vsubq_s32(x[n], vdupq_n_s32(affine.zero))),
            affine.scale,
        )
    })
}

/// Functions there is code for.
fn is_known(function: Pair) -> bool {
    matches!(
        function,
        Pair::Add | Pair::Sub | Pair::Mul | Pair::Div | Pair::Min | Pair::Max | Pair::PRelu
    )
}

/// A function of two elements, as the scalar tier has it.
#[inline(always)]
fn combine(function: Pair, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        match function {
            Pair::Add => four(|n| vaddq_f32(a[n], b[n])),
            Pair::Sub => four(|n| vsubq_f32(a[n], b[n])),
            Pair::Mul => four(|n| vmulq_f32(a[n], b[n])),
            Pair::Div => four(|n| vdivq_f32(a[n], b[n])),
            Pair::Min => four(|n| vminnmq_f32(a[n], b[n])),
            Pair::Max => four(|n| vmaxnmq_f32(a[n], b[n])),
            Pair::PRelu => four(|n| vbslq_f32(vcltzq_f32(a[n]), vmulq_f32(a[n], b[n]), a[n])),
            // There is no code for these: nobody comes here with them.
            _ => a,
        }
    }
}
