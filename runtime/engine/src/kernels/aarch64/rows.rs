//! Rows that are quantized as they come.

use core::arch::aarch64::*;

use super::functions::function_run;
use super::lanes::{four, load_floats, store_bytes};
use crate::kernels::{floats, floats_mut, for_each_run, is_vectorised};
use crate::step::{Function, QuantizeRows, ROW_ZERO};

/// Elements at a time.
const LANES: usize = 16;
/// Least scale whose reciprocal is as precise as any.
const LEAST_SCALE: f32 = 1e-30;
/// From this distance to the nearest integer on, a product with the reciprocal may round to another integer than the
/// quotient: both differ by less than 3e-5 for quotients up to 127.
const NEAR_TIE: f32 = 0.4999;

/// Quantizes rows of a step that was checked; `false` where there is no code for the function, and nothing has run.
pub(super) fn quantize(step: &QuantizeRows, input: &[u8], output: &mut [u8]) -> bool {
    if step.function != Function::Identity && !is_vectorised(step.function) {
        return false;
    }
    let input = floats(input);
    let (length, row_bytes) = (step.length as usize, step.row_bytes as usize);
    let next = step.input.strides[5] as usize;
    let (output, scratch) = output.split_at_mut(step.scratch as usize);
    let (integers, scales) = output.split_at_mut(step.scales as usize);
    let scales = floats_mut(scales);
    let scratch = floats_mut(scratch);
    let mut row = 0;
    for_each_run(&step.dims, [&step.input], |[from]| {
        for n in 0..step.dims[5] as usize {
            let x = &input[from + n * next..][..length];
            let integers = &mut integers[row * row_bytes..][..row_bytes];
            let x = if step.function == Function::Identity {
                x
            } else {
                let made = &mut scratch[..length];
                function_run(step.function, [step.alpha, step.beta], x, made);
                made
            };
            scales[row] = quantize_row(x, integers);
            row += 1;
        }
    });
    true
}

/// Quantizes a row, of as many integers as elements at least; returns its scale.
fn quantize_row(x: &[f32], integers: &mut [u8]) -> f32 {
    let scale = greatest(x) / 127.0;
    let (used, padding) = integers.split_at_mut(x.len());
    padding.fill(ROW_ZERO as u8);
    if scale == 0.0 {
        used.fill(ROW_ZERO as u8);
        return scale;
    }
    let divisor = Divisor {
        scale,
        factor: 1.0 / scale,
        exact: scale < LEAST_SCALE,
    };
    let (whole, rest) = x.as_chunks::<LANES>();
    let (to, to_rest) = used.as_chunks_mut::<LANES>();
    for (x, to) in whole.iter().zip(to) {
        // SAFETY: both have as many elements.
        unsafe {
            let q = divisor.quantized(load_floats(x.as_ptr(), LANES));
            vst1q_u8(to.as_mut_ptr(), q);
        }
    }
    // SAFETY: both have as many elements.
    unsafe {
        let q = divisor.quantized(load_floats(rest.as_ptr(), rest.len()));
        store_bytes(to_rest.as_mut_ptr(), q, rest.len());
    }
    scale
}

/// The greatest magnitude.
#[inline(always)]
fn greatest(x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    // SAFETY: every 64-bit Arm processor has the instructions; chunks have as many elements.
    let most = unsafe {
        let mut most = [vdupq_n_f32(0.0); 4];
        for x in whole {
            let x = load_floats(x.as_ptr(), LANES);
            // What is no number is passed over.
            most = four(|n| vmaxnmq_f32(most[n], vabsq_f32(x[n])));
        }
        vmaxnmvq_f32(vmaxnmq_f32(
            vmaxnmq_f32(most[0], most[1]),
            vmaxnmq_f32(most[2], most[3]),
        ))
    };
    rest.iter().fold(most, |most, x| most.max(x.abs()))
}

/// The scale of a row.
struct Divisor {
    scale: f32,
    factor: f32,
    /// Whether only the quotient will do.
    exact: bool,
}

impl Divisor {
    /// 16 integers of a row.
    #[inline(always)]
    fn quantized(&self, x: [float32x4_t; 4]) -> uint8x16_t {
        // SAFETY: every 64-bit Arm processor has the instructions.
        unsafe {
            let product = four(|n| vmulq_n_f32(x[n], self.factor));
            let distance = four(|n| vabdq_f32(product[n], vrndnq_f32(product[n])));
            let most = vmaxq_f32(
                vmaxq_f32(distance[0], distance[1]),
                vmaxq_f32(distance[2], distance[3]),
            );
            let most = vmaxvq_f32(most);
            // What is no number takes the exact way too.
            let quotient = if most <= NEAR_TIE && !self.exact {
                product
            } else {
                let (low, high) = (vdupq_n_f32(-127.0), vdupq_n_f32(127.0));
                four(|n| vminq_f32(vmaxq_f32(vdivq_f32(x[n], vdupq_n_f32(self.scale)), low), high))
            };
            // No number becomes 0.
            let [a, b, c, d] = four(|n| vcvtnq_s32_f32(quotient[n]));
            let low = vqmovn_high_s32(vqmovn_s32(a), b);
            let high = vqmovn_high_s32(vqmovn_s32(c), d);
            let bytes = vqmovn_high_s16(vqmovn_s16(low), high);
            veorq_u8(vreinterpretq_u8_s8(bytes), vdupq_n_u8(ROW_ZERO as u8))
        }
    }
}
