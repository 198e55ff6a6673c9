//! Frames to pictures.

use super::{FrameFormat, PixelLayout, broken_frame};
use crate::error::Result;
use crate::files::Limits;
use limbic_signal::image::{Channels, Picture};

/// Converts one frame; `pixels` is a buffer to use again.
///
/// - MJPEG becomes grey or RGB by the decoder of picture files; missing Huffman tables are those of ITU T.81, annex K.
/// - YUYV becomes RGB by ITU-R BT.601 with limited range, rounded and clamped to 0..=255:
///   `R = 1.164384 (Y - 16) + 1.596027 (V - 128)`,
///   `G = 1.164384 (Y - 16) - 0.391762 (U - 128) - 0.812968 (V - 128)`,
///   `B = 1.164384 (Y - 16) + 2.017232 (U - 128)`. Both pixels of a pair have the same U and V; the last pixel of an
///   odd row has those of its own half pair.
/// - Grey stays as it is.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`] when the frame is shorter than its format says, or the JPEG's own error.
pub fn to_picture(format: &FrameFormat, frame: &[u8], mut pixels: Vec<u8>) -> Result<Picture> {
    if format.layout == PixelLayout::Mjpeg {
        return crate::files::image::decode_frame(frame, &Limits::default());
    }
    let width = format.width as usize;
    let (row_bytes, channels) = match format.layout {
        PixelLayout::Grey => (width, Channels::Grey),
        _ => (width.div_ceil(2) * 4, Channels::Rgb),
    };
    pixels.clear();
    for row in 0..format.height as usize {
        let start = row * format.row_bytes;
        let row = frame.get(start..start + row_bytes).ok_or_else(|| {
            broken_frame(format!(
                "a frame of {} bytes ends in row {row} of {}",
                frame.len(),
                format.height
            ))
        })?;
        match format.layout {
            PixelLayout::Grey => pixels.extend_from_slice(row),
            _ => yuyv_row(row, width, &mut pixels),
        }
    }
    Picture::new(format.width, format.height, channels, pixels).map_err(|error| {
        broken_frame(format!("a frame of {}x{} pixels", format.width, format.height)).because(error)
    })
}

/// Weights of BT.601 in 16.16 fixed point.
const LUMA: i32 = 76_309;
const RED_V: i32 = 104_597;
const GREEN_U: i32 = 25_675;
const GREEN_V: i32 = 53_279;
const BLUE_U: i32 = 132_201;

fn yuyv_row(row: &[u8], width: usize, pixels: &mut Vec<u8>) {
    let mut left = width;
    for &[y0, u, y1, v] in row.as_chunks().0 {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        for y in [y0, y1].into_iter().take(left) {
            let luma = LUMA * (i32::from(y) - 16) + (1 << 15);
            for value in [
                luma + RED_V * v,
                luma - GREEN_U * u - GREEN_V * v,
                luma + BLUE_U * u,
            ] {
                pixels.push((value >> 16).clamp(0, 255) as u8);
            }
        }
        left = left.saturating_sub(2);
    }
}
