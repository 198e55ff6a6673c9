//! Sound to windows of features.

use limbic_bundle::{Input, Step};
use limbic_signal::audio::{
    self, LogMel, LogMelParams, MixParams, ResampleParams, Resampler, SpeechDecision, SpeechGate,
    SpeechGateParams, Tail, WindowParams, Windower,
};

use super::{FloatTensor, misplaced};
use crate::error::{Error, ErrorKind, Result};

/// The steps from interleaved samples of any rate to the features of fixed windows.
#[derive(Debug, Clone)]
pub struct AudioPipeline {
    tensor: String,
    mix: MixParams,
    resample: ResampleParams,
    gate: Option<SpeechGateParams>,
    window: WindowParams,
    /// Steps on one window, in order.
    window_steps: Vec<Step>,
}

/// One window of a stream of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioWindow {
    /// Start in the stream, in milliseconds.
    pub start_ms: u64,
    /// End of the real samples in the stream, in milliseconds.
    pub end_ms: u64,
    /// What the model gets.
    pub features: FloatTensor,
    /// What the speech gate says; `None` without a gate.
    pub speech: Option<SpeechDecision>,
}

/// What is known when a stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioEnd {
    /// Length of the stream, in milliseconds.
    pub length_ms: u64,
    /// Samples at the model's rate that no window holds.
    pub dropped_samples: u64,
    /// Whether the stream is shorter than the least length of a window.
    pub too_short: bool,
}

impl AudioPipeline {
    pub(super) fn new(input: &Input) -> Result<Self> {
        let mut steps = input.steps.iter();
        let missing = |step: &str| {
            Error::new(
                ErrorKind::Unsupported,
                format!("input {}: step {step} is missing or out of order", input.name),
            )
        };
        let Some(Step::Mono(mix)) = steps.next() else {
            return Err(missing("mono@1"));
        };
        let Some(Step::Resample(resample)) = steps.next() else {
            return Err(missing("resample@1"));
        };
        let mut next = steps.next();
        let gate = match next {
            Some(Step::SpeechGate(gate)) => {
                next = steps.next();
                Some(gate.clone())
            }
            _ => None,
        };
        let Some(Step::Window(window)) = next else {
            return Err(missing("window@1"));
        };
        let window_steps: Vec<Step> = steps.cloned().collect();
        for step in &window_steps {
            if !matches!(
                step,
                Step::RmsNormalise(_)
                    | Step::LogMel(_)
                    | Step::Scale(_)
                    | Step::Standardise(_)
                    | Step::StandardiseBands(_)
            ) {
                return Err(misplaced(input, step));
            }
        }
        Ok(Self {
            tensor: input.tensors.first().cloned().unwrap_or_default(),
            mix: mix.clone(),
            resample: resample.clone(),
            gate,
            window: window.clone(),
            window_steps,
        })
    }

    /// Name of the tensor that the model gets.
    pub fn tensor(&self) -> &str {
        &self.tensor
    }

    /// Rate the model listens at, in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.resample.rate_hz
    }

    /// Least length of sound that gives a window, in milliseconds.
    pub fn min_ms(&self) -> u32 {
        self.window.min_ms
    }

    /// Begins a stream of `channels` interleaved channels at `rate_hz`.
    ///
    /// # Errors
    /// [`ErrorKind::Preprocess`] for a rate or a parameter that a step refuses.
    pub fn stream(&self, rate_hz: u32, channels: usize) -> Result<AudioStream> {
        let log_mel = self.window_steps.iter().find_map(|step| match step {
            Step::LogMel(params) => Some(params),
            _ => None,
        });
        Ok(AudioStream {
            channels,
            mix: self.mix.clone(),
            mono: Vec::new(),
            resampler: Resampler::new(&self.resample, rate_hz)?,
            resampled: Vec::new(),
            windower: Windower::new(&self.window, self.resample.rate_hz)?,
            received: 0,
            analysis: Analysis {
                rate_hz: self.resample.rate_hz,
                gate: self.gate.as_ref().map(SpeechGate::new).transpose()?,
                log_mel: log_mel
                    .map(|params: &LogMelParams| LogMel::new(params))
                    .transpose()?,
                steps: self.window_steps.clone(),
            },
        })
    }
}

