//! Convolutions of each channel alone: 16 channels of some pixels at a time, two taps an instruction.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::lanes::{Avx2, BEYOND, Limits};
use crate::kernels::scalar;
use crate::kernels::sixteen::{Lanes, Work, limits, table};
use crate::step::{Arithmetic, BLOCK, Depthwise, GROUP_BYTES, first_channel};

/// Most taps of a window that there is code for.
const MAX_TAPS: usize = 64;
/// Most pairs of taps: of windows of three columns, five taps may be three pairs.
const MAX_PAIRS: usize = MAX_TAPS / 2 + COLUMNS;
/// Pixels at a time.
const PIXELS: usize = 4;
/// Columns of a window whose pixels share what they read.
const COLUMNS: usize = 3;

/// 16 sums: integers have channels 0 to 3 and 8 to 11 in the first register, as unpacking leaves them.
type Sums = [__m256i; 2];

/// Runs a depthwise convolution that was checked; constants are weights, bias and scale.
pub(super) fn run(lanes: Avx2, step: &Depthwise, input: &[u8], constants: [&[u8]; 3], output: &mut [u8]) {
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
        lanes.enter(Block {
            lanes,
            step,
            input: input.as_ptr(),
            output: output.as_mut_ptr(),
            offsets: &offsets[..taps],
            constants,
            block,
            first: first_channel(block, all),
            count: all.min(BLOCK),
        });
    }
}

/// A block of channels of a step that was checked: whole blocks of channels of each tap lie in the input, the channels
/// of each pixel in the output, and constants have entries for the block.
#[derive(Clone, Copy)]
struct Block<'a> {
    lanes: Avx2,
    step: &'a Depthwise,
    input: *const u8,
    output: *mut u8,
    /// Of the taps of a window.
    offsets: &'a [usize],
    constants: [&'a [u8]; 3],
    block: usize,
    /// First channel.
    first: usize,
    /// Channels.
    count: usize,
}

/// What the outputs of a block are made with.
struct Epilogue {
    scale: [__m256; 2],
    limits: Limits,
    low: [__m256; 2],
    high: [__m256; 2],
}

/// First bytes of the windows and of the outputs of some pixels, first channel of the block.
struct Places {
    input: [usize; PIXELS],
    output: [usize; PIXELS],
}

/// How the sums of integers are made.
enum Kind {
    /// Every column is read once.
    Slid,
    Integers,
    Reals,
}

