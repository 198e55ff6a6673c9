//! The space all senses share: seven emotions and three valence groups, with room for what has no counterpart.

use limbic_json::fields;
use serde::{Deserialize, Serialize};

/// One of the seven emotions of the common space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Emotion {
    /// Anger.
    Anger,
    /// Disgust.
    Disgust,
    /// Fear.
    Fear,
    /// Joy.
    Joy,
    /// Sadness.
    Sadness,
    /// Surprise.
    Surprise,
    /// No emotion perceived.
    Neutral,
}

impl Emotion {
    /// All emotions, in the order of every array over them.
    pub const ALL: [Self; 7] = [
        Self::Anger,
        Self::Disgust,
        Self::Fear,
        Self::Joy,
        Self::Sadness,
        Self::Surprise,
        Self::Neutral,
    ];

    /// The lower-case name, as in events and data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anger => "anger",
            Self::Disgust => "disgust",
            Self::Fear => "fear",
            Self::Joy => "joy",
            Self::Sadness => "sadness",
            Self::Surprise => "surprise",
            Self::Neutral => "neutral",
        }
    }

    /// The emotion of that lower-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|emotion| emotion.name() == name)
    }

    /// Position in [`Emotion::ALL`] and in every array over the emotions, `0..7`.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One of the three valence groups; a sentiment label is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ValenceGroup {
    /// Unpleasant.
    Negative,
    /// Neither pleasant nor unpleasant.
    Neutral,
    /// Pleasant.
    Positive,
}

impl ValenceGroup {
    /// All groups, in the order of every array over them.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Neutral, Self::Positive];

    /// The lower-case name, as in events and data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Neutral => "neutral",
            Self::Positive => "positive",
        }
    }

    /// The group of that lower-case name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

/// The channel an observation came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// Written words.
    Text,
    /// A sound: the voice, not the words.
    Audio,
    /// A picture of a face.
    Image,
}

impl Sense {
    /// All senses.
    pub const ALL: [Self; 3] = [Self::Text, Self::Audio, Self::Image];

    /// The lower-case name, as in events and data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Audio => "audio",
            Self::Image => "image",
        }
    }
}

/// Probability mass over the valence groups, and the mass that belongs to none of them.
///
/// Each number is in `0..=1`; the four sum to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Valence {
    /// Mass of [`ValenceGroup::Negative`].
    #[serde(skip_serializing_if = "is_zero")]
    pub negative: f64,
    /// Mass of [`ValenceGroup::Neutral`].
    #[serde(skip_serializing_if = "is_zero")]
    pub neutral: f64,
    /// Mass of [`ValenceGroup::Positive`].
    #[serde(skip_serializing_if = "is_zero")]
    pub positive: f64,
    /// Mass without a counterpart among the groups.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmapped: f64,
}

impl Valence {
    /// All mass without a counterpart.
    pub const UNMAPPED: Self = Self {
        negative: 0.0,
        neutral: 0.0,
        positive: 0.0,
        unmapped: 1.0,
    };

    /// Masses of the three groups in the order of [`ValenceGroup::ALL`]; they sum to `1 - unmapped`.
    #[must_use]
    pub fn groups(&self) -> [f64; 3] {
        [self.negative, self.neutral, self.positive]
    }

    /// The likeliest group and its mass, or none when more mass is unmapped than any group holds.
    ///
    /// Of equal groups the first in the order of [`ValenceGroup::ALL`] is taken.
    #[must_use]
    pub fn top(&self) -> Option<(ValenceGroup, f64)> {
        first_largest(ValenceGroup::ALL.into_iter().zip(self.groups())).filter(|top| top.1 >= self.unmapped)
    }

    pub(crate) fn all(&self) -> [f64; 4] {
        [self.negative, self.neutral, self.positive, self.unmapped]
    }

    pub(crate) fn from_all(masses: [f64; 4]) -> Self {
        let [negative, neutral, positive, unmapped] = masses;
        Self {
            negative,
            neutral,
            positive,
            unmapped,
        }
    }
}

/// An answer in the common space.
///
/// `emotions` and `unmapped` sum to one, and so do the four masses of `valence`.
/// Mass of labels without a counterpart stays in `unmapped`: it is never spread over the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommonDistribution {
    /// Mass of each emotion in the order of [`Emotion::ALL`].
    pub emotions: [f64; 7],
    /// Mass without a counterpart among the emotions.
    pub unmapped: f64,
    /// The same answer over the valence groups.
    pub valence: Valence,
}

impl CommonDistribution {
    /// The likeliest emotion and its mass, or none when more mass is unmapped than any emotion holds.
    ///
    /// Of equal emotions the first in the order of [`Emotion::ALL`] is taken.
    #[must_use]
    pub fn top(&self) -> Option<(Emotion, f64)> {
        first_largest(Emotion::ALL.into_iter().zip(self.emotions)).filter(|top| top.1 >= self.unmapped)
    }
}

/// The first pair of largest mass; none of them when all masses are zero.
fn first_largest<T>(masses: impl Iterator<Item = (T, f64)>) -> Option<(T, f64)> {
    masses.fold(None, |best: Option<(T, f64)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ if next.1 > 0.0 => Some(next),
        best => best,
    })
}

/// The signature is serde's.
#[expect(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fields!(Valence {
    negative = 0.0,
    neutral = 0.0,
    positive = 0.0,
    unmapped = 0.0,
});
