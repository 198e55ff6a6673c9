//! Sums of products of windows with a block of weights, all in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::aarch64::*;

use super::lanes::four;
use crate::step::GROUP_BYTES;

/// The sums of 16 channels: integers, or the bits of `f32`.
pub(super) type Sums = [int32x4_t; 4];

/// Where the taps of a window lie.
#[derive(Clone, Copy)]
pub(super) struct Runs<'a> {
    /// Bytes from the first of the window to each run of taps.
    pub offsets: &'a [usize],
    /// Groups of four bytes of a run.
    pub groups: usize,
}

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
    unsafe fn start(runs: Runs<'_>, weights: *const u8, bias: Sums) -> Start;

    /// The sums of `P` windows, those of the first `FROM` times four channels left out.
    unsafe fn sums<const P: usize, const FROM: usize>(
        runs: Runs<'_>,
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

/// The sums of `P` windows, those of the first `FROM` times four channels left out: 16 bytes of each window at a time.
///
/// # Safety
/// As [`Products`].
#[inline(always)]
pub(super) unsafe fn dot_sums<D: Dot, const P: usize, const FROM: usize>(
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
                    for n in FROM..4 {
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
