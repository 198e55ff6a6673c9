//! Picking by indices.

use crate::error::{Error, ErrorKind, Result};
use crate::for_each_storage;
use crate::infer::extent;
use crate::interpret::strided::{Walk, around, strides};
use crate::op::GatherMode;
use crate::tensor::{Storage, Tensor};

/// The place that an index means, negative ones counted from the end.
pub(super) fn place(index: i64, length: usize) -> Result<usize> {
    let signed = length as i64;
    if index < -signed || index >= signed {
        return Err(Error::new(
            ErrorKind::Value,
            "indices",
            format!("{}..{length}", -signed),
            index,
        ));
    }
    Ok(if index < 0 { index + signed } else { index } as usize)
}

/// Runs of `length` elements of `x` at the given starts.
fn runs<T: Copy>(x: &[T], starts: &[usize], length: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(starts.len() * length);
    for &start in starts {
        out.extend_from_slice(&x[start..start + length]);
    }
    out
}

/// The elements or slices that the indices name.
pub(super) fn gather(x: &Tensor, indices: &Tensor, mode: GatherMode, shape: &[usize]) -> Result<Storage> {
    let list = indices.to_i64()?;
    let (starts, length) = match mode {
        GatherMode::Slices { axis } => {
            let (outer, length, inner) = around(x.shape(), extent::axis(axis, x.rank())?);
            let places = list
                .iter()
                .map(|&index| place(index, length))
                .collect::<Result<Vec<_>>>()?;
            let mut starts = Vec::with_capacity(outer * places.len());
            for o in 0..outer {
                starts.extend(places.iter().map(|place| (o * length + place) * inner));
            }
            (starts, inner)
        }
        GatherMode::Elements { axis } => {
            let along = extent::axis(axis, x.rank())?;
            (element_places(x.shape(), indices.shape(), &list, along)?, 1)
        }
        GatherMode::Nd { batch_dims } => {
            let depth = indices.shape().last().copied().unwrap_or(0);
            let places = nd_places(x.shape(), batch_dims, indices.shape(), &list)?;
            (places, x.shape()[batch_dims + depth..].iter().product())
        }
    };
    debug_assert_eq!(Some(starts.len() * length), crate::tensor::element_count(shape));
    Ok(for_each_storage!(x.storage(), x => Storage::from(runs(x, &starts, length))))
}

/// For each index its place in a tensor of extents `shape`, the index replacing the coordinate along an axis.
pub(super) fn element_places(
    shape: &[usize],
    at: &[usize],
    list: &[i64],
    along: usize,
) -> Result<Vec<usize>> {
    let mut steps = strides(shape);
    let step = std::mem::take(&mut steps[along]) as usize;
    let walk = Walk::new(at, [&steps]);
    let (length, [run_step]) = (walk.run_length(), walk.run_steps());
    let mut found = Vec::with_capacity(list.len());
    let mut first_error = None;
    let mut indices = list.iter();
    walk.runs([0], |[start]| {
        for (n, &index) in indices.by_ref().take(length).enumerate() {
            match place(index, shape[along]) {
                Ok(index) => found.push(start as usize + n * run_step as usize + index * step),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
    });
    first_error.map_or(Ok(found), Err)
}

/// For each row of indices the start of the slice that it names, the leading axes being shared.
pub(super) fn nd_places(
    shape: &[usize],
    batch_dims: usize,
    at: &[usize],
    list: &[i64],
) -> Result<Vec<usize>> {
    let steps = strides(shape);
    let Some((&depth, outer)) = at.split_last() else {
        return Err(Error::new(
            ErrorKind::Shape,
            "indices",
            "one axis or more",
            "a scalar",
        ));
    };
    let rows: usize = outer.iter().product();
    let batches: usize = outer[..batch_dims].iter().product();
    let batch_step: usize = shape[batch_dims..].iter().product();
    let mut found = Vec::with_capacity(rows);
    for row in 0..rows {
        let batch = row / (rows / batches);
        let mut start = batch * batch_step;
        for (n, &index) in list[row * depth..(row + 1) * depth].iter().enumerate() {
            let axis = batch_dims + n;
            start += place(index, shape[axis])? * steps[axis] as usize;
        }
        found.push(start);
    }
    Ok(found)
}
