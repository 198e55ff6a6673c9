//! `limbic compile`

use std::process::ExitCode;

use anyhow::{Context, Result};
use limbic_bundle::Bundle;
use serde_json::json;

use crate::args::Compile;
use crate::compiled::{self, Contents, Made};
use crate::flatbuffers::add_flatbuffers;
use crate::show::print_line;

/// Compiles a bundle's graphs for the engine, shows the plans, and writes the bundle where it is asked for.
pub fn run(args: &Compile) -> Result<ExitCode> {
    let bundle =
        Bundle::open(&args.bundle).with_context(|| format!("can't use {}", args.bundle.display()))?;
    let mut manifest = bundle.manifest().clone();
    let mut contents = Contents::new();
    for info in bundle.entries().filter(|info| info.present) {
        let path = &info.entry.path;
        contents.insert(path.clone(), bundle.entry(path)?.to_vec());
    }
    if let Some(card) = &args.card {
        let text = std::fs::read(card).with_context(|| format!("can't read {}", card.display()))?;
        contents.insert(manifest.card.clone(), text);
    }
    let made = compiled::add_plans(&mut manifest, &mut contents)?;
    let flatbuffers = if args.tflite {
        add_flatbuffers(&mut manifest, &mut contents)?
    } else {
        Vec::new()
    };
    if args.json {
        for plan in &made {
            print_line(&json(plan).to_string())?;
        }
    } else {
        for plan in &made {
            print_line(&format!(
                "{}: program {}, signature {}\n{}\n",
                plan.variant, plan.program, plan.signature, plan.report
            ))?;
        }
    }
    for (path, bytes) in &flatbuffers {
        let line = if args.json {
            json!({ "flatbuffer": path, "bytes": bytes }).to_string()
        } else {
            format!("{path}: {bytes} bytes")
        };
        print_line(&line)?;
    }
    if let Some(output) = &args.output {
        let write = if args.thin {
            compiled::write_thin
        } else {
            compiled::write
        };
        let identity = write(manifest, contents, output)?;
        let line = if args.json {
            json!({ "bundle": output.display().to_string(), "identity": identity }).to_string()
        } else {
            format!("{} identity {identity}", output.display())
        };
        print_line(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn json(made: &Made) -> serde_json::Value {
    let report = &made.report;
    let steps: Vec<_> = report
        .steps
        .iter()
        .map(|step| {
            json!({
                "kernel": step.kernel,
                "node": step.node,
                "detail": step.detail,
                "macs": step.macs,
                "output_bytes": step.output_bytes,
            })
        })
        .collect();
    json!({
        "variant": made.variant,
        "program": made.program,
        "signature": made.signature,
        "macs": report.macs(),
        "arena_bytes": report.arena_bytes,
        "plan_bytes": report.plan_bytes,
        "pack_bytes": report.pack_bytes,
        "steps": steps,
    })
}
