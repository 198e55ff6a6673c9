//! Plain Rust, for every processor; the reference for the other tiers.

mod axis;
mod conv;
mod depthwise;
mod elementwise;
mod fixed;
mod groups;
mod movement;
mod pool;
mod reduction;
mod rows;
mod typed;

pub(crate) use conv::Operands;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
pub(crate) use conv::run as conv;
pub(crate) use depthwise::run as depthwise;
pub(crate) use pool::{pixel as pool_pixel, window};

use super::Tensors;
use crate::span::Blob;
use crate::step::Step;

/// Runs a step whose spans and blobs were checked.
pub(crate) fn run<'a>(
    step: &Step,
    tensors: &Tensors<'a>,
    constant: &dyn Fn(&Blob) -> &'a [u8],
    output: &mut [u8],
) {
    match step {
        Step::Conv(step) => conv::run(step, &Operands::new(step, tensors, constant), output),
        Step::Depthwise(step) => depthwise::run(
            step,
            tensors.get(&step.input),
            [
                constant(&step.weights),
                constant(&step.bias),
                constant(&step.scale),
            ],
            output,
        ),
        Step::Pool(step) => pool::run(step, tensors.get(&step.input), output),
        Step::Unary(step) => elementwise::unary(step, tensors.get(&step.input.span), output),
        Step::Binary(step) => {
            elementwise::binary(step, tensors.get(&step.a.span), tensors.get(&step.b.span), output);
        }
        Step::BinaryU8(step) => {
            elementwise::binary_u8(step, tensors.get(&step.a.span), tensors.get(&step.b.span), output);
        }
        Step::Copy(step) => movement::copy(step, tensors.get(&step.input.span), output),
        Step::Cast(step) => typed::cast(step, tensors.get(&step.input.span), output),
        Step::Calculate(step) => {
            typed::calculate(step, tensors.get(&step.a.span), tensors.get(&step.b.span), output);
        }
        Step::Compare(step) => {
            typed::compare(step, tensors.get(&step.a.span), tensors.get(&step.b.span), output);
        }
        Step::Select(step) => {
            let inputs = [&step.condition, &step.a, &step.b].map(|o| tensors.get(&o.span));
            typed::select(step, inputs, output);
        }
        Step::Lookup(step) => {
            let (input, indices) = (tensors.get(&step.input.span), tensors.get(&step.indices.span));
            axis::lookup(step, input, indices, output);
        }
        Step::Extreme(step) => axis::extreme(step, tensors.get(&step.input.span), output),
        Step::Cumulate(step) => axis::cumulate(step, tensors.get(&step.input.span), output),
        Step::Interpolate(step) => {
            let tables = [constant(&step.places), constant(&step.weights)];
            axis::interpolate(step, tensors.get(&step.input.span), tables, output);
        }
        Step::Rescale(step) => {
            let tables = [&step.bias, &step.multipliers, &step.shifts].map(constant);
            fixed::rescale(step, tensors.get(&step.input.span), tables, output);
        }
        Step::PairFixed(step) => {
            let operands = [&step.a, &step.b].map(|o| tensors.get(&o.span));
            let tables = [constant(&step.a_table), constant(&step.b_table)];
            fixed::pair(step, operands, tables, output);
        }
        Step::MeanFixed(step) => fixed::mean(step, tensors.get(&step.pool.input), output),
        Step::Load(step) => output.copy_from_slice(constant(&step.input)),
        Step::Fill(step) => output.fill(step.value as u8),
        Step::Quantize(step) => elementwise::quantize(step, tensors.get(&step.input.span), output),
        Step::Dequantize(step) => elementwise::dequantize(step, tensors.get(&step.input.span), output),
        Step::Table(step) => {
            elementwise::table(step, tensors.get(&step.input.span), constant(&step.table), output)
        }
        Step::Reduce(step) => reduction::reduce(step, tensors.get(&step.input.span), output),
        Step::Softmax(step) => reduction::softmax(step, tensors.get(&step.input.span), output),
        Step::Normalize(step) => reduction::normalize(
            step,
            tensors.get(&step.input.span),
            constant(&step.scale),
            constant(&step.bias),
            output,
        ),
        Step::Gather(step) => {
            movement::gather(step, tensors.get(&step.indices), constant(&step.table), output);
        }
        Step::NormalizeGroups(step) => groups::normalize(
            step,
            tensors.get(&step.input),
            constant(&step.scale),
            constant(&step.bias),
            output,
        ),
        Step::QuantizeRows(step) => rows::quantize(step, tensors.get(&step.input.span), output),
        Step::Pack(step) => movement::pack(step, tensors.get(&step.input.span), output),
    }
}

/// To the nearest integer, ties to even, of numbers up to 2^22 in size.
pub(crate) fn round(x: f32) -> f32 {
    // Above 2^23 an f32 has no fraction: adding rounds as the processor does, to even.
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT) - SHIFT
}
