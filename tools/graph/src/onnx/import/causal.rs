//! A depthwise convolution that sees the past only: a join with the past, a convolution, and what of it comes next.

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::error::Result;
use crate::onnx::wire::malformed;
use crate::op::{Convolution, Op, PadMode, Unary};

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    if n.op_type != "CausalConvWithState" {
        return Ok(None);
    }
    let input = n.input(0)?;
    let weight = n.input(1)?;
    let shape = b.ty(weight).shape();
    let Some([channels, 1, kernel]) = shape.as_deref() else {
        return Err(malformed(
            "a weight [channels, 1, k] of known extents",
            b.ty(weight),
        ));
    };
    let (channels, past) = (*channels, kernel.saturating_sub(1) as i64);
    let joined = match n.optional(3) {
        Some(state) => b.step(n, "joined", Op::Concat { axis: 2 }, &[Some(state), Some(input)])?,
        None => {
            let pads = b.integers(n, "pads", &[0, 0, past, 0, 0, 0]);
            let mode = PadMode::Constant;
            b.step(n, "joined", Op::Pad { mode }, &[Some(input), pads])?
        }
    };
    let conv = Op::Conv(Convolution {
        groups: channels,
        ..Convolution::unit(1)
    });
    let operands = [joined, Some(weight), n.optional(2)];
    let output = match n.attributes.text("activation", "none")? {
        "none" => (conv, operands.to_vec()),
        "silu" | "swish" => {
            let made = b.step(n, "made", conv, &operands)?;
            (Op::Unary(Unary::Swish { alpha: 1.0 }), vec![made])
        }
        other => return Err(unsupported("activation", "none, silu or swish", other)),
    };
    // Behind the end is nothing, which is what a kernel of one element keeps.
    let start = if past == 0 { i64::MAX } else { -past };
    let starts = b.integers(n, "starts", &[start]);
    let ends = b.integers(n, "ends", &[i64::MAX]);
    let axes = b.integers(n, "axes", &[2]);
    let (op, inputs) = output;
    Ok(Some(vec![
        Step {
            op,
            inputs,
            outputs: 0..1,
        },
        Step {
            op: Op::Slice,
            inputs: vec![joined, starts, ends, axes],
            outputs: 1..2,
        },
    ]))
}
