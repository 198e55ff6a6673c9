//! Windowed-sinc resampling.

use std::f64::consts::PI;

use crate::audio::{ResampleParams, ResampleWindow, check_samples};
use crate::{Error, ErrorKind, Result};

/// Rates taken, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Most taps kept in a table; a ratio that needs more has its taps computed for each sample.
const MAX_TABLE_TAPS: usize = 1 << 18;

/// Samples taken into the history at a time, so that its size does not follow the size of a chunk.
const BLOCK: usize = 4096;

/// Push-based resampler with a Hann-windowed sinc.
///
/// Output sample `j` is `sum_i x[i] h(i / input - j / output)` with `h(t) = s sinc(b t) cos^2(pi b t / (2 z))` for
/// `|b t| < z`, where `b` is `rolloff` times the lower rate, `z` is `zero_crossings` and `s` is `b` over the input rate:
/// the definition of `torchaudio.functional.resample` with `sinc_interp_hann`. Input before the start and behind the end
/// counts as zero. `n` samples in give `ceil(n * output / input)` out. The output does not depend on how the input was
/// cut into chunks. With equal rates the samples pass unchanged.
///
/// # Example
/// ```
/// use limbic_signal::audio::{ResampleParams, ResampleWindow, Resampler};
/// let params = ResampleParams { rate_hz: 16_000, zero_crossings: 6, rolloff: 0.99, window: ResampleWindow::Hann };
/// let mut resampler = Resampler::new(&params, 48_000)?;
/// let mut output = Vec::new();
/// resampler.push(&[0.0; 4800], &mut output)?;
/// resampler.finish(&mut output);
/// assert_eq!(output.len(), 1600);
/// # Ok::<(), limbic_signal::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Resampler {
    input_hz: u32,
    output_hz: u32,
    kernel: Kernel,
    /// Taps of every phase one behind the other; empty when they are computed for each sample.
    table: Vec<f32>,
    /// Taps of one phase.
    taps: Vec<f32>,
    /// Samples from stream index `first` on; starts with `reach` zeros that stand before the stream.
    history: Vec<f32>,
    /// Offset in `history` of the next output's first tap.
    next: usize,
    /// Phase of the next output: its position is a whole input index and `phase / out_step`.
    phase: u64,
    received: u64,
    produced: u64,
}

/// The filter for one ratio, both rates divided by their greatest common divisor.
#[derive(Debug, Clone)]
struct Kernel {
    in_step: u64,
    out_step: u64,
    /// Whole input samples between an output's position, rounded down, and its first tap.
    reach: usize,
    zero_crossings: f64,
    base: f64,
}

impl Kernel {
    fn taps(&self) -> usize {
        2 * self.reach + 2
    }

    /// Computes the taps of a phase.
    fn fill(&self, phase: u64, taps: &mut [f32]) {
        let fraction = phase as f64 / self.out_step as f64;
        let per_sample = self.base / self.in_step as f64;
        for (at, tap) in taps.iter_mut().enumerate() {
            let t = (at as f64 - self.reach as f64 - fraction) * per_sample;
            *tap = if t.abs() >= self.zero_crossings {
                0.0
            } else {
                let sinc = if t == 0.0 { 1.0 } else { (PI * t).sin() / (PI * t) };
                let window = (PI * t / (2.0 * self.zero_crossings)).cos().powi(2);
                (sinc * window * per_sample) as f32
            };
        }
    }
}

impl Resampler {
    /// A resampler from `input_hz` to the rate of the parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when a rate is outside 1,000 to 768,000 Hz, `zero_crossings` outside 1 to 128 or
    /// `rolloff` outside 0.1 to 1.
    pub fn new(params: &ResampleParams, input_hz: u32) -> Result<Self> {
        for (subject, rate) in [
            ("resample@1 rate_hz", params.rate_hz),
            ("resample@1 input rate", input_hz),
        ] {
            if !RATES.contains(&rate) {
                return Err(Error::new(
                    ErrorKind::Parameter,
                    subject,
                    "1000 to 768000 Hz",
                    rate,
                ));
            }
        }
        if !(1..=128).contains(&params.zero_crossings) {
            let subject = "resample@1 zero_crossings";
            return Err(Error::new(
                ErrorKind::Parameter,
                subject,
                "1 to 128",
                params.zero_crossings,
            ));
        }
        if !(0.1..=1.0).contains(&params.rolloff) {
            return Err(Error::new(
                ErrorKind::Parameter,
                "resample@1 rolloff",
                "0.1 to 1",
                params.rolloff,
            ));
        }
        let ResampleWindow::Hann = params.window;
        let divisor = greatest_common_divisor(input_hz, params.rate_hz);
        let in_step = u64::from(input_hz / divisor);
        let out_step = u64::from(params.rate_hz / divisor);
        let base = in_step.min(out_step) as f64 * params.rolloff;
        let zero_crossings = f64::from(params.zero_crossings);
        let reach = (zero_crossings * in_step as f64 / base).ceil() as usize;
        let kernel = Kernel {
            in_step,
            out_step,
            reach,
            zero_crossings,
            base,
        };
        let mut resampler = Self {
            input_hz,
            output_hz: params.rate_hz,
            table: Vec::new(),
            taps: Vec::new(),
            history: Vec::new(),
            next: 0,
            phase: 0,
            received: 0,
            produced: 0,
            kernel,
        };
        if !resampler.is_identity() {
            resampler.build_table();
        }
        resampler.reset();
        Ok(resampler)
    }

