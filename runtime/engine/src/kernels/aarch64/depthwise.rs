//! Convolutions of each channel alone: 16 channels of some pixels at a time.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::aarch64::*;

use super::lanes::{Limits, Simd, four};
use super::products::Sums;
use crate::kernels::scalar;
use crate::kernels::sixteen::{Lanes, limits, table};
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
    let all = step.channels as usize;
    for block in 0..all.div_ceil(BLOCK) {
        let mut job = Job {
            step,
            input: input.as_ptr(),
            output: output.as_mut_ptr(),
            offsets: &offsets[..taps],
            first: first_channel(block, all),
            count: all.min(BLOCK),
            limits: limits(Simd, &step.epilogue),
            // SAFETY: every 64-bit Arm processor has the instruction.
            start: unsafe { [vdupq_n_s32(0); 4] },
            // SAFETY: as above.
            scale: unsafe { [vdupq_n_f32(1.0); 4] },
            float: &[],
            // SAFETY: as above.
            taps: unsafe { [[vdupq_n_s16(0); 2]; MAX_TAPS] },
        };
        // SAFETY: the step was checked, so that weights, bias and scale have an entry for each channel of the blocks.
        unsafe { job.read(block, constants) };
        for image in 0..step.extent.images {
            for row in 0..step.extent.rows {
                job.row(image, row);
            }
        }
    }
}

/// First bytes of the windows and of the outputs of some pixels, first channel of the block.
#[derive(Default)]
struct Places {
    input: [usize; PIXELS],
    output: [usize; PIXELS],
}

/// A block of channels of a step, and its operands.
struct Job<'a> {
    step: &'a Depthwise,
    input: *const u8,
    output: *mut u8,
    /// Of the taps of a window.
    offsets: &'a [usize],
    /// First channel.
    first: usize,
    /// Channels.
    count: usize,
    limits: Limits,
    /// Bias.
    start: Sums,
    scale: [float32x4_t; 4],
    /// Weights of `f32`.
    float: &'a [u8],
    /// Weights of integers: of each tap, 16 channels.
    taps: [[int16x8_t; 2]; MAX_TAPS],
}

