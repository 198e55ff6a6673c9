//! Elementwise functions, reductions and what works along an axis.

use super::layer::real_scalar;
use super::{Call, Importer};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::op::{Binary, Compare, Logic, Op, Reduce, Unary, Variadic};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    let code = call.operator.code.as_str();
    if let Some(function) = unary(call)? {
        let x = g.operand(call, 0)?;
        g.simple(call, Op::Unary(function), &[x])?;
        return Ok(true);
    }
    if let Some((function, fused)) = binary(code) {
        arithmetic(g, call, function, fused)?;
        return Ok(true);
    }
    if let Some(op) = truth(code) {
        let inputs = g.operands(call)?;
        g.simple(call, op, &inputs)?;
        return Ok(true);
    }
    if let Some(function) = reduction(code) {
        reduce(g, call, function)?;
        return Ok(true);
    }
    match code {
        "RELU_N1_TO_1" => limited(g, call, -1.0)?,
        "RELU_0_TO_1" => limited(g, call, 0.0)?,
        "SQUARE" => {
            let x = g.operand(call, 0)?;
            g.simple(call, Op::Binary(Binary::Mul), &[x, x])?;
        }
        "PRELU" => {
            let (x, slope) = (g.operand(call, 0)?, g.operand(call, 1)?);
            g.simple(call, Op::Binary(Binary::PRelu), &[x, slope])?;
        }
        "ADD_N" => {
            let inputs = g.operands(call)?;
            g.simple(call, Op::Variadic(Variadic::Sum), &inputs)?;
        }
        "SELECT" | "SELECT_V2" => select(g, call)?,
        "CAST" => cast(g, call)?,
        "QUANTIZE" | "DEQUANTIZE" => requantize(g, call)?,
        "SOFTMAX" => softmax(g, call)?,
        "LOG_SOFTMAX" => {
            let x = g.operand(call, 0)?;
            g.simple(call, Op::LogSoftmax { axis: -1 }, &[x])?;
        }
        "ARG_MAX" => arg_extreme(g, call, true)?,
        "ARG_MIN" => arg_extreme(g, call, false)?,
        "CUMSUM" => {
            let (x, axis) = (g.operand(call, 0)?, g.operand(call, 1)?);
            let op = Op::Cumulative {
                product: false,
                exclusive: call.flag(0)?,
                reverse: call.flag(1)?,
            };
            g.simple(call, op, &[x, axis])?;
        }
        "TOPK_V2" => top_k(g, call)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn unary(call: Call<'_>) -> Result<Option<Unary>> {
    Ok(Some(match call.operator.code.as_str() {
        "ABS" => Unary::Abs,
        "NEG" => Unary::Neg,
        "SIGN" => Unary::Sign,
        "SQRT" => Unary::Sqrt,
        "RSQRT" => Unary::Rsqrt,
        "EXP" => Unary::Exp,
        "LOG" => Unary::Log,
        "CEIL" => Unary::Ceil,
        "FLOOR" => Unary::Floor,
        "ROUND" => Unary::Round,
        "SIN" => Unary::Sin,
        "COS" => Unary::Cos,
        "TANH" => Unary::Tanh,
        "LOGISTIC" => Unary::Sigmoid,
        "RELU" => Unary::Relu,
        "RELU6" => Unary::Relu6,
        "LEAKY_RELU" => Unary::LeakyRelu {
            alpha: call.real(0, 0.0)?,
        },
        "ELU" => Unary::Elu { alpha: 1.0 },
        "HARD_SWISH" => Unary::HardSwish,
        "GELU" => Unary::Gelu { tanh: call.flag(0)? },
        "LOGICAL_NOT" => Unary::Not,
        _ => return Ok(None),
    }))
}

/// A function of two tensors, and whether an activation may be fused to it.
fn binary(code: &str) -> Option<(Binary, bool)> {
    Some(match code {
        "ADD" => (Binary::Add, true),
        "SUB" => (Binary::Sub, true),
        "MUL" => (Binary::Mul, true),
        "DIV" => (Binary::Div, true),
        "POW" => (Binary::Pow, false),
        "MAXIMUM" => (Binary::Max, false),
        "MINIMUM" => (Binary::Min, false),
        "FLOOR_DIV" => (Binary::FloorDiv, false),
        "FLOOR_MOD" => (Binary::Mod { fmod: false }, false),
        "SQUARED_DIFFERENCE" => (Binary::SquaredDifference, false),
        "BITWISE_XOR" => (Binary::BitwiseXor, false),
        "RIGHT_SHIFT" => (Binary::ShiftRight, false),
        _ => return None,
    })
}

fn truth(code: &str) -> Option<Op> {
    Some(match code {
        "EQUAL" => Op::Compare(Compare::Equal),
        "NOT_EQUAL" => Op::Compare(Compare::NotEqual),
        "LESS" => Op::Compare(Compare::Less),
        "LESS_EQUAL" => Op::Compare(Compare::LessOrEqual),
        "GREATER" => Op::Compare(Compare::Greater),
        "GREATER_EQUAL" => Op::Compare(Compare::GreaterOrEqual),
        "LOGICAL_AND" => Op::Logic(Logic::And),
        "LOGICAL_OR" => Op::Logic(Logic::Or),
        _ => return None,
    })
}

fn reduction(code: &str) -> Option<Reduce> {
    Some(match code {
        "MEAN" => Reduce::Mean,
        "SUM" => Reduce::Sum,
        "REDUCE_PROD" => Reduce::Prod,
        "REDUCE_MAX" | "REDUCE_ANY" => Reduce::Max,
        "REDUCE_MIN" | "REDUCE_ALL" => Reduce::Min,
        _ => return None,
    })
}

fn arithmetic<'a>(g: &mut Importer<'a>, call: Call<'a>, function: Binary, fused: bool) -> Result<()> {
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let mut inputs = [g.operand(call, 0)?, g.operand(call, 1)?];
    if ty.dtype == Dtype::F32 {
        for input in &mut inputs {
            *input = g.real(call, *input)?;
        }
    }
    let y = g.emit(call, "op", Op::Binary(function), &inputs, ty);
    let y = if fused { g.activate(call, 0, y)? } else { y };
    g.define(output, y);
    Ok(())
}

