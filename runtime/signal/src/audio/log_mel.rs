//! Log-mel spectrograms.

use std::f64::consts::PI;
use std::fmt;

use crate::audio::fourier::RealFft;
use crate::audio::mel::{MelFilter, mel_filters};
use crate::audio::{LogCompression, LogMelParams, PadMode, WindowFunction, check_samples};
use crate::{Error, ErrorKind, Result};

/// Samples taken into the buffer at a time, so that its size does not follow the size of a chunk.
const BLOCK: usize = 4096;

/// Log-mel spectrogram of a stream or a whole window of sound.
///
/// Frame `t` covers `fft_size` samples from `t * hop_samples` on (with `centre`, of the input padded by `fft_size / 2`
/// on each side), weighted by the analysis window in their middle. Its value in band `m` is
/// `log(max(sum_k w[m, k] |X[t, k]|^power, floor))` with the filters `w` of HTK or Slaney. These are the definitions of
/// `torchaudio.transforms.MelSpectrogram` and `librosa.feature.melspectrogram`; sums are taken in double precision.
///
/// **Shape** of the output: `[frame, band]`, row-major. A stream and a whole window give equal values, however the
/// stream was cut into chunks.
///
/// # Example
/// ```
/// use limbic_signal::audio::{LogCompression, LogMel, LogMelParams, MelNorm, MelScale, PadMode, WindowFunction};
/// let mut log_mel = LogMel::new(&LogMelParams {
///     sample_rate_hz: 16_000,
///     window_samples: 400,
///     window: WindowFunction::HannPeriodic,
///     hop_samples: 160,
///     fft_size: 512,
///     centre: false,
///     pad: PadMode::None,
///     power: 2.0,
///     mels: 64,
///     mel_scale: MelScale::Htk,
///     mel_norm: MelNorm::None,
///     low_hz: 60.0,
///     high_hz: 7600.0,
///     log: LogCompression::Natural,
///     floor: 1e-6,
/// })?;
/// let mut features = Vec::new();
/// let frames = log_mel.compute(&[0.0; 48_000], &mut features)?;
/// assert_eq!((frames, features.len()), (297, 297 * 64));
/// # Ok::<(), limbic_signal::Error>(())
/// ```
pub struct LogMel {
    params: LogMelParams,
    fft: RealFft,
    /// Analysis window, padded with zeros to the FFT's size.
    window: Vec<f64>,
    filters: Vec<MelFilter>,
    energies: Vec<f64>,
    stream: Stream,
}

/// What is kept of a stream between two pushes.
#[derive(Debug, Default)]
struct Stream {
    /// Padded samples from the next frame's start on.
    buffer: Vec<f32>,
    /// Padded samples to pass over before the buffer goes on (with a hop longer than a frame).
    skip: usize,
    /// The last samples, as many as mirroring the end needs.
    tail: Vec<f32>,
    /// The first samples, until there are as many as mirroring the start needs.
    head: Vec<f32>,
    started: bool,
    received: u64,
    frames: usize,
}

