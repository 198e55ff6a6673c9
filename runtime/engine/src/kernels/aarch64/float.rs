//! Products of `f32`.

use core::arch::aarch64::*;

use super::products::{Dot, Products, Runs, Start, Sums, dot_sums};

/// Four channels times one element.
struct Fmla;

impl Dot for Fmla {
    #[inline(always)]
    fn ready<const P: usize>(x: [uint8x16_t; P]) -> [uint8x16_t; P] {
        x
    }

    #[inline(always)]
    unsafe fn add<const LANE: i32>(sum: int32x4_t, weights: uint8x16_t, x: uint8x16_t) -> int32x4_t {
        // SAFETY: every processor of these tiers has the instruction.
        unsafe {
            vreinterpretq_s32_f32(vfmaq_laneq_f32::<LANE>(
                vreinterpretq_f32_s32(sum),
                vreinterpretq_f32_u8(weights),
                vreinterpretq_f32_u8(x),
            ))
        }
    }
}

/// Sums of `f32`.
pub(super) struct Float;

impl Products for Float {
    const PIXELS: usize = 6;

    #[inline(always)]
    unsafe fn start(_: Runs<'_>, _: *const u8, bias: Sums) -> Start {
        Start {
            sums: bias,
            wide: false,
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
        unsafe { dot_sums::<Fmla, P, FROM>(runs, windows, weights, start.sums) }
    }
}