/// A stream of sound on its way to windows; memory is bounded by one window and one chunk.
#[derive(Debug)]
pub struct AudioStream {
    channels: usize,
    mix: MixParams,
    mono: Vec<f32>,
    resampler: Resampler,
    resampled: Vec<f32>,
    windower: Windower,
    /// Samples at the model's rate so far.
    received: u64,
    analysis: Analysis,
}

/// What is done with one window.
#[derive(Debug)]
struct Analysis {
    rate_hz: u32,
    gate: Option<SpeechGate>,
    log_mel: Option<LogMel>,
    steps: Vec<Step>,
}

impl AudioStream {
    /// Rate of the samples that go in, in Hz.
    pub fn input_hz(&self) -> u32 {
        self.resampler.input_hz()
    }

    /// Whether the samples are resampled.
    pub fn resamples(&self) -> bool {
        !self.resampler.is_identity()
    }

    /// Takes interleaved samples in `-1..=1` and gives every window they complete to `sink`.
    ///
    /// # Errors
    /// [`ErrorKind::Preprocess`] for samples that are no sound (NaN, infinite, absurdly large) or do not fill whole
    /// frames of all channels; and what `sink` returns.
    pub fn push(
        &mut self,
        interleaved: &[f32],
        mut sink: impl FnMut(AudioWindow) -> Result<()>,
    ) -> Result<()> {
        self.mono.clear();
        audio::mix(interleaved, self.channels, &self.mix, &mut self.mono)?;
        self.resampled.clear();
        self.resampler.push(&self.mono, &mut self.resampled)?;
        self.received += self.resampled.len() as u64;
        let analysis = &mut self.analysis;
        self.windower
            .push(&self.resampled, |window| sink(analysis.run(window)?))
    }

    /// Ends the stream: gives the padded last window to `sink` if there is one, and says what became of the rest.
    ///
    /// # Errors
    /// As [`AudioStream::push`].
    pub fn finish(mut self, mut sink: impl FnMut(AudioWindow) -> Result<()>) -> Result<AudioEnd> {
        self.resampled.clear();
        self.resampler.finish(&mut self.resampled);
        self.received += self.resampled.len() as u64;
        let analysis = &mut self.analysis;
        self.windower
            .push(&self.resampled, |window| sink(analysis.run(window)?))?;
        let tail = self.windower.finish(|window| sink(analysis.run(window)?))?;
        let (dropped_samples, too_short) = match tail {
            Tail::Complete | Tail::Padded => (0, false),
            Tail::Dropped(samples) => (samples, false),
            Tail::TooShort(_) => (0, true),
        };
        Ok(AudioEnd {
            length_ms: millis(self.received, analysis.rate_hz),
            dropped_samples,
            too_short,
        })
    }
}

impl Analysis {
    fn run(&mut self, window: audio::Window<'_>) -> Result<AudioWindow> {
        let real = window
            .samples
            .get(..window.samples.len() - window.padding)
            .unwrap_or_default();
        let speech = self.gate.as_mut().map(|gate| gate.decide(real)).transpose()?;
        let mut values = window.samples.to_vec();
        let mut dims = vec![values.len()];
        for step in &self.steps {
            let bands = dims.get(1).copied().unwrap_or(1);
            match step {
                Step::RmsNormalise(params) => {
                    audio::rms_normalise(&mut values, params)?;
                }
                Step::LogMel(_) => {
                    let Some(log_mel) = &mut self.log_mel else {
                        continue;
                    };
                    let mut features = Vec::new();
                    let frames = log_mel.compute(&values, &mut features)?;
                    dims = vec![frames, log_mel.bands()];
                    values = features;
                }
                Step::Scale(params) => audio::scale(&mut values, bands, params)?,
                Step::Standardise(params) => audio::standardise(&mut values, params)?,
                Step::StandardiseBands(params) => audio::standardise_bands(&mut values, bands, params)?,
                // Refused when the pipeline was built.
                _ => {}
            }
        }
        Ok(AudioWindow {
            start_ms: millis(window.start, self.rate_hz),
            end_ms: millis(window.end(), self.rate_hz),
            features: FloatTensor { dims, values },
            speech,
        })
    }
}

/// Samples in milliseconds, rounded down.
fn millis(samples: u64, rate_hz: u32) -> u64 {
    samples.saturating_mul(1000) / u64::from(rate_hz.max(1))
}
