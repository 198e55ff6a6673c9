//! Live sources: timed pieces of sound, text and pictures, with what was lost on the way.
//!
//! A source is pulled: the caller lends a [`Clock`] and a [`Captured`] whose buffers are used again, so that a running
//! source allocates nothing. A file replayed gives the pieces that a device would have given.

mod clock;
mod lines;
mod replay;

use crate::error::Result;
use crate::{Dropped, Sense};
use limbic_signal::image::Picture;

pub use clock::{Clock, ClockKind, SystemClock};
pub use lines::{LineSource, MAX_LINE_BYTES};
pub use replay::{AudioReplay, OnceReplay, PIECE_MS, Pace, open_replay};

/// One piece of input and when it was.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// What was captured.
    pub content: Content,
    /// When the piece starts, in milliseconds of `clock`.
    pub start_ms: u64,
    /// When the piece ends, in milliseconds of `clock`; a picture and a line end when they start.
    pub end_ms: u64,
    /// What the two times count from.
    pub clock: ClockKind,
    /// What the source has lost from its start up to this piece.
    pub dropped: Dropped,
}

/// What a piece holds.
#[derive(Debug, Clone, Default)]
pub enum Content {
    /// Nothing yet.
    #[default]
    Nothing,
    /// Sound.
    Audio {
        /// Shape `[frame, channel]`, interleaved, full scale is -1..1.
        samples: Vec<f32>,
        /// Samples a second and channel.
        sample_rate_hz: u32,
        /// Channels, at least 1.
        channels: usize,
    },
    /// A line, or a whole text when a file is replayed.
    Text(String),
    /// A picture.
    Image(Picture),
}

impl Content {
    /// The sample buffer of a piece of sound, made anew if this was something else.
    pub(crate) fn as_audio(&mut self, rate: u32, channel_count: usize) -> &mut Vec<f32> {
        if !matches!(self, Self::Audio { .. }) {
            *self = Self::Audio {
                samples: Vec::new(),
                sample_rate_hz: rate,
                channels: channel_count,
            };
        }
        let Self::Audio {
            samples,
            sample_rate_hz,
            channels,
        } = self
        else {
            unreachable!("set above")
        };
        (*sample_rate_hz, *channels) = (rate, channel_count);
        samples
    }

    /// The buffer of a text, made anew if this was something else.
    pub(crate) fn as_text(&mut self) -> &mut String {
        if !matches!(self, Self::Text(_)) {
            *self = Self::Text(String::new());
        }
        let Self::Text(text) = self else {
            unreachable!("set above")
        };
        text
    }
}

/// What [`Source::next`] came back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A piece is in the caller's [`Captured`].
    Got,
    /// Nothing came within the time to wait.
    Idle,
    /// Nothing will come any more.
    End,
}

/// Something that gives timed pieces of one sense.
pub trait Source: Send {
    /// The URI that opened it.
    fn name(&self) -> &str;

    /// The sense of all its pieces.
    fn sense(&self) -> Sense;

    /// Waits at most `wait_ms` for the next piece and puts it into `into`, whose buffers are used again.
    ///
    /// # Errors
    /// What the file or the device refused; after an error the source is at its end.
    fn next(&mut self, clock: &dyn Clock, wait_ms: u64, into: &mut Captured) -> Result<Step>;

    /// What was lost since the source was opened.
    fn dropped(&self) -> Dropped;
}
