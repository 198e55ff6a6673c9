//! Label spaces as data: the labels of a head and their map into the common space.

use limbic_json::{Faults, Read, Value, choices, deserialize, fields};
use serde::Serialize;

use crate::common_space::{Valence, is_zero};
use crate::{Error, ErrorKind, Result};

/// Most labels a space may have.
pub const MAX_LABELS: usize = 1024;

/// How far the sum of a map's row may be from one.
pub const ROW_TOLERANCE: f64 = 1e-6;

/// Longest label or id, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Whether the labels of a space exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Labelling {
    /// Exactly one label holds.
    Exclusive,
    /// Any number of labels may hold at once.
    MultiLabel,
    /// The labels name continuous quantities, such as arousal.
    Dimensional,
}

/// What the labels of a space say in the common space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceRole {
    /// At least one label maps to an emotion.
    Emotion,
    /// No label maps to an emotion, at least one to a valence group.
    Sentiment,
    /// Nothing maps: the space says nothing about how something is felt.
    Other,
}

/// A label's row of the map into the seven emotions; the eight masses sum to one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EmotionRow {
    /// Mass that goes to anger.
    #[serde(skip_serializing_if = "is_zero")]
    pub anger: f64,
    /// Mass that goes to disgust.
    #[serde(skip_serializing_if = "is_zero")]
    pub disgust: f64,
    /// Mass that goes to fear.
    #[serde(skip_serializing_if = "is_zero")]
    pub fear: f64,
    /// Mass that goes to joy.
    #[serde(skip_serializing_if = "is_zero")]
    pub joy: f64,
    /// Mass that goes to sadness.
    #[serde(skip_serializing_if = "is_zero")]
    pub sadness: f64,
    /// Mass that goes to surprise.
    #[serde(skip_serializing_if = "is_zero")]
    pub surprise: f64,
    /// Mass that goes to neutral.
    #[serde(skip_serializing_if = "is_zero")]
    pub neutral: f64,
    /// Mass without a counterpart.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmapped: f64,
}

impl EmotionRow {
    /// Masses of the seven emotions in the order of [`crate::Emotion::ALL`].
    #[must_use]
    pub fn emotions(&self) -> [f64; 7] {
        [
            self.anger,
            self.disgust,
            self.fear,
            self.joy,
            self.sadness,
            self.surprise,
            self.neutral,
        ]
    }
}

/// A label and its rows of the map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Label {
    /// The name, as in the data the head was trained on.
    #[serde(rename = "label")]
    pub name: String,
    /// Row of the map into the emotions.
    pub emotions: EmotionRow,
    /// Row of the map into the valence groups.
    pub valence: Valence,
}

/// The labels of a head, in the order of its logits, and their map into the common space.
///
/// Reading one from JSON or TOML checks it; see [`LabelSpace::new`] for the rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct LabelSpace {
    raw: RawLabelSpace,
}

/// A label space as written, before any check.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct RawLabelSpace {
    id: String,
    source: String,
    labelling: Labelling,
    exhaustive: bool,
    labels: Vec<Label>,
}

impl Read for LabelSpace {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let space = Self {
            raw: RawLabelSpace::read(value, faults),
        };
        if faults.none()
            && let Err(error) = space.check()
        {
            faults.note(value, error.to_string());
        }
        space
    }
}

impl LabelSpace {
    /// A checked label space.
    ///
    /// `source` says where the labels and the map come from.
    /// `exhaustive` says that at least one label holds for every input, as where "neutral" is a label.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidLabelSpace`] for: no label or more than [`MAX_LABELS`]; a name that is empty, longer
    /// than 64 bytes, doubled, padded with white space, or holds a control character or `|`; a row with a
    /// negative or non-finite entry or a sum more than [`ROW_TOLERANCE`] from one; an exclusive space that is not
    /// exhaustive; a dimensional one that is, or that maps anywhere.
    pub fn new(
        id: impl Into<String>,
        source: impl Into<String>,
        labelling: Labelling,
        exhaustive: bool,
        labels: Vec<Label>,
    ) -> Result<Self> {
        let raw = RawLabelSpace {
            id: id.into(),
            source: source.into(),
            labelling,
            exhaustive,
            labels,
        };
        let space = Self { raw };
        space.check()?;
        Ok(space)
    }

