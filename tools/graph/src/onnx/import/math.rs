//! Elementwise functions and reductions.

use half::{bf16, f16};

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, Compare, Logic, Op, Reduce, Unary, Variadic};
use crate::tensor::Tensor;

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    if let Some(function) = unary(n)? {
        return Ok(Some(n.same(Op::Unary(function))));
    }
    if let Some(op) = elementwise(n)? {
        return Ok(Some(n.same(op)));
    }
    if let Some(function) = reduction(n.op_type) {
        return reduce(b, n, function).map(Some);
    }
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "Clip" => clip(b, n)?,
        "Cast" => {
            a.ignore("round_mode");
            let to = a.required("to", a.dtype("to")?)?;
            n.same(Op::Cast {
                to,
                saturate: a.flag("saturate", true)?,
            })
        }
        "CastLike" => {
            a.ignore("round_mode");
            let to = b.dtype(n.input(1)?);
            let op = Op::Cast {
                to,
                saturate: a.flag("saturate", true)?,
            };
            n.with(op, vec![n.optional(0)])
        }
        "BitCast" => n.same(Op::BitCast {
            to: a.required("to", a.dtype("to")?)?,
        }),
        "ArgMax" | "ArgMin" => n.same(Op::ArgExtreme {
            max: n.op_type == "ArgMax",
            axis: a.int("axis", 0)?,
            keep_dims: a.flag("keepdims", true)?,
            select_last: a.flag("select_last_index", false)?,
        }),
        "Softmax" => along(b, n, |axis| Op::Softmax { axis })?,
        "LogSoftmax" => along(b, n, |axis| Op::LogSoftmax { axis })?,
        "Hardmax" => along(b, n, |axis| Op::Hardmax { axis })?,
        "CumSum" | "CumProd" => n.same(Op::Cumulative {
            product: n.op_type == "CumProd",
            exclusive: a.flag("exclusive", false)?,
            reverse: a.flag("reverse", false)?,
        }),
        "TopK" => {
            let mut inputs = n.inputs.clone();
            if n.version < 10 {
                let k = a.required("k", a.optional_int("k")?)?;
                inputs.push(b.integers(n, "k", &[k]));
            }
            let op = Op::TopK {
                axis: a.int("axis", -1)?,
                largest: a.flag("largest", true)?,
                sorted: a.flag("sorted", true)?,
            };
            n.with(op, inputs)
        }
        "LpNormalization" => n.same(Op::LpNormalization {
            axis: a.int("axis", -1)?,
            p: a.int("p", 2)?,
        }),
        "SwiGLU" => {
            let alpha = a.float("alpha", 1.0)?;
            let gate = b.step(n, "gate", Op::Unary(Unary::Swish { alpha }), &[n.optional(0)])?;
            n.with(Op::Binary(Binary::Mul), vec![gate, n.optional(1)])
        }
        _ => return Ok(None),
    }))
}

fn unary(n: &Source<'_>) -> Result<Option<Unary>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "Abs" => Unary::Abs,
        "Neg" => Unary::Neg,
        "Sign" => Unary::Sign,
        "Reciprocal" => Unary::Reciprocal,
        "Sqrt" => Unary::Sqrt,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Ceil" => Unary::Ceil,
        "Floor" => Unary::Floor,
        "Round" => Unary::Round,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        "Tan" => Unary::Tan,
        "Asin" => Unary::Asin,
        "Acos" => Unary::Acos,
        "Atan" => Unary::Atan,
        "Sinh" => Unary::Sinh,
        "Cosh" => Unary::Cosh,
        "Tanh" => Unary::Tanh,
        "Asinh" => Unary::Asinh,
        "Acosh" => Unary::Acosh,
        "Atanh" => Unary::Atanh,
        "Erf" => Unary::Erf,
        "Not" => Unary::Not,
        "BitwiseNot" => Unary::BitwiseNot,
        "IsNaN" => Unary::IsNan,
        "IsInf" => Unary::IsInf {
            positive: a.flag("detect_positive", true)?,
            negative: a.flag("detect_negative", true)?,
        },
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu {
            alpha: a.float("alpha", 0.01)?,
        },
        "Elu" => Unary::Elu {
            alpha: a.float("alpha", 1.0)?,
        },
        "Celu" => Unary::Celu {
            alpha: a.float("alpha", 1.0)?,
        },
        "Selu" => Unary::Selu {
            alpha: a.float("alpha", 1.673_263_2)?,
            gamma: a.float("gamma", 1.050_701)?,
        },
        "Sigmoid" => Unary::Sigmoid,
        "HardSigmoid" => Unary::HardSigmoid {
            alpha: a.float("alpha", 0.2)?,
            beta: a.float("beta", 0.5)?,
        },
        "HardSwish" => Unary::HardSwish,
        "Swish" => Unary::Swish {
            alpha: a.float("alpha", 1.0)?,
        },
        "Gelu" => match a.text("approximate", "none")? {
            "none" => Unary::Gelu { tanh: false },
            "tanh" => Unary::Gelu { tanh: true },
            other => return Err(unsupported("approximate", "none or tanh", other)),
        },
        "Mish" => Unary::Mish,
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "ThresholdedRelu" => Unary::ThresholdedRelu {
            alpha: a.float("alpha", 1.0)?,
        },
        "Shrink" => Unary::Shrink {
            bias: a.float("bias", 0.0)?,
            lambd: a.float("lambd", 0.5)?,
        },
        _ => return Ok(None),
    }))
}

