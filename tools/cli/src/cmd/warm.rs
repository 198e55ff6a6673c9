//! `limbic warm`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use limbic_bundle::Bundle;
use serde::Serialize;

use crate::args::Warm;
use crate::buffers::Buffers;
use crate::opened::OpenedProgram;
use crate::show::print_line;

/// How often the time that a step takes is shown anew.
const TICK: Duration = Duration::from_millis(200);

/// A signature that ran, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    program: &'a str,
    variant: &'a str,
    /// Backend and library with their versions.
    library: &'a str,
    /// What it runs on.
    device: &'a str,
    /// Time to load the program, all signatures.
    load_ms: f64,
    signature: &'a str,
    /// Time of the first run; nothing where a size is free.
    first_ms: Option<f64>,
    /// Time of the second.
    second_ms: Option<f64>,
}

/// Loads every program and runs each of its signatures twice: what the first run builds, the second does not.
pub fn run(args: &Warm) -> Result<ExitCode> {
    let bundle =
        Bundle::open(&args.bundle).with_context(|| format!("can't use {}", args.bundle.display()))?;
    let backend = match &args.backend {
        Some(backend) => backend.clone(),
        None => first(&bundle)?,
    };
    let progress =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}")?);
    progress.enable_steady_tick(TICK);
    for spec in &bundle.manifest().programs {
        progress.set_message(format!("loading {} on {backend}", spec.name));
        let began = Instant::now();
        let opened = OpenedProgram::open(&bundle, spec, &backend, 1)?;
        let mut session = opened.program.session()?;
        let load_ms = milliseconds(began);
        let library = opened.backend.version();
        let device = opened.program.placement().device;
        if !args.json {
            let variant = &opened.variant.name;
            let words = format!(
                "{}: {variant} on {library}, {device}: loaded in {load_ms:.1} ms",
                spec.name
            );
            progress.suspend(|| print_line(&words))?;
        }
        for signature in opened.program.signatures() {
            let name = &signature.name;
            progress.set_message(format!("running {name}"));
            let free = signature
                .tensors
                .iter()
                .any(|tensor| tensor.fixed_dims().is_none());
            let times = if free {
                None
            } else {
                let mut buffers = Buffers::of(signature)?;
                let mut timed = || -> Result<f64> {
                    let began = Instant::now();
                    buffers.run(&mut *session, name)?;
                    Ok(milliseconds(began))
                };
                Some((timed()?, timed()?))
            };
            let line = Line {
                program: &spec.name,
                variant: &opened.variant.name,
                library: &library,
                device: &device,
                load_ms,
                signature: name,
                first_ms: times.map(|(first, _)| first),
                second_ms: times.map(|(_, second)| second),
            };
            let words = match times {
                _ if args.json => serde_json::to_string(&line)?,
                Some((first, second)) => format!("  {name}: first run {first:.3} ms, second {second:.3} ms"),
                None => format!("  {name}: not run, a size is free"),
            };
            progress.suspend(|| print_line(&words))?;
        }
    }
    progress.finish_and_clear();
    Ok(ExitCode::SUCCESS)
}

/// The first backend of the bundle's variants that is compiled in.
fn first(bundle: &Bundle) -> Result<String> {
    let compiled = limbic_backends::compiled();
    let variants = &bundle.manifest().variants;
    let found = variants
        .iter()
        .find(|variant| compiled.contains(&variant.backend.as_str()));
    let found = found.with_context(|| {
        let has: Vec<&str> = variants.iter().map(|variant| variant.backend.as_str()).collect();
        format!(
            "no variant for the compiled-in backends {}; the bundle has {}",
            compiled.join(", "),
            has.join(", ")
        )
    })?;
    Ok(found.backend.clone())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
