//! Picture files: PNG and JPEG.
//!
//! The result is always an upright 8-bit [`Picture`], grey or RGB, by these rules:
//! - **Upright**: the EXIF orientation is applied, all eight of them, in both formats.
//! - **Grey stays grey**, a palette becomes RGB, grey of 1, 2 and 4 bits is spread over 0..=255.
//! - **16 bits** become 8 by rounding to the nearest: `(v * 255 + 32767) / 65535`.
//! - **Alpha**, also that of a palette or a transparent colour, is composited over white in stored values, after the
//!   reduction to 8 bits: `(v * a + 255 * (255 - a) + 127) / 255`.
//! - **CMYK and YCCK JPEG** are taken as stored inverted, as Adobe's and Pillow's writers do: `R = C * K / 255`,
//!   rounded, and so on.
//! - Colour profiles and gamma are not applied; an animated PNG gives its default picture.

mod jpeg;
mod jpeg_scan;
mod orientation;
mod png;

use super::{FileKind, Limits, check_size, read_bounded};
use crate::error::{Error, ErrorKind, Result};
use limbic_signal::image::{Channels, Picture};
use std::io::Read;
use std::path::Path;

/// Pixels as a decoder gives them: 8 bits, interleaved, 1 to 4 channels (grey, grey and alpha, RGB, RGB and alpha).
struct Decoded {
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<u8>,
    /// EXIF orientation, 1..=8.
    orientation: u16,
}

/// Reads the picture at `path` within the default [`Limits`].
///
/// # Errors
/// As [`decode`], and when the file is missing or cannot be read.
pub fn open(path: &Path) -> Result<Picture> {
    open_within(path, &Limits::default())
}

/// Reads the picture at `path`.
///
/// # Errors
/// As [`decode`], and when the file is missing or cannot be read.
pub fn open_within(path: &Path, limits: &Limits) -> Result<Picture> {
    let name = path.display().to_string();
    let file = super::open(path)?;
    let bytes = file.metadata().map_err(|error| Error::io(error).of(&name))?.len();
    check_size(bytes, limits.picture_bytes).map_err(|error| error.of(&name))?;
    from_reader(&name, file, limits)
}

/// Reads a picture from a stream such as standard input; `name` is what errors call the input.
///
/// # Errors
/// As [`decode`], and when the stream cannot be read.
pub fn from_reader(name: &str, reader: impl Read, limits: &Limits) -> Result<Picture> {
    let bytes = read_bounded(reader, limits.picture_bytes).map_err(|error| error.of(name))?;
    decode(name, &bytes, limits)
}

/// Decodes a PNG or JPEG; `name` is what errors call the input.
///
/// # Errors
/// [`ErrorKind::Empty`], [`ErrorKind::WrongType`] (naming what the bytes look like), [`ErrorKind::Limit`] before any
/// pixel is allocated, [`ErrorKind::Truncated`], [`ErrorKind::Malformed`], or [`ErrorKind::Unsupported`] for rare JPEG
/// codings (arithmetic, lossless, 12 bits).
pub fn decode(name: &str, bytes: &[u8], limits: &Limits) -> Result<Picture> {
    decode_unnamed(bytes, limits).map_err(|error| error.of(name))
}

/// Decodes one frame of a motion JPEG.
#[cfg(all(feature = "camera", target_os = "linux"))]
pub(crate) fn decode_frame(bytes: &[u8], limits: &Limits) -> Result<Picture> {
    match FileKind::of(bytes) {
        FileKind::Jpeg => decode_unnamed(bytes, limits),
        other => Err(other.refuse("a JPEG frame")),
    }
}

fn decode_unnamed(bytes: &[u8], limits: &Limits) -> Result<Picture> {
    check_size(bytes.len() as u64, limits.picture_bytes)?;
    let decoded = match FileKind::of(bytes) {
        FileKind::Png => png::decode(bytes, limits)?,
        FileKind::Jpeg => jpeg::decode(bytes, limits)?,
        other => return Err(other.refuse("a PNG or JPEG picture")),
    };
    let (channels, pixels) = match decoded.channels {
        1 => (Channels::Grey, decoded.pixels),
        2 => (Channels::Grey, over_white::<2>(&decoded.pixels)),
        4 => (Channels::Rgb, over_white::<4>(&decoded.pixels)),
        _ => (Channels::Rgb, decoded.pixels),
    };
    let (width, height, pixels) = orientation::apply(
        decoded.orientation,
        decoded.width,
        decoded.height,
        channels.count(),
        pixels,
    );
    Picture::new(width, height, channels, pixels).map_err(|error| {
        Error::new(ErrorKind::Malformed, "the decoder gave another number of pixels").because(error)
    })
}

/// Refuses sides of zero and pictures beyond the limit.
fn check_sides(width: u32, height: u32, limits: &Limits) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("a picture of {width}x{height} pixels"),
        ));
    }
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.picture_pixels {
        let limit = limits.picture_pixels;
        return Err(Error::limit(
            limit,
            pixels,
            format!("{width}x{height} is {pixels} pixels, the limit is {limit}"),
        ));
    }
    Ok(())
}

/// Drops the last of `N` channels, the alpha, by compositing over white.
fn over_white<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let mut opaque = Vec::with_capacity(pixels.len() / N * (N - 1));
    for pixel in pixels.as_chunks::<N>().0 {
        let [colours @ .., alpha] = pixel.as_slice() else {
            continue;
        };
        let alpha = u32::from(*alpha);
        opaque.extend(
            colours
                .iter()
                .map(|&v| ((u32::from(v) * alpha + 255 * (255 - alpha) + 127) / 255) as u8),
        );
    }
    opaque
}
