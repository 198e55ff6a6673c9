//! A microphone, through `cpal` (ALSA on Linux).
//!
//! The sound comes at the device's own rate and channel count. The driver's thread only converts each sample to `f32`
//! and copies it into a lock-free ring of [`RING_SAMPLES`]; everything else happens in [`Source::next`].

mod ring;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Captured, Clock, ClockKind, Source, Step};
use crate::{Dropped, Sense};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize};
use ring::{Reader, Writer};
use std::sync::Arc;

pub use ring::RING_SAMPLES;

/// Shortest piece, in milliseconds; the driver delivers in periods of about [`PERIOD_MS`].
const SHORTEST_PIECE_MS: u64 = 20;

/// Longest piece, in milliseconds.
const LONGEST_PIECE_MS: u64 = 100;

/// How often the ring is looked at while it is too empty, in milliseconds.
const POLL_MS: u64 = 5;

/// Period asked of the driver: the next power of two of frames, and at least [`SHORTEST_PERIOD_FRAMES`]. The driver's
/// buffer holds two of them.
const PERIOD_MS: u32 = 50;

const SHORTEST_PERIOD_FRAMES: u32 = 1024;

/// An open microphone.
///
/// Losses are counted, never an error: `audio_frames` when the ring was full because [`Source::next`] was called too
/// late, `audio_xruns` when the driver lost sound before it came here. A device that goes away is an error.
pub struct Microphone {
    // Dropped first: it ends the driver's thread, which gives its end of the ring back.
    _stream: cpal::Stream,
    reader: Reader,
    name: String,
    sample_rate_hz: u32,
    channels: usize,
    period_frames: Option<u32>,
    /// Frames given or known to be lost.
    position: u64,
    /// Losses that `position` holds.
    lost: u64,
    /// When frame 0 was heard, on the caller's clock.
    origin_ms: Option<u64>,
    ended: bool,
}

impl std::fmt::Debug for Microphone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Microphone");
        shown
            .field("name", &self.name)
            .field("sample_rate_hz", &self.sample_rate_hz);
        shown
            .field("channels", &self.channels)
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

impl Microphone {
    /// Opens the microphone called `wanted`, or the default one, and starts it.
    ///
    /// A name is the driver's (`hw:CARD=1,DEV=0`), the device's description, or a part of the description that only
    /// one device has.
    ///
    /// # Errors
    /// [`ErrorKind::NoDevice`] listing the devices there are, [`ErrorKind::Device`] when it refuses every format.
    pub fn open(wanted: Option<&str>) -> Result<Self> {
        let name = format!("mic:{}", wanted.unwrap_or("default"));
        Self::start(&name, wanted).map_err(|error| error.of(&name))
    }

    fn start(name: &str, wanted: Option<&str>) -> Result<Self> {
        let device = find_device(&cpal::default_host(), wanted)?;
        let (format, config, fixed) = choose_config(&device)?;
        let channels = usize::from(config.channels);
        let built = build(&device, config, format);
        // Some drivers offer a range of periods and refuse one inside it.
        let (stream, reader, period_frames) = match built {
            Ok((stream, reader)) => (stream, reader, fixed),
            Err(_) if fixed.is_some() => {
                let config = StreamConfig {
                    buffer_size: BufferSize::Default,
                    ..config
                };
                let (stream, reader) = build(&device, config, format)?;
                (stream, reader, None)
            }
            Err(error) => return Err(error),
        };
        stream
            .play()
            .map_err(|error| refusal(ErrorKind::Device, "cannot be started", error))?;
        Ok(Self {
            _stream: stream,
            reader,
            name: name.to_owned(),
            sample_rate_hz: config.sample_rate,
            channels,
            period_frames,
            position: 0,
            lost: 0,
            origin_ms: None,
            ended: false,
        })
    }

    /// Samples a second and channel, the device's own.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Channels, at least 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The period asked of the driver in frames; `None` when it took only its own.
    pub fn period_frames(&self) -> Option<u32> {
        self.period_frames
    }

    fn frames_of(&self, ms: u64) -> usize {
        (ms * u64::from(self.sample_rate_hz) / 1000) as usize
    }

    fn ms_of(&self, frames: u64) -> u64 {
        frames * 1000 / u64::from(self.sample_rate_hz)
    }
}

impl Source for Microphone {
    fn name(&self) -> &str {
        &self.name
    }

    fn sense(&self) -> Sense {
        Sense::Audio
    }

    fn next(&mut self, clock: &dyn Clock, wait_ms: u64, into: &mut Captured) -> Result<Step> {
        if self.ended {
            return Ok(Step::End);
        }
        let until_ms = clock.now_ms().saturating_add(wait_ms);
        loop {
            let lost = self.reader.overrun_frames();
            let available = self.reader.frames();
            if available >= self.frames_of(SHORTEST_PIECE_MS) {
                let frames = available.min(self.frames_of(LONGEST_PIECE_MS));
                let samples = into.content.as_audio(self.sample_rate_hz, self.channels);
                samples.clear();
                self.reader.read(frames, samples);
                let heard_ms = self.ms_of(available as u64);
                let origin_ms = *self
                    .origin_ms
                    .get_or_insert_with(|| clock.now_ms().saturating_sub(heard_ms));
                into.start_ms = origin_ms + self.ms_of(self.position);
                self.position += frames as u64;
                into.end_ms = origin_ms + self.ms_of(self.position);
                if frames == available {
                    // What was lost came after what the ring held.
                    self.position += lost - self.lost;
                    self.lost = lost;
                }
                into.clock = ClockKind::Monotonic;
                into.dropped = self.dropped();
                return Ok(Step::Got);
            }
            if self.reader.has_failed() {
                self.ended = true;
                return Err(Error::new(ErrorKind::Device, "the microphone went away").of(&self.name));
            }
            let now_ms = clock.now_ms();
            if now_ms >= until_ms {
                return Ok(Step::Idle);
            }
            clock.sleep_until((now_ms + POLL_MS).min(until_ms));
        }
    }

