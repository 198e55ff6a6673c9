//! Spectra. Complex tensors have a last axis of real and imaginary part.

use super::{Call, Importer};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::op::{GatherMode, Op, Reduce};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    match call.operator.code.as_str() {
        "RFFT2D" => spectrum(g, call)?,
        "COMPLEX_ABS" => {
            let x = g.operand(call, 0)?;
            let last = g.vector(call, "last", vec![-1]);
            let op = Op::Reduce {
                function: Reduce::L2,
                keep_dims: false,
                noop_with_empty_axes: false,
            };
            g.simple(call, op, &[x, last])?;
        }
        "REAL" => part(g, call, 0)?,
        "IMAG" => part(g, call, 1)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn part<'a>(g: &mut Importer<'a>, call: Call<'a>, place: i64) -> Result<()> {
    let x = g.operand(call, 0)?;
    let place = g.fresh(call, "part", Tensor::scalar(place));
    g.simple(call, Op::Gather(GatherMode::Slices { axis: -1 }), &[x, place])
}

/// The real transform along the last axis, then the complex one along the axis before it unless that has one element.
fn spectrum<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let input = call.input(0)?;
    let shape = g.shape(input);
    let (Some(lengths), [.., rows, _]) = (g.integers(call.input(1)?)?, shape) else {
        return Err(call.unsupported("lengths that are no constants"));
    };
    let &[rows_to, columns_to] = &lengths[..] else {
        return Err(call.fault(ErrorKind::Value, "two lengths", format!("{lengths:?}")));
    };
    let x = g.value(input)?;
    let output = call.output(0)?;
    let ty = TensorType::unshaped(Dtype::F32);
    let last = g.vector(call, "last", vec![-1]);
    let x = g.emit(call, "real", Op::Unsqueeze, &[x, last], ty.clone());
    let mut transform = |x, name, onesided, length, axis: usize| {
        let length = g.fresh(call, "length", Tensor::scalar(length));
        let axis = g.fresh(call, "axis", Tensor::scalar(axis as i64));
        let op = Op::Dft {
            inverse: false,
            onesided,
        };
        g.emit(call, name, op, &[x, length, axis], ty.clone())
    };
    let mut y = transform(x, "columns", true, columns_to, shape.len() - 1);
    if rows_to != 1 || *rows != 1 {
        y = transform(y, "rows", false, rows_to, shape.len() - 2);
    }
    g.define(output, y);
    Ok(())
}
