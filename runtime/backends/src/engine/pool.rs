//! Threads that work on the parts of a step, and sleep in between.

#![allow(
    unsafe_code,
    reason = "a job that lives as long as a call is lent to threads that live longer"
)]

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use limbic_engine::Workers;

/// Nanoseconds that a part of a step must take: several times what it takes to hand one to a thread that looks out.
pub(super) const LEAST_PART: u64 = 4_000;
/// How long a thread looks out for the next part, and the caller for the end of the last one, before it sleeps: longer
/// than most steps that run whole, as waking takes 50 us and more. Threads look out during a run only.
const LOOK_OUT: Duration = Duration::from_micros(150);
/// Looks between two looks at the clock.
const LOOKS: usize = 32;
/// Memory for the calls of a thread, which runs kernels only.
const STACK_BYTES: usize = 256 * 1024;

type Job = dyn Fn(usize) + Sync;

/// The threads of a session beside the caller's.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Parts of the job in the upper half of the bits, those that somebody took in the lower half.
    taken: AtomicUsize,
    /// Parts of the job that ended.
    ended: AtomicUsize,
    /// The job; written when no part is left to be taken and none is being made.
    job: UnsafeCell<Option<&'static Job>>,
    /// Whether a part has panicked.
    panicked: AtomicBool,
    /// Whether a run is on, so that looking out pays.
    running: AtomicBool,
    /// Whether the threads shall end.
    closed: AtomicBool,
    /// Whether threads may sleep that nobody has woken; changed under the lock.
    asleep: AtomicBool,
    /// Whether the caller sleeps; changed under the lock.
    caller_asleep: AtomicBool,
    lock: Mutex<()>,
    /// There are parts to be taken, or the threads shall end.
    work: Condvar,
    /// The last part has ended.
    done: Condvar,
}

// SAFETY: the job is written by the caller alone, while no part is left to be taken and none is being made, and read by
// who has taken a part; taking follows the writing in the order of `taken`, the next writing follows the parts' ends in
// the order of `ended`. The job itself may be used by all threads.
unsafe impl Sync for Shared {}

const HALF: u32 = usize::BITS / 2;
const LOWER: usize = (1 << HALF) - 1;

