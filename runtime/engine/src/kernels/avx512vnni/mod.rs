//! AVX-512 with VNNI.

mod conv;
mod depthwise;

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
        _ => scalar::run(step, tensors, constant, output),
    }
}
