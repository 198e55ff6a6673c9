//! AVX-512 with VNNI.

mod conv;
mod depthwise;
mod elementwise;
mod functions;
mod gelu;
mod groups;
mod halves;
mod interleaved;
mod lanes;
mod lines;
mod maximum;
pub(crate) mod peak;
mod pool;
mod residual;
mod rows;
mod store;

use super::{Tensors, scalar};
use crate::span::Blob;
use crate::step::Step;

/// Runs a step whose spans and blobs were checked, on a processor with the instructions.
pub(crate) fn run<'a>(
    step: &Step,
    tensors: &Tensors<'a>,
    constant: &dyn Fn(&Blob) -> &'a [u8],
    output: &mut [u8],
) {
    match step {
        Step::Conv(step) => conv::run(step, &scalar::Operands::new(step, tensors, constant), output),
        Step::Depthwise(step) => {
            let constants = [&step.weights, &step.bias, &step.scale].map(constant);
            depthwise::run(step, tensors.get(&step.input), constants, output);
        }
        Step::QuantizeRows(s) if rows::quantize(s, tensors.get(&s.input.span), output) => {}
        Step::Pool(step) => pool::run(step, tensors.get(&step.input), output),
        Step::Unary(s) if functions::unary(s, tensors.get(&s.input.span), output) => {}
        Step::Softmax(s) if functions::softmax(s, tensors.get(&s.input.span), output) => {}
        Step::Normalize(s) => functions::normalize(
            s,
            tensors.get(&s.input.span),
            constant(&s.scale),
            constant(&s.bias),
            output,
        ),
        Step::NormalizeGroups(s) => {
            let tables = [constant(&s.scale), constant(&s.bias)];
            groups::normalize(s, tensors.get(&s.input), tables, output);
        }
        Step::Quantize(s) if elementwise::quantize(s, tensors.get(&s.input.span), output) => {}
        Step::Dequantize(s) if elementwise::dequantize(s, tensors.get(&s.input.span), output) => {}
        Step::Binary(s) if elementwise::binary(s, tensors.get(&s.a.span), tensors.get(&s.b.span), output) => {
        }
        Step::BinaryU8(s)
            if elementwise::binary_u8(s, tensors.get(&s.a.span), tensors.get(&s.b.span), output) => {}
        _ => scalar::run(step, tensors, constant, output),
    }
}
