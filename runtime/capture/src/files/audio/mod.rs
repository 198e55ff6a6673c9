//! Sound files: WAV and FLAC.
//!
//! Samples come interleaved as `f32`. Integers are divided by 2^(bits - 1) of their container, so that full scale is
//! -1..1 and each integer of up to 24 bits is exact; 8-bit WAV is unsigned around 128. Floating-point samples are
//! passed on as they are, also beyond -1..1. Nothing is mixed, resampled or clamped.

mod bits;
mod flac;
mod frame;
mod wav;

use super::{FileKind, SNIFF_BYTES};
use crate::error::{Error, ErrorKind, Result};
use std::io::{BufReader, Chain, Cursor, Read};
use std::path::Path;

/// Most channels a file may have.
pub const MAX_CHANNELS: u16 = 256;

/// Sample rates that are taken, in Hz.
pub const SAMPLE_RATES_HZ: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Frames (one sample a channel) that one call of [`AudioReader::next_chunk`] gives at most.
pub const MAX_CHUNK_FRAMES: usize = 65_535;

/// Where a decoder reads from: the sniffed head, then the rest.
type Input = Chain<Cursor<Vec<u8>>, BufReader<Box<dyn Read + Send>>>;

/// Format of a file's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSpec {
    /// Samples a second and channel.
    pub sample_rate_hz: u32,
    /// Channels, at least 1.
    pub channels: u16,
    /// Width of a sample as stored, in bits.
    pub bits: u16,
    /// Frames in the file as its header says; `None` when the header leaves it open.
    pub frames: Option<u64>,
}

/// Reads a sound file in chunks, so that its length does not matter for memory.
///
/// ```
/// # fn main() -> limbic_capture::Result<()> {
/// use limbic_capture::files::audio::AudioReader;
/// let mut wav = b"RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0".to_vec();
/// wav.extend(b"data\x04\0\0\0\x00\x40\x00\x80");
/// let mut reader = AudioReader::from_bytes("two samples", wav)?;
/// let mut samples = Vec::new();
/// assert_eq!(reader.next_chunk(&mut samples)?, Some(2));
/// assert_eq!((samples.as_slice(), reader.sample_rate_hz()), ([0.5, -1.0].as_slice(), 8000));
/// assert_eq!(reader.next_chunk(&mut samples)?, None);
/// # Ok(())
/// # }
/// ```
pub struct AudioReader {
    name: String,
    spec: AudioSpec,
    decoder: Decoder,
    frames_read: u64,
    /// An error that waits until the good samples before it are delivered.
    pending: Option<Error>,
    ended: bool,
}

impl std::fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("AudioReader");
        shown
            .field("name", &self.name)
            .field("spec", &self.spec)
            .field("frames_read", &self.frames_read);
        shown.finish_non_exhaustive()
    }
}

enum Decoder {
    Wav(wav::WavDecoder<Input>),
    Flac(Box<flac::FlacDecoder<Input>>),
}

impl AudioReader {
    /// Opens a file.
    ///
    /// # Errors
    /// Missing, empty, of another type, a header that is malformed or of a variant that is not read, more than
    /// [`MAX_CHANNELS`] channels, a rate outside [`SAMPLE_RATES_HZ`], or a header that promises no sample.
    pub fn open(path: &Path) -> Result<Self> {
        let file = super::open(path)?;
        Self::from_reader(&path.display().to_string(), file)
    }

