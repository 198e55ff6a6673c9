//! Convolutions over one or two axes.

use super::activation::fused;
use super::builder::Builder;
use super::config::Layer;
use super::core::one;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Convolution, Op, Padding};
use crate::tensor::Tensor;

/// Strides, dilations and padding as the layer's settings say.
fn settings(layer: &Layer<'_>, axes: usize, kernel: &[usize]) -> Result<Convolution> {
    let strides = layer.sizes_or_ones("strides", axes)?;
    let dilations = layer.sizes_or_ones("dilation_rate", axes)?;
    let padding = if axes == 1 && layer.text("padding")? == Some("causal") {
        let before = (kernel[0].saturating_sub(1)).saturating_mul(dilations[0]);
        Padding::Explicit(vec![before, 0])
    } else {
        layer.padding(axes)?
    };
    Ok(Convolution {
        strides,
        dilations,
        padding,
        ..Convolution::unit(axes)
    })
}

/// Extents of a kernel: known spatial ones, then what stands behind them.
fn kernel_extents(layer: &Layer<'_>, axes: usize, behind: &[Option<usize>]) -> Result<Vec<Option<usize>>> {
    let sizes = layer.sizes("kernel_size", axes)?;
    let mut extents: Vec<Option<usize>> = match sizes {
        Some(sizes) => sizes.into_iter().map(Some).collect(),
        None => vec![None; axes],
    };
    extents.extend_from_slice(behind);
    Ok(extents)
}

fn bias(builder: &mut Builder<'_>, layer: &Layer<'_>, channels: usize) -> Result<Option<ValueId>> {
    if !layer.flag("use_bias", true)? {
        return Ok(None);
    }
    let bias = builder.weight(layer, "bias", &[Some(channels)])?;
    Ok(Some(builder.constant("bias", bias)))
}

/// Extents of a weight behind its spatial axes.
fn behind(layer: &Layer<'_>, tensor: &Tensor, axes: usize) -> Result<[usize; 2]> {
    match tensor.shape().get(axes..) {
        Some(&[a, b]) => Ok([a, b]),
        _ => Err(layer.fault(
            ErrorKind::Shape,
            format!("{} axes of the kernel", axes + 2),
            tensor.rank(),
        )),
    }
}

/// The two axes behind the spatial ones, in the order given, then the spatial ones.
fn kernel_first(axes: usize, first: [usize; 2]) -> Vec<usize> {
    first.into_iter().map(|n| axes + n).chain(0..axes).collect()
}

fn run(builder: &mut Builder<'_>, what: &str, op: Op, operands: &[Option<ValueId>]) -> Result<ValueId> {
    let operands: Vec<ValueId> = operands.iter().flatten().copied().collect();
    builder.emit(what, op, &operands)
}

/// `Conv1D`, `Conv2D`.
pub(super) fn full(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let channels = builder.extent(layer, x, 1)?;
    let groups = layer.size("groups")?.unwrap_or(1);
    let extents = kernel_extents(
        layer,
        axes,
        &[channels.checked_div(groups), layer.size("filters")?],
    )?;
    let kernel = builder.weight(layer, "kernel", &extents)?;
    let [per_group, filters] = behind(layer, &kernel, axes)?;
    if per_group * groups != channels || filters % groups != 0 {
        return Err(layer.fault(ErrorKind::Shape, format!("{groups} groups of channels"), channels));
    }
    let op = Op::Conv(Convolution {
        groups,
        ..settings(layer, axes, kernel.shape())?
    });
    let kernel = builder.constant("kernel", kernel.permuted(&kernel_first(axes, [1, 0]))?);
    let bias = bias(builder, layer, filters)?;
    let y = run(builder, "convolution", op, &[Some(x), Some(kernel), bias])?;
    let y = builder.back(layer, y, axes + 2)?;
    fused(builder, layer, y)
}

