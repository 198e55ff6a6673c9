//! The highest rate of products that the registers alone allow.

use core::arch::x86_64::*;

/// Sums that do not wait for each other: more than the instruction's latency times its throughput.
const SUMS: usize = 12;

/// Products of one round.
pub(crate) const ROUND: u64 = SUMS as u64 * 64;

/// Runs rounds of `vpdpbusd` on registers; gives a number that depends on all of them.
pub(crate) fn products(rounds: u64) -> i32 {
    // SAFETY: only reached on a processor with the instructions, as all of this folder.
    unsafe { sum(rounds) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn sum(rounds: u64) -> i32 {
    let mut sums = [_mm512_setzero_si512(); SUMS];
    let (a, b) = (_mm512_set1_epi8(3), _mm512_set1_epi8(rounds as i8));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, b);
        }
    }
    let mut all = 0i32;
    for sum in sums {
        all = all.wrapping_add(_mm512_reduce_add_epi32(sum));
    }
    all
}
