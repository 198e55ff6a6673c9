use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, axis, ensure, typed};
use crate::op::Op;
use crate::types::{Dim, TensorType};

/// Greatest length of a transform; a few numbers of 16 bytes each are held for each place.
const MAX_LENGTH: usize = 1 << 26;

/// Types of the outputs.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, _outputs: usize) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    let dtype = extent::dtype(x);
    Ok(vec![match op {
        Op::Dft { inverse, onesided } => {
            ensure(
                dtype.is_float(),
                ErrorKind::Dtype,
                "floating-point elements",
                dtype,
            )?;
            typed(dtype, transformed(x, inputs, *inverse, *onesided)?)
        }
        Op::Stft { onesided } => {
            ensure(
                dtype.is_float(),
                ErrorKind::Dtype,
                "floating-point elements",
                dtype,
            )?;
            typed(dtype, frames(x, inputs, *onesided)?)
        }
        Op::Window { dtype, .. } => {
            let dims = match extent::int(inputs, 0)? {
                Some(size) => Some(vec![Dim::Known(extent::extent(size)?)]),
                None => None,
            };
            typed(*dtype, dims)
        }
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "an operation on signals",
                format!("{other:?}"),
            ));
        }
    }])
}

/// Length of a transform: as wanted, else that of the signal or of what half a spectrum stands for.
pub(crate) fn transform_length(wanted: Option<i64>, places: usize, from_half: bool) -> Result<usize> {
    let length = match wanted {
        Some(wanted) => extent::extent(wanted)?,
        None if from_half => 2 * places.saturating_sub(1),
        None => places,
    };
    let expected = format!("a transform of 1 to {MAX_LENGTH} places");
    ensure(
        (1..=MAX_LENGTH).contains(&length),
        ErrorKind::Value,
        &expected,
        length,
    )?;
    Ok(length)
}

fn transformed(x: &TensorType, inputs: Known<'_>, inverse: bool, onesided: bool) -> Result<Option<Vec<Dim>>> {
    let (wanted, along) = (extent::int(inputs, 1)?, extent::int(inputs, 2)?);
    let unknown = (inputs.has(1) && wanted.is_none()) || (inputs.has(2) && along.is_none());
    let (Some(dims), false) = (&x.dims, unknown) else {
        return Ok(None);
    };
    let rank = dims.len();
    ensure(rank >= 2, ErrorKind::Shape, "two axes or more", x)?;
    let place = axis(along.unwrap_or(-2), rank)?;
    ensure(
        place + 1 < rank,
        ErrorKind::Value,
        "an axis before the last",
        place,
    )?;
    let Some(parts) = dims[rank - 1].known() else {
        return Ok(None);
    };
    let complex = parts == 2;
    ensure(
        complex || parts == 1,
        ErrorKind::Shape,
        "a last axis of 1 or 2",
        x,
    )?;
    ensure(
        !onesided || complex == inverse,
        ErrorKind::Shape,
        "a real signal or half a spectrum",
        x,
    )?;
    let mut found = dims.clone();
    found[rank - 1] = Dim::Known(if onesided && inverse { 1 } else { 2 });
    let length = match (dims[place].known(), wanted) {
        (Some(places), _) => transform_length(wanted, places, onesided && inverse)?,
        (None, Some(_)) => transform_length(wanted, 0, false)?,
        (None, None) => return Ok((!onesided).then_some(found)),
    };
    found[place] = Dim::Known(if onesided && !inverse {
        length / 2 + 1
    } else {
        length
    });
    Ok(Some(found))
}

fn frames(x: &TensorType, inputs: Known<'_>, onesided: bool) -> Result<Option<Vec<Dim>>> {
    let Some(dims) = &x.dims else { return Ok(None) };
    let (batch, samples, parts) = match *dims.as_slice() {
        [batch, samples] => (batch, samples, Dim::Known(1)),
        [batch, samples, parts] => (batch, samples, parts),
        _ => {
            return Err(Error::new(
                ErrorKind::Shape,
                "signal",
                "[batch,samples,1 or 2]",
                x,
            ));
        }
    };
    if let Some(parts) = parts.known() {
        let fits = parts == 1 || (parts == 2 && !onesided);
        ensure(fits, ErrorKind::Shape, "a real signal, or all of the spectrum", x)?;
    }
    let (Some(step), Some(samples)) = (extent::int(inputs, 1)?, samples.known()) else {
        return Ok(None);
    };
    let window = match inputs.optional(2) {
        Some(ty) => match ty.shape().as_deref() {
            Some(&[length]) => Some(length),
            Some(_) => return Err(Error::new(ErrorKind::Shape, "window", "one axis", ty)),
            None => return Ok(None),
        },
        None => None,
    };
    let wanted = extent::int(inputs, 3)?;
    if inputs.has(3) && wanted.is_none() {
        return Ok(None);
    }
    let length = transform_length(wanted, window.unwrap_or(samples), false)?;
    if let Some(window) = window {
        let expected = format!("a window of {length} places");
        ensure(window == length, ErrorKind::Shape, &expected, window)?;
    }
    ensure(step > 0, ErrorKind::Value, "a step of at least 1", step)?;
    let count = match samples.checked_sub(length) {
        Some(rest) => rest / extent::extent(step)? + 1,
        None => 0,
    };
    let bins = if onesided { length / 2 + 1 } else { length };
    Ok(Some(vec![
        batch,
        Dim::Known(count),
        Dim::Known(bins),
        Dim::Known(2),
    ]))
}
