//! Recurrent layers and `Bidirectional`.

use super::activation::in_cell;
use super::builder::Builder;
use super::config::Layer;
use super::core::one;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, Cell, Direction, Op, Recurrent, Variadic};
use crate::tensor::Tensor;

/// Whether a class is a layer of this family.
pub(super) fn is_known(class: &str) -> bool {
    matches!(class, "LSTM" | "GRU" | "SimpleRNN" | "Bidirectional")
}

/// Applies a layer of this family; with `return_state` the last states are further outputs.
pub(super) fn apply(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
) -> Result<Vec<ValueId>> {
    let x = one(builder, layer, inputs).map_err(|_| layer.unsupported("initial states that are inputs"))?;
    builder.expect_rank(layer, x, 3)?;
    if layer.class == "Bidirectional" {
        return Ok(vec![bidirectional(builder, layer, x)?]);
    }
    let reverse = layer.flag("go_backwards", false)?;
    let Found { mut sequence, states } = direction(builder, layer, x, "", reverse)?;
    if reverse && layer.flag("return_sequences", false)? {
        // Keras gives the steps in the order in which they were taken.
        sequence = reversed(builder, sequence)?;
    }
    let mut outputs = vec![sequence];
    if layer.flag("return_state", false)? {
        outputs.extend(states);
    }
    Ok(outputs)
}

/// What one direction gives: all steps or the last, and the states behind the last step.
struct Found {
    sequence: ValueId,
    states: Vec<ValueId>,
}

fn bidirectional(builder: &mut Builder<'_>, layer: &Layer<'_>, x: ValueId) -> Result<ValueId> {
    let of = |key: &str| layer.get(key).map(Layer::new).transpose();
    let inner = of("layer")?.ok_or_else(|| layer.fault(ErrorKind::Malformed, "a layer", "none"))?;
    if !is_known(inner.class) || inner.class == "Bidirectional" {
        return Err(layer.unsupported(inner.class));
    }
    let backward = of("backward_layer")?.unwrap_or(inner);
    if inner.flag("return_state", false)? {
        return Err(layer.unsupported("return_state"));
    }
    let mut results = Vec::with_capacity(2);
    for (inner, prefix, reverse) in [(inner, "forward/", false), (backward, "backward/", true)] {
        let inner = Layer {
            name: layer.name,
            ..inner
        };
        results.push(direction(builder, &inner, x, prefix, reverse)?.sequence);
    }
    let op = match layer.text("merge_mode")? {
        Some("concat") => Op::Concat { axis: -1 },
        Some("sum") => Op::Binary(Binary::Add),
        Some("mul") => Op::Binary(Binary::Mul),
        Some("ave") => Op::Variadic(Variadic::Mean),
        other => return Err(layer.unsupported(format!("merge_mode {}", other.unwrap_or("none")))),
    };
    builder.emit("merged", op, &results)
}

