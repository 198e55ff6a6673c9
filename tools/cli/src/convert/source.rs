//! Opening what `limbic convert` takes in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limbic_checkpoint::Checkpoint;
use limbic_graph::{Error, ErrorKind, Graph, keras, onnx, tflite};
use limbic_models::declared::Declared;
use limbic_models::{Checkpoints, Family, Match, Settings, Under, by_name, recognise, recognise_as};

/// Largest graph file that is read into memory, in bytes.
const MOST_BYTES: u64 = 2 << 30;

/// Architectures listed for a state dict that none fits.
const NEAREST: usize = 3;

/// Names listed of those that are missing or not expected.
const NAMES: usize = 8;

/// How a checkpoint becomes a graph.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// A name or a TOML file.
    pub arch: Option<&'a str>,
    /// What stands before the architecture's names.
    pub prefix: Option<&'a str>,
    /// The checkpoint's `config.json`.
    pub config: Option<&'a Path>,
    /// Extents of the one input, where an architecture leaves them open.
    pub input: Option<Vec<usize>>,
}

/// A graph and what it was read from.
#[derive(Debug)]
pub struct Opened {
    /// The graph, nothing bound.
    pub graph: Graph,
    /// Format or architecture, for people.
    pub kind: String,
}

/// A file that holds a whole graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// By the suffix `.onnx`.
    Onnx,
    /// By the suffix `.tflite` or the identifier in the file.
    Tflite,
}

impl Format {
    /// The format of a file, if it holds a graph.
    pub fn of(file: &Path) -> Option<Self> {
        let is = |suffix: &str| file.extension().is_some_and(|e| e.eq_ignore_ascii_case(suffix));
        if is("onnx") {
            return Some(Self::Onnx);
        }
        (is("tflite") || is_tflite(file)).then_some(Self::Tflite)
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnx => "ONNX",
            Self::Tflite => "TFLite",
        }
    }
}

/// Reads files into a graph.
pub fn open(files: &[PathBuf], options: &Options<'_>) -> Result<Opened> {
    let [file] = files else {
        return state_dict(files, options);
    };
    let context = || format!("can't use {}", file.display());
    if let Some(format) = Format::of(file) {
        let bytes = bytes(file)?;
        let graph = match format {
            Format::Onnx => onnx::read(&bytes, file.parent()),
            Format::Tflite => tflite::read(&bytes),
        };
        return Ok(opened(graph.with_context(context)?, format.name()));
    }
    let checkpoint = Checkpoint::open(file).with_context(context)?;
    if checkpoint.model_config().is_some() && options.arch.is_none() {
        let graph = keras_graph(&checkpoint).with_context(context)?;
        return Ok(opened(graph, "Keras"));
    }
    drop(checkpoint);
    state_dict(files, options)
}

/// The graph of a Keras file: its configuration, and the weights of each layer by name.
pub fn keras_graph(checkpoint: &Checkpoint) -> limbic_graph::Result<Graph> {
    let config = checkpoint.model_config().unwrap_or_default();
    keras::read(config, &mut |layer, weight| {
        let group = layer.split('/').next().unwrap_or(layer);
        let stored = checkpoint
            .keras_layers()
            .iter()
            .find(|stored| stored.name == group);
        let names: Vec<&str> = stored
            .map(|stored| stored.weights.iter().map(String::as_str).collect())
            .unwrap_or_default();
        match keras::find_weight(&names, layer, weight) {
            Some(name) => checkpoint.read(name),
            None => Err(Error::new(
                ErrorKind::Name,
                format!("layer {layer}"),
                format!("a weight {weight}"),
                names.join(", "),
            )),
        }
    })
}

fn opened(graph: Graph, kind: &str) -> Opened {
    let kind = kind.to_owned();
    Opened { graph, kind }
}

/// Content of a file of bounded size.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let context = || format!("can't read {}", path.display());
    let length = std::fs::metadata(path).with_context(context)?.len();
    if length > MOST_BYTES {
        bail!("{}: {length} bytes, more than {MOST_BYTES}", path.display());
    }
    std::fs::read(path).with_context(context)
}

