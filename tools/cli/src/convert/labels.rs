//! A head over the first output, from a list of labels.

use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_affect::{EmotionRow, HeadKind, Label, LabelSpace, LabelSpaces, Labelling, MAX_LABELS, Valence};
use limbic_graph::op::Unary;
use limbic_graph::{Graph, Op};

/// Longest list of labels that is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Labels, and which tensor becomes their probabilities.
#[derive(Debug)]
pub struct Answers {
    /// Name of the tensor that holds logits.
    pub tensor: String,
    /// Softmax or sigmoids.
    pub kind: HeadKind,
    /// Id of the label space.
    pub space: String,
    /// The space itself, where it is no known one.
    pub own: Option<LabelSpace>,
}

/// A head over the graph's first output.
///
/// A head wants logits: where the output is a softmax or sigmoids of them, what stands before becomes an output too.
pub fn head(graph: &mut Graph, labels: &str) -> Result<Answers> {
    let output = *graph.outputs.first().context("the graph has no output")?;
    let maker = graph
        .nodes
        .iter()
        .find(|node| node.outputs.contains(&Some(output)))
        .map(|node| (node.op.clone(), node.inputs.first().copied().flatten()));
    let (tensor, sigmoid) = match maker {
        Some((Op::Softmax { .. }, Some(logits))) => (logits, false),
        Some((Op::Unary(Unary::Sigmoid), Some(logits))) => (logits, true),
        _ => (output, false),
    };
    if !graph.outputs.contains(&tensor) {
        graph.outputs.push(tensor);
    }
    let tensor = graph.value(tensor).name.clone();
    let path = Path::new(labels);
    if !path.is_file() {
        let space = LabelSpaces::builtin()
            .by_id(labels)
            .with_context(|| format!("--labels {labels}: no file of this name"))?;
        let kind = match space.labelling() {
            Labelling::Exclusive => HeadKind::Softmax,
            Labelling::MultiLabel => HeadKind::MultiLabel,
            Labelling::Dimensional => bail!(
                "--labels {labels}: its labels are quantities, whose range a head in --preprocess must say"
            ),
        };
        return Ok(Answers {
            tensor,
            kind,
            space: labels.to_owned(),
            own: None,
        });
    }
    let (kind, labelling) = if sigmoid {
        (HeadKind::MultiLabel, Labelling::MultiLabel)
    } else {
        (HeadKind::Softmax, Labelling::Exclusive)
    };
    let own = space(path, labelling).with_context(|| format!("--labels {labels}"))?;
    Ok(Answers {
        tensor,
        kind,
        space: own.id().to_owned(),
        own: Some(own),
    })
}

/// One label a line; labels that a known space has are mapped as there.
fn space(path: &Path, labelling: Labelling) -> Result<LabelSpace> {
    let length = std::fs::metadata(path)?.len();
    if length > MOST_BYTES {
        bail!("{length} bytes, more than {MOST_BYTES}");
    }
    let text = std::fs::read_to_string(path).context("expected UTF-8 text, one label a line")?;
    let names: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if names.is_empty() || names.len() > MAX_LABELS {
        bail!("expected 1 to {MAX_LABELS} labels, found {}", names.len());
    }
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let labels = names.into_iter().map(label).collect();
    let exclusive = labelling == Labelling::Exclusive;
    Ok(LabelSpace::new(
        "own",
        format!("the file {file}"),
        labelling,
        exclusive,
        labels,
    )?)
}

fn label(name: &str) -> Label {
    let known = LabelSpaces::builtin()
        .iter()
        .flat_map(LabelSpace::labels)
        .find(|label| label.name.eq_ignore_ascii_case(name));
    match known {
        Some(known) => Label {
            name: name.to_owned(),
            ..known.clone()
        },
        None => Label {
            name: name.to_owned(),
            emotions: EmotionRow {
                unmapped: 1.0,
                anger: 0.0,
                disgust: 0.0,
                fear: 0.0,
                joy: 0.0,
                sadness: 0.0,
                surprise: 0.0,
                neutral: 0.0,
            },
            valence: Valence::UNMAPPED,
        },
    }
}