/// Places of Keras' gates in the graph's order.
fn gates(layer: &Layer<'_>) -> &'static [usize] {
    match layer.class {
        // Input, forget, cell, output to input, output, forget, cell.
        "LSTM" => &[0, 3, 1, 2],
        "GRU" => &[0, 1, 2],
        _ => &[0],
    }
}

/// Weights `[inputs, gates * units]` as `[1, gates * units, inputs]`, the gates in another order.
fn stacked(tensor: &Tensor, gates: &[usize], units: usize) -> Result<Tensor> {
    let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
    let elements = tensor.elements::<f32>()?;
    let mut found = Vec::with_capacity(elements.len());
    for &gate in gates {
        for unit in 0..units {
            found.extend((0..rows).map(|row| elements[row * columns + gate * units + unit]));
        }
    }
    Tensor::new(&[1, gates.len() * units, rows], found)
}

/// A bias of `gates * units` elements, the gates in another order.
fn sorted(elements: &[f32], gates: &[usize], units: usize) -> Vec<f32> {
    gates
        .iter()
        .flat_map(|&gate| elements[gate * units..(gate + 1) * units].iter().copied())
        .collect()
}

fn cell(layer: &Layer<'_>, reset_after: bool) -> Result<Recurrent> {
    // Until Keras 2.2 the gates of LSTM and GRU were hard sigmoids and files always say which they are.
    let inner = |key| in_cell(layer, key, "hard_sigmoid");
    let outer = in_cell(layer, "activation", "tanh")?;
    let (cell, activations) = match layer.class {
        "LSTM" => {
            let cell = Cell::Lstm { input_forget: false };
            (cell, vec![inner("recurrent_activation")?, outer, outer])
        }
        "GRU" => {
            let cell = Cell::Gru {
                linear_before_reset: reset_after,
            };
            (cell, vec![inner("recurrent_activation")?, outer])
        }
        _ => (Cell::Plain, vec![outer]),
    };
    Ok(Recurrent {
        cell,
        hidden: layer.size("units")?.unwrap_or(0),
        direction: Direction::Forward,
        activations,
        clip: None,
        batch_first: true,
    })
}

fn direction(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    x: ValueId,
    prefix: &str,
    reverse: bool,
) -> Result<Found> {
    for key in ["stateful", "time_major"] {
        if layer.flag(key, false)? {
            return Err(layer.unsupported(key));
        }
    }
    let gates = gates(layer);
    let features = builder.extent(layer, x, 2)?;
    let named = |name: &str| format!("{prefix}{name}");
    let units = layer
        .size("units")?
        .ok_or_else(|| layer.fault(ErrorKind::Malformed, "units", "none"))?;
    let wide = gates.len() * units;
    let kernel = builder.weight(layer, &named("kernel"), &[Some(features), Some(wide)])?;
    let recurrent = builder.weight(layer, &named("recurrent_kernel"), &[Some(units), Some(wide)])?;
    // A GRU that resets behind the product has a bias of its own there.
    let reset_after = layer.class == "GRU" && layer.flag("reset_after", false)?;
    let bias = if layer.flag("use_bias", true)? {
        let mut both = Vec::with_capacity(2 * wide);
        if reset_after {
            let bias = builder.weight(layer, &named("bias"), &[Some(2), Some(wide)])?;
            let (input, inner) = bias.elements::<f32>()?.split_at(wide);
            both.extend(sorted(input, gates, units));
            both.extend(sorted(inner, gates, units));
        } else {
            let bias = builder.weight(layer, &named("bias"), &[Some(wide)])?;
            both.extend(sorted(bias.elements::<f32>()?, gates, units));
            both.resize(2 * wide, 0.0);
        }
        Some(builder.constant(&named("bias"), Tensor::new(&[1, 2 * wide], both)?))
    } else {
        None
    };
    let kernel = builder.constant(&named("kernel"), stacked(&kernel, gates, units)?);
    let recurrent = builder.constant(&named("recurrent_kernel"), stacked(&recurrent, gates, units)?);
    let op = Op::Recurrent(Recurrent {
        hidden: units,
        direction: if reverse {
            Direction::Reverse
        } else {
            Direction::Forward
        },
        ..cell(layer, reset_after)?
    });
    let sequences = layer.flag("return_sequences", false)?;
    let states = layer.flag("return_state", false)?;
    let lstm = matches!(layer.class, "LSTM");
    let wanted = [sequences, !sequences || states, lstm && states];
    let found = builder.emit_some(
        &named("recurrent"),
        op,
        &[Some(x), Some(kernel), Some(recurrent), bias],
        &wanted,
    )?;
    let mut found = found.into_iter();
    let mut take = |builder: &mut Builder<'_>, axis: i64| -> Result<ValueId> {
        let value = found
            .next()
            .ok_or_else(|| layer.fault(ErrorKind::Shape, "an output", "none"))?;
        let axis = builder.vector("direction", vec![axis]);
        builder.emit("squeezed", Op::Squeeze, &[value, axis])
    };
    // Y is [batch, steps, directions, units], the states are [batch, directions, units].
    let sequence = if sequences { Some(take(builder, 2)?) } else { None };
    let mut last = Vec::new();
    for wanted in &wanted[1..] {
        if *wanted {
            last.push(take(builder, 1)?);
        }
    }
    let sequence = sequence.or(last.first().copied());
    Ok(Found {
        sequence: sequence.ok_or_else(|| layer.fault(ErrorKind::Shape, "an output", "none"))?,
        states: last,
    })
}

/// The steps `[batch, steps, units]` from the last to the first.
fn reversed(builder: &mut Builder<'_>, x: ValueId) -> Result<ValueId> {
    let bounds = [
        builder.vector("starts", vec![i64::MAX]),
        builder.vector("ends", vec![-i64::MAX]),
        builder.vector("axes", vec![1]),
        builder.vector("steps", vec![-1]),
    ];
    let [starts, ends, axes, steps] = bounds;
    builder.emit("reversed", Op::Slice, &[x, starts, ends, axes, steps])
}