    fn dropped(&self) -> Dropped {
        Dropped {
            audio_frames: self.reader.overrun_frames(),
            audio_xruns: self.reader.xruns(),
            ..Dropped::default()
        }
    }
}

fn refusal(kind: ErrorKind, what: &str, error: cpal::Error) -> Error {
    Error::new(kind, format!("{what}: {error}")).because(error)
}

fn find_device(host: &cpal::Host, wanted: Option<&str>) -> Result<cpal::Device> {
    let Some(wanted) = wanted else {
        return host
            .default_input_device()
            .ok_or_else(|| Error::new(ErrorKind::NoDevice, "the system has no default microphone"));
    };
    let devices = host
        .devices()
        .map_err(|error| refusal(ErrorKind::NoDevice, "no list of devices", error))?;
    let devices: Vec<(String, String, cpal::Device)> = devices
        .map(|device| {
            let id = device.id().map(|id| id.id().to_owned()).unwrap_or_default();
            let description = device
                .description()
                .map(|it| it.name().to_owned())
                .unwrap_or_default();
            (id, description, device)
        })
        .collect();
    let lower = wanted.to_lowercase();
    let exact = devices
        .iter()
        .position(|(id, description, _)| id == wanted || description == wanted);
    let place = exact.or_else(|| {
        let mut parts = devices
            .iter()
            .enumerate()
            .filter(|(_, (_, text, _))| text.to_lowercase().contains(&lower));
        parts
            .next()
            .filter(|_| parts.next().is_none())
            .map(|(place, _)| place)
    });
    if let Some((_, _, device)) = place.and_then(|place| devices.get(place)) {
        return Ok(device.clone());
    }
    let names: Vec<&str> = devices.iter().map(|(id, _, _)| id.as_str()).collect();
    let known = if names.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    Err(Error::new(
        ErrorKind::NoDevice,
        format!("no single device is called that; {known}"),
    ))
}

/// The best format that can be converted, with a generous period where the device takes one.
fn choose_config(device: &cpal::Device) -> Result<(SampleFormat, StreamConfig, Option<u32>)> {
    let offered = device
        .supported_input_configs()
        .map_err(|error| refusal(ErrorKind::NoDevice, "cannot be opened for recording", error))?;
    let best = offered
        .filter(|config| is_convertible(config.sample_format()))
        .max_by(|a, b| a.cmp_default_heuristics(b))
        .ok_or_else(|| Error::new(ErrorKind::Device, "it offers no sample format that is read"))?;
    let config = best
        .try_with_standard_sample_rate()
        .unwrap_or_else(|| best.with_max_sample_rate());
    let wanted = (config.sample_rate() * PERIOD_MS / 1000)
        .next_power_of_two()
        .max(SHORTEST_PERIOD_FRAMES);
    let fixed = match config.buffer_size() {
        SupportedBufferSize::Range { min, max } => {
            Some(wanted).filter(|wanted| (min..=max).contains(&wanted))
        }
        SupportedBufferSize::Unknown => None,
    };
    let stream = StreamConfig {
        channels: config.channels(),
        sample_rate: config.sample_rate(),
        buffer_size: fixed.map_or(BufferSize::Default, BufferSize::Fixed),
    };
    Ok((config.sample_format(), stream, fixed))
}

fn is_convertible(format: SampleFormat) -> bool {
    use SampleFormat::{F32, F64, I8, I16, I32, U8, U16, U32};
    matches!(format, F32 | F64 | I8 | I16 | I32 | U8 | U16 | U32)
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
) -> Result<(cpal::Stream, Reader)> {
    let (writer, reader) = ring::open(usize::from(config.channels));
    let stream = match format {
        SampleFormat::F64 => build_as::<f64>(device, config, writer),
        SampleFormat::I8 => build_as::<i8>(device, config, writer),
        SampleFormat::I16 => build_as::<i16>(device, config, writer),
        SampleFormat::I32 => build_as::<i32>(device, config, writer),
        SampleFormat::U8 => build_as::<u8>(device, config, writer),
        SampleFormat::U16 => build_as::<u16>(device, config, writer),
        SampleFormat::U32 => build_as::<u32>(device, config, writer),
        _ => build_as::<f32>(device, config, writer),
    };
    let stream =
        stream.map_err(|error| refusal(ErrorKind::Device, "cannot be opened for recording", error))?;
    Ok((stream, reader))
}

fn build_as<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut writer: Writer,
) -> std::result::Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let counters = Arc::clone(writer.counters());
    device.build_input_stream::<T, _, _>(
        config,
        move |samples, _| writer.write(samples, |sample| f32::from_sample_(sample)),
        move |error| match error.kind() {
            cpal::ErrorKind::Xrun => counters.count_xrun(),
            // Sound goes on after these two.
            cpal::ErrorKind::RealtimeDenied | cpal::ErrorKind::DeviceChanged => {}
            _ => counters.fail(),
        },
        None,
    )
}
