//! One FLAC frame: header, subframes, stereo decorrelation (RFC 9639, section 9).

use super::bits::BitReader;
use super::flac::StreamInfo;
use crate::error::{Error, ErrorKind, Result};
use std::io::Read;

/// How the two channels of a stereo frame were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stereo {
    Independent,
    LeftSide,
    SideRight,
    MidSide,
}

#[derive(Debug)]
struct FrameHeader {
    frames: usize,
    stereo: Stereo,
}

/// Decodes frames; keeps the buffers between them.
#[derive(Debug)]
pub(super) struct FrameDecoder {
    channels: Vec<Vec<i64>>,
}

/// A fault of a frame, to be placed at the frame's first byte.
fn malformed(detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, detail)
}

impl FrameDecoder {
    pub(super) fn new() -> Self {
        Self { channels: Vec::new() }
    }

    /// Appends one frame's samples, interleaved, and returns its number of samples a channel.
    pub(super) fn decode<R: Read>(
        &mut self,
        bits: &mut BitReader<R>,
        info: &StreamInfo,
        samples: &mut Vec<f32>,
    ) -> Result<usize> {
        let start = bits.position();
        self.decode_at(bits, info, samples)
            .map_err(|error| match error.kind() {
                ErrorKind::Malformed => error.in_part(&format!("the frame at byte {start}")),
                _ => error,
            })
    }

    fn decode_at<R: Read>(
        &mut self,
        bits: &mut BitReader<R>,
        info: &StreamInfo,
        samples: &mut Vec<f32>,
    ) -> Result<usize> {
        bits.start_checksums();
        let header = read_header(bits, info)?;
        self.channels.resize_with(usize::from(info.channels), Vec::new);
        for (index, channel) in self.channels.iter_mut().enumerate() {
            // A difference of two channels needs one bit more than each of them.
            let side = match header.stereo {
                Stereo::Independent => false,
                Stereo::LeftSide | Stereo::MidSide => index == 1,
                Stereo::SideRight => index == 0,
            };
            channel.clear();
            channel.resize(header.frames, 0);
            read_subframe(bits, info.bits + u32::from(side), channel)?;
        }
        bits.align();
        let (_, found) = bits.checksums();
        let expected = bits.unsigned(16)?;
        if u64::from(found) != expected {
            return Err(malformed(format!(
                "checksum {found:#06x} instead of {expected:#06x}"
            )));
        }
        if let [first, second] = self.channels.as_mut_slice() {
            decorrelate(header.stereo, first, second);
        }
        let scale = (1_u64 << (info.bits - 1)) as f32;
        samples.reserve(header.frames * self.channels.len());
        for frame in 0..header.frames {
            for channel in &self.channels {
                samples.push(channel.get(frame).copied().unwrap_or(0) as f32 / scale);
            }
        }
        Ok(header.frames)
    }
}

