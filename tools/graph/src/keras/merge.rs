//! Layers of several inputs.

use super::builder::Builder;
use super::config::Layer;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, Op, Variadic};

/// `Add`, `Concatenate` and the like, and Keras 2.0's `Merge` with a mode.
pub(super) fn apply(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let mode = if layer.class == "Merge" {
        layer.text("mode")?.unwrap_or("sum")
    } else {
        layer.class
    };
    let (&first, rest) = inputs
        .split_first()
        .ok_or_else(|| layer.fault(ErrorKind::Malformed, "inputs", "none"))?;
    if matches!(mode, "Concatenate" | "concat") {
        let axis = match layer.int("axis")? {
            Some(axis) => axis,
            None => layer.int("concat_axis")?.unwrap_or(-1),
        };
        return builder.emit("concatenation", Op::Concat { axis }, inputs);
    }
    // Keras broadcasts behind the batch; the graph broadcasts from the last axis, which differs between ranks.
    let rank = builder.rank(layer, first)?;
    for &input in rest {
        builder.expect_rank(layer, input, rank)?;
    }
    let pairwise = |function| (function, "pair");
    let (function, what) = match mode {
        "Add" | "sum" if rest.len() == 1 => pairwise(Binary::Add),
        "Multiply" | "mul" => pairwise(Binary::Mul),
        "Subtract" if rest.len() == 1 => pairwise(Binary::Sub),
        "Maximum" | "max" if rest.len() == 1 => pairwise(Binary::Max),
        "Minimum" | "min" if rest.len() == 1 => pairwise(Binary::Min),
        _ => {
            let function = match mode {
                "Add" | "sum" => Variadic::Sum,
                "Average" | "ave" => Variadic::Mean,
                "Maximum" | "max" => Variadic::Max,
                "Minimum" | "min" => Variadic::Min,
                other => return Err(layer.unsupported(format!("{} inputs and mode {other}", inputs.len()))),
            };
            return builder.emit("all", Op::Variadic(function), inputs);
        }
    };
    let mut y = first;
    for &input in rest {
        y = builder.emit(what, Op::Binary(function), &[y, input])?;
    }
    Ok(y)
}
