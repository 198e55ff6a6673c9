//! Types of what joins, cuts and pads.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, axis, ensure, extent, ints, typed};
use crate::types::{Dim, TensorType};

/// Places `start, start + step, ...` along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// First place.
    pub start: i64,
    /// Distance of two places; not 0.
    pub step: i64,
    /// Number of places.
    pub length: usize,
}

impl Cut {
    /// The places from `start` until `end` is reached or passed; `step` is not 0.
    pub(crate) fn new(start: i64, end: i64, step: i64) -> Self {
        let distance = if step > 0 { (start, end) } else { (end, start) };
        let length = if distance.0 < distance.1 {
            (distance.0.abs_diff(distance.1) - 1) / step.unsigned_abs() + 1
        } else {
            0
        };
        Self {
            start,
            step,
            length: usize::try_from(length).unwrap_or(usize::MAX),
        }
    }

    /// What a slice takes of an axis of `extent` places, out-of-range numbers limited as in NumPy.
    fn of(extent: usize, start: i64, end: i64, step: i64) -> Self {
        let n = extent as i64;
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |number: i64| {
            let number = if number < 0 {
                number.saturating_add(n)
            } else {
                number
            };
            number.clamp(low, high)
        };
        Self::new(place(start), place(end), step)
    }
}

/// What `Slice` takes of each axis: a cut, or `None` for an axis that is kept whole.
///
/// `shape` says how long an axis is; where it does not know, only cuts of everything are found.
pub(crate) fn cuts(
    shape: &[Dim],
    starts: &[i64],
    ends: &[i64],
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Result<Option<Vec<Option<Cut>>>> {
    let count = starts.len();
    let fits = ends.len() == count
        && axes.is_none_or(|a| a.len() == count)
        && steps.is_none_or(|s| s.len() == count)
        && count <= shape.len();
    if !fits {
        let found = format!("{count} starts, {} ends for {} axes", ends.len(), shape.len());
        return Err(Error::new(ErrorKind::Shape, "", "lists of equal length", found));
    }
    let places = match axes {
        Some(axes) => extent::axes(axes, shape.len())?,
        None => (0..count).collect(),
    };
    let mut found = vec![None; shape.len()];
    for (n, &place) in places.iter().enumerate() {
        let step = steps.map_or(1, |s| s[n]);
        ensure(step != 0, ErrorKind::Value, "a step other than 0", step)?;
        match shape[place] {
            Dim::Known(length) => found[place] = Some(Cut::of(length, starts[n], ends[n], step)),
            Dim::Symbol(_) if starts[n] == 0 && step == 1 && ends[n] >= i64::from(i32::MAX) => {}
            Dim::Symbol(_) => return Ok(None),
        }
    }
    Ok(Some(found))
}

pub(super) fn slice(x: &TensorType, inputs: Known<'_>) -> Result<Option<Vec<Dim>>> {
    let Some(dims) = &x.dims else { return Ok(None) };
    let (axes, steps) = (ints(inputs, 3)?, ints(inputs, 4)?);
    let unknown = (inputs.has(3) && axes.is_none()) || (inputs.has(4) && steps.is_none());
    let (Some(starts), Some(ends), false) = (ints(inputs, 1)?, ints(inputs, 2)?, unknown) else {
        return Ok(None);
    };
    let cuts = cuts(dims, &starts, &ends, axes.as_deref(), steps.as_deref())?;
    Ok(cuts.map(|cuts| {
        cuts.iter()
            .zip(dims)
            .map(|(cut, &dim)| cut.map_or(dim, |cut| Dim::Known(cut.length)))
            .collect()
    }))
}

pub(super) fn concat(inputs: Known<'_>, number: i64) -> Result<Option<Vec<Dim>>> {
    let types = (0..inputs.count())
        .map(|n| inputs.ty(n))
        .collect::<Result<Vec<_>>>()?;
    for ty in &types {
        let (expected, found) = (extent::dtype(types[0]), extent::dtype(ty));
        ensure(expected == found, ErrorKind::Dtype, expected.name(), found)?;
    }
    let Some(all) = types
        .iter()
        .map(|ty| ty.dims.as_deref())
        .collect::<Option<Vec<_>>>()
    else {
        return Ok(None);
    };
    let mut dims = all[0].to_vec();
    let place = axis(number, dims.len())?;
    for (other, ty) in all[1..].iter().zip(&types[1..]) {
        let mismatch = || {
            let expected = format!("extents of {} but along axis {place}", types[0]);
            Error::new(ErrorKind::Shape, "", expected, ty)
        };
        if other.len() != dims.len() {
            return Err(mismatch());
        }
        for (n, (a, &b)) in dims.iter_mut().zip(*other).enumerate() {
            match (*a, b) {
                (Dim::Known(x), Dim::Known(y)) if n == place => {
                    *a = Dim::Known(x.checked_add(y).ok_or_else(mismatch)?);
                }
                (x, Dim::Known(0)) if n == place => *a = x,
                (Dim::Known(0), y) if n == place => *a = y,
                _ if n == place => return Ok(None),
                (Dim::Known(x), Dim::Known(y)) if x != y => return Err(mismatch()),
                (Dim::Symbol(_), y @ Dim::Known(_)) => *a = y,
                _ => {}
            }
        }
    }
    Ok(Some(dims))
}

/// Extents of the parts that `Split` makes of an axis.
pub(crate) fn split_sizes(length: usize, sizes: Option<&[i64]>, outputs: usize) -> Result<Vec<usize>> {
    let Some(sizes) = sizes else {
        let part = length.div_ceil(outputs.max(1));
        return Ok((0..outputs)
            .map(|n| length.saturating_sub(n.saturating_mul(part)).min(part))
            .collect());
    };
    let list = sizes.iter().map(|&n| extent(n)).collect::<Result<Vec<_>>>()?;
    let sum = list.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if sum != Some(length) || list.len() != outputs {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("{outputs} sizes with the sum {length}"),
            format!("{sizes:?}"),
        ));
    }
    Ok(list)
}

