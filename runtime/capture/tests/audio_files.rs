//! WAV and FLAC against files that libsndfile and libFLAC wrote, against symphonia, and on broken input.
#![allow(clippy::unwrap_used)]

mod fixtures;

use fixtures::{bytes, path, sound};
use limbic_capture::files::audio::AudioReader;
use limbic_capture::{Counts, Error, ErrorKind};

fn read_all(mut reader: AudioReader) -> (Vec<f32>, Option<Error>) {
    let (mut all, mut chunk) = (Vec::new(), Vec::new());
    loop {
        match reader.next_chunk(&mut chunk) {
            Ok(Some(frames)) => {
                assert_eq!(chunk.len(), frames * reader.channels());
                all.extend_from_slice(&chunk);
            }
            Ok(None) => return (all, None),
            Err(error) => {
                assert!(
                    matches!(reader.next_chunk(&mut chunk), Ok(None)),
                    "the end follows an error"
                );
                return (all, Some(error));
            }
        }
    }
}

fn read_bytes(bytes: Vec<u8>) -> (Vec<f32>, Option<Error>) {
    match AudioReader::from_bytes("input", bytes) {
        Ok(reader) => read_all(reader),
        Err(error) => (Vec::new(), Some(error)),
    }
}

fn kind_of(bytes: Vec<u8>) -> Option<ErrorKind> {
    read_bytes(bytes).1.map(|error| error.kind())
}

/// A WAV of one `fmt ` and one `data` chunk whose header promises `data_bytes`.
fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8], data_bytes: u32) -> Vec<u8> {
    let frame_bytes = u32::from(channels) * u32::from(bits / 8);
    let mut file = b"RIFF".to_vec();
    file.extend((36_u32.wrapping_add(data_bytes)).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate.wrapping_mul(frame_bytes)).to_le_bytes());
    file.extend((frame_bytes as u16).to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(data_bytes.to_le_bytes());
    file.extend(data);
    file
}

fn pcm16(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

#[test]
fn every_sample_width_is_read_exactly() {
    for (name, rate, frames, channels, bits) in [
        ("u8.wav", 22_050, 500, 2, 8),
        ("s16.wav", 22_050, 500, 2, 16),
        ("s24.wav", 22_050, 500, 2, 24),
        ("s32.wav", 22_050, 500, 2, 32),
        ("f32.wav", 44_100, 500, 1, 24),
        ("f64.wav", 48_000, 500, 1, 24),
        ("extensible.wav", 96_000, 300, 6, 24),
        ("rf64.wav", 16_000, 300, 1, 16),
        ("mono16.flac", 16_000, 9000, 1, 16),
        ("stereo24.flac", 48_000, 5000, 2, 24),
        ("mono8.flac", 8_000, 700, 1, 8),
        ("six16.flac", 44_100, 600, 6, 16),
    ] {
        let reader = AudioReader::open(&path(name)).unwrap();
        assert_eq!(reader.sample_rate_hz(), rate, "{name}");
        assert_eq!(reader.channels(), channels, "{name}");
        assert_eq!(reader.spec().frames, Some(frames), "{name}");
        let (samples, error) = read_all(reader);
        assert!(error.is_none(), "{name}: {error:?}");
        assert_eq!(samples, sound(frames as i64, channels as i64, bits), "{name}");
    }
}

#[test]
fn symphonia_reads_the_same() {
    use symphonia::core::codecs::CodecParameters;
    use symphonia::core::codecs::audio::AudioDecoderOptions;
    use symphonia::core::formats::{FormatOptions, probe::Hint};
    use symphonia::core::io::MediaSourceStream;
    for name in [
        "u8.wav",
        "s16.wav",
        "s24.wav",
        "s32.wav",
        "f64.wav",
        "extensible.wav",
        "stereo24.flac",
        "mono8.flac",
    ] {
        let source = Box::new(std::io::Cursor::new(bytes(name)));
        let stream = MediaSourceStream::new(source, Default::default());
        let mut format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), Default::default())
            .unwrap();
        let Some(CodecParameters::Audio(parameters)) = format.tracks()[0].codec_params.clone() else {
            panic!("{name}: no sound");
        };
        let mut decoder = symphonia::default::get_codecs()
            .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
            .unwrap();
        let (mut expected, mut chunk) = (Vec::<f32>::new(), Vec::new());
        while let Some(packet) = format.next_packet().unwrap() {
            decoder
                .decode(&packet)
                .unwrap()
                .copy_to_vec_interleaved(&mut chunk);
            expected.extend_from_slice(&chunk);
        }
        let (samples, error) = read_all(AudioReader::open(&path(name)).unwrap());
        assert!(error.is_none(), "{name}: {error:?}");
        assert_eq!(samples.len(), expected.len(), "{name}");
        for (index, (ours, theirs)) in samples.iter().zip(&expected).enumerate() {
            // Both divide by a power of two; one rounding of a 32-bit sample is the most they may differ by.
            assert!(
                (ours - theirs).abs() <= 6e-8,
                "{name}: sample {index} is {ours}, symphonia says {theirs}"
            );
        }
    }
}