/// A depthwise convolution of a channels-first value; the number of its output channels as well.
fn depthwise_part(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    x: ValueId,
    axes: usize,
    biased: bool,
) -> Result<(ValueId, usize)> {
    let channels = builder.extent(layer, x, 1)?;
    let extents = kernel_extents(layer, axes, &[Some(channels), layer.size("depth_multiplier")?])?;
    let kernel = builder.weight(layer, "depthwise_kernel", &extents)?;
    let [_, multiplier] = behind(layer, &kernel, axes)?;
    let outputs = channels * multiplier;
    let op = Op::Conv(Convolution {
        groups: channels,
        ..settings(layer, axes, kernel.shape())?
    });
    let kernel = kernel.permuted(&kernel_first(axes, [0, 1]))?;
    let mut shape = vec![outputs, 1];
    shape.extend_from_slice(&kernel.shape()[2..]);
    let kernel = builder.constant("depthwise_kernel", kernel.reshaped(&shape)?);
    let bias = if biased {
        bias(builder, layer, outputs)?
    } else {
        None
    };
    let y = run(builder, "depthwise", op, &[Some(x), Some(kernel), bias])?;
    Ok((y, outputs))
}

/// `DepthwiseConv1D`, `DepthwiseConv2D`.
pub(super) fn depthwise(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let (y, _) = depthwise_part(builder, layer, x, axes, true)?;
    let y = builder.back(layer, y, axes + 2)?;
    fused(builder, layer, y)
}

/// `SeparableConv1D`, `SeparableConv2D`: depthwise, then a convolution of kernel 1.
pub(super) fn separable(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let (y, channels) = depthwise_part(builder, layer, x, axes, false)?;
    let mut extents = vec![Some(1); axes];
    extents.extend([Some(channels), layer.size("filters")?]);
    let kernel = builder.weight(layer, "pointwise_kernel", &extents)?;
    let [_, filters] = behind(layer, &kernel, axes)?;
    let kernel = builder.constant("pointwise_kernel", kernel.permuted(&kernel_first(axes, [1, 0]))?);
    let bias = bias(builder, layer, filters)?;
    let op = Op::Conv(Convolution::unit(axes));
    let y = run(builder, "pointwise", op, &[Some(y), Some(kernel), bias])?;
    let y = builder.back(layer, y, axes + 2)?;
    fused(builder, layer, y)
}

/// `Conv1DTranspose`, `Conv2DTranspose`.
pub(super) fn transposed(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    if layer.get("output_padding").is_some() {
        return Err(layer.unsupported("output_padding"));
    }
    let x = builder.channels_behind_batch(layer, x, axes + 2)?;
    let channels = builder.extent(layer, x, 1)?;
    let extents = kernel_extents(layer, axes, &[layer.size("filters")?, Some(channels)])?;
    let kernel = builder.weight(layer, "kernel", &extents)?;
    let [filters, _] = behind(layer, &kernel, axes)?;
    let mut convolution = settings(layer, axes, kernel.shape())?;
    if convolution.dilations.iter().any(|&n| n != 1) {
        return Err(layer.unsupported("dilation"));
    }
    let same = convolution.padding == Padding::SameUpper;
    let mut pads = vec![0; 2 * axes];
    convolution.output_padding = vec![0; axes];
    for axis in 0..axes {
        let (size, stride) = (kernel.shape()[axis], convolution.strides[axis]);
        // "same" gives `input * stride` elements, "valid" those that the kernel adds as well.
        let surplus = if same { size.saturating_sub(stride) } else { 0 };
        pads[axis] = surplus / 2;
        pads[axis + axes] = surplus - surplus / 2;
        convolution.output_padding[axis] = stride.saturating_sub(size);
    }
    convolution.padding = Padding::Explicit(pads);
    let kernel = builder.constant("kernel", kernel.permuted(&kernel_first(axes, [1, 0]))?);
    let bias = bias(builder, layer, filters)?;
    let y = run(
        builder,
        "convolution",
        Op::ConvTranspose(convolution),
        &[Some(x), Some(kernel), bias],
    )?;
    let y = builder.back(layer, y, axes + 2)?;
    fused(builder, layer, y)
}
