//! The highest rate of products that the registers alone allow.

use core::arch::x86_64::*;

use super::lanes::Avx2;
use super::products::{Busd, Dot, Madd};
use crate::cpu::Tier;
use crate::kernels::sixteen::{Lanes, Work};

/// Sums that do not wait for each other: more than the instructions' latency times their throughput.
const SUMS: usize = 10;

/// Products of one round.
pub(crate) const ROUND: u64 = SUMS as u64 * 32;

/// Runs rounds of the products of a tier on registers; gives a number that depends on all of them.
pub(crate) fn products(tier: Tier, rounds: u64) -> i32 {
    // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
    unsafe {
        if tier == Tier::AvxVnni {
            let dot = Busd::new();
            Dot::enter(dot, Rounds { dot, rounds })
        } else {
            let dot = Madd(Avx2::new());
            Dot::enter(dot, Rounds { dot, rounds })
        }
    }
}

/// Rounds of products.
struct Rounds<D> {
    dot: D,
    rounds: u64,
}

impl<D: Dot> Work for Rounds<D> {
    type Output = i32;

    #[inline(always)]
    fn run(self) -> i32 {
        // SAFETY: products of any kind come with these instructions.
        unsafe {
            let lanes = Avx2::new();
            let mut sums = [_mm256_setzero_si256(); SUMS];
            let (x, w) = (
                self.dot.ready(_mm256_set1_epi8(3)),
                _mm256_set1_epi8(self.rounds as i8),
            );
            for _ in 0..self.rounds {
                for sum in &mut sums {
                    *sum = self.dot.add(*sum, w, x);
                }
            }
            let mut all = sums[0];
            for sum in &sums[1..] {
                all = _mm256_add_epi32(all, *sum);
            }
            lanes.sum(lanes.to_reals([all, all])) as i32
        }
    }
}
