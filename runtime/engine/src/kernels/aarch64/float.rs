//! Products of `f32`.

use core::arch::aarch64::*;

use super::products::Dot;

/// Four channels times one element.
#[derive(Clone, Copy)]
pub(super) struct Fmla;

impl Dot for Fmla {
    const PIXELS: usize = 6;
    const REALS: bool = true;

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
