//! Steps on runs of elements that lie next to each other.

use std::vec::Vec;

use proptest::prelude::*;

use super::{Case, assert_same, floats, random_bytes, random_floats};
use crate::span::{Blob, Span};
use crate::step::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn functions_of_all_tiers_are_equal(
        seed in any::<u64>(), rows in 1..5u32, length in 1..70u32, which in 0..9usize,
    ) {
        let function = [
            Function::Relu,
            Function::Clip,
            Function::Sigmoid,
            Function::Tanh,
            Function::Erf,
            Function::Gelu,
            Function::Swish,
            Function::HardSwish,
            Function::Exp,
        ][which];
        let mut case = Case::default();
        let (input, output) = runs(&mut case, seed, rows, length);
        let dims = [1, 1, 1, 1, rows, length];
        let strides = [0, 0, 0, 0, length, 1];
        let at = |span| Strided { span, start: 0, strides };
        let step = Unary { function, alpha: -0.5, beta: 1.5, dims, input: at(input), output: at(output) };
        assert_same(&case.outputs(&step.into()), true);
    }

    #[test]
    fn rows_of_all_tiers_are_quantized_to_the_same_integers(
        seed in any::<u64>(), rows in 1..5u32, length in 1..150u32, shift in 0..6i32,
    ) {
        let mut case = Case::default();
        let count = (rows * length) as usize;
        // Ties, zeros and rows of subnormal numbers too.
        let factor = [1.0, 0.5, 1.0 / 3.0, 1e-33, 1e-42, 0.0][shift as usize];
        let numbers: Vec<u8> = floats(&random_floats(seed, count))
            .iter()
            .flat_map(|x| (x * factor).to_le_bytes())
            .collect();
        let row_bytes = length.next_multiple_of(4);
        let scales = (rows * row_bytes).next_multiple_of(64);
        let span = case.span(&numbers);
        let step = QuantizeRows {
            dims: [1, 1, 1, 1, 1, rows],
            input: Strided { span, start: 0, strides: [0, 0, 0, 0, 0, length] },
            length,
            row_bytes,
            scales,
            scratch: scales + rows * 4,
            output: case.output(scales + rows * 4),
            ..QuantizeRows::default()
        };
        assert_same(&case.outputs(&step.into()), false);
        // A function of rows: integers of nearly the same real numbers.
        let step = QuantizeRows {
            function: Function::Gelu,
            output: case.output(scales + rows * 4 + length.next_multiple_of(16) * 4),
            ..step
        };
        let outputs = case.outputs(&step.into());
        for other in &outputs[1..] {
            let scale_of = |bytes: &[u8], row: usize| floats(&bytes[scales as usize..])[row];
            for row in 0..rows as usize {
                let (a, b) = (scale_of(&outputs[0], row), scale_of(other, row));
                prop_assert!((a - b).abs() <= 1e-5 * a.max(1e-2), "{a} and {b}");
                for n in row * row_bytes as usize..(row + 1) * row_bytes as usize {
                    prop_assert!(outputs[0][n].abs_diff(other[n]) <= 1 || a < 1e-6);
                }
            }
        }
    }

    #[test]
    fn runs_of_all_tiers_are_equal(seed in any::<u64>(), rows in 1..5u32, length in 1..70u32, centre in 0..2u32) {
        let mut case = Case::default();
        let scale = case.blob(&random_floats(seed ^ 3, length as usize));
        let bias = case.blob(&random_floats(seed ^ 4, length as usize));
        let (input, output) = runs(&mut case, seed, rows, length);
        let dims = [1, 1, 1, 1, 1, rows];
        let at = |span| Strided { span, start: 0, strides: [0, 0, 0, 0, 0, length] };
        let softmax = Softmax {
            dims,
            input: at(input),
            output: at(output),
            length,
            input_step: 1,
            output_step: 1,
        };
        assert_same(&case.outputs(&softmax.into()), true);
        let normalize = Normalize {
            epsilon: 1e-3,
            centre,
            dims,
            input: at(input),
            output: at(output),
            length,
            scale,
            bias: if centre == 0 { Blob::default() } else { bias },
        };
        assert_same(&case.outputs(&normalize.into()), true);
    }

    #[test]
    fn pairs_of_all_tiers_are_equal(
        seed in any::<u64>(), rows in 1..5u32, length in 1..70u32, which in 0..7usize, repeated in 0..3usize,
    ) {
        let function = [Pair::Add, Pair::Sub, Pair::Mul, Pair::Div, Pair::Min, Pair::Max, Pair::PRelu][which];
        let dims = [1, 1, 1, 1, rows, length];
        let strides = [0, 0, 0, 0, length, 1];
        // An operand whose one element serves a whole run.
        let of = |span, n: usize| Strided {
            span,
            start: 0,
            strides: if n == repeated { [0, 0, 0, 0, 1, 0] } else { strides },
        };
        let count = (rows * length) as usize;
        let mut case = Case::default();
        let (a, b) = (case.span(&random_floats(seed, count)), case.span(&random_floats(seed ^ 3, count)));
        let output = Strided { span: case.output(count as u32 * 4), start: 0, strides };
        let step = Binary { function, dims, a: of(a, 0), b: of(b, 1), output };
        assert_same(&case.outputs(&step.into()), true);
        let mut case = Case::default();
        let (a, b) = (case.span(&random_bytes(seed, count)), case.span(&random_bytes(seed ^ 3, count)));
        let step = BinaryU8 {
            function,
            dims,
            a: of(a, 0),
            b: of(b, 1),
            output: Strided { span: case.output(count as u32), start: 0, strides },
            a_affine: Affine { scale: 0.02, zero: 110 },
            b_affine: Affine { scale: 0.03, zero: 130 },
            output_affine: Affine { scale: 0.05, zero: 99 },
            low: 3,
            high: 240,
        };
        assert_same(&case.outputs(&step.into()), false);
    }

    #[test]
    fn changes_of_type_of_all_tiers_are_equal(
        seed in any::<u64>(), rows in 1..5u32, length in 1..70u32, scale in 0..4usize, zero in 0..=255i32,
    ) {
        let affine = Affine { scale: [0.02, 1.0 / 64.0, 1e-3, 1e-35][scale], zero };
        let dims = [1, 1, 1, 1, rows, length];
        let at = |span| Strided { span, start: 0, strides: [0, 0, 0, 0, length, 1] };
        let count = rows * length;
        let mut case = Case::default();
        let mut numbers = random_floats(seed, count as usize);
        // What is no number, and what is infinite.
        if seed.is_multiple_of(3) {
            numbers[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            let last = numbers.len() - 4;
            numbers[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        }
        let input = case.span(&numbers);
        let step = Quantize { dims, input: at(input), output: at(case.output(count)), affine };
        assert_same(&case.outputs(&step.into()), false);
        let mut case = Case::default();
        let input = case.span(&random_bytes(seed, count as usize));
        let step = Dequantize { dims, input: at(input), output: at(case.output(count * 4)), affine };
        assert_same(&case.outputs(&step.into()), true);
    }
}

/// Runs of numbers, and a place for as many.
fn runs(case: &mut Case, seed: u64, rows: u32, length: u32) -> (Span, Span) {
    let count = (rows * length) as usize;
    (
        case.span(&random_floats(seed, count)),
        case.output(count as u32 * 4),
    )
}
