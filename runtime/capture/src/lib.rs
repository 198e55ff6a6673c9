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

#[cfg(all(feature = "camera", target_os = "linux"))]
pub mod camera;
mod error;
pub mod files;
#[cfg(feature = "mic")]
pub mod mic;
pub mod source;
mod uri;

pub use error::{Counts, Error, ErrorKind, Result};
pub use uri::{INPUT_URI_GRAMMAR, InputUri};

/// What a live source has lost since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Sound frames that found no room in the ring because the reader was late.
    pub audio_frames: u64,
    /// Times that the sound driver reported lost sound, of unknown length.
    pub audio_xruns: u64,
    /// Pictures that a newer one replaced, that the driver skipped or that could not be decoded.
    pub images: u64,
    /// Bytes of lines beyond the longest line kept.
    pub text_bytes: u64,
    /// Ill-formed parts of text that became U+FFFD.
    pub invalid_text: u64,
}

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
