//! Products of bytes with `smull` and `smlal`, for every 64-bit Arm processor.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::aarch64::*;

use super::lanes::Simd;
use super::products::{Sums, group};
use crate::kernels::sixteen::{Lanes, Products, Runs, Work};
use crate::step::GROUP_BYTES;

/// What bytes of a window are more than the signed ones that are multiplied.
const SHIFT: u8 = 128;

/// Sums of integers with `smull` and `smlal`.
#[derive(Clone, Copy)]
pub(super) struct Neon;

/// What the sums of a block begin with.
#[derive(Clone, Copy)]
pub(super) struct Start {
    sums: Sums,
    /// Whether two products of bytes may need more than 16 bits.
    wide: bool,
}

/// Of each channel, the sums of the first and of the last two taps of all groups.
type Halves = [[int32x4_t; 2]; 4];

/// Signed bytes of a window.
#[inline(always)]
fn ready(x: uint8x16_t) -> uint8x16_t {
    // SAFETY: every 64-bit Arm processor has the instruction.
    unsafe { veorq_u8(x, vdupq_n_u8(SHIFT)) }
}

/// Adds the products of four channels with a group of bytes, and those with another.
///
/// Two products of signed bytes fit 16 bits, unless all four are -128: `WIDE` adds each by itself.
#[inline(always)]
fn add<const WIDE: bool>(
    sums: [int32x4_t; 2],
    weights: [uint8x16_t; 2],
    x: [uint32x4_t; 2],
) -> [int32x4_t; 2] {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let (w, other_w) = (vreinterpretq_s8_u8(weights[0]), vreinterpretq_s8_u8(weights[1]));
        let (x, other_x) = (vreinterpretq_s8_u32(x[0]), vreinterpretq_s8_u32(x[1]));
        let mut low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
        let mut high = vmull_high_s8(w, x);
        let [mut low_sum, mut high_sum] = sums;
        if WIDE {
            low_sum = vpadalq_s16(low_sum, low);
            high_sum = vpadalq_s16(high_sum, high);
            low = vmull_s8(vget_low_s8(other_w), vget_low_s8(other_x));
            high = vmull_high_s8(other_w, other_x);
        } else {
            low = vmlal_s8(low, vget_low_s8(other_w), vget_low_s8(other_x));
            high = vmlal_high_s8(high, other_w, other_x);
        }
        [vpadalq_s16(low_sum, low), vpadalq_s16(high_sum, high)]
    }
}

/// The sums of `P` windows.
///
/// # Safety
/// As [`Products`].
#[inline(always)]
unsafe fn sums<const P: usize, const BEGIN: usize, const WIDE: bool>(
    runs: Runs<'_>,
    windows: [*const u8; P],
    mut weights: *const u8,
    start: Sums,
) -> [Sums; P] {
    // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
    unsafe {
        let none = vdupq_n_s32(0);
        let mut sums: [Halves; P] = [[[none; 2]; 4]; P];
        for &offset in runs.offsets {
            let mut run = windows;
            for p in 0..P {
                run[p] = run[p].wrapping_add(offset);
            }
            for _ in 0..runs.groups / 4 {
                let mut x = [vdupq_n_u32(0); P];
                for p in 0..P {
                    x[p] = vreinterpretq_u32_u8(ready(vld1q_u8(run[p])));
                    run[p] = run[p].add(16);
                }
                macro_rules! lanes {
                    ($lane:literal $other:literal) => {
                        for n in BEGIN / 4..4 {
                            let w = vld1q_u8(weights.add($lane * GROUP_BYTES + n * 16));
                            let other = vld1q_u8(weights.add($other * GROUP_BYTES + n * 16));
                            for p in 0..P {
                                let x = [
                                    vdupq_laneq_u32::<$lane>(x[p]),
                                    vdupq_laneq_u32::<$other>(x[p]),
                                ];
                                sums[p][n] = add::<WIDE>(sums[p][n], [w, other], x);
                            }
                        }
                    };
                }
                lanes!(0 1);
                lanes!(2 3);
                weights = weights.add(4 * GROUP_BYTES);
            }
            for _ in 0..runs.groups % 4 {
                for p in 0..P {
                    let four = vdupq_n_u32(run[p].cast::<u32>().read_unaligned());
                    let x = vreinterpretq_s8_u8(ready(vreinterpretq_u8_u32(four)));
                    run[p] = run[p].add(4);
                    for n in BEGIN / 4..4 {
                        let w = vreinterpretq_s8_u8(vld1q_u8(weights.add(n * 16)));
                        let [low, high] = sums[p][n];
                        sums[p][n] = [
                            vpadalq_s16(low, vmull_s8(vget_low_s8(w), vget_low_s8(x))),
                            vpadalq_s16(high, vmull_high_s8(w, x)),
                        ];
                    }
                }
                weights = weights.add(GROUP_BYTES);
            }
        }
        let mut found = [start; P];
        for p in 0..P {
            for n in BEGIN / 4..4 {
                found[p][n] = vaddq_s32(start[n], vpaddq_s32(sums[p][n][0], sums[p][n][1]));
            }
        }
        found
    }
}

impl Products for Neon {
    type Lanes = Simd;
    type Start = Start;
    const PIXELS: usize = 2;
    const FUSED: bool = true;

    #[inline(always)]
    fn lanes(self) -> Simd {
        Simd
    }

    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Output {
        Simd.enter(work)
    }

    #[inline(always)]
    unsafe fn start(self, runs: Runs<'_>, mut weights: *const u8, bias: Sums) -> Start {
        // SAFETY: as for this function.
        unsafe {
            let mut sums = [vdupq_n_s32(0); 4];
            let mut least = vdupq_n_s8(0);
            for _ in runs.offsets {
                for _ in 0..runs.groups {
                    for (sum, w) in sums.iter_mut().zip(group(weights)) {
                        let w = vreinterpretq_s8_u8(w);
                        *sum = vpadalq_s16(*sum, vpaddlq_s8(w));
                        least = vminq_s8(least, w);
                    }
                    weights = weights.add(GROUP_BYTES);
                }
            }
            let mut start = bias;
            for (start, sum) in start.iter_mut().zip(sums) {
                *start = vaddq_s32(*start, vmulq_n_s32(sum, SHIFT.into()));
            }
            Start {
                sums: start,
                wide: vminvq_s8(least) == i8::MIN,
            }
        }
    }

    #[inline(always)]
    unsafe fn sums<const P: usize, const BEGIN: usize>(
        self,
        runs: Runs<'_>,
        windows: [*const u8; P],
        weights: *const u8,
        start: &Start,
    ) -> [Sums; P] {
        // SAFETY: as for this function.
        unsafe {
            if start.wide {
                sums::<P, BEGIN, true>(runs, windows, weights, start.sums)
            } else {
                sums::<P, BEGIN, false>(runs, windows, weights, start.sums)
            }
        }
    }
}
