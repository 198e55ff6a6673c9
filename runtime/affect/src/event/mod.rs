//! What leaves the device: observations, fused answers, and the reason where there is no answer.
//!
//! An event holds labels, numbers and names; it has no field for text, pixels or samples.
//! The JSON Schema of [`Event`] is `schema/event.schema.json`.

mod answer;
mod origin;

use serde::{Deserialize, Serialize};

pub use answer::{
    CommonAnswer, EmotionProbabilities, HeadAnswer, LabelProbability, LabelValue, SentimentAnswer,
    ValenceProbabilities,
};
pub use origin::{BundleRef, Clock, Dropped, Region, SchemaVersion, Scope, Truncated};

use crate::common_space::{Emotion, Sense};

/// One event; in JSON the field `kind` says which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// What one model said about one window, file or item.
    Observation(Box<Observation>),
    /// One answer from several observations.
    Fused(Box<FusedEvent>),
    /// Why there is no answer.
    NoAnswer(Box<NoAnswer>),
}

/// What one model said about one window, file or item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Observation {
    /// Version of the event schema.
    pub schema: SchemaVersion,
    /// Number of the event in its stream, ascending from 0.
    pub seq: u64,
    /// Start of what was observed, in milliseconds of `clock`; null without a clock.
    pub start_ms: Option<u64>,
    /// End of what was observed, in milliseconds of `clock`; null without a clock.
    pub end_ms: Option<u64>,
    /// What `start_ms` and `end_ms` count.
    pub clock: Clock,
    /// Whether this is about a window, a whole file or a single item.
    pub scope: Scope,
    /// How many windows were pooled into this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<u64>,
    /// The sense.
    pub sense: Sense,
    /// The source as the user named it: a path or a URI, never the text itself.
    pub source: String,
    /// The bundle that answered.
    pub bundle: BundleRef,
    /// The backend that ran the model.
    pub backend: String,
    /// Where in the picture the face is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The answer of each head.
    pub heads: Vec<HeadAnswer>,
    /// The answer in the common space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<CommonAnswer>,
    /// The likeliest valence group, where the model says anything about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<SentimentAnswer>,
    /// What was cut off because it was too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Truncated>,
    /// What was lost on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
    /// How many invalid UTF-8 sequences were replaced by U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u64>,
    /// The rate in Hz the sound had before it was resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampled_from_hz: Option<u32>,
    /// Time from input to answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<f64>,
}

/// One answer from several observations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FusedEvent {
    /// Version of the event schema.
    pub schema: SchemaVersion,
    /// Number of the event in its stream, ascending from 0.
    pub seq: u64,
    /// Start of the earliest observation, in milliseconds of `clock`; null without a clock.
    pub start_ms: Option<u64>,
    /// End of the latest observation, in milliseconds of `clock`; null without a clock.
    pub end_ms: Option<u64>,
    /// What `start_ms` and `end_ms` count.
    pub clock: Clock,
    /// `seq` of the observations that were pooled.
    pub observations: Vec<u64>,
    /// What each head of each source weighed.
    pub sources: Vec<FusedSource>,
    /// The sources that gave no answer, and why.
    pub missing: Vec<MissingSense>,
    /// The answer in the common space.
    pub common: CommonAnswer,
    /// The likeliest emotion; null when more mass is unmapped than any emotion holds.
    pub top: Option<Emotion>,
    /// Probability of `top`.
    pub probability: Option<f64>,
    /// The likeliest valence group; null when more mass is unmapped than any group holds.
    pub sentiment: Option<SentimentAnswer>,
    /// Time the fusion took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<f64>,
}

/// Weight of one head of one source in a fused answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FusedSource {
    /// The source as the user named it.
    pub source: String,
    /// The sense.
    pub sense: Sense,
    /// Name of the head.
    pub head: String,
    /// Exponent of its opinion in the pool of the emotions; those of emotion heads sum to one.
    pub emotion_weight: f64,
    /// Share of its opinion in the pool of the valence groups; these sum to one.
    pub valence_weight: f64,
}

/// A source that gave no answer to a fused one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MissingSense {
    /// The source as the user named it.
    pub source: String,
    /// The sense.
    pub sense: Sense,
    /// Why.
    pub reason: NoAnswerReason,
    /// The reason in numbers.
    pub detail: String,
}

/// Why a source gives no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoAnswer {
    /// Version of the event schema.
    pub schema: SchemaVersion,
    /// Number of the event in its stream, ascending from 0.
    pub seq: u64,
    /// Start of what was observed, in milliseconds of `clock`; null without a clock.
    pub start_ms: Option<u64>,
    /// End of what was observed, in milliseconds of `clock`; null without a clock.
    pub end_ms: Option<u64>,
    /// What `start_ms` and `end_ms` count.
    pub clock: Clock,
    /// Whether this is about a window, a whole file or a single item.
    pub scope: Scope,
    /// The sense.
    pub sense: Sense,
    /// The source as the user named it: a path or a URI, never the text itself.
    pub source: String,
    /// The bundle that was asked.
    pub bundle: BundleRef,
    /// The backend, where the model ran at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Where in the picture a face was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Why there is no answer.
    pub reason: NoAnswerReason,
    /// The reason in numbers: what was measured and what was needed.
    pub detail: String,
    /// What was cut off because it was too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Truncated>,
    /// What was lost on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
    /// How many invalid UTF-8 sequences were replaced by U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u64>,
    /// The rate in Hz the sound had before it was resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampled_from_hz: Option<u32>,
    /// Time from input to this event, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<f64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoAnswerReason {
    /// The sound holds no speech: silence, noise, music.
    NoSpeech,
    /// The picture, or the region of it, shows no face.
    NoFace,
    /// Too many words of the text are unknown to the model.
    UnsupportedLanguage,
    /// There is less input than an answer needs.
    TooShort,
    /// The top probability is below the head's `abstain_below`.
    BelowThreshold,
}

impl NoAnswerReason {
    /// The lower-case name, as in events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSpeech => "no_speech",
            Self::NoFace => "no_face",
            Self::UnsupportedLanguage => "unsupported_language",
            Self::TooShort => "too_short",
            Self::BelowThreshold => "below_threshold",
        }
    }
}

impl Event {
    /// Number of the event in its stream.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Observation(event) => event.seq,
            Self::Fused(event) => event.seq,
            Self::NoAnswer(event) => event.seq,
        }
    }

    /// Gives the event its number in a stream.
    pub fn set_seq(&mut self, seq: u64) {
        match self {
            Self::Observation(event) => event.seq = seq,
            Self::Fused(event) => event.seq = seq,
            Self::NoAnswer(event) => event.seq = seq,
        }
    }

    /// The event without its measured time, for comparing the answers of two runs.
    #[must_use]
    pub fn without_elapsed(mut self) -> Self {
        match &mut self {
            Self::Observation(event) => event.elapsed_ms = None,
            Self::Fused(event) => event.elapsed_ms = None,
            Self::NoAnswer(event) => event.elapsed_ms = None,
        }
        self
    }
}

limbic_json::choices!(NoAnswerReason {
    NoSpeech = "no_speech",
    NoFace = "no_face",
    UnsupportedLanguage = "unsupported_language",
    TooShort = "too_short",
    BelowThreshold = "below_threshold",
});
