//! Files, given as a device would have given their content.

use super::{Captured, Clock, ClockKind, Content, Source, Step};
use crate::error::Result;
use crate::files::audio::AudioReader;
use crate::files::{FileKind, image, text};
use crate::{Dropped, Sense};
use std::path::Path;

/// Length of a piece of replayed sound, in milliseconds; the last one may be shorter.
pub const PIECE_MS: u64 = 20;

/// How fast a replayed file runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As it would have come live: a piece of sound is given when its last sample would have been heard.
    RealTime,
    /// As fast as it is read; the pieces and their times are the same.
    Unpaced,
}

/// Opens the file at `path` as a source of the sense that its content has.
///
/// # Errors
/// As the reader of that kind; a file that is neither sound, picture nor text is of the wrong type.
pub fn open_replay(path: &Path, pace: Pace) -> Result<Box<dyn Source>> {
    let name = format!("replay:{}", path.display());
    let kind = FileKind::of_file(path)?;
    match kind.sense() {
        Some(Sense::Audio) => Ok(Box::new(AudioReplay::new(&name, AudioReader::open(path)?, pace))),
        Some(Sense::Image) => Ok(Box::new(OnceReplay::new(
            &name,
            Content::Image(image::open(path)?),
        ))),
        Some(Sense::Text) => {
            let file = text::open(path)?;
            let mut source = OnceReplay::new(&name, Content::Text(file.text));
            source.dropped.invalid_text = file.invalid;
            Ok(Box::new(source))
        }
        None => Err(kind
            .refuse("a sound, a picture or a text")
            .of(&path.display().to_string())),
    }
}

/// Gives a sound file in pieces of [`PIECE_MS`].
///
/// Times count from the file's start. The first piece begins when [`Source::next`] is first called.
#[derive(Debug)]
pub struct AudioReplay {
    name: String,
    reader: AudioReader,
    pace: Pace,
    chunk: Vec<f32>,
    /// Samples of `chunk` that were given already.
    given: usize,
    /// Frames that were given already.
    frames: u64,
    /// Pieces that were given already.
    pieces: u64,
    /// When the first piece began, on the caller's clock.
    began_ms: Option<u64>,
    /// Samples of the next piece, collected while it waits for its time.
    piece: Vec<f32>,
    ended: bool,
    fault: Option<crate::Error>,
}

impl AudioReplay {
    /// Replays what `reader` reads; `name` is what the source is called.
    pub fn new(name: &str, reader: AudioReader, pace: Pace) -> Self {
        Self {
            name: name.to_owned(),
            reader,
            pace,
            chunk: Vec::new(),
            given: 0,
            frames: 0,
            pieces: 0,
            began_ms: None,
            piece: Vec::new(),
            ended: false,
            fault: None,
        }
    }

    fn ms(&self, frames: u64) -> u64 {
        frames * 1000 / u64::from(self.reader.sample_rate_hz())
    }

    /// Fills `self.piece` up to its full length or the end of the file.
    fn collect(&mut self) {
        if !self.piece.is_empty() {
            return;
        }
        // The edges are those of the exact times, so that pieces of a rate that 50 does not divide do not drift.
        let end = (self.pieces + 1) * PIECE_MS * u64::from(self.reader.sample_rate_hz()) / 1000;
        let frames = end.saturating_sub(self.frames);
        let wanted = usize::try_from(frames).unwrap_or(1) * self.reader.channels();
        while self.piece.len() < wanted && !self.ended {
            if self.given == self.chunk.len() {
                self.given = 0;
                match self.reader.next_chunk(&mut self.chunk) {
                    Ok(Some(_)) => {}
                    Ok(None) => self.ended = true,
                    Err(error) => {
                        self.fault = Some(error);
                        self.ended = true;
                    }
                }
            }
            let rest = self.chunk.get(self.given..).unwrap_or_default();
            let taken = rest.get(..wanted - self.piece.len()).unwrap_or(rest);
            self.piece.extend_from_slice(taken);
            self.given += taken.len();
        }
    }
}

impl Source for AudioReplay {
    fn name(&self) -> &str {
        &self.name
    }

    fn sense(&self) -> Sense {
        Sense::Audio
    }

    fn next(&mut self, clock: &dyn Clock, wait_ms: u64, into: &mut Captured) -> Result<Step> {
        self.collect();
        let frames = (self.piece.len() / self.reader.channels()) as u64;
        if frames == 0 {
            return self.fault.take().map_or(Ok(Step::End), Err);
        }
        let (start_ms, end_ms) = (self.ms(self.frames), self.ms(self.frames + frames));
        if self.pace == Pace::RealTime {
            let now_ms = clock.now_ms();
            let due_ms = end_ms + *self.began_ms.get_or_insert(now_ms);
            if due_ms > now_ms.saturating_add(wait_ms) {
                clock.sleep_until(now_ms.saturating_add(wait_ms));
                return Ok(Step::Idle);
            }
            clock.sleep_until(due_ms);
        }
        let samples = into
            .content
            .as_audio(self.reader.sample_rate_hz(), self.reader.channels());
        std::mem::swap(samples, &mut self.piece);
        self.piece.clear();
        self.frames += frames;
        self.pieces += 1;
        (into.start_ms, into.end_ms, into.clock) = (start_ms, end_ms, ClockKind::Media);
        into.dropped = Dropped::default();
        Ok(Step::Got)
    }

    fn dropped(&self) -> Dropped {
        Dropped::default()
    }
}

/// Gives one picture or one whole text, at 0 ms, and ends.
#[derive(Debug)]
pub struct OnceReplay {
    name: String,
    sense: Sense,
    content: Option<Content>,
    dropped: Dropped,
}

impl OnceReplay {
    /// Gives `content` once; `name` is what the source is called.
    pub fn new(name: &str, content: Content) -> Self {
        let sense = match content {
            Content::Audio { .. } => Sense::Audio,
            Content::Image(_) => Sense::Image,
            Content::Text(_) | Content::Nothing => Sense::Text,
        };
        Self {
            name: name.to_owned(),
            sense,
            content: Some(content),
            dropped: Dropped::default(),
        }
    }
}

impl Source for OnceReplay {
    fn name(&self) -> &str {
        &self.name
    }

    fn sense(&self) -> Sense {
        self.sense
    }

    fn next(&mut self, _clock: &dyn Clock, _wait_ms: u64, into: &mut Captured) -> Result<Step> {
        let Some(content) = self.content.take() else {
            return Ok(Step::End);
        };
        *into = Captured {
            content,
            start_ms: 0,
            end_ms: 0,
            clock: ClockKind::Media,
            dropped: self.dropped,
        };
        Ok(Step::Got)
    }

    fn dropped(&self) -> Dropped {
        self.dropped
    }
}
