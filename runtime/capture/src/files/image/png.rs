//! PNG through the `png` crate, with the header checked before the decoder sees the file.

use super::{Decoded, check_sides, orientation};
use crate::error::{Error, ErrorKind, Result};
use crate::files::Limits;
use png::{BitDepth, ColorType, DecodingError, Transformations};
use std::io::Cursor;

/// Bytes of signature and IHDR chunk up to its end.
const HEADER_BYTES: usize = 33;

/// What the decoder may allocate beside the pixels: ancillary chunks and a few rows.
const SCRATCH_BYTES: usize = 16 << 20;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let (width, height) = read_sides(bytes)?;
    check_sides(width, height, limits)?;
    let row_bytes = width as usize * 8;
    let scratch = png::Limits {
        bytes: SCRATCH_BYTES + 4 * row_bytes,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), scratch);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(refusal)?;
    let (colour, depth) = reader.output_color_type();
    let values = width as usize * height as usize * colour.samples();
    let size = reader
        .output_buffer_size()
        .filter(|&size| size == values * if depth == BitDepth::Sixteen { 2 } else { 1 })
        .ok_or_else(|| Error::new(ErrorKind::Malformed, "rows of an unexpected length"))?;
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(refusal)?;
    // The orientation may stand behind the pixels.
    reader.finish().map_err(refusal)?;
    let orientation = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(1, orientation::read);
    if depth == BitDepth::Sixteen {
        pixels = to_eight_bits(&pixels);
    }
    let channels = match colour {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgba => 4,
        ColorType::Rgb | ColorType::Indexed => 3,
    };
    Ok(Decoded {
        width,
        height,
        channels,
        pixels,
        orientation,
    })
}

/// Width and height from the IHDR chunk, which comes first.
fn read_sides(bytes: &[u8]) -> Result<(u32, u32)> {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_be_bytes)
    };
    let truncated = || {
        Error::counted(
            ErrorKind::Truncated,
            HEADER_BYTES as u64,
            bytes.len() as u64,
            "bytes of header",
        )
    };
    if bytes.get(12..16).is_some_and(|name| name != b"IHDR") {
        return Err(Error::new(
            ErrorKind::Malformed,
            "the first chunk of the PNG is not IHDR",
        ));
    }
    let (width, height) = word(16).zip(word(20)).ok_or_else(truncated)?;
    Ok((width, height))
}

/// Big-endian 16-bit values to the nearest 8-bit ones.
fn to_eight_bits(pixels: &[u8]) -> Vec<u8> {
    let nearest = |&pair: &[u8; 2]| ((u32::from(u16::from_be_bytes(pair)) * 255 + 32_767) / 65_535) as u8;
    pixels.as_chunks().0.iter().map(nearest).collect()
}

fn refusal(error: DecodingError) -> Error {
    let kind = match &error {
        DecodingError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => ErrorKind::Truncated,
        DecodingError::IoError(_) => ErrorKind::Unreadable,
        DecodingError::LimitsExceeded => ErrorKind::Limit,
        _ => ErrorKind::Malformed,
    };
    let detail = match kind {
        ErrorKind::Truncated => "the PNG ends before its last chunk".to_owned(),
        _ => error.to_string(),
    };
    Error::new(kind, detail).because(error)
}
