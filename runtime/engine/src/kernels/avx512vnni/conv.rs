//! Convolutions and matrix products: tiles of pixels by blocks of 16 channels, all sums in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::lines;
use super::residual::Added;
use super::store::{Requantized, Rounding, is_wide, last_epilogue, store_f32, store_scaled, store_u8};
use crate::kernels::pixels::{self, Cursor};
use crate::kernels::scalar::Operands;
use crate::step::{Arithmetic, Conv, GROUP_BYTES};

/// Most pixels of a tile.
const MAX_PIXELS: usize = 12;
/// Weights above this many bytes are read once, the pixels for each of their parts.
const STREAMED_BYTES: usize = 256 * 1024;
/// Weights above this many bytes too, if the pixels are fewer bytes.
const LEAST_STREAMED_BYTES: usize = 32 * 1024;
/// Groups of taps between two runs of fetches.
const FETCHED_GROUPS: u32 = 16;
/// Bytes that the processor fetches at a time.
const LINE: usize = 64;

/// Where the pixels of a tile lie.
pub(super) type Places = pixels::Places<MAX_PIXELS>;

/// A step and its operands.
pub(super) struct Job<'a> {
    pub step: &'a Conv,
    pub operands: &'a Operands<'a>,
    pub output: *mut u8,
    /// Whether a whole register may be stored at each pixel.
    pub wide: bool,
    pub rounding: Rounding,
    pub added: Added,
    /// Weights of the images at hand.
    pub weights: *const u8,
    pub block_bytes: usize,
}

/// Weights that are fetched while a tile is computed: some lines for each group of taps.
#[derive(Clone, Copy)]
struct Ahead {
    from: *const u8,
    lines: usize,
}

impl Ahead {
    /// Nothing to fetch.
    const NONE: Self = Self {
        from: core::ptr::null(),
        lines: 0,
    };

    /// Fetches the lines for some groups of taps.
    #[inline]
    fn fetch(&mut self, groups: u32) {
        for _ in 0..self.lines * groups as usize {
            // SAFETY: fetching is allowed at any address, and every x86-64 processor can.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(self.from.cast()) };
            self.from = self.from.wrapping_add(LINE);
        }
    }
}

/// Sizes of tiles, in pixels, that there is code for.
const SIZES: [usize; 8] = [1, 2, 3, 4, 6, 8, 9, MAX_PIXELS];

/// Runs a convolution that was checked, on a processor with the instructions.
pub(super) fn run(step: &Conv, operands: &Operands<'_>, output: &mut [u8]) {
    step.halo.fill(output);
    let mut job = Job {
        step,
        operands,
        output: output.as_mut_ptr(),
        wide: is_wide(step, output.len()),
        rounding: Rounding::new(step.arithmetic, last_epilogue(step), operands.scale),
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
        added: unsafe { Added::new(step, operands.other) },
        weights: operands.weights.as_ptr(),
        block_bytes: step.taps.depth().unwrap_or(0) as usize * GROUP_BYTES,
    };
    let plane = step.extent.rows as usize * step.extent.columns as usize;
    if step.matrix_image == 0 {
        run_pixels(&job, 0, plane * step.extent.images as usize);
        return;
    }
    for image in 0..step.extent.images as usize {
        job.weights = operands.weights[image * step.matrix_image as usize..].as_ptr();
        run_pixels(&job, image * plane, (image + 1) * plane);
    }
}

fn run_pixels(job: &Job<'_>, begin: usize, end: usize) {
    let blocks = job.step.blocks() as usize;
    let width = (job.step.tile_blocks as usize).min(4);
    let most = (job.step.tile_pixels as usize).min(end - begin);
    let size = SIZES.into_iter().rev().find(|&size| size <= most).unwrap_or(1);
    let bytes = blocks * job.block_bytes;
    let least = LEAST_STREAMED_BYTES.max(job.operands.input.len());
    let streamed = bytes > STREAMED_BYTES.min(least);
    if !streamed && end - begin == job.step.extent.pixels() as usize && lines::run(job) {
        return;
    }
    let groups = (job.block_bytes / GROUP_BYTES).max(1);
    // Parts of the weights outside, tiles of pixels inside; or all weights for each tile.
    let part = if streamed { width } else { blocks };
    for from in (0..blocks).step_by(part) {
        let to = (from + part).min(blocks);
        // The next part's weights are fetched in slices, one for each tile of pixels of this part.
        let next = (to + part).min(blocks).saturating_sub(to) * job.block_bytes;
        let lines = next
            .div_ceil(LINE)
            .div_ceil((end - begin).div_ceil(size))
            .div_ceil(groups);
        let mut fetched = 0;
        let mut first = begin;
        let mut cursor = Cursor::new(job.step, begin);
        while first < end {
            let rest = end - first;
            // The last tile may be smaller; one that is still too large begins earlier and makes some pixels twice.
            let size = match SIZES.into_iter().find(|&size| size >= rest) {
                Some(smaller) if smaller <= size => smaller,
                _ => size,
            };
            let start = first.min(end.saturating_sub(size)).max(begin);
            if start != first {
                cursor = Cursor::new(job.step, start);
            }
            let places = cursor.places(size);
            let ahead = if fetched < next {
                // The next part lies behind this one.
                Ahead {
                    from: job.weights.wrapping_add(to * job.block_bytes + fetched),
                    lines,
                }
            } else {
                Ahead::NONE
            };
            fetched += lines * groups * LINE;
            for block in (from..to).step_by(width) {
                run_tile(job, &places, ahead, block, size, width.min(to - block));
            }
            first = start + size;
        }
    }
}

