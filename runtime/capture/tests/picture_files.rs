//! PNG and JPEG against what Pillow reads from the same files, and broken input.
#![allow(clippy::unwrap_used)]

mod fixtures;

use fixtures::{bytes, path};
use limbic_capture::ErrorKind;
use limbic_capture::files::{Limits, image};
use limbic_signal::image::{Channels, Picture};

/// Width, height, channels and values that Pillow found.
fn expected(name: &str) -> (u32, u32, usize, Vec<u8>) {
    let file = bytes(&format!("{name}.pixels"));
    let line = file.iter().position(|&byte| byte == b'\n').unwrap();
    let numbers: Vec<u32> = std::str::from_utf8(&file[..line])
        .unwrap()
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    (
        numbers[0],
        numbers[1],
        numbers[2] as usize,
        file[line + 1..].to_vec(),
    )
}

/// The largest difference to Pillow's values; the shape must be equal.
fn difference(name: &str, picture: &Picture) -> u8 {
    let (width, height, channels, values) = expected(name);
    assert_eq!(
        (picture.width(), picture.height(), picture.channels().count()),
        (width, height, channels),
        "{name}"
    );
    assert_eq!(picture.pixels().len(), values.len(), "{name}");
    picture
        .pixels()
        .iter()
        .zip(&values)
        .map(|(ours, theirs)| ours.abs_diff(*theirs))
        .max()
        .unwrap()
}

fn decode(bytes: &[u8]) -> limbic_capture::Result<Picture> {
    image::decode("input", bytes, &Limits::default())
}

fn kind_of(bytes: &[u8]) -> Option<ErrorKind> {
    decode(bytes).err().map(|error| error.kind())
}

#[test]
fn png_equals_pillow() {
    for name in ["rgb", "grey", "bits1", "palette", "adam7", "grey16"] {
        let name = format!("{name}.png");
        assert_eq!(
            difference(&name, &image::open(&path(&name)).unwrap()),
            0,
            "{name}"
        );
    }
}

#[test]
fn alpha_is_composited_over_white() {
    for name in ["rgba.png", "grey_alpha.png"] {
        // Pillow composites with an intermediate rounding of its own.
        assert!(
            difference(name, &image::open(&path(name)).unwrap()) <= 1,
            "{name}"
        );
    }
    let clear = encode(
        2,
        1,
        png::ColorType::Rgba,
        png::BitDepth::Eight,
        &[10, 20, 30, 0, 10, 20, 30, 255],
    );
    assert_eq!(decode(&clear).unwrap().pixels(), [255, 255, 255, 10, 20, 30]);
}

#[test]
fn jpeg_equals_pillow_but_for_rounding() {
    // The same quantised values through another inverse transform and colour conversion, each of which rounds;
    // with halved chroma also another interpolation.
    for (name, tolerance) in [
        ("j444", 2),
        ("progressive", 2),
        ("restart", 2),
        ("jgrey", 1),
        ("cmyk", 2),
        ("turned6", 2),
        ("j420", 3),
    ] {
        let name = format!("{name}.jpg");
        let difference = difference(&name, &image::open(&path(&name)).unwrap());
        println!("{name}: {difference}");
        assert!(difference <= tolerance, "{name}: {difference}");
    }
}

#[test]
fn all_eight_orientations_stand_upright() {
    for orientation in 1..=8 {
        let name = format!("turned{orientation}.png");
        assert_eq!(
            difference(&name, &image::open(&path(&name)).unwrap()),
            0,
            "{name}"
        );
    }
}

#[test]
fn cmyk_without_adobes_word_is_read_as_with_it() {
    let with = bytes("cmyk.jpg");
    let at = with
        .windows(9)
        .position(|window| window[..2] == [0xFF, 0xEE] && window[4..] == *b"Adobe")
        .unwrap();
    let length = usize::from(u16::from_be_bytes([with[at + 2], with[at + 3]]));
    let without = [&with[..at], &with[at + 2 + length..]].concat();
    assert_eq!(decode(&without).unwrap(), decode(&with).unwrap());
}

fn encode(width: u32, height: u32, colour: png::ColorType, depth: png::BitDepth, values: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(values).unwrap();
    file
}

#[test]
fn sixteen_bits_round_to_the_nearest() {
    let values: Vec<u16> = vec![0, 128, 129, 32_767, 32_768, 65_406, 65_407, 65_535, 257];
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    let picture = decode(&encode(3, 1, png::ColorType::Rgb, png::BitDepth::Sixteen, &raw)).unwrap();
    let nearest: Vec<u8> = values
        .iter()
        .map(|&v| (f64::from(v) / 257.0).round() as u8)
        .collect();
    assert_eq!(picture.channels(), Channels::Rgb);
    assert_eq!(picture.pixels(), nearest);
}

/// A PNG that is only its signature and IHDR chunk.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let whole = encode(1, 1, png::ColorType::Rgb, png::BitDepth::Eight, &[1, 2, 3]);
    let mut header = whole[..33].to_vec();
    header[16..20].copy_from_slice(&width.to_be_bytes());
    header[20..24].copy_from_slice(&height.to_be_bytes());
    header
}

