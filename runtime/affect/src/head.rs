//! Heads: from a model's output tensor to calibrated probabilities.

use std::sync::Arc;

use limbic_json::{Faults, Read, Value, deserialize, fields};
use serde::Serialize;

use crate::label_space::Labelling;
use crate::prediction::{Prediction, PredictionKind};
use crate::{Error, ErrorKind, LabelSpace, LabelSpaces, Result};

/// Threshold of a multi-label head that names none.
const DEFAULT_THRESHOLD: f64 = 0.5;

/// A temperature outside of this is a mistake: the answer would be one-hot or flat.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// What a head does with its tensor.
///
/// In a manifest a kind without parameters is its name (`kind = "softmax"`), one with parameters a table
/// (`kind = { cosine = { matrix = "labels.f32", scale = 100.0 } }`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Softmax over the labels: one label holds.
    Softmax,
    /// A sigmoid for each label: any number of labels holds.
    MultiLabel,
    /// Softmax over the scaled cosines between an embedding and one row for each label.
    Cosine {
        /// Bundle entry of the matrix: f32, little-endian, row-major `[labels, dimension]`.
        matrix: String,
        /// Factor on each cosine, above zero.
        scale: f64,
    },
    /// Continuous quantities, one for each label.
    Regression {
        /// Least and greatest value of every quantity.
        range: [f64; 2],
    },
    /// A language model's logits at one token for each label; refused.
    Verbaliser {
        /// The token of each label.
        token_ids: Vec<u32>,
    },
    /// The tensor itself as an embedding; refused.
    Embedding,
}

impl HeadKind {
    /// The name in a manifest.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::MultiLabel => "multi_label",
            Self::Cosine { .. } => "cosine",
            Self::Regression { .. } => "regression",
            Self::Verbaliser { .. } => "verbaliser",
            Self::Embedding => "embedding",
        }
    }
}

/// Names of the kinds, in their order.
const KINDS: [&str; 6] = [
    "softmax",
    "multi_label",
    "cosine",
    "regression",
    "verbaliser",
    "embedding",
];

impl Read for HeadKind {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let (kind, content) = value.variant(&KINDS, faults);
        let names: &[&str] = match kind {
            2 => &["matrix", "scale"],
            3 => &["range"],
            4 => &["token_ids"],
            _ => {
                if let Some(content) = content {
                    faults.unexpected(content, "no parameters");
                }
                return match kind {
                    0 => Self::Softmax,
                    1 => Self::MultiLabel,
                    _ => Self::Embedding,
                };
            }
        };
        let mut fields = content.unwrap_or(value).fields(names, None, faults);
        match kind {
            2 => Self::Cosine {
                matrix: fields.required("matrix"),
                scale: fields.required("scale"),
            },
            3 => Self::Regression {
                range: fields.required("range"),
            },
            _ => Self::Verbaliser {
                token_ids: fields.required("token_ids"),
            },
        }
    }
}

/// A head as a manifest declares it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadSpec {
    /// Name of the head, as `--head` takes it.
    pub name: String,
    /// Name of the output tensor it reads.
    pub tensor: String,
    /// What it does with the tensor.
    pub kind: HeadKind,
    /// Id of its label space.
    pub label_space: String,
    /// For `multi_label`: least probability of each selected label, in `(0, 1)`; empty means 0.5 for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f64>,
    /// Divisor of the logits, `0.01..=100`, fitted on held-out data (Guo et al. 2017, "On calibration of modern
    /// neural networks").
    pub temperature: f64,
    /// Top probability below which the head gives no answer, in `0..=1`.
    pub abstain_below: f64,
}

fields!(HeadSpec {
    name,
    tensor,
    kind,
    label_space,
    thresholds = Vec::new(),
    temperature = 1.0,
    abstain_below = 0.0,
});
deserialize!(HeadSpec);

/// A checked head, ready to predict.
#[derive(Debug, Clone)]
pub struct Head {
    name: Arc<str>,
    space: Arc<LabelSpace>,
    function: Function,
    temperature: f64,
    abstain_below: f64,
}

#[derive(Debug, Clone)]
enum Function {
    Softmax,
    MultiLabel {
        thresholds: Vec<f64>,
    },
    /// `rows` have length one.
    Cosine {
        rows: Vec<f64>,
        dimension: usize,
        scale: f64,
    },
    Regression {
        low: f64,
        high: f64,
    },
}

