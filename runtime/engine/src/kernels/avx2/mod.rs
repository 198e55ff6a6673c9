//! AVX2 with FMA, and the products of AVX-VNNI that later processors have.

mod depthwise;
mod lanes;
mod partial;
pub(crate) mod peak;
mod products;

use self::lanes::Avx2;
use self::products::{Busd, Dots, Fma, Madd};
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
    // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
    let lanes = unsafe { Avx2::new() };
    match step {
        Step::Conv(step) => {
            let operands = scalar::Operands::new(step, tensors, constant);
            match (step.arithmetic, tier) {
                (Arithmetic::F32, _) => sixteen::conv(Dots(Fma(lanes)), step, &operands, output),
                (_, Tier::AvxVnni) => {
                    // SAFETY: as above.
                    let products = unsafe { Busd::new() };
                    sixteen::conv(Dots(products), step, &operands, output);
                }
                _ => sixteen::conv(Dots(Madd(lanes)), step, &operands, output),
            }
        }
        Step::Depthwise(step) => {
            let constants = [&step.weights, &step.bias, &step.scale].map(constant);
            depthwise::run(lanes, step, tensors.get(&step.input), constants, output);
        }
        _ => sixteen::run(lanes, step, tensors, constant, output),
    }
}

/// Runs a convolution of bytes as the tier with AVX-VNNI does, by the same instruction in the encoding of AVX-512:
/// processors that have only this one test that tier's outline.
///
/// # Safety
/// The processor has AVX-512 VL and VNNI beside AVX2 and FMA.
#[cfg(test)]
pub(crate) unsafe fn run_encoded<'a>(
    step: &crate::step::Conv,
    tensors: &Tensors<'a>,
    constant: &dyn Fn(&Blob) -> &'a [u8],
    output: &mut [u8],
) {
    // SAFETY: as for this function.
    let products = unsafe { products::EncodedBusd::new() };
    let operands = scalar::Operands::new(step, tensors, constant);
    sixteen::conv(Dots(products), step, &operands, output);
}
