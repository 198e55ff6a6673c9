//! FLAC streams that a small encoder of the test's own writes: every width, block size, stereo mode and subframe, and
//! damaged streams whose checksums are right.
#![allow(clippy::unwrap_used)]

use limbic_capture::ErrorKind;
use limbic_capture::files::audio::AudioReader;
use proptest::prelude::*;

/// Bits, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: i64, count: u32) {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let place = 7 - self.used % 8;
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << place;
            self.used += 1;
        }
    }

    fn align(&mut self) {
        self.used = self.used.next_multiple_of(8);
    }
}

/// A checksum bit by bit, with the polynomial written out.
fn crc(bytes: &[u8], width: u32, polynomial: u32) -> i64 {
    let top = 1 << (width - 1);
    let mask = (top << 1) - 1;
    let sum = bytes.iter().fold(0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte) << (width - 8), |sum, _| {
            if sum & top == 0 {
                sum << 1
            } else {
                sum << 1 ^ polynomial
            }
        }) & mask
    });
    i64::from(sum)
}

#[derive(Debug, Clone, Copy)]
enum Subframe {
    Verbatim,
    /// A fixed predictor of this order with Rice parameter.
    Fixed(usize, u32),
    /// A linear predictor whose only weight repeats the sample before, halved, with escaped residuals.
    Linear,
}

#[derive(Debug, Clone)]
struct Stream {
    channels: Vec<Vec<i64>>,
    width: u32,
    /// Channel assignment as in the frame header.
    assignment: i64,
    subframe: Subframe,
    block: usize,
}

fn residual_rice(bits: &mut Bits, residuals: &[i64], parameter: u32) {
    bits.put(1, 2);
    bits.put(0, 4);
    bits.put(parameter.into(), 5);
    for &residual in residuals {
        let folded = if residual < 0 {
            -2 * residual - 1
        } else {
            2 * residual
        };
        for _ in 0..folded >> parameter {
            bits.put(0, 1);
        }
        bits.put(1, 1);
        bits.put(folded, parameter);
    }
}

fn subframe(bits: &mut Bits, samples: &[i64], width: u32, kind: Subframe) {
    bits.put(0, 1);
    // Samples whose low bits are all zero are stored without them.
    let wasted = samples
        .iter()
        .fold(0, |all, sample| all | sample)
        .trailing_zeros();
    let wasted = if samples.iter().all(|&sample| sample == 0) {
        0
    } else {
        wasted.min(width - 1)
    };
    let put_kind = |bits: &mut Bits, kind: i64| {
        bits.put(kind, 6);
        bits.put(i64::from(wasted > 0), 1);
        if wasted > 0 {
            bits.put(1, wasted);
        }
    };
    let samples: Vec<i64> = samples.iter().map(|sample| sample >> wasted).collect();
    let width = width - wasted;
    if samples.windows(2).all(|pair| pair[0] == pair[1]) {
        put_kind(bits, 0);
        return bits.put(samples[0], width);
    }
    match kind {
        Subframe::Fixed(order, parameter) if order < samples.len() => {
            let mut residuals = samples.clone();
            for _ in 0..order {
                residuals = residuals.windows(2).map(|pair| pair[1] - pair[0]).collect();
            }
            let largest = residuals.iter().map(|value| value.abs()).max().unwrap_or(0);
            // A residual has at most 32 bits (RFC 9639, section 9.2.7.3).
            if largest < 1 << 31 && largest >> parameter < 2000 {
                put_kind(bits, 8 + order as i64);
                samples[..order]
                    .iter()
                    .for_each(|&sample| bits.put(sample, width));
                return residual_rice(bits, &residuals, parameter);
            }
        }
        Subframe::Linear if width <= 25 => {
            put_kind(bits, 32);
            bits.put(samples[0], width);
            bits.put(4, 4);
            bits.put(1, 5);
            bits.put(1, 5);
            bits.put(0, 2);
            bits.put(0, 4);
            bits.put(15, 4);
            bits.put(width as i64 + 2, 5);
            return samples
                .windows(2)
                .for_each(|pair| bits.put(pair[1] - (pair[0] >> 1), width + 2));
        }
        _ => {}
    }
    put_kind(bits, 1);
    samples.iter().for_each(|&sample| bits.put(sample, width));
}

