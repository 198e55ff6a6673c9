//! Big Transfer's ResNets (Kolesnikov et al. 2020, arXiv:1912.11370) with the names of the published npz files.

use limbic_graph::op::{Binary, Convolution, PadMode, Padding, PoolKind, Unary};
use limbic_graph::{Dtype, Error, ErrorKind, Op, Result, Tensor, ValueId};

use crate::network::Network;
use crate::{Architecture, Settings};

/// The architecture: pre-activation bottlenecks of any depth and width, convolutions with standardised weights, group
/// normalisation.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "bit-resnet",
    description: "Picture f32 [1,3,128,128] in -1..1 to class logits: Big Transfer's ResNet-v2",
    anchors: &["resnet/root_block/standardized_conv2d/kernel"],
    build,
};

/// Added to the variance of a weight's outputs.
const WEIGHT_EPSILON: f64 = 1e-10;

/// Groups of every normalisation, and what it adds to the variance.
const GROUPS: usize = 32;
const EPSILON: f32 = 1e-5;

/// Side of the picture where nothing else is asked for: what the authors use for small pictures.
const SIDE: usize = 128;

fn build(net: &mut Network<'_>, settings: &Settings) -> Result<()> {
    let channels = net.extent("resnet/root_block/standardized_conv2d/kernel", 2);
    let shape = settings.input.clone();
    let shape = shape.unwrap_or_else(|| vec![1, channels, SIDE, SIDE]);
    let x = net.input("input", Dtype::F32, &shape);
    let x = standardised(net, "resnet/root_block", x, 7, 2)?;
    // Zeros around it, which a maximum sees where all else is negative.
    let pads = Tensor::vector(vec![0i64, 0, 1, 1, 0, 0, 1, 1]);
    let pads = net.constant("root_block.pads", pads);
    let mode = PadMode::Constant;
    let x = net.node("root_block.padded", Op::Pad { mode }, &[x, pads], Dtype::F32);
    let mut x = net.pool("root_block.pool", PoolKind::Max, x, 3, 2, 0);
    for block in 1..=4 {
        for unit in 1usize.. {
            let prefix = format!("resnet/block{block}/unit{unit:02}");
            // A block has at least one; without it its names are missing.
            if unit > 1 && !net.has(&format!("{prefix}/a/standardized_conv2d/kernel")) {
                break;
            }
            let stride = if block > 1 && unit == 1 { 2 } else { 1 };
            x = bottleneck(net, &prefix, x, stride)?;
        }
    }
    let x = normalised(net, "resnet/group_norm", x)?;
    let pooled = net.global_mean("pooled", x);
    let kernel = "resnet/head/conv2d/kernel";
    let classes = net.extent(kernel, 3);
    let weight = net.stored(kernel, &[Some(1), Some(1), None, None], |tensor| {
        let [_, _, inputs, outputs] = tensor.shape()[..] else {
            return Err(axes(&tensor));
        };
        Tensor::new(&[inputs, outputs], tensor.elements::<f32>()?.to_vec())
    })?;
    let bias = net.parameter("resnet/head/conv2d/bias", &[Some(classes)])?;
    let op = Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b: false,
    };
    let logits = net.node("head", op, &[pooled, weight, bias], Dtype::F32);
    net.output("logits", logits);
    Ok(())
}

fn bottleneck(net: &mut Network<'_>, prefix: &str, x: ValueId, stride: usize) -> Result<ValueId> {
    let part = |name: &str| format!("{prefix}/{name}");
    let active = normalised(net, &part("a/group_norm"), x)?;
    let shortcut = if net.has(&part("a/proj/standardized_conv2d/kernel")) {
        standardised(net, &part("a/proj"), active, 1, stride)?
    } else {
        x
    };
    let y = standardised(net, &part("a"), active, 1, 1)?;
    let y = normalised(net, &part("b/group_norm"), y)?;
    let y = standardised(net, &part("b"), y, 3, stride)?;
    let y = normalised(net, &part("c/group_norm"), y)?;
    let y = standardised(net, &part("c"), y, 1, 1)?;
    Ok(net.binary(&part("add"), Binary::Add, y, shortcut))
}

/// Group normalisation and ReLU.
fn normalised(net: &mut Network<'_>, prefix: &str, x: ValueId) -> Result<ValueId> {
    let channels = Some(net.extent(&format!("{prefix}/gamma"), 0));
    let scale = net.parameter(&format!("{prefix}/gamma"), &[channels])?;
    let bias = net.parameter(&format!("{prefix}/beta"), &[channels])?;
    let op = Op::GroupNormalization {
        epsilon: EPSILON,
        groups: GROUPS,
    };
    let x = net.node(prefix, op, &[x, scale, bias], Dtype::F32);
    Ok(net.unary(&format!("{prefix}/relu"), Unary::Relu, x))
}

/// A convolution with standardised weights, padded so that a step of 1 keeps the extents.
fn standardised(
    net: &mut Network<'_>,
    prefix: &str,
    x: ValueId,
    kernel: usize,
    stride: usize,
) -> Result<ValueId> {
    let name = format!("{prefix}/standardized_conv2d/kernel");
    let weight = net.stored(&name, &[Some(kernel), Some(kernel), None, None], |tensor| {
        standardise(&tensor)
    })?;
    let op = Op::Conv(Convolution {
        strides: vec![stride; 2],
        padding: Padding::Explicit(vec![kernel / 2; 4]),
        ..Convolution::unit(2)
    });
    Ok(net.node(prefix, op, &[x, weight], Dtype::F32))
}

/// Weights `[rows, columns, inputs, outputs]` as `[outputs, inputs, rows, columns]`, each output with mean 0 and
/// variance 1.
fn standardise(tensor: &Tensor) -> Result<Tensor> {
    let [rows, columns, inputs, outputs] = tensor.shape()[..] else {
        return Err(axes(tensor));
    };
    let from = tensor.elements::<f32>()?;
    // Of a tensor without elements, one extent may be anything.
    if from.is_empty() {
        return Tensor::new(&[outputs, inputs, rows, columns], Vec::<f32>::new());
    }
    let count = rows * columns * inputs;
    let mut to: Vec<f32> = Vec::with_capacity(from.len());
    for output in 0..outputs {
        let weights = || from.iter().skip(output).step_by(outputs).map(|&w| f64::from(w));
        let mean = weights().sum::<f64>() / count as f64;
        let variance = weights().map(|w| (w - mean).powi(2)).sum::<f64>() / count as f64;
        let factor = 1.0 / (variance + WEIGHT_EPSILON).sqrt();
        let even: Vec<f32> = weights().map(|w| ((w - mean) * factor) as f32).collect();
        for input in 0..inputs {
            to.extend(even.iter().skip(input).step_by(inputs));
        }
    }
    Tensor::new(&[outputs, inputs, rows, columns], to)
}

fn axes(tensor: &Tensor) -> Error {
    Error::new(ErrorKind::Shape, "", "four axes", format!("{:?}", tensor.shape()))
}
