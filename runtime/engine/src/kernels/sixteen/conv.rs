//! Convolutions and matrix products: tiles of pixels by blocks of 16 channels.

use super::lanes::{Lanes, Work};
use super::store::{self, Channels, Stored, store, store_plain};
use crate::kernels::pixels::{self, Cursor};
use crate::kernels::scalar::{self, Operands};
use crate::step::{Arithmetic, BLOCK, Conv, GROUP_BYTES, first_channel};

/// Most pixels of a tile.
const MAX_PIXELS: usize = 6;
/// Most blocks whose weights are read for each tile of pixels before the next ones' are.
const MAX_BLOCKS: usize = 16;
/// Most bytes of the weights of these blocks, if they are more than one: they stay in the first cache.
const NEAR_BYTES: usize = 16 * 1024;
/// Most runs of taps of a window that there is code for.
const MAX_RUNS: usize = 64;

/// Where the pixels of a tile lie.
pub(crate) type Places = pixels::Places<MAX_PIXELS>;

/// Where the taps of a window lie.
#[derive(Clone, Copy)]
pub(crate) struct Runs<'a> {
    /// Bytes from the first of the window to each run of taps.
    pub offsets: &'a [usize],
    /// Groups of four bytes of a run.
    pub groups: usize,
}

/// How windows are multiplied with a block of weights; a value says that the processor has the instructions.
///
/// # Safety
/// Of all unsafe functions: the windows and the weights of the block may be read.
pub(crate) trait Products: Copy {
    /// Registers.
    type Lanes: Lanes;
    /// What the sums of a block begin with.
    type Start: Copy;
    /// Most pixels of a tile.
    const PIXELS: usize;
    /// Whether it multiplies `f32`, else bytes.
    const REALS: bool = false;
    /// Whether fewer instructions are worth more code: there is some for tiles of all sizes, and sums of all kinds are
    /// stored where they are made. Else only those are that are requantized and nothing is added to.
    const FUSED: bool = false;

    /// Registers.
    fn lanes(self) -> Self::Lanes;

    /// Does work in a function of its own that may use the instructions.
    fn enter<W: Work>(self, work: W) -> W::Output;

    /// What the sums of a block begin with, for an entry of the bias for each channel.
    unsafe fn start(
        self,
        runs: Runs<'_>,
        weights: *const u8,
        bias: <Self::Lanes as Lanes>::Integers,
    ) -> Self::Start;

    /// The sums of `P` windows, those of the first `BEGIN` channels, 0 or 8, left out.
    unsafe fn sums<const P: usize, const BEGIN: usize>(
        self,
        runs: Runs<'_>,
        windows: [*const u8; P],
        weights: *const u8,
        start: &Self::Start,
    ) -> [<Self::Lanes as Lanes>::Integers; P];
}

/// A step and its operands.
pub(super) struct Job<'a, T: Products> {
    products: T,
    pub lanes: T::Lanes,
    pub step: &'a Conv,
    pub operands: &'a Operands<'a>,
    pub output: *mut u8,
    /// Of an integer output.
    pub limits: <T::Lanes as Lanes>::Limits,
    /// Whether sums are requantized, and nothing is added.
    pub is_plain: bool,
    runs: Runs<'a>,
    /// Weights of the images at hand.
    weights: *const u8,
    block_bytes: usize,
}

/// Runs a convolution that was checked, by products of its arithmetic.
pub(crate) fn run<T: Products>(products: T, step: &Conv, operands: &Operands<'_>, output: &mut [u8]) {
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
    let runs = Runs {
        offsets: &offsets[..count as usize],
        groups: taps.groups as usize,
    };
    products.enter(Whole {
        products,
        step,
        operands,
        output,
        runs,
    });
}

/// All images of a step.
struct Whole<'a, T> {
    products: T,
    step: &'a Conv,
    operands: &'a Operands<'a>,
    output: &'a mut [u8],
    runs: Runs<'a>,
}

impl<T: Products> Work for Whole<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (step, operands) = (self.step, self.operands);
        let lanes = self.products.lanes();
        let mut job = Job {
            products: self.products,
            lanes,
            step,
            operands,
            output: self.output.as_mut_ptr(),
            limits: store::limits(
                lanes,
                if operands.other.is_empty() {
                    &step.epilogue
                } else {
                    &step.residual.epilogue
                },
            ),
            is_plain: step.arithmetic == Arithmetic::U8ToU8 && operands.other.is_empty(),
            runs: self.runs,
            weights: operands.weights.as_ptr(),
            block_bytes: step.taps.depth().unwrap_or(0) as usize * GROUP_BYTES,
        };
        let plane = step.extent.rows as usize * step.extent.columns as usize;
        let all = step.extent.images;
        let each = if step.matrix_image == 0 { all } else { 1 };
        for image in (0..all).step_by(each as usize) {
            job.weights = operands.weights[image as usize * step.matrix_image as usize..].as_ptr();
            job.run(image as usize * plane, each as usize * plane);
        }
    }
}

