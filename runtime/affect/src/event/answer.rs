//! The answers in an event: labels with probabilities, and the common space.

use serde::{Deserialize, Serialize};

use crate::common_space::{CommonDistribution, Valence, ValenceGroup};
use crate::prediction::Prediction;
use crate::{Fused, FusedSource};

/// A label and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelProbability {
    /// The label.
    pub label: String,
    /// Its probability, `0..=1`.
    pub probability: f64,
}

/// A continuous quantity and its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelValue {
    /// Name of the quantity.
    pub label: String,
    /// Its value, in the head's range.
    pub value: f64,
}

/// The answer of one head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeadAnswer {
    /// Name of the head.
    pub head: String,
    /// Id of its label space.
    pub label_space: String,
    /// The labels in the order of the space; empty for a regression.
    pub labels: Vec<LabelProbability>,
    /// The quantities of a regression.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<LabelValue>,
    /// The likeliest of the selected labels; null for a regression.
    pub top: Option<String>,
    /// Probability of `top`.
    pub probability: Option<f64>,
    /// The labels the head says hold: one if they exclude each other, those above their thresholds if not.
    pub selected: Vec<String>,
    /// Whether `probability` is below what the head needs for an answer.
    pub abstained: bool,
}

impl From<&Prediction> for HeadAnswer {
    fn from(prediction: &Prediction) -> Self {
        let space = prediction.space();
        let names = || space.names().map(str::to_owned);
        let labels = names().zip(prediction.probabilities());
        let values = names().zip(prediction.values());
        Self {
            head: prediction.head().into(),
            label_space: space.id().into(),
            labels: labels
                .map(|(label, &probability)| LabelProbability { label, probability })
                .collect(),
            values: values
                .map(|(label, &value)| LabelValue { label, value })
                .collect(),
            top: prediction.top_label().map(str::to_owned),
            probability: prediction.top_probability(),
            selected: prediction.selected_labels().map(str::to_owned).collect(),
            abstained: prediction.abstained(),
        }
    }
}

/// Probability of each emotion of the common space; with the unmapped mass they sum to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each field is the emotion of its name")]
pub struct EmotionProbabilities {
    pub anger: f64,
    pub disgust: f64,
    pub fear: f64,
    pub joy: f64,
    pub sadness: f64,
    pub surprise: f64,
    pub neutral: f64,
}

/// Probability of each valence group, and the mass that belongs to none; the four sum to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each field is the group of its name")]
pub struct ValenceProbabilities {
    pub negative: f64,
    pub neutral: f64,
    pub positive: f64,
    pub unmapped: f64,
}

/// An answer in the common space.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommonAnswer {
    /// Probability of each emotion.
    pub emotions: EmotionProbabilities,
    /// Mass of labels without a counterpart among the emotions.
    pub unmapped: f64,
    /// The same answer over the valence groups.
    pub valence: ValenceProbabilities,
}

impl From<CommonDistribution> for CommonAnswer {
    fn from(common: CommonDistribution) -> Self {
        let [anger, disgust, fear, joy, sadness, surprise, neutral] = common.emotions;
        let Valence {
            negative,
            neutral: valence_neutral,
            positive,
            unmapped,
        } = common.valence;
        Self {
            emotions: EmotionProbabilities {
                anger,
                disgust,
                fear,
                joy,
                sadness,
                surprise,
                neutral,
            },
            unmapped: common.unmapped,
            valence: ValenceProbabilities {
                negative,
                neutral: valence_neutral,
                positive,
                unmapped,
            },
        }
    }
}

/// The likeliest valence group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SentimentAnswer {
    /// The group.
    pub label: ValenceGroup,
    /// Its probability, `0..=1`.
    pub probability: f64,
}

impl SentimentAnswer {
    /// The summary of a valence, see [`Valence::top`].
    #[must_use]
    pub fn from_valence(valence: &Valence) -> Option<Self> {
        valence
            .top()
            .map(|(label, probability)| Self { label, probability })
    }
}

impl FusedSource {
    /// The weights of a fused answer as an event lists them, in the order of the opinions.
    #[must_use]
    pub fn list(fused: &Fused) -> Vec<Self> {
        fused
            .weights
            .iter()
            .map(|weight| Self {
                source: weight.source.clone(),
                sense: weight.sense,
                head: weight.head.clone(),
                emotion_weight: weight.emotion,
                valence_weight: weight.valence,
            })
            .collect()
    }
}