impl Work for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (l, step) = (self.lanes, self.step);
        let [_, bias, scale] = self.constants;
        let columns = step.extent.columns as usize;
        let next = step.input_grid.column as usize;
        let kind = if step.arithmetic == Arithmetic::F32 {
            Kind::Reals
        } else if step.column_step as usize == next
            && step.kernel_columns as usize == COLUMNS
            && columns >= PIXELS
        {
            Kind::Slid
        } else {
            Kind::Integers
        };
        let mut start = l.integer(0);
        let mut epilogue = Epilogue {
            scale: l.real(1.0),
            limits: limits(l, &step.epilogue),
            low: l.real(step.epilogue.low),
            high: l.real(step.epilogue.high),
        };
        let mut pairs = [[l.integer(0)[0]; 2]; MAX_PAIRS];
        // SAFETY: as this says of itself.
        unsafe {
            if !bias.is_empty() {
                start = l.bits(table(l, bias, self.block * GROUP_BYTES));
            }
            if !matches!(kind, Kind::Reals) {
                start = halves(start);
                let scale = table(l, scale, self.block * GROUP_BYTES);
                epilogue.scale = l.of_bits(halves(l.bits(scale)));
                let mut taps = [[l.integer(0)[0]; 2]; MAX_TAPS + 1];
                self.read(&mut taps);
                if matches!(kind, Kind::Slid) {
                    pair_slid(&taps, step.kernel_rows as usize, &mut pairs);
                } else {
                    for (n, to) in pairs[..self.offsets.len().div_ceil(2)].iter_mut().enumerate() {
                        *to = pair(taps[n * 2], taps[n * 2 + 1]);
                    }
                }
            }
        }
        let size = if matches!(kind, Kind::Reals) { 4 } else { 1 };
        for image in 0..step.extent.images {
            for row in 0..step.extent.rows {
                let at = step.input_grid.at(image, row, 0) + self.first * size;
                let out = step.output_grid.at(image, row, 0);
                for first in (0..columns).step_by(PIXELS) {
                    // The last pixels of a row are made again where fewer than a whole number are left.
                    let first = first.min(columns.saturating_sub(PIXELS));
                    let mut places = Places {
                        input: [0; PIXELS],
                        output: [0; PIXELS],
                    };
                    for n in 0..PIXELS {
                        let column = (first + n).min(columns - 1);
                        places.input[n] = at + column * next;
                        places.output[n] = out + column * step.output_grid.column as usize;
                    }
                    // SAFETY: as this says of itself.
                    unsafe {
                        match kind {
                            Kind::Slid => {
                                let sums = self.sums_slid(places.input[0], start, &pairs);
                                self.store(&places, sums, &epilogue);
                            }
                            Kind::Integers => {
                                let sums = self.sums_u8(&places, start, &pairs);
                                self.store(&places, sums, &epilogue);
                            }
                            Kind::Reals => {
                                let sums = self.sums_f32(&places, start);
                                self.store_f32(&places, sums, &epilogue);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The halves of two registers as [`Sums`] of integers have them, and back.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn halves(x: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: as for this function.
    unsafe {
        [
            _mm256_permute2x128_si256::<0x20>(x[0], x[1]),
            _mm256_permute2x128_si256::<0x31>(x[0], x[1]),
        ]
    }
}

/// The weights of two taps next to each other.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn pair(first: [__m256i; 2], second: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: as for this function.
    unsafe {
        [
            _mm256_or_si256(first[0], _mm256_slli_epi32::<16>(second[0])),
            _mm256_or_si256(first[1], _mm256_slli_epi32::<16>(second[1])),
        ]
    }
}

/// The weights of windows of three columns: of two rows a pair for each column, and of a last row alone its first two
/// columns and its last one.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn pair_slid(taps: &[[__m256i; 2]], rows: usize, pairs: &mut [[__m256i; 2]]) {
    let mut to = pairs.iter_mut();
    for row in (0..rows).step_by(2) {
        for column in 0..COLUMNS {
            let tap = row * COLUMNS + column;
            let other = if row + 1 < rows {
                tap + COLUMNS
            } else if column == 0 {
                tap + 1
            } else {
                // No tap.
                MAX_TAPS
            };
            if (row + 1 < rows || column != 1)
                && let Some(to) = to.next()
            {
                // SAFETY: as for this function.
                *to = unsafe { pair(taps[tap], taps[other]) };
            }
        }
    }
}

/// 16 bytes, each in 16 bits.
///
/// # Safety
/// They may be read, and the processor has the instructions.
#[inline(always)]
unsafe fn widened(from: *const u8) -> __m256i {
    // SAFETY: as for this function.
    unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(from.cast())) }
}

/// Two taps of each channel next to each other, in the order of [`Sums`].
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn unpacked(x: __m256i, y: __m256i) -> [__m256i; 2] {
    // SAFETY: as for this function.
    unsafe { [_mm256_unpacklo_epi16(x, y), _mm256_unpackhi_epi16(x, y)] }
}

/// Adds the products of two taps of 16 channels.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn add(sums: Sums, x: [__m256i; 2], weights: [__m256i; 2]) -> Sums {
    // SAFETY: as for this function.
    unsafe {
        [
            _mm256_add_epi32(sums[0], _mm256_madd_epi16(x[0], weights[0])),
            _mm256_add_epi32(sums[1], _mm256_madd_epi16(x[1], weights[1])),
        ]
    }
}

impl Block<'_> {
    /// Reads the weights of each tap: in 32 bits a channel, of which the first 16 have a weight and the others are 0.
    ///
    /// # Safety
    /// As this type says of itself.
    #[inline(always)]
    unsafe fn read(&self, taps: &mut [[__m256i; 2]; MAX_TAPS + 1]) {
        let groups = self.offsets.len().div_ceil(4);
        for group in 0..groups {
            let at = (self.block * groups + group) * GROUP_BYTES;
            // SAFETY: as for this function.
            unsafe {
                let from = self.constants[0].as_ptr().add(at);
                let w = halves([
                    _mm256_loadu_si256(from.cast()),
                    _mm256_loadu_si256(from.add(32).cast()),
                ]);
                for n in 0..2 {
                    let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(w[n]));
                    let odd = _mm256_srai_epi16::<8>(w[n]);
                    let low = _mm256_set1_epi32(0xffff);
                    taps[group * 4][n] = _mm256_and_si256(even, low);
                    taps[group * 4 + 1][n] = _mm256_and_si256(odd, low);
                    taps[group * 4 + 2][n] = _mm256_srli_epi32::<16>(even);
                    taps[group * 4 + 3][n] = _mm256_srli_epi32::<16>(odd);
                }
            }
        }
    }

    /// Sums of integers.
    ///
    /// # Safety
    /// As this type says of itself.
    #[inline(always)]
    unsafe fn sums_u8(
        &self,
        places: &Places,
        start: Sums,
        pairs: &[[__m256i; 2]; MAX_PAIRS],
    ) -> [Sums; PIXELS] {
        let mut sums = [start; PIXELS];
        for (offsets, &weights) in self.offsets.chunks(2).zip(pairs) {
            // A last tap alone has a second weight of 0.
            let (first, second) = (offsets[0], offsets[offsets.len() - 1]);
            for n in 0..PIXELS {
                // SAFETY: as for this function.
                unsafe {
                    let from = self.input.add(places.input[n]);
                    let x = unpacked(widened(from.add(first)), widened(from.add(second)));
                    sums[n] = add(sums[n], x, weights);
                }
            }
        }
        sums
    }

    /// Sums of integers of pixels whose windows are three columns wide and overlap: every column is read once.
    ///
    /// # Safety
    /// As this type says of itself, from the first pixel's window on.
    #[inline(always)]
    unsafe fn sums_slid(&self, at: usize, start: Sums, pairs: &[[__m256i; 2]; MAX_PAIRS]) -> [Sums; PIXELS] {
        let step = self.step;
        let (next, row_step) = (step.column_step as usize, step.row_step as usize);
        let rows = step.kernel_rows as usize;
        let mut sums = [start; PIXELS];
        let mut from = self.input.wrapping_add(at);
        let mut pairs = pairs.iter();
        for _ in 0..rows / 2 {
            let [Some(&first), Some(&second), Some(&third)] = [pairs.next(), pairs.next(), pairs.next()]
            else {
                break;
            };
            for n in 0..PIXELS + COLUMNS - 1 {
                // SAFETY: as for this function.
                unsafe {
                    let from = from.wrapping_add(n * next);
                    let x = unpacked(widened(from), widened(from.wrapping_add(row_step)));
                    if n < PIXELS {
                        sums[n] = add(sums[n], x, first);
                    }
                    if (1..=PIXELS).contains(&n) {
                        sums[n - 1] = add(sums[n - 1], x, second);
                    }
                    if n >= 2 {
                        sums[n - 2] = add(sums[n - 2], x, third);
                    }
                }
            }
            from = from.wrapping_add(2 * row_step);
        }
        if let [Some(&first), Some(&last)] = [pairs.next(), pairs.next()]
            && rows % 2 == 1
        {
            // SAFETY: as for this function.
            unsafe {
                let mut x = widened(from);
                for n in 0..PIXELS + COLUMNS - 1 {
                    // Behind the last column its weight is 0.
                    let behind = widened(from.wrapping_add((n + 1).min(PIXELS + COLUMNS - 2) * next));
                    let both = unpacked(x, behind);
                    if n < PIXELS {
                        sums[n] = add(sums[n], both, first);
                    }
                    if n >= COLUMNS - 1 {
                        sums[n + 1 - COLUMNS] = add(sums[n + 1 - COLUMNS], both, last);
                    }
                    x = behind;
                }
            }
        }
        sums
    }

    /// Sums of `f32`.
    ///
    /// # Safety
    /// As this type says of itself.
    #[inline(always)]
    unsafe fn sums_f32(&self, places: &Places, start: Sums) -> [Sums; PIXELS] {
        let l = self.lanes;
        let weights = &self.constants[0][self.block * self.offsets.len() * GROUP_BYTES..];
        let mut sums = [start; PIXELS];
        for (tap, offset) in self.offsets.iter().enumerate() {
            // SAFETY: as for this function; there are weights for each tap.
            unsafe {
                let w = table(l, weights, tap * GROUP_BYTES);
                for n in 0..PIXELS {
                    let x = l.load(self.input.add(places.input[n] + offset).cast(), BLOCK);
                    sums[n] = l.bits(l.mul_add(x, w, l.of_bits(sums[n])));
                }
            }
        }
        sums
    }

    /// Outputs of integers.
    ///
    /// # Safety
    /// As this type says of itself.
    #[inline(always)]
    unsafe fn store(&self, places: &Places, sums: [Sums; PIXELS], epilogue: &Epilogue) {
        let l = self.lanes;
        let is_integer = self.step.arithmetic == Arithmetic::U8ToU8;
        for n in 0..PIXELS {
            let y = l.mul(l.to_reals(sums[n]), epilogue.scale);
            // SAFETY: as for this function.
            unsafe {
                if is_integer {
                    let q = l.nearest(l.min(y, l.real(BEYOND)));
                    let to = self.output.add(places.output[n] + self.first);
                    l.store_bytes(to, l.packed(q, epilogue.limits), self.count);
                } else {
                    let y = l.of_bits(halves(l.bits(y)));
                    let y = l.min(l.max(y, epilogue.low), epilogue.high);
                    let to = self.output.add(places.output[n] + self.first * 4);
                    l.store(to.cast(), y, self.count);
                }
            }
        }
    }

    /// Outputs of `f32`.
    ///
    /// # Safety
    /// As this type says of itself.
    #[inline(always)]
    unsafe fn store_f32(&self, places: &Places, sums: [Sums; PIXELS], epilogue: &Epilogue) {
        let l = self.lanes;
        for n in 0..PIXELS {
            let y = l.min(l.max(l.of_bits(sums[n]), epilogue.low), epilogue.high);
            // SAFETY: as for this function.
            unsafe {
                let to = self.output.add(places.output[n] + self.first * 4);
                l.store(to.cast(), y, self.count);
            }
        }
    }
}
