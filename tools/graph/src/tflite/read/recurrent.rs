//! Recurrent layers whose states begin at zero.

use super::layer::extent;
use super::{Call, Importer};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::op::{Activation, Cell, Direction, Op, Recurrent};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// A limit of the cell from which on it is left out.
const LEAST_CLIP: f32 = 10.0;

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    match call.operator.code.as_str() {
        "UNIDIRECTIONAL_SEQUENCE_LSTM" => lstm(g, call)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Inputs: the sequence; weights of the input for input, forget, cell and output gate; those of the state; peepholes;
/// biases; a projection; two states that are variables of the file; layer normalisation.
fn lstm<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let extras = (9..12).chain(16..18).chain(20..24);
    if extras.into_iter().any(|n| call.optional(n).is_some()) {
        return Err(call.unsupported("peepholes, a projection or layer normalisation"));
    }
    if call.choice(0)? != 4 {
        return Err(call.unsupported(format!("activation {}", call.choice(0)?)));
    }
    // Converters state a limit that the trained layer did not have, and that cells do not reach in ten steps.
    let clip = call.real(1, 0.0)?;
    if clip != 0.0 && clip < LEAST_CLIP {
        return Err(call.unsupported(format!("the cell cut at {clip}")));
    }
    let x = g.operand(call, 0)?;
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    if ty.dtype != Dtype::F32 {
        return Err(call.unsupported("integers"));
    }
    // The graph has input, output, forget and cell.
    let gates = [0, 3, 1, 2];
    let w = stacked(g, call, gates.map(|gate| 1 + gate))?;
    let r = stacked(g, call, gates.map(|gate| 5 + gate))?;
    let b = stacked(g, call, gates.map(|gate| 12 + gate))?;
    let (&[_, wide, _], &[_, also, hidden], &[_, biases]) = (w.shape(), r.shape(), b.shape()) else {
        return Err(call.fault(
            ErrorKind::Shape,
            "weights with 2 axes and biases with 1",
            "others",
        ));
    };
    if wide != also || biases != wide || hidden.checked_mul(4) != Some(wide) {
        let found = format!("{:?}, {:?} and {:?}", w.shape(), r.shape(), b.shape());
        return Err(call.fault(ErrorKind::Shape, "weights of one size", found));
    }
    let mut both = b.elements::<f32>()?.to_vec();
    both.resize(2 * wide, 0.0);
    let batch_first = !call.flag(3)?;
    let weights = [
        g.fresh(call, "weights", w),
        g.fresh(call, "recurrent_weights", r),
        g.fresh(call, "biases", Tensor::new(&[1, 2 * wide], both)?),
    ];
    let op = Op::Recurrent(Recurrent {
        cell: Cell::Lstm { input_forget: false },
        hidden,
        direction: Direction::Forward,
        activations: vec![Activation::Sigmoid, Activation::Tanh, Activation::Tanh],
        clip: None,
        batch_first,
    });
    let [w, r, b] = weights;
    let y = g.emit(call, "op", op, &[x, w, r, b], TensorType::unshaped(Dtype::F32));
    // Directions are axis 2 of [batch, steps, directions, hidden] and axis 1 of [steps, directions, batch, hidden].
    let axis = extent(call, if batch_first { 2 } else { 1 })?;
    let axis = g.vector(call, "direction", vec![axis]);
    let y = g.emit(call, "squeezed", Op::Squeeze, &[y, axis], ty);
    g.define(output, y);
    Ok(())
}

/// Constants of four gates, one behind the other, with an axis of directions before.
fn stacked<'a>(g: &Importer<'a>, call: Call<'a>, places: [usize; 4]) -> Result<Tensor> {
    let mut elements = Vec::new();
    let mut shape: Option<Vec<usize>> = None;
    for place in places {
        let index = call.optional(place);
        let index = index.ok_or_else(|| call.unsupported("a gate that is coupled or has no bias"))?;
        let tensor = g
            .constant(index)?
            .ok_or_else(|| call.unsupported("weights made at run time"))?;
        if *shape.get_or_insert_with(|| tensor.shape().to_vec()) != tensor.shape() {
            return Err(call.fault(
                ErrorKind::Shape,
                format!("{shape:?}"),
                format!("{:?}", tensor.shape()),
            ));
        }
        elements.extend_from_slice(tensor.dequantized()?.elements::<f32>()?);
    }
    let mut shape = shape.unwrap_or_default();
    if let Some(first) = shape.first_mut() {
        *first = first.saturating_mul(4);
    }
    shape.insert(0, 1);
    Tensor::new(&shape, elements)
}
