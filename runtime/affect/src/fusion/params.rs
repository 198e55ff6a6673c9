//! The data of the fusion: weights, and the valence that goes with each emotion.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use limbic_json::{Faults, Read, Value, fields};
use serde::Serialize;

use super::MASS_TOLERANCE;
use crate::common_space::{Emotion, Sense, Valence};
use crate::label_space::row_problem;
use crate::{Error, ErrorKind, Result};

/// Greatest weight of a sense's heads.
const MAX_WEIGHT: f64 = 1000.0;

/// Weights of a sense's heads; zero leaves them out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SenseWeights {
    /// Weight of the sense's emotion heads together.
    pub emotion: f64,
    /// Weight of the sense's sentiment heads together.
    pub sentiment: f64,
}

/// Weights of all senses; only their ratios matter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FusionWeights {
    /// Weights of written words.
    pub text: SenseWeights,
    /// Weights of the voice.
    pub audio: SenseWeights,
    /// Weights of the face.
    pub image: SenseWeights,
}

impl FusionWeights {
    /// Weights of one sense.
    #[must_use]
    pub fn of(&self, sense: Sense) -> SenseWeights {
        match sense {
            Sense::Text => self.text,
            Sense::Audio => self.audio,
            Sense::Image => self.image,
        }
    }
}

/// The data of the fusion: weights, and the valence that goes with each emotion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FusionParams {
    /// `P(g | e)`: for each emotion a distribution over the valence groups, without unmapped mass.
    pub valence_given_emotion: BTreeMap<Emotion, Valence>,
    /// The weights.
    pub weights: FusionWeights,
}

impl FusionParams {
    /// The built-in table and weights, from `data/fusion.json`.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the data is part of the crate, and a test reads it"
    )]
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<FusionParams> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            limbic_json::from_slice(include_bytes!("../../data/fusion.json"))
                .expect("the fusion data is valid")
        })
    }

    /// Checks the table and the weights.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFusion`] for an emotion without a row, a row that is no distribution over the three
    /// groups, a weight that is negative or not finite.
    pub fn check(&self) -> Result<()> {
        let invalid =
            |subject: &str, detail: String| Err(Error::new(ErrorKind::InvalidFusion, subject, detail));
        for emotion in Emotion::ALL {
            let Some(row) = self.valence_given_emotion.get(&emotion) else {
                return invalid("valence_given_emotion", format!("no row for {}", emotion.name()));
            };
            if let Some(problem) = row_problem(&row.groups(), MASS_TOLERANCE) {
                return invalid(
                    "valence_given_emotion",
                    format!("the row of {} {problem}", emotion.name()),
                );
            }
        }
        for sense in Sense::ALL {
            let SenseWeights { emotion, sentiment } = self.weights.of(sense);
            for weight in [emotion, sentiment] {
                if !(0.0..=MAX_WEIGHT).contains(&weight) {
                    let detail = format!("{} has weight {weight}, expected 0 to {MAX_WEIGHT}", sense.name());
                    return invalid("weights", detail);
                }
            }
        }
        Ok(())
    }
}

fields!(SenseWeights { emotion, sentiment });
fields!(FusionWeights { text, audio, image });

impl Read for FusionParams {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let mut fields = value.fields(&["valence_given_emotion", "weights"], None, faults);
        let weights = fields.required("weights");
        let rows = fields.value("valence_given_emotion");
        let mut valence_given_emotion = BTreeMap::new();
        for (name, row) in rows.entries(faults) {
            match Emotion::from_name(name) {
                Some(emotion) => {
                    valence_given_emotion.insert(emotion, Valence::read(row, faults));
                }
                None => faults.note(rows, format!("unknown emotion `{name}`")),
            }
        }
        Self {
            valence_given_emotion,
            weights,
        }
    }
}
