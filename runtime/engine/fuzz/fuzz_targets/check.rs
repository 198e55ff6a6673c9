//! The plan reader: an error, or a plan whose parts can all be asked for; never a panic, and in bounded time.
#![no_main]

mod plan;

use libfuzzer_sys::fuzz_target;
use limbic_engine::{Cpu, Plan};

fuzz_target!(|data: &[u8]| {
    let Some((pack, bytes)) = plan::parts(data) else { return };
    let packs = [pack.get()];
    let Ok(plan) = Plan::check(bytes, &packs, Cpu::scalar()) else {
        return;
    };
    for n in 0..plan.ports() {
        let port = plan.port(n).expect("a port that was checked");
        assert!(port.dims().len() <= limbic_engine::plan::PORT_AXES);
        assert!(port.span().end() <= plan.arena_bytes() as u64);
    }
    for n in 0..plan.steps() {
        let step = plan.step(n).expect("a step that was checked");
        assert!(step.output().end() <= plan.arena_bytes() as u64);
        plan.step_name(n).expect("a name that was checked");
    }
});
