//! What the speech gate measures on one frame.

use std::f32::consts::PI;
use std::fmt;

use crate::audio::SpeechGateParams;
use crate::audio::fourier::RealFft;
use crate::audio::level::dbfs_of_power;

/// Band whose harmonics make the periodicity, in Hz: the first formants, where a voice stands highest over noise.
const VOICE_BAND_HZ: (f32, f32) = (80.0, 2000.0);
/// Bands of the spectrum's shape: this many, equally wide on a logarithmic scale between these frequencies in Hz.
const SHAPE_BANDS: usize = 14;
const SHAPE_BAND_HZ: (f32, f32) = (150.0, 4000.0);
/// Half width of the average that whitening divides by, in Hz: wider than the distance of two harmonics.
const WHITENING_HZ: f32 = 300.0;
/// Share of the voice band's mean power that whitening never divides by less than.
const WHITENING_FLOOR: f32 = 1e-4;
/// Half width of what counts as one tone, in Hz.
const TONE_HZ: f32 = 45.0;
/// Share of the voice band's power that no band of the shape counts less than (30 dB below it, spread evenly).
const SHAPE_FLOOR: f32 = 1e-3 / SHAPE_BANDS as f32;

/// Shape of a spectrum: level of each band over the mean of all, in dB.
pub(crate) type Shape = [f32; SHAPE_BANDS];

/// Measures of one frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// RMS level, in dBFS.
    pub(crate) level_dbfs: f32,
    /// Largest autocorrelation of the whitened voice band between the pitch bounds: 1 for a periodic sound.
    pub(crate) periodicity: f32,
    /// Share of the voice band's power within its two strongest tones, in `0..=1`.
    pub(crate) tone_share: f32,
    /// Shape of the spectrum.
    pub(crate) shape: Shape,
}

/// Computes the measures of frames of one length.
pub(crate) struct FrameAnalyser {
    fft: RealFft,
    window: Vec<f32>,
    /// Reciprocal of the window's own autocorrelation at each lag between the pitch bounds, where a pure period gives 1.
    correction: Vec<f32>,
    first_lag: usize,
    hz_per_bin: f32,
    power: Vec<f32>,
    /// Sums of the voice band's power up to each bin.
    sums: Vec<f64>,
    whitened: Vec<f32>,
}

impl fmt::Debug for FrameAnalyser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameAnalyser")
            .field("frame_samples", &self.window.len())
            .finish_non_exhaustive()
    }
}

impl FrameAnalyser {
    /// An analyser for frames of `length` samples; the parameters were checked.
    pub(crate) fn new(params: &SpeechGateParams, length: usize) -> Self {
        let rate = params.sample_rate_hz as f32;
        // Twice the length, so that the autocorrelation does not wrap around.
        let size = 2 * length.next_power_of_two();
        let window: Vec<f32> = (0..length)
            .map(|at| 0.5 - 0.5 * (2.0 * PI * at as f32 / length as f32).cos())
            .collect();
        let first_lag = (rate / params.max_pitch_hz).floor() as usize;
        let last_lag = (rate / params.min_pitch_hz).floor() as usize;
        let own = |lag: usize| -> f32 {
            window
                .iter()
                .zip(window.iter().skip(lag))
                .map(|(left, right)| left * right)
                .sum()
        };
        let correction = (first_lag..=last_lag).map(|lag| own(0) / own(lag)).collect();
        Self {
            correction,
            first_lag,
            hz_per_bin: rate / size as f32,
            power: vec![0.0; size / 2 + 1],
            sums: vec![0.0; size / 2 + 2],
            whitened: vec![0.0; size / 2 + 1],
            window,
            fft: RealFft::new(size),
        }
    }

    /// Measures one frame.
    #[inline(never)]
    pub(crate) fn measure(&mut self, frame: &[f32]) -> Frame {
        let square: f64 = frame
            .iter()
            .map(|&sample| f64::from(sample) * f64::from(sample))
            .sum();
        let mean_square = square / frame.len() as f64;
        if mean_square <= 0.0 {
            return Frame {
                level_dbfs: dbfs_of_power(0.0),
                periodicity: 0.0,
                tone_share: 0.0,
                shape: [0.0; SHAPE_BANDS],
            };
        }
        // Measures other than the level do not depend on it, so a quiet frame is brought up, away from underflow.
        let gain = (1.0 / mean_square.sqrt()) as f32;
        let weighted = frame.iter().zip(&self.window);
        let (re, im) = self
            .fft
            .transform(weighted.map(|(&sample, &weight)| f64::from(sample * gain * weight)));
        for ((power, re), im) in self.power.iter_mut().zip(re).zip(im) {
            *power = (re * re + im * im) as f32;
        }
        let (low, high) = self.bins(VOICE_BAND_HZ);
        let mut sum = 0.0;
        for (bin, (total, &power)) in self.sums.iter_mut().skip(1).zip(&self.power).enumerate() {
            sum += if (low..high).contains(&bin) {
                f64::from(power)
            } else {
                0.0
            };
            *total = sum;
        }
        let total = sum as f32;
        Frame {
            level_dbfs: dbfs_of_power(mean_square),
            tone_share: self.tone_share(low, high, total),
            shape: self.shape(total),
            periodicity: self.periodicity(low, high, total),
        }
    }