fn frame(stream: &Stream, number: usize, range: std::ops::Range<usize>) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0b11_1111_1111_1110, 14);
    bits.put(0, 2);
    bits.put(7, 4);
    bits.put(0, 4);
    bits.put(stream.assignment, 4);
    bits.put(0, 4);
    assert!(number < 128, "a one-byte frame number");
    bits.put(number as i64, 8);
    bits.put(range.len() as i64 - 1, 16);
    let sum = crc(&bits.bytes, 8, 0x07);
    bits.put(sum, 8);
    let channels: Vec<Vec<i64>> = stream
        .channels
        .iter()
        .map(|samples| samples[range.clone()].to_vec())
        .collect();
    let pairs = || channels[0].iter().zip(&channels[1]);
    let side: Vec<i64> = if stream.assignment > 7 {
        pairs().map(|(l, r)| l - r).collect()
    } else {
        Vec::new()
    };
    let width = stream.width;
    let stored = match stream.assignment {
        8 => vec![(channels[0].clone(), width), (side, width + 1)],
        9 => vec![(side, width + 1), (channels[1].clone(), width)],
        10 => vec![
            (pairs().map(|(l, r)| (l + r) >> 1).collect(), width),
            (side, width + 1),
        ],
        _ => channels.into_iter().map(|samples| (samples, width)).collect(),
    };
    for (samples, width) in stored {
        subframe(&mut bits, &samples, width, stream.subframe);
    }
    bits.align();
    let sum = crc(&bits.bytes, 16, 0x8005);
    bits.put(sum, 16);
    bits.bytes
}

/// The header and the frames, apart.
fn encode(stream: &Stream) -> (Vec<u8>, Vec<Vec<u8>>) {
    let total = stream.channels[0].len();
    let mut bits = Bits::default();
    bits.put(i64::from(u32::from_be_bytes(*b"fLaC")), 32);
    bits.put(0x80, 8);
    bits.put(34, 24);
    bits.put(stream.block as i64, 16);
    bits.put(stream.block as i64, 16);
    bits.put(0, 48);
    bits.put(44_100, 20);
    bits.put(stream.channels.len() as i64 - 1, 3);
    bits.put(i64::from(stream.width) - 1, 5);
    bits.put(total as i64, 36);
    (0..4).for_each(|_| bits.put(0, 32));
    let blocks = (0..total).step_by(stream.block).enumerate();
    let frames = blocks
        .map(|(n, at)| frame(stream, n, at..total.min(at + stream.block)))
        .collect();
    (bits.bytes, frames)
}

fn read(bytes: Vec<u8>) -> (Vec<f32>, Option<limbic_capture::Error>) {
    let (mut all, mut chunk) = (Vec::new(), Vec::new());
    let mut reader = match AudioReader::from_bytes("stream", bytes) {
        Ok(reader) => reader,
        Err(error) => return (all, Some(error)),
    };
    loop {
        match reader.next_chunk(&mut chunk) {
            Ok(Some(_)) => all.extend_from_slice(&chunk),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

fn streams() -> impl Strategy<Value = Stream> {
    let kinds = prop_oneof![
        Just(Subframe::Verbatim),
        Just(Subframe::Linear),
        (0..=4_usize, 0..=30_u32).prop_map(|(order, parameter)| Subframe::Fixed(order, parameter)),
    ];
    (
        4..=32_u32,
        0..=10_i64,
        kinds,
        16..100_usize,
        1..300_usize,
        0..12_u32,
    )
        .prop_flat_map(|(width, assignment, subframe, block, frames, quiet)| {
            let channels = if assignment > 7 {
                2
            } else {
                assignment as usize + 1
            };
            let limit = 1_i64 << (width - 1);
            let quiet = quiet.min(width - 2);
            let samples = prop::collection::vec(
                prop_oneof![
                    4 => -(limit >> quiet)..limit >> quiet,
                    1 => Just(-limit),
                    1 => Just(limit - 1),
                ],
                frames,
            );
            prop::collection::vec(samples, channels).prop_map(move |channels| Stream {
                channels,
                width,
                assignment,
                subframe,
                block,
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_stream_is_read_back_exactly(stream in streams()) {
        let (mut file, frames) = encode(&stream);
        file.extend(frames.concat());
        let (samples, error) = read(file);
        prop_assert!(error.is_none(), "{error:?}");
        let scale = (1_u64 << (stream.width - 1)) as f32;
        let expected: Vec<f32> = (0..stream.channels[0].len())
            .flat_map(|frame| stream.channels.iter().map(move |channel| channel[frame] as f32 / scale))
            .collect();
        prop_assert_eq!(samples, expected);
    }

    #[test]
    fn damage_behind_right_checksums_is_an_error_or_sound(
        stream in streams(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mut file, mut frames) = encode(&stream);
        for frame in &mut frames {
            let end = frame.len() - 2;
            for (at, value) in &changes {
                let at = 8.min(end - 1) + at.index(end.saturating_sub(8).max(1));
                frame[at.min(end - 1)] = *value;
            }
            let header = crc(&frame[..7], 8, 0x07) as u8;
            frame[7] = header;
            let sum = crc(&frame[..end], 16, 0x8005) as u16;
            frame[end..].copy_from_slice(&sum.to_be_bytes());
            file.extend_from_slice(frame);
        }
        let (samples, error) = read(file);
        let total = stream.channels[0].len() * stream.channels.len();
        prop_assert!(samples.len() == total || error.is_some());
        prop_assert!(samples.iter().all(|sample| sample.abs() <= 4.0));
        if let Some(error) = error {
            prop_assert!(matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Truncated), "{error}");
        }
    }
}
