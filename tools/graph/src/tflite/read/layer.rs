//! Convolutions, pools, matrix products and normalisations.

use super::{Call, Importer};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, Convolution, Op, Padding, Pool, PoolKind, Unary};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// From channels-last to channels-first, two spatial axes.
pub(super) const TO_FIRST: [usize; 4] = [0, 3, 1, 2];
/// From channels-first to channels-last, two spatial axes.
pub(super) const TO_LAST: [usize; 4] = [0, 2, 3, 1];

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    match call.operator.code.as_str() {
        "CONV_2D" => convolution(g, call, Weights::Full)?,
        "DEPTHWISE_CONV_2D" => convolution(g, call, Weights::Depthwise)?,
        "CONV_3D" => convolution_3d(g, call)?,
        "TRANSPOSE_CONV" => transposed_convolution(g, call)?,
        "AVERAGE_POOL_2D" => pool(
            g,
            call,
            PoolKind::Average {
                include_padding: false,
            },
        )?,
        "MAX_POOL_2D" => pool(g, call, PoolKind::Max)?,
        "L2_POOL_2D" => l2_pool(g, call)?,
        "FULLY_CONNECTED" => fully_connected(g, call)?,
        "BATCH_MATMUL" => batch_matmul(g, call)?,
        "L2_NORMALIZATION" => {
            let x = g.operand(call, 0)?;
            g.simple(call, Op::LpNormalization { axis: -1, p: 2 }, &[x])?;
        }
        "LOCAL_RESPONSE_NORMALIZATION" => local_response_normalization(g, call)?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[derive(Clone, Copy, PartialEq)]
enum Weights {
    /// `[outputs, height, width, inputs of a group]`.
    Full,
    /// `[1, height, width, outputs]`.
    Depthwise,
}

/// Number of channels, the last extent of a tensor.
fn channels(g: &Importer<'_>, call: Call<'_>, index: usize, rank: usize) -> Result<usize> {
    let shape = g.shape(index);
    match shape.last() {
        Some(&channels) if shape.len() == rank && channels > 0 => Ok(channels),
        _ => Err(call.fault(ErrorKind::Shape, format!("{rank} axes"), format!("{shape:?}"))),
    }
}

fn padding(call: Call<'_>, slot: usize, axes: usize) -> Result<Padding> {
    match call.choice(slot)? {
        0 => Ok(Padding::SameUpper),
        1 => Ok(Padding::Explicit(vec![0; 2 * axes])),
        other => Err(call.fault(ErrorKind::Value, "padding 0 or 1", other)),
    }
}

/// Brings weights and bias to the type that fits the input: floats for floats.
fn operands<'a>(
    g: &mut Importer<'a>,
    call: Call<'a>,
    input: usize,
    weights: usize,
    bias: usize,
) -> Result<(ValueId, ValueId, Option<ValueId>)> {
    let x = g.operand(call, input)?;
    let mut w = g.operand(call, weights)?;
    let mut b = call.optional(bias).map(|index| g.value(index)).transpose()?;
    if g.graph.value(x).ty.dtype == Dtype::F32 {
        w = g.real(call, w)?;
        b = b.map(|b| g.real(call, b)).transpose()?;
    }
    Ok((x, w, b))
}

/// Runs `op` on a channels-first view of `x`, then the fused activation, and goes back.
fn spatial<'a>(
    g: &mut Importer<'a>,
    call: Call<'a>,
    x: ValueId,
    op: Op,
    others: &[Option<ValueId>],
    activation: usize,
) -> Result<()> {
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let x = g.permute(call, x, &TO_FIRST)?;
    let mut inputs = vec![x];
    inputs.extend(others.iter().flatten());
    let y = g.emit(call, "op", op, &inputs, ty);
    let y = g.activate(call, activation, y)?;
    let y = g.permute(call, y, &TO_LAST)?;
    g.define(output, y);
    Ok(())
}

fn convolution<'a>(g: &mut Importer<'a>, call: Call<'a>, kind: Weights) -> Result<()> {
    // The options differ by the depth multiplier in the middle.
    let (activation, dilation) = if kind == Weights::Full { (3, 4) } else { (4, 5) };
    let (x, w, b) = operands(g, call, 0, 1, 2)?;
    let inputs = channels(g, call, call.input(0)?, 4)?;
    let shape = g.shape(call.input(1)?);
    let &[first, _, _, last] = shape else {
        return Err(call.fault(ErrorKind::Shape, "weights with 4 axes", format!("{shape:?}")));
    };
    let (permutation, groups, fits) = match kind {
        Weights::Full => {
            let groups = inputs.checked_div(last).unwrap_or(0);
            let fits = groups > 0 && groups * last == inputs && first % groups == 0;
            (TO_FIRST, groups, fits)
        }
        Weights::Depthwise => ([3, 0, 1, 2], inputs, first == 1 && last % inputs == 0),
    };
    if !fits {
        let found = format!("weights {shape:?} for {inputs} channels");
        return Err(call.fault(ErrorKind::Shape, "weights that fit the input", found));
    }
    let w = g.permute(call, w, &permutation)?;
    let op = Op::Conv(Convolution {
        strides: vec![call.size(2, 0)?, call.size(1, 0)?],
        dilations: vec![call.size(dilation + 1, 1)?, call.size(dilation, 1)?],
        padding: padding(call, 0, 2)?,
        groups,
        ..Convolution::unit(2)
    });
    spatial(g, call, x, op, &[Some(w), b], activation)
}