fn read_header<R: Read>(bits: &mut BitReader<R>, info: &StreamInfo) -> Result<FrameHeader> {
    if bits.unsigned(15)? != 0b111_1111_1111_1100 {
        return Err(malformed("no sync code"));
    }
    let _variable_block_size = bits.unsigned(1)?;
    let size_code = bits.unsigned(4)?;
    let rate_code = bits.unsigned(4)?;
    let channel_code = bits.unsigned(4)?;
    let bits_code = bits.unsigned(3)?;
    if bits.unsigned(1)? != 0 {
        return Err(malformed("a reserved header bit is set"));
    }
    skip_coded_number(bits)?;
    let frames = match size_code {
        0 => return Err(malformed("reserved block size")),
        1 => 192,
        2..=5 => 576 << (size_code - 2),
        6 => bits.unsigned(8)? + 1,
        7 => bits.unsigned(16)? + 1,
        _ => 256 << (size_code - 8),
    };
    let rate = match rate_code {
        0 => u64::from(info.sample_rate_hz),
        1 => 88_200,
        2 => 176_400,
        3 => 192_000,
        4 => 8_000,
        5 => 16_000,
        6 => 22_050,
        7 => 24_000,
        8 => 32_000,
        9 => 44_100,
        10 => 48_000,
        11 => 96_000,
        12 => bits.unsigned(8)? * 1000,
        13 => bits.unsigned(16)?,
        14 => bits.unsigned(16)? * 10,
        _ => return Err(malformed("forbidden sample rate")),
    };
    let (channels, stereo) = match channel_code {
        0..=7 => (channel_code + 1, Stereo::Independent),
        8 => (2, Stereo::LeftSide),
        9 => (2, Stereo::SideRight),
        10 => (2, Stereo::MidSide),
        _ => return Err(malformed("reserved channel assignment")),
    };
    let width = match bits_code {
        0 => info.bits,
        1 => 8,
        2 => 12,
        4 => 16,
        5 => 20,
        6 => 24,
        7 => 32,
        _ => return Err(malformed("reserved sample width")),
    };
    let (found, _) = bits.checksums();
    let expected = bits.unsigned(8)?;
    if u64::from(found) != expected {
        return Err(malformed(format!(
            "header checksum {found:#04x} instead of {expected:#04x}"
        )));
    }
    let said = [
        u64::from(info.sample_rate_hz),
        info.channels.into(),
        info.bits.into(),
    ];
    let names = ["Hz", "channels", "bits"];
    for ((found, said), name) in [rate, channels, width.into()].into_iter().zip(said).zip(names) {
        if found != said {
            return Err(malformed(format!("{found} {name} where STREAMINFO says {said}")));
        }
    }
    let frames = frames as usize;
    if frames > info.max_block_frames {
        return Err(malformed(format!(
            "{frames} samples where STREAMINFO says at most {}",
            info.max_block_frames
        )));
    }
    Ok(FrameHeader { frames, stereo })
}

/// Reads over the frame or sample number, which is coded as an extended UTF-8 character of up to seven bytes.
fn skip_coded_number<R: Read>(bits: &mut BitReader<R>) -> Result<()> {
    let first = bits.unsigned(8)? as u8;
    let following = match first.leading_ones() {
        0 => 0,
        ones @ 2..=7 => ones - 1,
        _ => return Err(malformed("a frame number that is not coded as it must be")),
    };
    for _ in 0..following {
        if bits.unsigned(8)? >> 6 != 0b10 {
            return Err(malformed("a frame number that is not coded as it must be"));
        }
    }
    Ok(())
}

fn read_subframe<R: Read>(bits: &mut BitReader<R>, width: u32, channel: &mut [i64]) -> Result<()> {
    if bits.unsigned(1)? != 0 {
        return Err(malformed("a reserved subframe bit is set"));
    }
    let kind = bits.unsigned(6)? as usize;
    let wasted = if bits.unsigned(1)? == 1 {
        bits.unary()? + 1
    } else {
        0
    };
    if wasted >= u64::from(width) {
        return Err(malformed(format!("{wasted} wasted bits of {width}")));
    }
    let wasted = wasted as u32;
    let width = width - wasted;
    match kind {
        0 => channel.fill(bits.signed(width)?),
        1 => read_verbatim(bits, width, channel)?,
        8..=12 => {
            const FIXED: [&[i64]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];
            let weights = FIXED.get(kind - 8).copied().unwrap_or_default();
            read_verbatim(bits, width, warm_up(channel, weights.len())?)?;
            read_residual(bits, weights.len(), channel)?;
            predict(weights, 0, width, channel)?;
        }
        32..=63 => read_linear(bits, kind - 31, width, channel)?,
        _ => return Err(malformed("reserved subframe type")),
    }
    for sample in channel.iter_mut() {
        *sample <<= wasted;
    }
    Ok(())
}

/// The first `order` samples, which are stored as they are.
fn warm_up(channel: &mut [i64], order: usize) -> Result<&mut [i64]> {
    let length = channel.len();
    channel.get_mut(..order).ok_or_else(|| {
        malformed(format!(
            "a predictor of order {order} for a block of {length} samples"
        ))
    })
}

