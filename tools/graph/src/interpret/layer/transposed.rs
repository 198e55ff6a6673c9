//! Transposed convolution, and columns put back to where they were gathered.

use ndarray::ArrayViewMut2;
use ndarray::linalg::general_mat_mul;

use super::convolution::{add_bias, matrix, mismatch};
use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::op::Convolution;
use crate::spatial::{self, Axis, for_each_place, for_each_run};
use crate::tensor::Tensor;

/// Elements of columns that are in memory at a time.
const COLUMN_ELEMENTS: usize = 1 << 19;

/// Adds columns `[window, end - begin]` to what the window slides over.
fn scatter(axes: &[Axis], columns: &[f64], begin: usize, end: usize, y: &mut [f64]) {
    let kernel: Vec<usize> = axes.iter().map(|a| a.kernel).collect();
    let mut rows = columns.chunks_exact(end - begin);
    for_each_place(&kernel, |element| {
        let Some(row) = rows.next() else { return };
        for_each_run(axes, element, begin, end, |place, first, step, length| {
            let row = &row[place - begin..][..length];
            for (y, x) in y[first..].iter_mut().step_by(step).zip(row) {
                *y += x;
            }
        });
    });
}

/// Extents of a transposed convolution.
#[derive(Debug)]
pub(super) struct Transposed {
    pub batch: usize,
    channels: usize,
    pub kernels: usize,
    groups: usize,
    axes: Vec<Axis>,
}

impl Transposed {
    /// Of an input `[N,C,...]` and a kernel `[C,M/groups,...]`.
    pub fn new(c: &Convolution, input: &[usize], kernel: &[usize]) -> Result<Self> {
        let fits = input.len() >= 3 && kernel.len() == input.len() && kernel[0] == input[1];
        let kernels = kernel.get(1).and_then(|n| n.checked_mul(c.groups));
        let (true, Some(kernels)) = (fits && c.groups > 0 && input[1].is_multiple_of(c.groups), kernels)
        else {
            return Err(Error::new(
                ErrorKind::Shape,
                "",
                format!("X [N,C,...] and W [C,M/{},...]", c.groups),
                format!("{input:?} and {kernel:?}"),
            ));
        };
        Ok(Self {
            batch: input[0],
            channels: input[1],
            kernels,
            groups: c.groups,
            axes: spatial::transposed(c, &input[2..], &kernel[2..])?,
        })
    }

    /// Extents of the output.
    pub fn output(&self) -> Vec<usize> {
        let mut shape = vec![self.batch, self.kernels];
        shape.extend(self.axes.iter().map(|a| a.input));
        shape
    }

    /// The transposed convolution without a bias: exact for integers whose sums stay below 2^53.
    pub fn convolve(&self, x: &[f64], w: &[f64]) -> Result<Vec<f64>> {
        let mut y = real::zeros(&self.output())?;
        if y.is_empty() || w.is_empty() || x.is_empty() {
            return Ok(y);
        }
        let places: usize = self.axes.iter().map(|a| a.output).product();
        let plane: usize = self.axes.iter().map(|a| a.input).product();
        let window: usize = self.axes.iter().map(|a| a.kernel).product();
        let (inputs, outputs) = (self.channels / self.groups, self.kernels / self.groups);
        let depth = outputs * window;
        let width = (COLUMN_ELEMENTS / depth).clamp(32, 1 << 16).min(places);
        let mut columns = vec![0.0; real::count(&[depth, width])?];
        for n in 0..self.batch {
            for g in 0..self.groups {
                let x = &x[(n * self.channels + g * inputs) * places..][..inputs * places];
                let x = matrix(inputs, places, x)?;
                let w = matrix(inputs, depth, &w[g * inputs * depth..][..inputs * depth])?;
                let y = &mut y[(n * self.kernels + g * outputs) * plane..][..outputs * plane];
                for begin in (0..places).step_by(width) {
                    let end = (begin + width).min(places);
                    let length = end - begin;
                    let columns = &mut columns[..depth * length];
                    let mut product =
                        ArrayViewMut2::from_shape((depth, length), &mut *columns).map_err(mismatch)?;
                    let part = x.slice_axis(ndarray::Axis(1), ndarray::Slice::from(begin..end));
                    general_mat_mul(1.0, &w.t(), &part, 0.0, &mut product);
                    let each = columns
                        .chunks_exact(window * length)
                        .zip(y.chunks_exact_mut(plane));
                    for (columns, y) in each {
                        scatter(&self.axes, columns, begin, end, y);
                    }
                }
            }
        }
        Ok(y)
    }
}

/// `(X, W, B?)`.
pub(super) fn run(c: &Convolution, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let extents = Transposed::new(c, x.shape(), w.shape())?;
    let mut y = extents.convolve(&real::floats(x)?, &real::floats(w)?)?;
    if let Some(bias) = bias {
        add_bias(&mut y, extents.batch, extents.kernels, &real::floats(bias)?)?;
    }
    real::tensor(&extents.output(), x.dtype(), y)
}

/// `(X, image_shape, block_shape)`: columns `[N, C * block, places]` to `[N, C, image...]`, overlaps added.
pub(super) fn run_columns(c: &Convolution, x: &Tensor, image: &Tensor, block: &Tensor) -> Result<Tensor> {
    let (image, block) = (spatial::extents(image)?, spatial::extents(block)?);
    let axes = spatial::convolution(c, &image, &block)?;
    let window = real::count(&block)?;
    let places: usize = real::count(&axes.iter().map(|a| a.output).collect::<Vec<_>>())?;
    let &[batch, depth, found] = x.shape() else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C*block,places]",
            format!("{:?}", x.shape()),
        ));
    };
    if found != places || depth % window != 0 {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("X [N,C*{window},{places}]"),
            format!("{:?}", x.shape()),
        ));
    }
    let shape = [&[batch, depth / window], &image[..]].concat();
    let mut y = real::zeros(&shape)?;
    let plane = real::count(&image)?;
    if places > 0 && plane > 0 {
        let values = real::reals(x);
        let each = values
            .chunks_exact(window * places)
            .zip(y.chunks_exact_mut(plane));
        for (columns, y) in each {
            scatter(&axes, columns, 0, places, y);
        }
    }
    real::tensor(&shape, x.dtype(), y)
}