    /// Reads from bytes; `name` is what errors call the input.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_bytes(name: &str, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Self> {
        Self::from_reader(name, Cursor::new(bytes))
    }

    /// Reads from a stream such as standard input; `name` is what errors call the input.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Result<Self> {
        Self::start(name, Box::new(reader)).map_err(|error| error.of(name))
    }

    fn start(name: &str, mut reader: Box<dyn Read + Send>) -> Result<Self> {
        let mut head = Vec::with_capacity(SNIFF_BYTES);
        reader
            .by_ref()
            .take(SNIFF_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(Error::io)?;
        let kind = FileKind::of(&head);
        let input = Cursor::new(head).chain(BufReader::with_capacity(1 << 16, reader));
        let (spec, decoder) = match kind {
            FileKind::Wav => {
                let decoder = wav::WavDecoder::new(input)?;
                (decoder.spec(), Decoder::Wav(decoder))
            }
            FileKind::Flac => {
                let decoder = flac::FlacDecoder::new(input)?;
                (decoder.spec(), Decoder::Flac(Box::new(decoder)))
            }
            other => return Err(other.refuse("a WAV or FLAC file")),
        };
        if spec.frames == Some(0) {
            return Err(Error::new(
                ErrorKind::NoSamples,
                "the header says that the file holds 0 samples",
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            spec,
            decoder,
            frames_read: 0,
            pending: None,
            ended: false,
        })
    }

    /// Format of the samples.
    pub fn spec(&self) -> AudioSpec {
        self.spec
    }

    /// Samples a second and channel, as the file says.
    pub fn sample_rate_hz(&self) -> u32 {
        self.spec.sample_rate_hz
    }

    /// Channels, at least 1.
    pub fn channels(&self) -> usize {
        usize::from(self.spec.channels)
    }

    /// Frames delivered so far.
    pub fn frames_read(&self) -> u64 {
        self.frames_read
    }

    /// Bytes after the last whole frame that were left out because they do not make a frame.
    pub fn ignored_bytes(&self) -> u64 {
        match &self.decoder {
            Decoder::Wav(wav) => wav.ignored_bytes(),
            Decoder::Flac(_) => 0,
        }
    }

    /// Replaces `samples` by the next chunk and returns its number of frames (1..=[`MAX_CHUNK_FRAMES`]), or `None` at
    /// the end.
    ///
    /// Shape `[frame, channel]`, row-major. After an error the reader is at its end; the samples before the fault have
    /// been delivered by then.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] with the expected and found numbers when the file ends early,
    /// [`ErrorKind::NonFinite`] with the frame and channel, [`ErrorKind::Malformed`] with the place,
    /// [`ErrorKind::NoSamples`] when an open-ended file turns out to hold none, or the system's refusal to read.
    pub fn next_chunk(&mut self, samples: &mut Vec<f32>) -> Result<Option<usize>> {
        samples.clear();
        if self.ended {
            return Ok(None);
        }
        if self.pending.is_none() {
            let decoded = match &mut self.decoder {
                Decoder::Wav(wav) => wav.next_chunk(samples),
                Decoder::Flac(flac) => flac.next_chunk(samples),
            };
            // A fault of a delivered sample comes before the fault that ended the chunk.
            self.pending = self.check_finite(samples).err().or(decoded.err());
        }
        let frames = samples.len() / self.channels();
        if frames > 0 {
            self.frames_read += frames as u64;
            return Ok(Some(frames));
        }
        self.ended = true;
        match self.pending.take() {
            Some(error) => Err(error.of(&self.name)),
            None if self.frames_read == 0 => Err(Error::new(ErrorKind::NoSamples, "").of(&self.name)),
            None => Ok(None),
        }
    }

    /// Cuts `samples` before the first frame with a value that is not finite.
    fn check_finite(&self, samples: &mut Vec<f32>) -> Result<()> {
        let Some(index) = samples.iter().position(|sample| !sample.is_finite()) else {
            return Ok(());
        };
        let channels = self.channels();
        let frame = self.frames_read + (index / channels) as u64;
        let value = samples.get(index).copied().unwrap_or(f32::NAN);
        samples.truncate(index / channels * channels);
        Err(Error::new(
            ErrorKind::NonFinite,
            format!("sample {frame} of channel {} is {value}", index % channels + 1),
        ))
    }
}

/// Checks what both formats have in common.
fn checked_spec(sample_rate_hz: u32, channels: u16, bits: u16, frames: Option<u64>) -> Result<AudioSpec> {
    if channels == 0 {
        return Err(Error::new(ErrorKind::Malformed, "the header says 0 channels"));
    }
    if channels > MAX_CHANNELS {
        let detail = format!("{channels} channels, the limit is {MAX_CHANNELS}");
        return Err(Error::limit(MAX_CHANNELS.into(), channels.into(), detail));
    }
    if sample_rate_hz == 0 {
        return Err(Error::new(
            ErrorKind::Malformed,
            "the header says a sample rate of 0 Hz",
        ));
    }
    if !SAMPLE_RATES_HZ.contains(&sample_rate_hz) {
        let (low, high) = (SAMPLE_RATES_HZ.start(), SAMPLE_RATES_HZ.end());
        let detail = format!("a sample rate of {sample_rate_hz} Hz, taken are {low} to {high} Hz");
        return Err(Error::new(ErrorKind::Unsupported, detail));
    }
    Ok(AudioSpec {
        sample_rate_hz,
        channels,
        bits,
        frames,
    })
}

/// Reads until `buffer` is full or the input ends; returns the bytes read.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(error)),
        }
    }
    Ok(filled)
}