impl Shared {
    fn locked(&self) -> MutexGuard<'_, ()> {
        // Nothing is guarded that could be left half done.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a part that nobody has taken yet.
    fn take(&self) -> Option<usize> {
        let free = |taken: usize| (taken & LOWER < taken >> HALF).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, free)
            .ok()?;
        Some(taken & LOWER)
    }

    fn has_work(&self) -> bool {
        let taken = self.taken.load(Ordering::SeqCst);
        taken & LOWER < taken >> HALF
    }

    /// Makes a part that was taken.
    fn make(&self, part: usize) {
        // SAFETY: the part was taken and has not ended, so the caller waits for it: the job is alive, nobody writes.
        let job = unsafe { *self.job.get() };
        if let Some(job) = job
            && catch_unwind(AssertUnwindSafe(|| job(part))).is_err()
        {
            self.panicked.store(true, Ordering::Relaxed);
        }
        // Behind this the job may be gone.
        let parts = self.taken.load(Ordering::Relaxed) >> HALF;
        let ended = self.ended.fetch_add(1, Ordering::SeqCst) + 1;
        if ended == parts && self.caller_asleep.load(Ordering::SeqCst) {
            drop(self.locked());
            self.done.notify_one();
        }
    }

    /// Looks for something for a short time; whether it came.
    fn look_out(&self, found: impl Fn() -> bool) -> bool {
        let began = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if found() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() > LOOK_OUT {
                return false;
            }
        }
    }

    /// A thread's life.
    fn work(&self) {
        loop {
            while let Some(part) = self.take() {
                self.make(part);
            }
            let running = || self.running.load(Ordering::Relaxed);
            if running() && self.look_out(|| self.has_work() || !running()) {
                continue;
            }
            let lock = self.locked();
            self.asleep.store(true, Ordering::SeqCst);
            if self.closed.load(Ordering::SeqCst) {
                return;
            }
            // Who has no work yet behind being woken looks out for the next.
            if !self.has_work() {
                drop(self.work.wait(lock).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

impl Pool {
    /// So many threads beside the caller's; fewer where the system starts no more.
    pub(super) fn new(others: usize) -> Self {
        let shared = Arc::new(Shared {
            taken: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            panicked: AtomicBool::new(false),
            running: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            caller_asleep: AtomicBool::new(false),
            lock: Mutex::new(()),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let threads = (0..others).map_while(|n| {
            let shared = Arc::clone(&shared);
            let named = std::thread::Builder::new().name(format!("limbic-{}", n + 1));
            let spawned = named.stack_size(STACK_BYTES).spawn(move || shared.work());
            spawned
                .inspect_err(|error| log::warn!("no thread beside {}: {error}", n + 1))
                .ok()
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Threads of a run, the caller's included.
    pub(super) fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Lends the threads for a run: between its steps they look out for the next for a short time.
    pub(super) fn lend(&mut self) -> Lent<'_> {
        self.shared.running.store(true, Ordering::Relaxed);
        Lent {
            pool: self,
            one_thread: PhantomData,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        drop(self.shared.locked());
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A thread ends by itself only; panics of jobs are caught.
            let _ = thread.join();
        }
    }
}

/// The threads of a pool during a run.
pub(super) struct Lent<'a> {
    pool: &'a mut Pool,
    /// Jobs come one after the other.
    one_thread: PhantomData<Cell<()>>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.shared.running.store(false, Ordering::Relaxed);
    }
}

impl Workers for Lent<'_> {
    fn count(&self) -> usize {
        self.pool.threads()
    }

    fn least_nanoseconds(&self) -> u64 {
        LEAST_PART
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.pool.shared;
        let parts = parts.min(LOWER);
        // SAFETY: only how long it may be used is left out; this waits until nobody uses it any more.
        let job = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static Job>(job) };
        // SAFETY: no part is left to be taken and none is being made, and nobody else writes.
        unsafe { *shared.job.get() = Some(job) };
        shared.ended.store(0, Ordering::Relaxed);
        shared.taken.store(parts << HALF, Ordering::SeqCst);
        // Once until they sleep again: a thread that waits for a processor need not be told of each step.
        if shared.asleep.load(Ordering::SeqCst) {
            let lock = shared.locked();
            shared.asleep.store(false, Ordering::SeqCst);
            drop(lock);
            shared.work.notify_all();
        }
        while let Some(part) = shared.take() {
            shared.make(part);
        }
        let ended = || shared.ended.load(Ordering::SeqCst) == parts;
        if !shared.look_out(ended) {
            let mut lock = shared.locked();
            shared.caller_asleep.store(true, Ordering::SeqCst);
            while !ended() {
                lock = shared.done.wait(lock).unwrap_or_else(PoisonError::into_inner);
            }
            shared.caller_asleep.store(false, Ordering::SeqCst);
        }
        if shared.panicked.swap(false, Ordering::Relaxed) {
            resume_unwind(Box::new("a part of a step panicked"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends here")]

    use super::*;

    #[test]
    fn every_part_of_every_job_is_made_once_before_the_job_ends() {
        let mut pool = Pool::new(3);
        let mut sum = 0;
        for round in 0..300 {
            let lent = pool.lend();
            for parts in [1, 2, 3, 7, 31] {
                let made: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                lent.run(parts, &|part| {
                    made[part].fetch_add(1 + round, Ordering::Relaxed);
                });
                assert!(
                    made.iter()
                        .all(|count| count.load(Ordering::Relaxed) == 1 + round)
                );
                sum += parts;
            }
            drop(lent);
            // Every tenth time they sleep first.
            if round % 10 == 0 {
                std::thread::sleep(LOOK_OUT * 5);
            }
        }
        assert_eq!(sum, 300 * 44);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_threads_go_on() {
        let mut pool = Pool::new(1);
        for panicking in 0..4 {
            let lent = pool.lend();
            let run = || {
                lent.run(4, &|part| {
                    if part == panicking {
                        // As a panic, without its message.
                        resume_unwind(Box::new(part));
                    }
                });
            };
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
            let made = AtomicUsize::new(0);
            lent.run(4, &|_| {
                made.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(made.into_inner(), 4);
        }
        assert_eq!(pool.threads(), 2);
        assert!(pool.threads.iter().all(|thread| !thread.is_finished()));
    }
}