impl fmt::Debug for LogMel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMel")
            .field("params", &self.params)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl LogMel {
    /// A spectrogram with these parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when a parameter is outside its range: rate 1,000 to 768,000 Hz; `fft_size` even, 2 to
    /// 65,536; `window_samples` 1 to `fft_size`; `hop_samples` 1 to 1,048,576; `mels` 1 to 1,024; `0 <= low_hz < high_hz
    /// <= rate / 2`; power above 0 up to 4; a normal positive floor; padding given exactly when centred.
    pub fn new(params: &LogMelParams) -> Result<Self> {
        check_params(params)?;
        let size = params.fft_size as usize;
        let length = params.window_samples as usize;
        let WindowFunction::HannPeriodic = params.window;
        let mut window = vec![0.0; size];
        let left = (size - length) / 2;
        for (at, weight) in window.iter_mut().skip(left).take(length).enumerate() {
            *weight = 0.5 - 0.5 * (2.0 * PI * at as f64 / length as f64).cos();
        }
        let mut log_mel = Self {
            window,
            filters: mel_filters(params),
            energies: vec![0.0; size / 2 + 1],
            stream: Stream::default(),
            params: params.clone(),
            fft: RealFft::new(size),
        };
        log_mel.reset();
        Ok(log_mel)
    }

    /// Number of mel bands: the length of a row of the output.
    pub fn bands(&self) -> usize {
        self.filters.len()
    }

    /// Bands whose filter lies between two bins of the spectrum, so that they always hold the logarithm of the floor.
    pub fn empty_bands(&self) -> Vec<usize> {
        let empty = |(band, filter): (usize, &MelFilter)| filter.weights.is_empty().then_some(band);
        self.filters.iter().enumerate().filter_map(empty).collect()
    }

    /// Number of frames of a whole input of `samples`.
    pub fn frames(&self, samples: usize) -> usize {
        let size = self.params.fft_size as usize;
        let padded = if self.params.centre && samples > 0 {
            samples + size / 2 * 2
        } else {
            samples
        };
        if padded < size {
            0
        } else {
            1 + (padded - size) / self.params.hop_samples as usize
        }
    }

    /// Appends the spectrogram of a whole input to `output`, and gives its number of frames.
    ///
    /// A stream under way is forgotten. Input shorter than a frame gives no frame.
    ///
    /// # Errors
    /// As [`LogMel::push`] and [`LogMel::finish`].
    #[inline(never)]
    pub fn compute(&mut self, samples: &[f32], output: &mut Vec<f32>) -> Result<usize> {
        self.reset();
        self.push(samples, output)?;
        self.finish(output)
    }

    /// Takes samples and appends the frames they complete to `output`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinite`] and [`ErrorKind::OutOfRange`] as [`check_samples`], before anything is changed.
    #[inline(never)]
    pub fn push(&mut self, samples: &[f32], output: &mut Vec<f32>) -> Result<()> {
        check_samples(samples, "log_mel@1 samples", self.stream.received)?;
        let half = self.params.fft_size as usize / 2;
        for block in samples.chunks(BLOCK) {
            self.stream.received += block.len() as u64;
            if self.mirrors() {
                keep_last(&mut self.stream.tail, block, half + 1);
            }
            if self.stream.started {
                self.feed(block, output)?;
                continue;
            }
            self.stream.head.extend_from_slice(block);
            if self.stream.head.len() > half {
                self.stream.started = true;
                let head = std::mem::take(&mut self.stream.head);
                let mirrored: Vec<f32> = head.iter().take(half + 1).skip(1).rev().copied().collect();
                self.feed(&mirrored, output)?;
                self.feed(&head, output)?;
            }
        }
        Ok(())
    }

    /// Ends the stream: appends the frames still due, gives the number of frames of the whole stream, and is ready for
    /// a new one.
    ///
    /// # Errors
    /// [`ErrorKind::TooShort`] when the ends are to be mirrored and the stream has samples, but at most `fft_size / 2`.
    #[inline(never)]
    pub fn finish(&mut self, output: &mut Vec<f32>) -> Result<usize> {
        let half = self.params.fft_size as usize / 2;
        let received = self.stream.received;
        if received > 0 && self.mirrors() {
            if !self.stream.started {
                self.reset();
                let expected = format!("more than {half} to mirror the ends");
                return Err(Error::new(
                    ErrorKind::TooShort,
                    "log_mel@1 samples",
                    expected,
                    received,
                ));
            }
            let mirrored: Vec<f32> = self.stream.tail.iter().rev().skip(1).copied().collect();
            self.feed(&mirrored, output)?;
        } else if received > 0 && self.params.centre {
            self.feed(&vec![0.0; half], output)?;
        }
        let frames = self.stream.frames;
        self.reset();
        Ok(frames)
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        let stream = &mut self.stream;
        stream.buffer.clear();
        stream.head.clear();
        stream.tail.clear();
        stream.skip = 0;
        stream.received = 0;
        stream.frames = 0;
        stream.started = !(self.params.centre && self.params.pad == PadMode::Reflect);
        if self.params.centre && self.params.pad == PadMode::Zero {
            stream.buffer.resize(self.params.fft_size as usize / 2, 0.0);
        }
    }

    fn mirrors(&self) -> bool {
        self.params.centre && self.params.pad == PadMode::Reflect
    }

    /// Takes samples of the padded stream and appends the frames they complete.
    fn feed(&mut self, samples: &[f32], output: &mut Vec<f32>) -> Result<()> {
        let skipped = self.stream.skip.min(samples.len());
        self.stream.skip -= skipped;
        self.stream
            .buffer
            .extend_from_slice(samples.get(skipped..).unwrap_or_default());
        let size = self.params.fft_size as usize;
        let hop = self.params.hop_samples as usize;
        let mut start = 0;
        while start + size <= self.stream.buffer.len() {
            self.transform(start, output);
            self.stream.frames += 1;
            start += hop;
        }
        let done = start.min(self.stream.buffer.len());
        self.stream.skip += start - done;
        self.stream.buffer.drain(..done);
        Ok(())
    }

    /// Appends the row of the frame that starts at a place of the buffer.
    fn transform(&mut self, start: usize, output: &mut Vec<f32>) {
        let samples = self.stream.buffer.get(start..).unwrap_or_default();
        let weighted = samples.iter().zip(&self.window);
        let (re, im) = self
            .fft
            .transform(weighted.map(|(&sample, weight)| f64::from(sample) * weight));
        let power = f64::from(self.params.power);
        for ((energy, re), im) in self.energies.iter_mut().zip(re).zip(im) {
            let square = re * re + im * im;
            *energy = match power {
                2.0 => square,
                1.0 => square.sqrt(),
                _ => square.powf(power / 2.0),
            };
        }
        let floor = f64::from(self.params.floor);
        for filter in &self.filters {
            let energies = self.energies.get(filter.first..).unwrap_or_default();
            let sum: f64 = energies
                .iter()
                .zip(&filter.weights)
                .map(|(energy, weight)| energy * weight)
                .sum();
            let raised = sum.max(floor);
            output.push(match self.params.log {
                LogCompression::Natural => raised.ln(),
                LogCompression::Log10Db => 10.0 * raised.log10(),
            } as f32);
        }
    }
}

