//! Whether several threads make a run shorter here and now.
//!
//! That depends on what else the machine does: a thread that waits for a processor makes the others wait. Answers are
//! the same either way, so runs are timed, and the shorter way is taken.

use std::time::Duration;

/// Times of each way that are kept.
const KEPT: usize = 5;
/// From a run in the longer way, to see whether it still is, to the next.
const TRIAL: usize = 16;

/// Which way the runs of a signature take.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// Runs so far.
    runs: usize,
    alone: Times,
    shared: Times,
}

/// The newest times of one way.
#[derive(Debug, Clone, Default)]
struct Times {
    kept: [Duration; KEPT],
    next: usize,
}

impl Times {
    fn add(&mut self, time: Duration) {
        if let Some(kept) = self.kept.get_mut(self.next % KEPT) {
            *kept = time;
        }
        self.next = (self.next + 1) % KEPT;
    }

    fn median(&self) -> Duration {
        let mut sorted = self.kept;
        sorted.sort_unstable();
        sorted.get(KEPT / 2).copied().unwrap_or_default()
    }
}

impl Pace {
    /// Whether the next run takes several threads.
    pub(super) fn is_shared(&self) -> bool {
        if self.runs < 2 * KEPT {
            return self.runs.is_multiple_of(2);
        }
        let shorter = self.shared.median() < self.alone.median();
        shorter != self.runs.is_multiple_of(TRIAL)
    }

    /// Takes note of the time of the run that [`Pace::is_shared`] was asked for.
    pub(super) fn ran(&mut self, time: Duration) {
        if self.is_shared() {
            self.shared.add(time);
        } else {
            self.alone.add(time);
        }
        self.runs = if self.runs == 2 * KEPT + TRIAL {
            // The count stays small, and its place between two trials.
            self.runs + 1 - TRIAL
        } else {
            self.runs + 1
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of several threads among so many, a run of one thread taking 100.
    fn shared_runs(pace: &mut Pace, runs: usize, shared_time: u64) -> usize {
        let mut count = 0;
        for _ in 0..runs {
            let shared = pace.is_shared();
            count += usize::from(shared);
            pace.ran(Duration::from_micros(if shared { shared_time } else { 100 }));
        }
        count
    }

    #[test]
    fn the_shorter_way_is_taken_and_the_other_tried_now_and_then() {
        let mut pace = Pace::default();
        assert!(pace.is_shared(), "the first run");
        assert_eq!(shared_runs(&mut pace, 10, 60), 5);
        assert_eq!(shared_runs(&mut pace, 160, 60), 150);
        // The machine gets busy.
        assert!(shared_runs(&mut pace, 160, 140) < 20);
        assert_eq!(shared_runs(&mut pace, 160, 140), 10);
        // And quiet again.
        shared_runs(&mut pace, 160, 60);
        assert_eq!(shared_runs(&mut pace, 160, 60), 150);
    }

    #[test]
    fn single_long_runs_change_nothing() {
        let mut pace = Pace::default();
        shared_runs(&mut pace, 10, 60);
        pace.ran(Duration::from_secs(1));
        pace.ran(Duration::from_secs(1));
        // But for the trial.
        assert_eq!(shared_runs(&mut pace, 12, 60), 11);
    }
}