fn read_verbatim<R: Read>(bits: &mut BitReader<R>, width: u32, samples: &mut [i64]) -> Result<()> {
    for sample in samples {
        *sample = bits.signed(width)?;
    }
    Ok(())
}

fn read_linear<R: Read>(
    bits: &mut BitReader<R>,
    order: usize,
    width: u32,
    channel: &mut [i64],
) -> Result<()> {
    read_verbatim(bits, width, warm_up(channel, order)?)?;
    let precision = bits.unsigned(4)? as u32 + 1;
    if precision > 15 {
        return Err(malformed("forbidden coefficient precision"));
    }
    let shift = bits.signed(5)?;
    let shift = u32::try_from(shift).map_err(|_| malformed(format!("a negative shift of {shift}")))?;
    let mut weights = [0; 32];
    let weights = weights.get_mut(..order).unwrap_or_default();
    read_verbatim(bits, precision, weights)?;
    read_residual(bits, order, channel)?;
    predict(weights, shift, width, channel)
}

/// Reads the residual of the samples after the first `order` into their places.
fn read_residual<R: Read>(bits: &mut BitReader<R>, order: usize, channel: &mut [i64]) -> Result<()> {
    let parameter_bits = match bits.unsigned(2)? {
        0 => 4,
        1 => 5,
        _ => return Err(malformed("reserved residual coding")),
    };
    let partition_order = bits.unsigned(4)?;
    let partitions = 1 << partition_order;
    let length = channel.len();
    let partition_frames = length / partitions;
    if !length.is_multiple_of(partitions) || partition_frames < order {
        return Err(malformed(format!(
            "{length} samples cut into {partitions} parts at order {order}"
        )));
    }
    let escape = (1 << parameter_bits) - 1;
    let mut rest = channel.get_mut(order..).unwrap_or_default();
    for partition in 0..partitions {
        let count = if partition == 0 {
            partition_frames - order
        } else {
            partition_frames
        };
        let (part, after) = rest.split_at_mut(count.min(rest.len()));
        rest = after;
        let parameter = bits.unsigned(parameter_bits)? as u32;
        if parameter == escape {
            let width = bits.unsigned(5)? as u32;
            read_verbatim(bits, width, part)?;
            continue;
        }
        for sample in part {
            let high = bits.unary()?;
            let folded = high << parameter | bits.unsigned(parameter)?;
            if high > u64::from(u32::MAX) >> parameter {
                return Err(malformed("a residual beyond 32 bits"));
            }
            *sample = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        }
    }
    Ok(())
}

/// Adds the prediction from the samples before (`weights[0]` is for the nearest) to each residual.
///
/// With samples of at most 33 bits, weights of 15 and an order of 32 the sum stays below 2^53.
fn predict(weights: &[i64], shift: u32, width: u32, channel: &mut [i64]) -> Result<()> {
    let limit = 1_i64 << (width - 1);
    for index in weights.len()..channel.len() {
        let (before, from) = channel.split_at_mut(index);
        let sum: i64 = weights
            .iter()
            .zip(before.iter().rev())
            .map(|(weight, sample)| weight * sample)
            .sum();
        let Some(sample) = from.first_mut() else { break };
        *sample += sum >> shift;
        if *sample < -limit || *sample >= limit {
            return Err(malformed(format!(
                "sample {index} of the block does not fit {width} bits"
            )));
        }
    }
    Ok(())
}

fn decorrelate(stereo: Stereo, first: &mut [i64], second: &mut [i64]) {
    for (first, second) in first.iter_mut().zip(second) {
        match stereo {
            Stereo::Independent => return,
            Stereo::LeftSide => *second = *first - *second,
            Stereo::SideRight => *first += *second,
            Stereo::MidSide => {
                let double_mid = *first << 1 | (*second & 1);
                (*first, *second) = ((double_mid + *second) >> 1, (double_mid - *second) >> 1);
            }
        }
    }
}
