//! Sums of products of windows with a block of weights, all in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::aarch64::*;

use super::lanes::{Simd, four};
use crate::kernels::sixteen::{Lanes, Products, Runs, Work};
use crate::step::GROUP_BYTES;

/// The sums of 16 channels: integers, or the bits of `f32`.
pub(super) type Sums = [int32x4_t; 4];

/// Products of four bytes of a window, the same for all channels, with the weights of four channels.
pub(super) trait Dot: Copy {
    /// Most pixels of a tile.
    const PIXELS: usize;
    /// Whether it multiplies `f32`, else bytes.
    const REALS: bool = false;
    /// What bytes of a window are more than what is multiplied.
    const SHIFT: i32 = 0;

    /// Bytes of windows as the products take them.
    fn ready<const P: usize>(x: [uint8x16_t; P]) -> [uint8x16_t; P];

    /// Adds the products with the four bytes of a lane.
    ///
    /// # Safety
    /// The processor has the instruction.
    unsafe fn add<const LANE: i32>(sum: int32x4_t, weights: uint8x16_t, x: uint8x16_t) -> int32x4_t;
}

/// Products with the bytes of a lane.
#[derive(Clone, Copy)]
pub(super) struct Dots<D>(D);

impl<D: Dot> Dots<D> {
    /// # Safety
    /// The processor has the instruction.
    pub unsafe fn new(dot: D) -> Self {
        Self(dot)
    }
}

impl<D: Dot> Products for Dots<D> {
    type Lanes = Simd;
    type Start = Sums;
    const PIXELS: usize = D::PIXELS;
    const REALS: bool = D::REALS;
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
    unsafe fn start(self, runs: Runs<'_>, mut weights: *const u8, bias: Sums) -> Sums {
        if D::SHIFT == 0 {
            return bias;
        }
        // SAFETY: as for this function, and a value says that the processor has the instruction.
        unsafe {
            let ones = vdupq_n_u8(1);
            let mut sums = [vdupq_n_s32(0); 4];
            for _ in 0..runs.offsets.len() * runs.groups {
                for (sum, w) in sums.iter_mut().zip(group(weights)) {
                    *sum = D::add::<0>(*sum, w, ones);
                }
                weights = weights.add(GROUP_BYTES);
            }
            four(|n| vaddq_s32(bias[n], vmulq_n_s32(sums[n], D::SHIFT)))
        }
    }

    #[inline(always)]
    unsafe fn sums<const P: usize, const BEGIN: usize>(
        self,
        runs: Runs<'_>,
        windows: [*const u8; P],
        weights: *const u8,
        start: &Sums,
    ) -> [Sums; P] {
        // SAFETY: as for this function, and a value says that the processor has the instruction.
        unsafe { dot_sums::<D, P, BEGIN>(runs, windows, weights, *start) }
    }
}

/// The 64 bytes of a group of taps.
///
/// # Safety
/// They may be read.
#[inline(always)]
pub(super) unsafe fn group(weights: *const u8) -> [uint8x16_t; 4] {
    // SAFETY: as for this function.
    four(|n| unsafe { vld1q_u8(weights.add(n * 16)) })
}

/// The sums of `P` windows, those of the first `BEGIN` channels left out: 16 bytes of each window at a time.
///
/// # Safety
/// As [`Products`], and the processor has the instruction.
#[inline(always)]
unsafe fn dot_sums<D: Dot, const P: usize, const BEGIN: usize>(
    runs: Runs<'_>,
    windows: [*const u8; P],
    mut weights: *const u8,
    start: Sums,
) -> [Sums; P] {
    let mut sums = [start; P];
    for &offset in runs.offsets {
        let mut run = windows;
        for p in 0..P {
            run[p] = run[p].wrapping_add(offset);
        }
        // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
        unsafe {
            macro_rules! lanes {
                ($x:ident $($lane:literal)*) => {$(
                    for n in BEGIN / 4..4 {
                        let w = vld1q_u8(weights.add($lane * GROUP_BYTES + n * 16));
                        for p in 0..P {
                            sums[p][n] = D::add::<$lane>(sums[p][n], w, $x[p]);
                        }
                    }
                )*};
            }
            for _ in 0..runs.groups / 4 {
                let mut x = [vdupq_n_u8(0); P];
                for p in 0..P {
                    x[p] = vld1q_u8(run[p]);
                    run[p] = run[p].add(16);
                }
                let x = D::ready(x);
                lanes!(x 0 1 2 3);
                weights = weights.add(4 * GROUP_BYTES);
            }
            if runs.groups & 2 != 0 {
                let mut x = [vdupq_n_u8(0); P];
                for p in 0..P {
                    let eight = vdupq_n_u64(run[p].cast::<u64>().read_unaligned());
                    x[p] = vreinterpretq_u8_u64(eight);
                    run[p] = run[p].add(8);
                }
                let x = D::ready(x);
                lanes!(x 0 1);
                weights = weights.add(2 * GROUP_BYTES);
            }
            if runs.groups & 1 != 0 {
                let mut x = [vdupq_n_u8(0); P];
                for p in 0..P {
                    let four = vdupq_n_u32(run[p].cast::<u32>().read_unaligned());
                    x[p] = vreinterpretq_u8_u32(four);
                }
                let x = D::ready(x);
                lanes!(x 0);
                weights = weights.add(GROUP_BYTES);
            }
        }
    }
    sums
}
