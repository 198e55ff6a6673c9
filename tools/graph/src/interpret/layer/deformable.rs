//! Deformable convolution over two spatial axes.

use ndarray::ArrayViewMut2;
use ndarray::linalg::general_mat_mul;

use super::convolution::{Extents, add_bias, matrix, mismatch};
use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::op::Deformable;
use crate::tensor::Tensor;

/// The bilinear sample of a plane, zero outside.
fn sample(plane: &[f64], height: usize, width: usize, y: f64, x: f64) -> f64 {
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = (y - top, x - left);
    let at = |row: f64, column: f64| {
        let inside = row >= 0.0 && column >= 0.0 && row < height as f64 && column < width as f64;
        if inside {
            plane[row as usize * width + column as usize]
        } else {
            0.0
        }
    };
    (1.0 - down) * ((1.0 - right) * at(top, left) + right * at(top, left + 1.0))
        + down * ((1.0 - right) * at(top + 1.0, left) + right * at(top + 1.0, left + 1.0))
}

/// `(X, W, offset, B?, mask?)`: offsets `[N, groups * kernel * 2, rows, columns]`, row before column.
pub(super) fn run(
    d: &Deformable,
    x: &Tensor,
    w: &Tensor,
    offset: &Tensor,
    bias: Option<&Tensor>,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let extents = Extents::new(&d.convolution, x.shape(), w.shape())?;
    let &[vertical, horizontal] = &extents.axes[..] else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "two spatial axes",
            extents.axes.len(),
        ));
    };
    let window = vertical.kernel * horizontal.kernel;
    let (rows, columns) = (vertical.output, horizontal.output);
    let offset_groups = d.offset_groups;
    if offset_groups == 0 || extents.channels % offset_groups != 0 {
        return Err(Error::new(
            ErrorKind::Value,
            "offset groups",
            format!("a divisor of {}", extents.channels),
            offset_groups,
        ));
    }
    let expected = [extents.batch, offset_groups * window * 2, rows, columns];
    if offset.shape() != expected {
        return Err(Error::new(
            ErrorKind::Shape,
            "offset",
            format!("{expected:?}"),
            format!("{:?}", offset.shape()),
        ));
    }
    let expected = [extents.batch, offset_groups * window, rows, columns];
    if let Some(mask) = mask
        && mask.shape() != expected
    {
        return Err(Error::new(
            ErrorKind::Shape,
            "mask",
            format!("{expected:?}"),
            format!("{:?}", mask.shape()),
        ));
    }
    let (x_values, w_values, offsets) = (real::floats(x)?, real::floats(w)?, real::floats(offset)?);
    let mask = mask.map(real::floats).transpose()?;
    let places = rows * columns;
    let plane = vertical.input * horizontal.input;
    let inputs = extents.channels / extents.groups;
    let outputs = extents.kernels / extents.groups;
    let depth = inputs * window;
    let mut y = real::zeros(&extents.output())?;
    let mut gathered = real::zeros(&[depth, places])?;
    if y.is_empty() || gathered.is_empty() {
        gathered.clear();
    }
    for n in 0..extents.batch {
        for g in 0..extents.groups {
            for (row, gathered) in gathered.chunks_exact_mut(places.max(1)).enumerate() {
                let (channel, element) = (g * inputs + row / window, row % window);
                let plane = &x_values[(n * extents.channels + channel) * plane..][..plane];
                let group = channel / (extents.channels / offset_groups);
                let at = (n * offset_groups + group) * window + element;
                for (place, gathered) in gathered.iter_mut().enumerate() {
                    let start = |axis: &crate::spatial::Axis, output: usize, k: usize| {
                        (output * axis.stride + k * axis.dilation) as f64 - axis.before as f64
                    };
                    let row = start(&vertical, place / columns, element / horizontal.kernel)
                        + offsets[2 * at * places + place];
                    let column = start(&horizontal, place % columns, element % horizontal.kernel)
                        + offsets[(2 * at + 1) * places + place];
                    let factor = mask.as_ref().map_or(1.0, |m| m[at * places + place]);
                    *gathered = factor * sample(plane, vertical.input, horizontal.input, row, column);
                }
            }
            if gathered.is_empty() {
                continue;
            }
            let w = matrix(
                outputs,
                depth,
                &w_values[g * outputs * depth..][..outputs * depth],
            )?;
            let y = &mut y[(n * extents.kernels + g * outputs) * places..][..outputs * places];
            let mut y = ArrayViewMut2::from_shape((outputs, places), y).map_err(mismatch)?;
            general_mat_mul(1.0, &w, &matrix(depth, places, &gathered)?, 0.0, &mut y);
        }
    }
    if let Some(bias) = bias {
        add_bias(&mut y, extents.batch, extents.kernels, &real::floats(bias)?)?;
    }
    real::tensor(&extents.output(), x.dtype(), y)
}
