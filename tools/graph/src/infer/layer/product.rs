//! Extents of matrix products.

use super::spatial::with_dims;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::types::{Dim, TensorType};

/// `A [...,M,K]` times `B [...,K,N]` as NumPy's `matmul`; `b` is the place of B.
pub(super) fn matmul(inputs: Known<'_>, b: usize, dtype: Dtype) -> Result<TensorType> {
    let (a_type, b_type) = (inputs.ty(0)?, inputs.ty(b)?);
    let (Some(a), Some(b)) = (a_type.dims.as_deref(), b_type.dims.as_deref()) else {
        return Ok(TensorType::unshaped(dtype));
    };
    let mismatch = || {
        Error::new(
            ErrorKind::Shape,
            "",
            "A [...,M,K] and B [...,K,N]",
            format!("{a_type} and {b_type}"),
        )
    };
    let (a_batches, row, depth) = match a {
        [] => return Err(mismatch()),
        [k] => (&[][..], None, *k),
        [batches @ .., m, k] => (batches, Some(*m), *k),
    };
    let (b_batches, b_depth, column) = match b {
        [] => return Err(mismatch()),
        [k] => (&[][..], *k, None),
        [batches @ .., k, n] => (batches, *k, Some(*n)),
    };
    if let (Some(k), Some(l)) = (depth.known(), b_depth.known())
        && k != l
    {
        return Err(mismatch());
    }
    let rank = a_batches.len().max(b_batches.len());
    let dim = |dims: &[Dim], n: usize| {
        (n + dims.len())
            .checked_sub(rank)
            .map_or(Dim::Known(1), |n| dims[n])
    };
    let mut dims = Vec::with_capacity(rank + 2);
    for n in 0..rank {
        dims.push(match (dim(a_batches, n), dim(b_batches, n)) {
            (Dim::Known(1), other) | (other, Dim::Known(1)) => other,
            (x, y) if x == y => x,
            // A symbol meets a number above 1: it can only be that number or 1.
            (known @ Dim::Known(_), Dim::Symbol(_)) | (Dim::Symbol(_), known @ Dim::Known(_)) => known,
            (Dim::Symbol(_), Dim::Symbol(_)) => return Ok(TensorType::unshaped(dtype)),
            (Dim::Known(_), Dim::Known(_)) => return Err(mismatch()),
        });
    }
    dims.extend(row);
    dims.extend(column);
    Ok(with_dims(dtype, Some(dims)))
}

/// `(A, B, C?)` of [`crate::Op::Gemm`].
pub(super) fn gemm(inputs: Known<'_>, transpose_a: bool, transpose_b: bool) -> Result<TensorType> {
    let (a, b) = (inputs.ty(0)?, inputs.ty(1)?);
    let matrix = |ty: &TensorType, transpose: bool| match ty.dims.as_deref() {
        None => Ok(None),
        Some(&[m, n]) => Ok(Some(if transpose { (n, m) } else { (m, n) })),
        Some(_) => Err(Error::new(ErrorKind::Shape, "", "a matrix", ty)),
    };
    let (Some((m, k)), Some((l, n))) = (matrix(a, transpose_a)?, matrix(b, transpose_b)?) else {
        return Ok(TensorType::unshaped(a.dtype));
    };
    if let (Some(k), Some(l)) = (k.known(), l.known())
        && k != l
    {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "A [M,K] and B [K,N] after transposition",
            format!("{a} and {b}"),
        ));
    }
    Ok(with_dims(a.dtype, Some(vec![m, n])))
}
