//! Every element in another place.

use crate::error::{Error, ErrorKind, Result};
use crate::for_each_storage;
use crate::infer::{extent, permutation};
use crate::interpret::strided::{broadcast_strides, collect, pick, strides};
use crate::tensor::{Storage, Tensor};

/// The elements at `start` plus the strides of each place of `shape`.
pub(super) fn strided(x: &Tensor, shape: &[usize], strides: &[isize], start: isize) -> Result<Storage> {
    Ok(for_each_storage!(x.storage(), x => Storage::from(collect(x, shape, strides, start)?)))
}

/// The axes in another order.
pub(super) fn transpose(x: &Tensor, order: &[usize]) -> Result<Storage> {
    let order = permutation(order, x.rank())?;
    reordered(x, x.shape(), &order)
}

/// The elements as a tensor of extents `view`, its axes in another order.
fn reordered(x: &Tensor, view: &[usize], order: &[usize]) -> Result<Storage> {
    let steps = strides(view);
    let shape: Vec<usize> = order.iter().map(|&place| view[place]).collect();
    let steps: Vec<isize> = order.iter().map(|&place| steps[place]).collect();
    strided(x, &shape, &steps, 0)
}

/// The elements repeated along axes of extent 1.
pub(super) fn expand(x: &Tensor, shape: &[usize]) -> Result<Storage> {
    strided(x, shape, &broadcast_strides(x.shape(), shape), 0)
}

/// The tensor repeated along each axis.
pub(super) fn tile(x: &Tensor, repeats: &[i64]) -> Result<Storage> {
    let mut shape = Vec::with_capacity(2 * x.rank());
    let mut steps = Vec::with_capacity(2 * x.rank());
    for ((&n, step), &repeat) in x.shape().iter().zip(strides(x.shape())).zip(repeats) {
        shape.extend([extent::extent(repeat)?, n]);
        steps.extend([0, step]);
    }
    strided(x, &shape, &steps, 0)
}

fn image(x: &Tensor) -> Result<[usize; 4]> {
    <[usize; 4]>::try_from(x.shape())
        .map_err(|_| Error::new(ErrorKind::Shape, "", "four axes", format!("{:?}", x.shape())))
}

/// Blocks of channels as rows and columns of space.
pub(super) fn depth_to_space(x: &Tensor, block: usize, crd: bool) -> Result<Storage> {
    let [n, c, h, w] = image(x)?;
    let channels = c / (block * block);
    if crd {
        reordered(x, &[n, channels, block, block, h, w], &[0, 1, 4, 2, 5, 3])
    } else {
        reordered(x, &[n, block, block, channels, h, w], &[0, 3, 4, 1, 5, 2])
    }
}

/// Rows and columns of blocks of space as channels.
pub(super) fn space_to_depth(x: &Tensor, block: usize, crd: bool) -> Result<Storage> {
    let [n, c, h, w] = image(x)?;
    let view = [n, c, h / block, block, w / block, block];
    let order = if crd {
        [0, 1, 3, 5, 2, 4]
    } else {
        [0, 3, 5, 1, 2, 4]
    };
    reordered(x, &view, &order)
}

/// The first `lengths[batch]` steps of each sequence in reverse order.
pub(super) fn reverse_sequence(
    x: &Tensor,
    lengths: &[i64],
    batch_axis: i64,
    time_axis: i64,
) -> Result<Storage> {
    let shape = x.shape();
    let (batch, time) = (
        extent::axis(batch_axis, shape.len())?,
        extent::axis(time_axis, shape.len())?,
    );
    if lengths.len() != shape[batch] {
        return Err(Error::new(
            ErrorKind::Shape,
            "lengths",
            format!("{} of them", shape[batch]),
            lengths.len(),
        ));
    }
    for &length in lengths {
        if length < 0 || length > shape[time] as i64 {
            let expected = format!("0 to {}", shape[time]);
            return Err(Error::new(ErrorKind::Value, "lengths", expected, length));
        }
    }
    // With batch and time in front, a sequence is a run of whole slices.
    let mut order = vec![batch, time];
    order.extend((0..shape.len()).filter(|&place| place != batch && place != time));
    let front: Vec<usize> = order.iter().map(|&place| shape[place]).collect();
    let inner: usize = front[2..].iter().product();
    let moved = Tensor::new(&front, reordered(x, shape, &order)?)?;
    let mut sources = Vec::with_capacity(front[0] * front[1]);
    for (n, &length) in lengths.iter().enumerate() {
        let (start, length) = (n * front[1], length as usize);
        sources.extend((0..length).rev().chain(length..front[1]).map(|t| Some(start + t)));
    }
    let maps = [sources, (0..inner).map(Some).collect()];
    let flat = [front[0] * front[1], inner];
    let reversed = for_each_storage!(moved.storage(), e => {
        Storage::from(pick(e, &flat, &maps, Default::default())?)
    });
    let mut back = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        back[from] = to;
    }
    reordered(&Tensor::new(&front, reversed)?, &front, &back)
}
