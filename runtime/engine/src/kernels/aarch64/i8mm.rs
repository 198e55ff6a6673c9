//! Products of four bytes, signed with unsigned, with `sudot`.

use core::arch::aarch64::*;
use core::arch::asm;

use super::products::Dot;

/// Four channels times four bytes.
#[derive(Clone, Copy)]
pub(super) struct Sudot;

impl Dot for Sudot {
    const PIXELS: usize = 6;

    #[inline(always)]
    fn ready<const P: usize>(x: [uint8x16_t; P]) -> [uint8x16_t; P] {
        x
    }

    #[inline(always)]
    unsafe fn add<const LANE: i32>(mut sum: int32x4_t, weights: uint8x16_t, x: uint8x16_t) -> int32x4_t {
        // SAFETY: the caller knows that the processor has the instruction, which reads and writes registers only.
        unsafe {
            asm!(
                ".arch_extension i8mm",
                "sudot {sum:v}.4s, {weights:v}.16b, {x:v}.4b[{lane}]",
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