impl Head {
    /// A head of this specification; `matrix` is the content of a cosine head's entry, row-major
    /// `[labels, dimension]`, and none for the other kinds.
    ///
    /// # Errors
    /// [`ErrorKind::UnsupportedHead`] for a verbaliser or an embedding, [`ErrorKind::UnknownLabelSpace`],
    /// [`ErrorKind::InvalidHead`] for a parameter out of range or one that does not fit the label space,
    /// [`ErrorKind::Shape`], [`ErrorKind::NonFinite`] or [`ErrorKind::ZeroNorm`] for a matrix that does not fit.
    pub fn new(spec: &HeadSpec, spaces: &LabelSpaces, matrix: Option<&[f32]>) -> Result<Self> {
        let error = |kind, detail: String| Err(Error::new(kind, spec.name.as_str(), detail));
        let invalid = |detail| error(ErrorKind::InvalidHead, detail);
        if spec.name.is_empty() || spec.tensor.is_empty() {
            return invalid(format!(
                "has name `{}` and tensor `{}`, both are needed",
                spec.name, spec.tensor
            ));
        }
        if matches!(spec.kind, HeadKind::Verbaliser { .. } | HeadKind::Embedding) {
            let detail = format!(
                "kind `{}` is not supported; softmax, multi_label, cosine and regression are",
                spec.kind.name()
            );
            return error(ErrorKind::UnsupportedHead, detail);
        }
        let space = Arc::clone(spaces.by_id(&spec.label_space)?);
        if !TEMPERATURES.contains(&spec.temperature) {
            return invalid(format!("temperature {}, expected 0.01 to 100", spec.temperature));
        }
        if !(0.0..=1.0).contains(&spec.abstain_below) {
            return invalid(format!("abstain_below {}, expected 0 to 1", spec.abstain_below));
        }
        if !spec.thresholds.is_empty() && spec.kind != HeadKind::MultiLabel {
            return invalid(format!(
                "thresholds belong to multi_label, the kind is {}",
                spec.kind.name()
            ));
        }
        let fits = match spec.kind {
            HeadKind::MultiLabel => space.labelling() == Labelling::MultiLabel,
            HeadKind::Regression { .. } => space.labelling() == Labelling::Dimensional,
            _ => space.labelling() != Labelling::Dimensional,
        };
        if !fits {
            let labelling = match space.labelling() {
                Labelling::Exclusive => "exclusive",
                Labelling::MultiLabel => "multi_label",
                Labelling::Dimensional => "dimensional",
            };
            let kind = spec.kind.name();
            return invalid(format!(
                "kind {kind} does not fit label space `{}`: {labelling}",
                space.id()
            ));
        }
        if matrix.is_some() && !matches!(spec.kind, HeadKind::Cosine { .. }) {
            return invalid(format!(
                "a matrix belongs to cosine, the kind is {}",
                spec.kind.name()
            ));
        }
        let function = match &spec.kind {
            HeadKind::MultiLabel => Function::MultiLabel {
                thresholds: thresholds(spec, space.len())?,
            },
            HeadKind::Cosine { scale, .. } => cosine(spec, *scale, space.len(), matrix)?,
            HeadKind::Regression { range: [low, high] } => {
                if !(low.is_finite() && high.is_finite() && low < high) {
                    return invalid(format!(
                        "range {low} to {high}, expected two numbers, the lower first"
                    ));
                }
                Function::Regression {
                    low: *low,
                    high: *high,
                }
            }
            _ => Function::Softmax,
        };
        Ok(Self {
            name: spec.name.as_str().into(),
            space,
            function,
            temperature: spec.temperature,
            abstain_below: spec.abstain_below,
        })
    }

    /// The head's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The head's label space.
    #[must_use]
    pub fn space(&self) -> &Arc<LabelSpace> {
        &self.space
    }

