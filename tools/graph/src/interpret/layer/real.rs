//! Elements as `f64` and back.

use half::{bf16, f16};

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::interpret::wide::to_odd;
use crate::spatial::for_each_place;
use crate::tensor::{Storage, Tensor, element_count};

/// Most elements that one operation may make: 2 GiB while they are `f64`.
const MOST_ELEMENTS: usize = 1 << 28;

/// Number of elements of a shape.
///
/// # Errors
/// [`ErrorKind::Limit`] above what one operation may make.
pub(super) fn count(shape: &[usize]) -> Result<usize> {
    element_count(shape)
        .filter(|&n| n <= MOST_ELEMENTS)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Limit,
                "",
                format!("at most {MOST_ELEMENTS} elements"),
                format!("shape {shape:?}"),
            )
        })
}

/// Zeros for a shape.
///
/// # Errors
/// As [`count`].
pub(super) fn zeros(shape: &[usize]) -> Result<Vec<f64>> {
    Ok(vec![0.0; count(shape)?])
}

/// The elements widened to `f64`, quantization not applied; integers beyond 2^53 are rounded.
pub(super) fn reals(tensor: &Tensor) -> Vec<f64> {
    match tensor.storage() {
        Storage::F32(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::F16(e) => e.iter().map(|x| x.to_f64()).collect(),
        Storage::Bf16(e) => e.iter().map(|x| x.to_f64()).collect(),
        Storage::F64(e) => e.to_vec(),
        Storage::I8(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::I16(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::I32(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::I64(e) => e.iter().map(|&x| x as f64).collect(),
        Storage::U8(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::U16(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::U32(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::U64(e) => e.iter().map(|&x| x as f64).collect(),
        Storage::Bool(e) => e.iter().map(|&x| f64::from(u8::from(x))).collect(),
    }
}

/// A tensor of a type, each element rounded once; integers towards zero and clamped.
///
/// # Errors
/// [`ErrorKind::Shape`] if the number of elements is not that of the shape.
pub(super) fn tensor(shape: &[usize], dtype: Dtype, values: Vec<f64>) -> Result<Tensor> {
    let storage: Storage = match dtype {
        Dtype::F32 => convert(&values, |x| x as f32).into(),
        Dtype::F16 => convert(&values, |x| f16::from_f32(to_odd(x))).into(),
        Dtype::Bf16 => convert(&values, |x| bf16::from_f32(to_odd(x))).into(),
        Dtype::F64 => values.into(),
        Dtype::I8 => convert(&values, |x| x as i8).into(),
        Dtype::I16 => convert(&values, |x| x as i16).into(),
        Dtype::I32 => convert(&values, |x| x as i32).into(),
        Dtype::I64 => convert(&values, |x| x as i64).into(),
        Dtype::U8 => convert(&values, |x| x as u8).into(),
        Dtype::U16 => convert(&values, |x| x as u16).into(),
        Dtype::U32 => convert(&values, |x| x as u32).into(),
        Dtype::U64 => convert(&values, |x| x as u64).into(),
        Dtype::Bool => convert(&values, |x| x != 0.0).into(),
    };
    Tensor::new(shape, storage)
}

fn convert<T>(values: &[f64], to: impl Fn(f64) -> T) -> Vec<T> {
    values.iter().map(|&x| to(x)).collect()
}

/// The elements of a floating-point tensor.
///
/// # Errors
/// [`ErrorKind::Dtype`] for other elements.
pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f64>> {
    if !tensor.dtype().is_float() {
        return Err(Error::new(
            ErrorKind::Dtype,
            "",
            "floating-point elements",
            tensor.dtype(),
        ));
    }
    Ok(reals(tensor))
}

/// For each element of shape `to` the place of the element of shape `from` that is broadcast there.
///
/// # Errors
/// [`ErrorKind::Shape`] if it does not broadcast.
pub(super) fn places(from: &[usize], to: &[usize]) -> Result<Vec<usize>> {
    let skipped = to.len().checked_sub(from.len());
    let fits = |skipped: usize| from.iter().zip(&to[skipped..]).all(|(&a, &b)| a == b || a == 1);
    let Some(skipped) = skipped.filter(|&n| fits(n)) else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("a shape that broadcasts to {to:?}"),
            format!("{from:?}"),
        ));
    };
    let mut places = Vec::with_capacity(count(to)?);
    for_each_place(to, |place| {
        let at = from.iter().zip(&place[skipped..]);
        places.push(at.fold(0, |at, (&extent, &p)| {
            at * extent + if extent == 1 { 0 } else { p }
        }));
    });
    Ok(places)
}

/// Calls `visit` with each place of shape `to` and the element of a floating-point tensor that is broadcast there.
///
/// # Errors
/// [`ErrorKind::Shape`] if it does not broadcast, [`ErrorKind::Dtype`] for other elements.
pub(super) fn broadcast(tensor: &Tensor, to: &[usize], mut visit: impl FnMut(usize, f64)) -> Result<()> {
    let values = floats(tensor)?;
    for (n, place) in places(tensor.shape(), to)?.into_iter().enumerate() {
        visit(n, values[place]);
    }
    Ok(())
}
