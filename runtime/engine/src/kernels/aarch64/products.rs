//! Sums of products of windows with a block of weights, all in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::aarch64::*;

use super::lanes::four;
use crate::step::{GROUP_BYTES, Taps};

/// The sums of 16 channels: integers, or the bits of `f32`.
pub(super) type Sums = [int32x4_t; 4];

/// What the sums of a block begin with.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub sums: Sums,
    /// Whether two products of bytes may need more than 16 bits.
    pub wide: bool,
}

/// How windows are multiplied with a block of weights.
///
/// # Safety
/// All functions: the processor has the instructions of the tier; the windows and the weights of the block may be
/// read.
pub(super) trait Products {
    /// Most pixels of a tile.
    const PIXELS: usize;

    /// What the sums of a block begin with, for an entry of the bias for each channel.
    unsafe fn start(taps: &Taps, weights: *const u8, bias: Sums) -> Start;

    /// The sums of `P` windows.
    unsafe fn sums<const P: usize>(
        taps: &Taps,
        windows: [*const u8; P],
        weights: *const u8,
        start: &Start,
    ) -> [Sums; P];
}

/// Products of four bytes of a window, the same for all channels, with the weights of four channels.
pub(super) trait Dot {
    /// Bytes of windows as the products take them.
    fn ready<const P: usize>(x: [uint8x16_t; P]) -> [uint8x16_t; P];

    /// Adds the products with the four bytes of a lane.
    ///
    /// # Safety
    /// The processor has the instruction.
    unsafe fn add<const LANE: i32>(sum: int32x4_t, weights: uint8x16_t, x: uint8x16_t) -> int32x4_t;
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

/// Calls a function with the first byte of each run of taps, from the first of the window.
#[inline(always)]
pub(super) fn for_each_run(taps: &Taps, mut visit: impl FnMut(usize)) {
    for row in 0..taps.rows as usize {
        for column in 0..taps.columns as usize {
            visit(row * taps.row_step as usize + column * taps.column_step as usize);
        }
    }
}

/// The sums of `P` windows: 16 bytes of each at a time.
///
/// # Safety
/// As [`Products`].
#[inline(always)]
pub(super) unsafe fn dot_sums<D: Dot, const P: usize>(
    taps: &Taps,
    windows: [*const u8; P],
    mut weights: *const u8,
    start: Sums,
) -> [Sums; P] {
    let mut sums = [start; P];
    let mut run = windows;
    for_each_run(taps, |first| {
        for p in 0..P {
            run[p] = windows[p].wrapping_add(first);
        }
        // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
        unsafe {
            for _ in 0..taps.groups / 4 {
                let mut x = [vdupq_n_u8(0); P];
                for p in 0..P {
                    x[p] = vld1q_u8(run[p]);
                    run[p] = run[p].add(16);
                }
                let x = D::ready(x);
                macro_rules! lanes {
                    ($($lane:literal)*) => {$(
                        for n in 0..4 {
                            let w = vld1q_u8(weights.add($lane * GROUP_BYTES + n * 16));
                            for p in 0..P {
                                sums[p][n] = D::add::<$lane>(sums[p][n], w, x[p]);
                            }
                        }
                    )*};
                }
                lanes!(0 1 2 3);
                weights = weights.add(4 * GROUP_BYTES);
            }
            for _ in 0..taps.groups % 4 {
                let mut x = [vdupq_n_u8(0); P];
                for p in 0..P {
                    let four = vdupq_n_u32(run[p].cast::<u32>().read_unaligned());
                    x[p] = vreinterpretq_u8_u32(four);
                    run[p] = run[p].add(4);
                }
                let x = D::ready(x);
                for n in 0..4 {
                    let w = vld1q_u8(weights.add(n * 16));
                    for p in 0..P {
                        sums[p][n] = D::add::<0>(sums[p][n], w, x[p]);
                    }
                }
                weights = weights.add(GROUP_BYTES);
            }
        }
    });
    sums
}
