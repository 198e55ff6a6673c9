//! Pools over windows, over whole planes, and back.

use super::real;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::op::{Pool, PoolKind};
use crate::spatial::{self, Axis, for_each_place};
use crate::tensor::Tensor;

fn split_shape(shape: &[usize]) -> Result<(usize, &[usize])> {
    match shape {
        [n, c, spatial @ ..] if !spatial.is_empty() => Ok((real::count(&[*n, *c])?, spatial)),
        _ => Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C,...]",
            format!("{shape:?}"),
        )),
    }
}

/// One window: the elements that it meets, folded.
struct Fold<'a> {
    kind: PoolKind,
    axes: &'a [Axis],
    column_major: bool,
}

/// What a window of a maximum pool found.
#[derive(Clone, Copy)]
struct Greatest {
    value: f64,
    place: usize,
}

impl Fold<'_> {
    /// Calls `visit` with the flat place of each element of the window that lies in the input.
    fn visit(&self, kernel: &[usize], output: &[usize], mut visit: impl FnMut(usize, &[usize])) {
        let mut place = vec![0; output.len()];
        for_each_place(kernel, |element| {
            let mut flat = 0;
            for (n, axis) in self.axes.iter().enumerate() {
                let Some(p) = axis.place(output[n], element[n]) else {
                    return;
                };
                place[n] = p;
                flat = flat * axis.input + p;
            }
            visit(flat, &place);
        });
    }

    fn greatest(&self, kernel: &[usize], output: &[usize], x: &[f64]) -> Greatest {
        let mut found = Greatest {
            value: f64::NEG_INFINITY,
            place: 0,
        };
        let mut none = true;
        self.visit(kernel, output, |flat, place| {
            let value = x[flat];
            if none || value > found.value || (value.is_nan() && !found.value.is_nan()) {
                none = false;
                found.value = value;
                found.place = if self.column_major {
                    (0..place.len())
                        .rev()
                        .fold(0, |at, n| at * self.axes[n].input + place[n])
                } else {
                    flat
                };
            }
        });
        found
    }

    /// Elements of the window that lie in the input or the padding around it.
    fn padded_count(&self, output: &[usize]) -> usize {
        self.axes
            .iter()
            .zip(output)
            .map(|(a, &o)| {
                let room = (a.input + a.before + a.after).saturating_sub(o * a.stride);
                room.div_ceil(a.dilation).min(a.kernel)
            })
            .product()
    }

    fn value(&self, kernel: &[usize], output: &[usize], x: &[f64]) -> f64 {
        let (mut sum, mut count) = (0.0, 0usize);
        match self.kind {
            PoolKind::Max => self.greatest(kernel, output, x).value,
            PoolKind::Average { include_padding } => {
                self.visit(kernel, output, |flat, _| {
                    sum += x[flat];
                    count += 1;
                });
                if include_padding {
                    count = self.padded_count(output);
                }
                if count == 0 { 0.0 } else { sum / count as f64 }
            }
            PoolKind::Lp { p } => {
                self.visit(kernel, output, |flat, _| sum += power(x[flat], p));
                root(sum, p)
            }
        }
    }
}

fn power(x: f64, p: i64) -> f64 {
    match p {
        1 => x.abs(),
        2 => x * x,
        p => x.abs().powf(p as f64),
    }
}

fn root(sum: f64, p: i64) -> f64 {
    match p {
        1 => sum,
        2 => sum.sqrt(),
        p => sum.powf(1.0 / p as f64),
    }
}

/// `(X)`, for a maximum with the places of the elements as a second output where they are wanted.
pub(super) fn run(p: &Pool, x: &Tensor, indices: bool) -> Result<Vec<Tensor>> {
    let (planes, spatial) = split_shape(x.shape())?;
    let axes = spatial::pool(p, spatial)?;
    let extents: Vec<usize> = axes.iter().map(|a| a.output).collect();
    let shape = [&x.shape()[..2], &extents].concat();
    let size: usize = real::count(spatial)?;
    let fold = Fold {
        kind: p.kind,
        axes: &axes,
        column_major: p.column_major,
    };
    let x_values = real::reals(x);
    let mut y = Vec::with_capacity(real::count(&shape)?);
    let mut places: Vec<i64> = Vec::new();
    for n in 0..planes {
        let plane = &x_values[n * size..][..size];
        for_each_place(&extents, |output| {
            if indices {
                let found = fold.greatest(&p.kernel, output, plane);
                y.push(found.value);
                places.push((n * size + found.place) as i64);
            } else {
                y.push(fold.value(&p.kernel, output, plane));
            }
        });
    }
    let mut outputs = vec![real::tensor(&shape, x.dtype(), y)?];
    if indices {
        outputs.push(Tensor::new(&shape, places)?);
    }
    Ok(outputs)
}

/// `(X)`: to one element a channel.
pub(super) fn run_global(kind: PoolKind, x: &Tensor) -> Result<Tensor> {
    let (planes, spatial) = split_shape(x.shape())?;
    let size = real::count(spatial)?;
    let values = real::reals(x);
    let y = (0..planes)
        .map(|n| {
            let plane = values[n * size..][..size].iter();
            match kind {
                PoolKind::Max => {
                    plane.fold(f64::NEG_INFINITY, |a, &b| if b > a || b.is_nan() { b } else { a })
                }
                PoolKind::Average { .. } => plane.sum::<f64>() / size as f64,
                PoolKind::Lp { p } => root(plane.map(|&x| power(x, p)).sum(), p),
            }
        })
        .collect();
    let mut shape = x.shape()[..2].to_vec();
    shape.resize(x.rank(), 1);
    real::tensor(&shape, x.dtype(), y)
}

/// `(X, indices, shape?)`: each element at its place in a larger tensor of zeros.
pub(super) fn run_unpool(p: &Pool, x: &Tensor, indices: &Tensor, shape: Option<&Tensor>) -> Result<Tensor> {
    let (_, spatial) = split_shape(x.shape())?;
    let mut natural = x.shape()[..2].to_vec();
    natural.extend(spatial::unpooled(p, spatial)?);
    let shape = match shape {
        Some(shape) => spatial::extents(shape)?,
        None => natural.clone(),
    };
    let fits = shape.len() == x.rank() && shape[..2] == x.shape()[..2] && indices.shape() == x.shape();
    if !fits {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("an output as {natural:?} and indices {:?}", x.shape()),
            format!("{shape:?} and {:?}", indices.shape()),
        ));
    }
    if indices.dtype() != Dtype::I64 {
        return Err(Error::new(ErrorKind::Dtype, "", Dtype::I64, indices.dtype()));
    }
    // Indices count through the output that the pool's own parameters give, also where a larger one is wanted.
    let mut y = real::zeros(&shape)?;
    let natural_count = real::count(&natural)?;
    for (value, &index) in real::reals(x).iter().zip(indices.elements::<i64>()?) {
        let flat = usize::try_from(index).ok().filter(|&i| i < natural_count);
        let Some(mut rest) = flat else {
            return Err(Error::new(
                ErrorKind::Value,
                "indices",
                format!("0 to below {natural_count}"),
                index,
            ));
        };
        let (mut at, mut step) = (0, 1);
        for (&extent, &of) in shape.iter().zip(&natural).rev() {
            let place = rest % of;
            if place >= extent {
                return Err(Error::new(
                    ErrorKind::Value,
                    "indices",
                    format!("places inside {shape:?}"),
                    index,
                ));
            }
            at += place * step;
            step *= extent;
            rest /= of;
        }
        y[at] = *value;
    }
    real::tensor(&shape, x.dtype(), y)
}
