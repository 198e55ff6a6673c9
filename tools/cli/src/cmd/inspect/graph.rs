//! `limbic inspect` of a graph somebody exported: ONNX, TFLite, and the description in a Keras file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use limbic_graph::{Contents, Error, Graph, ListedTensor, ValueId, onnx, passes, tflite};
use serde::Serialize;

use super::one_line;
use crate::convert::bind;
use crate::convert::source::{self, Format};
use crate::show::print_line;

/// What a graph takes, gives and computes; the part of `--json` that is the same for all formats.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The program that wrote the file.
    producer: Option<String>,
    /// Versions that the file states, by what they are of.
    versions: BTreeMap<String, i64>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// Operators by the names of the file's own system.
    operators: Vec<Operator>,
    /// Multiply-accumulates of convolutions and products for a batch of one; null where sizes are open or the graph
    /// can't be converted.
    macs: Option<u64>,
    /// What keeps `limbic convert` from reading it, one by one; empty where it does.
    refused: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    dtype: String,
    /// Numbers, names of open extents or `?`; null where even their number is open.
    shape: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Operator {
    name: String,
    nodes: usize,
    /// Neither of the standard nor defined in the file.
    custom: bool,
}

/// What `--json` prints of a file that is a graph and nothing else.
#[derive(Debug, Serialize)]
struct Document<'a> {
    file: String,
    format: &'static str,
    bytes: u64,
    /// Elements of stored tensors.
    parameters: u64,
    /// Bytes that these elements take in the file.
    parameter_bytes: u64,
    #[serde(flatten)]
    graph: &'a Report,
}

impl From<ListedTensor> for Tensor {
    fn from(listed: ListedTensor) -> Self {
        Self {
            name: listed.name,
            dtype: listed.dtype,
            shape: listed.dims,
        }
    }
}

impl Report {
    /// The listing of a file, and what reading it into a graph gave.
    pub fn new(contents: Contents, read: Result<Graph, Error>) -> Self {
        let mut outputs: Vec<Tensor> = contents.outputs.into_iter().map(Tensor::from).collect();
        let (macs, refused) = match read {
            Ok(mut graph) => {
                bind::batch_of_one(&mut graph);
                let settled = passes::simplify(&mut graph).is_ok();
                // What the file leaves open may follow from its inputs.
                for (output, id) in outputs.iter_mut().zip(&graph.outputs).filter(|_| settled) {
                    let shape = graph.value(*id).ty.shape();
                    let shape = shape.map(|shape| shape.iter().map(usize::to_string).collect());
                    output.shape = output.shape.take().or(shape);
                }
                (settled.then(|| macs(&graph)).flatten(), Vec::new())
            }
            Err(error) if !error.items().is_empty() => (None, error.items().to_vec()),
            Err(error) => (None, vec![error.to_string()]),
        };
        let operators = contents.operators.into_iter().map(|operator| Operator {
            name: operator.name,
            nodes: operator.nodes,
            custom: operator.custom,
        });
        Self {
            producer: Some(contents.producer).filter(|producer| !producer.is_empty()),
            versions: contents.versions,
            inputs: contents.inputs.into_iter().map(Tensor::from).collect(),
            outputs,
            operators: operators.collect(),
            macs,
            refused,
        }
    }

    /// Prints it as lines below the name of the file.
    pub fn print(&self) -> Result<()> {
        if let Some(producer) = &self.producer {
            print_line(&format!("  producer      {}", one_line(producer)))?;
        }
        let versions = self.versions.iter();
        let versions: Vec<String> = versions.map(|(of, version)| format!("{of} {version}")).collect();
        if !versions.is_empty() {
            print_line(&format!("  versions      {}", one_line(&versions.join(", "))))?;
        }
        let macs = match self.macs {
            Some(macs) => macs.to_string(),
            None if self.refused.is_empty() => "not known: sizes are open".to_owned(),
            None => "not known: not convertible".to_owned(),
        };
        print_line(&format!("  MACs          {macs}"))?;
        for (title, tensors) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            print_line(&format!("\n{title}"))?;
            for tensor in tensors {
                let shape = tensor
                    .shape
                    .as_ref()
                    .map_or_else(|| "[...]".to_owned(), |dims| format!("[{}]", dims.join(", ")));
                let line = format!("  {:5}{shape:22}{}", tensor.dtype, tensor.name);
                print_line(&one_line(&line))?;
            }
        }
        print_line("\noperators")?;
        for operator in &self.operators {
            let custom = if operator.custom { "  (custom)" } else { "" };
            let line = format!("  {:>5}  {}{custom}", operator.nodes, operator.name);
            print_line(&one_line(&line))?;
        }
        if !self.refused.is_empty() {
            print_line("\nnot convertible")?;
        }
        self.refused
            .iter()
            .try_for_each(|item| print_line(&format!("  {}", one_line(item))))
    }
}

/// Multiply-accumulates; `None` where an extent is open.
fn macs(graph: &Graph) -> Option<u64> {
    let is_known = |id: &ValueId| graph.value(*id).ty.shape().is_some();
    let products = graph.nodes.iter().flat_map(|node| node.outputs.iter().flatten());
    let known = graph.inputs.iter().chain(products).all(is_known);
    known.then(|| limbic_quantize::totals(graph).0)
}

/// Shows an ONNX or TFLite file.
pub fn show(path: &Path, format: Format, json: bool) -> Result<()> {
    let context = || format!("can't use {}", path.display());
    let bytes = source::bytes(path)?;
    let contents = match format {
        Format::Onnx => onnx::contents(&bytes),
        Format::Tflite => tflite::contents(&bytes),
    };
    let read = match format {
        Format::Onnx => onnx::read(&bytes, path.parent()),
        Format::Tflite => tflite::read(&bytes),
    };
    let contents = contents.with_context(context)?;
    let (parameters, parameter_bytes) = (contents.parameters, contents.parameter_bytes);
    let report = Report::new(contents, read);
    let document = Document {
        file: path.display().to_string(),
        format: format.name(),
        bytes: bytes.len() as u64,
        parameters,
        parameter_bytes,
        graph: &report,
    };
    if json {
        return print_line(&serde_json::to_string_pretty(&document)?);
    }
    print_line(&one_line(&document.file))?;
    print_line(&format!(
        "  format        {}, {} bytes",
        document.format, document.bytes
    ))?;
    print_line(&format!("  parameters    {parameters}, {parameter_bytes} bytes"))?;
    report.print()
}
