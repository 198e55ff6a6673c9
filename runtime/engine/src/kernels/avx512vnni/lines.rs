//! Convolutions to `u8` along rows of pixels: what tiles have in common is kept from one to the next.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::conv::Job;
use super::halves;
use super::lanes::opaque;
use super::store::{Pixels, Requantized, store_u8};
use crate::span::{Extent, Grid};
use crate::step::{Arithmetic, Conv, GROUP_BYTES};

/// Pixels whose windows are found from one address.
pub(super) const NEAR: usize = 4;
/// Cycles that a tile of a line takes beside its products and stores.
const IN_LINE: usize = 20;
/// As [`IN_LINE`], of a tile whose pixels are found one by one.
const SINGLE: usize = 80;
/// Cycles before the first tile of a line.
const LINE: usize = 70;
/// Cycles that storing a register of sums takes.
const STORING: usize = 4;

/// Tiles that there is code for: pixels and blocks.
const TILES: [(usize, usize); 5] = [(12, 1), (16, 1), (8, 2), (12, 2), (6, 4)];

/// Cycles that tiles take, by their number, pixels, blocks and groups of taps, and those around each.
fn cycles(tiles: usize, (pixels, blocks): (usize, usize), depth: usize, around: usize) -> usize {
    let loads = pixels + blocks;
    tiles * ((pixels * blocks).max(loads) * depth + pixels * blocks * STORING + around)
}

/// Pixels of a row at equal distances.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub input: usize,
    output: usize,
    other: usize,
    /// Bytes from a pixel to the next, in the order of the fields above.
    pub steps: [usize; 3],
}

impl Line {
    /// From a pixel on.
    #[inline(always)]
    pub fn from(self, pixel: usize) -> Self {
        let [input, output, other] = self.steps;
        Self {
            input: self.input + pixel * input,
            output: self.output + pixel * output,
            other: self.other + pixel * other,
            ..self
        }
    }
}

impl Pixels for Line {
    #[inline(always)]
    fn output(&self, pixel: usize) -> usize {
        self.output + pixel * self.steps[1]
    }

    #[inline(always)]
    fn other(&self, pixel: usize) -> usize {
        self.other + pixel * self.steps[2]
    }

    #[inline(always)]
    fn apart(&self) -> Option<usize> {
        Some(self.steps[1])
    }
}

/// The pixels of a step as few long rows: those whose distances stay the same from a row or image to the next are one.
fn joined(step: &Conv) -> Extent {
    let Extent {
        images,
        rows,
        columns,
    } = step.extent;
    let mut grids = [step.input_grid, step.output_grid, step.residual.grid];
    if step.residual.other.is_empty() {
        grids[2] = grids[1];
    }
    let even = |count: u32, far: fn(&Grid) -> u32, pixels: u32| {
        let same = |grid: &Grid| u64::from(far(grid)) == u64::from(grid.column) * u64::from(pixels);
        count == 1 || grids.iter().all(same)
    };
    // The output has a place for each pixel: their number fits.
    if even(rows, |grid| grid.row, columns) {
        if even(images, |grid| grid.image, rows * columns) {
            return Extent {
                images: 1,
                rows: 1,
                columns: images * rows * columns,
            };
        }
        return Extent {
            images,
            rows: 1,
            columns: rows * columns,
        };
    }
    step.extent
}

