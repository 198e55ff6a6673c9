//! `limbicd run`: every input on a thread of its own, events on stdout.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use limbic::{Answer, Bundle, Event, FusionParams, Recognizer, Scope, Sense};
use limbic_capture::source::SystemClock;

use crate::args::Options;
use crate::{bundles, feed};

/// Runs until every input has ended or a signal comes.
pub fn run(options: &Options) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // A second signal ends the program at once, whatever hangs.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .context("can't listen for signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("can't listen for signals")?;
    }
    #[cfg(feature = "ort")]
    if let Some(library) = &options.onnx_runtime {
        limbic::use_onnx_runtime(library);
    }
    let files = if options.bundles.is_empty() {
        bundles::find()?
    } else {
        options.bundles.clone()
    };
    // Everything is opened before anything is answered: a wrong bundle or a missing microphone must not show up late.
    let mut feeds = Vec::new();
    for uri in &options.inputs {
        let source = feed::open(uri, options.paced)?;
        let sense = sense_of(source.sense());
        let recognizer =
            recognizer_for(sense, &files, options).with_context(|| format!("no model for {uri}"))?;
        feeds.push((source, recognizer));
    }
    let clock = Arc::new(SystemClock::new());
    let (sender, receiver) = mpsc::channel();
    let mut threads = Vec::new();
    for (source, recognizer) in feeds {
        let name = source.name().to_owned();
        let waits_for_stdin = name == "text:-";
        let (stop, answers, clock) = (Arc::clone(&stop), sender.clone(), Arc::clone(&clock));
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || feed::feed(source, recognizer, &clock, &stop, &answers))
            .context("can't start a thread")?;
        threads.push((thread, waits_for_stdin));
    }
    drop(sender);

    let mut sink = Sink::new(options.fuse_ms);
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(answer) => sink.take(answer)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // A thread that reads stdin sits in a system call that no flag ends; it holds nothing to finish.
                let busy = threads
                    .iter()
                    .any(|(thread, stdin)| !stdin && !thread.is_finished());
                if stop.load(Ordering::Relaxed) && !busy {
                    break;
                }
            }
        }
    }
    while let Ok(answer) = receiver.try_recv() {
        sink.take(answer)?;
    }
    let mut failures = Vec::new();
    for (thread, stdin) in threads {
        if stdin && !thread.is_finished() {
            continue;
        }
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failures.push(format!("{error:#}")),
            Err(_) => failures.push("an input's thread died".to_owned()),
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(anyhow!(failures.join("; ")))
    }
}

/// Opens the bundle for a sense out of several.
fn recognizer_for(sense: Sense, files: &[std::path::PathBuf], options: &Options) -> Result<Recognizer> {
    let mut builder = Recognizer::builder().threads(options.threads);
    if let Some(backend) = &options.backend {
        builder = builder.backend(backend);
    }
    let mut found = false;
    for file in files {
        let bundle = Bundle::open(file)?;
        if limbic::sense_of(&bundle) == Some(sense) {
            found = true;
            builder = builder.opened(bundle);
        }
    }
    if !found {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        bail!("none of {} takes {}", names.join(", "), sense.name());
    }
    Ok(builder.build()?)
}

fn sense_of(sense: limbic_capture::Sense) -> Sense {
    match sense {
        limbic_capture::Sense::Audio => Sense::Audio,
        limbic_capture::Sense::Image => Sense::Image,
        limbic_capture::Sense::Text => Sense::Text,
    }
}

/// Numbers events, prints them, and fuses the newest answers of different senses.
struct Sink {
    next_seq: u64,
    horizon: Duration,
    newest: Vec<(Sense, Instant, Answer)>,
}

impl Sink {
    fn new(fuse_ms: u64) -> Self {
        Self {
            next_seq: 0,
            horizon: Duration::from_millis(fuse_ms),
            newest: Vec::new(),
        }
    }

    fn take(&mut self, mut answer: Answer) -> Result<()> {
        self.print(&mut answer.event)?;
        let (sense, scope) = match &answer.event {
            Event::Observation(seen) => (seen.sense, seen.scope),
            // Without an answer a sense has nothing to say any more.
            Event::NoAnswer(none) => {
                self.newest.retain(|(sense, _, _)| *sense != none.sense);
                return Ok(());
            }
            Event::Fused(_) => return Ok(()),
        };
        // A summary repeats what its windows said.
        if scope == Scope::File || self.horizon.is_zero() {
            return Ok(());
        }
        let now = Instant::now();
        let horizon = self.horizon;
        self.newest
            .retain(|(other, at, _)| *other != sense && now.duration_since(*at) <= horizon);
        self.newest.push((sense, now, answer));
        if self.newest.len() > 1 {
            let answers: Vec<&Answer> = self.newest.iter().map(|(_, _, answer)| answer).collect();
            let mut fused = limbic::fuse(&answers, FusionParams::builtin())?;
            self.print(&mut fused.event)?;
        }
        Ok(())
    }

    fn print(&mut self, event: &mut Event) -> Result<()> {
        event.set_seq(self.next_seq);
        self.next_seq += 1;
        let mut stdout = std::io::stdout().lock();
        // A reader that went away is no reason for a message; the next write ends the run.
        writeln!(stdout, "{}", serde_json::to_string(event)?)
            .and_then(|()| stdout.flush())
            .context("can't write events")
    }
}
