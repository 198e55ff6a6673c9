//! The speech decision.

use std::fmt;

use crate::audio::level::dbfs_of_power;
use crate::audio::samples::samples_of_ms;
use crate::audio::voicing::{Frame, FrameAnalyser, Shape};
use crate::audio::{SpeechGateParams, check_samples};
use crate::{Error, ErrorKind, Result};

/// Time between the two frames whose spectra are compared, in milliseconds: shorter than a syllable.
const CHANGE_MS: u32 = 48;
/// Steps of the histogram of changes, in a dB, and its number of steps.
const CHANGE_STEPS_PER_DB: f32 = 10.0;
const CHANGE_STEPS: usize = 400;

/// Why a stretch of sound counts as speech, or not; the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GateReason {
    /// It is speech.
    Speech,
    /// Shorter than one frame.
    TooShort,
    /// No frame reaches the least level.
    Silent,
    /// What is periodic in it is one or two tones.
    Tonal,
    /// Too little of it is voiced, or never for 48 ms on end: noise, clicks, or nothing but unvoiced sounds.
    NotVoiced,
    /// It is voiced, but its spectrum does not change as fast as speech does: hum, or held notes.
    SteadySpectrum,
    /// It is voiced, but its level does not rise and fall.
    SteadyLevel,
}

impl GateReason {
    /// The reason in `snake_case`, for events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::TooShort => "too_short",
            Self::Silent => "silent",
            Self::Tonal => "tonal",
            Self::NotVoiced => "not_voiced",
            Self::SteadySpectrum => "steady_spectrum",
            Self::SteadyLevel => "steady_level",
        }
    }
}

impl fmt::Display for GateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Answer of the gate for a stretch of sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeechDecision {
    /// Whether it is speech.
    pub speech: bool,
    /// Why.
    pub reason: GateReason,
    /// RMS level of the whole stretch, in dBFS; [`SILENCE_DBFS`](crate::audio::SILENCE_DBFS) for digital silence.
    pub level_dbfs: f32,
    /// Time of voiced, loud frames, in milliseconds.
    pub voiced_ms: u32,
    /// Standard deviation of the frame levels, in dB, levels under the least one counting as that.
    pub level_spread_db: f32,
    /// Median change of the spectrum's shape between voiced frames 48 ms apart, in dB.
    pub spectral_change_db: f32,
}

/// Tells speech from silence, noise, hum and tones.
///
/// Each frame has four measures: its level; its periodicity, the largest autocorrelation of the band from 80 to 2,000 Hz
/// between the pitch bounds after the spectrum was divided by its average over 600 Hz (so that coloured noise has none);
/// the share of that band's power that lies in its two strongest tones; and the shape of its spectrum, the levels of 14
/// bands from 150 to 4,000 Hz relative to their mean. A frame is voiced when it is loud and periodic and not one or two
/// tones. A stretch is speech when enough of it is voiced, when the median change of shape between voiced frames 48 ms
/// apart (root mean square over the bands) is as large as articulation makes it, and when the level rises and falls.
///
/// The decision does not depend on how the sound was cut into chunks. Memory is bounded, whatever the length.
///
/// # Example
/// ```
/// use limbic_signal::audio::{GateReason, SpeechGate, SpeechGateParams};
/// let mut gate = SpeechGate::new(&SpeechGateParams {
///     sample_rate_hz: 16_000,
///     frame_ms: 64,
///     hop_ms: 16,
///     min_level_dbfs: -65.0,
///     min_pitch_hz: 60.0,
///     max_pitch_hz: 600.0,
///     min_periodicity: 0.4,
///     max_tone_share: 0.95,
///     min_speech_ms: 160,
///     min_spectral_change_db: 2.5,
///     min_level_spread_db: 2.5,
/// })?;
/// let decision = gate.decide(&[0.0; 48_000])?;
/// assert_eq!((decision.speech, decision.reason), (false, GateReason::Silent));
/// # Ok::<(), limbic_signal::Error>(())
/// ```
#[derive(Debug)]
pub struct SpeechGate {
    params: SpeechGateParams,
    analyser: FrameAnalyser,
    frame_samples: usize,
    hop_samples: usize,
    /// Frames between the two that are compared.
    change_frames: usize,
    /// Samples from the next frame's start on.
    buffer: Vec<f32>,
    /// Shapes of the last frames, oldest first; `None` where a frame was not voiced.
    recent: Vec<Option<Shape>>,
    counts: Counts,
}

