//! Placing by indices.

use crate::error::{Error, ErrorKind, Result};
use crate::for_each_storage;
use crate::infer::extent;
use crate::interpret::arithmetic::Number;
use crate::interpret::array::gather::{element_places, nd_places};
use crate::interpret::strided::around;
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::op::ScatterReduction;
use crate::tensor::{Storage, Tensor};

/// A copy of `x` where runs of `length` elements that start at `starts` meet those of the updates.
fn place(
    x: &Tensor,
    updates: &Tensor,
    starts: &[usize],
    length: usize,
    reduction: ScatterReduction,
) -> Result<Storage> {
    fn apply<T: Copy>(
        x: &[T],
        updates: &[T],
        (starts, length): (&[usize], usize),
        f: impl Fn(T, T) -> T,
    ) -> Vec<T> {
        let mut out = x.to_vec();
        for (n, &start) in starts.iter().enumerate() {
            let new = &updates[n * length..(n + 1) * length];
            for (old, &new) in out[start..start + length].iter_mut().zip(new) {
                *old = f(*old, new);
            }
        }
        out
    }
    fn reduce<T: Number>(
        x: &[T],
        updates: &[T],
        runs: (&[usize], usize),
        reduction: ScatterReduction,
    ) -> Vec<T> {
        match reduction {
            ScatterReduction::Replace => apply(x, updates, runs, |_, new| new),
            ScatterReduction::Add => apply(x, updates, runs, T::add),
            ScatterReduction::Mul => apply(x, updates, runs, T::mul),
            ScatterReduction::Min => apply(x, updates, runs, T::least),
            ScatterReduction::Max => apply(x, updates, runs, T::greatest),
        }
    }
    let runs = (starts, length);
    if reduction == ScatterReduction::Replace {
        return Ok(for_each_storage!(x.storage(), x => {
            Storage::from(apply(x, updates.elements()?, runs, |_, new| new))
        }));
    }
    let dtype = x.dtype();
    match (widen(x), widen(updates)) {
        (Wide::F32(x), Wide::F32(new)) => f32::narrow(reduce(&x, &new, runs, reduction), dtype),
        (Wide::F64(x), Wide::F64(new)) => f64::narrow(reduce(&x, &new, runs, reduction), dtype),
        (Wide::I64(x), Wide::I64(new)) => i64::narrow(reduce(&x, &new, runs, reduction), dtype),
        (Wide::U64(x), Wide::U64(new)) => u64::narrow(reduce(&x, &new, runs, reduction), dtype),
        _ => Err(Error::new(ErrorKind::Dtype, "updates", dtype, updates.dtype())),
    }
}

/// Elements replaced or combined, the index replacing the coordinate along an axis.
pub(super) fn elements(
    x: &Tensor,
    indices: &Tensor,
    updates: &Tensor,
    axis: i64,
    reduction: ScatterReduction,
) -> Result<Storage> {
    let along = extent::axis(axis, x.rank())?;
    let starts = element_places(x.shape(), indices.shape(), &indices.to_i64()?, along)?;
    place(x, updates, &starts, 1, reduction)
}

/// Slices replaced or combined, each row of indices naming one.
pub(super) fn nd(
    x: &Tensor,
    indices: &Tensor,
    updates: &Tensor,
    reduction: ScatterReduction,
) -> Result<Storage> {
    let depth = indices.shape().last().copied().unwrap_or(0);
    let starts = nd_places(x.shape(), 0, indices.shape(), &indices.to_i64()?)?;
    let length = x.shape()[depth..].iter().product();
    place(x, updates, &starts, length, reduction)
}

/// A cache with the update written from a place of each batch on.
pub(super) fn cache(
    x: &Tensor,
    update: &Tensor,
    places: Option<&Tensor>,
    axis: i64,
    circular: bool,
) -> Result<Storage> {
    let along = extent::axis(axis, x.rank())?;
    let (outer, length, inner) = around(x.shape(), along);
    let count = update.shape()[along];
    let batches = x.shape()[0];
    let places = match places {
        Some(places) => places.to_i64()?,
        None => vec![0; batches],
    };
    let mut starts = Vec::with_capacity(outer * count);
    for o in 0..outer {
        let first = places[o / (outer / batches)];
        let end = first.checked_add(count as i64);
        if first < 0 || (!circular && end.is_none_or(|end| end > length as i64)) {
            return Err(Error::new(
                ErrorKind::Value,
                "write_indices",
                format!("{count} places inside {length}"),
                first,
            ));
        }
        for n in 0..count {
            let place = (first as u64).wrapping_add(n as u64) % length as u64;
            starts.push((o * length + place as usize) * inner);
        }
    }
    self::place(x, update, &starts, inner, ScatterReduction::Replace)
}
