//! Kernels that hold 16 elements in two or four registers, for all instruction sets with such registers.

mod conv;
mod elementwise;
mod functions;
mod lanes;
mod pool;
mod rows;
mod store;

pub(crate) use conv::{Products, Runs, run as conv};
pub(crate) use lanes::{Lanes, Work};
pub(crate) use store::{limits, table};

use super::{Tensors, scalar};
use crate::span::Blob;
use crate::step::Step;

/// Elements at a time.
const LANES: usize = 16;

/// Runs a step that was checked and is no convolution.
pub(crate) fn run<'a, L: Lanes>(
    l: L,
    step: &Step,
    tensors: &Tensors<'a>,
    constant: &dyn Fn(&Blob) -> &'a [u8],
    output: &mut [u8],
) {
    match step {
        Step::QuantizeRows(s) if rows::quantize(l, s, tensors.get(&s.input.span), output) => {}
        Step::Pool(step) => pool::run(l, step, tensors.get(&step.input), output),
        Step::Unary(s) if functions::unary(l, s, tensors.get(&s.input.span), output) => {}
        Step::Softmax(s) if functions::softmax(l, s, tensors.get(&s.input.span), output) => {}
        Step::Normalize(s) => {
            let tables = [constant(&s.scale), constant(&s.bias)];
            functions::normalize(l, s, tensors.get(&s.input.span), tables, output);
        }
        Step::Quantize(s) if elementwise::quantize(l, s, tensors.get(&s.input.span), output) => {}
        Step::Dequantize(s) if elementwise::dequantize(l, s, tensors.get(&s.input.span), output) => {}
        Step::Binary(s) if elementwise::binary(l, s, [&s.a, &s.b].map(|o| tensors.get(&o.span)), output) => {}
        Step::BinaryU8(s)
            if elementwise::binary_u8(l, s, [&s.a, &s.b].map(|o| tensors.get(&o.span)), output) => {}
        _ => scalar::run(step, tensors, constant, output),
    }
}
