//! 64-bit Arm: Advanced SIMD, and the products of 8-bit integers that later processors have.

mod depthwise;
mod dotprod;
mod float;
mod i8mm;
mod lanes;
mod neon;
mod partial;
pub(crate) mod peak;
mod products;

use self::dotprod::Sdot;
use self::float::Fmla;
use self::i8mm::Sudot;
use self::lanes::Simd;
use self::neon::Neon;
use self::products::Dots;
use super::sixteen;
use super::{Tensors, scalar};
use crate::cpu::Tier;
use crate::span::Blob;
use crate::step::{Arithmetic, Step};

/// Runs a step whose spans and blobs were checked, on a processor with the instructions of the tier.
pub(crate) fn run<'a>(
    tier: Tier,
    step: &Step,
    tensors: &Tensors<'a>,
    constant: &dyn Fn(&Blob) -> &'a [u8],
    output: &mut [u8],
) {
    match step {
        Step::Conv(step) => {
            let operands = &scalar::Operands::new(step, tensors, constant);
            // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
            unsafe {
                match (step.arithmetic, tier) {
                    (Arithmetic::F32, _) => sixteen::conv(Dots::new(Fmla), step, operands, output),
                    (_, Tier::I8mm) => sixteen::conv(Dots::new(Sudot), step, operands, output),
                    (_, Tier::Dotprod) => sixteen::conv(Dots::new(Sdot), step, operands, output),
                    _ => sixteen::conv(Neon, step, operands, output),
                }
            }
        }
        Step::Depthwise(step) => {
            let constants = [&step.weights, &step.bias, &step.scale].map(constant);
            depthwise::run(step, tensors.get(&step.input), constants, output);
        }
        _ => sixteen::run(Simd, step, tensors, constant, output),
    }
}
