//! Elements made from numbers or from places.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::for_each_storage;
use crate::infer::extent;
use crate::interpret::arithmetic::Number;
use crate::interpret::cast::cast;
use crate::interpret::strided::around;
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::tensor::{Element, Storage, Tensor};

/// `start + n * delta`.
pub(super) fn range(start: &Tensor, delta: &Tensor, shape: &[usize]) -> Result<Storage> {
    fn apply<T: Number>(start: &[T], delta: &[T], count: usize) -> Vec<T> {
        (0..count)
            .map(|n| start[0].add(T::from_count(n).mul(delta[0])))
            .collect()
    }
    let (dtype, count) = (start.dtype(), shape[0]);
    match (widen(start), widen(delta)) {
        (Wide::F32(start), Wide::F32(delta)) => f32::narrow(apply(&start, &delta, count), dtype),
        (Wide::F64(start), Wide::F64(delta)) => f64::narrow(apply(&start, &delta, count), dtype),
        (Wide::I64(start), Wide::I64(delta)) => i64::narrow(apply(&start, &delta, count), dtype),
        (Wide::U64(start), Wide::U64(delta)) => u64::narrow(apply(&start, &delta, count), dtype),
        _ => Err(Error::new(ErrorKind::Dtype, "", dtype, delta.dtype())),
    }
}

/// Ones on diagonal `k` of a matrix of zeros.
pub(super) fn eye(shape: &[usize], dtype: Dtype, k: i64) -> Result<Storage> {
    let (rows, columns) = (shape[0], shape[1]);
    let mut flags = vec![false; rows * columns];
    for row in 0..rows {
        if let Some(column) = (row as i64).checked_add(k)
            && (0..columns as i64).contains(&column)
        {
            flags[row * columns + column as usize] = true;
        }
    }
    Ok(cast(&Tensor::new(shape, flags)?, dtype))
}

/// The elements on and above (or below) diagonal `k` of each matrix, zeros elsewhere.
pub(super) fn triangle(x: &Tensor, k: i64, upper: bool) -> Storage {
    fn apply<T: Element>(x: &[T], rows: usize, columns: usize, k: i64, upper: bool) -> Vec<T> {
        let mut out = x.to_vec();
        for (n, line) in out.chunks_exact_mut(columns.max(1)).enumerate() {
            let diagonal = ((n % rows) as i64).saturating_add(k);
            if upper {
                let start = diagonal.clamp(0, columns as i64) as usize;
                line[..start].fill(T::default());
            } else {
                let end = diagonal.saturating_add(1).clamp(0, columns as i64) as usize;
                line[end..].fill(T::default());
            }
        }
        out
    }
    let rank = x.rank();
    let (rows, columns) = (x.shape()[rank - 2], x.shape()[rank - 1]);
    for_each_storage!(x.storage(), x => Storage::from(apply(x, rows, columns, k, upper)))
}

/// The second value where a new axis' place is the index, else the first.
pub(super) fn one_hot(indices: &Tensor, values: &Tensor, axis: i64, shape: &[usize]) -> Result<Storage> {
    fn apply<T: Element>(list: &[i64], values: &[T], (outer, depth, inner): (usize, usize, usize)) -> Vec<T> {
        let mut out = vec![values[0]; outer * depth * inner];
        for (n, &index) in list.iter().enumerate() {
            let index = if index < 0 {
                index.saturating_add(depth as i64)
            } else {
                index
            };
            if (0..depth as i64).contains(&index) {
                out[(n / inner * depth + index as usize) * inner + n % inner] = values[1];
            }
        }
        out
    }
    if values.len() != 2 {
        return Err(Error::new(
            ErrorKind::Shape,
            "values",
            "two of them",
            values.len(),
        ));
    }
    let parts = around(shape, extent::axis(axis, shape.len())?);
    let list = Tensor::new(indices.shape(), cast(indices, Dtype::I64))?;
    let list = list.elements::<i64>()?;
    Ok(for_each_storage!(values.storage(), values => Storage::from(apply(list, values, parts))))
}

/// The places of the elements that are not zero, a row an axis.
pub(super) fn non_zero(x: &Tensor) -> Result<Tensor> {
    let flags = Tensor::new(x.shape(), cast(x, Dtype::Bool))?;
    let found: Vec<usize> = flags
        .elements::<bool>()?
        .iter()
        .enumerate()
        .filter(|&(_, &flag)| flag)
        .map(|(n, _)| n)
        .collect();
    let mut places = Vec::with_capacity(x.rank() * found.len());
    for axis in 0..x.rank() {
        let (_, length, inner) = around(x.shape(), axis);
        places.extend(found.iter().map(|n| (n / inner % length) as i64));
    }
    Tensor::new(&[x.rank(), found.len()], places)
}
