//! Depthwise convolutions of `u8`, many channels at a time.
//!
//! The bytes of four rows are interleaved: an instruction then takes four taps of a column of a channel, and two rows
//! of outputs share what was interleaved. A register holds 64 bytes of a row, whatever pixels they are of, or channels
//! of two or four pixels that lie apart.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::lanes::opaque;
use super::store::{Bounds, Rounding, packed};
use crate::step::{BLOCK, Depthwise, GROUP_BYTES};

/// Rows that are interleaved.
const ROWS: usize = 4;
/// Most groups of so many rows of a window, that of a second row of outputs included.
const GROUPS: usize = 2;
/// Most columns of a window.
const COLUMNS: usize = 5;
/// Bytes of a register.
const BYTES: usize = 64;

/// Where 64 bytes of outputs begin, in a row: `step` bytes after those before, or at `last`.
#[derive(Clone, Copy)]
struct Walk {
    step: usize,
    last: usize,
}

/// How a step is cut.
#[derive(Clone, Copy)]
struct Cut {
    /// Registers, or parts of them, of a row of outputs.
    count: usize,
    input: Walk,
    output: Walk,
    /// Blocks of channels that a register repeats.
    blocks: usize,
}

/// Whether there is code for a step.
pub(super) fn fits(step: &Depthwise, rounding: &Rounding) -> bool {
    rounding.small
        && ((step.channels as usize).is_multiple_of(BLOCK) || flat(step).is_some())
        && (step.kernel_rows as usize) < ROWS * GROUPS
        && step.kernel_columns as usize <= COLUMNS
}

/// The cut of a step whose pixels have 4 to 32 channels and no gaps between them.
fn flat(step: &Depthwise) -> Option<Cut> {
    let channels = step.channels as usize;
    let bytes = step.extent.columns as usize * channels;
    let dense = [step.input_grid.column, step.column_step, step.output_grid.column];
    let found = matches!(channels, 4 | 8 | 16 | 32) && bytes >= BYTES && dense == [step.channels; 3];
    let walk = Walk {
        step: BYTES,
        last: bytes.checked_sub(BYTES)?,
    };
    found.then_some(Cut {
        count: bytes.div_ceil(BYTES),
        input: walk,
        output: walk,
        blocks: channels.div_ceil(BLOCK),
    })
}

/// Runs a step that fits and was checked, on a processor with the instructions; constants are weights, bias and scale.
pub(super) fn run(
    step: &Depthwise,
    rounding: &Rounding,
    input: &[u8],
    constants: [&[u8]; 3],
    output: &mut [u8],
) {
    // Two rows of outputs share their inputs where these are neighbours as well.
    let shared = step.input_grid.row == step.row_step && step.extent.rows >= 2;
    let rows = step.kernel_rows as usize + usize::from(shared);
    let mut job = Job {
        step,
        rounding,
        input: input.as_ptr(),
        constants,
        output: output.as_mut_ptr(),
        groups: rows.div_ceil(ROWS),
        rows: [0; ROWS * GROUPS],
        // SAFETY: every processor of this tier has the instruction.
        weights: [[unsafe { _mm512_setzero_si512() }; ROWS * 2]; GROUPS * COLUMNS],
    };
    for (n, row) in job.rows.iter_mut().enumerate() {
        // Behind the last row, weights are zero: any row does.
        *row = n.min(rows - 1) * step.row_step as usize;
    }
    if let Some(cut) = flat(step) {
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that the
        // channels of each tap lie in the input and those of each pixel in the output.
        unsafe {
            match shared {
                true => part::<1, 2>(&mut job, 0, cut),
                false => part::<1, 1>(&mut job, 0, cut),
            }
        }
        return;
    }
    let (channels, columns) = (step.channels as usize, step.extent.columns as usize);
    let walk = |step: u32| Walk {
        step: step as usize,
        last: (columns - 1) * step as usize,
    };
    let mut first = 0;
    while first < channels {
        let bytes = match channels - first {
            64.. => 64,
            32.. => 32,
            _ => 16,
        };
        let cut = Cut {
            count: columns,
            input: walk(step.input_grid.column),
            output: walk(step.output_grid.column),
            blocks: bytes / BLOCK,
        };
        // SAFETY: as above.
        unsafe {
            match (bytes, shared) {
                (64, true) => part::<1, 2>(&mut job, first, cut),
                (64, false) => part::<1, 1>(&mut job, first, cut),
                (32, true) => part::<2, 2>(&mut job, first, cut),
                (32, false) => part::<2, 1>(&mut job, first, cut),
                (_, true) => part::<4, 2>(&mut job, first, cut),
                (_, false) => part::<4, 1>(&mut job, first, cut),
            }
        }
        first += bytes;
    }
}

type Quarters = [__m512i; 4];