/// Keeps in `kept` the last `most` samples of it and `block` together.
fn keep_last(kept: &mut Vec<f32>, block: &[f32], most: usize) {
    kept.extend_from_slice(block.get(block.len().saturating_sub(most)..).unwrap_or_default());
    let surplus = kept.len().saturating_sub(most);
    kept.drain(..surplus);
}

fn check_params(params: &LogMelParams) -> Result<()> {
    let whole = |subject, found: u32, least: u32, most: u32| {
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
    whole("log_mel@1 sample_rate_hz", params.sample_rate_hz, 1_000, 768_000)?;
    whole("log_mel@1 fft_size", params.fft_size, 2, 65_536)?;
    whole(
        "log_mel@1 window_samples",
        params.window_samples,
        1,
        params.fft_size,
    )?;
    whole("log_mel@1 hop_samples", params.hop_samples, 1, 1 << 20)?;
    whole("log_mel@1 mels", params.mels, 1, 1_024)?;
    let bad = |subject, expected: &'static str, found: f32| {
        Err(Error::new(ErrorKind::Parameter, subject, expected, found))
    };
    if !params.fft_size.is_multiple_of(2) {
        return Err(Error::new(
            ErrorKind::Parameter,
            "log_mel@1 fft_size",
            "an even number",
            params.fft_size,
        ));
    }
    let nyquist = params.sample_rate_hz as f32 / 2.0;
    if params.high_hz.is_nan() || params.high_hz > nyquist {
        return bad(
            "log_mel@1 high_hz",
            "at most half the sample rate",
            params.high_hz,
        );
    }
    if !(params.low_hz >= 0.0 && params.low_hz < params.high_hz) {
        return bad("log_mel@1 low_hz", "0 or more, below high_hz", params.low_hz);
    }
    if !(params.power > 0.0 && params.power <= 4.0) {
        return bad("log_mel@1 power", "above 0, at most 4", params.power);
    }
    if !(params.floor.is_normal() && params.floor > 0.0) {
        return bad("log_mel@1 floor", "a positive number", params.floor);
    }
    if params.centre == (params.pad == PadMode::None) {
        let expected = "\"reflect\" or \"zero\" with centre = true, \"none\" with centre = false";
        return Err(Error::new(
            ErrorKind::Parameter,
            "log_mel@1 pad",
            expected,
            format!("{:?}", params.pad),
        ));
    }
    Ok(())
}
