//! The spans of a step.

use super::Step;
use crate::span::Span;

/// Calls a function with the output and the inputs of a step, borrowed as the step is.
macro_rules! spans {
    ($step:expr, $output:ident, $input:ident) => {
        match $step {
            Step::Conv(step) => {
                $output!(step.output);
                $input!(step.input);
                $input!(step.matrix);
                $input!(step.residual.other);
            }
            Step::Depthwise(step) => {
                $output!(step.output);
                $input!(step.input);
            }
            Step::Pool(step) => {
                $output!(step.output);
                $input!(step.input);
            }
            Step::Unary(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Binary(step) => {
                $output!(step.output.span);
                $input!(step.a.span);
                $input!(step.b.span);
            }
            Step::BinaryU8(step) => {
                $output!(step.output.span);
                $input!(step.a.span);
                $input!(step.b.span);
            }
            Step::Copy(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Cast(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Calculate(step) => {
                $output!(step.output.span);
                $input!(step.a.span);
                $input!(step.b.span);
            }
            Step::Compare(step) => {
                $output!(step.output.span);
                $input!(step.a.span);
                $input!(step.b.span);
            }
            Step::Select(step) => {
                $output!(step.output.span);
                $input!(step.condition.span);
                $input!(step.a.span);
                $input!(step.b.span);
            }
            Step::Lookup(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
                $input!(step.indices.span);
            }
            Step::Extreme(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Cumulate(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Interpolate(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Rescale(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::PairFixed(step) => {
                $output!(step.output.span);
                $input!(step.a.span);
                $input!(step.b.span);
            }
            Step::MeanFixed(step) => {
                $output!(step.pool.output);
                $input!(step.pool.input);
            }
            Step::Load(step) => $output!(step.output),
            Step::Fill(step) => $output!(step.output),
            Step::Quantize(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Dequantize(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Table(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Reduce(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Softmax(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Normalize(step) => {
                $output!(step.output.span);
                $input!(step.input.span);
            }
            Step::Gather(step) => {
                $output!(step.output);
                $input!(step.indices);
            }
            Step::NormalizeGroups(step) => {
                $output!(step.output);
                $input!(step.input);
            }
            Step::QuantizeRows(step) => {
                $output!(step.output);
                $input!(step.input.span);
            }
            Step::Pack(step) => {
                $output!(step.output);
                $input!(step.input.span);
            }
        }
    };
}

impl Step {
    /// The span that the step writes.
    pub fn output(&self) -> Span {
        let found;
        macro_rules! output {
            ($span:expr) => {
                found = $span
            };
        }
        macro_rules! input {
            ($span:expr) => {};
        }
        #[allow(unused_variables, reason = "inputs are left out")]
        {
            spans!(self, output, input);
        }
        found
    }

    /// Shows each span that is there, the output first, with whether it is the output; the visitor may move it.
    pub fn visit_spans(&mut self, visit: &mut dyn FnMut(&mut Span, bool)) {
        macro_rules! output {
            ($span:expr) => {
                visit(&mut $span, true)
            };
        }
        macro_rules! input {
            ($span:expr) => {
                if !$span.is_empty() {
                    visit(&mut $span, false)
                }
            };
        }
        spans!(self, output, input);
    }
}
