//! Extents of what is resampled.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{dtype, typed};
use crate::op::{Resize, RoiAlign};
use crate::resample;
use crate::spatial;
use crate::types::{Dim, TensorType};

/// `(X, roi?, scales?, sizes?)` of [`crate::Op::Resize`].
pub(super) fn resize(r: &Resize, inputs: Known<'_>) -> Result<TensorType> {
    let x = inputs.ty(0)?;
    let unknown = |n: usize| inputs.has(n) && inputs.constant(n).is_none();
    let Some(dims) = x.dims.as_deref() else {
        return Ok(TensorType::unshaped(dtype(x)));
    };
    if unknown(2) || unknown(3) {
        return Ok(TensorType::unshaped(dtype(x)));
    }
    // A symbol is kept where its axis is not resized, which any extent shows.
    let stand_in: Vec<usize> = dims.iter().map(|d| d.known().unwrap_or(1 << 16)).collect();
    let found = resample::resized(r, &stand_in, inputs.constant(2), inputs.constant(3))?;
    let axes = resample::axes(r, dims.len())?;
    let by_scales = inputs.constant(2).is_some_and(|scales| !scales.is_empty());
    let mut made = Vec::with_capacity(dims.len());
    for (axis, (dim, to)) in dims.iter().zip(found).enumerate() {
        let kept = !axes.contains(&axis) || by_scales && to.scale == 1.0;
        match dim {
            Dim::Symbol(_) if kept => made.push(*dim),
            Dim::Symbol(_) if by_scales || r.to != crate::op::ResizeTo::Stretch => {
                return Ok(TensorType::unshaped(dtype(x)));
            }
            _ => made.push(Dim::Known(to.extent)),
        }
    }
    Ok(typed(dtype(x), Some(made)))
}

/// `(X, grid)` of [`crate::Op::GridSample`].
pub(super) fn grid(inputs: Known<'_>) -> Result<TensorType> {
    let (x, grid) = (inputs.ty(0)?, inputs.ty(1)?);
    let (Some(dims), Some(places)) = (x.dims.as_deref(), grid.dims.as_deref()) else {
        return Ok(TensorType::unshaped(dtype(x)));
    };
    let ([batch, channels, ..], [_, places @ .., _]) = (dims, places) else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C,...] and a grid [N,...,axes]",
            format!("{x} and {grid}"),
        ));
    };
    Ok(typed(dtype(x), Some([&[*batch, *channels], places].concat())))
}

/// `(theta, size)` of [`crate::Op::AffineGrid`].
pub(super) fn affine(inputs: Known<'_>) -> Result<TensorType> {
    let theta = dtype(inputs.ty(0)?);
    let Some(size) = inputs.constant(1) else {
        return Ok(TensorType::unshaped(theta));
    };
    let size = spatial::extents(size)?;
    let [batch, _, extents @ ..] = &size[..] else {
        return Err(Error::new(
            ErrorKind::Shape,
            "size",
            "[N,C,...]",
            format!("{size:?}"),
        ));
    };
    let shape = [&[*batch], extents, &[extents.len()]].concat();
    Ok(TensorType::new(theta, &shape))
}

/// `(X, rois, batch_indices)` of [`crate::Op::RoiAlign`].
pub(super) fn regions(r: &RoiAlign, inputs: Known<'_>) -> Result<TensorType> {
    let (x, rois) = (inputs.ty(0)?, inputs.ty(1)?);
    match (x.dims.as_deref(), rois.dims.as_deref()) {
        (Some(&[_, channels, _, _]), Some(&[count, _])) => Ok(typed(
            dtype(x),
            Some(vec![count, channels, r.height.into(), r.width.into()]),
        )),
        (Some(_), Some(_)) => Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C,H,W] and regions [n,4]",
            format!("{x} and {rois}"),
        )),
        _ => Ok(TensorType::unshaped(dtype(x))),
    }
}

/// Of [`crate::Op::NonMaxSuppression`]: how many are kept is seen only when it runs.
pub(super) fn suppression() -> TensorType {
    TensorType::unshaped(Dtype::I64)
}