fn convolution_3d<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let (x, w, b) = operands(g, call, 0, 1, 2)?;
    let inputs = channels(g, call, call.input(0)?, 5)?;
    let shape = g.shape(call.input(1)?);
    let &[_, _, _, per_group, _] = shape else {
        return Err(call.fault(ErrorKind::Shape, "weights with 5 axes", format!("{shape:?}")));
    };
    if per_group != inputs {
        let found = format!("weights {shape:?} for {inputs} channels");
        return Err(call.fault(ErrorKind::Shape, "weights that fit the input", found));
    }
    let w = g.permute(call, w, &[4, 3, 0, 1, 2])?;
    let x = g.permute(call, x, &[0, 4, 1, 2, 3])?;
    let op = Op::Conv(Convolution {
        strides: vec![call.size(1, 0)?, call.size(3, 0)?, call.size(2, 0)?],
        dilations: vec![call.size(5, 1)?, call.size(7, 1)?, call.size(6, 1)?],
        padding: padding(call, 0, 3)?,
        ..Convolution::unit(3)
    });
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let inputs: Vec<ValueId> = [Some(x), Some(w), b].into_iter().flatten().collect();
    let y = g.emit(call, "op", op, &inputs, ty);
    let y = g.activate(call, 4, y)?;
    let y = g.permute(call, y, &[0, 2, 3, 4, 1])?;
    g.define(output, y);
    Ok(())
}

fn transposed_convolution<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let (x, w, b) = operands(g, call, 2, 1, 3)?;
    let input = call.input(2)?;
    let inputs = channels(g, call, input, 4)?;
    let (from, kernel) = (g.shape(input), g.shape(call.input(1)?));
    let to = g.integers(call.input(0)?)?.unwrap_or_default();
    let fixed = g.file.tensors[input].fixed[1..3].iter().all(|&fixed| fixed);
    let (&[_, rows, columns, _], &[_, kernel_rows, kernel_columns, last], &[_, to_rows, to_columns, _], true) =
        (from, kernel, &to[..], fixed)
    else {
        return Err(call.unsupported("extents that are not fixed"));
    };
    if last != inputs {
        let found = format!("weights {kernel:?} for {inputs} channels");
        return Err(call.fault(ErrorKind::Shape, "weights that fit the input", found));
    }
    let strides = [call.size(2, 0)?, call.size(1, 0)?];
    let same = call.choice(0)? == 0;
    let (mut pads, mut behind) = ([0; 4], [0; 2]);
    let sizes = [
        (rows, kernel_rows, to_rows),
        (columns, kernel_columns, to_columns),
    ];
    for (axis, (from, kernel, to)) in sizes.into_iter().enumerate() {
        let fault = || call.fault(ErrorKind::Shape, "an output that the kernel reaches", to);
        let full = from
            .checked_sub(1)
            .and_then(|n| n.checked_mul(strides[axis])?.checked_add(kernel))
            .ok_or_else(fault)?;
        let to = usize::try_from(to).map_err(|_| fault())?;
        let surplus = full.saturating_sub(to);
        pads[axis] = if same { surplus / 2 } else { 0 };
        pads[axis + 2] = surplus - pads[axis];
        behind[axis] = to.saturating_sub(full);
        if behind[axis] >= strides[axis] {
            return Err(fault());
        }
    }
    let w = g.permute(call, w, &[3, 0, 1, 2])?;
    let op = Op::ConvTranspose(Convolution {
        strides: strides.to_vec(),
        padding: Padding::Explicit(pads.to_vec()),
        output_padding: behind.to_vec(),
        ..Convolution::unit(2)
    });
    spatial(g, call, x, op, &[Some(w), b], 3)
}

fn pool_op(call: Call<'_>, kind: PoolKind) -> Result<Op> {
    Ok(Op::Pool(Pool {
        kind,
        kernel: vec![call.size(4, 0)?, call.size(3, 0)?],
        strides: vec![call.size(2, 0)?, call.size(1, 0)?],
        dilations: vec![1, 1],
        padding: padding(call, 0, 2)?,
        ceil_mode: false,
        column_major: false,
    }))
}

fn pool<'a>(g: &mut Importer<'a>, call: Call<'a>, kind: PoolKind) -> Result<()> {
    let x = g.operand(call, 0)?;
    channels(g, call, call.input(0)?, 4)?;
    let op = pool_op(call, kind)?;
    spatial(g, call, x, op, &[], 5)
}

