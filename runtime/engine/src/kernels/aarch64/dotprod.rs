//! Products of four signed bytes with `sdot`.

use core::arch::aarch64::*;
use core::arch::asm;

use super::products::{Dot, Products, Runs, Start, Sums, dot_sums, group};
use crate::step::GROUP_BYTES;

/// What bytes of a window are more than the signed ones that are multiplied.
const SHIFT: i32 = 128;

/// Four channels times four bytes, less [`SHIFT`].
pub(super) struct Sdot;

impl Dot for Sdot {
    #[inline(always)]
    fn ready<const P: usize>(mut x: [uint8x16_t; P]) -> [uint8x16_t; P] {
        // SAFETY: every processor of these tiers has the instructions.
        unsafe {
            let shift: uint8x16_t;
            // Kept in a register throughout, it would take that of a sum: made anew each time.
            asm!("movi {shift:v}.16b, #128", shift = out(vreg) shift, options(nomem, nostack, preserves_flags));
            for x in &mut x {
                *x = veorq_u8(*x, shift);
            }
        }
        x
    }

    #[inline(always)]
    unsafe fn add<const LANE: i32>(mut sum: int32x4_t, weights: uint8x16_t, x: uint8x16_t) -> int32x4_t {
        // SAFETY: the caller knows that the processor has the instruction, which reads and writes registers only.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "sdot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{lane}]",
                sum = inout(vreg) sum,
                weights = in(vreg) weights,
                x = in(vreg) x,
                lane = const LANE,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sum
    }
}

/// Sums of integers with `sdot`.
pub(super) struct Dotprod;

impl Products for Dotprod {
    const PIXELS: usize = 5;

    #[inline(always)]
    unsafe fn start(runs: Runs<'_>, mut weights: *const u8, bias: Sums) -> Start {
        // SAFETY: as for this function.
        unsafe {
            let ones = vdupq_n_u8(1);
            let mut sums = [vdupq_n_s32(0); 4];
            for _ in runs.offsets {
                for _ in 0..runs.groups {
                    for (sum, w) in sums.iter_mut().zip(group(weights)) {
                        *sum = Sdot::add::<0>(*sum, w, ones);
                    }
                    weights = weights.add(GROUP_BYTES);
                }
            }
            let mut start = bias;
            for (start, sum) in start.iter_mut().zip(sums) {
                *start = vaddq_s32(*start, vmulq_n_s32(sum, SHIFT));
            }
            Start {
                sums: start,
                wide: false,
            }
        }
    }

    #[inline(always)]
    unsafe fn sums<const P: usize, const FROM: usize>(
        runs: Runs<'_>,
        windows: [*const u8; P],
        weights: *const u8,
        start: &Start,
    ) -> [Sums; P] {
        // SAFETY: as for this function.
        unsafe { dot_sums::<Sdot, P, FROM>(runs, windows, weights, start.sums) }
    }
}