/// Integers that are requantized.
const BYTES: u8 = 0;
/// Integers that are scaled to `f32`.
const SCALED: u8 = 1;
/// `f32` throughout.
const REALS: u8 = 2;

/// Calls the code for a size of tile.
fn run_tile(job: &Job<'_>, places: &Places, ahead: Ahead, block: usize, pixels: usize, blocks: usize) {
    macro_rules! sizes {
        ($($pixels:literal $blocks:literal,)*) => {
            match (pixels, blocks, job.step.arithmetic) {
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that
                // the windows and outputs of its pixels and the weights of its blocks lie in their slices.
                $(
                    ($pixels, $blocks, Arithmetic::U8ToU8) => unsafe {
                        tile::<$pixels, $blocks, BYTES>(job, places, ahead, block);
                    },
                    ($pixels, $blocks, Arithmetic::F32) => unsafe {
                        tile::<$pixels, $blocks, REALS>(job, places, ahead, block);
                    },
                    ($pixels, $blocks, Arithmetic::RowsToF32 | Arithmetic::U8ToF32) => unsafe {
                        tile::<$pixels, $blocks, SCALED>(job, places, ahead, block);
                    },
                )*
                // Wider tiles than there is code for are cut.
                (_, 1, _) => {
                    for n in 0..pixels {
                        let one = Places {
                            input: [places.input[n]; MAX_PIXELS],
                            output: [places.output[n]; MAX_PIXELS],
                            other: [places.other[n]; MAX_PIXELS],
                            scales: places.scales + n * 4,
                        };
                        run_tile(job, &one, ahead, block, 1, 1);
                    }
                }
                _ => (0..blocks).for_each(|n| run_tile(job, places, ahead, block + n, pixels, 1)),
            }
        };
    }
    sizes!(
        1 1, 1 2, 1 3, 1 4, 2 1, 2 2, 2 3, 2 4, 3 1, 3 2, 3 3, 3 4, 4 1, 4 2, 4 3, 4 4, 6 1, 6 2, 6 3, 6 4,
        8 1, 8 2, 8 3, 9 1, 9 2, 12 1, 12 2,
    );
}

/// The sums of `P` pixels and `N` blocks, and their outputs.
///
/// # Safety
/// The processor has the instructions; the windows at `places`, the weights of `N` blocks from `block` on and the
/// outputs lie in the operands of the job.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn tile<const P: usize, const N: usize, const KIND: u8>(
    job: &Job<'_>,
    places: &Places,
    ahead: Ahead,
    block: usize,
) {
    // SAFETY: as for this function.
    let sums = unsafe { sums::<P, N, KIND>(job, places, ahead, block) };
    // SAFETY: as for this function. Each has one caller for a size of tile and becomes part of it: the sums stay in
    // registers.
    unsafe {
        match KIND {
            BYTES => store_u8(job, places, &Requantized::<N>::new(job, block), sums),
            SCALED => store_scaled::<P, N>(job, places, block, sums),
            _ => store_f32::<P, N>(job, places, block, sums),
        }
    }
}

/// The sums of `P` pixels and `N` blocks.
///
/// They are never seen by reference here, so that they stay in registers.
///
/// # Safety
/// As [`tile`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn sums<const P: usize, const N: usize, const KIND: u8>(
    job: &Job<'_>,
    places: &Places,
    mut ahead: Ahead,
    block: usize,
) -> [[__m512i; N]; P] {
    let taps = &job.step.taps;
    let mut sums = [[_mm512_setzero_si512(); N]; P];
    if !job.operands.bias.is_empty() {
        for n in 0..N {
            // SAFETY: bias has an entry for each channel of the blocks.
            let bias = unsafe {
                _mm512_loadu_si512(job.operands.bias.as_ptr().add((block + n) * GROUP_BYTES).cast())
            };
            for p in 0..P {
                sums[p][n] = bias;
            }
        }
    }
    let input = job.operands.input.as_ptr();
    // SAFETY: the blocks' weights are there.
    let mut weights = unsafe { job.weights.add(block * job.block_bytes) };
    let mut at = [0usize; P];
    at.copy_from_slice(&places.input[..P]);
    for row in 0..taps.rows as usize {
        for column in 0..taps.columns as usize {
            // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
            unsafe {
                let mut run = input.add(row * taps.row_step as usize + column * taps.column_step as usize);
                let mut rest = taps.groups;
                while rest > 0 {
                    // Fetching in the innermost loop would take registers from the sums.
                    let part = rest.min(FETCHED_GROUPS);
                    ahead.fetch(part);
                    rest -= part;
                    for _ in 0..part {
                        let mut w = [_mm512_setzero_si512(); N];
                        for (n, w) in w.iter_mut().enumerate() {
                            *w = _mm512_loadu_si512(weights.add(n * job.block_bytes).cast());
                        }
                        for p in 0..P {
                            let x = _mm512_set1_epi32(run.add(at[p]).cast::<i32>().read_unaligned());
                            for n in 0..N {
                                sums[p][n] = if KIND == REALS {
                                    _mm512_castps_si512(_mm512_fmadd_ps(
                                        _mm512_castsi512_ps(x),
                                        _mm512_castsi512_ps(w[n]),
                                        _mm512_castsi512_ps(sums[p][n]),
                                    ))
                                } else {
                                    _mm512_dpbusd_epi32(sums[p][n], x, w[n])
                                };
                            }
                        }
                        weights = weights.add(GROUP_BYTES);
                        run = run.add(4);
                    }
                }
            }
        }
    }
    sums
}