impl<T: Products> Job<'_, T> {
    /// All channels of some pixels, from the one of a number on.
    #[inline(always)]
    fn run(&self, begin: usize, pixels: usize) {
        let blocks = self.step.blocks() as usize;
        let near = (NEAR_BYTES / self.block_bytes.max(1)).clamp(1, MAX_BLOCKS);
        let mut starts = [None; MAX_BLOCKS];
        for first in (0..blocks).step_by(near) {
            let starts = &mut starts[..near.min(blocks - first)];
            for (n, start) in starts.iter_mut().enumerate() {
                let block = first + n;
                // SAFETY: the step was checked, so that the weights of its blocks lie in their slice.
                *start = Some(unsafe {
                    self.products
                        .start(self.runs, self.weights(block), self.bias(block))
                });
            }
            let mut cursor = Cursor::new(self.step, begin);
            let mut rest = pixels;
            while rest > 0 {
                let most = rest.min(T::PIXELS).min(MAX_PIXELS);
                let count = if T::FUSED || most == T::PIXELS {
                    most
                } else {
                    1 << most.ilog2()
                };
                let places = &cursor.places(count);
                let starts = &*starts;
                match count {
                    1 => self.products.enter(Tile::<_, 1>(self, places, first, starts)),
                    2 => self.products.enter(Tile::<_, 2>(self, places, first, starts)),
                    3 if T::FUSED => self.products.enter(Tile::<_, 3>(self, places, first, starts)),
                    4 => self.products.enter(Tile::<_, 4>(self, places, first, starts)),
                    5 if T::FUSED => self.products.enter(Tile::<_, 5>(self, places, first, starts)),
                    _ => self.products.enter(Tile::<_, 6>(self, places, first, starts)),
                }
                rest -= count;
            }
        }
    }

    fn weights(&self, block: usize) -> *const u8 {
        self.weights.wrapping_add(block * self.block_bytes)
    }

    /// The bias of a block.
    #[inline(always)]
    fn bias(&self, block: usize) -> <T::Lanes as Lanes>::Integers {
        let bias = self.operands.bias;
        if bias.is_empty() {
            return self.lanes.integer(0);
        }
        // SAFETY: bias has an entry for each channel of the blocks.
        self.lanes
            .bits(unsafe { store::table(self.lanes, bias, block * GROUP_BYTES) })
    }
}

/// The sums of `P` pixels and some blocks from a first one on, and their outputs.
///
/// Made only of a step that was checked: the windows at the places, the weights of the blocks and the outputs lie in the
/// operands.
struct Tile<'a, T: Products, const P: usize>(&'a Job<'a, T>, &'a Places, usize, &'a [Option<T::Start>]);

impl<T: Products, const P: usize> Work for Tile<'_, T, P> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(job, places, first, starts) = self;
        let all = job.step.channels as usize;
        let mut windows = [job.operands.input.as_ptr(); P];
        for (window, at) in windows.iter_mut().zip(places.input) {
            *window = window.wrapping_add(at);
        }
        for (block, start) in (first..).zip(starts.iter().flatten()) {
            let channels = Channels {
                table: block * GROUP_BYTES,
                first: first_channel(block, all),
                count: all.min(BLOCK),
            };
            // SAFETY: as this says of itself.
            unsafe {
                // The last block may repeat channels of the one before; whole tiles leave half of them out.
                if P == T::PIXELS && block * BLOCK >= channels.first + BLOCK / 2 {
                    job.block::<P, 8>(places, windows, channels, start);
                } else {
                    job.block::<P, 0>(places, windows, channels, start);
                }
            }
        }
    }
}

impl<T: Products> Job<'_, T> {
    /// As [`Tile`] for one block, the first `BEGIN` channels left out.
    ///
    /// # Safety
    /// As [`Tile`].
    #[inline(always)]
    unsafe fn block<const P: usize, const BEGIN: usize>(
        &self,
        places: &Places,
        windows: [*const u8; P],
        channels: Channels,
        start: &T::Start,
    ) {
        let weights = self.weights(channels.table / GROUP_BYTES);
        // SAFETY: as for this function; channels that are not there are left out.
        unsafe {
            let sums = self.products.sums::<P, BEGIN>(self.runs, windows, weights, start);
            if T::FUSED {
                store::<_, P, BEGIN>(self, places, 0, &channels, sums);
                return;
            }
            if !T::REALS && self.is_plain {
                store_plain::<_, P, BEGIN>(self, places, &channels, sums);
                return;
            }
            self.products.enter(Stored {
                job: self,
                places,
                channels,
                sums: &sums,
                begin: BEGIN,
            });
        }
    }
}