fn elementwise(n: &Source<'_>) -> Result<Option<Op>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "Add" => Op::Binary(Binary::Add),
        "Sub" => Op::Binary(Binary::Sub),
        "Mul" => Op::Binary(Binary::Mul),
        "Div" => Op::Binary(Binary::Div),
        "Pow" => Op::Binary(Binary::Pow),
        "Mod" => Op::Binary(Binary::Mod {
            fmod: a.flag("fmod", false)?,
        }),
        "PRelu" => Op::Binary(Binary::PRelu),
        "BitwiseAnd" => Op::Binary(Binary::BitwiseAnd),
        "BitwiseOr" => Op::Binary(Binary::BitwiseOr),
        "BitwiseXor" => Op::Binary(Binary::BitwiseXor),
        "BitShift" => match a.text("direction", "")? {
            "LEFT" => Op::Binary(Binary::ShiftLeft),
            "RIGHT" => Op::Binary(Binary::ShiftRight),
            other => return Err(unsupported("direction", "LEFT or RIGHT", other)),
        },
        "Equal" => Op::Compare(Compare::Equal),
        "Less" => Op::Compare(Compare::Less),
        "LessOrEqual" => Op::Compare(Compare::LessOrEqual),
        "Greater" => Op::Compare(Compare::Greater),
        "GreaterOrEqual" => Op::Compare(Compare::GreaterOrEqual),
        "And" => Op::Logic(Logic::And),
        "Or" => Op::Logic(Logic::Or),
        "Xor" => Op::Logic(Logic::Xor),
        "Sum" => Op::Variadic(Variadic::Sum),
        "Mean" => Op::Variadic(Variadic::Mean),
        "Min" => Op::Variadic(Variadic::Min),
        "Max" => Op::Variadic(Variadic::Max),
        "Where" => Op::Where,
        _ => return Ok(None),
    }))
}

fn reduction(op_type: &str) -> Option<Reduce> {
    Some(match op_type {
        "ReduceSum" => Reduce::Sum,
        "ReduceMean" => Reduce::Mean,
        "ReduceMax" => Reduce::Max,
        "ReduceMin" => Reduce::Min,
        "ReduceProd" => Reduce::Prod,
        "ReduceL1" => Reduce::L1,
        "ReduceL2" => Reduce::L2,
        "ReduceLogSum" => Reduce::LogSum,
        "ReduceLogSumExp" => Reduce::LogSumExp,
        "ReduceSumSquare" => Reduce::SumSquare,
        _ => return None,
    })
}

/// Axes are an input of `ReduceSum` from version 13 on, of the others from 18 on.
fn reduce(b: &mut Importer<'_>, n: &Source<'_>, function: Reduce) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let mut inputs = n.inputs.clone();
    let as_input = n.version >= if function == Reduce::Sum { 13 } else { 18 };
    if !as_input && let Some(axes) = a.ints("axes")? {
        inputs.push(b.integers(n, "axes", axes));
    }
    let op = Op::Reduce {
        function,
        keep_dims: a.flag("keepdims", true)?,
        noop_with_empty_axes: as_input && a.flag("noop_with_empty_axes", false)?,
    };
    Ok(n.with(op, inputs))
}

/// Softmax and its kin: before version 13 over all axes from one on, 1 if none is given.
fn along(b: &mut Importer<'_>, n: &Source<'_>, op: fn(i64) -> Op) -> Result<Vec<Step>> {
    let a = &n.attributes;
    if n.version >= 13 {
        return Ok(n.same(op(a.int("axis", -1)?)));
    }
    let axis = a.int("axis", 1)?;
    let input = n.input(0)?;
    if let Some(rank) = b.ty(input).rank()
        && (axis == -1 || usize::try_from(axis.saturating_add(1)) == Ok(rank))
    {
        return Ok(n.same(op(-1)));
    }
    let shape = b.step(n, "shape", Op::Shape { start: 0, end: None }, &[Some(input)])?;
    let flat = b.step(n, "flat", Op::Flatten { axis }, &[Some(input)])?;
    let made = b.step(n, "made", op(1), &[flat])?;
    Ok(n.with(Op::Reshape { allow_zero: false }, vec![made, shape]))
}

/// Limits are attributes before version 11.
fn clip(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    if n.version >= 11 {
        return Ok(n.same(Op::Clip));
    }
    let input = n.input(0)?;
    let mut inputs = vec![Some(input)];
    for what in ["min", "max"] {
        let limit = n.attributes.optional_float(what)?;
        inputs.push(match limit {
            Some(limit) => float_operand(b, n, what, limit, input)?,
            None => None,
        });
    }
    Ok(n.with(Op::Clip, inputs))
}

/// A scalar constant of the type of another value.
pub(super) fn float_operand(
    b: &mut Importer<'_>,
    n: &Source<'_>,
    what: &str,
    value: f32,
    like: ValueId,
) -> Result<Option<ValueId>> {
    let tensor = match b.dtype(like) {
        Dtype::F32 => Tensor::scalar(value),
        Dtype::F16 => Tensor::scalar(f16::from_f32(value)),
        Dtype::Bf16 => Tensor::scalar(bf16::from_f32(value)),
        Dtype::F64 => Tensor::scalar(f64::from(value)),
        other => {
            return Err(Error::new(
                ErrorKind::Dtype,
                what,
                "floating-point elements",
                other,
            ));
        }
    };
    Ok(b.operand(n, what, tensor))
}
