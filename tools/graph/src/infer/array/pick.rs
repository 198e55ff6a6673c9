//! Types of what picks and places by indices.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, axis, ensure, typed};
use crate::op::GatherMode;
use crate::types::{Dim, TensorType};

fn indices<'a>(inputs: Known<'a>, n: usize) -> Result<&'a TensorType> {
    let ty = inputs.ty(n)?;
    ensure(ty.dtype.is_integer(), ErrorKind::Dtype, "integer indices", ty)?;
    Ok(ty)
}

pub(super) fn gather(x: &TensorType, inputs: Known<'_>, mode: GatherMode) -> Result<Option<Vec<Dim>>> {
    let places = indices(inputs, 1)?;
    let (Some(dims), Some(at)) = (&x.dims, &places.dims) else {
        return Ok(None);
    };
    match mode {
        GatherMode::Slices { axis: number } => {
            let place = axis(number, dims.len())?;
            Ok(Some([&dims[..place], at, &dims[place + 1..]].concat()))
        }
        GatherMode::Elements { axis: number } => {
            let place = axis(number, dims.len())?;
            inside(dims, at, place, "indices")?;
            Ok(Some(at.clone()))
        }
        GatherMode::Nd { batch_dims } => {
            let Some((&last, outer)) = at.split_last() else {
                return Err(Error::new(
                    ErrorKind::Shape,
                    "indices",
                    "one axis or more",
                    places,
                ));
            };
            let Some(depth) = last.known() else {
                return Ok(None);
            };
            let expected = format!("places in {} axes behind {batch_dims}", dims.len());
            let fits = batch_dims <= outer.len() && batch_dims.saturating_add(depth) <= dims.len();
            ensure(fits, ErrorKind::Shape, &expected, places)?;
            for (a, b) in outer[..batch_dims].iter().zip(&dims[..batch_dims]) {
                let same = a == b || a.known().is_none() || b.known().is_none();
                ensure(same, ErrorKind::Shape, "equal batch axes", places)?;
            }
            Ok(Some([outer, &dims[batch_dims + depth..]].concat()))
        }
    }
}

/// Checks that `inner` is not larger than `outer` anywhere but along one axis.
fn inside(outer: &[Dim], inner: &[Dim], along: usize, name: &str) -> Result<()> {
    let fits = outer.len() == inner.len()
        && outer
            .iter()
            .zip(inner)
            .enumerate()
            .all(|(place, pair)| match pair {
                (Dim::Known(a), Dim::Known(b)) => place == along || b <= a,
                _ => true,
            });
    if fits {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Shape,
        name,
        format!("extents inside {} but along axis {along}", extent::show(outer)),
        extent::show(inner),
    ))
}

fn updates(x: &TensorType, ty: &TensorType) -> Result<()> {
    let (expected, found) = (extent::dtype(x), extent::dtype(ty));
    ensure(expected == found, ErrorKind::Dtype, expected.name(), found)
}

/// Checks that two lists of extents can be equal.
fn equal(expected: &[Dim], found: &[Dim], name: &str) -> Result<()> {
    let same = expected.len() == found.len()
        && expected
            .iter()
            .zip(found)
            .all(|(a, b)| a == b || a.known().is_none() || b.known().is_none());
    if same {
        return Ok(());
    }
    let (expected, found) = (extent::show(expected), extent::show(found));
    Err(Error::new(ErrorKind::Shape, name, expected, found))
}

pub(super) fn scatter_elements(x: &TensorType, inputs: Known<'_>, number: i64) -> Result<()> {
    let (places, new) = (indices(inputs, 1)?, inputs.ty(2)?);
    updates(x, new)?;
    if let (Some(dims), Some(at)) = (&x.dims, &places.dims) {
        inside(dims, at, axis(number, dims.len())?, "indices")?;
        if let Some(new) = &new.dims {
            equal(at, new, "updates")?;
        }
    }
    Ok(())
}

pub(super) fn scatter_nd(x: &TensorType, inputs: Known<'_>) -> Result<()> {
    let (places, new) = (indices(inputs, 1)?, inputs.ty(2)?);
    updates(x, new)?;
    let (Some(dims), Some(at), Some(new)) = (&x.dims, &places.dims, &new.dims) else {
        return Ok(());
    };
    let Some((&last, outer)) = at.split_last() else {
        return Err(Error::new(
            ErrorKind::Shape,
            "indices",
            "one axis or more",
            places,
        ));
    };
    let Some(depth) = last.known() else {
        return Ok(());
    };
    let expected = format!("places in {} axes", dims.len());
    ensure(depth <= dims.len(), ErrorKind::Shape, &expected, places)?;
    equal(&[outer, &dims[depth..]].concat(), new, "updates")
}

pub(super) fn tensor_scatter(x: &TensorType, inputs: Known<'_>, number: i64) -> Result<()> {
    let new = inputs.ty(1)?;
    updates(x, new)?;
    if let (Some(dims), Some(from)) = (&x.dims, &new.dims) {
        let place = axis(number, dims.len())?;
        ensure(place > 0, ErrorKind::Value, "an axis behind the batch", number)?;
        let mut expected = dims.clone();
        if let Some(&along) = from.get(place) {
            expected[place] = along;
        }
        equal(&expected, from, "update")?;
        inside(dims, from, dims.len(), "update")?;
    }
    if let (Some(places), Some(dims)) = (inputs.optional(2), &x.dims) {
        ensure(
            places.dtype.is_integer(),
            ErrorKind::Dtype,
            "integer indices",
            places,
        )?;
        if let Some(at) = &places.dims {
            equal(&dims[..1.min(dims.len())], at, "write_indices")?;
        }
    }
    Ok(())
}

pub(super) fn one_hot(x: &TensorType, inputs: Known<'_>, number: i64) -> Result<TensorType> {
    let values = inputs.ty(2)?;
    if let Some(shape) = values.shape() {
        ensure(shape == [2], ErrorKind::Shape, "two values", values)?;
    }
    let depth = match inputs.constant(1) {
        Some(depth) => {
            let one = depth.len() == 1;
            ensure(one, ErrorKind::Shape, "one depth", depth.len())?;
            let depth = f64::from(depth.to_f32()[0]);
            let fits = (0.0..=extent::MAX_ELEMENTS as f64).contains(&depth);
            ensure(fits, ErrorKind::Value, "a depth of at least 0", depth)?;
            depth as usize
        }
        None => return Ok(typed(extent::dtype(values), None)),
    };
    let dims = match &x.dims {
        Some(dims) => {
            let place = axis(number, dims.len() + 1)?;
            let mut dims = dims.clone();
            dims.insert(place, Dim::Known(depth));
            Some(dims)
        }
        None => None,
    };
    Ok(typed(extent::dtype(values), dims))
}