/// The root of the mean square of a window.
fn l2_pool<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    channels(g, call, call.input(0)?, 4)?;
    let output = call.output(0)?;
    let ty = TensorType::unshaped(Dtype::F32);
    let x = g.permute(call, x, &TO_FIRST)?;
    let squares = g.emit(call, "squares", Op::Binary(Binary::Mul), &[x, x], ty.clone());
    let op = pool_op(
        call,
        PoolKind::Average {
            include_padding: false,
        },
    )?;
    let means = g.emit(call, "means", op, &[squares], ty.clone());
    let y = g.emit(call, "root", Op::Unary(Unary::Sqrt), &[means], ty);
    let y = g.activate(call, 5, y)?;
    let y = g.permute(call, y, &TO_LAST)?;
    g.define(output, y);
    Ok(())
}

fn fully_connected<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    if call.choice(1)? != 0 {
        return Err(call.unsupported("shuffled weights"));
    }
    let (x, w, b) = operands(g, call, 0, 1, 2)?;
    let (input, output) = (call.input(0)?, call.output(0)?);
    let shape = g.shape(call.input(1)?);
    let &[outputs, inputs] = shape else {
        return Err(call.fault(ErrorKind::Shape, "weights with 2 axes", format!("{shape:?}")));
    };
    let from = g.shape(input);
    let flat = if from.len() == 2 && from[1] == inputs {
        x
    } else {
        let target = g.vector(call, "rows", vec![-1, extent(call, inputs)?]);
        let ty = g.graph.value(x).ty.clone();
        let ty = TensorType { dims: None, ..ty };
        g.emit(call, "flat", Op::Reshape { allow_zero: false }, &[x, target], ty)
    };
    let op = Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b: true,
    };
    let ty = g.ty(output)?;
    let operands: Vec<ValueId> = [Some(flat), Some(w), b].into_iter().flatten().collect();
    let y = g.emit(call, "op", op, &operands, ty.clone());
    let mut y = g.activate(call, 0, y)?;
    if call.flag(2)? && from.len() != 2 {
        let mut target: Vec<i64> = Vec::with_capacity(from.len());
        for (axis, &n) in from[..from.len().saturating_sub(1)].iter().enumerate() {
            let fixed = g.file.tensors[input].fixed[axis];
            target.push(if fixed { extent(call, n)? } else { -1 });
        }
        if target.iter().filter(|&&n| n == -1).count() > 1 {
            return Err(call.unsupported("several extents that are not fixed"));
        }
        target.push(extent(call, outputs)?);
        let target = g.vector(call, "shape", target);
        y = g.emit(
            call,
            "unflat",
            Op::Reshape { allow_zero: false },
            &[y, target],
            ty,
        );
    }
    g.define(output, y);
    Ok(())
}

/// An extent as an element of a shape.
pub(super) fn extent(call: Call<'_>, n: usize) -> Result<i64> {
    i64::try_from(n).map_err(|_| call.fault(ErrorKind::Limit, "an extent below 2^63", n))
}

fn batch_matmul<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let mut factors = [call.input(0)?, call.input(1)?].into_iter().enumerate();
    let mut values = Vec::with_capacity(2);
    let float = g.ty(call.output(0)?)?.dtype == Dtype::F32;
    factors.try_for_each(|(n, index)| -> Result<()> {
        let mut value = g.value(index)?;
        if float {
            value = g.real(call, value)?;
        }
        if call.flag(n)? {
            let rank = g.shape(index).len();
            let mut order: Vec<usize> = (0..rank).collect();
            if rank < 2 {
                return Err(call.fault(ErrorKind::Shape, "2 axes or more", rank));
            }
            order.swap(rank - 2, rank - 1);
            value = g.permute(call, value, &order)?;
        }
        values.push(value);
        Ok(())
    })?;
    g.simple(call, Op::MatMul, &values)
}

fn local_response_normalization<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    channels(g, call, call.input(0)?, 4)?;
    let radius = call.int(0, 0)?;
    let size = usize::try_from(radius)
        .ok()
        .and_then(|radius| radius.checked_mul(2)?.checked_add(1))
        .ok_or_else(|| call.fault(ErrorKind::Value, "a radius", radius))?;
    // The graph divides alpha by the number of channels of a window.
    let alpha = call.real(2, 0.0)? * size as f32;
    let op = Op::LocalResponseNormalization {
        alpha,
        beta: call.real(3, 0.0)?,
        bias: call.real(1, 0.0)?,
        size,
    };
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let x = g.permute(call, x, &TO_FIRST)?;
    let y = g.emit(call, "op", op, &[x], ty);
    let y = g.permute(call, y, &TO_LAST)?;
    g.define(output, y);
    Ok(())
}

/// One element as a constant of the type of the real numbers.
pub(super) fn real_scalar<'a>(g: &mut Importer<'a>, call: Call<'a>, what: &str, n: f32) -> ValueId {
    g.fresh(call, what, Tensor::scalar(n))
}