impl<'a> Job<'a> {
    /// Reads weights, bias and scale of a block.
    ///
    /// # Safety
    /// They have entries for it.
    unsafe fn read(&mut self, block: usize, [weights, bias, scale]: [&'a [u8]; 3]) {
        let table_at = block * GROUP_BYTES;
        // SAFETY: as for this function.
        unsafe {
            if !bias.is_empty() {
                let from = table(Simd, bias, table_at);
                self.start = four(|n| vreinterpretq_s32_f32(from[n]));
            }
            if self.step.arithmetic == Arithmetic::F32 {
                self.float = &weights[block * self.offsets.len() * GROUP_BYTES..];
                return;
            }
            self.scale = table(Simd, scale, table_at);
            let groups = self.offsets.len().div_ceil(4);
            for group in 0..groups {
                // Each register has a tap of all channels.
                let w = vld4q_s8(
                    weights
                        .as_ptr()
                        .add((block * groups + group) * GROUP_BYTES)
                        .cast(),
                );
                for (to, w) in self.taps[group * 4..].iter_mut().zip([w.0, w.1, w.2, w.3]) {
                    *to = [vmovl_s8(vget_low_s8(w)), vmovl_high_s8(w)];
                }
            }
        }
    }

    /// The pixels of a row.
    fn row(&self, image: u32, row: u32) {
        let step = self.step;
        let columns = step.extent.columns as usize;
        let size = if step.arithmetic == Arithmetic::F32 { 4 } else { 1 };
        let at = step.input_grid.at(image, row, 0) + self.first * size;
        let out = step.output_grid.at(image, row, 0);
        let next = step.input_grid.column as usize;
        let is_slid = step.column_step as usize == next && step.kernel_columns == 3 && columns >= PIXELS;
        for first in (0..columns).step_by(PIXELS) {
            // The last pixels of a row are made again where fewer than a whole number are left.
            let first = first.min(columns.saturating_sub(PIXELS));
            let mut places = Places::default();
            for n in 0..PIXELS {
                let column = (first + n).min(columns - 1);
                places.input[n] = at + column * next;
                places.output[n] = out + column * step.output_grid.column as usize;
            }
            // SAFETY: the step was checked, so that whole blocks of channels of each tap lie in the input.
            unsafe {
                let sums = match step.arithmetic {
                    Arithmetic::F32 => self.sums_f32(&places),
                    _ if is_slid => self.sums_slid(places.input[0]),
                    _ => self.sums_u8(&places),
                };
                self.store(&places, sums);
            }
        }
    }

    /// Outputs of some pixels.
    ///
    /// # Safety
    /// They lie in the output.
    #[inline(always)]
    unsafe fn store(&self, places: &Places, sums: [Sums; PIXELS]) {
        let epilogue = &self.step.epilogue;
        // SAFETY: as for this function.
        unsafe {
            if self.step.arithmetic == Arithmetic::U8ToU8 {
                for n in 0..PIXELS {
                    let to = self.output.add(places.output[n] + self.first);
                    let y = Simd.mul(Simd.to_reals(sums[n]), self.scale);
                    Simd.store_bytes(to, Simd.to_bytes(y, self.limits), self.count);
                }
                return;
            }
            let (low, high) = (vdupq_n_f32(epilogue.low), vdupq_n_f32(epilogue.high));
            for n in 0..PIXELS {
                let y = if self.step.arithmetic == Arithmetic::F32 {
                    four(|q| vreinterpretq_f32_s32(sums[n][q]))
                } else {
                    Simd.mul(Simd.to_reals(sums[n]), self.scale)
                };
                let y = four(|q| vminnmq_f32(vmaxnmq_f32(y[q], low), high));
                let to = self.output.add(places.output[n] + self.first * 4);
                Simd.store(to.cast(), y, self.count);
            }
        }
    }

    /// Sums of integers.
    ///
    /// # Safety
    /// Whole blocks of channels of each tap lie in the input.
    #[inline(always)]
    unsafe fn sums_u8(&self, places: &Places) -> [Sums; PIXELS] {
        let mut sums = [self.start; PIXELS];
        for (&offset, &weights) in self.offsets.iter().zip(&self.taps) {
            for n in 0..PIXELS {
                // SAFETY: as for this function.
                let x = unsafe { widened(self.input.add(places.input[n] + offset)) };
                sums[n] = add(sums[n], weights, x);
            }
        }
        sums
    }

    /// Sums of integers of pixels whose windows are three columns wide and overlap: every column is read once.
    ///
    /// # Safety
    /// As [`Job::sums_u8`], from the first pixel's window on.
    #[inline(always)]
    unsafe fn sums_slid(&self, at: usize) -> [Sums; PIXELS] {
        let step = self.step;
        let mut sums = [self.start; PIXELS];
        for (row, weights) in self.taps[..self.offsets.len()]
            .as_chunks::<3>()
            .0
            .iter()
            .enumerate()
        {
            let from = self.input.wrapping_add(at + row * step.row_step as usize);
            let [first, second, third] = *weights;
            // SAFETY: as for this function.
            let column = |n: usize| unsafe { widened(from.add(n * step.column_step as usize)) };
            let x = column(0);
            sums[0] = add(sums[0], first, x);
            let x = column(1);
            sums[0] = add(sums[0], second, x);
            sums[1] = add(sums[1], first, x);
            for n in 2..PIXELS {
                let x = column(n);
                sums[n - 2] = add(sums[n - 2], third, x);
                sums[n - 1] = add(sums[n - 1], second, x);
                sums[n] = add(sums[n], first, x);
            }
            let x = column(PIXELS);
            sums[PIXELS - 2] = add(sums[PIXELS - 2], third, x);
            sums[PIXELS - 1] = add(sums[PIXELS - 1], second, x);
            sums[PIXELS - 1] = add(sums[PIXELS - 1], third, column(PIXELS + 1));
        }
        sums
    }

    /// Sums of `f32`.
    ///
    /// # Safety
    /// As [`Job::sums_u8`].
    #[inline(always)]
    unsafe fn sums_f32(&self, places: &Places) -> [Sums; PIXELS] {
        let mut sums = [self.start; PIXELS];
        for (tap, offset) in self.offsets.iter().enumerate() {
            // SAFETY: as for this function; there are weights for each tap.
            unsafe {
                let w = table(Simd, self.float, tap * GROUP_BYTES);
                for n in 0..PIXELS {
                    let from = self.input.add(places.input[n] + offset).cast::<f32>();
                    let before = sums[n];
                    sums[n] = four(|q| {
                        let sum = vreinterpretq_f32_s32(before[q]);
                        vreinterpretq_s32_f32(vfmaq_f32(sum, vld1q_f32(from.add(q * 4)), w[q]))
                    });
                }
            }
        }
        sums
    }
}

/// 16 bytes as integers of twice their width.
///
/// # Safety
/// They may be read.
#[inline(always)]
unsafe fn widened(from: *const u8) -> [int16x8_t; 2] {
    // SAFETY: as for this function.
    unsafe {
        let x = vld1q_u8(from);
        [
            vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x))),
            vreinterpretq_s16_u16(vmovl_high_u8(x)),
        ]
    }
}

/// Adds the products of 16 channels.
#[inline(always)]
fn add(sums: Sums, weights: [int16x8_t; 2], x: [int16x8_t; 2]) -> Sums {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        [
            vmlal_s16(sums[0], vget_low_s16(weights[0]), vget_low_s16(x[0])),
            vmlal_high_s16(sums[1], weights[0], x[0]),
            vmlal_s16(sums[2], vget_low_s16(weights[1]), vget_low_s16(x[1])),
            vmlal_high_s16(sums[3], weights[1], x[1]),
        ]
    }
}
