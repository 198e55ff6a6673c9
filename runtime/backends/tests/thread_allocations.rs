//! A run on several threads allocates nothing on any of them.
#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod wide;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use limbic_backends::with_threads;
use wide::{PIXELS, load_wide, run_into};

/// The system's allocator, counting what all threads ask for.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it came.
#[allow(unsafe_code, reason = "an allocator can't be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::SeqCst);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_run_on_several_threads_allocates_nothing() {
    let mut session = load_wide(&*with_threads("engine", 4).unwrap()).session().unwrap();
    let (x, mut y) = (vec![0.25; PIXELS], vec![0.0; PIXELS]);
    run_into(&mut *session, &x, &mut y);
    // Threads ask for memory when they start, which may be behind the first run.
    std::thread::sleep(Duration::from_millis(500));
    let before = COUNT.load(Ordering::SeqCst);
    for _ in 0..20 {
        run_into(&mut *session, &x, &mut y);
    }
    assert_eq!(COUNT.load(Ordering::SeqCst) - before, 0);
    drop(std::hint::black_box(vec![1u8; 100]));
    assert!(
        COUNT.load(Ordering::SeqCst) > before,
        "the count must see an allocation"
    );
}
