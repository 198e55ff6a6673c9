//! What the plan reader accepts runs inside its memory, on every tier that this processor has.
#![no_main]

mod plan;

use libfuzzer_sys::fuzz_target;
use limbic_engine::{Cpu, Plan, Workers};

/// Makes every part there can be, the last one first.
struct Backwards;

impl Workers for Backwards {
    fn count(&self) -> usize {
        3
    }

    fn least_nanoseconds(&self) -> u64 {
        0
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().for_each(job);
    }
}

/// A larger plan is only time.
const MOST_MEMORY: usize = 1 << 14;
const MOST_STEPS: usize = 12;

fuzz_target!(|data: &[u8]| {
    let Some((pack, bytes)) = plan::parts(data) else { return };
    let packs = [pack.get()];
    for cpu in Cpu::detect().tiers() {
        let Ok(plan) = Plan::check(bytes, &packs, cpu) else {
            return;
        };
        if plan.arena_bytes() > MOST_MEMORY || plan.steps() > MOST_STEPS {
            return;
        }
        let mut arena = plan::Aligned::zeros(plan.arena_bytes());
        plan.reset(arena.get_mut()).expect("memory of the right length");
        plan.run(arena.get_mut()).expect("a plan that was checked");
        plan.run_with(arena.get_mut(), &Backwards).expect("a plan that was checked");
    }
});
