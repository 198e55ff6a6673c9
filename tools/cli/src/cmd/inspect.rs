//! `limbic inspect`

mod checkpoint;
mod graph;

use std::process::ExitCode;

use anyhow::{Context, Result};
use limbic_affect::LabelSpaces;
use limbic_backends::{ProgramFile, ProgramReport, ProgramSource};
use limbic_bundle::{Bundle, ErrorKind, GraphFormat, Manifest, Signature};
use limbic_checkpoint::Checkpoint;
use serde::Serialize;

use crate::args::Inspect;
use crate::convert::source::Format;
use crate::show::print_line;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    identity: &'a str,
    bytes: u64,
    manifest: &'a Manifest,
    label_spaces: Vec<Space>,
    programs: Vec<Program>,
    card: String,
}

#[derive(Debug, Serialize)]
struct Space {
    id: String,
    labels: Vec<String>,
    source: String,
}

#[derive(Debug, Serialize)]
struct Program {
    name: String,
    variant: String,
    backend: String,
    precision: &'static str,
    entries: Vec<String>,
    /// Nodes of each operator; null when the backend is not compiled in.
    operators: Option<Vec<Operator>>,
    parameters: Option<u64>,
    macs: Option<Vec<Macs>>,
}

#[derive(Debug, Serialize)]
struct Operator {
    name: String,
    nodes: usize,
}

#[derive(Debug, Serialize)]
struct Macs {
    signature: String,
    macs: Option<u64>,
}

