//! Threads that a caller lends for a run.

/// Threads that work on the parts of a step.
///
/// Nothing relies on an implementation for what is computed or for safety: a part that it leaves out is made by the
/// caller of the run, and one that it asks for twice is made once.
pub trait Workers {
    /// How many parts can be worked on at a time, by the caller's own thread and the others.
    fn count(&self) -> usize;

    /// Nanoseconds that a part must take for it to pay: several times what it takes to hand one over.
    fn least_nanoseconds(&self) -> u64;

    /// Calls `job` with each number below `parts`, on any thread and in any order; returns when all calls have ended.
    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync));
}

/// The caller's own thread alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Workers for Alone {
    fn count(&self) -> usize {
        1
    }

    fn least_nanoseconds(&self) -> u64 {
        u64::MAX
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..parts).for_each(job);
    }
}