pub(super) fn split(
    x: &TensorType,
    inputs: Known<'_>,
    number: i64,
    outputs: usize,
) -> Result<Vec<TensorType>> {
    let unknown = || vec![typed(extent::dtype(x), None); outputs];
    let Some(dims) = &x.dims else {
        return Ok(unknown());
    };
    let place = axis(number, dims.len())?;
    let sizes = ints(inputs, 1)?;
    if inputs.has(1) && sizes.is_none() {
        return Ok(unknown());
    }
    let parts = match (dims[place].known(), &sizes) {
        (Some(length), _) => split_sizes(length, sizes.as_deref(), outputs)?,
        (None, Some(sizes)) => sizes.iter().map(|&n| extent(n)).collect::<Result<_>>()?,
        (None, None) => return Ok(unknown()),
    };
    Ok(parts
        .into_iter()
        .map(|part| {
            let mut dims = dims.clone();
            dims[place] = Dim::Known(part);
            typed(extent::dtype(x), Some(dims))
        })
        .collect())
}

/// Elements that `Pad` adds before and behind each axis; negative where it takes some away.
pub(crate) fn pads(rank: usize, pads: &[i64], axes: Option<&[i64]>) -> Result<Vec<(i64, i64)>> {
    let places = match axes {
        Some(axes) => extent::axes(axes, rank)?,
        None => (0..rank).collect(),
    };
    let count = places.len();
    let expected = format!("{} pads", 2 * count);
    ensure(pads.len() == 2 * count, ErrorKind::Shape, &expected, pads.len())?;
    let mut found = vec![(0, 0); rank];
    for (n, &place) in places.iter().enumerate() {
        found[place] = (pads[n], pads[n + count]);
    }
    Ok(found)
}

pub(super) fn pad(x: &TensorType, inputs: Known<'_>) -> Result<Option<Vec<Dim>>> {
    let axes = ints(inputs, 3)?;
    let unknown = inputs.has(3) && axes.is_none();
    let (Some(dims), Some(list), false) = (&x.dims, ints(inputs, 1)?, unknown) else {
        return Ok(None);
    };
    let mut found = Vec::with_capacity(dims.len());
    for (&dim, (before, behind)) in dims.iter().zip(pads(dims.len(), &list, axes.as_deref())?) {
        found.push(match dim {
            dim if (before, behind) == (0, 0) => dim,
            Dim::Known(n) => {
                let length = (n as i64).checked_add(before).and_then(|n| n.checked_add(behind));
                Dim::Known(extent(length.unwrap_or(-1))?)
            }
            Dim::Symbol(_) => return Ok(None),
        });
    }
    Ok(Some(found))
}

/// First place of the input and elements added before it, where an axis of `from` places is made `to` long around
/// its centre.
pub(crate) fn crop_or_pad(from: usize, to: usize) -> (i64, i64) {
    if to <= from {
        let start = (from - to) / 2;
        (-(start as i64), -((from - to - start) as i64))
    } else {
        let before = (to - from) / 2;
        (before as i64, (to - from - before) as i64)
    }
}

pub(super) fn center_crop_pad(x: &TensorType, inputs: Known<'_>, axes: &[i64]) -> Result<Option<Vec<Dim>>> {
    let (Some(dims), Some(list)) = (&x.dims, ints(inputs, 1)?) else {
        return Ok(None);
    };
    let places = if axes.is_empty() {
        (0..dims.len()).collect()
    } else {
        extent::axes(axes, dims.len())?
    };
    let expected = format!("{} extents", places.len());
    ensure(
        list.len() == places.len(),
        ErrorKind::Shape,
        &expected,
        list.len(),
    )?;
    let mut dims = dims.clone();
    for (place, n) in places.into_iter().zip(list) {
        dims[place] = Dim::Known(extent(n)?);
    }
    Ok(Some(dims))
}

pub(super) fn compress(x: &TensorType, inputs: Known<'_>, number: Option<i64>) -> Result<Option<Vec<Dim>>> {
    let (Some(dims), Some(flags)) = (&x.dims, inputs.constant(1)) else {
        return Ok(None);
    };
    let count = flags.elements::<bool>()?.iter().filter(|&&flag| flag).count();
    let Some(number) = number else {
        return Ok(Some(vec![Dim::Known(count)]));
    };
    let mut dims = dims.clone();
    let place = axis(number, dims.len())?;
    dims[place] = Dim::Known(count);
    Ok(Some(dims))
}