#[test]
fn a_truncated_wav_gives_its_samples_and_then_both_numbers() {
    let (samples, error) = read_bytes(wav(1, 1, 16_000, 16, &pcm16(&[16_384, -32_768]), 32_000));
    let error = error.unwrap();
    assert_eq!(samples, [0.5, -1.0]);
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert_eq!(
        error.counts(),
        Some(Counts {
            expected: 32_000,
            found: 4
        })
    );
    assert_eq!(
        error.to_string(),
        "input: truncated: expected 32000 bytes of samples, found 4"
    );
}

#[test]
fn a_truncated_flac_gives_its_samples_and_then_both_numbers() {
    let mut file = bytes("mono16.flac");
    file.truncate(file.len() * 3 / 4);
    let (samples, error) = read_bytes(file);
    let error = error.unwrap();
    assert_eq!(samples, sound(samples.len() as i64, 1, 16));
    assert_eq!(
        error.counts(),
        Some(Counts {
            expected: 9000,
            found: samples.len() as u64
        })
    );
    assert!(
        samples.len() >= 4096,
        "the first block is whole, {} samples came",
        samples.len()
    );
}

#[test]
fn a_flipped_bit_in_a_flac_is_found() {
    let whole = bytes("mono16.flac");
    for at in (whole.len() / 2..whole.len()).step_by(97) {
        let mut file = whole.clone();
        file[at] ^= 0x10;
        let (samples, error) = read_bytes(file);
        assert!(error.is_some(), "byte {at} of {}", whole.len());
        assert_eq!(
            samples,
            sound(samples.len() as i64, 1, 16),
            "what came before byte {at} is good"
        );
    }
}

#[test]
fn a_flac_with_a_wrong_header_is_malformed() {
    let whole = bytes("mono16.flac");
    let mut no_info = whole.clone();
    no_info[4] = 0x01;
    assert_eq!(kind_of(no_info), Some(ErrorKind::Malformed));
    let mut short_info = whole.clone();
    short_info[7] = 12;
    assert_eq!(kind_of(short_info), Some(ErrorKind::Malformed));
    let mut other_rate = whole.clone();
    other_rate[18] ^= 0x40;
    assert_eq!(kind_of(other_rate), Some(ErrorKind::Malformed));
    assert_eq!(kind_of(b"fLaC".to_vec()), Some(ErrorKind::Truncated));
    assert_eq!(
        kind_of([b"fLaX", &whole[4..]].concat()),
        Some(ErrorKind::WrongType)
    );
}

#[test]
fn empty_missing_and_foreign_files_say_so() {
    let missing = AudioReader::open(std::path::Path::new("no/such/file.wav")).unwrap_err();
    assert_eq!(
        (missing.kind(), missing.to_string()),
        (ErrorKind::NotFound, "no/such/file.wav: no such file".into())
    );
    let folder = AudioReader::open(std::path::Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
    assert_eq!(folder.kind(), ErrorKind::Unreadable);
    let empty = AudioReader::from_bytes("e.wav", Vec::new()).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::Empty);
    let picture = AudioReader::open(&path("rgb.png")).unwrap_err();
    assert_eq!(picture.kind(), ErrorKind::WrongType);
    assert!(
        picture
            .to_string()
            .contains("rgb.png: wrong type: expected a WAV or FLAC file, but this is a PNG picture")
    );
    let mp3 = AudioReader::from_bytes("a.wav", b"ID3\x04\0\0\0\0\0\0".to_vec()).unwrap_err();
    assert!(mp3.to_string().contains("MP3"), "{mp3}");
}

#[test]
fn sound_without_samples_is_told_apart_from_cut_sound() {
    assert_eq!(kind_of(wav(1, 1, 16_000, 16, &[], 0)), Some(ErrorKind::NoSamples));
    assert_eq!(
        kind_of(wav(1, 1, 16_000, 16, &[], u32::MAX)),
        Some(ErrorKind::NoSamples)
    );
    assert_eq!(
        kind_of(wav(1, 1, 16_000, 16, &[], 100)),
        Some(ErrorKind::Truncated)
    );
    assert_eq!(
        kind_of(wav(1, 1, 16_000, 16, &[], 100)[..30].to_vec()),
        Some(ErrorKind::Truncated)
    );
}