    /// Bins from the first to behind the last in a band.
    fn bins(&self, (low_hz, high_hz): (f32, f32)) -> (usize, usize) {
        let low = (low_hz / self.hz_per_bin).ceil() as usize;
        let high = (high_hz / self.hz_per_bin).floor() as usize + 1;
        (low, high.min(self.power.len()))
    }

    /// Power of the voice band in `bin` and `reach` bins on each side.
    fn power_around(&self, bin: usize, reach: usize) -> f32 {
        let last = self.sums.len() - 1;
        let behind = self.sums.get((bin + reach + 1).min(last)).copied().unwrap_or(0.0);
        let before = self.sums.get(bin.saturating_sub(reach)).copied().unwrap_or(0.0);
        (behind - before) as f32
    }

    fn tone_share(&self, low: usize, high: usize, total: f32) -> f32 {
        if total <= 0.0 {
            return 0.0;
        }
        let reach = ((TONE_HZ / self.hz_per_bin) as usize).max(2);
        let strongest = |skipped: std::ops::Range<usize>| {
            let bins = self.power.iter().enumerate().take(high).skip(low);
            let free = bins.filter(|(bin, _)| !skipped.contains(bin));
            free.max_by(|left, right| left.1.total_cmp(right.1))
                .map(|(bin, _)| bin)
        };
        let Some(first) = strongest(0..0) else { return 0.0 };
        let share = |bin: usize| self.power_around(bin, reach) / total;
        // Twice the reach apart, so that no bin counts in both.
        let second = strongest(first.saturating_sub(2 * reach)..first + 2 * reach + 1);
        share(first) + second.map_or(0.0, share)
    }

    fn shape(&self, total: f32) -> Shape {
        let (low_hz, high_hz) = SHAPE_BAND_HZ;
        let edge = |at: usize| low_hz * (high_hz / low_hz).powf(at as f32 / SHAPE_BANDS as f32);
        let mut shape = [0.0; SHAPE_BANDS];
        for (band, level) in shape.iter_mut().enumerate() {
            let from = (edge(band) / self.hz_per_bin).ceil() as usize;
            let to = (edge(band + 1) / self.hz_per_bin).ceil() as usize;
            let power: f32 = self
                .power
                .get(from..to.min(self.power.len()))
                .unwrap_or_default()
                .iter()
                .sum();
            *level = 10.0 * (power + SHAPE_FLOOR * total + f32::MIN_POSITIVE).log10();
        }
        let mean = shape.iter().sum::<f32>() / SHAPE_BANDS as f32;
        for level in &mut shape {
            *level -= mean;
        }
        shape
    }

    fn periodicity(&mut self, low: usize, high: usize, total: f32) -> f32 {
        if total <= 0.0 {
            return 0.0;
        }
        let reach = (WHITENING_HZ / self.hz_per_bin) as usize;
        let floor = WHITENING_FLOOR * total / (high - low) as f32;
        for bin in low..high {
            let local = self.power_around(bin, reach) / (2 * reach + 1) as f32;
            if let (Some(value), Some(power)) = (self.whitened.get_mut(bin), self.power.get(bin)) {
                *value = power / (local + floor);
            }
        }
        // The autocorrelation is the inverse transform of the power, which is even: its transform, but for a factor.
        let inner = self.whitened.len() - 1;
        let mirrored = self.whitened.iter().skip(1).take(inner - 1).rev();
        let even = self.whitened.iter().chain(mirrored);
        let (correlation, _) = self.fft.transform(even.map(|&value| f64::from(value)));
        let whole = correlation.first().copied().unwrap_or(0.0);
        if whole <= 0.0 {
            return 0.0;
        }
        let lags = correlation.iter().skip(self.first_lag).zip(&self.correction);
        let largest = lags
            .map(|(value, correction)| value * f64::from(*correction))
            .fold(0.0, f64::max);
        (largest / whole) as f32
    }
}