/// Shows what a bundle, a graph or a checkpoint holds; a bundle's digests are checked on the way.
pub fn run(args: &Inspect) -> Result<ExitCode> {
    if let Some(format) = Format::of(&args.file) {
        graph::show(&args.file, format, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let bundle = match Bundle::open(&args.file) {
        Ok(bundle) => bundle,
        Err(no_bundle) => {
            let checkpoint = match Checkpoint::open(&args.file) {
                Ok(checkpoint) => Ok(checkpoint),
                // An archive that is no checkpoint either is a damaged bundle.
                Err(error)
                    if error.kind() == limbic_checkpoint::ErrorKind::Unsupported
                        && no_bundle.kind() != ErrorKind::NotABundle =>
                {
                    Err(no_bundle.into())
                }
                Err(error) => Err(anyhow::Error::new(error)),
            };
            let checkpoint = checkpoint.with_context(|| format!("can't use {}", args.file.display()))?;
            checkpoint::show(&args.file, &checkpoint, args.json)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let manifest = bundle.manifest();
    let spaces = LabelSpaces::with_own(&manifest.label_spaces)?;
    let mut label_spaces = Vec::new();
    for head in &manifest.heads {
        let space = spaces.by_id(&head.label_space)?;
        if label_spaces.iter().all(|known: &Space| known.id != space.id()) {
            label_spaces.push(Space {
                id: space.id().to_owned(),
                labels: space.names().map(str::to_owned).collect(),
                source: space.source().to_owned(),
            });
        }
    }
    let report = Report {
        identity: bundle.identity(),
        bytes: std::fs::metadata(&args.file)?.len(),
        manifest,
        label_spaces,
        programs: programs(&bundle)?,
        card: String::from_utf8_lossy(bundle.entry(&manifest.card)?).into_owned(),
    };
    if args.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&bundle, &report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn programs(bundle: &Bundle) -> Result<Vec<Program>> {
    let manifest = bundle.manifest();
    let mut programs = Vec::new();
    for variant in &manifest.variants {
        for spec in &manifest.programs {
            let (format, files) = match ProgramFile::of(bundle, variant, &spec.name) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                // What a thin bundle lacks is among its entries all the same.
                Err(error) if error.kind() == ErrorKind::EntryAbsent => continue,
                Err(error) => return Err(error.into()),
            };
            let entries = variant.entries.iter().filter(|entry| entry.program == spec.name);
            let signatures = spec.concrete();
            let graph = files.first().filter(|_| format == GraphFormat::Onnx);
            // A plan whose backend is not compiled in says nothing; its entries are listed all the same.
            let report = match (graph, limbic_backends::by_name(&variant.backend)) {
                (Some(graph), _) => Some(described(&graph.content, &signatures)?),
                (None, Err(_)) => None,
                (None, Ok(backend)) => Some(backend.describe(&ProgramSource {
                    name: &spec.name,
                    format,
                    files: &files,
                    signatures: &signatures,
                })?),
            };
            programs.push(Program {
                name: spec.name.clone(),
                variant: variant.name.clone(),
                backend: variant.backend.clone(),
                precision: variant.precision.name(),
                entries: entries.map(|entry| entry.path.clone()).collect(),
                parameters: report.as_ref().and_then(|report| report.parameters),
                macs: report.as_ref().map(|report| {
                    report
                        .macs
                        .iter()
                        .map(|(name, macs)| Macs {
                            signature: name.clone(),
                            macs: *macs,
                        })
                        .collect()
                }),
                operators: report.map(|report| {
                    report
                        .operators
                        .into_iter()
                        .map(|(name, nodes)| Operator { name, nodes })
                        .collect()
                }),
            });
        }
    }
    Ok(programs)
}

/// What an ONNX file is made of; the multiply-accumulates are those of each signature whose sizes are numbers.
fn described(onnx: &[u8], signatures: &[Signature]) -> Result<ProgramReport> {
    let contents = limbic_graph::onnx::contents(onnx)?;
    let graph = limbic_graph::onnx::read(onnx, None)?;
    let weights = graph.values.iter().filter_map(|value| value.constant.as_ref());
    let weights = weights.filter(|tensor| {
        use limbic_graph::Dtype::{Bf16, F16, F32, F64, I8, U8};
        matches!(tensor.dtype(), F16 | Bf16 | F32 | F64 | I8 | U8)
    });
    let macs = signatures.iter().map(|signature| {
        let bound = limbic_compile::specialise(&graph, signature).ok();
        let macs = bound.map(|graph| limbic_quantize::totals(&graph).0);
        (signature.name.clone(), macs)
    });
    Ok(ProgramReport {
        operators: contents
            .operators
            .iter()
            .map(|op| (op.name.clone(), op.nodes))
            .collect(),
        parameters: Some(weights.map(|tensor| tensor.len() as u64).sum()),
        macs: macs.collect(),
    })
}

fn print(bundle: &Bundle, report: &Report<'_>) -> Result<()> {
    let manifest = report.manifest;
    print_line(&format!(
        "{} {}  ({} bytes)",
        manifest.name, manifest.version, report.bytes
    ))?;
    print_line(&format!("  {}", manifest.description))?;
    print_line(&format!("  identity      {}", report.identity))?;
    print_line(&format!("  format        {}", manifest.format))?;
    print_line(&format!("  licence       {}", manifest.license))?;
    print_line(&format!("  intended use  {}", manifest.intended_use))?;
    print_line("\npreprocessing")?;
    for input in &manifest.inputs {
        print_line(&format!(
            "  {} ({}) -> {}",
            input.name,
            input.modality.name(),
            input.tensors.join(", ")
        ))?;
        for step in &input.steps {
            let mut parameters = serde_json::to_value(step)?;
            if let Some(map) = parameters.as_object_mut() {
                map.remove("step");
            }
            print_line(&format!("    {:22}{}", step.id(), parameters))?;
        }
    }
    print_line(&format!("  pooling       {}", manifest.pooling.name()))?;
    print_line("\nheads")?;
    for head in &manifest.heads {
        let role = if manifest.head_is_gate(&head.name) {
            "  (serves a gate)"
        } else {
            ""
        };
        print_line(&format!(
            "  {:14}{} over {} from {}, temperature {:.4}{role}",
            head.name,
            head.kind.name(),
            head.label_space,
            head.tensor,
            head.temperature
        ))?;
        if !head.thresholds.is_empty() {
            let thresholds: Vec<String> = head.thresholds.iter().map(|t| format!("{t:.3}")).collect();
            print_line(&format!("  {:14}thresholds {}", "", thresholds.join(" ")))?;
        }
    }
    for space in &report.label_spaces {
        print_line(&format!("  {:14}{}", space.id, space.labels.join(" ")))?;
    }
    for gate in &manifest.gates {
        print_line(&format!("  gate          {}", serde_json::to_string(gate)?))?;
    }
    for program in &report.programs {
        print_line(&format!(
            "\nprogram {} as {} ({}, {}, {})",
            program.name,
            program.variant,
            program.backend,
            program.precision,
            program.entries.join(", ")
        ))?;
        if let Some(parameters) = program.parameters {
            print_line(&format!("  parameters    {parameters}"))?;
        }
        for macs in program.macs.iter().flatten() {
            let count = macs
                .macs
                .map_or_else(|| "free size".to_owned(), |macs| macs.to_string());
            print_line(&format!("  MACs          {count} ({})", macs.signature))?;
        }
        if let Some(operators) = &program.operators {
            let words: Vec<String> = operators
                .iter()
                .map(|op| format!("{} {}", op.nodes, op.name))
                .collect();
            print_line(&format!("  operators     {}", words.join(", ")))?;
        }
    }
    print_line("\nentries")?;
    for info in bundle.entries() {
        let state = if info.present {
            ""
        } else {
            "  (absent: thin bundle)"
        };
        print_line(&format!(
            "  {:>10}  {}  {}{state}",
            info.entry.bytes, info.entry.sha256, info.entry.path
        ))?;
    }
    print_line(&format!("\ncard\n{}", report.card.trim_end()))
}

/// A stranger's text without what moves a terminal's cursor.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
