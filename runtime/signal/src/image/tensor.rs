//! Pictures as tensors: scaling and the order of axes.

use super::picture::{Channels, PictureView, buffer_len};
use super::{LayoutParams, PixelOrder, ScaleParams, StandardiseParams};
use crate::{Error, ErrorKind, Result};

/// A picture of `f32` values, row-major, channels interleaved.
///
/// **Shape** `[height, width, channels]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureTensor {
    width: u32,
    height: u32,
    channels: Channels,
    values: Vec<f32>,
}

/// Turns 8-bit values into `f32`, `0.0..=255.0`, unscaled.
///
/// # Errors
/// [`ErrorKind::Limit`] when the values do not fit the address space.
#[inline(never)]
pub fn to_tensor(view: PictureView<'_>) -> Result<PictureTensor> {
    let (width, height, channels) = (view.width(), view.height(), view.channels());
    let len = buffer_len(width, height, channels)
        .filter(|len| {
            len.checked_mul(size_of::<f32>())
                .is_some_and(|bytes| isize::try_from(bytes).is_ok())
        })
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Limit,
                "picture tensor",
                "values that fit the address space",
                format!("{width}x{height}x{}", channels.count()),
            )
        })?;
    let mut values = Vec::with_capacity(len);
    for row in view.rows() {
        values.extend(row.iter().map(|&value| f32::from(value)));
    }
    Ok(PictureTensor {
        width,
        height,
        channels,
        values,
    })
}

impl PictureTensor {
    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Channels of a pixel.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The values, `[height, width, channels]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Fixed scaling of every value: `(x * factor - mean) / std`, in `f64`, rounded once to `f32`.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when `mean` or `std` has neither one value nor one a channel, when a number is not
    /// finite, or when a `std` is zero. Nothing is changed then.
    #[inline(never)]
    pub fn scale(&mut self, params: &ScaleParams) -> Result<()> {
        let count = self.channels.count();
        let means = per_channel("scale@1 mean", &params.mean, count)?;
        let stds = per_channel("scale@1 std", &params.std, count)?;
        finite("scale@1 factor", params.factor)?;
        if stds.contains(&0.0) {
            return Err(Error::new(
                ErrorKind::Parameter,
                "scale@1 std",
                "numbers other than zero",
                0,
            ));
        }
        for pixel in self.values.chunks_mut(count) {
            for ((value, mean), std) in pixel.iter_mut().zip(&means).zip(&stds) {
                *value = ((f64::from(*value) * params.factor - mean) / std) as f32;
            }
        }
        Ok(())
    }

    /// Scaling by the picture's own statistics over all values: `(x - mean) / max(std, min_std)`, population standard
    /// deviation, in `f64`, rounded once to `f32`.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when `min_std` is not a finite number above zero. Nothing is changed then.
    #[inline(never)]
    pub fn standardise(&mut self, params: &StandardiseParams) -> Result<()> {
        let min_std = f64::from(params.min_std);
        if !(min_std.is_finite() && min_std > 0.0) {
            return Err(Error::new(
                ErrorKind::Parameter,
                "standardise@1 min_std",
                "a number above zero",
                params.min_std,
            ));
        }
        let count = self.values.len() as f64;
        let mean = self.values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = self
            .values
            .iter()
            .map(|&value| (f64::from(value) - mean).powi(2))
            .sum::<f64>()
            / count;
        let std = variance.sqrt().max(min_std);
        for value in &mut self.values {
            *value = ((f64::from(*value) - mean) / std) as f32;
        }
        Ok(())
    }

    /// The values in the order a model takes, batch of one: `[1, channels, height, width]` for
    /// [`PixelOrder::Nchw`], `[1, height, width, channels]` for [`PixelOrder::Nhwc`].
    #[inline(never)]
    pub fn layout(self, params: &LayoutParams) -> Vec<f32> {
        let count = self.channels.count();
        match params.order {
            PixelOrder::Nchw if count > 1 => (0..count)
                .flat_map(|channel| self.values.iter().skip(channel).step_by(count).copied())
                .collect(),
            PixelOrder::Nchw | PixelOrder::Nhwc => self.values,
        }
    }
}

/// One number a channel, from one for all or one for each.
fn per_channel(subject: &'static str, numbers: &[f64], count: usize) -> Result<Vec<f64>> {
    for &number in numbers {
        finite(subject, number)?;
    }
    match numbers {
        [all] => Ok(vec![*all; count]),
        each if each.len() == count => Ok(each.to_vec()),
        other => Err(Error::new(
            ErrorKind::Parameter,
            subject,
            format!("1 or {count} numbers"),
            other.len(),
        )),
    }
}

fn finite(subject: &'static str, number: f64) -> Result<()> {
    if number.is_finite() {
        Ok(())
    } else {
        Err(Error::new(
            ErrorKind::Parameter,
            subject,
            "a finite number",
            number,
        ))
    }
}
