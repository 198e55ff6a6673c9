//! JPEG through `zune-jpeg` in its strict mode, with the markers surveyed before the decoder sees the file.
//!
//! The survey finds the sides before memory is taken, and a missing end marker; the walk over the coded data finds
//! damage inside. The decoder would paint over both in grey.

use super::{Decoded, check_sides, jpeg_scan, orientation};
use crate::error::{Error, ErrorKind, Result};
use crate::files::Limits;
use std::borrow::Cow;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// An Adobe segment that says: no colour transform.
const ADOBE_PLAIN: [u8; 16] = *b"\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00\x00";

/// A segment by which the decoder knows a frame of a motion JPEG and takes the Huffman tables of ITU T.81, annex K.
const MOTION: [u8; 10] = *b"\xFF\xE0\x00\x08AVI1\x00\x00";

/// Scans of a progressive picture that are decoded at most; real encoders write about ten.
const MAX_SCANS: usize = 64;

/// What the markers say.
#[derive(Debug, Clone, Copy)]
struct Survey {
    width: u32,
    height: u32,
    components: u8,
    adobe: bool,
    tables: bool,
}

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let survey = survey(bytes)?;
    check_sides(survey.width, survey.height, limits)?;
    jpeg_scan::verify(bytes)?;
    let bytes = match bytes.split_at_checked(2) {
        // Four components without a word on their meaning are read as Pillow does: CMYK, inverted.
        Some((start, rest)) if survey.components == 4 && !survey.adobe => {
            Cow::Owned([start, &ADOBE_PLAIN, rest].concat())
        }
        Some((start, rest)) if !survey.tables => Cow::Owned([start, &MOTION, rest].concat()),
        _ => Cow::Borrowed(bytes),
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&bytes[..]), options);
    decoder.decode_headers().map_err(refusal)?;
    let colours = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    let orientation = decoder.exif().map_or(1, |exif| orientation::read(exif));
    let pixels = decoder.decode().map_err(refusal)?;
    let channels = if colours == ColorSpace::Luma { 1 } else { 3 };
    Ok(Decoded {
        width: survey.width,
        height: survey.height,
        channels,
        pixels,
        orientation,
    })
}

/// Walks over the markers from the first to the end of the picture.
fn survey(bytes: &[u8]) -> Result<Survey> {
    let mut survey = None;
    let (mut adobe, mut tables) = (false, false);
    let mut at = 2;
    while let Some((marker, after)) = next_marker(bytes, at) {
        at = after;
        match marker {
            0xD9 => {
                let mut survey: Survey = survey.ok_or_else(|| {
                    Error::new(ErrorKind::Malformed, "no frame header before the end marker")
                })?;
                (survey.adobe, survey.tables) = (adobe, tables);
                return Ok(survey);
            }
            0x00 | 0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let Some(length) = bytes
            .get(at..at + 2)
            .map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
        else {
            break;
        };
        if length < 2 {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("a segment of {length} bytes at byte {at}"),
            ));
        }
        let Some(body) = bytes.get(at + 2..at + length) else {
            break;
        };
        at += length;
        match marker {
            0xC0..=0xC2 => survey = Some(read_frame_header(body)?),
            0xC4 => tables = true,
            0xC8 | 0xCC => {}
            0xC3 | 0xC5..=0xCF => {
                let detail = format!(
                    "a JPEG of coding SOF{}; read are baseline and progressive",
                    marker - 0xC0
                );
                return Err(Error::new(ErrorKind::Unsupported, detail));
            }
            0xEE => adobe |= body.starts_with(b"Adobe"),
            _ => {}
        }
    }
    let detail = format!("no end marker in the {} bytes of the JPEG", bytes.len());
    Err(Error::new(ErrorKind::Truncated, detail))
}

/// The next marker at or after `at` and the place behind it, over coded data, whose 0xFF are followed by 0x00.
pub(super) fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xFF)? + 1;
        match bytes.get(at)? {
            0x00 => at += 1,
            0xFF => {}
            &marker => return Some((marker, at + 1)),
        }
    }
}

fn read_frame_header(body: &[u8]) -> Result<Survey> {
    let &[precision, h1, h0, w1, w0, components, ..] = body else {
        return Err(Error::new(
            ErrorKind::Malformed,
            format!("a frame header of {} bytes", body.len()),
        ));
    };
    if precision != 8 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("a JPEG of {precision} bits a value, read are 8"),
        ));
    }
    let (width, height) = (
        u16::from_be_bytes([w1, w0]).into(),
        u16::from_be_bytes([h1, h0]).into(),
    );
    Ok(Survey {
        width,
        height,
        components,
        adobe: false,
        tables: false,
    })
}

fn refusal(error: DecodeErrors) -> Error {
    let kind = match &error {
        DecodeErrors::ExhaustedData => ErrorKind::Truncated,
        DecodeErrors::LargeDimensions(_) => ErrorKind::Limit,
        DecodeErrors::Unsupported(_) => ErrorKind::Unsupported,
        _ => ErrorKind::Malformed,
    };
    Error::new(
        kind,
        format!("the JPEG's data are corrupt ({error:?})").replace('\n', " "),
    )
}