    /// Number of values the head reads: the labels, or an embedding's dimension for a cosine head.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.function {
            Function::Cosine { dimension, .. } => *dimension,
            _ => self.space.len(),
        }
    }

    /// The prediction for one vector of [`Head::width`] values, f32 or f64; all arithmetic is f64.
    ///
    /// With logits `z` and temperature `T`: softmax is `exp(z_i/T) / sum_j exp(z_j/T)`, computed on `z - max z`;
    /// multi-label is `1 / (1 + exp(-z_i/T))` each; cosine is the softmax of `scale * cos(z, row_i) / T`;
    /// regression is `z` clamped to its range, with the number of clamped values in the prediction.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`], [`ErrorKind::NonFinite`] with the index and the value, [`ErrorKind::ZeroNorm`] for
    /// a cosine head's embedding of length zero.
    pub fn predict<V: Copy + Into<f64>>(&self, values: &[V]) -> Result<Prediction> {
        let error = |kind, detail: String| Err(Error::new(kind, &*self.name, detail));
        if values.len() != self.width() {
            return error(
                ErrorKind::Shape,
                format!("{} values, expected {}", values.len(), self.width()),
            );
        }
        let values: Vec<f64> = values.iter().map(|&value| value.into()).collect();
        if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return error(ErrorKind::NonFinite, format!("value {index} is {value}"));
        }
        let (kind, numbers) = match &self.function {
            Function::Softmax => (PredictionKind::Exclusive, softmax(values, 1.0 / self.temperature)),
            Function::MultiLabel { thresholds } => {
                let probabilities = values.iter().map(|z| sigmoid(z / self.temperature)).collect();
                (
                    PredictionKind::MultiLabel {
                        thresholds: thresholds.clone(),
                    },
                    probabilities,
                )
            }
            Function::Cosine {
                rows,
                dimension,
                scale,
            } => {
                let Some(unit) = normalised(&values) else {
                    return error(ErrorKind::ZeroNorm, format!("an embedding of {dimension} zeros"));
                };
                let cosines = rows.chunks_exact(*dimension).map(|row| dot(row, &unit)).collect();
                (
                    PredictionKind::Exclusive,
                    softmax(cosines, scale / self.temperature),
                )
            }
            Function::Regression { low, high } => {
                let clamped = values
                    .iter()
                    .filter(|value| !(*low..=*high).contains(*value))
                    .count();
                let values = values.iter().map(|value| value.clamp(*low, *high)).collect();
                (PredictionKind::Regression { clamped }, values)
            }
        };
        Ok(Prediction::new(
            Arc::clone(&self.name),
            Arc::clone(&self.space),
            kind,
            numbers,
            self.abstain_below,
        ))
    }
}

fn thresholds(spec: &HeadSpec, labels: usize) -> Result<Vec<f64>> {
    let thresholds = &spec.thresholds;
    if thresholds.is_empty() {
        return Ok(vec![DEFAULT_THRESHOLD; labels]);
    }
    if thresholds.len() != labels {
        let detail = format!("{} thresholds, expected {labels}, one a label", thresholds.len());
        return Err(Error::new(ErrorKind::InvalidHead, spec.name.as_str(), detail));
    }
    if let Some(threshold) = thresholds.iter().find(|&&t| !(t > 0.0 && t < 1.0)) {
        let detail = format!("threshold {threshold}, expected above 0 and below 1");
        return Err(Error::new(ErrorKind::InvalidHead, spec.name.as_str(), detail));
    }
    Ok(thresholds.clone())
}

fn cosine(spec: &HeadSpec, scale: f64, labels: usize, matrix: Option<&[f32]>) -> Result<Function> {
    let error = |kind, detail: String| Err(Error::new(kind, spec.name.as_str(), detail));
    if !(scale.is_finite() && scale > 0.0) {
        return error(
            ErrorKind::InvalidHead,
            format!("scale {scale}, expected a number above 0"),
        );
    }
    let Some(matrix) = matrix else {
        return error(
            ErrorKind::InvalidHead,
            "a cosine head needs its label matrix".into(),
        );
    };
    let dimension = matrix.len() / labels;
    if dimension == 0 || dimension * labels != matrix.len() {
        let detail = format!(
            "a matrix of {} values, expected {labels} rows of equal length",
            matrix.len()
        );
        return error(ErrorKind::Shape, detail);
    }
    let mut rows = Vec::with_capacity(matrix.len());
    for (index, row) in matrix.chunks_exact(dimension).enumerate() {
        if let Some(value) = row.iter().find(|value| !value.is_finite()) {
            return error(
                ErrorKind::NonFinite,
                format!("row {index} of the matrix holds {value}"),
            );
        }
        let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let Some(unit) = normalised(&row) else {
            return error(ErrorKind::ZeroNorm, format!("row {index} of the matrix is zero"));
        };
        rows.extend(unit);
    }
    Ok(Function::Cosine {
        rows,
        dimension,
        scale,
    })
}

/// The vector divided by its length, or none for the zero vector; scaled first so that squares do not overflow.
fn normalised(vector: &[f64]) -> Option<Vec<f64>> {
    let largest = vector
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return None;
    }
    let scaled: Vec<f64> = vector.iter().map(|value| value / largest).collect();
    let length = dot(&scaled, &scaled).sqrt();
    Some(scaled.into_iter().map(|value| value / length).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// Softmax of `factor * logit`; the largest is taken off first, so that no finite logit overflows.
fn softmax(mut logits: Vec<f64>, factor: f64) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for logit in &mut logits {
        *logit = (factor * (*logit - largest)).exp();
    }
    let sum: f64 = logits.iter().sum();
    for value in &mut logits {
        *value /= sum;
    }
    logits
}