/// A step and its operands.
struct Job<'a> {
    step: &'a Depthwise,
    rounding: &'a Rounding,
    input: *const u8,
    constants: [&'a [u8]; 3],
    output: *mut u8,
    /// Groups of rows of a window.
    groups: usize,
    /// Bytes from the first row of a window to each.
    rows: [usize; ROWS * GROUPS],
    /// Weights of the channels at hand, by group of rows and column: four registers for each row of outputs.
    weights: [[__m512i; ROWS * 2]; GROUPS * COLUMNS],
}

/// `64 / PLACES` channels from `first` on, or all of pixels without gaps, of all pixels; `SHARED` rows of outputs
/// together.
///
/// # Safety
/// The processor has the instructions; the channels of each tap lie in the input, those of each pixel in the output.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn part<const PLACES: usize, const SHARED: usize>(job: &mut Job<'_>, first: usize, cut: Cut) {
    // SAFETY: as for this function.
    let (bias, scale) = unsafe { tables::<SHARED>(job, first, cut.blocks) };
    let job = &*job;
    let step = job.step;
    let (kernel_columns, column_step) = (step.kernel_columns as usize, step.column_step as usize);
    // Read once: what lies behind a pointer may have changed with each store.
    let (input, output) = (job.input, job.output);
    let bounds = Bounds::new(step.epilogue.zero_point, job.rounding);
    let rows = step.extent.rows as usize;
    for image in 0..step.extent.images {
        for row in (0..rows).step_by(SHARED) {
            // The last rows are made again where fewer than a whole number are left.
            let row = row.min(rows - SHARED) as u32;
            let at = step.input_grid.at(image, row, 0) + first;
            let out = step.output_grid.at(image, row, 0) + first;
            for place in (0..cut.count).step_by(PLACES) {
                let mut from = [at; PLACES];
                for n in 0..PLACES {
                    from[n] += ((place + n) * cut.input.step).min(cut.input.last);
                }
                let mut sums = [bias; SHARED];
                let mut weights = job.weights.as_ptr();
                for group in 0..job.groups {
                    let mut rows = [0; ROWS];
                    rows.copy_from_slice(&job.rows[group * ROWS..][..ROWS]);
                    let all = SHARED > 1 || rows[ROWS - 1] != rows[ROWS - 2];
                    for column in 0..kernel_columns {
                        let mut x = [_mm512_setzero_si512(); ROWS];
                        for n in 0..ROWS {
                            x[n] = if n + 1 < ROWS || all {
                                // SAFETY: as for this function.
                                unsafe { load(opaque(input.add(rows[n] + column * column_step)), from) }
                            } else {
                                x[n - 1]
                            };
                        }
                        let x = interleaved(x);
                        // SAFETY: there are weights for each group and column.
                        let w = unsafe { &*weights };
                        weights = weights.wrapping_add(1);
                        for s in 0..SHARED {
                            for k in 0..ROWS {
                                sums[s][k] = _mm512_dpbusd_epi32(sums[s][k], x[k], w[s * ROWS + k]);
                            }
                        }
                    }
                }
                for s in 0..SHARED {
                    let mut q = [_mm512_setzero_si512(); ROWS];
                    for k in 0..ROWS {
                        q[k] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[s][k]), scale[k]));
                    }
                    let bytes = packed(q, bounds);
                    let mut to = [out + s * step.output_grid.row as usize; PLACES];
                    for n in 0..PLACES {
                        to[n] += ((place + n) * cut.output.step).min(cut.output.last);
                    }
                    // SAFETY: as for this function.
                    unsafe { store(output, to, bytes) };
                }
            }
        }
    }
}

/// Puts the weights of a register's channels into the job; bias and scale.
///
/// # Safety
/// As [`part`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn tables<const SHARED: usize>(
    job: &mut Job<'_>,
    first: usize,
    blocks: usize,
) -> (Quarters, [__m512; 4]) {
    let [weights, bias, scale] = job.constants;
    let step = job.step;
    let (rows, columns) = (step.kernel_rows as usize, step.kernel_columns as usize);
    let of_taps = (rows * columns).div_ceil(4) * GROUP_BYTES;
    // A block of fewer channels than 16 is repeated.
    let each = (step.channels as usize).min(BLOCK) as i32;
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let lanes = _mm512_and_si512(lanes, _mm512_set1_epi32(each - 1));
    // The registers of four blocks, `bytes` apart, the first `at` bytes behind.
    let quarters = |from: &[u8], bytes: usize, at: usize| -> Quarters {
        core::array::from_fn(|n| {
            let at = (first / BLOCK + n % blocks) * bytes + at;
            // SAFETY: there are weights for all taps, bias and scale of each block.
            let found = unsafe { _mm512_loadu_si512(from.as_ptr().add(at).cast()) };
            _mm512_permutexvar_epi32(lanes, found)
        })
    };
    for group in 0..job.groups {
        for column in 0..columns {
            for s in 0..SHARED {
                let mut found = [_mm512_setzero_si512(); ROWS];
                for place in 0..ROWS {
                    let Some(row) = (group * ROWS + place).checked_sub(s).filter(|&row| row < rows) else {
                        continue;
                    };
                    let tap = row * columns + column;
                    let taps = quarters(weights, of_taps, tap / 4 * GROUP_BYTES);
                    let (down, up) = (tap % 4 * 8, place * 8);
                    let (down, up) = (_mm_cvtsi32_si128(down as i32), _mm_cvtsi32_si128(up as i32));
                    for k in 0..4 {
                        let byte = _mm512_srl_epi32(taps[k], down);
                        let byte = _mm512_and_si512(byte, _mm512_set1_epi32(0xff));
                        found[k] = _mm512_or_si512(found[k], _mm512_sll_epi32(byte, up));
                    }
                }
                let found = transposed(found);
                job.weights[group * columns + column][s * ROWS..][..ROWS].copy_from_slice(&found);
            }
        }
    }
    let sums = if bias.is_empty() {
        [_mm512_setzero_si512(); 4]
    } else {
        transposed(quarters(bias, GROUP_BYTES, 0))
    };
    let factors = transposed(quarters(scale, GROUP_BYTES, 0));
    let mut scale = [_mm512_setzero_ps(); 4];
    for k in 0..4 {
        scale[k] = _mm512_castsi512_ps(factors[k]);
    }
    (sums, scale)
}

