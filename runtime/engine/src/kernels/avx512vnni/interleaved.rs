//! Depthwise convolutions of `u8` whose windows have up to four columns.
//!
//! The bytes of four neighbouring columns are interleaved once: an instruction then takes a row of taps of a channel,
//! and two neighbouring outputs share the columns. A register holds 64 channels of a place, or fewer channels of two
//! or four places.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::store::{Bounds, Rounding, packed};
use crate::step::{BLOCK, Depthwise, GROUP_BYTES};

/// Most rows of a window.
const ROWS: usize = 5;
/// Columns that are interleaved.
const COLUMNS: usize = 4;
/// Channels of a register.
const CHANNELS: usize = 64;

/// Whether there is code for a step.
pub(super) fn fits(step: &Depthwise, rounding: &Rounding) -> bool {
    rounding.small
        && (step.channels as usize).is_multiple_of(BLOCK)
        && step.kernel_rows as usize <= ROWS
        && step.kernel_columns as usize <= COLUMNS
}

/// Runs a step that fits and was checked, on a processor with the instructions; constants are weights, bias and scale.
pub(super) fn run(
    step: &Depthwise,
    rounding: &Rounding,
    input: &[u8],
    constants: [&[u8]; 3],
    output: &mut [u8],
) {
    // Two outputs share their columns where these are neighbours in the input as well.
    let shared = step.input_grid.column == step.column_step
        && step.extent.columns >= 2
        && (step.kernel_columns as usize) < COLUMNS;
    let job = Job {
        step,
        rounding,
        input: input.as_ptr(),
        constants,
        output: output.as_mut_ptr(),
        orders: orders(step),
    };
    let channels = step.channels as usize;
    let mut first = 0;
    while first < channels {
        let rest = channels - first;
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that the
        // channels of each tap lie in the input and those of each pixel in the output.
        unsafe {
            match (rest, shared) {
                (64.., true) => part::<1, 2>(&job, first),
                (64.., false) => part::<1, 1>(&job, first),
                (32.., true) => part::<2, 2>(&job, first),
                (32.., false) => part::<2, 1>(&job, first),
                (_, true) => part::<4, 2>(&job, first),
                (_, false) => part::<4, 1>(&job, first),
            }
        }
        first += match rest {
            64.. => 64,
            32.. => 32,
            _ => 16,
        };
    }
}

/// A step and its operands.
struct Job<'a> {
    step: &'a Depthwise,
    rounding: &'a Rounding,
    input: *const u8,
    constants: [&'a [u8]; 3],
    output: *mut u8,
    orders: [[Order; 2]; ROWS],
}

/// Which bytes of two groups of taps of a block are the taps of a row.
#[derive(Clone, Copy)]
struct Order {
    /// First of the two groups.
    group: usize,
    bytes: [u8; 64],
    present: u64,
}

/// For each row of the window, the order of its taps for an output, and for its right neighbour.
fn orders(step: &Depthwise) -> [[Order; 2]; ROWS] {
    let columns = step.kernel_columns as usize;
    core::array::from_fn(|row| {
        core::array::from_fn(|shift| {
            let group = row * columns / 4;
            let mut order = Order {
                group,
                bytes: [0; 64],
                present: 0,
            };
            for (n, byte) in order.bytes.iter_mut().enumerate() {
                let column = (n % 4).checked_sub(shift).filter(|&column| column < columns);
                if let Some(column) = column {
                    let tap = row * columns + column - group * 4;
                    *byte = (tap / 4 * 64 + n / 4 * 4 + tap % 4) as u8;
                    order.present |= 1 << n;
                }
            }
            order
        })
    })
}

