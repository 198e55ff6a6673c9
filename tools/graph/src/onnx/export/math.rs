//! Elementwise functions and reductions.

use super::Call;
use super::attribute::Attributes;
use crate::onnx::tensor::data_type;
use crate::op::{Binary, Compare, Logic, Op, Unary, Variadic};

pub(super) fn direct(call: &Call<'_>) -> Option<(&'static str, Attributes)> {
    Some(match &call.node.op {
        Op::Unary(function) => return unary(function),
        Op::Binary(function) => return binary(*function),
        Op::Compare(function) => (
            match function {
                Compare::Equal => "Equal",
                Compare::Less => "Less",
                Compare::LessOrEqual => "LessOrEqual",
                Compare::Greater => "Greater",
                Compare::GreaterOrEqual => "GreaterOrEqual",
                Compare::NotEqual => return None,
            },
            vec![],
        ),
        Op::Logic(function) => (
            match function {
                Logic::And => "And",
                Logic::Or => "Or",
                Logic::Xor => "Xor",
            },
            vec![],
        ),
        Op::Variadic(function) => (
            match function {
                Variadic::Sum => "Sum",
                Variadic::Mean => "Mean",
                Variadic::Min => "Min",
                Variadic::Max => "Max",
            },
            vec![],
        ),
        Op::Where => ("Where", vec![]),
        Op::Clip => ("Clip", vec![]),
        Op::Cast { to, .. } => ("Cast", vec![("to", data_type(*to).into())]),
        Op::ArgExtreme {
            max,
            axis,
            keep_dims,
            select_last,
        } => (
            if *max { "ArgMax" } else { "ArgMin" },
            vec![
                ("axis", (*axis).into()),
                ("keepdims", (*keep_dims).into()),
                ("select_last_index", (*select_last).into()),
            ],
        ),
        Op::Softmax { axis } => ("Softmax", vec![("axis", (*axis).into())]),
        Op::LogSoftmax { axis } => ("LogSoftmax", vec![("axis", (*axis).into())]),
        Op::Hardmax { axis } => ("Hardmax", vec![("axis", (*axis).into())]),
        Op::Cumulative {
            product: false,
            exclusive,
            reverse,
        } => (
            "CumSum",
            vec![("exclusive", (*exclusive).into()), ("reverse", (*reverse).into())],
        ),
        Op::TopK {
            axis,
            largest,
            sorted,
        } => (
            "TopK",
            vec![
                ("axis", (*axis).into()),
                ("largest", (*largest).into()),
                ("sorted", (*sorted).into()),
            ],
        ),
        Op::LpNormalization { axis, p } => (
            "LpNormalization",
            vec![("axis", (*axis).into()), ("p", (*p).into())],
        ),
        _ => return None,
    })
}

fn unary(function: &Unary) -> Option<(&'static str, Attributes)> {
    let plain = |name| Some((name, vec![]));
    let alpha = |name, alpha: f32| Some((name, vec![("alpha", alpha.into())]));
    match *function {
        Unary::Abs => plain("Abs"),
        Unary::Neg => plain("Neg"),
        Unary::Sign => plain("Sign"),
        Unary::Reciprocal => plain("Reciprocal"),
        Unary::Sqrt => plain("Sqrt"),
        Unary::Exp => plain("Exp"),
        Unary::Log => plain("Log"),
        Unary::Ceil => plain("Ceil"),
        Unary::Floor => plain("Floor"),
        Unary::Round => plain("Round"),
        Unary::Sin => plain("Sin"),
        Unary::Cos => plain("Cos"),
        Unary::Tan => plain("Tan"),
        Unary::Asin => plain("Asin"),
        Unary::Acos => plain("Acos"),
        Unary::Atan => plain("Atan"),
        Unary::Sinh => plain("Sinh"),
        Unary::Cosh => plain("Cosh"),
        Unary::Tanh => plain("Tanh"),
        Unary::Asinh => plain("Asinh"),
        Unary::Acosh => plain("Acosh"),
        Unary::Atanh => plain("Atanh"),
        Unary::Erf => plain("Erf"),
        Unary::Not => plain("Not"),
        Unary::IsNan => plain("IsNaN"),
        Unary::IsInf { positive, negative } => Some((
            "IsInf",
            vec![
                ("detect_negative", negative.into()),
                ("detect_positive", positive.into()),
            ],
        )),
        Unary::Relu => plain("Relu"),
        Unary::LeakyRelu { alpha: a } => alpha("LeakyRelu", a),
        Unary::Elu { alpha: a } => alpha("Elu", a),
        Unary::Celu { alpha: a } => alpha("Celu", a),
        Unary::Selu { alpha, gamma } => {
            Some(("Selu", vec![("alpha", alpha.into()), ("gamma", gamma.into())]))
        }
        Unary::Sigmoid => plain("Sigmoid"),
        Unary::HardSigmoid { alpha, beta } => Some((
            "HardSigmoid",
            vec![("alpha", alpha.into()), ("beta", beta.into())],
        )),
        Unary::HardSwish => plain("HardSwish"),
        Unary::Softplus => plain("Softplus"),
        Unary::Softsign => plain("Softsign"),
        Unary::ThresholdedRelu { alpha: a } => alpha("ThresholdedRelu", a),
        Unary::Shrink { bias, lambd } => {
            Some(("Shrink", vec![("bias", bias.into()), ("lambd", lambd.into())]))
        }
        _ => None,
    }
}

fn binary(function: Binary) -> Option<(&'static str, Attributes)> {
    let plain = |name| Some((name, vec![]));
    match function {
        Binary::Add => plain("Add"),
        Binary::Sub => plain("Sub"),
        Binary::Mul => plain("Mul"),
        Binary::Div => plain("Div"),
        Binary::Pow => plain("Pow"),
        Binary::Min => plain("Min"),
        Binary::Max => plain("Max"),
        Binary::PRelu => plain("PRelu"),
        Binary::Mod { fmod: true } => Some(("Mod", vec![("fmod", true.into())])),
        Binary::ShiftLeft => Some(("BitShift", vec![("direction", "LEFT".into())])),
        Binary::ShiftRight => Some(("BitShift", vec![("direction", "RIGHT".into())])),
        _ => None,
    }
}
