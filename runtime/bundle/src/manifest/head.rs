//! Gates and pooling: what comes after the heads.

use limbic_affect::NoAnswerReason;
use limbic_json::{Faults, Read, Value, choices};
use serde::Serialize;

/// Kinds of heads this release computes; the format's others (`verbaliser`, `embedding`) are refused by name.
pub(crate) const HEAD_KINDS: [&str; 4] = ["softmax", "multi_label", "cosine", "regression"];

/// Condition under which the model gives no answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "gate")]
pub enum Gate {
    /// Too many words of a text are outside of the vocabulary.
    #[serde(rename = "unknown_words@1")]
    UnknownWords {
        /// Largest share of unknown words, in `0..=1`.
        max_share: f32,
        /// Reason given when it is more.
        reason: NoAnswerReason,
    },
    /// A label of a head is not probable enough.
    #[serde(rename = "head_probability@1")]
    HeadProbability {
        /// Name of the head; it is asked by the gate only and gives no answer of its own.
        head: String,
        /// Label of the head's space.
        label: String,
        /// Least probability, in `0..=1`.
        min_probability: f32,
        /// Reason given when it is less.
        reason: NoAnswerReason,
    },
}

/// Gates this release knows.
pub(crate) const GATE_IDS: [&str; 2] = ["unknown_words@1", "head_probability@1"];

/// How the answers over the windows of one long input become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// There is one window.
    None,
    /// Mean of the windows' logits.
    MeanLogits,
    /// Mean of the windows' logits, weighted by their number of text tokens.
    MeanLogitsByTokens,
}

impl Pooling {
    /// The rule over windows, if there can be several.
    pub fn rule(self) -> Option<limbic_affect::Pooling> {
        match self {
            Self::None => None,
            Self::MeanLogits => Some(limbic_affect::Pooling::MeanLogits),
            Self::MeanLogitsByTokens => Some(limbic_affect::Pooling::MeanLogitsByTokens),
        }
    }

    /// Name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MeanLogits => "mean_logits",
            Self::MeanLogitsByTokens => "mean_logits_by_tokens",
        }
    }
}

choices!(Pooling {
    None = "none",
    MeanLogits = "mean_logits",
    MeanLogitsByTokens = "mean_logits_by_tokens",
});

impl Read for Gate {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let tag = Some("gate");
        if value.tag("gate", &GATE_IDS, faults) == 0 {
            let mut fields = value.fields(&["max_share", "reason"], tag, faults);
            Self::UnknownWords {
                max_share: fields.required("max_share"),
                reason: fields.required("reason"),
            }
        } else {
            let names = ["head", "label", "min_probability", "reason"];
            let mut fields = value.fields(&names, tag, faults);
            Self::HeadProbability {
                head: fields.required("head"),
                label: fields.required("label"),
                min_probability: fields.required("min_probability"),
                reason: fields.required("reason"),
            }
        }
    }
}
