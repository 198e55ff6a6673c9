//! Native FLAC (RFC 9639): every bit depth, block size and predictor of the standard.
//!
//! Both checksums of each frame are verified. A fault ends the reading: nothing is resynchronised, so no gap can go
//! unnoticed.

use super::bits::BitReader;
use super::frame::FrameDecoder;
use super::{AudioSpec, checked_spec};
use crate::error::{Error, ErrorKind, Result};
use std::io::Read;

const STREAMINFO: u64 = 0;
const STREAMINFO_BYTES: u64 = 34;

/// Metadata blocks that are looked at.
const MAX_BLOCKS: usize = 1024;

/// What the STREAMINFO block says.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamInfo {
    pub max_block_frames: usize,
    pub sample_rate_hz: u32,
    pub channels: u16,
    pub bits: u32,
    /// Frames (samples a channel) of the stream; 0 means unknown.
    pub total_frames: u64,
}

/// Decodes a FLAC stream frame by frame.
pub(super) struct FlacDecoder<R> {
    bits: BitReader<R>,
    info: StreamInfo,
    spec: AudioSpec,
    frame: FrameDecoder,
    frames_decoded: u64,
    ended: bool,
}

impl<R: Read> FlacDecoder<R> {
    /// Reads the metadata up to the first frame.
    pub(super) fn new(input: R) -> Result<Self> {
        let mut bits = BitReader::new(input);
        let info = read_metadata(&mut bits)?;
        let frames = Some(info.total_frames).filter(|&frames| frames > 0);
        let spec = checked_spec(info.sample_rate_hz, info.channels, info.bits as u16, frames)?;
        Ok(Self {
            bits,
            info,
            spec,
            frame: FrameDecoder::new(),
            frames_decoded: 0,
            ended: false,
        })
    }

    pub(super) fn spec(&self) -> AudioSpec {
        self.spec
    }

    /// Appends the next block; nothing at the end.
    pub(super) fn next_chunk(&mut self, samples: &mut Vec<f32>) -> Result<()> {
        let total = self.info.total_frames;
        if self.ended || (total > 0 && self.frames_decoded == total) {
            return Ok(());
        }
        if self.bits.at_end()? {
            self.ended = true;
            return if total > 0 { Err(self.truncated()) } else { Ok(()) };
        }
        let start = samples.len();
        let frames = match self.frame.decode(&mut self.bits, &self.info, samples) {
            Ok(frames) => frames as u64,
            Err(error) => {
                samples.truncate(start);
                self.ended = true;
                let early = error.kind() == ErrorKind::Truncated && total > 0;
                return Err(if early { self.truncated() } else { error });
            }
        };
        if total > 0 && self.frames_decoded + frames > total {
            samples.truncate(start);
            self.ended = true;
            let found = self.frames_decoded + frames;
            let detail = format!("the header says {total} samples a channel, there are at least {found}");
            return Err(Error::new(ErrorKind::Malformed, detail));
        }
        self.frames_decoded += frames;
        Ok(())
    }

    fn truncated(&self) -> Error {
        let (expected, found) = (self.info.total_frames, self.frames_decoded);
        Error::counted(ErrorKind::Truncated, expected, found, "samples a channel")
    }
}

fn malformed(detail: String) -> Error {
    Error::new(ErrorKind::Malformed, detail)
}

fn read_metadata<R: Read>(bits: &mut BitReader<R>) -> Result<StreamInfo> {
    bits.skip_bytes(4)?;
    let mut info = None;
    for index in 0..MAX_BLOCKS {
        let last = bits.unsigned(1)? == 1;
        let kind = bits.unsigned(7)?;
        let length = bits.unsigned(24)?;
        match (index, kind, length) {
            (0, STREAMINFO, STREAMINFO_BYTES) => info = Some(read_stream_info(bits)?),
            (0, STREAMINFO, _) => {
                return Err(malformed(format!(
                    "a STREAMINFO block of {length} bytes, it has {STREAMINFO_BYTES}"
                )));
            }
            (0, _, _) => {
                return Err(malformed(format!(
                    "the first metadata block is of type {kind}, not STREAMINFO"
                )));
            }
            (_, STREAMINFO, _) => return Err(malformed("a second STREAMINFO block".into())),
            (_, 127, _) => {
                return Err(malformed(format!(
                    "metadata block {index} is of the forbidden type 127"
                )));
            }
            _ => bits.skip_bytes(length)?,
        }
        if last {
            return info.ok_or_else(|| malformed("no STREAMINFO block".into()));
        }
    }
    Err(malformed(format!("more than {MAX_BLOCKS} metadata blocks")))
}

fn read_stream_info<R: Read>(bits: &mut BitReader<R>) -> Result<StreamInfo> {
    let min_block = bits.unsigned(16)?;
    let max_block = bits.unsigned(16)?;
    bits.skip_bytes(6)?;
    let info = StreamInfo {
        max_block_frames: max_block as usize,
        sample_rate_hz: bits.unsigned(20)? as u32,
        channels: bits.unsigned(3)? as u16 + 1,
        bits: bits.unsigned(5)? as u32 + 1,
        total_frames: bits.unsigned(36)?,
    };
    bits.skip_bytes(16)?;
    if max_block < 16 || min_block > max_block {
        return Err(malformed(format!(
            "STREAMINFO says blocks of {min_block} to {max_block} samples"
        )));
    }
    if info.bits < 4 {
        return Err(malformed(format!(
            "STREAMINFO says samples of {} bits, there are at least 4",
            info.bits
        )));
    }
    Ok(info)
}
