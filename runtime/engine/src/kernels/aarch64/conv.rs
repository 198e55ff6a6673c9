//! Convolutions and matrix products: tiles of pixels by blocks of 16 channels.

use core::arch::aarch64::*;

use super::dotprod::Dotprod;
use super::float::Float;
use super::i8mm::I8mm;
use super::lanes::four;
use super::neon::Neon;
use super::products::{Products, Runs, Start, Sums};
use super::store::{Channels, Limits, store_f32, store_rows, store_scaled, store_u8};
use crate::cpu::Tier;
use crate::kernels::pixels::{self, Cursor};
use crate::kernels::scalar::{self, Operands};
use crate::step::{Arithmetic, BLOCK, Conv, GROUP_BYTES, first_channel};

/// Most pixels of a tile.
pub(super) const MAX_PIXELS: usize = 6;
/// Most blocks whose weights are read for each tile of pixels before the next ones' are.
const MAX_BLOCKS: usize = 16;
/// Most bytes of the weights of these blocks, if they are more than one: they stay in the first cache.
const NEAR_BYTES: usize = 16 * 1024;

/// Most runs of taps of a window that there is code for.
const MAX_RUNS: usize = 64;

/// Where the pixels of a tile lie.
pub(super) type Places = pixels::Places<MAX_PIXELS>;

/// A step and its operands.
pub(super) struct Job<'a> {
    pub step: &'a Conv,
    pub operands: &'a Operands<'a>,
    pub output: *mut u8,
    /// Of an integer output.
    pub limits: Limits,
    runs: Runs<'a>,
    /// Weights of the images at hand.
    weights: *const u8,
    block_bytes: usize,
}

/// Runs a convolution that was checked, on a processor with the instructions of the tier.
pub(super) fn run(tier: Tier, step: &Conv, operands: &Operands<'_>, output: &mut [u8]) {
    let taps = &step.taps;
    let count = u64::from(taps.rows) * u64::from(taps.columns);
    if count > MAX_RUNS as u64 {
        scalar::conv(step, operands, output);
        return;
    }
    step.halo.fill(output);
    let mut offsets = [0; MAX_RUNS];
    let rows = (0..taps.rows).map(|row| row as usize * taps.row_step as usize);
    let runs = rows.flat_map(|row| {
        (0..taps.columns).map(move |column| row + column as usize * taps.column_step as usize)
    });
    for (offset, run) in offsets.iter_mut().zip(runs) {
        *offset = run;
    }
    let mut job = Job {
        step,
        operands,
        output: output.as_mut_ptr(),
        limits: Limits::new(if operands.other.is_empty() {
            &step.epilogue
        } else {
            &step.residual.epilogue
        }),
        runs: Runs {
            offsets: &offsets[..count as usize],
            groups: taps.groups as usize,
        },
        weights: operands.weights.as_ptr(),
        block_bytes: step.taps.depth().unwrap_or(0) as usize * GROUP_BYTES,
    };
    let plane = step.extent.rows as usize * step.extent.columns as usize;
    let all = step.extent.images;
    let each = if step.matrix_image == 0 { all } else { 1 };
    for image in (0..all).step_by(each as usize) {
        job.weights = operands.weights[image as usize * step.matrix_image as usize..].as_ptr();
        let (begin, pixels) = (image as usize * plane, each as usize * plane);
        match (step.arithmetic, tier) {
            (Arithmetic::F32, _) => job.run::<Float>(begin, pixels),
            (_, Tier::I8mm) => job.run::<I8mm>(begin, pixels),
            (_, Tier::Dotprod) => job.run::<Dotprod>(begin, pixels),
            _ => job.run::<Neon>(begin, pixels),
        }
    }
}