/// Quarter `l` of register `k` becomes quarter `k` of register `l`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn transposed(x: Quarters) -> Quarters {
    const FRONT: i32 = 0b01_00_01_00;
    const BACK: i32 = 0b11_10_11_10;
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let front = [
        _mm512_shuffle_i32x4::<FRONT>(x[0], x[1]),
        _mm512_shuffle_i32x4::<FRONT>(x[2], x[3]),
    ];
    let back = [
        _mm512_shuffle_i32x4::<BACK>(x[0], x[1]),
        _mm512_shuffle_i32x4::<BACK>(x[2], x[3]),
    ];
    [
        _mm512_shuffle_i32x4::<EVEN>(front[0], front[1]),
        _mm512_shuffle_i32x4::<ODD>(front[0], front[1]),
        _mm512_shuffle_i32x4::<EVEN>(back[0], back[1]),
        _mm512_shuffle_i32x4::<ODD>(back[0], back[1]),
    ]
}

/// The bytes of four rows, next to each other for each channel: register `k` has channels `4 k` to `4 k + 3` of each
/// quarter.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn interleaved(x: Quarters) -> Quarters {
    let low = [_mm512_unpacklo_epi8(x[0], x[1]), _mm512_unpacklo_epi8(x[2], x[3])];
    let high = [_mm512_unpackhi_epi8(x[0], x[1]), _mm512_unpackhi_epi8(x[2], x[3])];
    [
        _mm512_unpacklo_epi16(low[0], low[1]),
        _mm512_unpackhi_epi16(low[0], low[1]),
        _mm512_unpacklo_epi16(high[0], high[1]),
        _mm512_unpackhi_epi16(high[0], high[1]),
    ]
}

/// `64 / PLACES` bytes of each place.
///
/// # Safety
/// The processor has the instructions; the bytes may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn load<const PLACES: usize>(from: *const u8, at: [usize; PLACES]) -> __m512i {
    // SAFETY: as for this function.
    unsafe {
        let place = |n: usize| from.add(at[n % PLACES]);
        match PLACES {
            1 => _mm512_loadu_si512(place(0).cast()),
            2 => {
                let low = _mm512_castsi256_si512(_mm256_loadu_si256(place(0).cast()));
                _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(place(1).cast()))
            }
            _ => {
                let x = _mm512_castsi128_si512(_mm_loadu_si128(place(0).cast()));
                let x = _mm512_inserti32x4::<1>(x, _mm_loadu_si128(place(1).cast()));
                let x = _mm512_inserti32x4::<2>(x, _mm_loadu_si128(place(2).cast()));
                _mm512_inserti32x4::<3>(x, _mm_loadu_si128(place(3).cast()))
            }
        }
    }
}

/// Stores `64 / PLACES` bytes at each place.
///
/// # Safety
/// The processor has the instructions; the bytes may be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn store<const PLACES: usize>(to: *mut u8, at: [usize; PLACES], bytes: __m512i) {
    // SAFETY: as for this function.
    unsafe {
        let place = |n: usize| to.add(at[n % PLACES]);
        match PLACES {
            1 => _mm512_storeu_si512(place(0).cast(), bytes),
            2 => {
                _mm256_storeu_si256(place(0).cast(), _mm512_castsi512_si256(bytes));
                _mm256_storeu_si256(place(1).cast(), _mm512_extracti64x4_epi64::<1>(bytes));
            }
            _ => {
                _mm_storeu_si128(place(0).cast(), _mm512_castsi512_si128(bytes));
                _mm_storeu_si128(place(1).cast(), _mm512_extracti32x4_epi32::<1>(bytes));
                _mm_storeu_si128(place(2).cast(), _mm512_extracti32x4_epi32::<2>(bytes));
                _mm_storeu_si128(place(3).cast(), _mm512_extracti32x4_epi32::<3>(bytes));
            }
        }
    }
}
