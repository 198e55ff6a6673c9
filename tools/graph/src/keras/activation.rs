//! Activations by name and as layers.

use serde_json::Value;

use super::builder::Builder;
use super::config::Layer;
use super::core::one;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Activation, Binary, Op, Unary};
use crate::tensor::Tensor;

/// Slope and offset of Keras 2's `hard_sigmoid`.
const HARD_SIGMOID: (f32, f32) = (0.2, 0.5);

/// Constants of `selu`.
const SELU: (f32, f32) = (1.673_263_2, 1.050_701);

/// What an `Activation` layer is.
pub(super) fn activation(
    builder: &mut Builder<'_>,
    layer: &Layer<'_>,
    inputs: &[ValueId],
) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    fused(builder, layer, x)
}

/// Applies a layer's own `activation`.
pub(super) fn fused(builder: &mut Builder<'_>, layer: &Layer<'_>, x: ValueId) -> Result<ValueId> {
    let Some(value) = layer.get("activation") else {
        return Ok(x);
    };
    let Value::String(name) = value else {
        let inner =
            Layer::new(value).map_err(|_| layer.fault(ErrorKind::Malformed, "an activation", value))?;
        let inner = Layer {
            name: layer.name,
            ..inner
        };
        return self::layer(builder, &inner, &[x]);
    };
    let op = match name.as_str() {
        "linear" => return Ok(x),
        "softmax" => Op::Softmax { axis: -1 },
        "log_softmax" => Op::LogSoftmax { axis: -1 },
        "relu" => Op::Unary(Unary::Relu),
        "relu6" => Op::Unary(Unary::Relu6),
        "sigmoid" => Op::Unary(Unary::Sigmoid),
        "tanh" => Op::Unary(Unary::Tanh),
        "softplus" => Op::Unary(Unary::Softplus),
        "softsign" => Op::Unary(Unary::Softsign),
        "exponential" => Op::Unary(Unary::Exp),
        "elu" => Op::Unary(Unary::Elu { alpha: 1.0 }),
        "selu" => Op::Unary(Unary::Selu {
            alpha: SELU.0,
            gamma: SELU.1,
        }),
        "hard_sigmoid" => Op::Unary(Unary::HardSigmoid {
            alpha: HARD_SIGMOID.0,
            beta: HARD_SIGMOID.1,
        }),
        "swish" | "silu" => Op::Unary(Unary::Swish { alpha: 1.0 }),
        "gelu" => Op::Unary(Unary::Gelu { tanh: false }),
        "mish" => Op::Unary(Unary::Mish),
        "leaky_relu" => Op::Unary(Unary::LeakyRelu { alpha: 0.2 }),
        other => return Err(layer.unsupported(format!("activation {other}"))),
    };
    builder.emit(name, op, &[x])
}

/// The function inside a recurrent cell that a setting names.
pub(super) fn in_cell(layer: &Layer<'_>, key: &str, default: &str) -> Result<Activation> {
    Ok(match layer.text(key)?.unwrap_or(default) {
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "hard_sigmoid" => Activation::HardSigmoid {
            alpha: HARD_SIGMOID.0,
            beta: HARD_SIGMOID.1,
        },
        "elu" => Activation::Elu { alpha: 1.0 },
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "linear" => Activation::Affine {
            alpha: 1.0,
            beta: 0.0,
        },
        other => return Err(layer.unsupported(format!("{key} {other}"))),
    })
}

/// Activations that are layers with settings.
pub(super) fn layer(builder: &mut Builder<'_>, layer: &Layer<'_>, inputs: &[ValueId]) -> Result<ValueId> {
    let x = one(builder, layer, inputs)?;
    match layer.class {
        "ReLU" => relu(builder, layer, x),
        "LeakyReLU" => {
            let alpha = match layer.real("alpha")? {
                Some(alpha) => alpha,
                None => layer.real("negative_slope")?.unwrap_or(0.3),
            };
            builder.emit("leaky_relu", Op::Unary(Unary::LeakyRelu { alpha }), &[x])
        }
        "ELU" => {
            let alpha = layer.real("alpha")?.unwrap_or(1.0);
            builder.emit("elu", Op::Unary(Unary::Elu { alpha }), &[x])
        }
        "ThresholdedReLU" => {
            let alpha = layer.real("theta")?.unwrap_or(1.0);
            builder.emit(
                "thresholded_relu",
                Op::Unary(Unary::ThresholdedRelu { alpha }),
                &[x],
            )
        }
        "PReLU" => {
            let rank = builder.rank(layer, x)?;
            let slopes = builder.weight(layer, "alpha", &vec![None; rank.saturating_sub(1)])?;
            let slopes = builder.constant("alpha", slopes);
            builder.emit("prelu", Op::Binary(Binary::PRelu), &[x, slopes])
        }
        "Softmax" => {
            let axis = match layer.ints("axis")?.as_deref() {
                None => -1,
                Some(&[axis]) => axis,
                Some(_) => return Err(layer.unsupported("several axes")),
            };
            builder.emit("softmax", Op::Softmax { axis }, &[x])
        }
        _ => Err(layer.unsupported("as an activation")),
    }
}

/// `max_value` above, a slope below zero; a threshold other than zero is a function of its own.
fn relu(builder: &mut Builder<'_>, layer: &Layer<'_>, x: ValueId) -> Result<ValueId> {
    let slope = layer.real("negative_slope")?.unwrap_or(0.0);
    let threshold = layer.real("threshold")?.unwrap_or(0.0);
    if threshold != 0.0 {
        return Err(layer.unsupported(format!("threshold {threshold}")));
    }
    let function = match (slope == 0.0, layer.real("max_value")?) {
        (true, None) => Unary::Relu,
        (true, Some(6.0)) => Unary::Relu6,
        (true, Some(high)) => {
            let low = builder.constant("low", Tensor::scalar(0f32));
            let high = builder.constant("high", Tensor::scalar(high));
            return builder.emit("clip", Op::Clip, &[x, low, high]);
        }
        (false, high) => {
            let y = builder.emit("leaky_relu", Op::Unary(Unary::LeakyRelu { alpha: slope }), &[x])?;
            let Some(high) = high else { return Ok(y) };
            let high = builder.constant("high", Tensor::scalar(high));
            return builder.emit("min", Op::Binary(Binary::Min), &[y, high]);
        }
    };
    builder.emit("relu", Op::Unary(function), &[x])
}
