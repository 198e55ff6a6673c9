//! Preprocessing of sound, pictures and text.
//!
//! Everything here is pure: no IO, no clock, no threads, no environment. Streaming parts are push-based, and their
//! output does not depend on how the input was cut into chunks. The parameter types are what a bundle's manifest
//! holds: every field is required and an unknown field is refused, so that two readers of one manifest cannot differ.
//!
//! What walks over samples, pixels or characters is never made part of its caller (`#[inline(never)]`): a device binary
//! is built for size, this crate for speed.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod audio;
mod error;
pub mod image;
pub mod text;

pub use error::{Error, ErrorKind, Result};
