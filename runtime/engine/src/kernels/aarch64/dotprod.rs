//! Products of four signed bytes with `sdot`.

use core::arch::aarch64::*;
use core::arch::asm;

use super::products::Dot;

/// Four channels times four bytes, which are less by 128.
#[derive(Clone, Copy)]
pub(super) struct Sdot;

impl Dot for Sdot {
    const PIXELS: usize = 5;
    const SHIFT: i32 = 128;

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
