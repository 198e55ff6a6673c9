//! RIFF/WAVE, and RF64 and BW64, whose sizes are 64 bits wide.
//!
//! Read: integer PCM of 8, 16, 24 and 32 bits, IEEE float of 32 and 64 bits, each also as `WAVE_FORMAT_EXTENSIBLE`.
//! In an extensible file the valid bits sit at the top of the container, so the container's width sets the scale.

use super::{AudioSpec, checked_spec, read_full};
use crate::error::{Error, ErrorKind, Result};
use std::io::Read;

const FORMAT_PCM: u16 = 1;
const FORMAT_FLOAT: u16 = 3;
const FORMAT_EXTENSIBLE: u16 = 0xFFFE;

/// The part of a sub-format GUID that follows the two bytes of the format tag.
const SUBFORMAT_TAIL: [u8; 14] = [
    0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71,
];

/// A size that a writer into a pipe leaves behind because it cannot go back: all ones, or near 2 GiB.
const OPEN_ENDED: std::ops::RangeInclusive<u32> = 0x7FFF_F000..=0x8000_1000;

/// Frames decoded at once.
const CHUNK_FRAMES: usize = 4096;

/// Chunks before `data` that are looked at.
const MAX_CHUNKS: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

impl Encoding {
    fn new(tag: u16, bits: u16) -> Result<Self> {
        match (tag, bits) {
            (FORMAT_PCM, 8) => Ok(Self::Unsigned8),
            (FORMAT_PCM, 16) => Ok(Self::Signed16),
            (FORMAT_PCM, 24) => Ok(Self::Signed24),
            (FORMAT_PCM, 32) => Ok(Self::Signed32),
            (FORMAT_FLOAT, 32) => Ok(Self::Float32),
            (FORMAT_FLOAT, 64) => Ok(Self::Float64),
            (FORMAT_PCM, _) => Err(unsupported(format!(
                "integer samples of {bits} bits; read are 8, 16, 24 and 32"
            ))),
            (FORMAT_FLOAT, _) => Err(unsupported(format!(
                "floating-point samples of {bits} bits; read are 32 and 64"
            ))),
            (6, _) => Err(unsupported(
                "A-law samples; read are integer and floating-point PCM".into(),
            )),
            (7, _) => Err(unsupported(
                "mu-law samples; read are integer and floating-point PCM".into(),
            )),
            (2 | 0x11, _) => Err(unsupported(
                "ADPCM samples; read are integer and floating-point PCM".into(),
            )),
            (0x55, _) => Err(unsupported(
                "MP3 inside a WAV; read are integer and floating-point PCM".into(),
            )),
            _ => Err(unsupported(format!(
                "format tag {tag:#06x}; read are integer and floating-point PCM"
            ))),
        }
    }

    fn append(self, bytes: &[u8], samples: &mut Vec<f32>) {
        match self {
            Self::Unsigned8 => samples.extend(bytes.iter().map(|&byte| (f32::from(byte) - 128.0) / 128.0)),
            Self::Signed16 => {
                samples.extend(
                    bytes
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&b| f32::from(i16::from_le_bytes(b)) / 32_768.0),
                );
            }
            Self::Signed24 => samples.extend(bytes.as_chunks().0.iter().map(|&[low, middle, high]| {
                (i32::from_le_bytes([0, low, middle, high]) >> 8) as f32 / 8_388_608.0
            })),
            Self::Signed32 => {
                samples.extend(
                    bytes
                        .as_chunks()
                        .0
                        .iter()
                        .map(|&b| i32::from_le_bytes(b) as f32 / 2_147_483_648.0),
                );
            }
            Self::Float32 => samples.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
            Self::Float64 => {
                samples.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32))
            }
        }
    }
}

fn unsupported(detail: String) -> Error {
    Error::new(ErrorKind::Unsupported, detail)
}

fn malformed(detail: String) -> Error {
    Error::new(ErrorKind::Malformed, detail)
}

/// Decodes the `data` chunk of a WAV.
pub(super) struct WavDecoder<R> {
    input: R,
    spec: AudioSpec,
    encoding: Encoding,
    frame_bytes: usize,
    /// Bytes of samples as the header says; `None` when it leaves the length open.
    data_bytes: Option<u64>,
    read_bytes: u64,
    ignored_bytes: u64,
    buffer: Vec<u8>,
}

/// What the `fmt ` chunk says.
struct Format {
    encoding: Encoding,
    channels: u16,
    sample_rate_hz: u32,
    bits: u16,
    frame_bytes: usize,
}

impl<R: Read> WavDecoder<R> {
    /// Reads the header up to the first sample.
    pub(super) fn new(mut input: R) -> Result<Self> {
        let [id, riff_size, _] = header_words(&mut input, "the file header")?;
        let wide = id != *b"RIFF";
        let riff_size = u32::from_le_bytes(riff_size);
        let mut format = None;
        let mut wide_data_bytes = None;
        for _ in 0..MAX_CHUNKS {
            let [id, size] = header_words(&mut input, "a chunk header, before the samples")?;
            let size = u32::from_le_bytes(size);
            match &id {
                b"fmt " => format = Some(read_format(&mut input, size)?),
                b"ds64" if wide => {
                    let body = read_body(&mut input, size, 28..=4096, "ds64")?;
                    wide_data_bytes = body
                        .get(8..16)
                        .and_then(|b| b.try_into().ok())
                        .map(u64::from_le_bytes);
                }
                b"data" => {
                    let format =
                        format.ok_or_else(|| malformed("no fmt chunk before the data chunk".into()))?;
                    let data_bytes = match size {
                        u32::MAX => wide_data_bytes,
                        0 if matches!(riff_size, 0 | u32::MAX) => None,
                        size if OPEN_ENDED.contains(&size) => None,
                        size => Some(size.into()),
                    };
                    return Self::with_format(input, &format, data_bytes);
                }
                _ => skip(&mut input, u64::from(size) + u64::from(size % 2))?,
            }
        }
        Err(malformed(format!(
            "no data chunk among the first {MAX_CHUNKS} chunks"
        )))
    }