    fn build_table(&mut self) {
        let taps = self.kernel.taps();
        let phases = self.kernel.out_step as usize;
        if taps.saturating_mul(phases) > MAX_TABLE_TAPS {
            self.taps = vec![0.0; taps];
            return;
        }
        self.table = vec![0.0; taps * phases];
        for (phase, row) in self.table.chunks_exact_mut(taps).enumerate() {
            self.kernel.fill(phase as u64, row);
        }
    }

    /// Rate of the samples that go in, in Hz.
    pub fn input_hz(&self) -> u32 {
        self.input_hz
    }

    /// Rate of the samples that come out, in Hz.
    pub fn output_hz(&self) -> u32 {
        self.output_hz
    }

    /// Whether the rates are equal and samples pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.input_hz == self.output_hz
    }

    /// Number of samples that come out for a whole stream of `samples`.
    pub fn output_samples(&self, samples: u64) -> u64 {
        let wide = u128::from(samples) * u128::from(self.kernel.out_step);
        wide.div_ceil(u128::from(self.kernel.in_step)) as u64
    }

    /// Takes samples and appends those that are ready to `output`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinite`] and [`ErrorKind::OutOfRange`] as [`check_samples`], before anything is changed.
    #[inline(never)]
    pub fn push(&mut self, samples: &[f32], output: &mut Vec<f32>) -> Result<()> {
        check_samples(samples, "resample@1 samples", self.received)?;
        self.received += samples.len() as u64;
        if self.is_identity() {
            output.extend_from_slice(samples);
            self.produced += samples.len() as u64;
            return Ok(());
        }
        for block in samples.chunks(BLOCK) {
            self.history.extend_from_slice(block);
            self.produce(output, u64::MAX);
        }
        Ok(())
    }

    /// Ends the stream: appends the samples still due to `output`, and is ready for a new stream.
    #[inline(never)]
    pub fn finish(&mut self, output: &mut Vec<f32>) {
        if !self.is_identity() {
            let total = self.output_samples(self.received);
            let mut silence_left = self.kernel.taps();
            while self.produced < total && silence_left > 0 {
                let block = silence_left.min(BLOCK);
                silence_left -= block;
                self.history.resize(self.history.len() + block, 0.0);
                self.produce(output, total);
            }
        }
        self.reset();
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.history.clear();
        self.history.resize(self.kernel.reach, 0.0);
        self.next = 0;
        self.phase = 0;
        self.received = 0;
        self.produced = 0;
    }

    /// Appends the outputs whose taps the history holds, until `total` were made, then drops what no output needs.
    fn produce(&mut self, output: &mut Vec<f32>, total: u64) {
        let taps = self.kernel.taps();
        while self.produced < total {
            let Some(window) = self.history.get(self.next..self.next + taps) else {
                break;
            };
            let row = if self.table.is_empty() {
                self.kernel.fill(self.phase, &mut self.taps);
                self.taps.as_slice()
            } else {
                let from = self.phase as usize * taps;
                self.table.get(from..from + taps).unwrap_or_default()
            };
            output.push(dot(window, row));
            self.produced += 1;
            self.phase += self.kernel.in_step;
            self.next += (self.phase / self.kernel.out_step) as usize;
            self.phase %= self.kernel.out_step;
        }
        let done = self.next.min(self.history.len());
        self.history.drain(..done);
        self.next -= done;
    }
}

/// Scalar product; eight running sums, added in a fixed order.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let mut left_rows = left.chunks_exact(8);
    let mut right_rows = right.chunks_exact(8);
    for (a, b) in left_rows.by_ref().zip(right_rows.by_ref()) {
        for ((sum, &x), &y) in sums.iter_mut().zip(a).zip(b) {
            *sum += x * y;
        }
    }
    let rest: f32 = left_rows
        .remainder()
        .iter()
        .zip(right_rows.remainder())
        .map(|(&x, &y)| x * y)
        .sum();
    sums.iter().sum::<f32>() + rest
}

fn greatest_common_divisor(left: u32, right: u32) -> u32 {
    if right == 0 {
        left
    } else {
        greatest_common_divisor(right, left % right)
    }
}
