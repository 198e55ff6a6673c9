//! `limbic bench`

mod measure;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use limbic_bundle::Bundle;

use measure::{Measurement, serve};

use crate::args::Bench;
use crate::show::print_line;

/// Compares the backends of a bundle, each in a process of its own, taking turns.
///
/// The processes use the ONNX Runtime at a path that was named.
pub fn run(args: &Bench, onnx_runtime: Option<&Path>) -> Result<ExitCode> {
    let bundle =
        Bundle::open(&args.bundle).with_context(|| format!("can't use {}", args.bundle.display()))?;
    if let Some(backend) = &args.measure {
        let threads = args.threads.first().copied().unwrap_or(1);
        serve(args, &bundle, backend, threads)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.threads.contains(&0) {
        bail!("--threads 0: a run takes at least the caller's");
    }
    let backends = backends(args, &bundle)?;
    let mut workers = Vec::new();
    for backend in &backends {
        for &threads in &args.threads {
            workers.push(Worker::start(args, backend, threads, onnx_runtime)?);
        }
    }
    let rounds = args.rounds.max(1);
    let progress = indicatif::ProgressBar::new(rounds as u64);
    for _ in 0..rounds {
        for worker in &mut workers {
            worker.round()?;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let measurements = workers
        .into_iter()
        .map(Worker::finish)
        .collect::<Result<Vec<_>>>()?;
    if args.json {
        for measurement in &measurements {
            print_line(&serde_json::to_string(measurement)?)?;
        }
    } else {
        print_line(&table(&measurements)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The backends that were named, or those of the bundle that are compiled in.
fn backends(args: &Bench, bundle: &Bundle) -> Result<Vec<String>> {
    if !args.backend.is_empty() {
        return Ok(args.backend.clone());
    }
    let compiled = limbic_backends::compiled();
    let mut found: Vec<String> = Vec::new();
    for variant in &bundle.manifest().variants {
        if compiled.contains(&variant.backend.as_str()) && !found.contains(&variant.backend) {
            found.push(variant.backend.clone());
        }
    }
    if found.is_empty() {
        let has: Vec<&str> = bundle
            .manifest()
            .variants
            .iter()
            .map(|v| v.backend.as_str())
            .collect();
        bail!(
            "no variant for the compiled-in backends {}; the bundle has {}",
            compiled.join(", "),
            has.join(", ")
        );
    }
    Ok(found)
}

/// A process that measures one backend, a round when it is told to.
struct Worker {
    backend: String,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(args: &Bench, backend: &str, threads: usize, onnx_runtime: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("bench")
            .arg("--bundle")
            .arg(&args.bundle)
            .args(["--measure", backend])
            .args(["--threads", &threads.to_string()])
            .args(["--runs", &args.runs.to_string()]);
        if let Some(signature) = &args.signature {
            command.args(["--signature", signature]);
        }
        if let Some(library) = onnx_runtime {
            command.arg("--onnx-runtime").arg(library);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start a process to measure in")?;
        let (orders, answers) = child.stdin.take().zip(child.stdout.take()).context("no pipe")?;
        Ok(Self {
            backend: backend.to_owned(),
            child,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// Tells the process to go on and reads a line of its answer.
    fn order(&mut self, order: &str) -> Result<String> {
        let mut line = String::new();
        let told = writeln!(self.orders, "{order}").and_then(|()| self.orders.flush());
        if told.is_ok() {
            self.answers.read_line(&mut line)?;
        }
        if line.is_empty() {
            let status = self.child.wait()?;
            bail!("backend {}: its process ended ({status})", self.backend);
        }
        Ok(line)
    }

    fn round(&mut self) -> Result<()> {
        self.order("round").map(drop)
    }

    fn finish(mut self) -> Result<Measurement> {
        let line = self.order("report")?;
        drop(self.orders);
        self.child.wait()?;
        serde_json::from_str(&line).with_context(|| format!("backend {}: {line:?}", self.backend))
    }
}

/// A table of all measurements, each with the ratio of its median to the first one's.
fn table(measurements: &[Measurement]) -> Result<String> {
    let mut text = String::new();
    let first = measurements.first().context("nothing was measured")?;
    writeln!(
        text,
        "{} {}, {} runs each, {}",
        first.model, first.signature, first.runs, first.cpu
    )?;
    write!(
        text,
        "{:<20} {:<12} {:<11} {:>7} {:>9} {:>9} {:>9} {:>6} {:>9} {:>9} {:>10}",
        "backend",
        "precision",
        "tier",
        "threads",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "ratio",
        "load ms",
        "first ms",
        "peak KiB"
    )?;
    for m in measurements {
        write!(
            text,
            "\n{:<20} {:<12} {:<11} {:>7} {:>9.4} {:>9.4} {:>9.4} {:>6.2} {:>9.2} {:>9.3} {:>10}",
            m.backend,
            m.precision,
            m.tier,
            m.threads,
            m.p50_ms,
            m.p90_ms,
            m.p99_ms,
            m.p50_ms / first.p50_ms,
            m.load_ms,
            m.first_ms,
            m.peak_kib
        )?;
    }
    Ok(text)
}
