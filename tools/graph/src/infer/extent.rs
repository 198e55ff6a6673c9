//! Axes, broadcasting and the sizes that an output may have.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::tensor::element_count;
use crate::types::{Dim, TensorType};

/// Greatest number of elements of an operation's output.
pub(crate) const MAX_ELEMENTS: usize = 1 << 31;

/// The axis that a number means, negative ones counted from the end.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize> {
    let signed = rank as i64;
    if axis < -signed || axis >= signed {
        return Err(Error::new(
            ErrorKind::Value,
            "axis",
            format!("{}..{rank}", -signed),
            axis,
        ));
    }
    Ok(if axis < 0 { axis + signed } else { axis } as usize)
}

/// As [`axis`], the number behind the last axis allowed too.
pub(crate) fn axis_or_end(number: i64, rank: usize) -> Result<usize> {
    if number == rank as i64 {
        Ok(rank)
    } else {
        axis(number, rank)
    }
}

/// The axes that a list means, each once.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut found = Vec::with_capacity(list.len().min(rank));
    for &number in list {
        let place = axis(number, rank)?;
        if found.contains(&place) {
            return Err(Error::new(
                ErrorKind::Value,
                "axes",
                "each axis once",
                format!("{list:?}"),
            ));
        }
        found.push(place);
    }
    Ok(found)
}

/// Number of elements of a shape that an operation is about to make.
///
/// # Errors
/// [`ErrorKind::Limit`] above [`MAX_ELEMENTS`].
pub(crate) fn checked_count(shape: &[usize]) -> Result<usize> {
    match element_count(shape) {
        Some(n) if n <= MAX_ELEMENTS => Ok(n),
        _ => Err(Error::new(
            ErrorKind::Limit,
            "output",
            format!("at most {MAX_ELEMENTS} elements"),
            format!("shape {shape:?}"),
        )),
    }
}

/// Extents of two operands broadcast as in NumPy; `None` where they depend on how symbols are bound.
pub(crate) fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Option<Vec<Dim>>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[Dim], place: usize| -> Dim {
        (place + dims.len())
            .checked_sub(rank)
            .and_then(|i| dims.get(i).copied())
            .unwrap_or(Dim::Known(1))
    };
    let mut found = Vec::with_capacity(rank);
    for place in 0..rank {
        found.push(match (at(a, place), at(b, place)) {
            (x, y) if x == y => x,
            (Dim::Known(1), x) | (x, Dim::Known(1)) => x,
            (Dim::Known(_), Dim::Known(_)) => {
                return Err(Error::new(
                    ErrorKind::Shape,
                    "",
                    "extents that broadcast",
                    format!("{} and {}", show(a), show(b)),
                ));
            }
            (x @ Dim::Known(_), Dim::Symbol(_)) | (Dim::Symbol(_), x @ Dim::Known(_)) => x,
            (Dim::Symbol(_), Dim::Symbol(_)) => return Ok(None),
        });
    }
    Ok(Some(found))
}

/// As [`broadcast`], for operands of which even the rank may be unknown.
pub(crate) fn broadcast_all<'a>(types: impl IntoIterator<Item = &'a TensorType>) -> Result<Option<Vec<Dim>>> {
    let mut dims = Vec::new();
    for ty in types {
        let Some(next) = &ty.dims else { return Ok(None) };
        match broadcast(&dims, next)? {
            Some(joined) => dims = joined,
            None => return Ok(None),
        }
    }
    Ok(Some(dims))
}

/// Extents as messages write them.
pub(crate) fn show(dims: &[Dim]) -> String {
    let ty = TensorType {
        dims: Some(dims.to_vec()),
        ..TensorType::unshaped(Dtype::F32)
    };
    ty.to_string().trim_start_matches("f32").to_owned()
}

/// Type of the elements that an operation sees: real numbers where integers stand for them.
pub(crate) fn dtype(ty: &TensorType) -> Dtype {
    if ty.quantization.is_some() {
        Dtype::F32
    } else {
        ty.dtype
    }
}

/// A plain type.
pub(crate) fn typed(dtype: Dtype, dims: Option<Vec<Dim>>) -> TensorType {
    TensorType {
        dtype,
        dims,
        quantization: None,
    }
}

/// The integers of a constant input; `None` where they are not known.
pub(crate) fn ints(inputs: Known<'_>, n: usize) -> Result<Option<Vec<i64>>> {
    inputs
        .constant(n)
        .map(|t| t.to_i64().map_err(|e| e.within(format!("input {n}"))))
        .transpose()
}

/// The only integer of a constant input; `None` where it is not known.
pub(crate) fn int(inputs: Known<'_>, n: usize) -> Result<Option<i64>> {
    let Some(list) = ints(inputs, n)? else {
        return Ok(None);
    };
    match list.as_slice() {
        [one] => Ok(Some(*one)),
        _ => Err(Error::new(
            ErrorKind::Shape,
            format!("input {n}"),
            "one element",
            list.len(),
        )),
    }
}

/// An extent of the file's numbers.
pub(crate) fn extent(n: i64) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::new(ErrorKind::Value, "extent", "a number of at least 0", n))
}

/// Fails with a class and a message unless `condition`.
pub(crate) fn ensure(
    condition: bool,
    kind: ErrorKind,
    expected: &str,
    found: impl std::fmt::Display,
) -> Result<()> {
    if condition {
        Ok(())
    } else {
        Err(Error::new(kind, "", expected, found))
    }
}
