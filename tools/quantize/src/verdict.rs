//! What a judge says of a graph's answers.

use serde::Serialize;

/// What a head's answers are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of right answers.
    Accuracy,
    /// Mean recall over the labels.
    UnweightedAverageRecall,
    /// Mean F1 over the labels.
    MacroF1,
    /// F1 over all label decisions.
    MicroF1,
    /// Equal answers alone: the data has no labels, or the head is a gate's.
    Equality,
    /// Cosine to the float network's vectors, and whether an item's nearest neighbour is the same.
    Embedding,
}

impl Measure {
    /// Name in a report for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::UnweightedAverageRecall => "unweighted average recall",
            Self::MacroF1 => "macro F1",
            Self::MicroF1 => "micro F1",
            Self::Equality => "equal answers alone",
            Self::Embedding => "cosine to float",
        }
    }
}

/// How a graph did with one head on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Name of the head, or of the output for an embedding.
    pub head: String,
    /// Name of the data set.
    pub data: String,
    /// What is judged.
    pub measure: Measure,
    /// The metric, in points of a hundred; none where [`Verdict::measure`] needs no truth.
    pub metric: Option<f64>,
    /// The labels answered for each item, by their numbers and in order; none for no answer. For an embedding the
    /// item's nearest neighbour among the others.
    pub answers: Vec<Vec<usize>>,
    /// Probabilities of each item, or its embedding; empty for an item without.
    pub vectors: Vec<Vec<f64>>,
    /// The same of each window by itself, item after item, where items have several; none for an embedding.
    pub windows: Option<Windows>,
    /// Each class.
    pub classes: Vec<Class>,
}

/// What a network says of each window that items are cut into, before it is pooled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Windows {
    /// As [`Verdict::answers`].
    pub answers: Vec<Vec<usize>>,
    /// As [`Verdict::vectors`].
    pub vectors: Vec<Vec<f64>>,
}

/// How a graph did on a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The label.
    pub label: String,
    /// Items that truly have it.
    pub support: usize,
    /// Items among them that were answered with it.
    pub right: usize,
}

/// Cosine of the angle between two vectors; 1 for two of length zero, 0 if only one has.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (aa, bb) = (dot(a, a), dot(b, b));
    if aa == 0.0 && bb == 0.0 {
        1.0
    } else if aa == 0.0 || bb == 0.0 {
        0.0
    } else {
        dot(a, b) / (aa * bb).sqrt()
    }
}
