//! Losses, which models keep that were exported together with their training: gathers and sums.

use super::Importer;
use super::attributes::unsupported;
use super::math::float_operand;
use super::node::{Source, Step};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, Compare, GatherMode, Op, Reduce, Unary};
use crate::tensor::Tensor;

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    match n.op_type {
        "NegativeLogLikelihoodLoss" => Ok(Some(vec![likelihood(b, n, n.input(0)?)?])),
        "SoftmaxCrossEntropyLoss" => {
            let scores = n.input(0)?;
            let logs = b.step(n, "log_prob", Op::LogSoftmax { axis: 1 }, &[Some(scores)])?;
            let logs = logs.unwrap_or(scores);
            let loss = likelihood(b, n, logs)?;
            let copy = Step {
                op: Op::Identity,
                inputs: vec![Some(logs)],
                outputs: 1..2,
            };
            Ok(Some(vec![loss, copy]))
        }
        _ => Ok(None),
    }
}

/// Minus the logarithms `[N,C,...]` at the targets `[N,...]`, weighted by class and reduced.
fn likelihood(b: &mut Importer<'_>, n: &Source<'_>, logs: ValueId) -> Result<Step> {
    let target = n.input(1)?;
    let ignored = match n.attributes.optional_int("ignore_index")? {
        Some(index) => {
            let index = like(b, n, "ignore_index", index, target)?;
            b.step(n, "ignored", Op::Compare(Compare::Equal), &[Some(target), index])?
        }
        None => None,
    };
    // An ignored target may lie outside of the classes.
    let safe = match ignored {
        Some(_) => {
            let zero = like(b, n, "first", 0, target)?;
            b.step(n, "classes", Op::Where, &[ignored, zero, Some(target)])?
        }
        None => Some(target),
    };
    let axis = b.integers(n, "class_axis", &[1]);
    let places = b.step(n, "places", Op::Unsqueeze, &[safe, axis])?;
    let gather = Op::Gather(GatherMode::Elements { axis: 1 });
    let picked = b.step(n, "picked", gather, &[Some(logs), places])?;
    let picked = b.step(n, "flat", Op::Squeeze, &[picked, axis])?;
    let weights = match (n.optional(2), ignored) {
        (Some(table), _) => {
            let gather = Op::Gather(GatherMode::Slices { axis: 0 });
            let weights = b.step(n, "weights", gather, &[Some(table), safe])?;
            match ignored {
                Some(_) => {
                    let zero = float_operand(b, n, "nothing", 0.0, logs)?;
                    b.step(n, "kept_weights", Op::Where, &[ignored, zero, weights])?
                }
                None => weights,
            }
        }
        (None, Some(_)) => {
            let (zero, one) = (
                float_operand(b, n, "nothing", 0.0, logs)?,
                float_operand(b, n, "one", 1.0, logs)?,
            );
            b.step(n, "kept", Op::Where, &[ignored, zero, one])?
        }
        (None, None) => None,
    };
    let negative = Op::Unary(Unary::Neg);
    let multiply = Op::Binary(Binary::Mul);
    let all = |function| Op::Reduce {
        function,
        keep_dims: false,
        noop_with_empty_axes: false,
    };
    let reduction = n.attributes.text("reduction", "mean")?;
    let (op, inputs) = match (reduction, weights) {
        ("none", None) => (negative, vec![picked]),
        ("none" | "sum" | "mean", _) => {
            let mut losses = b.step(n, "losses", negative, &[picked])?;
            if reduction == "none" {
                (multiply, vec![losses, weights])
            } else {
                if weights.is_some() {
                    losses = b.step(n, "weighted", multiply, &[losses, weights])?;
                }
                match (reduction, weights) {
                    ("mean", Some(_)) => {
                        let sum = b.step(n, "sum", all(Reduce::Sum), &[losses])?;
                        let weight = b.step(n, "weight", all(Reduce::Sum), &[weights])?;
                        (Op::Binary(Binary::Div), vec![sum, weight])
                    }
                    ("mean", None) => (all(Reduce::Mean), vec![losses]),
                    _ => (all(Reduce::Sum), vec![losses]),
                }
            }
        }
        (other, _) => return Err(unsupported("reduction", "none, sum or mean", other)),
    };
    Ok(Step {
        op,
        inputs,
        outputs: 0..1,
    })
}

/// A scalar constant of the integer type of another value.
fn like(
    b: &mut Importer<'_>,
    n: &Source<'_>,
    what: &str,
    value: i64,
    other: ValueId,
) -> Result<Option<ValueId>> {
    let tensor = match b.dtype(other) {
        Dtype::I64 => Tensor::scalar(value),
        Dtype::I32 => {
            Tensor::scalar(i32::try_from(value).map_err(|_| unsupported(what, "a 32-bit integer", value))?)
        }
        found => return Err(Error::new(ErrorKind::Dtype, what, "i32 or i64", found)),
    };
    Ok(b.operand(n, what, tensor))
}
