//! One backend in one process: load, first run, and rounds of runs when told to.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use limbic_backends::{
    Elements, ElementsMut, ProgramFile, ProgramSource, Session, TensorView, TensorViewMut,
};
use limbic_bundle::{Bundle, Dtype, Role, Signature, TensorSpec};
use serde::{Deserialize, Serialize};

use crate::args::Bench;

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
    /// Threads of a run.
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
/// any other line is answered with the figures.
pub fn serve(args: &Bench, bundle: &Bundle, backend: &str) -> Result<()> {
    let manifest = bundle.manifest();
    let base = backend.split('@').next().unwrap_or_default();
    let variant = manifest
        .variants
        .iter()
        .find(|variant| variant.backend == base)
        .with_context(|| format!("the bundle has no variant for {base}"))?;
    let spec = manifest.programs.first().context("the bundle has no program")?;
    let engine = limbic_backends::by_name(backend)?;
    let began = Instant::now();
    let (format, files) =
        ProgramFile::of(bundle, variant, &spec.name)?.context("the variant has no file of the program")?;
    let program = engine.load(&ProgramSource {
        name: &spec.name,
        format,
        files: &files,
        signatures: &spec.concrete(),
    })?;
    let mut session = program.session()?;
    let load_ms = milliseconds(began);
    let signature = signature(program.signatures(), args.signature.as_deref())?;
    let mut buffers = Buffers::of(signature)?;
    let began = Instant::now();
    buffers.run(&mut *session, &signature.name)?;
    let first_ms = milliseconds(began);
    let library = engine.version();
    let mut times = Vec::new();
    let mut processor = 0.0;
    for line in std::io::stdin().lock().lines() {
        let answer = match line?.as_str() {
            "round" => {
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
                    precision: variant.precision.name().to_owned(),
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

/// Elements of every input and output of a signature.
struct Buffers {
    inputs: Vec<(String, Vec<usize>, Held)>,
    outputs: Vec<(String, Vec<usize>, Held)>,
}

enum Held {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
}

impl Buffers {
    /// Inputs that look random and are the same in every process: reals from -1 to 1, integers 0 and 1.
    fn of(signature: &Signature) -> Result<Self> {
        let mut seed = 0x9e37_79b9_u32;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed
        };
        let mut held = |spec: &TensorSpec| -> Result<(String, Vec<usize>, Held)> {
            let dims = spec.fixed_dims().with_context(|| {
                format!(
                    "{}: {} has a free size, {}; choose a bucket with --signature",
                    signature.name,
                    spec.name,
                    spec.shape()
                )
            })?;
            let count: usize = dims.iter().product();
            let bits: Vec<u32> = (0..count).map(|_| next() >> 8).collect();
            let elements = match spec.dtype {
                Dtype::F32 => Held::F32(bits.iter().map(|b| (b % 2001) as f32 / 1000.0 - 1.0).collect()),
                Dtype::I64 => Held::I64(bits.iter().map(|b| i64::from(b % 2)).collect()),
                Dtype::I32 => Held::I32(bits.iter().map(|b| i32::from(b % 2 == 1)).collect()),
                Dtype::I8 => Held::I8(bits.iter().map(|b| *b as i8).collect()),
                Dtype::U8 => Held::U8(bits.iter().map(|b| *b as u8).collect()),
                other => bail!("{}: no made-up elements of {}", spec.name, other.name()),
            };
            Ok((spec.name.clone(), dims, elements))
        };
        let mut of = |role: Role| {
            let tensors = signature.tensors.iter().filter(|spec| spec.role == role);
            tensors.map(&mut held).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            inputs: of(Role::Input)?,
            outputs: of(Role::Output)?,
        })
    }

    fn run(&mut self, session: &mut dyn Session, signature: &str) -> Result<()> {
        let inputs: Vec<TensorView<'_>> = self
            .inputs
            .iter()
            .map(|(name, dims, held)| TensorView {
                name,
                dims,
                elements: match held {
                    Held::F32(e) => Elements::F32(e),
                    Held::I64(e) => Elements::I64(e),
                    Held::I32(e) => Elements::I32(e),
                    Held::I8(e) => Elements::I8(e),
                    Held::U8(e) => Elements::U8(e),
                },
            })
            .collect();
        let mut outputs: Vec<TensorViewMut<'_>> = self
            .outputs
            .iter_mut()
            .map(|(name, dims, held)| TensorViewMut {
                name,
                dims,
                elements: match held {
                    Held::F32(e) => ElementsMut::F32(e),
                    Held::I64(e) => ElementsMut::I64(e),
                    Held::I32(e) => ElementsMut::I32(e),
                    Held::I8(e) => ElementsMut::I8(e),
                    Held::U8(e) => ElementsMut::U8(e),
                },
            })
            .collect();
        Ok(session.run(signature, &inputs, &mut outputs)?)
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
