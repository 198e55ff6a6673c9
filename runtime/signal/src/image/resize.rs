//! Antialiased resizing, bit for bit as Pillow.

use super::picture::{Picture, PictureView};
use super::{ResizeFilter, ResizeParams};
use crate::{Error, ErrorKind, Result};

/// Longest side of a resized picture, in pixels.
pub const MAX_RESIZED_SIDE: u32 = 4096;

/// Longest side of a picture to resize, in pixels; keeps sums of rounded weights within an `i32`.
pub const MAX_INPUT_SIDE: u32 = 1 << 20;

/// Fraction bits of a weight: 8 bits of value, two bits of head room and 22 of fraction fill an `i32`.
const PRECISION_BITS: u32 = 22;

/// Resizes to `width` x `height`; the aspect ratio is not kept.
///
/// A triangle filter whose support grows with the reduction, with weights rounded to 22 fraction bits, along rows and
/// then along columns, each pass rounded to 8 bits and left out where the side does not change: bit for bit
/// `resize((width, height), BILINEAR)` of Pillow 13. As there, columns come first when the height shrinks by more than
/// twice as many pixels as the width (Pillow before 13 always took rows first, which rounds some values differently).
///
/// Memory: the result and the picture between the two passes; that order keeps either within the larger of input and
/// result.
///
/// # Errors
/// [`ErrorKind::Parameter`] when a side is not in `1..=`[`MAX_RESIZED_SIDE`]; [`ErrorKind::Limit`] when a side of the
/// input exceeds [`MAX_INPUT_SIDE`].
#[inline(never)]
pub fn resize(view: PictureView<'_>, params: &ResizeParams) -> Result<Picture> {
    let ResizeFilter::BilinearAntialiasPil = params.filter;
    let ResizeParams { width, height, .. } = *params;
    for (subject, side) in [("resize@1 width", width), ("resize@1 height", height)] {
        if !(1..=MAX_RESIZED_SIDE).contains(&side) {
            return Err(Error::new(
                ErrorKind::Parameter,
                subject,
                format!("1 to {MAX_RESIZED_SIDE}"),
                side,
            ));
        }
    }
    let longest = view.width().max(view.height());
    if longest > MAX_INPUT_SIDE {
        return Err(Error::new(
            ErrorKind::Limit,
            "resize@1 input side",
            format!("at most {MAX_INPUT_SIDE}"),
            longest,
        ));
    }
    let shrink = |from: u32, to: u32| i64::from(from) - i64::from(to);
    let (narrower, lower) = (shrink(view.width(), width), shrink(view.height(), height));
    if lower > 0 && lower > 2 * narrower {
        let between = resize_columns(view, height);
        Ok(resize_rows(between.view(), width))
    } else {
        let between = resize_rows(view, width);
        Ok(resize_columns(between.view(), height))
    }
}

/// Weights of one output pixel over consecutive input pixels.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The taps of every output pixel of one axis.
fn taps(input: u32, output: u32) -> Vec<Taps> {
    let scale = f64::from(input) / f64::from(output);
    // The filter never gets narrower than a pixel: enlarging interpolates, reducing averages.
    let support = scale.max(1.0);
    let inverse = 1.0 / support;
    (0..output)
        .map(|index| {
            let centre = (f64::from(index) + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as u32;
            let end = ((centre + support + 0.5) as u32).min(input);
            let raw: Vec<f64> = (first..end)
                .map(|at| triangle((f64::from(at) - centre + 0.5) * inverse))
                .collect();
            let total: f64 = raw.iter().sum();
            let weights = raw
                .iter()
                .map(|&weight| {
                    let share = if total == 0.0 { weight } else { weight / total };
                    (0.5 + share * f64::from(1u32 << PRECISION_BITS)) as i32
                })
                .collect();
            Taps {
                first: first as usize,
                weights,
            }
        })
        .collect()
}

fn triangle(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 { 1.0 - x } else { 0.0 }
}

/// Half of the last place kept, so that the shift of [`to_byte`] rounds half up.
const ROUNDING: i32 = 1 << (PRECISION_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

fn resize_rows(view: PictureView<'_>, width: u32) -> Picture {
    if width == view.width() {
        return view.to_picture();
    }
    let taps = taps(view.width(), width);
    let count = view.channels().count();
    let mut pixels = Vec::with_capacity(width as usize * view.height() as usize * count);
    for row in view.rows() {
        for Taps { first, weights } in &taps {
            let inputs = row.get(first * count..).unwrap_or_default();
            for channel in 0..count {
                let values = inputs.iter().skip(channel).step_by(count);
                let sum: i32 = weights
                    .iter()
                    .zip(values)
                    .map(|(&weight, &value)| weight * i32::from(value))
                    .sum();
                pixels.push(to_byte(ROUNDING + sum));
            }
        }
    }
    Picture::from_parts(width, view.height(), view.channels(), pixels)
}

fn resize_columns(view: PictureView<'_>, height: u32) -> Picture {
    if height == view.height() {
        return view.to_picture();
    }
    let rows: Vec<&[u8]> = view.rows().collect();
    let row_len = view.width() as usize * view.channels().count();
    let mut pixels = Vec::with_capacity(height as usize * row_len);
    let mut sums = vec![0; row_len];
    for Taps { first, weights } in taps(view.height(), height) {
        sums.fill(ROUNDING);
        for (weight, row) in weights.iter().zip(rows.iter().skip(first)) {
            for (sum, &value) in sums.iter_mut().zip(*row) {
                *sum += weight * i32::from(value);
            }
        }
        pixels.extend(sums.iter().map(|&sum| to_byte(sum)));
    }
    Picture::from_parts(view.width(), height, view.channels(), pixels)
}
