//! Which layer is which, and the layers without axes of their own.

use super::builder::Builder;
use super::config::Layer;
use super::{activation, convolution, merge, normalization, pool, recurrent, shape};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, GatherMode, Op};
use crate::tensor::Tensor;

/// Applies a layer of one output to values.
type Apply = fn(&mut Builder<'_>, &Layer<'_>, &[ValueId]) -> Result<ValueId>;

/// How a class is applied; `None` if it is not known.
fn find(class: &str) -> Option<Apply> {
    Some(match class {
        "Dropout"
        | "SpatialDropout1D"
        | "SpatialDropout2D"
        | "SpatialDropout3D"
        | "GaussianNoise"
        | "GaussianDropout"
        | "AlphaDropout"
        | "ActivityRegularization"
        | "RandomFlip"
        | "RandomRotation"
        | "RandomZoom"
        | "RandomTranslation"
        | "RandomContrast"
        | "RandomBrightness" => |builder, layer, inputs| one(builder, layer, inputs),
        "Dense" => dense,
        "Embedding" => embedding,
        "Rescaling" => rescaling,
        "Activation" => activation::activation,
        "ReLU" | "LeakyReLU" | "PReLU" | "ELU" | "ThresholdedReLU" | "Softmax" => activation::layer,
        "Conv1D" | "Convolution1D" => |b, l, i| convolution::full(b, l, i, 1),
        "Conv2D" | "Convolution2D" => |b, l, i| convolution::full(b, l, i, 2),
        "DepthwiseConv1D" => |b, l, i| convolution::depthwise(b, l, i, 1),
        "DepthwiseConv2D" => |b, l, i| convolution::depthwise(b, l, i, 2),
        "SeparableConv1D" | "SeparableConvolution1D" => |b, l, i| convolution::separable(b, l, i, 1),
        "SeparableConv2D" | "SeparableConvolution2D" => |b, l, i| convolution::separable(b, l, i, 2),
        "Conv1DTranspose" => |b, l, i| convolution::transposed(b, l, i, 1),
        "Conv2DTranspose" => |b, l, i| convolution::transposed(b, l, i, 2),
        "MaxPooling1D" | "AveragePooling1D" => |b, l, i| pool::window(b, l, i, 1),
        "MaxPooling2D" | "AveragePooling2D" => |b, l, i| pool::window(b, l, i, 2),
        "GlobalAveragePooling1D" | "GlobalMaxPooling1D" => |b, l, i| pool::global(b, l, i, 1),
        "GlobalAveragePooling2D" | "GlobalMaxPooling2D" => |b, l, i| pool::global(b, l, i, 2),
        "BatchNormalization" => normalization::batch,
        "LayerNormalization" => normalization::layer,
        "Flatten" => shape::flatten,
        "Reshape" => shape::reshape,
        "Permute" => shape::permute,
        "RepeatVector" => shape::repeat,
        "ZeroPadding1D" => |b, l, i| shape::pad(b, l, i, 1),
        "ZeroPadding2D" => |b, l, i| shape::pad(b, l, i, 2),
        "Cropping1D" => |b, l, i| shape::crop(b, l, i, 1),
        "Cropping2D" => |b, l, i| shape::crop(b, l, i, 2),
        "UpSampling1D" => |b, l, i| shape::upsample(b, l, i, 1),
        "UpSampling2D" => |b, l, i| shape::upsample(b, l, i, 2),
        "TimeDistributed" => shape::time_distributed,
        "Add" | "Subtract" | "Multiply" | "Average" | "Maximum" | "Minimum" | "Concatenate" | "Merge" => {
            merge::apply
        }
        _ => return None,
    })
}

/// Whether a layer of the class can be applied.
pub(super) fn is_known(class: &str) -> bool {
    find(class).is_some() || recurrent::is_known(class) || class == "InputLayer"
}

/// Applies a layer.
pub(super) fn apply(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
) -> Result<Vec<ValueId>> {
    if recurrent::is_known(layer.class) {
        return recurrent::apply(builder, layer, inputs);
    }
    match find(layer.class) {
        Some(apply) => Ok(vec![apply(builder, layer, inputs)?]),
        None => Err(layer.unsupported("")),
    }
}

/// The only input of a layer.
pub(super) fn one(_: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    match inputs {
        [x] => Ok(*x),
        _ => Err(layer.fault(ErrorKind::Malformed, "one input", inputs.len())),
    }
}

fn dense(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let units = layer.size("units")?;
    let rank = builder.rank(layer, x)?;
    if rank < 2 {
        return Err(layer.fault(ErrorKind::Shape, "an input of 2 axes or more", rank));
    }
    let features = builder.extent(layer, x, rank - 1)?;
    let kernel = builder.weight(layer, "kernel", &[Some(features), units])?;
    let units = kernel.shape().get(1).copied();
    let kernel = builder.constant("kernel", kernel);
    let bias = if layer.flag("use_bias", true)? {
        let bias = builder.weight(layer, "bias", &[units])?;
        Some(builder.constant("bias", bias))
    } else {
        None
    };
    let y = if rank == 2 {
        let op = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            transpose_a: false,
            transpose_b: false,
        };
        let operands: Vec<ValueId> = [Some(x), Some(kernel), bias].into_iter().flatten().collect();
        builder.emit("dense", op, &operands)?
    } else {
        let y = builder.emit("product", Op::MatMul, &[x, kernel])?;
        match bias {
            Some(bias) => builder.emit("sum", Op::Binary(Binary::Add), &[y, bias])?,
            None => y,
        }
    };
    activation::fused(builder, layer, y)
}

fn embedding(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    if layer.flag("mask_zero", false)? {
        return Err(layer.unsupported("a mask"));
    }
    let extents = [layer.size("input_dim")?, layer.size("output_dim")?];
    let table = builder.weight(layer, "embeddings", &extents)?;
    let table = builder.constant("embeddings", table);
    let mut ids = x;
    if !matches!(builder.graph.value(x).ty.dtype, Dtype::I32 | Dtype::I64) {
        let to = Op::Cast {
            to: Dtype::I32,
            saturate: true,
        };
        ids = builder.emit("ids", to, &[x])?;
    }
    builder.emit(
        "embedding",
        Op::Gather(GatherMode::Slices { axis: 0 }),
        &[table, ids],
    )
}

fn rescaling(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    let scale = layer.real("scale")?.unwrap_or(1.0);
    let offset = layer.real("offset")?.unwrap_or(0.0);
    let scale = builder.constant("scale", Tensor::scalar(scale));
    let offset = builder.constant("offset", Tensor::scalar(offset));
    let y = builder.emit("scaled", Op::Binary(Binary::Mul), &[x, scale])?;
    builder.emit("shifted", Op::Binary(Binary::Add), &[y, offset])
}