#[test]
fn a_size_left_open_by_a_pipe_reads_to_the_end() {
    for size in [u32::MAX, 0x7FFF_FFFF, 0x8000_0000 - 36] {
        let (samples, error) = read_bytes(wav(1, 1, 16_000, 16, &pcm16(&[1, 2, 3]), size));
        assert!(error.is_none() && samples.len() == 3, "{size:#x}: {error:?}");
    }
    let mut zeros = wav(1, 1, 16_000, 16, &pcm16(&[1, 2, 3]), 0);
    zeros[4..8].fill(0);
    assert_eq!(read_bytes(zeros).0.len(), 3);
}

#[test]
fn a_sample_that_is_no_number_is_named() {
    let mut values = [0.25_f32; 40];
    values[33] = f32::NAN;
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (samples, error) = read_bytes(wav(3, 2, 16_000, 32, &data, data.len() as u32));
    assert_eq!(samples.len(), 32, "the whole frames before it come first");
    assert_eq!(
        error.unwrap().to_string(),
        "input: not a finite number: sample 16 of channel 2 is NaN"
    );
    let huge = 1e300_f64.to_le_bytes();
    assert_eq!(
        kind_of(wav(3, 1, 16_000, 64, &huge, 8)),
        Some(ErrorKind::NonFinite)
    );
}

#[test]
fn headers_that_lie_are_refused_with_their_numbers() {
    for (file, kind, text) in [
        (
            wav(1, 0, 16_000, 16, &[0; 8], 8),
            ErrorKind::Malformed,
            "0 channels",
        ),
        (
            wav(1, 300, 16_000, 16, &[0; 8], 8),
            ErrorKind::Limit,
            "300 channels",
        ),
        (wav(1, 1, 0, 16, &[0; 8], 8), ErrorKind::Malformed, "0 Hz"),
        (
            wav(1, 1, 2_000_000_000, 16, &[0; 8], 8),
            ErrorKind::Unsupported,
            "2000000000 Hz",
        ),
        (
            wav(1, 1, 16_000, 12, &[0; 8], 8),
            ErrorKind::Unsupported,
            "12 bits",
        ),
        (wav(6, 1, 8_000, 8, &[0; 8], 8), ErrorKind::Unsupported, "A-law"),
        (wav(0x55, 1, 8_000, 8, &[0; 8], 8), ErrorKind::Unsupported, "MP3"),
    ] {
        let error = read_bytes(file).1.unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let mut frame = wav(1, 1, 16_000, 16, &[0; 8], 8);
    frame[32] = 3;
    assert_eq!(kind_of(frame), Some(ErrorKind::Malformed));
}

#[test]
fn chunks_before_the_samples_are_read_over_and_a_cut_frame_is_counted() {
    let plain = wav(
        1,
        1,
        16_000,
        16,
        &[&pcm16(&[100, 200]), [9].as_slice()].concat(),
        5,
    );
    let mut file = plain[..12].to_vec();
    file.extend(b"LIST\x03\0\0\0abc\0");
    file.extend(&plain[12..]);
    let mut reader = AudioReader::from_bytes("input", file).unwrap();
    let mut samples = Vec::new();
    assert_eq!(reader.next_chunk(&mut samples).unwrap(), Some(2));
    assert_eq!(reader.next_chunk(&mut samples).unwrap(), None);
    assert_eq!(reader.ignored_bytes(), 1);
}

/// Endless zeros behind a header, without a file.
struct Endless {
    header: std::io::Cursor<Vec<u8>>,
    left: u64,
}

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.header.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        let count = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        buffer[..count].fill(0);
        self.left -= count as u64;
        Ok(count)
    }
}

#[test]
fn an_hour_of_sound_passes_through_one_small_buffer() {
    let data_bytes = 3600 * 48_000 * 2 * 2_u32;
    let header = wav(1, 2, 48_000, 16, &[], data_bytes);
    let input = Endless {
        header: std::io::Cursor::new(header),
        left: data_bytes.into(),
    };
    let mut reader = AudioReader::from_reader("hour", input).unwrap();
    let (mut samples, mut largest) = (Vec::new(), 0);
    while let Some(frames) = reader.next_chunk(&mut samples).unwrap() {
        largest = largest.max(samples.capacity());
        assert!(frames <= 65_535);
    }
    assert_eq!(reader.frames_read(), 3600 * 48_000);
    assert!(largest <= 1 << 17, "{largest} samples at once");
}
