//! Several channels to one.

use crate::audio::{MixParams, MixRule, check_samples};
use crate::{Error, ErrorKind, Result};

/// Appends one channel mixed from `interleaved` to `mono`.
///
/// **Shape**: `interleaved` is `[frame, channel]`, `channels` values a frame; `mono` grows by one value a frame.
///
/// # Errors
/// [`ErrorKind::Parameter`] for no channels, [`ErrorKind::Shape`] when the length is no multiple of `channels`,
/// [`ErrorKind::NotFinite`] and [`ErrorKind::OutOfRange`] as [`check_samples`]. `mono` is unchanged then.
#[inline(never)]
pub fn mix(interleaved: &[f32], channels: usize, params: &MixParams, mono: &mut Vec<f32>) -> Result<()> {
    if channels == 0 {
        return Err(Error::new(
            ErrorKind::Parameter,
            "mono@1 channels",
            "at least 1",
            0,
        ));
    }
    if !interleaved.len().is_multiple_of(channels) {
        let expected = format!("a multiple of {channels} channels");
        return Err(Error::new(
            ErrorKind::Shape,
            "mono@1 samples",
            expected,
            interleaved.len(),
        ));
    }
    check_samples(interleaved, "mono@1 samples", 0)?;
    let MixRule::Mean = params.mix;
    mono.reserve(interleaved.len() / channels);
    if channels == 1 {
        mono.extend_from_slice(interleaved);
    } else {
        let share = 1.0 / channels as f64;
        mono.extend(
            interleaved
                .chunks_exact(channels)
                .map(|frame| (frame.iter().map(|&sample| f64::from(sample)).sum::<f64>() * share) as f32),
        );
    }
    Ok(())
}
