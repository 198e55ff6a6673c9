//! Convolutions and matrix products.

use super::emit::Integers;
use super::file::Index;
use super::flatbuffer::{Field, Table};
use super::window::{byte, framed, global_pool, image, int, into_image, pad, pool, two, two_padding};
use super::{Exporter, permuted, unsupported_with};
use crate::error::Result;
use crate::graph::{Node, ValueId};
use crate::op::{Convolution, Op, Padding};
use crate::types::Quantization;

/// Writes a node of this family; `false` if it is of none.
pub(super) fn write(e: &mut Exporter<'_>, n: usize, node: &Node) -> Result<bool> {
    match &node.op {
        Op::Conv(convolution) => conv(e, n, node, convolution)?,
        Op::ConvTranspose(convolution) => conv_transpose(e, n, node, convolution)?,
        Op::Pool(settings) => pool(e, n, node, settings)?,
        Op::GlobalPool(kind) => global_pool(e, node, *kind)?,
        Op::Gemm {
            alpha,
            beta,
            transpose_a,
            transpose_b,
        } => {
            let scaled = *alpha != 1.0 || (*beta != 1.0 && e.optional(node, 2).is_some());
            if scaled || *transpose_a {
                return Err(unsupported_with(
                    &node.op,
                    "factors or a first operand that is transposed",
                ));
            }
            product(e, n, node, *transpose_b)?;
        }
        Op::MatMul => {
            let constant = e.graph.constant(e.input(node, 1)?).is_some_and(|b| b.rank() == 2);
            if constant && e.shape(e.input(node, 0)?)?.len() >= 2 {
                product(e, n, node, false)?;
            } else {
                batched(e, node)?;
            }
        }
        Op::DynamicMatMul => dynamic(e, n, node)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Weights and bias of a layer: `permutation` brings the graph's weights to the file's order; floats for floats.
fn weights(
    e: &mut Exporter<'_>,
    node: &Node,
    permutation: &[usize],
    shape: Option<&[usize]>,
    float: bool,
) -> Result<(Index, Option<Index>)> {
    let graph = e.graph;
    let known = |id: ValueId| {
        let made = || unsupported_with(&node.op, "weights made at run time");
        graph.constant(id).ok_or_else(made)
    };
    let id = e.input(node, 1)?;
    let mut tensor = known(id)?.clone();
    if float {
        tensor = tensor.dequantized()?;
    }
    // One spatial axis becomes the second of two.
    if let Some(shape) = shape {
        tensor = tensor.reshaped(shape)?;
    }
    let tensor = tensor.permuted(permutation)?;
    let w = e.file.constant(&graph.value(id).name, &tensor);
    let b = match e.optional(node, 2) {
        None => None,
        Some(id) => {
            let mut bias = known(id)?.clone();
            if float {
                bias = bias.dequantized()?;
            }
            let mut flat = bias.reshaped(&[bias.len()])?;
            if !float && flat.quantization.is_none() {
                let x = graph.value(e.input(node, 0)?).ty.quantization.as_ref();
                flat.quantization = bias_scales(x, tensor.quantization.as_ref());
            }
            Some(e.file.constant(&graph.value(id).name, &flat))
        }
    };
    Ok((w, b))
}

/// Scales of sums of products, for a bias that states none.
fn bias_scales(x: Option<&Quantization>, w: Option<&Quantization>) -> Option<Quantization> {
    let Some(Quantization::PerTensor { scale: input, .. }) = x else {
        return None;
    };
    Some(match w? {
        Quantization::PerTensor { scale, .. } => Quantization::PerTensor {
            scale: input * scale,
            zero_point: 0,
        },
        Quantization::PerAxis { scales, .. } => Quantization::PerAxis {
            axis: 0,
            scales: scales.iter().map(|scale| input * scale).collect(),
            zero_points: vec![0; scales.len()],
        },
        Quantization::Blocks { .. } => return None,
    })
}

/// Inputs of an operator, the bias behind them where there is one.
fn operands(inputs: &[Index], bias: Option<Index>) -> Vec<Option<Index>> {
    inputs.iter().copied().map(Some).chain(bias.map(Some)).collect()
}

/// Whether an operation of integers can be one: input, weights and output quantized.
fn in_integers(e: &Exporter<'_>, node: &Node, x: ValueId, out: ValueId) -> Result<bool> {
    let weights = e.ty(e.input(node, 1)?).quantization.is_some();
    Ok(e.ty(x).quantization.is_some() && weights && e.ty(out).quantization.is_some())
}

fn conv(e: &mut Exporter<'_>, n: usize, node: &Node, c: &Convolution) -> Result<()> {
    let (x_id, out) = (e.input(node, 0)?, e.output(node)?);
    let shape = e.shape(x_id)?;
    let kernel = e.shape(e.input(node, 1)?)?;
    if kernel.len() > 4 || kernel.len() < 3 {
        return Err(unsupported_with(&node.op, format!("{} axes", kernel.len())));
    }
    let (channels, outputs) = (shape[1], kernel[0]);
    let depthwise = c.groups > 1 && c.groups == channels;
    let (strides, dilations) = (two(&c.strides, 1), two(&c.dilations, 1));
    let input = two(&shape[2..], 1);
    let size = two(&kernel[2..], 1);
    let reach: Vec<usize> = size
        .iter()
        .zip(&dilations)
        .map(|(k, d)| (k - 1) * d + 1)
        .collect();
    let framed = framed(&two_padding(&c.padding), &input, &reach, &strides)
        .ok_or_else(|| unsupported_with(&node.op, "padding whose odd element comes first"))?;
    let integers = in_integers(e, node, x_id, out)?;
    let four = [kernel[0], kernel[1], size[0], size[1]];
    let permutation: &[usize] = if depthwise { &[1, 2, 3, 0] } else { &[0, 2, 3, 1] };
    let (w, b) = weights(e, node, permutation, Some(&four), !integers)?;
    let (result, activation) = e.fuse(n, out);
    let mut x = image(e, x_id)?;
    if let Some(pads) = &framed.explicit {
        x = pad(e, x, pads, false);
    }
    let mut settings = Table::new()
        .with(0, byte(!framed.same))
        .with(1, int(strides[1]))
        .with(2, int(strides[0]));
    let code = if depthwise {
        settings = settings
            .with(3, int(outputs / channels))
            .with(4, Field::Byte(activation))
            .with(5, int(dilations[1]))
            .with(6, int(dilations[0]));
        "DEPTHWISE_CONV_2D"
    } else {
        settings = settings
            .with(3, Field::Byte(activation))
            .with(4, int(dilations[1]))
            .with(5, int(dilations[0]));
        "CONV_2D"
    };
    into_image(e, result, |e, to| {
        let kind = if integers { Integers::Any } else { Integers::None };
        e.compute(&[x], to, kind, |e, x, to| {
            e.file.operator(code, settings, &operands(&[x[0], w], b), &[to]);
            Ok(())
        })
    })
}

fn conv_transpose(e: &mut Exporter<'_>, n: usize, node: &Node, c: &Convolution) -> Result<()> {
    let (x_id, out) = (e.input(node, 0)?, e.output(node)?);
    let (shape, kernel, to_shape) = (e.shape(x_id)?, e.shape(e.input(node, 1)?)?, e.shape(out)?);
    let fits = kernel.len() == 4
        && c.groups == 1
        && c.dilations.iter().all(|&d| d == 1)
        && c.output_shape.is_empty();
    let Padding::Explicit(pads) = &c.padding else {
        return Err(unsupported_with(&node.op, "padding that is not given in numbers"));
    };
    if !fits {
        return Err(unsupported_with(
            &node.op,
            "groups, dilation, a wanted shape or one axis",
        ));
    }
    // The file's "same" cuts half of what the kernel adds before, "valid" cuts nothing before.
    let full = |axis: usize| (shape[axis + 2] - 1) * c.strides[axis] + kernel[axis + 2];
    let cut = |axis: usize| full(axis).saturating_sub(to_shape[axis + 2]);
    let same = (0..2).all(|axis| {
        pads[axis] == cut(axis) / 2 && to_shape[axis + 2].div_ceil(c.strides[axis]) == shape[axis + 2]
    });
    let valid = pads.iter().all(|&n| n == 0);
    if !same && !valid {
        return Err(unsupported_with(&node.op, format!("padding {pads:?}")));
    }
    let integers = in_integers(e, node, x_id, out)?;
    let (w, b) = weights(e, node, &[1, 2, 3, 0], None, !integers)?;
    let (result, activation) = e.fuse(n, out);
    let x = image(e, x_id)?;
    let settings = Table::new()
        .with(0, byte(!same))
        .with(1, int(c.strides[1]))
        .with(2, int(c.strides[0]))
        .with(3, Field::Byte(activation));
    let target: Vec<i32> = permuted(&to_shape, &[0, 2, 3, 1])
        .iter()
        .map(|&n| n as i32)
        .collect();
    let target = e.file.ints("output_shape", &target);
    into_image(e, result, |e, to| {
        let kind = if integers { Integers::Any } else { Integers::None };
        e.compute(&[x], to, kind, |e, x, to| {
            e.file.operator(
                "TRANSPOSE_CONV",
                settings,
                &operands(&[target, w, x[0]], b),
                &[to],
            );
            Ok(())
        })
    })
}

/// A product with constant weights.
fn product(e: &mut Exporter<'_>, n: usize, node: &Node, transposed: bool) -> Result<()> {
    let (x, out) = (e.input(node, 0)?, e.output(node)?);
    let kernel = e.shape(e.input(node, 1)?)?;
    let outputs = if transposed { kernel[0] } else { kernel[1] };
    let integers = in_integers(e, node, x, out)?;
    if let Some(bias) = e.optional(node, 2)
        && e.graph.constant(bias).is_none_or(|b| b.len() != outputs)
    {
        return Err(unsupported_with(&node.op, "a third operand that is no bias"));
    }
    let order: &[usize] = if transposed { &[0, 1] } else { &[1, 0] };
    let (w, b) = weights(e, node, order, None, !integers)?;
    let (result, activation) = e.fuse(n, out);
    let keep = e.shape(x)?.len() != 2;
    let x = e.plain(x)?;
    let to = e.new_tensor(result, false)?;
    let settings = Table::new().with(0, Field::Byte(activation)).with(2, byte(keep));
    let kind = if integers { Integers::Any } else { Integers::None };
    e.compute(&[x], to, kind, |e, x, to| {
        e.file
            .operator("FULLY_CONNECTED", settings, &operands(&[x[0], w], b), &[to]);
        Ok(())
    })?;
    e.plain[result.0] = Some(to);
    Ok(())
}

/// A product whose rows are rounded as they come: float rows and integer weights choose LiteRT's hybrid kernel.
fn dynamic(e: &mut Exporter<'_>, n: usize, node: &Node) -> Result<()> {
    let (x, out) = (e.input(node, 0)?, e.output(node)?);
    let (w, b) = weights(e, node, &[1, 0], None, false)?;
    let (result, activation) = e.fuse(n, out);
    let keep = e.shape(x)?.len() != 2;
    let x = e.plain(x)?;
    let to = e.new_tensor(result, false)?;
    let settings = Table::new().with(0, Field::Byte(activation)).with(2, byte(keep));
    e.file
        .operator("FULLY_CONNECTED", settings, &operands(&[x, w], b), &[to]);
    e.plain[result.0] = Some(to);
    Ok(())
}

fn batched(e: &mut Exporter<'_>, node: &Node) -> Result<()> {
    let (a, b, out) = (e.input(node, 0)?, e.input(node, 1)?, e.output(node)?);
    if e.shape(a)?.len() < 2 || e.shape(b)?.len() < 2 {
        return Err(unsupported_with(&node.op, "a vector"));
    }
    let (a, b) = (e.plain(a)?, e.plain(b)?);
    let to = e.new_tensor(out, false)?;
    e.compute(&[a, b], to, Integers::Any, |e, inputs, to| {
        e.op("BATCH_MATMUL", inputs, to);
        Ok(())
    })?;
    e.plain[out.0] = Some(to);
    Ok(())
}
