//! Mel filter banks.

use crate::audio::{LogMelParams, MelNorm, MelScale};

/// Width of the linear part of Slaney's scale, in Hz a mel.
const SLANEY_HZ_PER_MEL: f64 = 200.0 / 3.0;
/// Where Slaney's scale turns logarithmic, in Hz.
const SLANEY_BREAK_HZ: f64 = 1000.0;

/// Natural logarithm of the ratio of two frequencies one mel apart, above the break of Slaney's scale.
fn slaney_log_step() -> f64 {
    6.4f64.ln() / 27.0
}

/// Frequency in Hz to mel.
pub(crate) fn hz_to_mel(hz: f64, scale: MelScale) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        MelScale::Slaney if hz < SLANEY_BREAK_HZ => hz / SLANEY_HZ_PER_MEL,
        MelScale::Slaney => {
            SLANEY_BREAK_HZ / SLANEY_HZ_PER_MEL + (hz / SLANEY_BREAK_HZ).ln() / slaney_log_step()
        }
    }
}

/// Mel to frequency in Hz.
pub(crate) fn mel_to_hz(mel: f64, scale: MelScale) -> f64 {
    let break_mel = SLANEY_BREAK_HZ / SLANEY_HZ_PER_MEL;
    match scale {
        MelScale::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
        MelScale::Slaney if mel < break_mel => mel * SLANEY_HZ_PER_MEL,
        MelScale::Slaney => SLANEY_BREAK_HZ * ((mel - break_mel) * slaney_log_step()).exp(),
    }
}

/// One triangular filter over the bins of a spectrum.
#[derive(Debug, Clone)]
pub(crate) struct MelFilter {
    /// First bin with a weight.
    pub(crate) first: usize,
    /// Weights from `first` on; empty when no bin lies inside the triangle.
    pub(crate) weights: Vec<f64>,
}

/// The filters of a bank: corners equally spaced on the mel scale between the two edges, each triangle from one corner
/// over the next (height one) to the one after, sampled at the bins' centres.
pub(crate) fn mel_filters(params: &LogMelParams) -> Vec<MelFilter> {
    let mels = params.mels as usize;
    let low = hz_to_mel(f64::from(params.low_hz), params.mel_scale);
    let high = hz_to_mel(f64::from(params.high_hz), params.mel_scale);
    let corner = |at: usize| {
        let mel = low + (high - low) * at as f64 / (mels + 1) as f64;
        mel_to_hz(mel, params.mel_scale)
    };
    let bins = params.fft_size as usize / 2 + 1;
    let hz_per_bin = f64::from(params.sample_rate_hz) / f64::from(params.fft_size);
    (0..mels)
        .map(|band| {
            let (left, centre, right) = (corner(band), corner(band + 1), corner(band + 2));
            let height = match params.mel_norm {
                MelNorm::None => 1.0,
                MelNorm::Slaney => 2.0 / (right - left),
            };
            let weight = |bin: usize| {
                let hz = bin as f64 * hz_per_bin;
                let rising = (hz - left) / (centre - left);
                let falling = (right - hz) / (right - centre);
                rising.min(falling).max(0.0) * height
            };
            let first = (0..bins).find(|&bin| weight(bin) > 0.0).unwrap_or(bins);
            let weights = (first..bins)
                .map(weight)
                .take_while(|&weight| weight > 0.0)
                .collect();
            MelFilter { first, weights }
        })
        .collect()
}
