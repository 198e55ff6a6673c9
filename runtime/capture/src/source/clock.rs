//! Time, lent by the caller.

use std::time::{Duration, Instant};

/// What a piece's times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClockKind {
    /// The start of the file: equal in every run.
    #[default]
    Media,
    /// The caller's monotonic [`Clock`].
    Monotonic,
}

/// A monotonic clock that can wait.
///
/// The product lends a [`SystemClock`]; a test lends one that jumps instead of sleeping.
pub trait Clock {
    /// Milliseconds since the clock's start; never goes back.
    fn now_ms(&self) -> u64;

    /// Waits until [`Clock::now_ms`] is at least `ms`.
    fn sleep_until(&self, ms: u64);
}

/// The system's monotonic clock, counted from its creation.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts at 0 ms.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_until(&self, ms: u64) {
        while let Some(left) = ms.checked_sub(self.now_ms()).filter(|&left| left > 0) {
            std::thread::sleep(Duration::from_millis(left));
        }
    }
}
