//! A run of the engine allocates nothing.
#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod driver;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use driver::{load, run_step, step};
use limbic_backends::by_name;

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on as it came.
#[allow(unsafe_code, reason = "an allocator can't be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_stateful_run_allocates_nothing() {
    let mut session = load(&*by_name("engine").unwrap(), "step", &step())
        .session()
        .unwrap();
    let x = [0.5, -1.0, 0.25];
    let before = COUNT.get();
    let boxed = std::hint::black_box(Box::new(1));
    assert_eq!(COUNT.get() - before, 1, "the count must see an allocation");
    drop(boxed);
    let before = COUNT.get();
    for _ in 0..10 {
        run_step(&mut *session, &x);
    }
    assert_eq!(COUNT.get() - before, 0);
}
