//! Convolutions, pools, products, normalisations and attention.

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::error::Result;
use crate::graph::ValueId;
use crate::onnx::wire::malformed;
use crate::op::{Attention, Convolution, Deformable, Op, Padding, Pool, PoolKind, RotaryEmbedding};

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "Conv" => n.same(Op::Conv(convolution(b, n, 1)?)),
        "ConvTranspose" => n.same(Op::ConvTranspose(transposed(b, n)?)),
        "DeformConv" => {
            let convolution = convolution(b, n, 1)?;
            n.same(Op::DeformConv(Deformable {
                convolution,
                offset_groups: a.size("offset_group", 1)?,
            }))
        }
        "ConvInteger" => n.same(Op::ConvInteger(convolution(b, n, 1)?)),
        "QLinearConv" => n.same(Op::QLinearConv(convolution(b, n, 3)?)),
        "MaxPool" => n.same(Op::Pool(pool(n, PoolKind::Max)?)),
        "AveragePool" => {
            let include_padding = a.flag("count_include_pad", false)?;
            n.same(Op::Pool(pool(n, PoolKind::Average { include_padding })?))
        }
        "LpPool" => n.same(Op::Pool(pool(n, PoolKind::Lp { p: a.int("p", 2)? })?)),
        "MaxUnpool" => n.same(Op::MaxUnpool(pool(n, PoolKind::Max)?)),
        "GlobalAveragePool" => n.same(Op::GlobalPool(PoolKind::Average {
            include_padding: false,
        })),
        "GlobalMaxPool" => n.same(Op::GlobalPool(PoolKind::Max)),
        "GlobalLpPool" => n.same(Op::GlobalPool(PoolKind::Lp { p: a.int("p", 2)? })),
        "Gemm" => n.same(Op::Gemm {
            alpha: a.float("alpha", 1.0)?,
            beta: a.float("beta", 1.0)?,
            transpose_a: a.flag("transA", false)?,
            transpose_b: a.flag("transB", false)?,
        }),
        "MatMul" => n.same(Op::MatMul),
        "BatchNormalization" => batch_normalization(n)?,
        "InstanceNormalization" => n.same(Op::InstanceNormalization {
            epsilon: a.float("epsilon", 1e-5)?,
        }),
        "GroupNormalization" => group_normalization(b, n)?,
        "LayerNormalization" => {
            stash_type(n)?;
            let (axis, epsilon) = (a.int("axis", -1)?, a.float("epsilon", 1e-5)?);
            n.same(Op::LayerNormalization { axis, epsilon })
        }
        "RMSNormalization" => {
            stash_type(n)?;
            let (axis, epsilon) = (a.int("axis", -1)?, a.float("epsilon", 1e-5)?);
            n.same(Op::RmsNormalization { axis, epsilon })
        }
        "MeanVarianceNormalization" => {
            let axes = a.ints("axes")?.unwrap_or(&[0, 2, 3]).to_vec();
            n.same(Op::MeanVarianceNormalization { axes })
        }
        "LRN" => n.same(Op::LocalResponseNormalization {
            alpha: a.float("alpha", 1e-4)?,
            beta: a.float("beta", 0.75)?,
            bias: a.float("bias", 1.0)?,
            size: a.size("size", 1)?,
        }),
        "Attention" => attention(n)?,
        "RotaryEmbedding" => n.same(Op::RotaryEmbedding(RotaryEmbedding {
            interleaved: a.flag("interleaved", false)?,
            dim: a.size("rotary_embedding_dim", 0)?,
            heads: a.size("num_heads", 0)?,
        })),
        _ => return Ok(None),
    }))
}

/// Number of spatial axes: of the window, or of an input.
fn spatial_axes(b: &Importer<'_>, kernel: Option<&[usize]>, weight: ValueId) -> Result<usize> {
    if let Some(kernel) = kernel {
        return Ok(kernel.len());
    }
    let rank = b.rank(weight)?;
    rank.checked_sub(2)
        .ok_or_else(|| malformed("a weight of at least 2 axes", rank))
}

/// One number for each spatial axis, 1 where the attribute is missing.
fn per_axis(n: &Source<'_>, name: &str, axes: usize) -> Result<Vec<usize>> {
    let list = n.attributes.sizes(name)?.unwrap_or_else(|| vec![1; axes]);
    if list.len() != axes || list.contains(&0) {
        return Err(malformed(
            format!("{axes} numbers above 0 in attribute {name}"),
            format!("{list:?}"),
        ));
    }
    Ok(list)
}

fn padding(n: &Source<'_>, axes: usize) -> Result<Padding> {
    let a = &n.attributes;
    let pads = a.sizes("pads")?;
    Ok(match a.text("auto_pad", "NOTSET")? {
        "NOTSET" | "" => {
            let pads = pads.unwrap_or_else(|| vec![0; 2 * axes]);
            if pads.len() != 2 * axes {
                return Err(malformed(format!("{} pads", 2 * axes), format!("{pads:?}")));
            }
            Padding::Explicit(pads)
        }
        "VALID" => Padding::Explicit(vec![0; 2 * axes]),
        "SAME_UPPER" => Padding::SameUpper,
        "SAME_LOWER" => Padding::SameLower,
        other => {
            return Err(unsupported(
                "auto_pad",
                "NOTSET, VALID, SAME_UPPER or SAME_LOWER",
                other,
            ));
        }
    })
}

