//! Convolution: as a matrix product over gathered columns, or directly where each channel stands alone.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis as Dimension, Slice};

use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::op::Convolution;
use crate::spatial::{self, Axis, for_each_place, for_each_run};
use crate::tensor::Tensor;

/// Elements of the gathered columns that are in memory at a time.
const COLUMN_ELEMENTS: usize = 1 << 19;

/// Extents of a convolution.
#[derive(Debug)]
pub(super) struct Extents {
    pub batch: usize,
    pub channels: usize,
    pub kernels: usize,
    pub groups: usize,
    pub axes: Vec<Axis>,
}

impl Extents {
    /// Of an input `[N,C,...]` and a kernel `[M,C/groups,...]`.
    pub fn new(c: &Convolution, input: &[usize], kernel: &[usize]) -> Result<Self> {
        let fits = input.len() >= 3 && kernel.len() == input.len();
        if !fits || c.groups == 0 || kernel[1].checked_mul(c.groups) != Some(input[1]) {
            return Err(Error::new(
                ErrorKind::Shape,
                "",
                format!("X [N,C,...] and W [M,C/{},...]", c.groups),
                format!("{input:?} and {kernel:?}"),
            ));
        }
        if !kernel[0].is_multiple_of(c.groups) {
            return Err(Error::new(
                ErrorKind::Shape,
                "",
                format!("kernels in {} equal groups", c.groups),
                kernel[0],
            ));
        }
        Ok(Self {
            batch: input[0],
            channels: input[1],
            kernels: kernel[0],
            groups: c.groups,
            axes: spatial::convolution(c, &input[2..], &kernel[2..])?,
        })
    }

    /// Extents of the output.
    pub fn output(&self) -> Vec<usize> {
        let mut shape = vec![self.batch, self.kernels];
        shape.extend(self.axes.iter().map(|a| a.output));
        shape
    }

    fn plane(&self) -> usize {
        self.axes.iter().map(|a| a.input).product()
    }

    fn places(&self) -> usize {
        self.axes.iter().map(|a| a.output).product()
    }

    fn window(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    /// The convolution without a bias: exact for integers whose sums stay below 2^53.
    pub fn convolve(&self, x: &[f64], w: &[f64]) -> Result<Vec<f64>> {
        let mut y = real::zeros(&self.output())?;
        if y.is_empty() || w.is_empty() {
            return Ok(y);
        }
        let (plane, places) = (self.plane(), self.places());
        let inputs = self.channels / self.groups;
        let outputs = self.kernels / self.groups;
        let depth = inputs * self.window();
        for n in 0..self.batch {
            for g in 0..self.groups {
                let x = &x[(n * self.channels + g * inputs) * plane..][..inputs * plane];
                let w = &w[g * outputs * depth..][..outputs * depth];
                let y = &mut y[(n * self.kernels + g * outputs) * places..][..outputs * places];
                if inputs == 1 && outputs <= 4 {
                    for (w, y) in w.chunks_exact(depth).zip(y.chunks_exact_mut(places)) {
                        self.slide(x, w, y);
                    }
                } else {
                    self.multiply(x, w, y, inputs, outputs)?;
                }
            }
        }
        Ok(y)
    }

    /// One kernel over one channel.
    fn slide(&self, x: &[f64], w: &[f64], y: &mut [f64]) {
        let kernel: Vec<usize> = self.axes.iter().map(|a| a.kernel).collect();
        let mut next = w.iter();
        for_each_place(&kernel, |element| {
            let Some(&factor) = next.next() else { return };
            for_each_run(&self.axes, element, 0, y.len(), |out, first, step, length| {
                let row = &mut y[out..out + length];
                for (y, x) in row.iter_mut().zip(x[first..].iter().step_by(step)) {
                    *y += factor * x;
                }
            });
        });
    }

    /// Kernels times columns gathered from the input, some columns at a time.
    fn multiply(&self, x: &[f64], w: &[f64], y: &mut [f64], inputs: usize, outputs: usize) -> Result<()> {
        let (plane, places, window) = (self.plane(), self.places(), self.window());
        let depth = inputs * window;
        let w = matrix(outputs, depth, w)?;
        let mut y = ArrayViewMut2::from_shape((outputs, places), y).map_err(mismatch)?;
        let pointwise = self
            .axes
            .iter()
            .all(|a| a.kernel == 1 && a.stride == 1 && a.before == 0 && a.output == a.input);
        if pointwise {
            general_mat_mul(1.0, &w, &matrix(inputs, plane, x)?, 0.0, &mut y);
            return Ok(());
        }
        let kernel: Vec<usize> = self.axes.iter().map(|a| a.kernel).collect();
        let width = (COLUMN_ELEMENTS / depth).clamp(32, 1 << 16).min(places);
        let mut columns = vec![0.0; depth * width];
        for begin in (0..places).step_by(width) {
            let end = (begin + width).min(places);
            let length = end - begin;
            columns[..depth * length].fill(0.0);
            for channel in 0..inputs {
                let x = &x[channel * plane..][..plane];
                let mut k = 0;
                for_each_place(&kernel, |element| {
                    let column = &mut columns[(channel * window + k) * length..][..length];
                    for_each_run(&self.axes, element, begin, end, |out, first, step, length| {
                        let row = &mut column[out - begin..][..length];
                        if step == 1 {
                            row.copy_from_slice(&x[first..first + length]);
                        } else {
                            for (c, x) in row.iter_mut().zip(x[first..].iter().step_by(step)) {
                                *c = *x;
                            }
                        }
                    });
                    k += 1;
                });
            }
            let columns = matrix(depth, length, &columns[..depth * length])?;
            let mut part = y.slice_axis_mut(Dimension(1), Slice::from(begin..end));
            general_mat_mul(1.0, &w, &columns, 0.0, &mut part);
        }
        Ok(())
    }
}

/// A row-major matrix.
pub(super) fn matrix(rows: usize, columns: usize, elements: &[f64]) -> Result<ArrayView2<'_, f64>> {
    ArrayView2::from_shape((rows, columns), elements).map_err(mismatch)
}

/// Elements that do not fill a matrix.
pub(super) fn mismatch(e: ndarray::ShapeError) -> Error {
    Error::new(ErrorKind::Shape, "", "elements that fill a matrix", e)
}

/// Adds a bias `[M]` to `[N,M,...]`.
pub(super) fn add_bias(y: &mut [f64], batch: usize, kernels: usize, bias: &[f64]) -> Result<()> {
    if bias.len() != kernels {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("a bias of {kernels}"),
            bias.len(),
        ));
    }
    if !y.is_empty() {
        let places = y.len() / (batch * kernels);
        for (plane, bias) in y.chunks_exact_mut(places).zip(bias.iter().cycle()) {
            plane.iter_mut().for_each(|y| *y += bias);
        }
    }
    Ok(())
}

/// `(X, W, B?)`.
pub(super) fn run(c: &Convolution, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let extents = Extents::new(c, x.shape(), w.shape())?;
    let mut y = extents.convolve(&real::floats(x)?, &real::floats(w)?)?;
    if let Some(bias) = bias {
        add_bias(&mut y, extents.batch, extents.kernels, &real::floats(bias)?)?;
    }
    real::tensor(&extents.output(), x.dtype(), y)
}
