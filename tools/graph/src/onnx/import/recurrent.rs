//! Recurrent layers.

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::error::Result;
use crate::onnx::wire::malformed;
use crate::op::{Activation, Cell, Direction, Op, Recurrent};

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    let a = &n.attributes;
    let (cell, defaults): (_, &[&str]) = match n.op_type {
        "RNN" => (Cell::Plain, &["Tanh"]),
        "GRU" => {
            let linear_before_reset = a.flag("linear_before_reset", false)?;
            (Cell::Gru { linear_before_reset }, &["Sigmoid", "Tanh"])
        }
        "LSTM" => {
            let input_forget = a.flag("input_forget", false)?;
            (Cell::Lstm { input_forget }, &["Sigmoid", "Tanh", "Tanh"])
        }
        _ => return Ok(None),
    };
    let (direction, directions) = match a.text("direction", "forward")? {
        "forward" => (Direction::Forward, 1),
        "reverse" => (Direction::Reverse, 1),
        "bidirectional" => (Direction::Both, 2),
        other => {
            return Err(unsupported(
                "direction",
                "forward, reverse or bidirectional",
                other,
            ));
        }
    };
    let names = match a.texts("activations")? {
        Some(names) => names,
        None => defaults.repeat(directions),
    };
    if names.len() != directions * defaults.len() {
        return Err(malformed(
            format!("{} activations", directions * defaults.len()),
            names.len(),
        ));
    }
    let hidden = match a.optional_int("hidden_size")? {
        Some(hidden) => usize::try_from(hidden).ok(),
        // The recurrent weights are [directions, gates * hidden, hidden].
        None => b
            .ty(n.input(2)?)
            .dims
            .as_ref()
            .and_then(|dims| dims.get(2)?.known()),
    };
    let hidden = hidden.ok_or_else(|| malformed("a hidden_size of at least 0", "another"))?;
    let batch_first = a.flag("layout", false)?;
    Ok(Some(n.same(Op::Recurrent(Recurrent {
        cell,
        hidden,
        direction,
        activations: activations(n, &names)?,
        clip: a.optional_float("clip")?,
        batch_first,
    }))))
}

/// Each function that has parameters takes the next of the lists, or its defaults.
fn activations(n: &Source<'_>, names: &[&str]) -> Result<Vec<Activation>> {
    let mut alphas = n
        .attributes
        .floats("activation_alpha")?
        .unwrap_or_default()
        .iter()
        .copied();
    let mut betas = n
        .attributes
        .floats("activation_beta")?
        .unwrap_or_default()
        .iter()
        .copied();
    let mut list = Vec::with_capacity(names.len());
    for name in names {
        let mut alpha = |default: f32| alphas.next().unwrap_or(default);
        let mut beta = |default: f32| betas.next().unwrap_or(default);
        // The standard compares these names without regard to case.
        list.push(match name.to_ascii_lowercase().as_str() {
            "sigmoid" => Activation::Sigmoid,
            "tanh" => Activation::Tanh,
            "relu" => Activation::Relu,
            "softsign" => Activation::Softsign,
            "softplus" => Activation::Softplus,
            "hardsigmoid" => Activation::HardSigmoid {
                alpha: alpha(0.2),
                beta: beta(0.5),
            },
            "affine" => Activation::Affine {
                alpha: alpha(1.0),
                beta: beta(0.0),
            },
            "leakyrelu" => Activation::LeakyRelu { alpha: alpha(0.01) },
            "thresholdedrelu" => Activation::ThresholdedRelu { alpha: alpha(1.0) },
            "scaledtanh" => Activation::ScaledTanh {
                alpha: alpha(1.0),
                beta: beta(1.0),
            },
            "elu" => Activation::Elu { alpha: alpha(1.0) },
            _ => return Err(unsupported("activations", "functions of the standard", name)),
        });
    }
    Ok(list)
}
