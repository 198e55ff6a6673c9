//! Cutting a stream into windows.

use crate::audio::samples::samples_of_ms;
use crate::audio::{ShortRule, WindowParams, check_samples};
use crate::{Error, ErrorKind, Result};

/// Longest window, in samples (about five minutes at 48 kHz): a bound on memory.
const MAX_WINDOW_SAMPLES: u64 = 1 << 24;

/// One window of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window<'a> {
    /// Index in the stream of the window's first sample.
    pub start: u64,
    /// The samples, always of the window's full length.
    pub samples: &'a [f32],
    /// How many samples at the end are padding.
    pub padding: usize,
}

impl Window<'_> {
    /// Whether the window's end is padding.
    pub fn is_padded(&self) -> bool {
        self.padding > 0
    }

    /// Index in the stream behind the window's last real sample.
    pub fn end(&self) -> u64 {
        self.start + (self.samples.len() - self.padding) as u64
    }
}

/// What became of the samples behind the last full window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Nothing was left: the last full window ends with the stream, or the stream ends between two windows.
    Complete,
    /// The rest made a padded window.
    Padded,
    /// This many samples were in no window, and too few for a last one: they were dropped.
    Dropped(u64),
    /// The whole stream, of this many samples, is shorter than the least length: there is no window at all.
    TooShort(u64),
}

/// Cuts a stream into windows of equal length: window `k` covers samples `k * hop .. k * hop + length`.
///
/// A last, partial window is padded when at least `min_ms` of it lies behind the full window before it (for the first
/// window: behind the start), else it is dropped; [`Windower::finish`] says which. Times become samples by rounding to
/// the nearest. The windows do not depend on how the stream was cut into chunks, and memory is bounded by one window.
#[derive(Debug, Clone)]
pub struct Windower {
    length: usize,
    hop: u64,
    min: u64,
    /// Samples from `start` on, at most `length`.
    buffer: Vec<f32>,
    /// Start of the next window.
    start: u64,
    /// Samples received.
    received: u64,
    /// End of the last window given out.
    covered: u64,
}

impl Windower {
    /// A windower for a stream of `rate_hz`.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when a window or hop has no sample, a window has more than 2^24 samples, or `min_ms` is
    /// longer than the window.
    pub fn new(params: &WindowParams, rate_hz: u32) -> Result<Self> {
        let bad =
            |subject, expected, found: u64| Err(Error::new(ErrorKind::Parameter, subject, expected, found));
        let length = samples_of_ms(params.length_ms, rate_hz);
        let hop = samples_of_ms(params.hop_ms, rate_hz);
        let min = samples_of_ms(params.min_ms, rate_hz);
        if !(1..=MAX_WINDOW_SAMPLES).contains(&length) {
            return bad("window@1 length_ms in samples", "1 to 16777216", length);
        }
        if hop == 0 {
            return bad("window@1 hop_ms in samples", "at least 1", hop);
        }
        if min > length {
            return bad("window@1 min_ms", "at most length_ms", u64::from(params.min_ms));
        }
        let ShortRule::PadZero = params.short;
        let length = length as usize;
        Ok(Self {
            length,
            hop,
            min,
            buffer: Vec::new(),
            start: 0,
            received: 0,
            covered: 0,
        })
    }

    /// Samples of one window.
    pub fn window_samples(&self) -> usize {
        self.length
    }

    /// Samples between the starts of two windows.
    pub fn hop_samples(&self) -> u64 {
        self.hop
    }

    /// Takes samples and gives every window they complete to `sink`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinite`] and [`ErrorKind::OutOfRange`] as [`check_samples`], before anything is changed; and what
    /// `sink` returns, after which the stream is incomplete and [`Windower::reset`] is the way on.
    pub fn push<E: From<Error>>(
        &mut self,
        mut samples: &[f32],
        mut sink: impl FnMut(Window<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        check_samples(samples, "window@1 samples", self.received)?;
        while !samples.is_empty() {
            // With a hop longer than a window, samples between two windows are passed over.
            let gap = self.start.saturating_sub(self.received).min(samples.len() as u64);
            let take = if gap > 0 {
                gap as usize
            } else {
                let take = (self.length - self.buffer.len()).min(samples.len());
                self.buffer
                    .extend_from_slice(samples.get(..take).unwrap_or_default());
                take
            };
            samples = samples.get(take..).unwrap_or_default();
            self.received += take as u64;
            if self.buffer.len() == self.length {
                let outcome = sink(Window {
                    start: self.start,
                    samples: &self.buffer,
                    padding: 0,
                });
                self.covered = self.start + self.length as u64;
                self.start += self.hop;
                let keep_from = usize::try_from(self.hop).unwrap_or(usize::MAX).min(self.length);
                self.buffer.drain(..keep_from);
                outcome?;
            }
        }
        Ok(())
    }

    /// Ends the stream: gives the padded last window to `sink` if there is one, says what became of the rest, and is
    /// ready for a new stream.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn finish<E: From<Error>>(
        &mut self,
        mut sink: impl FnMut(Window<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Tail, E> {
        let received = self.received;
        let fresh = received.saturating_sub(self.covered.max(self.start));
        let mut outcome = Ok(());
        let tail = if self.start == 0 && (received == 0 || received < self.min) {
            Tail::TooShort(received)
        } else if fresh == 0 {
            Tail::Complete
        } else if fresh < self.min {
            Tail::Dropped(fresh)
        } else {
            let padding = self.length - self.buffer.len();
            self.buffer.resize(self.length, 0.0);
            outcome = sink(Window {
                start: self.start,
                samples: &self.buffer,
                padding,
            });
            Tail::Padded
        };
        self.reset();
        outcome.map(|()| tail)
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.start = 0;
        self.received = 0;
        self.covered = 0;
    }
}
