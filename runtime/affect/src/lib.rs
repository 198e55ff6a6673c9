//! Label spaces, heads, calibration, fusion and events: the domain of Limbic.
//!
//! The crate is pure: it does no IO, reads no clock and no environment and starts no thread.
//! A model's output tensor becomes an [`Event`] in five steps:
//!
//! 1. [`LogitPool`] joins the windows of a long sound or text.
//! 2. [`Head`] turns logits into a calibrated [`Prediction`] over a [`LabelSpace`].
//! 3. The label space's map takes a prediction into the [`CommonDistribution`] all senses share.
//! 4. [`fuse`] pools the [`Opinion`]s of whichever senses are present.
//! 5. [`Event`] is what leaves the device: labels and numbers, never text, pixels or samples.
//!
//! ```
//! use limbic_affect::{Head, HeadKind, HeadSpec, LabelSpaces};
//!
//! let spec = HeadSpec {
//!     name: "emotion".into(),
//!     tensor: "emotion_logits".into(),
//!     kind: HeadKind::Softmax,
//!     label_space: "ferplus8".into(),
//!     thresholds: vec![],
//!     temperature: 1.5,
//!     abstain_below: 0.0,
//! };
//! let head = Head::new(&spec, LabelSpaces::builtin(), None)?;
//! let prediction = head.predict(&[0.1_f32, 4.0, 0.3, -1.0, -1.0, -2.0, -2.0, -2.0])?;
//! assert_eq!(prediction.top_label(), Some("happiness"));
//! # Ok::<(), limbic_affect::Error>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod common_space;
mod error;
mod event;
mod fusion;
mod head;
mod label_space;
mod pooling;
mod prediction;
mod registry;

pub use common_space::{CommonDistribution, Emotion, Sense, Valence, ValenceGroup};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    BundleRef, Clock, CommonAnswer, Dropped, EmotionProbabilities, Event, FusedEvent, FusedSource,
    HeadAnswer, LabelProbability, LabelValue, MissingSense, NoAnswer, NoAnswerReason, Observation, Region,
    SchemaVersion, Scope, SentimentAnswer, Truncated, ValenceProbabilities,
};
pub use fusion::{
    Evidence, Fused, FusionParams, FusionWeights, Opinion, PROBABILITY_FLOOR, SenseWeights, SourceWeight,
    fuse,
};
pub use head::{Head, HeadKind, HeadSpec};
pub use label_space::{EmotionRow, Label, LabelSpace, Labelling, MAX_LABELS, ROW_TOLERANCE, SpaceRole};
pub use pooling::{LogitPool, Pooling};
pub use prediction::{ODDS_CLAMP, Prediction, PredictionKind, observed_common};
pub use registry::LabelSpaces;
