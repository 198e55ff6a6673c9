//! The highest rate of products that the registers alone allow.

use core::arch::aarch64::*;

use super::dotprod::Sdot;
use super::i8mm::Sudot;
use super::products::Dot;
use crate::cpu::Tier;

/// Sums that do not wait for each other: more than the instructions' latency times their throughput.
const SUMS: usize = 16;

/// Products of one round.
pub(crate) const ROUND: u64 = SUMS as u64 * 16;

/// Runs rounds of the products of a tier on registers; gives a number that depends on all of them.
pub(crate) fn products(tier: Tier, rounds: u64) -> i32 {
    // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
    unsafe {
        match tier {
            Tier::I8mm => sum(rounds, |sum, w, x| Sudot::add::<0>(sum, w, x)),
            Tier::Dotprod => sum(rounds, |sum, w, x| Sdot::add::<0>(sum, w, x)),
            _ => sum(rounds, |sum, w, x| {
                let (w, x) = (vreinterpretq_s8_u8(w), vreinterpretq_s8_u8(x));
                vpadalq_s16(sum, vmlal_high_s8(vmull_s8(vget_low_s8(w), vget_low_s8(x)), w, x))
            }),
        }
    }
}

#[inline(always)]
fn sum(rounds: u64, add: impl Fn(int32x4_t, uint8x16_t, uint8x16_t) -> int32x4_t) -> i32 {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let mut sums = [vdupq_n_s32(0); SUMS];
        let (a, b) = (vdupq_n_u8(3), vdupq_n_u8(rounds as u8));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = add(*sum, a, b);
            }
        }
        sums.into_iter()
            .fold(0, |all, sum| all.wrapping_add(vaddvq_s32(sum)))
    }
}