/// Runs a step that was checked on a processor with the instructions; `false` where single tiles are better, and
/// nothing has run.
pub(super) fn run(job: &Job<'_>) -> bool {
    let step = job.step;
    let extent = joined(step);
    let (columns, blocks) = (extent.columns as usize, step.blocks() as usize);
    let (depth, pixels) = (job.block_bytes / GROUP_BYTES, extent.pixels() as usize);
    let times = |&(size, width): &(usize, usize)| {
        // The last tile of a row makes pixels of the one before again.
        let lines = pixels / columns * (blocks / width);
        lines * LINE + cycles(lines * columns.div_ceil(size), (size, width), depth, IN_LINE)
    };
    let fits = |&&(size, width): &&(usize, usize)| columns >= size && blocks.is_multiple_of(width);
    let Some(&(size, width)) = TILES.iter().filter(fits).min_by_key(|&tile| times(tile)) else {
        return false;
    };
    let mut best = times(&(size, width));
    let mut half = false;
    if columns >= halves::PIXELS && halves::fits(job) {
        let lines = pixels / columns;
        let time = lines * LINE
            + cycles(
                lines * columns.div_ceil(halves::PIXELS),
                (halves::SUMS, 1),
                depth,
                IN_LINE,
            );
        (half, best) = (time < best, time.min(best));
    }
    let single = (step.tile_pixels as usize, (step.tile_blocks as usize).min(blocks));
    let tiles = pixels.div_ceil(single.0) * blocks.div_ceil(single.1);
    if step.arithmetic != Arithmetic::U8ToU8 || cycles(tiles, single, depth, SINGLE) <= best {
        return false;
    }
    for image in 0..extent.images {
        for row in 0..extent.rows {
            let line = Line {
                input: step.input_grid.at(image, row, 0),
                output: step.output_grid.at(image, row, 0),
                other: step.residual.grid.at(image, row, 0),
                steps: [step.input_grid, step.output_grid, step.residual.grid].map(|g| g.column as usize),
            };
            if half {
                // SAFETY: as below.
                unsafe { halves::run(job, line, columns) };
                continue;
            }
            for block in (0..blocks).step_by(width) {
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that
                // the windows and outputs of its pixels and the weights of its blocks lie in their slices.
                unsafe {
                    match (size, width) {
                        (12, 1) => run_tiles::<12, 1>(job, line, columns, block),
                        (_, 1) => run_tiles::<16, 1>(job, line, columns, block),
                        (8, 2) => run_tiles::<8, 2>(job, line, columns, block),
                        (_, 2) => run_tiles::<12, 2>(job, line, columns, block),
                        _ => run_tiles::<6, 4>(job, line, columns, block),
                    }
                }
            }
        }
    }
    true
}

/// The sums of `N` blocks at all pixels of a line, `P` at a time, and their outputs.
///
/// # Safety
/// The processor has the instructions; there are at least `P` pixels, and their windows, the weights of `N` blocks from
/// `block` on and the outputs lie in the operands of the job.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn run_tiles<const P: usize, const N: usize>(job: &Job<'_>, line: Line, columns: usize, block: usize) {
    let taps = job.step.taps;
    let (input, apart) = (job.operands.input.as_ptr(), line.steps[0]);
    // SAFETY: as for this function.
    let how = unsafe { Requantized::<N>::new(job, block) };
    let mut bias = [_mm512_setzero_si512(); N];
    if !job.operands.bias.is_empty() {
        for n in 0..N {
            // SAFETY: bias has an entry for each channel of the blocks.
            bias[n] = unsafe {
                _mm512_loadu_si512(job.operands.bias.as_ptr().add((block + n) * GROUP_BYTES).cast())
            };
        }
    }
    // SAFETY: the blocks' weights are there.
    let first_weights = unsafe { job.weights.add(block * job.block_bytes) };
    for first in (0..columns).step_by(P) {
        let at = line.from(first.min(columns - P));
        let mut sums = [bias; P];
        let mut weights = first_weights;
        for row in 0..taps.rows as usize {
            for column in 0..taps.columns as usize {
                // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
                unsafe {
                    let run = at.input + row * taps.row_step as usize + column * taps.column_step as usize;
                    let mut bases = [input; 4];
                    for (n, base) in bases.iter_mut().take(P.div_ceil(NEAR)).enumerate() {
                        *base = opaque(input.add(run + n * NEAR * apart));
                    }
                    for _ in 0..taps.groups {
                        let mut w = [_mm512_setzero_si512(); N];
                        for (n, w) in w.iter_mut().enumerate() {
                            *w = _mm512_loadu_si512(weights.add(n * job.block_bytes).cast());
                        }
                        for p in 0..P {
                            let x = bases[p / NEAR].add(p % NEAR * apart).cast::<i32>();
                            let x = _mm512_set1_epi32(x.read_unaligned());
                            for n in 0..N {
                                sums[p][n] = _mm512_dpbusd_epi32(sums[p][n], x, w[n]);
                            }
                        }
                        weights = weights.add(GROUP_BYTES);
                        for base in bases.iter_mut().take(P.div_ceil(NEAR)) {
                            *base = base.add(4);
                        }
                    }
                }
            }
        }
        // SAFETY: as for this function.
        unsafe { store_u8(job, &at, &how, sums) };
    }
}
