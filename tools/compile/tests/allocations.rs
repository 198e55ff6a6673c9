//! Memory: an inference allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use engine::{Random, cpus, model};
use limbic_compile::compile;
use limbic_compile::host::Aligned;
use limbic_engine::Plan;

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });

/// The system's memory, requests of each thread counted.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the rules of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the rules of this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static MEMORY: Counting = Counting;

/// Requests for memory that a function makes.
fn allocations(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    run();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn requests_are_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))), 1);
}

#[test]
fn an_inference_allocates_nothing() {
    let shape = [1, 16];
    let graphs = [
        model("face-small", &[]),
        model("speech-small", &[]),
        model("text-small", &[("token_ids", &shape), ("attention_mask", &shape)]),
    ];
    for graph in graphs {
        let compiled = compile(&graph).unwrap();
        let (plan, pack) = (Aligned::new(&compiled.plan), Aligned::new(&compiled.packs[0]));
        let packs = [pack.get()];
        for cpu in cpus() {
            let plan = Plan::check(plan.get(), &packs, cpu).unwrap();
            let mut arena = Aligned::zeros(plan.arena_bytes());
            let mut random = Random(3);
            for byte in arena.get_mut() {
                // Small numbers of every type.
                *byte = random.below(2) as u8;
            }
            let count = allocations(|| {
                plan.reset(arena.get_mut()).unwrap();
                plan.run(arena.get_mut()).unwrap();
            });
            assert_eq!(count, 0, "{} on {}", graph.name, cpu.tier().name());
        }
    }
}
