//! Pools over windows and over everything.

use super::builder::Builder;
use super::config::Layer;
use super::core::one;
use crate::error::Result;
use crate::graph::ValueId;
use crate::op::{Op, Pool, PoolKind};

fn kind(layer: &Layer<'_>) -> PoolKind {
    if layer.class.contains("Max") {
        PoolKind::Max
    } else {
        PoolKind::Average {
            include_padding: false,
        }
    }
}

/// `MaxPooling1D`, `AveragePooling2D` and the like.
pub(super) fn window(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    // Of one axis, Keras before 2.1 had other names.
    let one_axis = |key: &str, old: &str| match (layer.get(key), axes) {
        (None, 1) => layer.sizes(old, 1),
        _ => layer.sizes(key, axes),
    };
    let kernel = one_axis("pool_size", "pool_length")?.unwrap_or_else(|| vec![2; axes]);
    let strides = one_axis("strides", "stride")?.unwrap_or_else(|| kernel.clone());
    let padding = layer.padding(axes)?;
    let op = Op::Pool(Pool {
        kind: kind(layer),
        dilations: vec![1; axes],
        kernel,
        strides,
        padding,
        ceil_mode: false,
        column_major: false,
    });
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let y = builder.emit("pool", op, &[x])?;
    builder.back(layer, y, axes + 2)
}

/// `GlobalMaxPooling1D`, `GlobalAveragePooling2D` and the like.
pub(super) fn global(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let y = builder.emit("pool", Op::GlobalPool(kind(layer)), &[x])?;
    if layer.flag("keepdims", false)? {
        return builder.back(layer, y, axes + 2);
    }
    let spatial = builder.vector("spatial", (2..axes as i64 + 2).collect());
    builder.emit("squeezed", Op::Squeeze, &[y, spatial])
}
