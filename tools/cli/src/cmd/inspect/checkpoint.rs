//! `limbic inspect` of a checkpoint: what somebody's training left.

use std::path::Path;

use anyhow::Result;
use limbic_checkpoint::Checkpoint;
use limbic_graph::{Contents, keras};
use limbic_models::Match;
use serde::Serialize;

use super::{graph, one_line};
use crate::convert::source;
use crate::show::print_line;

/// Longest metadata value in the table; `--json` has them whole.
const VALUE_CHARS: usize = 100;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: String,
    format: &'static str,
    bytes: u64,
    /// Elements of all tensors.
    parameters: u64,
    tensors: Vec<Tensor<'a>>,
    layers: Vec<Layer<'a>>,
    metadata: Vec<Pair<'a>>,
    /// Keras' description of the architecture.
    model_config: Option<serde_json::Value>,
    /// The graph that Keras' description makes.
    graph: Option<graph::Report>,
    /// What was neither read nor run.
    skipped: Vec<Skipped<'a>>,
    /// Architectures by how well they fit, the best first; those that share no parameter are left out.
    architectures: Vec<Architecture>,
}

#[derive(Debug, Serialize)]
struct Architecture {
    name: String,
    prefix: String,
    fits: bool,
    parameters: usize,
    missing: Vec<String>,
    unexpected: Vec<String>,
}

impl From<&Match> for Architecture {
    fn from(found: &Match) -> Self {
        Self {
            name: found.architecture.clone(),
            prefix: found.prefix.clone(),
            fits: found.fits(),
            parameters: found.found,
            missing: found.missing.clone(),
            unexpected: found.unexpected.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Tensor<'a> {
    name: &'a str,
    dtype: &'static str,
    shape: &'a [usize],
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Layer<'a> {
    name: &'a str,
    weights: &'a [String],
}

#[derive(Debug, Serialize)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Debug, Serialize)]
struct Skipped<'a> {
    path: &'a str,
    what: &'a str,
}

/// Shows what a checkpoint holds; no element is read.
pub fn show(path: &Path, checkpoint: &Checkpoint, json: bool) -> Result<()> {
    let tensors = checkpoint.tensors();
    let recognised: Vec<Match> = limbic_models::recognise(checkpoint)
        .into_iter()
        .filter(|candidate| candidate.found > 0)
        .collect();
    let report = Report {
        file: path.display().to_string(),
        format: checkpoint.format().name(),
        bytes: tensors.iter().map(|entry| entry.bytes).sum(),
        parameters: tensors.iter().map(|entry| entry.elements()).sum(),
        tensors: tensors
            .iter()
            .map(|entry| Tensor {
                name: &entry.name,
                dtype: entry.dtype.name(),
                shape: &entry.shape,
                bytes: entry.bytes,
            })
            .collect(),
        layers: checkpoint
            .keras_layers()
            .iter()
            .map(|layer| Layer {
                name: &layer.name,
                weights: &layer.weights,
            })
            .collect(),
        metadata: checkpoint
            .metadata()
            .iter()
            .map(|(key, value)| Pair { key, value })
            .collect(),
        model_config: checkpoint.model_config().map(|config| {
            // Text that is no JSON is shown as the text it is.
            serde_json::from_str(config).unwrap_or_else(|_| config.into())
        }),
        graph: checkpoint
            .model_config()
            .map(|config| keras_graph(config, checkpoint)),
        skipped: checkpoint
            .skipped()
            .iter()
            .map(|skipped| Skipped {
                path: &skipped.path,
                what: &skipped.what,
            })
            .collect(),
        architectures: recognised.iter().map(Architecture::from).collect(),
    };
    if json {
        return print_line(&serde_json::to_string_pretty(&report)?);
    }
    print(&report)?;
    // A Keras file says itself how its layers are joined.
    if let Some(graph) = &report.graph {
        print_line("\ngraph")?;
        return graph.print();
    }
    print_line("\narchitecture")?;
    let fitting: Vec<String> = recognised
        .iter()
        .filter(|m| m.fits())
        .map(source::title)
        .collect();
    let lines = if fitting.is_empty() {
        source::nearest(&recognised)
    } else {
        fitting
    };
    lines
        .iter()
        .try_for_each(|line| print_line(&format!("  {}", one_line(line))))
}

fn keras_graph(config: &str, checkpoint: &Checkpoint) -> graph::Report {
    match keras::contents(config) {
        Ok(contents) => graph::Report::new(contents, source::keras_graph(checkpoint)),
        Err(error) => graph::Report::new(Contents::default(), Err(error)),
    }
}

fn print(report: &Report<'_>) -> Result<()> {
    print_line(&one_line(&report.file))?;
    print_line(&format!("  format        {}", report.format))?;
    print_line(&format!(
        "  tensors       {}, {} bytes",
        report.tensors.len(),
        report.bytes
    ))?;
    print_line(&format!("  parameters    {}", report.parameters))?;
    if let Some(class) = report
        .model_config
        .as_ref()
        .and_then(|config| config["class_name"].as_str())
    {
        print_line(&format!(
            "  model_config  {}, {} layers",
            one_line(class),
            report.layers.len()
        ))?;
    }
    print_line("\ntensors")?;
    for tensor in &report.tensors {
        print_line(&format!(
            "  {:5}{:>12} bytes  {:22}{}",
            tensor.dtype,
            tensor.bytes,
            format!("{:?}", tensor.shape),
            one_line(tensor.name)
        ))?;
    }
    if !report.metadata.is_empty() {
        print_line("\nmetadata")?;
    }
    for pair in &report.metadata {
        let value = one_line(pair.value);
        let mut short: String = value.chars().take(VALUE_CHARS).collect();
        if short.len() < value.len() {
            short.push('…');
        }
        print_line(&format!("  {:22}{short}", one_line(pair.key)))?;
    }
    if !report.skipped.is_empty() {
        print_line("\nneither read nor run")?;
    }
    for skipped in &report.skipped {
        print_line(&format!(
            "  {:22}{}",
            one_line(skipped.path),
            one_line(skipped.what)
        ))?;
    }
    Ok(())
}