/// A convolution whose weight is a given input.
fn convolution(b: &Importer<'_>, n: &Source<'_>, weight: usize) -> Result<Convolution> {
    let a = &n.attributes;
    let axes = spatial_axes(b, a.sizes("kernel_shape")?.as_deref(), n.input(weight)?)?;
    let groups = a.size("group", 1)?;
    if groups == 0 {
        return Err(malformed("a group of at least 1", groups));
    }
    Ok(Convolution {
        strides: per_axis(n, "strides", axes)?,
        dilations: per_axis(n, "dilations", axes)?,
        padding: padding(n, axes)?,
        groups,
        ..Convolution::unit(axes)
    })
}

/// With a wanted shape the pads follow from it; the odd element is before, unless `SAME_UPPER` is asked for.
fn transposed(b: &Importer<'_>, n: &Source<'_>) -> Result<Convolution> {
    let a = &n.attributes;
    let mut convolution = convolution(b, n, 1)?;
    let axes = convolution.strides.len();
    convolution.output_padding = a.sizes("output_padding")?.unwrap_or_default();
    let shape = a.sizes("output_shape")?.unwrap_or_default();
    for (name, list) in [
        ("output_padding", &convolution.output_padding),
        ("output_shape", &shape),
    ] {
        if !list.is_empty() && list.len() != axes {
            return Err(malformed(
                format!("{axes} numbers in attribute {name}"),
                format!("{list:?}"),
            ));
        }
    }
    if !shape.is_empty() && matches!(convolution.padding, Padding::Explicit(_)) {
        convolution.padding = Padding::SameLower;
    }
    convolution.output_shape = shape;
    Ok(convolution)
}

fn pool(n: &Source<'_>, kind: PoolKind) -> Result<Pool> {
    let a = &n.attributes;
    let kernel = a.required("kernel_shape", a.sizes("kernel_shape")?)?;
    let axes = kernel.len();
    Ok(Pool {
        kind,
        strides: per_axis(n, "strides", axes)?,
        dilations: per_axis(n, "dilations", axes)?,
        padding: padding(n, axes)?,
        ceil_mode: a.flag("ceil_mode", false)?,
        column_major: a.flag("storage_order", false)?,
        kernel,
    })
}

/// Inference only; statistics for training, which versions before 14 have as outputs, are refused.
fn batch_normalization(n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    a.ignore("momentum");
    if a.int("training_mode", 0)? != 0 {
        return Err(unsupported("training_mode", "0", 1));
    }
    if a.int("spatial", 1)? != 1 {
        return Err(unsupported("spatial", "1", 0));
    }
    n.at_most(1)?;
    Ok(n.same(Op::BatchNormalization {
        epsilon: a.float("epsilon", 1e-5)?,
    }))
}

/// Scale and bias are per group in version 18, per channel from 21 on.
fn group_normalization(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    stash_type(n)?;
    let a = &n.attributes;
    let groups = a.required("num_groups", a.optional_int("num_groups")?)?;
    let groups = usize::try_from(groups).ok().filter(|&g| g > 0);
    let groups = groups.ok_or_else(|| malformed("num_groups of at least 1", "less"))?;
    let op = Op::GroupNormalization {
        epsilon: a.float("epsilon", 1e-5)?,
        groups,
    };
    if n.version >= 21 {
        return Ok(n.same(op));
    }
    let input = n.input(0)?;
    let channels = b.ty(input).dims.as_ref().and_then(|dims| dims.get(1)?.known());
    let channels = channels.filter(|c| c % groups == 0).ok_or_else(|| {
        unsupported(
            "num_groups",
            "a known number of channels that the groups divide",
            "another",
        )
    })?;
    let mut inputs = vec![Some(input)];
    for (place, what) in [(1, "scale"), (2, "bias")] {
        let column = b.integers(n, &format!("{what}_column"), &[-1, 1]);
        let shape = b.integers(
            n,
            &format!("{what}_shape"),
            &[groups as i64, (channels / groups) as i64],
        );
        let flat = b.integers(n, &format!("{what}_flat"), &[channels as i64]);
        let reshape = Op::Reshape { allow_zero: false };
        let of_groups = b.step(
            n,
            &format!("{what}_groups"),
            reshape.clone(),
            &[n.optional(place), column],
        )?;
        let wide = b.step(n, &format!("{what}_wide"), Op::Expand, &[of_groups, shape])?;
        inputs.push(b.step(n, what, reshape, &[wide, flat])?);
    }
    Ok(n.with(op, inputs))
}

/// Type in which the statistics are computed: only `f32`, which is how they are computed here.
fn stash_type(n: &Source<'_>) -> Result<()> {
    match n.attributes.int("stash_type", 1)? {
        1 => Ok(()),
        other => Err(unsupported("stash_type", "1 (float)", other)),
    }
}

fn attention(n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    // The softmax is computed in f32 whatever it asks for.
    a.ignore("softmax_precision");
    for name in ["left_window_size", "right_window_size"] {
        let window = a.int(name, -1)?;
        if window != -1 {
            return Err(unsupported(name, "-1", window));
        }
    }
    let heads = |name: &str| -> Result<Option<usize>> {
        Ok(match a.size(name, 0)? {
            0 => None,
            heads => Some(heads),
        })
    };
    let mode = a.int("qk_matmul_output_mode", 0)?;
    let score_output = u8::try_from(mode).ok().filter(|m| *m <= 3);
    let score_output = score_output.ok_or_else(|| unsupported("qk_matmul_output_mode", "0 to 3", mode))?;
    Ok(n.same(Op::Attention(Attention {
        causal: a.flag("is_causal", false)?,
        query_heads: heads("q_num_heads")?,
        key_heads: heads("kv_num_heads")?,
        scale: a.optional_float("scale")?,
        softcap: a.float("softcap", 0.0)?,
        score_output,
    })))
}