/// What is known of the stretch so far.
#[derive(Debug)]
struct Counts {
    samples: u64,
    square_sum: f64,
    frames: u64,
    loud: u64,
    tonal: u64,
    voiced: u64,
    level_sum: f64,
    level_square_sum: f64,
    changes: [u32; CHANGE_STEPS],
    change_pairs: u64,
}

impl Counts {
    const EMPTY: Self = Self {
        samples: 0,
        square_sum: 0.0,
        frames: 0,
        loud: 0,
        tonal: 0,
        voiced: 0,
        level_sum: 0.0,
        level_square_sum: 0.0,
        changes: [0; CHANGE_STEPS],
        change_pairs: 0,
    };

    fn level_spread_db(&self) -> f32 {
        if self.frames == 0 {
            return 0.0;
        }
        let mean = self.level_sum / self.frames as f64;
        (self.level_square_sum / self.frames as f64 - mean * mean)
            .max(0.0)
            .sqrt() as f32
    }

    fn count_change(&mut self, change_db: f32) {
        let step = ((change_db * CHANGE_STEPS_PER_DB) as usize).min(CHANGE_STEPS - 1);
        if let Some(count) = self.changes.get_mut(step) {
            *count = count.saturating_add(1);
            self.change_pairs += 1;
        }
    }

    /// Median of the changes to the width of a step, in dB; 0 without any.
    fn median_change_db(&self) -> f32 {
        let mut seen = 0;
        for (step, &count) in self.changes.iter().enumerate() {
            seen += u64::from(count);
            if count > 0 && 2 * seen >= self.change_pairs {
                return (step as f32 + 0.5) / CHANGE_STEPS_PER_DB;
            }
        }
        0.0
    }
}

impl SpeechGate {
    /// A gate with these parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when a parameter is outside its range: rate 8,000 to 192,000 Hz; frame 20 to 200 ms and
    /// at least two periods of the lowest pitch; hop 1 ms to a frame; level -120 to 0 dBFS; pitches 30 to 1,000 Hz;
    /// periodicity and tone share 0 to 1; the least values of a decision 0 or more and finite.
    pub fn new(params: &SpeechGateParams) -> Result<Self> {
        check_params(params)?;
        let frame_samples = samples_of_ms(params.frame_ms, params.sample_rate_hz) as usize;
        let hop_samples = samples_of_ms(params.hop_ms, params.sample_rate_hz) as usize;
        let change_frames = ((CHANGE_MS + params.hop_ms / 2) / params.hop_ms).max(1) as usize;
        Ok(Self {
            analyser: FrameAnalyser::new(params, frame_samples),
            frame_samples,
            hop_samples,
            change_frames,
            buffer: Vec::new(),
            recent: Vec::new(),
            counts: Counts::EMPTY,
            params: params.clone(),
        })
    }

    /// Decides on a whole stretch. A stream under way is forgotten.
    ///
    /// # Errors
    /// As [`SpeechGate::push`].
    pub fn decide(&mut self, samples: &[f32]) -> Result<SpeechDecision> {
        self.reset();
        self.push(samples)?;
        Ok(self.finish())
    }

    /// Takes samples.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinite`] and [`ErrorKind::OutOfRange`] as [`check_samples`], before anything is changed.
    pub fn push(&mut self, samples: &[f32]) -> Result<()> {
        check_samples(samples, "speech_gate@1 samples", self.counts.samples)?;
        self.counts.samples += samples.len() as u64;
        for &sample in samples {
            self.counts.square_sum += f64::from(sample) * f64::from(sample);
        }
        for block in samples.chunks(self.frame_samples) {
            self.buffer.extend_from_slice(block);
            let mut start = 0;
            while let Some(samples) = self.buffer.get(start..start + self.frame_samples) {
                let frame = self.analyser.measure(samples);
                self.count(&frame);
                start += self.hop_samples;
            }
            self.buffer.drain(..start);
        }
        Ok(())
    }