impl Job<'_> {
    /// All channels of some pixels, from the one of a number on.
    fn run<T: Products>(&self, begin: usize, pixels: usize) {
        let blocks = self.step.blocks() as usize;
        let near = (NEAR_BYTES / self.block_bytes.max(1)).clamp(1, MAX_BLOCKS);
        // SAFETY: every 64-bit Arm processor has the instruction.
        let none = unsafe { vdupq_n_s32(0) };
        let mut starts = [Start {
            sums: [none; 4],
            wide: false,
        }; MAX_BLOCKS];
        for first in (0..blocks).step_by(near) {
            let starts = &mut starts[..near.min(blocks - first)];
            for (n, start) in starts.iter_mut().enumerate() {
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that
                // the weights of its blocks lie in their slice.
                *start = unsafe { T::start(self.runs, self.weights(first + n), self.bias(first + n)) };
            }
            let mut cursor = Cursor::new(self.step, begin);
            let mut rest = pixels;
            while rest > 0 {
                let count = rest.min(T::PIXELS).min(MAX_PIXELS);
                let places = cursor.places(count);
                // SAFETY: as above, and so that the windows and outputs of its pixels lie in their slices.
                unsafe {
                    match count {
                        1 => self.tile::<T, 1>(&places, first, starts),
                        2 => self.tile::<T, 2>(&places, first, starts),
                        3 => self.tile::<T, 3>(&places, first, starts),
                        4 => self.tile::<T, 4>(&places, first, starts),
                        5 => self.tile::<T, 5>(&places, first, starts),
                        _ => self.tile::<T, 6>(&places, first, starts),
                    }
                }
                rest -= count;
            }
        }
    }

    fn weights(&self, block: usize) -> *const u8 {
        self.weights.wrapping_add(block * self.block_bytes)
    }

    /// The bias of a block.
    fn bias(&self, block: usize) -> Sums {
        let bias = self.operands.bias;
        // SAFETY: bias has an entry for each channel of the blocks.
        unsafe {
            if bias.is_empty() {
                return [vdupq_n_s32(0); 4];
            }
            let from = bias.as_ptr().add(block * GROUP_BYTES);
            four(|n| vreinterpretq_s32_u8(vld1q_u8(from.add(n * 16))))
        }
    }

    /// The sums of `P` pixels and some blocks, and their outputs.
    ///
    /// # Safety
    /// The processor has the instructions; the windows at `places`, the weights of the blocks and the outputs lie in
    /// the operands.
    #[inline(never)]
    unsafe fn tile<T: Products, const P: usize>(&self, places: &Places, first: usize, starts: &[Start]) {
        let all = self.step.channels as usize;
        let mut windows = [self.operands.input.as_ptr(); P];
        for (window, at) in windows.iter_mut().zip(places.input) {
            *window = window.wrapping_add(at);
        }
        for (n, start) in starts.iter().enumerate() {
            let block = first + n;
            let channels = Channels {
                table: block * GROUP_BYTES,
                first: first_channel(block, all),
                count: all.min(BLOCK),
            };
            // SAFETY: as for this function.
            unsafe {
                // The last block may repeat channels of the one before; whole tiles leave half of them out.
                if P == T::PIXELS && block * BLOCK >= channels.first + BLOCK / 2 {
                    self.block::<T, P, 2>(places, windows, &channels, start);
                } else {
                    self.block::<T, P, 0>(places, windows, &channels, start);
                }
            }
        }
    }

    /// As [`Job::tile`] for one block, the first `FROM` times four channels left out.
    ///
    /// # Safety
    /// As [`Job::tile`].
    #[inline(always)]
    unsafe fn block<T: Products, const P: usize, const FROM: usize>(
        &self,
        places: &Places,
        windows: [*const u8; P],
        channels: &Channels,
        start: &Start,
    ) {
        let weights = self.weights(channels.table / GROUP_BYTES);
        // SAFETY: as for this function; channels that are not there are left out.
        unsafe {
            let sums = T::sums::<P, FROM>(self.runs, windows, weights, start);
            match self.step.arithmetic {
                Arithmetic::F32 => store_f32::<P, FROM>(self, places, channels, sums),
                Arithmetic::U8ToF32 => store_scaled::<P, FROM>(self, places, channels, sums),
                Arithmetic::U8ToU8 => store_u8::<P, FROM>(self, places, channels, sums),
                Arithmetic::RowsToF32 => store_rows::<P, FROM>(self, places, channels, sums),
            }
        }
    }
}
