//! Microphone, camera, files and text as timed input, with drop counters.
//!
//! [`files`] reads whole files: sound in chunks, pictures and texts at once. [`source`] gives the same content as a
//! live stream would: in timed pieces, with what was lost on the way counted. [`InputUri`] names such a source.
//!
//! Nothing here resamples, scales or normalises; that is `limbic-signal`'s part, so the rate and the channel count
//! travel with the samples.
#![deny(unsafe_code)]
#![cfg_attr(not(feature = "camera"), forbid(unsafe_code))]
#![deny(missing_docs)]

mod error;
pub mod files;

pub use error::{Counts, Error, ErrorKind, Result};

/// One of the three senses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sense {
    /// Sound.
    Audio,
    /// Pictures.
    Image,
    /// Text.
    Text,
}
