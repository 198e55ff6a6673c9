//! The check every step does on samples it receives.

use crate::{Error, ErrorKind, Result};

/// Largest magnitude of a sample: 1.0 is full scale, and this is 120 dB above it. Integers that a careless file holds
/// as floats stay below it; what lies above would overflow a sum of squares.
pub const MAX_MAGNITUDE: f32 = 1e6;

/// Refuses samples that are not finite, or too large to be sound.
///
/// `subject` names the step, `first` is the index in its stream of the first of `samples`.
///
/// # Errors
/// [`ErrorKind::NotFinite`] or [`ErrorKind::OutOfRange`] with the index of the first such sample.
pub fn check_samples(samples: &[f32], subject: &'static str, first: u64) -> Result<()> {
    // NaN lies in no range, so one test finds all three cases.
    match samples
        .iter()
        .position(|sample| !(-MAX_MAGNITUDE..=MAX_MAGNITUDE).contains(sample))
    {
        None => Ok(()),
        Some(at) => {
            let found = samples.get(at).copied().unwrap_or(f32::NAN);
            let (kind, expected) = if found.is_finite() {
                (
                    ErrorKind::OutOfRange,
                    "samples of at most 1e6 (full scale is 1.0)",
                )
            } else {
                (ErrorKind::NotFinite, "finite samples")
            };
            Err(Error::new(kind, subject, expected, found).at(first + at as u64))
        }
    }
}

/// Number of samples nearest to a time in milliseconds at a rate in Hz.
pub(crate) fn samples_of_ms(ms: u32, rate_hz: u32) -> u64 {
    (u64::from(ms) * u64::from(rate_hz) + 500) / 1000
}
