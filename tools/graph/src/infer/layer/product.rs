//! Extents of matrix products.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, typed};
use crate::types::TensorType;

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
    let Some(mut dims) = extent::broadcast(a_batches, b_batches)? else {
        return Ok(TensorType::unshaped(dtype));
    };
    dims.extend(row);
    dims.extend(column);
    Ok(typed(dtype, Some(dims)))
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
        return Ok(TensorType::unshaped(extent::dtype(a)));
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
    Ok(typed(extent::dtype(a), Some(vec![m, n])))
}
