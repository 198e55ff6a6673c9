//! `Resize`: one axis at a time, each element of the output a weighted sum of elements of the input.

use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::op::{Resize, ResizeCoordinates, ResizeMode, ResizeRounding};
use crate::resample::{self, Resized};
use crate::tensor::Tensor;

/// What an element of the output is along one axis.
enum Taps {
    /// Places of the input and their weights.
    Weighted(Vec<(usize, f64)>),
    /// Outside the input.
    Extrapolated,
}

/// An axis that is resized.
struct Line<'a> {
    resize: &'a Resize,
    input: usize,
    to: Resized,
    /// Start and end of the region, as fractions of the input.
    region: (f64, f64),
}

impl Line<'_> {
    /// Where an element of the output lies in the input.
    fn coordinate(&self, x: usize) -> f64 {
        let x = x as f64;
        let scale = self.to.scale;
        let input = self.input as f64;
        let output = scale * input;
        let centred = (x + 0.5) / scale - 0.5;
        match self.resize.coordinates {
            ResizeCoordinates::HalfPixel => centred,
            ResizeCoordinates::HalfPixelSymmetric => {
                // The centre of the input lies at the centre of the output, also where that was rounded.
                let adjustment = self.to.extent as f64 / output;
                input / 2.0 * (1.0 - adjustment) + centred
            }
            ResizeCoordinates::PytorchHalfPixel if self.to.extent == 1 => 0.0,
            ResizeCoordinates::PytorchHalfPixel => centred,
            ResizeCoordinates::AlignCorners if output == 1.0 => 0.0,
            ResizeCoordinates::AlignCorners => x * (input - 1.0) / (output - 1.0),
            ResizeCoordinates::Asymmetric => x / scale,
            ResizeCoordinates::TfHalfPixel => (x + 0.5) / scale,
            ResizeCoordinates::TfCropAndResize => {
                let (start, end) = self.region;
                let step = if self.to.extent == 1 {
                    (end - start) * (input - 1.0) / 2.0
                } else {
                    x * (end - start) * (input - 1.0) / (self.to.extent as f64 - 1.0)
                };
                step + start * (input - 1.0)
            }
        }
    }

    fn taps(&self, x: usize) -> Taps {
        let at = self.coordinate(x);
        let last = self.input as f64 - 1.0;
        if self.resize.coordinates == ResizeCoordinates::TfCropAndResize && !(0.0..=last).contains(&at) {
            return Taps::Extrapolated;
        }
        let mut taps: Vec<(f64, f64)> = match self.resize.mode {
            ResizeMode::Nearest(rounding) => vec![(nearest(at, rounding), 1.0)],
            ResizeMode::Linear => self.kernel(at, 1.0, |x| 1.0 - x),
            ResizeMode::Cubic { a } => self.kernel(at, 2.0, |x| cubic(x, a.into())),
        };
        if self.resize.exclude_outside {
            taps.retain(|(place, _)| (0.0..=last).contains(place));
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        Taps::Weighted(
            taps.into_iter()
                .map(|(place, weight)| (place.clamp(0.0, last) as usize, weight))
                .collect(),
        )
    }

    /// Places nearer than `support` with the weights of a kernel; wider, with a sum of 1, where it is to smooth.
    fn kernel(&self, at: f64, support: f64, weight: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let smooth = self.resize.antialias && self.to.scale < 1.0;
        let scale = if smooth { self.to.scale } else { 1.0 };
        let reach = support / scale;
        let mut taps = Vec::new();
        let mut place = (at - reach).floor() + 1.0;
        while place < at + reach {
            taps.push((place, weight(((place - at) * scale).abs())));
            place += 1.0;
        }
        if smooth {
            let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
            taps.iter_mut().for_each(|(_, weight)| *weight /= sum);
        }
        taps
    }
}

fn nearest(at: f64, rounding: ResizeRounding) -> f64 {
    match rounding {
        ResizeRounding::PreferFloor => (at - 0.5).ceil(),
        ResizeRounding::PreferCeil => (at + 0.5).floor(),
        ResizeRounding::Floor => at.floor(),
        ResizeRounding::Ceil => at.ceil(),
        ResizeRounding::TiesToEven => at.round_ties_even(),
    }
}

/// The cubic convolution kernel (Keys, 1981) at a distance below 2.
pub(super) fn cubic(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    }
}

/// Start and end of the region for each axis.
fn regions(r: &Resize, roi: Option<&Tensor>, rank: usize) -> Result<Vec<(f64, f64)>> {
    let mut regions = vec![(0.0, 1.0); rank];
    if r.coordinates != ResizeCoordinates::TfCropAndResize {
        return Ok(regions);
    }
    let axes = resample::axes(r, rank)?;
    let values = roi.map(real::floats).transpose()?.unwrap_or_default();
    if values.len() != 2 * axes.len() {
        return Err(Error::new(
            ErrorKind::Shape,
            "region",
            format!("{} numbers", 2 * axes.len()),
            values.len(),
        ));
    }
    for (n, &axis) in axes.iter().enumerate() {
        regions[axis] = (values[n], values[axes.len() + n]);
    }
    Ok(regions)
}

/// Most taps of an axis that are in memory at a time.
const MOST_TAPS: f64 = (1u64 << 28) as f64;

/// `(X, roi?, scales?, sizes?)`.
pub(super) fn run(
    r: &Resize,
    x: &Tensor,
    roi: Option<&Tensor>,
    scales: Option<&Tensor>,
    sizes: Option<&Tensor>,
) -> Result<Tensor> {
    let to = resample::resized(r, x.shape(), scales, sizes)?;
    let regions = regions(r, roi, x.rank())?;
    let mut shape = x.shape().to_vec();
    let mut values = real::reals(x);
    for (axis, (&to, &region)) in to.iter().zip(&regions).enumerate() {
        let input = shape[axis];
        if to.extent == input && to.scale == 1.0 && region == (0.0, 1.0) {
            continue;
        }
        let smoothed = if r.antialias { 1.0 / to.scale.min(1.0) } else { 1.0 };
        if to.extent as f64 * smoothed > MOST_TAPS {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("axis {axis}"),
                format!("at most {MOST_TAPS} weights"),
                format!("{} elements at scale {}", to.extent, to.scale),
            ));
        }
        let line = Line {
            resize: r,
            input,
            to,
            region,
        };
        let inner: usize = shape[axis + 1..].iter().product();
        shape[axis] = to.extent;
        values = if input == 0 {
            real::zeros(&shape)?
        } else {
            resize_axis(&line, &values, inner, real::count(&shape)?)
        };
    }
    if x.dtype().is_integer() {
        values.iter_mut().for_each(|x| *x = x.round_ties_even());
    }
    real::tensor(&shape, x.dtype(), values)
}

/// Resizes `[outer, input, inner]` along its middle axis.
fn resize_axis(line: &Line<'_>, x: &[f64], inner: usize, count: usize) -> Vec<f64> {
    let taps: Vec<Taps> = (0..line.to.extent).map(|n| line.taps(n)).collect();
    let mut y = Vec::with_capacity(count);
    for block in x.chunks_exact((line.input * inner).max(1)) {
        for taps in &taps {
            let start = y.len();
            match taps {
                Taps::Extrapolated => y.resize(start + inner, f64::from(line.resize.extrapolation)),
                Taps::Weighted(taps) => {
                    y.resize(start + inner, 0.0);
                    for &(place, weight) in taps {
                        let row = &block[place * inner..][..inner];
                        for (y, x) in y[start..].iter_mut().zip(row) {
                            *y += weight * x;
                        }
                    }
                }
            }
        }
    }
    y
}