/// Whether a file carries TFLite's identifier, whatever its name.
fn is_tflite(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0u8; 8];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.ends_with(b"TFL3")
}

fn state_dict(files: &[PathBuf], options: &Options<'_>) -> Result<Opened> {
    let parts = Checkpoints::open(files)?;
    let first = files.first().context("no file")?;
    let declared;
    let family: Option<&dyn Family> = match options.arch {
        None => None,
        Some(file) if file.ends_with(".toml") => {
            let text = std::fs::read_to_string(file).with_context(|| format!("can't read {file}"))?;
            declared = Declared::parse(&text).with_context(|| format!("can't use {file}"))?;
            Some(&declared)
        }
        Some(name) => Some(by_name(name)?),
    };
    let mut found = match family {
        Some(family) => recognise_as(family, &parts),
        None => recognise(&parts),
    };
    if let Some(prefix) = options.prefix {
        found.retain(|candidate| candidate.prefix.trim_end_matches('.') == prefix.trim_end_matches('.'));
    }
    let fitting: Vec<&Match> = found.iter().filter(|candidate| candidate.fits()).collect();
    let chosen = match fitting.as_slice() {
        [one] => *one,
        [] => {
            explain(&found);
            bail!("no architecture fits {}", first.display());
        }
        several => {
            let words: Vec<String> = several
                .iter()
                .map(|m| format!("--arch {} --prefix '{}'", m.architecture, m.prefix))
                .collect();
            bail!(
                "{} holds several state dicts: choose one of {}",
                first.display(),
                words.join(", ")
            );
        }
    };
    let settings = Settings {
        input: options.input.clone(),
        ..Settings::beside(first, options.config)?
    };
    let under = Under::new(&parts, &chosen.prefix);
    let family = match family {
        Some(family) => family,
        None => by_name(&chosen.architecture)?,
    };
    let graph = limbic_models::build(family, &under, &settings)
        .with_context(|| format!("can't use {}", first.display()))?;
    let kind = format!("architecture {}", title(chosen));
    Ok(Opened { graph, kind })
}

/// Says on stderr what is nearest, and how to go on without an architecture.
pub fn explain(found: &[Match]) {
    for line in nearest(found) {
        // A stranger's names may hold what moves a terminal's cursor.
        eprintln!("{}", line.replace(char::is_control, " "));
    }
}

/// An architecture and where it begins in the checkpoint.
pub fn title(found: &Match) -> String {
    match found.prefix.as_str() {
        "" => found.architecture.clone(),
        prefix => format!("{} under {prefix}", found.architecture),
    }
}

/// The nearest architectures with the names that tell them apart, and how to go on without one.
pub fn nearest(found: &[Match]) -> Vec<String> {
    let mut lines = Vec::new();
    for candidate in found.iter().filter(|m| m.found > 0).take(NEAREST) {
        lines.push(format!(
            "{}: {} parameters agree, {} missing, {} unexpected",
            title(candidate),
            candidate.found,
            candidate.missing.len(),
            candidate.unexpected.len()
        ));
        for (what, names) in [
            ("missing", &candidate.missing),
            ("unexpected", &candidate.unexpected),
        ] {
            lines.extend(names.iter().take(NAMES).map(|name| format!("  {what:10} {name}")));
            if names.len() > NAMES {
                lines.push(format!("  {what:10} and {} more", names.len() - NAMES));
            }
        }
    }
    if lines.is_empty() {
        lines.push("no architecture shares a parameter with it".to_owned());
    }
    lines.push(
        "Describe the layers in a TOML file (--arch FILE.toml, see docs/convert.md), or export ONNX:"
            .to_owned(),
    );
    lines.push(
        "  torch.onnx.export(model.eval(), (example,), \"model.onnx\", input_names=[\"input\"], \
         output_names=[\"output\"], opset_version=17, dynamo=False)"
            .to_owned(),
    );
    lines
}
