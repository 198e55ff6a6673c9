//! Batch and layer normalisation.

use super::builder::Builder;
use super::config::Layer;
use super::core::one;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::Op;
use crate::tensor::Tensor;

/// Keras' own epsilon.
const EPSILON: f32 = 1e-3;

/// The only axis that a setting names, counted from the start.
fn axis(layer: &Layer<'_>, rank: usize) -> Result<usize> {
    let axis = match layer.ints("axis")?.as_deref() {
        None => -1,
        Some(&[axis]) => axis,
        Some(_) => return Err(layer.unsupported("several axes")),
    };
    let place = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(place)
        .ok()
        .filter(|&place| place < rank)
        .ok_or_else(|| layer.fault(ErrorKind::Value, format!("an axis of {rank}"), axis))
}

/// A weight, or what stands for it where the layer has none.
fn or_constant(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    name: &str,
    has: bool,
    n: usize,
    value: f32,
) -> Result<ValueId> {
    let tensor = if has {
        builder.weight(layer, name, &[Some(n)])?
    } else {
        Tensor::vector(vec![value; n])
    };
    Ok(builder.constant(name, tensor))
}

/// `BatchNormalization` at inference.
pub(super) fn batch(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let rank = builder.rank(layer, x)?;
    let axis = axis(layer, rank)?;
    let n = builder.extent(layer, x, axis)?;
    let parameters = [
        or_constant(builder, layer, "gamma", layer.flag("scale", true)?, n, 1.0)?,
        or_constant(builder, layer, "beta", layer.flag("center", true)?, n, 0.0)?,
        or_constant(builder, layer, "moving_mean", true, n, 0.0)?,
        or_constant(builder, layer, "moving_variance", true, n, 1.0)?,
    ];
    let op = Op::BatchNormalization {
        epsilon: layer.real("epsilon")?.unwrap_or(EPSILON),
    };
    if axis == 0 {
        return Err(layer.unsupported("the axis of the batch"));
    }
    // The graph's channels are axis 1.
    let there: Vec<usize> = [0, axis]
        .into_iter()
        .chain((1..rank).filter(|&n| n != axis))
        .collect();
    let mut back = vec![0; rank];
    for (place, &axis) in there.iter().enumerate() {
        back[axis] = place;
    }
    let mut y = x;
    if axis != 1 {
        y = builder.transpose("channels_first", y, there)?;
    }
    let mut operands = vec![y];
    operands.extend(parameters);
    y = builder.emit("normalization", op, &operands)?;
    if axis != 1 {
        y = builder.transpose("channels_last", y, back)?;
    }
    Ok(y)
}

/// `LayerNormalization` over the last axis.
pub(super) fn layer(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let rank = builder.rank(layer, x)?;
    let axis = axis(layer, rank)?;
    if axis + 1 != rank {
        return Err(layer.unsupported(format!("axis {axis} of {rank}")));
    }
    let n = builder.extent(layer, x, axis)?;
    let gamma = or_constant(builder, layer, "gamma", layer.flag("scale", true)?, n, 1.0)?;
    let beta = or_constant(builder, layer, "beta", layer.flag("center", true)?, n, 0.0)?;
    let op = Op::LayerNormalization {
        axis: -1,
        epsilon: layer.real("epsilon")?.unwrap_or(EPSILON),
    };
    builder.emit("normalization", op, &[x, gamma, beta])
}
