//! `limbic convert`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use limbic_graph::passes::{self, Binding};
use limbic_graph::{Graph, onnx, tflite};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::args::Convert;
use crate::compiled::{self, Contents};
use crate::convert::golden::{Difference, Golden};
use crate::convert::manifest::{self, CONVERSION, Description, GOLDEN, GRAPH};
use crate::convert::source::{self, Options};
use crate::convert::{bind, labels};
use crate::failure;
use crate::show::print_line;
use crate::whole_file;

/// What was converted, how, and what came of it: printed, and kept in the bundle.
#[derive(Debug, Serialize)]
struct Report {
    tool: String,
    files: Vec<FileRecord>,
    read_as: String,
    inputs: Vec<TensorRecord>,
    outputs: Vec<TensorRecord>,
    states: Vec<[String; 2]>,
    operations: BTreeMap<String, usize>,
    constants: usize,
    /// Empty where no golden outputs were given.
    golden: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct FileRecord {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct TensorRecord {
    name: String,
    dtype: &'static str,
    shape: String,
}

/// Kind of file that is written, by the suffix of its name.
enum Target {
    Bundle,
    Onnx,
    Tflite,
}

/// Converts a checkpoint; nothing is written unless golden outputs, where given, are met.
pub fn run(args: &Convert) -> Result<ExitCode> {
    let target = target(&args.output)?;
    let progress = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    progress.enable_steady_tick(std::time::Duration::from_millis(120));
    let say = |words: String| progress.set_message(words);

    let description = Description::read(args.preprocess.as_deref())?;
    say(format!(
        "reading {}",
        args.files
            .first()
            .map_or_else(String::new, |f| f.display().to_string())
    ));
    let options = Options {
        arch: args.arch.as_deref(),
        prefix: args.prefix.as_deref(),
        config: args.config.as_deref(),
        input: bind::only_shape(&args.input)?,
    };
    let opened = progress.suspend(|| source::open(&args.files, &options))?;
    let mut graph = opened.graph;
    bind::bind(&mut graph, &args.input)?;
    for (name, shape) in description.shapes() {
        let known = graph.inputs.iter().any(|id| graph.value(*id).name == name);
        if known {
            let place = || {
                format!(
                    "{}: tensor {name}",
                    args.preprocess.as_deref().unwrap_or(Path::new("")).display()
                )
            };
            passes::bind(&mut graph, &name, Binding::Shape(shape)).with_context(place)?;
        }
    }
    bind::batch_of_one(&mut graph);
    say("simplifying".to_owned());
    passes::simplify(&mut graph).context("can't simplify the graph")?;
    bind::pair_states(&mut graph, &args.state)?;
    if !description.allows_symbols() {
        bind::refuse_free(&graph)?;
    }
    manifest::hold_to_buckets(&description, &mut graph)?;

    let mut compared = Vec::new();
    if let Some(path) = &args.golden {
        let golden = Golden::read(path)?;
        let bound = golden.bound(&graph)?;
        compared = golden
            .compare(&bound, args.tolerance, |n, count| {
                say(format!("comparing sample {} of {count}", n + 1))
            })
            .with_context(|| format!("can't compare with {}", path.display()))?;
    }
    let report = report(args, &opened.kind, &graph, compared)?;
    let met = report.golden.iter().all(|difference| difference.passed);
    let mut identity = None;
    if met {
        say(format!("writing {}", args.output.display()));
        match target {
            Target::Bundle => identity = Some(write_bundle(args, &description, graph, &report)?),
            Target::Onnx => {
                whole_file::write(&args.output, &onnx::write(&graph).context("can't write ONNX")?)?
            }
            Target::Tflite => whole_file::write(
                &args.output,
                &tflite::write(&graph).context("can't write TFLite")?,
            )?,
        }
    }
    progress.finish_and_clear();
    if args.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&report)?;
    }
    if report.golden.is_empty() {
        eprintln!(
            "warning: nothing independent was compared: save inputs and outputs in the training framework and give \
             them with --golden FILE.npz"
        );
    }
    if !met {
        eprintln!(
            "the golden outputs are not met within {:e}; {} was not written",
            args.tolerance,
            args.output.display()
        );
        return Ok(ExitCode::from(failure::SAID_NO));
    }
    if !args.json {
        let bytes = std::fs::metadata(&args.output)?.len();
        let identity = identity.map(|i| format!(", identity {i}")).unwrap_or_default();
        print_line(&format!("{} {bytes} bytes{identity}", args.output.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn target(output: &Path) -> Result<Target> {
    let suffix = output
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    Ok(match suffix.as_str() {
        "limbic" => Target::Bundle,
        "onnx" => Target::Onnx,
        "tflite" => Target::Tflite,
        _ => bail!(
            "--output {}: expected a name that ends in .limbic, .onnx or .tflite",
            output.display()
        ),
    })
}

fn report(args: &Convert, kind: &str, graph: &Graph, golden: Vec<Difference>) -> Result<Report> {
    let mut operations = BTreeMap::new();
    for node in &graph.nodes {
        *operations.entry(operation(node)).or_insert(0) += 1;
    }
    let tensors = |ids: &[limbic_graph::ValueId]| {
        ids.iter()
            .map(|id| {
                let value = graph.value(*id);
                let dims = value.ty.dims.iter().flatten();
                let words: Vec<String> = dims.map(|dim| bind::word(graph, *dim)).collect();
                TensorRecord {
                    name: value.name.clone(),
                    dtype: value.ty.dtype.name(),
                    shape: format!("[{}]", words.join(", ")),
                }
            })
            .collect()
    };
    let constants = graph.values.iter().filter_map(|value| value.constant.as_ref());
    Ok(Report {
        tool: format!("limbic {}", env!("CARGO_PKG_VERSION")),
        files: args.files.iter().map(record).collect::<Result<_>>()?,
        read_as: kind.to_owned(),
        inputs: tensors(&graph.inputs),
        outputs: tensors(&graph.outputs),
        states: graph
            .states
            .iter()
            .map(|(input, output)| {
                [
                    graph.value(*input).name.clone(),
                    graph.value(*output).name.clone(),
                ]
            })
            .collect(),
        operations,
        constants: constants.map(limbic_graph::Tensor::len).sum(),
        golden,
    })
}

/// The name of a node's operation, without its parameters.
fn operation(node: &limbic_graph::Node) -> String {
    let word = |text: String| {
        let end = text.find([' ', '(', '{']).unwrap_or(text.len());
        text[..end].to_owned()
    };
    match &node.op {
        limbic_graph::Op::Unary(function) => word(format!("{function:?}")),
        limbic_graph::Op::Binary(function) => word(format!("{function:?}")),
        limbic_graph::Op::If { .. } => "If".to_owned(),
        op => word(format!("{op:?}")),
    }
}

fn record(file: &PathBuf) -> Result<FileRecord> {
    let context = || format!("can't read {}", file.display());
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut hash = Sha256::new();
    if file.is_file() {
        let mut content = std::fs::File::open(file).with_context(context)?;
        std::io::copy(&mut content, &mut hash).with_context(context)?;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(FileRecord { name, sha256 })
}

fn write_bundle(
    args: &Convert,
    description: &Description,
    mut graph: Graph,
    report: &Report,
) -> Result<String> {
    let answers = match &args.labels {
        Some(given) => Some(labels::head(&mut graph, given)?),
        None => None,
    };
    let manifest = manifest::manifest(
        description,
        &graph,
        answers.as_ref(),
        &args.output,
        args.golden.is_some(),
        args.tolerance,
    )?;
    let paths: Vec<String> = manifest
        .files()
        .into_iter()
        .map(|(path, _)| path.to_owned())
        .collect();
    let (card, license) = (manifest.card.clone(), manifest.license_text.clone());
    let mut contents = Contents::new();
    for path in paths {
        let content = match path.as_str() {
            GRAPH => onnx::write(&graph).context("can't write the graph")?,
            CONVERSION => serde_json::to_vec_pretty(report)?,
            GOLDEN => std::fs::read(args.golden.as_deref().unwrap_or(Path::new("")))
                .context("can't read --golden")?,
            other => match description.file(other) {
                Some(content) => content?,
                None if other == card => self::card(report).into_bytes(),
                None if other == license => NO_LICENSE.as_bytes().to_vec(),
                None => bail!("{other}: no such file beside --preprocess"),
            },
        };
        contents.insert(path, content);
    }
    compiled::write(manifest, contents, &args.output)
}

const NO_LICENSE: &str = "The terms of these weights were not stated when they were converted.\n";

/// A card that says what is known, for models that come without one.
fn card(report: &Report) -> String {
    let mut lines = vec!["# A converted model".to_owned(), String::new()];
    for file in &report.files {
        lines.push(format!(
            "- from `{}`, SHA-256 `{}`, read as {}",
            file.name, file.sha256, report.read_as
        ));
    }
    for difference in &report.golden {
        lines.push(format!(
            "- `{}` compared with the training framework: largest difference {:.2e}, {:.2e} of the largest output",
            difference.output, difference.max_abs, difference.max_relative
        ));
    }
    if report.golden.is_empty() {
        lines.push("- nothing independent was compared".to_owned());
    }
    lines.push("- what it was trained on, how well it does and for whom: not stated".to_owned());
    lines.join("\n") + "\n"
}

fn print(report: &Report) -> Result<()> {
    for file in &report.files {
        print_line(&format!("{:12}{} ({})", "from", file.name, report.read_as))?;
    }
    for (word, tensors) in [("input", &report.inputs), ("output", &report.outputs)] {
        for tensor in tensors {
            print_line(&format!(
                "{word:12}{} {} {}",
                tensor.name, tensor.dtype, tensor.shape
            ))?;
        }
    }
    for [input, output] in &report.states {
        print_line(&format!("{:12}{output} becomes {input} in the next run", "state"))?;
    }
    let words: Vec<String> = report
        .operations
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    print_line(&format!("{:12}{}", "operations", words.join(", ")))?;
    print_line(&format!("{:12}{}", "constants", report.constants))?;
    for difference in &report.golden {
        let words = if difference.passed { "met" } else { "not met" };
        let steps = difference
            .within_one
            .map(|share| format!(", {:.3} % at most one step away", share * 100.0))
            .unwrap_or_default();
        print_line(&format!(
            "{:12}{}: {words}, largest difference {:.2e}, {:.2e} of the largest{steps}",
            "golden", difference.output, difference.max_abs, difference.max_relative
        ))?;
    }
    Ok(())
}
