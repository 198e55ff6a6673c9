//! Threads of a session: equal answers, asleep between runs, ended with it.
#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod driver;
mod wide;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use limbic_backends::with_threads;

use driver::{load, step};
use wide::{PIXELS, load_wide, run_wide};

/// Tests count this process's threads, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Processor time of each thread that sessions started, in nanoseconds, by its number.
#[cfg(target_os = "linux")]
fn workers() -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        if read("comm").starts_with("limbic-") {
            let time = read("schedstat")
                .split_whitespace()
                .next()
                .map(|ns| ns.parse().unwrap());
            found.insert(thread.file_name().into_string().unwrap(), time.unwrap_or(0));
        }
    }
    found
}

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

#[test]
fn several_threads_give_the_bits_of_one() {
    let _turn = TURN.lock();
    let inputs: Vec<f32> = (0..PIXELS)
        .map(|n| (n * 37 % 1000) as f32 / 500.0 - 1.0)
        .collect();
    for name in ["engine", "engine@scalar"] {
        let mut outputs = Vec::new();
        for threads in [1, 2, 3, 4] {
            let backend = with_threads(name, threads).unwrap();
            let program = load_wide(&*backend);
            assert_eq!(program.placement().threads, threads.min(cores()));
            let mut session = program.session().unwrap();
            for _ in 0..3 {
                outputs.push(run_wide(&mut *session, &inputs));
            }
        }
        let bits = |y: &Vec<f32>| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
        assert!(outputs[0].iter().any(|&y| y != outputs[0][0]));
        assert!(outputs.iter().all(|y| bits(y) == bits(&outputs[0])), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn threads_sleep_between_runs_and_end_with_their_session() {
    let _turn = TURN.lock();
    let program = load_wide(&*with_threads("engine", 2).unwrap());
    assert_eq!(workers().len(), 0);
    let mut session = program.session().unwrap();
    let others = cores().min(2) - 1;
    let x = vec![0.5; PIXELS];
    for _ in 0..20 {
        run_wide(&mut *session, &x);
    }
    assert_eq!(workers().len(), others);
    // On a busy machine a thread may be given a processor late, to find that there is nothing to do.
    let idle = (0..10).any(|_| {
        let before = workers();
        std::thread::sleep(Duration::from_millis(300));
        workers() == before
    });
    assert!(idle, "idle threads take processor time");
    run_wide(&mut *session, &x);
    drop(session);
    assert_eq!(workers().len(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_network_that_would_not_be_shorter_starts_no_thread() {
    let _turn = TURN.lock();
    let program = load(&*with_threads("engine", 4).unwrap(), "step", &step());
    assert_eq!(program.placement().threads, 1);
    let mut session = program.session().unwrap();
    driver::run_step(&mut *session, &[0.5, -1.0, 0.25]);
    assert_eq!(workers().len(), 0);
}