fn limited<'a>(g: &mut Importer<'a>, call: Call<'a>, low: f32) -> Result<()> {
    let x = g.operand(call, 0)?;
    let (low, high) = (
        real_scalar(g, call, "low", low),
        real_scalar(g, call, "high", 1.0),
    );
    g.simple(call, Op::Clip, &[x, low, high])
}

fn select<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let inputs = g.operands(call)?;
    let (condition, x) = (g.shape(call.input(0)?).len(), g.shape(call.input(1)?).len());
    // The first version lets a vector choose between slices, which is no broadcast.
    if call.operator.code == "SELECT" && condition == 1 && x > 1 {
        return Err(call.unsupported("a vector for a condition"));
    }
    g.simple(call, Op::Where, &inputs)
}

fn cast<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let to = g.ty(call.output(0)?)?.dtype;
    g.simple(call, Op::Cast { to, saturate: true }, &[x])
}

fn requantize<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let output = call.output(0)?;
    let x = g.operand(call, 0)?;
    let ty = g.ty(output)?;
    let plain = g.graph.value(x).ty.quantization.is_none();
    if ty.dtype == Dtype::F32 && (plain || g.graph.constant(x).is_some()) {
        let y = g.real(call, x)?;
        if y != x && g.graph.constant(y).is_some() {
            g.define(output, y);
            return Ok(());
        }
        return g.simple(call, Op::Identity, &[y]);
    }
    g.simple(call, Op::Requantize, &[x])
}

fn softmax<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let mut x = g.operand(call, 0)?;
    let beta = call.real(0, 0.0)?;
    if beta != 1.0 {
        let ty = g.graph.value(x).ty.clone();
        if ty.quantization.is_some() {
            return Err(call.unsupported(format!("integers and beta {beta}")));
        }
        let beta = real_scalar(g, call, "beta", beta);
        let ty = TensorType { dims: None, ..ty };
        x = g.emit(call, "scaled", Op::Binary(Binary::Mul), &[x, beta], ty);
    }
    g.simple(call, Op::Softmax { axis: -1 }, &[x])
}

fn reduce<'a>(g: &mut Importer<'a>, call: Call<'a>, function: Reduce) -> Result<()> {
    let x = g.operand(call, 0)?;
    let axes = g.axes(call, 1)?;
    let op = Op::Reduce {
        function,
        keep_dims: call.flag(0)?,
        noop_with_empty_axes: true,
    };
    g.simple(call, op, &[x, axes])
}

fn arg_extreme<'a>(g: &mut Importer<'a>, call: Call<'a>, max: bool) -> Result<()> {
    let x = g.operand(call, 0)?;
    let Some(&[axis]) = g.integers(call.input(1)?)?.as_deref() else {
        return Err(call.unsupported("an axis that is no constant"));
    };
    let output = call.output(0)?;
    let to = g.ty(output)?.dtype;
    let op = Op::ArgExtreme {
        max,
        axis,
        keep_dims: false,
        select_last: false,
    };
    let mut y = g.emit(call, "op", op, &[x], TensorType::unshaped(Dtype::I64));
    if to != Dtype::I64 {
        y = g.emit(
            call,
            "cast",
            Op::Cast { to, saturate: true },
            &[y],
            TensorType::unshaped(to),
        );
    }
    g.define(output, y);
    Ok(())
}

fn top_k<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let Some(&[k]) = g.integers(call.input(1)?)?.as_deref() else {
        return Err(call.unsupported("a number that is no constant"));
    };
    let k = g.fresh(call, "k", Tensor::vector(vec![k]));
    let (values, indices) = (call.output(0)?, call.output(1)?);
    let to = g.ty(indices)?.dtype;
    let types = vec![g.ty(values)?, TensorType::unshaped(Dtype::I64)];
    let op = Op::TopK {
        axis: -1,
        largest: true,
        sorted: true,
    };
    let found = g.emit_many(call, "op", op, &[Some(x), Some(k)], types);
    let &[first, mut second] = &found[..] else {
        return Err(call.fault(ErrorKind::Malformed, "two outputs", found.len()));
    };
    if to != Dtype::I64 {
        second = g.emit(
            call,
            "cast",
            Op::Cast { to, saturate: true },
            &[second],
            TensorType::unshaped(to),
        );
    }
    g.define(values, first);
    g.define(indices, second);
    Ok(())
}