    fn with_format(input: R, format: &Format, data_bytes: Option<u64>) -> Result<Self> {
        let frames = data_bytes.map(|bytes| bytes / format.frame_bytes as u64);
        Ok(Self {
            input,
            spec: checked_spec(format.sample_rate_hz, format.channels, format.bits, frames)?,
            encoding: format.encoding,
            frame_bytes: format.frame_bytes,
            data_bytes,
            read_bytes: 0,
            ignored_bytes: 0,
            buffer: Vec::new(),
        })
    }

    pub(super) fn spec(&self) -> AudioSpec {
        self.spec
    }

    pub(super) fn ignored_bytes(&self) -> u64 {
        self.ignored_bytes
    }

    /// Appends the next frames; nothing at the end.
    pub(super) fn next_chunk(&mut self, samples: &mut Vec<f32>) -> Result<()> {
        let most = (CHUNK_FRAMES * self.frame_bytes) as u64;
        let left = self
            .data_bytes
            .map_or(most, |bytes| bytes.saturating_sub(self.read_bytes));
        let wanted = usize::try_from(left.min(most)).unwrap_or(CHUNK_FRAMES);
        self.buffer.resize(wanted, 0);
        let found = read_full(&mut self.input, &mut self.buffer)?;
        self.read_bytes += found as u64;
        let whole = found - found % self.frame_bytes;
        self.ignored_bytes += (found - whole) as u64;
        self.encoding
            .append(self.buffer.get(..whole).unwrap_or_default(), samples);
        match self.data_bytes {
            Some(expected) if found < wanted => Err(Error::counted(
                ErrorKind::Truncated,
                expected,
                self.read_bytes,
                "bytes of samples",
            )),
            _ => Ok(()),
        }
    }
}

/// Reads `N` four-byte words.
fn header_words<const N: usize>(input: &mut impl Read, what: &str) -> Result<[[u8; 4]; N]> {
    let mut words = [[0; 4]; N];
    let found = read_full(input, words.as_flattened_mut())?;
    if found < 4 * N {
        let mut error = Error::counted(ErrorKind::Truncated, 4 * N as u64, found as u64, "bytes");
        error = error.in_part(what);
        return Err(error);
    }
    Ok(words)
}

/// Reads a chunk's body, whose size must be in `sizes`.
fn read_body(
    input: &mut impl Read,
    size: u32,
    sizes: std::ops::RangeInclusive<u32>,
    chunk: &str,
) -> Result<Vec<u8>> {
    if !sizes.contains(&size) {
        return Err(malformed(format!(
            "a {chunk} chunk of {size} bytes, it has {} to {}",
            sizes.start(),
            sizes.end()
        )));
    }
    let padded = size as usize + size as usize % 2;
    let mut body = vec![0; padded];
    let found = read_full(input, &mut body)?;
    if found < size as usize {
        let error = Error::counted(ErrorKind::Truncated, size.into(), found as u64, "bytes");
        return Err(error.in_part(&format!("the {chunk} chunk")));
    }
    body.truncate(size as usize);
    Ok(body)
}

fn read_format(input: &mut impl Read, size: u32) -> Result<Format> {
    let body = read_body(input, size, 16..=65_536, "fmt")?;
    let half = |at: usize| {
        body.get(at..at + 2)
            .map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
    };
    let (mut tag, channels, frame_bytes, bits) = (half(0), half(2), half(12), half(14));
    let sample_rate_hz = u32::from(half(4)) | u32::from(half(6)) << 16;
    if tag == FORMAT_EXTENSIBLE {
        let guid = body.get(24..40).ok_or_else(|| {
            malformed(format!(
                "an extensible fmt chunk of {size} bytes, it has at least 40"
            ))
        })?;
        if guid.get(2..) != Some(&SUBFORMAT_TAIL) {
            return Err(unsupported(
                "an extensible WAV whose sub-format is neither PCM nor float".into(),
            ));
        }
        tag = half(24);
    }
    let encoding = Encoding::new(tag, bits)?;
    let expected = u32::from(channels) * u32::from(bits / 8);
    if u32::from(frame_bytes) != expected || expected == 0 {
        return Err(malformed(format!(
            "a frame of {frame_bytes} bytes, but {channels} channels of {bits} bits make {expected}"
        )));
    }
    Ok(Format {
        encoding,
        channels,
        sample_rate_hz,
        bits,
        frame_bytes: usize::from(frame_bytes),
    })
}

/// Reads over `bytes` bytes without keeping them.
fn skip(input: &mut impl Read, bytes: u64) -> Result<()> {
    let found = std::io::copy(&mut input.by_ref().take(bytes), &mut std::io::sink()).map_err(Error::io)?;
    if found < bytes {
        let error = Error::counted(ErrorKind::Truncated, bytes, found, "bytes");
        return Err(error.in_part("a chunk before the samples"));
    }
    Ok(())
}
