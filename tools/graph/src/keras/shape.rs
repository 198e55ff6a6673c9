//! Layers that move, add or drop elements.

use super::builder::Builder;
use super::config::Layer;
use super::core::{self, one};
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Op, PadMode, Resize, ResizeCoordinates, ResizeMode, ResizeRounding, ResizeTo};
use crate::tensor::Tensor;

/// `Flatten`: the elements of each item in channels-last order, whatever the format.
pub(super) fn flatten(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let mut x = one(builder, layer, inputs)?;
    let rank = builder.rank(layer, x)?;
    if layer.channels_first()? && rank > 2 {
        let order = [0].into_iter().chain(2..rank).chain([1]).collect();
        x = builder.transpose("channels_last", x, order)?;
    }
    builder.emit("flat", Op::Flatten { axis: 1 }, &[x])
}

/// `Reshape`: the batch stays.
pub(super) fn reshape(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let target = layer.ints("target_shape")?;
    let target = target.ok_or_else(|| layer.fault(ErrorKind::Malformed, "target_shape", "none"))?;
    if target.iter().any(|&n| n == 0 || n < -1) {
        return Err(layer.fault(ErrorKind::Value, "extents above zero", format!("{target:?}")));
    }
    let shape = builder.vector("shape", [0].into_iter().chain(target).collect());
    builder.emit("reshaped", Op::Reshape { allow_zero: false }, &[x, shape])
}

/// `Permute`: axes counted from 1, the batch staying.
pub(super) fn permute(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let dims = layer.ints("dims")?.unwrap_or_default();
    let permutation: Option<Vec<usize>> = [0]
        .into_iter()
        .chain(dims.iter().copied())
        .map(|n| usize::try_from(n).ok())
        .collect();
    let permutation =
        permutation.ok_or_else(|| layer.fault(ErrorKind::Value, "axes from 1", format!("{dims:?}")))?;
    builder.transpose("permuted", x, permutation)
}

/// `RepeatVector`: `[batch, n, features]`.
pub(super) fn repeat(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    builder.expect_rank(layer, x, 2)?;
    let n = layer.int("n")?.filter(|n| (1..1 << 31).contains(n));
    let n = n.ok_or_else(|| layer.fault(ErrorKind::Malformed, "n above zero", "none"))?;
    let axis = builder.vector("axis", vec![1]);
    let x = builder.emit("row", Op::Unsqueeze, &[x, axis])?;
    let repeats = builder.vector("repeats", vec![1, n, 1]);
    builder.emit("repeated", Op::Tile, &[x, repeats])
}

/// First spatial axis of a layer's input.
fn first_spatial(layer: &Layer<'_>) -> Result<usize> {
    Ok(if layer.channels_first()? { 2 } else { 1 })
}

/// `ZeroPadding1D`, `ZeroPadding2D`.
pub(super) fn pad(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    builder.expect_rank(layer, x, axes + 2)?;
    let first = first_spatial(layer)?;
    let mut pads = vec![0; 2 * (axes + 2)];
    for (axis, [before, behind]) in layer.pairs("padding", axes)?.into_iter().enumerate() {
        pads[first + axis] = before;
        pads[axes + 2 + first + axis] = behind;
    }
    let pads = builder.vector("pads", pads);
    let op = Op::Pad {
        mode: PadMode::Constant,
    };
    builder.emit("padded", op, &[x, pads])
}

/// `Cropping1D`, `Cropping2D`.
pub(super) fn crop(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    builder.expect_rank(layer, x, axes + 2)?;
    let first = first_spatial(layer)?;
    let pairs = layer.pairs("cropping", axes)?;
    let places = (0..axes).map(|axis| (first + axis) as i64).collect();
    let starts = builder.vector("starts", pairs.iter().map(|pair| pair[0]).collect());
    // Nothing cut from the end is no negative end.
    let ends = pairs
        .iter()
        .map(|pair| if pair[1] == 0 { i64::MAX } else { -pair[1] });
    let ends = builder.vector("ends", ends.collect());
    let places = builder.vector("axes", places);
    builder.emit("cropped", Op::Slice, &[x, starts, ends, places])
}

/// `UpSampling1D`, `UpSampling2D`.
pub(super) fn upsample(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let sizes = layer.sizes("size", axes)?.unwrap_or_else(|| vec![2; axes]);
    let (mode, coordinates) = match layer.text("interpolation")?.unwrap_or("nearest") {
        "nearest" => (
            ResizeMode::Nearest(ResizeRounding::Floor),
            ResizeCoordinates::Asymmetric,
        ),
        "bilinear" => (ResizeMode::Linear, ResizeCoordinates::HalfPixel),
        other => return Err(layer.unsupported(format!("interpolation {other}"))),
    };
    let op = Op::Resize(Resize {
        mode,
        coordinates,
        antialias: false,
        axes: (2..axes as i64 + 2).collect(),
        exclude_outside: false,
        extrapolation: 0.0,
        to: ResizeTo::Stretch,
    });
    let scales = sizes.into_iter().map(|n| n as f32).collect::<Vec<_>>();
    let scales = builder.constant("scales", Tensor::vector(scales));
    let found = builder.emit_some("resized", op, &[Some(x), None, Some(scales)], &[true])?;
    let y = found.first().copied().unwrap_or(x);
    builder.back(layer, y, axes + 2)
}

/// `TimeDistributed`: the inner layer on each step, the steps joined to the batch meanwhile.
pub(super) fn time_distributed(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let inner = layer
        .get("layer")
        .ok_or_else(|| layer.fault(ErrorKind::Malformed, "a layer", "none"))?;
    let inner = Layer::new(inner)?;
    if inner.class == "TimeDistributed" || inner.class == "Bidirectional" || !core::is_known(inner.class) {
        return Err(layer.unsupported(inner.class));
    }
    let inner = Layer {
        name: layer.name,
        ..inner
    };
    // Along the last axis alone the steps need not be joined.
    if matches!(inner.class, "Dense" | "Activation" | "Dropout") {
        let found = core::apply(builder, &inner, &[x])?;
        return found
            .first()
            .copied()
            .ok_or_else(|| layer.fault(ErrorKind::Shape, "an output", "none"));
    }
    let extents = builder.extents(layer, x)?;
    let steps = builder.extent(layer, x, 1)?;
    let known = |extents: &[Option<usize>]| {
        extents
            .iter()
            .map(|extent| extent.map(|n| n as i64))
            .collect::<Option<Vec<i64>>>()
            .ok_or_else(|| {
                layer.fault(
                    ErrorKind::Shape,
                    "known extents behind the steps",
                    format!("{extents:?}"),
                )
            })
    };
    let joined = [-1]
        .into_iter()
        .chain(known(extents.get(2..).unwrap_or_default())?)
        .collect();
    let joined = builder.vector("joined", joined);
    let x = builder.emit("steps", Op::Reshape { allow_zero: false }, &[x, joined])?;
    builder.open_first(x, extents.get(2..).unwrap_or_default());
    let found = core::apply(builder, &inner, &[x])?;
    let y = found.first().copied().unwrap_or(x);
    let extents = builder.extents(layer, y)?;
    let behind = known(extents.get(1..).unwrap_or_default())?;
    let apart = builder.vector("apart", [-1, steps as i64].into_iter().chain(behind).collect());
    let y = builder.emit("apart", Op::Reshape { allow_zero: false }, &[y, apart])?;
    builder.open_first(
        y,
        &[&[Some(steps)], extents.get(1..).unwrap_or_default()].concat(),
    );
    Ok(y)
}
