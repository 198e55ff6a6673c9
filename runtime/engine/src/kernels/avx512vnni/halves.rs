//! Lines of pixels of 24 channels: 16 of each in a register, the other 8 of two pixels in another.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::conv::Job;
use super::lanes::opaque;
use super::lines::{Line, NEAR};
use super::store::{Bounds, Pixels, last_epilogue, order, packed};
use crate::step::{BLOCK, GROUP_BYTES};

/// Channels of a pixel.
const CHANNELS: u32 = 24;
/// Pixels of a tile.
pub(super) const PIXELS: usize = 12;
/// Registers of sums of a tile.
pub(super) const SUMS: usize = PIXELS + PIXELS / 2;
/// The lanes of the second pixel.
const SECOND: u16 = 0xff00;

/// Whether there is code for the step of a job, whose sums become bytes.
pub(super) fn fits(job: &Job<'_>) -> bool {
    job.step.channels == CHANNELS && job.step.residual.other.is_empty() && job.rounding.small
}

/// The last half of a block, twice.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn twice(block: __m512i) -> __m512i {
    // The second block ends with the last channel.
    _mm512_shuffle_i32x4::<0b11_10_11_10>(block, block)
}

/// The quarters of a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn quarters(x: __m512i) -> [__m128i; 4] {
    [
        _mm512_castsi512_si128(x),
        _mm512_extracti32x4_epi32::<1>(x),
        _mm512_extracti32x4_epi32::<2>(x),
        _mm512_extracti32x4_epi32::<3>(x),
    ]
}

/// The sums at all pixels of a line and their outputs.
///
/// # Safety
/// The processor has the instructions; the step fits, there are at least [`PIXELS`] pixels, and their windows, the
/// weights and the outputs lie in the operands of the job.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn run(job: &Job<'_>, line: Line, columns: usize) {
    let taps = job.step.taps;
    let (input, apart) = (job.operands.input.as_ptr(), line.steps[0]);
    let bounds = Bounds::new(last_epilogue(job.step).zero_point, &job.rounding);
    // What the tables of both blocks have.
    let both = |table: &[u8]| {
        // SAFETY: there is an entry for each channel of the blocks.
        unsafe {
            let first = _mm512_loadu_si512(table.as_ptr().cast());
            [
                first,
                twice(_mm512_loadu_si512(table.as_ptr().add(GROUP_BYTES).cast())),
            ]
        }
    };
    let scale = both(job.operands.scale).map(|scale| _mm512_castsi512_ps(scale));
    let bias = if job.operands.bias.is_empty() {
        [_mm512_setzero_si512(); 2]
    } else {
        both(job.operands.bias)
    };
    let mut second = SECOND;
    // SAFETY: nothing is done. The compiler would take a slower instruction for a choice that it knows.
    unsafe {
        core::arch::asm!("/* {0:e} */", inout(reg) second, options(pure, nomem, nostack, preserves_flags))
    };
    for first in (0..columns).step_by(PIXELS) {
        let at = line.from(first.min(columns - PIXELS));
        let mut sums = [bias[0]; PIXELS];
        let mut halves = [bias[1]; PIXELS / 2];
        let mut weights = job.weights;
        for row in 0..taps.rows as usize {
            for column in 0..taps.columns as usize {
                // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
                unsafe {
                    let run = at.input + row * taps.row_step as usize + column * taps.column_step as usize;
                    let mut bases = [input; PIXELS / NEAR];
                    for (n, base) in bases.iter_mut().enumerate() {
                        *base = opaque(input.add(run + n * NEAR * apart));
                    }
                    for _ in 0..taps.groups {
                        let whole = _mm512_loadu_si512(weights.cast());
                        let half = twice(_mm512_loadu_si512(weights.add(job.block_bytes).cast()));
                        for pair in 0..PIXELS / 2 {
                            let mut x = [whole; 2];
                            for (n, x) in x.iter_mut().enumerate() {
                                let p = pair * 2 + n;
                                let from = bases[p / NEAR].add(p % NEAR * apart).cast::<i32>();
                                *x = _mm512_set1_epi32(from.read_unaligned());
                                sums[p] = _mm512_dpbusd_epi32(sums[p], *x, whole);
                            }
                            let x = _mm512_mask_blend_epi32(second, x[0], x[1]);
                            halves[pair] = _mm512_dpbusd_epi32(halves[pair], x, half);
                        }
                        weights = weights.add(GROUP_BYTES);
                        for base in &mut bases {
                            *base = base.add(4);
                        }
                    }
                }
            }
        }
        let order = order();
        macro_rules! bytes {
            ($sums:ident, $scale:expr, $($n:expr),*) => {{
                let q = [$($sums[$n]),*];
                let mut rounded = q;
                for n in 0..4 {
                    rounded[n] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(q[n]), $scale));
                }
                _mm512_permutexvar_epi32(order, packed(rounded, bounds))
            }};
        }
        // SAFETY: the channels of each pixel lie in the output.
        unsafe {
            macro_rules! four {
                ($($begin:literal)*) => {$(
                    let found = bytes!(sums, scale[0], $begin, $begin + 1, $begin + 2, $begin + 3);
                    for (n, quarter) in quarters(found).into_iter().enumerate() {
                        _mm_storeu_si128(job.output.add(at.output($begin + n)).cast(), quarter);
                    }
                )*};
            }
            four!(0 4 8);
            let put = |pair: usize, quarter: __m128i| {
                let to = |n: usize| job.output.add(at.output(pair * 2 + n) + BLOCK);
                _mm_storel_epi64(to(0).cast(), quarter);
                _mm_storeh_pd(to(1).cast(), _mm_castsi128_pd(quarter));
            };
            let [a, b, c, d] = quarters(bytes!(halves, scale[1], 0, 1, 2, 3));
            let [e, f, ..] = quarters(bytes!(halves, scale[1], 4, 5, 5, 5));
            for (pair, quarter) in [a, b, c, d, e, f].into_iter().enumerate() {
                put(pair, quarter);
            }
        }
    }
}
