//! One backend in one process: load, first run, and rounds of runs when told to.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use limbic_bundle::{Bundle, Signature};
use serde::{Deserialize, Serialize};

use crate::args::Bench;
use crate::buffers::Buffers;
use crate::opened::OpenedProgram;

/// What was measured of a backend; times in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// Name of the model.
    pub model: String,
    /// Concrete signature that was run.
    pub signature: String,
    /// Backend as it was asked for.
    pub backend: String,
    /// Precision of the variant.
    pub precision: String,
    /// Instruction set it ran on.
    pub tier: String,
    /// Threads of a run: no more than were asked for.
    pub threads: usize,
    /// Runs that were timed.
    pub runs: usize,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// From the open bundle to a session.
    pub load_ms: f64,
    /// The first run.
    pub first_ms: f64,
    /// Highest resident memory of the process, mapped files included; 0 where the system does not tell.
    pub peak_kib: u64,
    /// Processor time of all threads over the timed runs, a run.
    pub cpu_s_per_run: f64,
    /// Processor.
    pub cpu: String,
    /// Name and version of the backend.
    pub library: String,
}

/// Measures a backend: a round for each line `round` of the standard input, answered with its median in milliseconds;
/// `answer` and two paths, without spaces, runs all items of one file and writes their outputs to the other; any other
/// line is answered with the figures.
pub fn serve(args: &Bench, bundle: &Bundle, backend: &str, threads: usize) -> Result<()> {
    let manifest = bundle.manifest();
    let spec = manifest.programs.first().context("the bundle has no program")?;
    let began = Instant::now();
    let opened = OpenedProgram::open(bundle, spec, backend, threads)?;
    let program = &opened.program;
    let mut session = program.session()?;
    let load_ms = milliseconds(began);
    let signature = signature(program.signatures(), args.signature.as_deref())?;
    let mut buffers = Buffers::of(signature)?;
    let began = Instant::now();
    buffers.run(&mut *session, &signature.name)?;
    let first_ms = milliseconds(began);
    let library = opened.backend.version();
    let mut times = Vec::new();
    let mut processor = 0.0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split(' ').collect::<Vec<_>>().as_slice() {
            &["answer", from, to] => {
                let items = std::fs::read(from).with_context(|| format!("can't read {from}"))?;
                let (mut rest, mut found, mut count) = (items.as_slice(), Vec::new(), 0);
                while !rest.is_empty() {
                    let left = rest.len();
                    rest = buffers
                        .fill(rest)
                        .with_context(|| format!("item {count} of {from}"))?;
                    anyhow::ensure!(rest.len() < left, "{} reads nothing", signature.name);
                    buffers.run(&mut *session, &signature.name)?;
                    buffers.append(&mut found);
                    count += 1;
                }
                std::fs::write(to, found).with_context(|| format!("can't write {to}"))?;
                count.to_string()
            }
            ["round"] => {
                let before = processor_seconds();
                let first = times.len();
                for _ in 0..args.runs.max(1) {
                    let began = Instant::now();
                    buffers.run(&mut *session, &signature.name)?;
                    times.push(milliseconds(began));
                }
                processor += processor_seconds() - before;
                let mut round = times.get(first..).unwrap_or_default().to_vec();
                round.sort_by(f64::total_cmp);
                percentile(&round, 0.5).to_string()
            }
            _ => {
                times.sort_by(f64::total_cmp);
                let runs = times.len();
                serde_json::to_string(&Measurement {
                    model: manifest.name.clone(),
                    signature: signature.name.clone(),
                    backend: backend.to_owned(),
                    precision: opened.variant.precision.name().to_owned(),
                    tier: tier(&library),
                    threads: program.placement().threads,
                    runs,
                    p50_ms: percentile(&times, 0.5),
                    p90_ms: percentile(&times, 0.9),
                    p99_ms: percentile(&times, 0.99),
                    load_ms,
                    first_ms,
                    peak_kib: status_kib("VmHWM:"),
                    cpu_s_per_run: processor / runs.max(1) as f64,
                    cpu: cpu(),
                    library: library.clone(),
                })?
            }
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn signature<'a>(signatures: &'a [Signature], name: Option<&str>) -> Result<&'a Signature> {
    let known: Vec<&str> = signatures.iter().map(|s| s.name.as_str()).collect();
    match name {
        // The longest bucket, where nothing is said.
        None => signatures.last().context("the program has no signature"),
        Some(name) => signatures
            .iter()
            .find(|signature| signature.name == name)
            .with_context(|| format!("no signature {name:?}; there is {}", known.join(", "))),
    }
}

/// The instruction set that a backend names in brackets behind its version.
fn tier(library: &str) -> String {
    let inside = library.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.map_or_else(|| "its own".to_owned(), |(tier, _)| tier.to_owned())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// A figure of this process's memory in KiB; 0 where there is no such file.
fn status_kib(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Seconds that all threads of this process ran, to the nanosecond; 0 where there is no such file.
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}

/// Name of the processor as the system tells it.
fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
