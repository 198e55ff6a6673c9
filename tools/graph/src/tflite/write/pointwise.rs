//! Elementwise functions, and what works along axes in any order of axes.

use super::emit::Integers;
use super::file::Index;
use super::flatbuffer::{Field, Table};
use super::{Exporter, axis_in_last, unsupported, unsupported_with};
use crate::error::Result;
use crate::graph::{Node, ValueId};
use crate::infer::extent;
use crate::op::{Binary, Compare, Logic, Op, Reduce, Unary, Variadic};
use crate::tensor::Tensor;

/// Writes a node of this family; `false` if it is of none.
pub(super) fn write(e: &mut Exporter<'_>, n: usize, node: &Node) -> Result<bool> {
    match &node.op {
        Op::Unary(function) => each(e, node, 1, integers_of(*function), |e, x, to, _| {
            unary(e, node, *function, x[0], to)
        })?,
        Op::Binary(function) => binary(e, n, node, *function)?,
        Op::Compare(compare) => {
            let code = match compare {
                Compare::Equal => "EQUAL",
                Compare::NotEqual => "NOT_EQUAL",
                Compare::Less => "LESS",
                Compare::LessOrEqual => "LESS_EQUAL",
                Compare::Greater => "GREATER",
                Compare::GreaterOrEqual => "GREATER_EQUAL",
            };
            each(e, node, 2, Integers::None, |e, x, to, _| plain(e, code, x, to))?;
        }
        Op::Logic(logic) => {
            let code = match logic {
                Logic::And => "LOGICAL_AND",
                Logic::Or => "LOGICAL_OR",
                Logic::Xor => return Err(unsupported(&node.op)),
            };
            each(e, node, 2, Integers::None, |e, x, to, _| plain(e, code, x, to))?;
        }
        Op::Variadic(function) => variadic(e, node, *function)?,
        Op::Where => each(e, node, 3, Integers::None, |e, x, to, _| {
            plain(e, "SELECT_V2", x, to)
        })?,
        Op::Clip => clip(e, node)?,
        Op::Cast { .. } => each(e, node, 1, Integers::None, |e, x, to, _| plain(e, "CAST", x, to))?,
        Op::Requantize => requantize(e, node)?,
        Op::Softmax { axis } => softmax(e, node, *axis, false)?,
        Op::LogSoftmax { axis } => softmax(e, node, *axis, true)?,
        Op::Reduce {
            function,
            keep_dims,
            noop_with_empty_axes,
        } => reduce(e, node, *function, *keep_dims, *noop_with_empty_axes)?,
        Op::BatchNormalization { epsilon } => batch_normalization(e, node, *epsilon)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn plain(e: &mut Exporter<'_>, code: &'static str, inputs: &[Index], to: Index) -> Result<()> {
    e.op(code, inputs, to);
    Ok(())
}

/// Whether a node whose first `count` inputs broadcast is computed channels-last: one of them is there so alone, and
/// all of them can be.
fn in_last(e: &Exporter<'_>, inputs: &[ValueId], out: ValueId) -> Result<bool> {
    let rank = e.shape(out)?.len();
    let mut any = false;
    for &id in inputs {
        let own = e.shape(id)?.len();
        any |= own == rank && e.lives_last(id);
        let few = own == 0 || (own < rank && e.graph.constant(id).is_some());
        if own != rank && !few {
            return Ok(false);
        }
    }
    Ok(any && rank >= 3)
}

/// An input of a node that is computed channels-last: constants of fewer axes get the missing ones.
fn operand(e: &mut Exporter<'_>, id: ValueId, rank: usize) -> Result<Index> {
    let own = e.shape(id)?.len();
    let graph = e.graph;
    match graph.constant(id) {
        Some(constant) if own > 0 && own < rank => {
            let mut shape = vec![1; rank - own];
            shape.extend_from_slice(constant.shape());
            let full = constant.reshaped(&shape)?.permuted(&super::to_last(rank))?;
            Ok(e.file.constant(&graph.value(id).name, &full))
        }
        _ if own == 0 => e.plain(id),
        _ => e.last(id),
    }
}

/// Computes a node of the first `count` inputs in the order of axes that they are in; `body` is told whether that is
/// channels-last.
fn each(
    e: &mut Exporter<'_>,
    node: &Node,
    count: usize,
    integers: Integers,
    body: impl FnOnce(&mut Exporter<'_>, &[Index], Index, bool) -> Result<()>,
) -> Result<()> {
    let out = e.output(node)?;
    each_into(e, node, count, out, integers, body)
}

fn each_into(
    e: &mut Exporter<'_>,
    node: &Node,
    count: usize,
    out: ValueId,
    integers: Integers,
    body: impl FnOnce(&mut Exporter<'_>, &[Index], Index, bool) -> Result<()>,
) -> Result<()> {
    let ids = (0..count).map(|n| e.input(node, n)).collect::<Result<Vec<_>>>()?;
    let last = in_last(e, &ids, e.output(node)?)?;
    let rank = e.shape(out)?.len();
    let mut inputs = Vec::with_capacity(count);
    for id in ids {
        inputs.push(if last { operand(e, id, rank)? } else { e.plain(id)? });
    }
    let to = e.new_tensor(out, last)?;
    e.compute(&inputs, to, integers, |e, inputs, to| body(e, inputs, to, last))?;
    let made = if last { &mut e.last } else { &mut e.plain };
    made[out.0] = Some(to);
    Ok(())
}

/// What LiteRT's kernels of a function know of integers.
fn integers_of(function: Unary) -> Integers {
    match function {
        Unary::Relu | Unary::Relu6 | Unary::HardSwish | Unary::LeakyRelu { .. } | Unary::Elu { .. } => {
            Integers::Any
        }
        Unary::Sigmoid => Integers::Fixed(1.0 / 256.0, -128),
        Unary::Tanh => Integers::Fixed(1.0 / 128.0, 0),
        _ => Integers::None,
    }
}

fn unary(e: &mut Exporter<'_>, node: &Node, function: Unary, x: Index, to: Index) -> Result<()> {
    let code = match function {
        Unary::Abs => "ABS",
        Unary::Neg => "NEG",
        Unary::Sign => "SIGN",
        Unary::Sqrt => "SQRT",
        Unary::Rsqrt => "RSQRT",
        Unary::Exp => "EXP",
        Unary::Log => "LOG",
        Unary::Ceil => "CEIL",
        Unary::Floor => "FLOOR",
        Unary::Round => "ROUND",
        Unary::Sin => "SIN",
        Unary::Cos => "COS",
        Unary::Tanh => "TANH",
        Unary::Sigmoid => "LOGISTIC",
        Unary::Relu => "RELU",
        Unary::Relu6 => "RELU6",
        Unary::Elu { alpha: 1.0 } => "ELU",
        Unary::HardSwish => "HARD_SWISH",
        Unary::Not => "LOGICAL_NOT",
        Unary::LeakyRelu { alpha } => {
            let settings = Table::new().with(0, Field::Real(alpha));
            e.file.operator("LEAKY_RELU", settings, &[Some(x)], &[to]);
            return Ok(());
        }
        Unary::Gelu { tanh } => {
            let settings = Table::new().with(0, Field::Byte(u8::from(tanh)));
            e.file.operator("GELU", settings, &[Some(x)], &[to]);
            return Ok(());
        }
        Unary::Reciprocal => {
            let one = e.file.constant("one", &Tensor::scalar(1f32));
            return plain(e, "DIV", &[one, x], to);
        }
        Unary::Swish { alpha } => {
            let gate = e.file.like("gate", to);
            let scaled = scaled(e, x, alpha);
            e.op("LOGISTIC", &[scaled], gate);
            return plain(e, "MUL", &[x, gate], to);
        }
        Unary::HardSigmoid { alpha, beta } => {
            let sum = e.file.like("sum", to);
            let scaled = scaled(e, x, alpha);
            let beta = e.file.constant("beta", &Tensor::scalar(beta));
            e.op("ADD", &[scaled, beta], sum);
            return between(e, sum, to, Some(0.0), Some(1.0));
        }
        _ => return Err(unsupported(&node.op)),
    };
    plain(e, code, &[x], to)
}

/// A tensor times a number.
fn scaled(e: &mut Exporter<'_>, x: Index, factor: f32) -> Index {
    if factor == 1.0 {
        return x;
    }
    let product = e.file.like("scaled", x);
    let factor = e.file.constant("factor", &Tensor::scalar(factor));
    e.op("MUL", &[x, factor], product);
    product
}

fn between(e: &mut Exporter<'_>, x: Index, to: Index, low: Option<f32>, high: Option<f32>) -> Result<()> {
    let code = match (low, high) {
        (Some(0.0), None) => "RELU",
        (Some(0.0), Some(1.0)) => "RELU_0_TO_1",
        (Some(0.0), Some(6.0)) => "RELU6",
        (Some(-1.0), Some(1.0)) => "RELU_N1_TO_1",
        _ => {
            let mut from = x;
            if let Some(low) = low {
                let floor = if high.is_some() {
                    e.file.like("above", to)
                } else {
                    to
                };
                let low = e.file.constant("low", &Tensor::scalar(low));
                e.op("MAXIMUM", &[from, low], floor);
                from = floor;
            }
            if let Some(high) = high {
                let high = e.file.constant("high", &Tensor::scalar(high));
                e.op("MINIMUM", &[from, high], to);
            }
            return Ok(());
        }
    };
    plain(e, code, &[x], to)
}

fn clip(e: &mut Exporter<'_>, node: &Node) -> Result<()> {
    let graph = e.graph;
    let mut bounds = [None, None];
    for (n, bound) in bounds.iter_mut().enumerate() {
        if let Some(id) = e.optional(node, n + 1) {
            let tensor = graph
                .constant(id)
                .ok_or_else(|| unsupported_with(&node.op, "limits made at run time"))?;
            *bound = tensor.dequantized()?.to_f32().first().copied();
        }
    }
    let [low, high] = bounds;
    if low.is_none() && high.is_none() {
        return Err(unsupported_with(&node.op, "no limits"));
    }
    each(e, node, 1, Integers::None, |e, x, to, _| {
        between(e, x[0], to, low, high)
    })
}

fn binary(e: &mut Exporter<'_>, n: usize, node: &Node, function: Binary) -> Result<()> {
    let (code, integers, fused) = match function {
        Binary::Add => ("ADD", Integers::Any, true),
        Binary::Sub => ("SUB", Integers::Any, true),
        Binary::Mul => ("MUL", Integers::Any, true),
        Binary::Div => ("DIV", Integers::None, true),
        Binary::Pow => ("POW", Integers::None, false),
        Binary::Min => ("MINIMUM", Integers::Same, false),
        Binary::Max => ("MAXIMUM", Integers::Same, false),
        Binary::FloorDiv => ("FLOOR_DIV", Integers::None, false),
        Binary::Mod { fmod: false } => ("FLOOR_MOD", Integers::None, false),
        Binary::SquaredDifference => ("SQUARED_DIFFERENCE", Integers::None, false),
        Binary::PRelu => ("PRELU", Integers::Any, false),
        _ => return Err(unsupported(&node.op)),
    };
    let out = e.output(node)?;
    let (result, activation) = if fused { e.fuse(n, out) } else { (out, 0) };
    each_into(e, node, 2, result, integers, |e, x, to, _| {
        let settings = Table::new().with(0, Field::Byte(activation));
        let mut inputs = [x[0], x[1]];
        // The kernel wants slopes without the axis of the batch.
        let slopes = e.file.tensor(x[1]).shape.clone();
        if function == Binary::PRelu && slopes.len() > 1 && slopes.len() == e.file.tensor(x[0]).shape.len() {
            let described = e.file.tensor(x[1]).clone();
            let name = format!("{}/slopes", described.name);
            inputs[1] = e
                .file
                .add(&name, described.dtype, &slopes[1..], described.quantization);
            e.reshape(x[1], inputs[1]);
        }
        e.file.operator(code, settings, &inputs.map(Some), &[to]);
        Ok(())
    })
}

fn variadic(e: &mut Exporter<'_>, node: &Node, function: Variadic) -> Result<()> {
    let count = node.inputs.len();
    let code = match function {
        Variadic::Sum | Variadic::Mean => "ADD",
        Variadic::Min => "MINIMUM",
        Variadic::Max => "MAXIMUM",
    };
    each(e, node, count, Integers::None, |e, x, to, _| {
        let mut sum = x[0];
        for (n, &input) in x.iter().enumerate().skip(1) {
            let last = n + 1 == count && function != Variadic::Mean;
            let next = if last { to } else { e.file.like("sum", to) };
            e.file
                .operator(code, Table::new(), &[Some(sum), Some(input)], &[next]);
            sum = next;
        }
        if function == Variadic::Mean {
            let count = e.file.constant("count", &Tensor::scalar(count as f32));
            e.op("DIV", &[sum, count], to);
        } else if count == 1 {
            e.reshape(sum, to);
        }
        Ok(())
    })
}

/// Between types that differ in their quantization alone: no kernel besides.
fn requantize(e: &mut Exporter<'_>, node: &Node) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let last = in_last(e, &[id], out)?;
    let x = if last { e.last(id)? } else { e.plain(id)? };
    let to = e.new_tensor(out, last)?;
    e.requantize(x, to);
    let made = if last { &mut e.last } else { &mut e.plain };
    made[out.0] = Some(to);
    Ok(())
}

/// The kernel works along the last axis.
fn softmax(e: &mut Exporter<'_>, node: &Node, axis: i64, log: bool) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let rank = e.shape(id)?.len();
    let axis = extent::axis(axis, rank)?;
    let integers = if log {
        Integers::None
    } else {
        Integers::Fixed(1.0 / 256.0, -128)
    };
    let last = rank >= 3 && axis == 1;
    if !last && axis + 1 != rank {
        return Err(unsupported_with(&node.op, format!("axis {axis} of {rank}")));
    }
    let x = if last { e.last(id)? } else { e.plain(id)? };
    let to = e.new_tensor(out, last)?;
    e.compute(&[x], to, integers, |e, x, to| {
        let settings = if log {
            Table::new()
        } else {
            Table::new().with(0, Field::Real(1.0))
        };
        e.file.operator(
            if log { "LOG_SOFTMAX" } else { "SOFTMAX" },
            settings,
            &[Some(x[0])],
            &[to],
        );
        Ok(())
    })?;
    let made = if last { &mut e.last } else { &mut e.plain };
    made[out.0] = Some(to);
    Ok(())
}

fn reduce(e: &mut Exporter<'_>, node: &Node, function: Reduce, keep_dims: bool, noop: bool) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let rank = e.shape(id)?.len();
    let mut axes = match e.numbers(node, 1)? {
        Some(axes) => extent::axes(&axes, rank)?,
        None => Vec::new(),
    };
    if axes.is_empty() && !noop {
        axes = (0..rank).collect();
    }
    let (code, integers) = match function {
        Reduce::Mean => ("MEAN", Integers::Any),
        Reduce::Sum => ("SUM", Integers::Any),
        Reduce::Max => ("REDUCE_MAX", Integers::Same),
        Reduce::Min => ("REDUCE_MIN", Integers::Same),
        Reduce::Prod => ("REDUCE_PROD", Integers::None),
        Reduce::L2 | Reduce::SumSquare => ("SUM", Integers::None),
        _ => return Err(unsupported(&node.op)),
    };
    // Without all axes kept, channels-last gives the graph's order only where what is left has one order.
    let last =
        rank >= 3 && e.lives_last(id) && (keep_dims || axes.len() + 2 >= rank && axes.iter().all(|&a| a > 1));
    let places: Vec<i32> = axes
        .iter()
        .map(|&a| (if last { axis_in_last(a, rank) } else { a }) as i32)
        .collect();
    let x = if last { e.last(id)? } else { e.plain(id)? };
    let to = e.new_tensor(out, last && keep_dims)?;
    let places = e.file.ints("axes", &places);
    e.compute(&[x], to, integers, |e, x, to| {
        let settings = Table::new().with(0, Field::Byte(u8::from(keep_dims)));
        let mut from = x[0];
        if matches!(function, Reduce::L2 | Reduce::SumSquare) {
            let squares = e.file.like("squares", from);
            e.op("MUL", &[from, from], squares);
            from = squares;
        }
        let sum = if function == Reduce::L2 {
            e.file.like("sum", to)
        } else {
            to
        };
        e.file
            .operator(code, settings, &[Some(from), Some(places)], &[sum]);
        if function == Reduce::L2 {
            e.op("SQRT", &[sum], to);
        }
        Ok(())
    })?;
    let made = if last && keep_dims {
        &mut e.last
    } else {
        &mut e.plain
    };
    made[out.0] = Some(to);
    Ok(())
}

/// One factor and one summand a channel.
fn batch_normalization(e: &mut Exporter<'_>, node: &Node, epsilon: f32) -> Result<()> {
    let graph = e.graph;
    let mut lists = Vec::with_capacity(4);
    for n in 1..5 {
        let tensor = graph.constant(e.input(node, n)?);
        let tensor = tensor.ok_or_else(|| unsupported_with(&node.op, "parameters made at run time"))?;
        lists.push(tensor.dequantized()?.to_f32());
    }
    let rank = e.shape(e.input(node, 0)?)?.len();
    let channels = lists[0].len();
    let (mut factors, mut summands) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
    for channel in 0..channels {
        let at = |list: usize| lists[list].get(channel).copied().map_or(f64::NAN, f64::from);
        let factor = at(0) / (at(3) + f64::from(epsilon)).sqrt();
        factors.push(factor as f32);
        summands.push((at(1) - at(2) * factor) as f32);
    }
    each(e, node, 1, Integers::None, |e, x, to, last| {
        let mut shape = vec![1; rank];
        shape[if last { rank - 1 } else { 1 }] = channels;
        let factors = e.file.constant("factors", &Tensor::new(&shape, factors)?);
        let summands = e.file.constant("summands", &Tensor::new(&shape, summands)?);
        let product = e.file.like("product", to);
        e.op("MUL", &[x[0], factors], product);
        plain(e, "ADD", &[product, summands], to)
    })
}
