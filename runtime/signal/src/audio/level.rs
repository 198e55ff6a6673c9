//! Level and gain.

use crate::audio::{RmsNormaliseParams, check_samples};
use crate::{Error, ErrorKind, Result};

/// Level given for digital silence and for no samples at all, in dBFS.
pub const SILENCE_DBFS: f32 = -200.0;

/// RMS level of samples in dBFS: `10 log10(mean(x^2))`, so that a constant 1.0 is 0 dBFS and a full-scale sine -3.01.
///
/// Never below [`SILENCE_DBFS`]. Samples that are not finite give a level that is not finite.
#[inline(never)]
pub fn rms_dbfs(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return SILENCE_DBFS;
    }
    let sum: f64 = samples
        .iter()
        .map(|&sample| f64::from(sample) * f64::from(sample))
        .sum();
    dbfs_of_power(sum / samples.len() as f64)
}

/// Level in dBFS of a mean square.
pub(crate) fn dbfs_of_power(mean_square: f64) -> f32 {
    if mean_square <= 0.0 {
        SILENCE_DBFS
    } else {
        (10.0 * mean_square.log10()).max(f64::from(SILENCE_DBFS)) as f32
    }
}

/// Multiplies samples by one gain that brings their RMS level to the target, and gives that gain in dB.
///
/// The gain is at most `max_gain_db`; it may be negative without limit. Digital silence stays as it is, with a gain of 0.
///
/// # Errors
/// [`ErrorKind::Parameter`] when a parameter is not finite, the target above 0 dBFS or below -120 dBFS, or the largest
/// gain negative or above 120 dB; [`ErrorKind::NotFinite`] and [`ErrorKind::OutOfRange`] as [`check_samples`].
#[inline(never)]
pub fn rms_normalise(samples: &mut [f32], params: &RmsNormaliseParams) -> Result<f32> {
    if !(-120.0..=0.0).contains(&params.target_dbfs) {
        let subject = "rms_normalise@1 target_dbfs";
        return Err(Error::new(
            ErrorKind::Parameter,
            subject,
            "-120 to 0",
            params.target_dbfs,
        ));
    }
    if !(0.0..=120.0).contains(&params.max_gain_db) {
        let subject = "rms_normalise@1 max_gain_db";
        return Err(Error::new(
            ErrorKind::Parameter,
            subject,
            "0 to 120",
            params.max_gain_db,
        ));
    }
    check_samples(samples, "rms_normalise@1 samples", 0)?;
    let level = rms_dbfs(samples);
    if level <= SILENCE_DBFS {
        return Ok(0.0);
    }
    let gain_db = (params.target_dbfs - level).min(params.max_gain_db);
    let gain = 10f64.powf(f64::from(gain_db) / 20.0);
    for sample in samples.iter_mut() {
        *sample = (f64::from(*sample) * gain) as f32;
    }
    Ok(gain_db)
}