    /// The decision on what was pushed so far; the stream goes on.
    #[inline(never)]
    pub fn decision(&self) -> SpeechDecision {
        let counts = &self.counts;
        let hop_ms = u64::from(self.params.hop_ms);
        let enough = |frames: u64| frames > 0 && frames * hop_ms >= u64::from(self.params.min_speech_ms);
        let level_spread_db = counts.level_spread_db();
        let spectral_change_db = counts.median_change_db();
        let reason = if counts.frames == 0 {
            GateReason::TooShort
        } else if counts.loud == 0 {
            GateReason::Silent
        } else if !enough(counts.voiced) && enough(counts.tonal) {
            GateReason::Tonal
        } else if !enough(counts.voiced) || counts.change_pairs == 0 {
            GateReason::NotVoiced
        } else if spectral_change_db < self.params.min_spectral_change_db {
            GateReason::SteadySpectrum
        } else if level_spread_db < self.params.min_level_spread_db {
            GateReason::SteadyLevel
        } else {
            GateReason::Speech
        };
        SpeechDecision {
            speech: reason == GateReason::Speech,
            reason,
            level_dbfs: dbfs_of_power(counts.square_sum / counts.samples.max(1) as f64),
            voiced_ms: u32::try_from(counts.voiced * hop_ms).unwrap_or(u32::MAX),
            level_spread_db,
            spectral_change_db,
        }
    }

    /// Ends the stretch: its decision, after which the gate is ready for a new one.
    pub fn finish(&mut self) -> SpeechDecision {
        let decision = self.decision();
        self.reset();
        decision
    }

    /// Forgets the stretch.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.recent.clear();
        self.counts = Counts::EMPTY;
    }

    fn count(&mut self, frame: &Frame) {
        let loud = frame.level_dbfs >= self.params.min_level_dbfs;
        let periodic = loud && frame.periodicity >= self.params.min_periodicity;
        let tonal = periodic && frame.tone_share > self.params.max_tone_share;
        let voiced = periodic && !tonal;
        let level = f64::from(frame.level_dbfs.max(self.params.min_level_dbfs));
        let counts = &mut self.counts;
        counts.frames += 1;
        counts.loud += u64::from(loud);
        counts.tonal += u64::from(tonal);
        counts.voiced += u64::from(voiced);
        counts.level_sum += level;
        counts.level_square_sum += level * level;
        if self.recent.len() == self.change_frames {
            if let (true, Some(Some(earlier))) = (voiced, self.recent.first()) {
                counts.count_change(distance(earlier, &frame.shape));
            }
            self.recent.remove(0);
        }
        self.recent.push(voiced.then_some(frame.shape));
    }
}

/// Root mean square difference of two shapes, in dB.
fn distance(left: &Shape, right: &Shape) -> f32 {
    let sum: f32 = left.iter().zip(right).map(|(a, b)| (a - b) * (a - b)).sum();
    (sum / left.len() as f32).sqrt()
}

fn check_params(params: &SpeechGateParams) -> Result<()> {
    let range = |subject: &'static str, found: f64, least: f64, most: f64| {
        if (least..=most).contains(&found) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Parameter,
            subject,
            format!("{least} to {most}"),
            found,
        ))
    };
    let frame_ms = f64::from(params.frame_ms);
    range(
        "speech_gate@1 sample_rate_hz",
        f64::from(params.sample_rate_hz),
        8_000.0,
        192_000.0,
    )?;
    range("speech_gate@1 frame_ms", frame_ms, 20.0, 200.0)?;
    range("speech_gate@1 hop_ms", f64::from(params.hop_ms), 1.0, frame_ms)?;
    range(
        "speech_gate@1 min_level_dbfs",
        f64::from(params.min_level_dbfs),
        -120.0,
        0.0,
    )?;
    // A frame shorter than two periods has no autocorrelation to speak of.
    range(
        "speech_gate@1 min_pitch_hz",
        f64::from(params.min_pitch_hz),
        (2000.0 / frame_ms).max(30.0),
        1_000.0,
    )?;
    range(
        "speech_gate@1 max_pitch_hz",
        f64::from(params.max_pitch_hz),
        f64::from(params.min_pitch_hz),
        1_000.0,
    )?;
    range(
        "speech_gate@1 min_periodicity",
        f64::from(params.min_periodicity),
        0.0,
        1.0,
    )?;
    range(
        "speech_gate@1 max_tone_share",
        f64::from(params.max_tone_share),
        0.0,
        1.0,
    )?;
    range(
        "speech_gate@1 min_spectral_change_db",
        f64::from(params.min_spectral_change_db),
        0.0,
        100.0,
    )?;
    range(
        "speech_gate@1 min_level_spread_db",
        f64::from(params.min_level_spread_db),
        0.0,
        100.0,
    )
}