#[test]
fn a_huge_header_is_refused_by_its_numbers() {
    let error = decode(&png_header(30_000, 30_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(
        error.to_string(),
        "input: too large: 30000x30000 is 900000000 pixels, the limit is 64000000"
    );
    assert_eq!(kind_of(&png_header(u32::MAX, u32::MAX)), Some(ErrorKind::Limit));
    assert_eq!(kind_of(&png_header(0, 5)), Some(ErrorKind::Malformed));
    let mut jpeg = bytes("j444.jpg");
    let at = jpeg.windows(2).position(|window| window == [0xFF, 0xC0]).unwrap();
    jpeg[at + 5..at + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(kind_of(&jpeg), Some(ErrorKind::Limit));
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let limits = Limits {
        picture_bytes: 50,
        ..Limits::default()
    };
    let error = image::open_within(&path("rgb.png"), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("the limit is 50"), "{error}");
    let stream = image::from_reader("stdin", &bytes("rgb.png")[..], &limits).unwrap_err();
    assert_eq!(stream.kind(), ErrorKind::Limit);
}

#[test]
fn a_png_cut_anywhere_is_an_error() {
    let whole = bytes("adam7.png");
    for length in 8..whole.len() {
        let kind = kind_of(&whole[..length]);
        assert!(
            matches!(kind, Some(ErrorKind::Truncated | ErrorKind::Malformed)),
            "{length}: {kind:?}"
        );
    }
}

#[test]
fn a_png_with_a_flipped_bit_is_an_error() {
    let whole = bytes("adam7.png");
    for at in 16..whole.len() {
        let mut file = whole.clone();
        file[at] ^= 0x04;
        assert!(decode(&file).is_err(), "byte {at}");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_truncated() {
    for name in ["j444.jpg", "progressive.jpg", "cmyk.jpg"] {
        let whole = bytes(name);
        for length in 3..whole.len() {
            assert_eq!(
                kind_of(&whole[..length]),
                Some(ErrorKind::Truncated),
                "{name}, {length} bytes"
            );
        }
    }
}

#[test]
fn a_jpeg_that_ends_early_but_with_an_end_marker_is_corrupt() {
    let whole = bytes("j444.jpg");
    let data = whole
        .windows(2)
        .position(|window| window == [0xFF, 0xDA])
        .unwrap()
        + 14;
    for length in [data + 40, (data + whole.len()) / 2, whole.len() - 40] {
        let cut = [&whole[..length], [0xFF, 0xD9].as_slice()].concat();
        let kind = kind_of(&cut);
        assert!(
            matches!(kind, Some(ErrorKind::Malformed | ErrorKind::Truncated)),
            "{length}: {kind:?}"
        );
    }
}

#[test]
fn a_corrupt_jpeg_is_one_error_that_names_the_file() {
    let mut file = bytes("j420.jpg");
    let data = file.windows(2).position(|window| window == [0xFF, 0xDA]).unwrap() + 14;
    let end = file.len() - 2;
    file[data..end].fill(0xFE);
    let error = decode(&file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let text = error.to_string();
    assert!(
        text.starts_with("input: malformed: ") && !text.contains('\n'),
        "{text}"
    );
}

#[test]
fn damage_that_shifts_the_coded_data_is_found() {
    for name in ["j444.jpg", "j420.jpg", "restart.jpg", "jgrey.jpg"] {
        let whole = bytes(name);
        let data = whole
            .windows(2)
            .position(|window| window == [0xFF, 0xDA])
            .unwrap()
            + 14;
        let places: Vec<usize> = (data..whole.len() - 20).step_by(3).collect();
        let found = places.iter().filter(|&&at| {
            let mut file = whole.clone();
            file.splice(
                at..at + 4,
                [0x5A, 0xC3, 0x96, 0x3C, 0xA5, 0x0F, 0x77, 0xD1].repeat(4),
            );
            decode(&file).is_err()
        });
        let share = found.count() as f64 / places.len() as f64;
        println!("{name}: {share:.2} of {}", places.len());
        assert!(share > 0.9, "{name}: only {share:.2} of the damages were found");
    }
}

#[test]
fn other_codings_and_other_files_are_named() {
    let mut arithmetic = bytes("j444.jpg");
    let at = arithmetic
        .windows(2)
        .position(|window| window == [0xFF, 0xC0])
        .unwrap();
    arithmetic[at + 1] = 0xC9;
    let error = decode(&arithmetic).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("SOF9"), "{error}");
    for (bytes, words) in [
        (b"GIF89a\x07\0\x05\0\xF7\0\0".to_vec(), "a GIF picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), "a WebP picture"),
        (bytes("s16.wav"), "a WAV file"),
        (b"hello, world".to_vec(), "text"),
    ] {
        let error = decode(&bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(kind_of(b""), Some(ErrorKind::Empty));
}
