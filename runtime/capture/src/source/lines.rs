//! Lines of text, as from standard input.

use super::{Captured, Clock, ClockKind, Source, Step};
use crate::error::{Error, Result};
use crate::{Dropped, Sense};
use std::io::{BufRead, ErrorKind};

/// Bytes of a line that are kept; the rest of a longer line is dropped and counted.
pub const MAX_LINE_BYTES: usize = 64 << 10;

/// Gives each line that is not blank as one text, without its line end (`\n` or `\r\n`).
///
/// Bytes that are not UTF-8 become U+FFFD and are counted. A read blocks until a line, or the end, has come: the time
/// to wait that [`Source::next`] is given cannot end it, so a program that must stop in time reads on its own thread.
#[derive(Debug)]
pub struct LineSource<R> {
    name: String,
    input: R,
    line: Vec<u8>,
    dropped: Dropped,
    ended: bool,
}

impl<R: BufRead + Send> LineSource<R> {
    /// Reads lines from `input`; `name` is what errors call it.
    pub fn new(name: &str, input: R) -> Self {
        Self {
            name: name.to_owned(),
            input,
            line: Vec::new(),
            dropped: Dropped::default(),
            ended: false,
        }
    }

    /// Reads one line into `self.line`; whether there was one.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        let mut any = false;
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io(error)),
            };
            if available.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = available.iter().position(|&byte| byte == b'\n');
            let part = available
                .get(..end.unwrap_or(available.len()))
                .unwrap_or_default();
            let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
            let (kept, cut) = part.split_at(room.min(part.len()));
            self.line.extend_from_slice(kept);
            self.dropped.text_bytes += cut.len() as u64;
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

impl<R: BufRead + Send> Source for LineSource<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn sense(&self) -> Sense {
        Sense::Text
    }

    fn next(&mut self, clock: &dyn Clock, _wait_ms: u64, into: &mut Captured) -> Result<Step> {
        loop {
            let read = if self.ended { Ok(false) } else { self.read_line() };
            self.ended = !matches!(read, Ok(true));
            if !read.map_err(|error| error.of(&self.name))? {
                return Ok(Step::End);
            }
            let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let text = into.content.as_text();
            text.clear();
            for chunk in line.utf8_chunks() {
                text.push_str(chunk.valid());
                if !chunk.invalid().is_empty() {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.dropped.invalid_text += 1;
                }
            }
            into.start_ms = clock.now_ms();
            into.end_ms = into.start_ms;
            into.clock = ClockKind::Monotonic;
            into.dropped = self.dropped;
            return Ok(Step::Got);
        }
    }

    fn dropped(&self) -> Dropped {
        self.dropped
    }
}
