//! Recurrent layers, with time before batch: what runtimes implement of both orders that the standard has.

use super::attribute::{Attributes, Value};
use super::{Call, Exporter};
use crate::op::{Activation, Cell, Direction, Recurrent};

/// Inputs that hold states, besides the sequence itself.
const STATES: [usize; 2] = [5, 6];

/// Writes a layer with batch before time between transposes.
pub(super) fn write(x: &mut Exporter<'_>, call: &Call<'_>, r: &Recurrent) {
    let mut inputs = call.inputs.to_vec();
    for (n, input) in inputs.iter_mut().enumerate() {
        if (n == 0 || STATES.contains(&n)) && !input.is_empty() {
            *input = x.step(
                &format!("{input}.time_first"),
                "Transpose",
                &[input],
                turned(&[1, 0, 2]),
            );
        }
    }
    let made: Vec<String> = call
        .outputs
        .iter()
        .map(|output| match output.as_str() {
            "" => String::new(),
            output => x.unique(&format!("{output}.time_first")),
        })
        .collect();
    let (op_type, attributes) = operator(r);
    x.call(op_type, &inputs, &made, attributes);
    for (n, (made, output)) in made.into_iter().zip(call.outputs).enumerate() {
        // [time, directions, batch, size] to [batch, time, directions, size], and states [directions, batch, size].
        let order: &[i64] = if n == 0 { &[2, 0, 1, 3] } else { &[1, 0, 2] };
        if !made.is_empty() {
            x.call("Transpose", &[made], std::slice::from_ref(output), turned(order));
        }
    }
}

fn turned(order: &[i64]) -> Attributes {
    vec![("perm", order.into())]
}

/// Operator and attributes of a layer with time before batch.
pub(super) fn operator(r: &Recurrent) -> (&'static str, Attributes) {
    let direction = match r.direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
        Direction::Both => "bidirectional",
    };
    let (mut names, mut alphas, mut betas) = (Vec::new(), Vec::new(), Vec::new());
    for activation in &r.activations {
        let (name, alpha, beta) = match *activation {
            Activation::Sigmoid => ("Sigmoid", None, None),
            Activation::Tanh => ("Tanh", None, None),
            Activation::Relu => ("Relu", None, None),
            Activation::Softsign => ("Softsign", None, None),
            Activation::Softplus => ("Softplus", None, None),
            Activation::HardSigmoid { alpha, beta } => ("HardSigmoid", Some(alpha), Some(beta)),
            Activation::Affine { alpha, beta } => ("Affine", Some(alpha), Some(beta)),
            Activation::LeakyRelu { alpha } => ("LeakyRelu", Some(alpha), None),
            Activation::ThresholdedRelu { alpha } => ("ThresholdedRelu", Some(alpha), None),
            Activation::ScaledTanh { alpha, beta } => ("ScaledTanh", Some(alpha), Some(beta)),
            Activation::Elu { alpha } => ("Elu", Some(alpha), None),
        };
        names.push(name);
        alphas.extend(alpha);
        betas.extend(beta);
    }
    let mut attributes: Attributes = vec![
        ("hidden_size", (r.hidden as i64).into()),
        ("direction", direction.into()),
        ("activations", Value::Texts(names)),
    ];
    if !alphas.is_empty() {
        attributes.push(("activation_alpha", Value::Floats(alphas)));
    }
    if !betas.is_empty() {
        attributes.push(("activation_beta", Value::Floats(betas)));
    }
    attributes.extend(r.clip.map(|clip| ("clip", clip.into())));
    match r.cell {
        Cell::Plain => ("RNN", attributes),
        Cell::Gru { linear_before_reset } => {
            attributes.push(("linear_before_reset", linear_before_reset.into()));
            ("GRU", attributes)
        }
        Cell::Lstm { input_forget } => {
            attributes.push(("input_forget", input_forget.into()));
            ("LSTM", attributes)
        }
    }
}
