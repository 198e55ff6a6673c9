//! Emotion and sentiment from text, sound and pictures.
//!
//! A [`Recognizer`] opens bundles, one for each sense, and turns input into [`Event`]s: an observation with labels and
//! probabilities, a fused answer of several senses, or a `no_answer` that says why. Nothing but labels comes out.
//!
//! ```
//! use limbic::{Event, Recognizer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/text-small/text-small.limbic");
//! let mut recognizer = Recognizer::open(bundle)?;
//! let answer = recognizer.text("What a wonderful surprise, I could not be happier!")?;
//! if let Event::Observation(seen) = &answer.event {
//!     for head in &seen.heads {
//!         println!("{}: {:?} {:.2?}", head.head, head.selected, head.probability);
//!     }
//!     assert_eq!(seen.sentiment.map(|sentiment| sentiment.label.name()), Some("positive"));
//! }
//! # Ok(()) }
//! ```
//!
//! Sound comes in chunks of any size:
//!
//! ```
//! use limbic::{Origin, Recognizer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/speech-small/speech-small.limbic");
//! let mut recognizer = Recognizer::open(bundle)?;
//! let mut stream = recognizer.audio_stream(&Origin::named("silence"), 48_000, 2)?;
//! for chunk in vec![0.0; 48_000 * 2 * 4].chunks(960) {
//!     for answer in recognizer.push(&mut stream, chunk)? {
//!         println!("{:?}", answer.event);
//!     }
//! }
//! let (last_windows, summary) = recognizer.finish(stream)?;
//! # let _ = (last_windows, summary);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod answer;
mod error;
mod fusion;
mod model;
pub mod pipeline;
mod recognizer;
mod stream;

pub use answer::{Answer, Origin};
pub use error::{Error, ErrorKind, Result};
pub use fusion::fuse;
pub use limbic_affect::{Clock, Event, FusionParams, NoAnswerReason, Scope, Sense};
#[cfg(feature = "ort")]
pub use limbic_backends::use_onnx_runtime;
#[cfg(feature = "tflite")]
pub use limbic_backends::use_tensorflow_lite;
pub use limbic_bundle::Bundle;
pub use limbic_signal::image::{Channels, Picture, PictureView, Region};
pub use recognizer::{Builder, Face, Recognizer};
pub use stream::AudioSession;

/// Names of the inference backends that are compiled in.
pub fn backends() -> Vec<&'static str> {
    limbic_backends::compiled()
}

/// Sense of a bundle's only input; `None` for a bundle of several.
pub fn sense_of(bundle: &Bundle) -> Option<Sense> {
    model::sense_of(bundle.manifest())
}