/// `64 / PLACES` channels from `first` on, of all pixels, `SHARED` neighbouring outputs of each place together.
///
/// # Safety
/// The processor has the instructions; the channels of each tap lie in the input, those of each pixel in the output.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn part<const PLACES: usize, const SHARED: usize>(job: &Job<'_>, first: usize) {
    let step = job.step;
    let rows = (step.kernel_rows as usize).min(ROWS);
    let columns = step.extent.columns as usize;
    // SAFETY: as for this function.
    let (weights, bias, scale) = unsafe { tables::<PLACES, SHARED>(job, first) };
    // Columns that only one output of a window has, or none, have weights of zero.
    let last = step.kernel_columns as usize + SHARED - 2;
    let mut offsets = [0; COLUMNS];
    for (n, offset) in offsets.iter_mut().enumerate() {
        *offset = n.min(last) * step.column_step as usize;
    }
    let (from, to) = (step.input_grid.column as usize, step.output_grid.column as usize);
    // Read once: what lies behind a pointer may have changed with each store.
    let (input, output, row_step) = (job.input, job.output, step.row_step as usize);
    let bounds = Bounds::new(step.epilogue.zero_point, job.rounding);
    for image in 0..step.extent.images {
        for row in 0..step.extent.rows {
            let at = step.input_grid.at(image, row, 0) + first;
            let out = step.output_grid.at(image, row, 0) + first;
            let mut column = 0;
            while column < columns {
                let mut place = [0; PLACES];
                for n in 0..PLACES {
                    // What lies behind the last pixel is the last one again.
                    place[n] = (column + n * SHARED).min(columns - SHARED);
                }
                column += PLACES * SHARED;
                let mut sums = [bias; SHARED];
                for tap in 0..rows {
                    let mut x = [_mm512_setzero_si512(); COLUMNS];
                    for n in 0..COLUMNS {
                        let mut at = [at + tap * row_step + offsets[n]; PLACES];
                        for p in 0..PLACES {
                            at[p] += place[p] * from;
                        }
                        // SAFETY: as for this function.
                        x[n] = unsafe { load(input, at) };
                    }
                    let x = interleaved(x);
                    for k in 0..4 {
                        for s in 0..SHARED {
                            sums[s][k] = _mm512_dpbusd_epi32(sums[s][k], x[k], weights[tap][s][k]);
                        }
                    }
                }
                for s in 0..SHARED {
                    let mut q = [_mm512_setzero_si512(); 4];
                    for k in 0..4 {
                        q[k] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[s][k]), scale[k]));
                    }
                    let bytes = packed(q, bounds);
                    let mut at = [out; PLACES];
                    for p in 0..PLACES {
                        at[p] += (place[p] + s) * to;
                    }
                    // SAFETY: as for this function.
                    unsafe { store(output, at, bytes) };
                }
            }
        }
    }
}

type Quarters = [__m512i; 4];

/// Weights by row and output, bias and scale of some channels.
///
/// # Safety
/// As [`part`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn tables<const PLACES: usize, const SHARED: usize>(
    job: &Job<'_>,
    first: usize,
) -> ([[Quarters; SHARED]; ROWS], Quarters, [__m512; 4]) {
    let [weights, bias, scale] = job.constants;
    let step = job.step;
    let groups = step.taps().unwrap_or(0).div_ceil(4) as usize;
    let zero = _mm512_setzero_si512();
    let mut found = [[[zero; 4]; SHARED]; ROWS];
    let (mut sums, mut factors) = ([zero; 4], [zero; 4]);
    let blocks = CHANNELS / PLACES / BLOCK;
    for n in 0..4 {
        let block = first / BLOCK + n % blocks;
        // SAFETY: bias and scale have an entry for each channel of the blocks.
        unsafe {
            if !bias.is_empty() {
                sums[n] = _mm512_loadu_si512(bias.as_ptr().add(block * GROUP_BYTES).cast());
            }
            factors[n] = _mm512_loadu_si512(scale.as_ptr().add(block * GROUP_BYTES).cast());
        }
        for row in 0..(step.kernel_rows as usize).min(ROWS) {
            for s in 0..SHARED {
                let order = &job.orders[row][s];
                let group = |n: usize| {
                    // Taps of a row may all be in one group, which then may be the last.
                    let group = block * groups + (order.group + n).min(groups - 1);
                    // SAFETY: there are as many groups of weights for each block.
                    unsafe { _mm512_loadu_si512(weights.as_ptr().add(group * GROUP_BYTES).cast()) }
                };
                // SAFETY: an order has 64 bytes.
                let bytes = unsafe { _mm512_loadu_si512(order.bytes.as_ptr().cast()) };
                let taps = _mm512_permutex2var_epi8(group(0), bytes, group(1));
                found[row][s][n] = _mm512_maskz_mov_epi8(order.present, taps);
            }
        }
    }
    for row in &mut found {
        for weights in row {
            *weights = transposed(*weights);
        }
    }
    let factors = transposed(factors);
    let mut scale = [_mm512_setzero_ps(); 4];
    for k in 0..4 {
        scale[k] = _mm512_castsi512_ps(factors[k]);
    }
    (found, transposed(sums), scale)
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

/// The bytes of four columns, next to each other for each channel: register `k` has channels `4 k` to `4 k + 3` of each
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
