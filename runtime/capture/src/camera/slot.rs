//! Room for one frame, in which a newer one replaces an older one.

use super::FrameStamp;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A gap in the driver's count beyond this is a restarted count, not a loss.
const LARGEST_GAP: u32 = 10_000;

/// The newest frame, shared by the thread that takes frames and the reader.
#[derive(Debug, Default)]
pub(super) struct Slot {
    newest: Mutex<Newest>,
    lost: AtomicU64,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct Newest {
    bytes: Vec<u8>,
    /// When the frame was put here and its age then; `None` when it was taken already.
    fresh: Option<(Instant, Duration)>,
    last_sequence: Option<u32>,
    error: Option<Error>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the frame by `bytes`, which gets the older frame's buffer.
    pub(super) fn put(&self, stamp: FrameStamp, bytes: &mut Vec<u8>) {
        let mut newest = self.lock();
        std::mem::swap(&mut newest.bytes, bytes);
        let replaced = newest.fresh.replace((Instant::now(), stamp.age)).is_some();
        let step = newest
            .last_sequence
            .replace(stamp.sequence)
            .map_or(1, |last| stamp.sequence.wrapping_sub(last));
        let skipped = if (1..LARGEST_GAP).contains(&step) {
            step - 1
        } else {
            0
        };
        self.lost
            .fetch_add(u64::from(replaced) + u64::from(skipped), Ordering::Relaxed);
    }

    /// Swaps the frame into `bytes` and returns its age, unless it was taken before.
    pub(super) fn take(&self, bytes: &mut Vec<u8>) -> Result<Option<Duration>> {
        let mut newest = self.lock();
        if let Some((put, age)) = newest.fresh.take() {
            std::mem::swap(&mut newest.bytes, bytes);
            return Ok(Some(age + put.elapsed()));
        }
        newest.error.take().map_or(Ok(None), Err)
    }

    /// Frames that were replaced or skipped.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Ends the frames; the reader gets `error` after the newest one.
    pub(super) fn fail(&self, error: Error) {
        self.lock().error = Some(error);
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}
