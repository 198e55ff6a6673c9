//! Joining, cutting and padding.

use crate::error::{Error, ErrorKind, Result};
use crate::for_each_storage;
use crate::infer::{crop_or_pad, cuts, extent, pads, split_sizes};
use crate::interpret::Call;
use crate::interpret::array::movement::strided;
use crate::interpret::strided::{around, pick, strides};
use crate::op::PadMode;
use crate::tensor::{Element, Storage, Tensor};
use crate::types::Dim;

/// The inputs behind each other along an axis.
pub(super) fn concat(call: Call<'_>, axis: i64, shape: &[usize]) -> Result<Storage> {
    fn apply<T: Element>(tensors: &[&Tensor], place: usize, shape: &[usize]) -> Result<Vec<T>> {
        let mut out = Vec::with_capacity(shape.iter().product());
        let parts = tensors
            .iter()
            .map(|t| Ok((t.elements::<T>()?, t.shape()[place..].iter().product::<usize>())))
            .collect::<Result<Vec<_>>>()?;
        for outer in 0..shape[..place].iter().product() {
            for (elements, run) in &parts {
                out.extend_from_slice(&elements[outer * run..(outer + 1) * run]);
            }
        }
        Ok(out)
    }
    let place = extent::axis(axis, shape.len())?;
    let tensors = (0..call.inputs.len())
        .map(|n| call.input(n))
        .collect::<Result<Vec<_>>>()?;
    fn typed<T: Element>(_: &[T], tensors: &[&Tensor], place: usize, shape: &[usize]) -> Result<Vec<T>> {
        apply(tensors, place, shape)
    }
    Ok(for_each_storage!(tensors[0].storage(), e => Storage::from(typed(e, &tensors, place, shape)?)))
}

/// The parts of an axis.
pub(super) fn split(call: Call<'_>, x: &Tensor, axis: i64) -> Result<Vec<Tensor>> {
    call.inferred()?;
    let place = extent::axis(axis, x.rank())?;
    let sizes = call.optional(1).map(Tensor::to_i64).transpose()?;
    let steps = strides(x.shape());
    let mut start = 0isize;
    let mut found = Vec::with_capacity(call.outputs.len());
    for size in split_sizes(x.shape()[place], sizes.as_deref(), call.outputs.len())? {
        let mut shape = x.shape().to_vec();
        shape[place] = size;
        found.push(Tensor::new(&shape, strided(x, &shape, &steps, start)?)?);
        start += size as isize * steps[place];
    }
    Ok(found)
}

/// Places `start, start + step, ...` of some axes.
pub(super) fn slice(call: Call<'_>, x: &Tensor, shape: &[usize]) -> Result<Storage> {
    let list = |n: usize| call.optional(n).map(Tensor::to_i64).transpose();
    let (axes, steps) = (list(3)?, list(4)?);
    let dims: Vec<Dim> = x.shape().iter().map(|&n| Dim::Known(n)).collect();
    let cuts = cuts(
        &dims,
        &call.ints(1)?,
        &call.ints(2)?,
        axes.as_deref(),
        steps.as_deref(),
    )?;
    let mut steps = strides(x.shape());
    let mut start = 0isize;
    for (step, cut) in steps.iter_mut().zip(cuts.unwrap_or_default()) {
        if let Some(cut) = cut
            && cut.length > 0
        {
            start += cut.start as isize * *step;
            // The step of a single place may be any number.
            *step = if cut.length == 1 {
                0
            } else {
                *step * cut.step as isize
            };
        }
    }
    strided(x, shape, &steps, start)
}

/// Elements around the tensor, or fewer of it.
pub(super) fn pad(call: Call<'_>, x: &Tensor, mode: PadMode, shape: &[usize]) -> Result<Storage> {
    let axes = call.optional(3).map(Tensor::to_i64).transpose()?;
    let list = pads(x.rank(), &call.ints(1)?, axes.as_deref())?;
    let mut maps = Vec::with_capacity(shape.len());
    for ((&from, &to), &(before, _)) in x.shape().iter().zip(shape).zip(&list) {
        if from == 0 && to > 0 && mode != PadMode::Constant {
            return Err(Error::new(
                ErrorKind::Shape,
                "",
                format!("an axis with elements to pad by {mode:?}"),
                format!("{:?}", x.shape()),
            ));
        }
        maps.push(
            (0..to as i64)
                .map(|n| source(n - before, from, mode))
                .collect::<Vec<_>>(),
        );
    }
    let value = call.optional(2).filter(|value| !value.is_empty());
    Ok(for_each_storage!(x.storage(), e => {
        let fill = match value {
            Some(value) => value.elements()?[0],
            None => Default::default(),
        };
        Storage::from(pick(e, x.shape(), &maps, fill)?)
    }))
}

/// The place of an axis of `length` places that a place outside it stands for; `None` for the constant.
fn source(place: i64, length: usize, mode: PadMode) -> Option<usize> {
    let n = length as i64;
    if (0..n).contains(&place) {
        return Some(place as usize);
    }
    let place = match mode {
        PadMode::Constant => return None,
        PadMode::Edge => place.clamp(0, n - 1),
        PadMode::Wrap => place.rem_euclid(n),
        PadMode::Reflect if n == 1 => 0,
        PadMode::Reflect => {
            let place = place.rem_euclid(2 * (n - 1));
            if place < n { place } else { 2 * (n - 1) - place }
        }
    };
    Some(place as usize)
}

/// The centre of the tensor, or the tensor in the centre of zeros.
pub(super) fn center_crop_pad(x: &Tensor, shape: &[usize]) -> Result<Storage> {
    let mut maps = Vec::with_capacity(shape.len());
    for (&from, &to) in x.shape().iter().zip(shape) {
        let (before, _) = crop_or_pad(from, to);
        maps.push(
            (0..to as i64)
                .map(|n| source(n - before, from, PadMode::Constant))
                .collect::<Vec<_>>(),
        );
    }
    Ok(for_each_storage!(x.storage(), e => Storage::from(pick(e, x.shape(), &maps, Default::default())?)))
}

/// The slices along an axis, or the elements without one, where the condition is true.
pub(super) fn compress(x: &Tensor, condition: &Tensor, axis: Option<i64>) -> Result<Storage> {
    let (place, shape) = match axis {
        Some(axis) => (extent::axis(axis, x.rank())?, x.shape().to_vec()),
        None => (0, vec![x.len()]),
    };
    let flags = condition.elements::<bool>()?;
    let (outer, length, inner) = around(&shape, place);
    if flags.len() > length {
        return Err(Error::new(
            ErrorKind::Shape,
            "condition",
            format!("at most {length} elements"),
            flags.len(),
        ));
    }
    let along = flags
        .iter()
        .enumerate()
        .filter(|&(_, &flag)| flag)
        .map(|(n, _)| Some(n))
        .collect();
    let maps = [
        (0..outer).map(Some).collect(),
        along,
        (0..inner).map(Some).collect(),
    ];
    Ok(for_each_storage!(x.storage(), e => {
        Storage::from(pick(e, &[outer, length, inner], &maps, Default::default())?)
    }))
}
