//! Convolutions of each channel alone: 16 channels of some pixels at a time.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::aarch64::*;

use super::lanes::{four, store_bytes, store_floats};
use super::products::Sums;
use super::store::{Limits, scaled, table};
use crate::kernels::scalar;
use crate::step::{Arithmetic, BLOCK, Depthwise, GROUP_BYTES, first_channel};

/// Most taps of a window that there is code for.
const MAX_TAPS: usize = 64;
/// Pixels at a time.
const PIXELS: usize = 4;

/// Runs a depthwise convolution that was checked; constants are weights, bias and scale.
pub(super) fn run(step: &Depthwise, input: &[u8], constants: [&[u8]; 3], output: &mut [u8]) {
    let taps = step.taps().unwrap_or(0) as usize;
    if taps > MAX_TAPS {
        scalar::depthwise(step, input, constants, output);
        return;
    }
    step.halo.fill(output);
    let mut offsets = [0usize; MAX_TAPS];
    for (tap, offset) in offsets[..taps].iter_mut().enumerate() {
        let columns = step.kernel_columns as usize;
        *offset = tap / columns * step.row_step as usize + tap % columns * step.column_step as usize;
    }
    let job = Job {
        step,
        input: input.as_ptr(),
        constants,
        output: output.as_mut_ptr(),
        offsets: &offsets[..taps],
    };
    let columns = step.extent.columns as usize;
    for image in 0..step.extent.images {
        for row in 0..step.extent.rows {
            let (at, out) = (
                step.input_grid.at(image, row, 0),
                step.output_grid.at(image, row, 0),
            );
            for first in (0..columns).step_by(PIXELS) {
                // The last pixels of a row are made again where fewer than a whole number are left.
                let first = first.min(columns.saturating_sub(PIXELS));
                let mut places = Places::default();
                for n in 0..PIXELS {
                    let column = (first + n).min(columns - 1);
                    places.input[n] = at + column * step.input_grid.column as usize;
                    places.output[n] = out + column * step.output_grid.column as usize;
                }
                // SAFETY: the step was checked, so that whole blocks of channels of each tap lie in the input.
                unsafe { job.pixels(&places) };
            }
        }
    }
}

/// First bytes of the windows and of the outputs of some pixels.
#[derive(Default)]
struct Places {
    input: [usize; PIXELS],
    output: [usize; PIXELS],
}

/// A step and its operands.
struct Job<'a> {
    step: &'a Depthwise,
    input: *const u8,
    constants: [&'a [u8]; 3],
    output: *mut u8,
    /// Of the taps of a window.
    offsets: &'a [usize],
}

impl Job<'_> {
    /// All channels of some pixels.
    ///
    /// # Safety
    /// Whole blocks of channels of each tap lie in the input, the channels in the output.
    unsafe fn pixels(&self, places: &Places) {
        let step = self.step;
        let all = step.channels as usize;
        let [_, bias, scale] = self.constants;
        for block in 0..all.div_ceil(BLOCK) {
            let (first, count) = (first_channel(block, all), all.min(BLOCK));
            // SAFETY: as for this function; bias and scale have an entry for each channel of the blocks.
            unsafe {
                let mut start = [vdupq_n_s32(0); 4];
                if !bias.is_empty() {
                    let from = table(bias, block * GROUP_BYTES);
                    start = four(|n| vreinterpretq_s32_f32(from[n]));
                }
                if step.arithmetic == Arithmetic::F32 {
                    let sums = self.sums_f32(places, block, start);
                    for n in 0..PIXELS {
                        let y = four(|q| vreinterpretq_f32_s32(sums[n][q]));
                        self.store_f32(places.output[n] + first * 4, y, count);
                    }
                    continue;
                }
                let sums = self.sums_u8(places, block, start);
                let scale = table(scale, block * GROUP_BYTES);
                let limits = Limits::new(&step.epilogue);
                for n in 0..PIXELS {
                    let y = scaled(sums[n], scale);
                    if step.arithmetic == Arithmetic::U8ToU8 {
                        let to = self.output.add(places.output[n] + first);
                        store_bytes(to, limits.bytes(y), count);
                    } else {
                        self.store_f32(places.output[n] + first * 4, y, count);
                    }
                }
            }
        }
    }

    /// Limits and stores `f32`.
    ///
    /// # Safety
    /// They lie in the output.
    #[inline(always)]
    unsafe fn store_f32(&self, at: usize, y: [float32x4_t; 4], count: usize) {
        let epilogue = &self.step.epilogue;
        // SAFETY: as for this function.
        unsafe {
            let (low, high) = (vdupq_n_f32(epilogue.low), vdupq_n_f32(epilogue.high));
            let y = four(|n| vminnmq_f32(vmaxnmq_f32(y[n], low), high));
            store_floats(self.output.add(at).cast(), y, count);
        }
    }

    /// Sums of integers.
    ///
    /// # Safety
    /// As [`Job::pixels`].
    #[inline(always)]
    unsafe fn sums_u8(&self, places: &Places, block: usize, start: Sums) -> [Sums; PIXELS] {
        let first = first_channel(block, self.step.channels as usize);
        let groups = self.offsets.len().div_ceil(4);
        let mut weights = self.constants[0]
            .as_ptr()
            .wrapping_add(block * groups * GROUP_BYTES);
        let mut sums = [start; PIXELS];
        for offsets in self.offsets.chunks(4) {
            // SAFETY: as for this function; there is a group of weights for each four taps.
            unsafe {
                // Each register has a tap of all channels.
                let w = vld4q_s8(weights.cast());
                weights = weights.add(GROUP_BYTES);
                let w = [w.0, w.1, w.2, w.3];
                for (offset, w) in offsets.iter().zip(w) {
                    let (low, high) = (vmovl_s8(vget_low_s8(w)), vmovl_high_s8(w));
                    for n in 0..PIXELS {
                        let x = vld1q_u8(self.input.add(places.input[n] + first + offset));
                        let x_low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x)));
                        let x_high = vreinterpretq_s16_u16(vmovl_high_u8(x));
                        let [a, b, c, d] = sums[n];
                        sums[n] = [
                            vmlal_s16(a, vget_low_s16(low), vget_low_s16(x_low)),
                            vmlal_high_s16(b, low, x_low),
                            vmlal_s16(c, vget_low_s16(high), vget_low_s16(x_high)),
                            vmlal_high_s16(d, high, x_high),
                        ];
                    }
                }
            }
        }
        sums
    }

    /// Sums of `f32`.
    ///
    /// # Safety
    /// As [`Job::pixels`].
    #[inline(always)]
    unsafe fn sums_f32(&self, places: &Places, block: usize, start: Sums) -> [Sums; PIXELS] {
        let first = first_channel(block, self.step.channels as usize);
        let mut sums = [start; PIXELS];
        for (tap, offset) in self.offsets.iter().enumerate() {
            // SAFETY: as for this function; there are weights for each tap.
            unsafe {
                let w = table(
                    self.constants[0],
                    (block * self.offsets.len() + tap) * GROUP_BYTES,
                );
                for n in 0..PIXELS {
                    let from = self.input.add(places.input[n] + offset + first * 4);
                    let from = from.cast::<f32>();
                    sums[n] = four(|q| {
                        let sum = vreinterpretq_f32_s32(sums[n][q]);
                        vreinterpretq_s32_f32(vfmaq_f32(sum, vld1q_f32(from.add(q * 4)), w[q]))
                    });
                }
            }
        }
        sums
    }
}