    fn check(&self) -> Result<()> {
        let RawLabelSpace {
            id,
            labelling,
            exhaustive,
            labels,
            ..
        } = &self.raw;
        let invalid = |detail: String| Err(Error::new(ErrorKind::InvalidLabelSpace, id.as_str(), detail));
        if let Some(problem) = name_problem(id) {
            return invalid(format!("its id {problem}"));
        }
        if labels.is_empty() || labels.len() > MAX_LABELS {
            return invalid(format!("{} labels, expected 1 to {MAX_LABELS}", labels.len()));
        }
        let mut seen = std::collections::BTreeSet::new();
        for (index, label) in labels.iter().enumerate() {
            let name = &label.name;
            if let Some(problem) = name_problem(name) {
                return invalid(format!("label {index} {problem}"));
            }
            if !seen.insert(name) {
                return invalid(format!("label `{name}` stands there twice, again at {index}"));
            }
            let emotions = &label.emotions;
            let mut row = emotions.emotions().to_vec();
            row.push(emotions.unmapped);
            for (map, row) in [("emotions", row.as_slice()), ("valence", &label.valence.all())] {
                if let Some(problem) = row_problem(row, ROW_TOLERANCE) {
                    return invalid(format!("label `{name}`: the {map} row {problem}"));
                }
            }
        }
        match labelling {
            Labelling::Exclusive if !exhaustive => {
                invalid("exclusive labels are exhaustive: exactly one holds".into())
            }
            Labelling::Dimensional if *exhaustive => invalid("dimensional labels are not exhaustive".into()),
            Labelling::Dimensional if self.role() != SpaceRole::Other => {
                invalid("dimensional labels carry no probability, so their rows are wholly `unmapped`".into())
            }
            _ => Ok(()),
        }
    }

    /// The id a head names.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.raw.id
    }

    /// Where the labels and the map come from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.raw.source
    }

    /// Whether the labels exclude each other.
    #[must_use]
    pub fn labelling(&self) -> Labelling {
        self.raw.labelling
    }

    /// Whether at least one label holds for every input.
    #[must_use]
    pub fn exhaustive(&self) -> bool {
        self.raw.exhaustive
    }

    /// The labels, in the order of the logits.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.raw.labels
    }

    /// The labels' names, in the order of the logits.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.raw.labels.iter().map(|label| label.name.as_str())
    }

    /// Number of labels, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a label space is never empty")]
    pub fn len(&self) -> usize {
        self.raw.labels.len()
    }

    /// Position of the label of that name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.names().position(|label| label == name)
    }

    /// Name of the label at that position.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.raw.labels.get(index).map(|label| label.name.as_str())
    }

    /// What the labels say in the common space.
    #[must_use]
    pub fn role(&self) -> SpaceRole {
        let labels = &self.raw.labels;
        if labels
            .iter()
            .any(|label| label.emotions.emotions().iter().any(|&mass| mass > 0.0))
        {
            SpaceRole::Emotion
        } else if self.covered_valence().contains(&true) {
            SpaceRole::Sentiment
        } else {
            SpaceRole::Other
        }
    }

    /// For each valence group in order, whether any label maps to it: `sentiment2` has no way to say "neutral".
    #[must_use]
    pub fn covered_valence(&self) -> [bool; 3] {
        let mut covered = [false; 3];
        for label in &self.raw.labels {
            for (covered, mass) in covered.iter_mut().zip(label.valence.groups()) {
                *covered |= mass > 0.0;
            }
        }
        covered
    }
}

fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        Some("is empty".into())
    } else if name.len() > MAX_NAME_BYTES {
        Some(format!(
            "has {} bytes, at most {MAX_NAME_BYTES} are allowed",
            name.len()
        ))
    } else if name.chars().any(|c| c.is_control() || c == '|') {
        Some(format!("({name:?}) holds a control character or `|`"))
    } else if name.trim() != name {
        Some(format!("({name:?}) is padded with white space"))
    } else {
        None
    }
}

/// What keeps a row from being a distribution.
pub(crate) fn row_problem(row: &[f64], tolerance: f64) -> Option<String> {
    if let Some(entry) = row.iter().find(|entry| !entry.is_finite() || **entry < 0.0) {
        return Some(format!("holds {entry}, expected a number from 0 to 1"));
    }
    let sum: f64 = row.iter().sum();
    ((sum - 1.0).abs() > tolerance).then(|| format!("sums to {sum}, expected 1"))
}

choices!(Labelling {
    Exclusive = "exclusive",
    MultiLabel = "multi_label",
    Dimensional = "dimensional",
});
fields!(EmotionRow {
    anger = 0.0,
    disgust = 0.0,
    fear = 0.0,
    joy = 0.0,
    sadness = 0.0,
    surprise = 0.0,
    neutral = 0.0,
    unmapped = 0.0,
});
fields!(RawLabelSpace {
    id,
    source,
    labelling,
    exhaustive,
    labels
});
deserialize!(LabelSpace);

impl Read for Label {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let mut fields = value.fields(&["label", "emotions", "valence"], None, faults);
        Self {
            name: fields.required("label"),
            emotions: fields.required("emotions"),
            valence: fields.required("valence"),
        }
    }
}
