//! Convolutions of all groups, transposed ones, pads and resizes: the engine beside the interpreter, on every tier.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check};
use limbic_graph::infer::infer;
use limbic_graph::op::{
    Convolution, PadMode, Padding, Pool, PoolKind, Resize, ResizeCoordinates, ResizeMode, ResizeRounding,
    ResizeTo,
};
use limbic_graph::{Dtype, Graph, Op, Quantization, Rounding, Tensor, TensorType};
use proptest::prelude::*;

/// What the numbers of a network are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Numbers {
    Float,
    Integer,
    Fixed,
}

fn quantized(scale: f32, zero_point: i32) -> Option<Quantization> {
    Some(Quantization::PerTensor { scale, zero_point })
}

/// A graph of one convolution, with an input for it.
fn convolution(
    numbers: Numbers,
    seed: u64,
    c: Convolution,
    transposed: bool,
    [input, kernel]: [&[usize]; 2],
) -> (Graph, Tensor) {
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
    let mut graph = Graph::new("convolution");
    let outputs = if transposed {
        kernel[1] * c.groups
    } else {
        kernel[0]
    };
    let op = if transposed {
        Op::ConvTranspose(c)
    } else {
        Op::Conv(c)
    };
    if numbers == Numbers::Float {
        let x = graph.add_input("x", TensorType::new(Dtype::F32, input));
        let w = graph.add_constant("w", random.reals(kernel));
        let b = graph.add_constant("b", random.reals(&[outputs]));
        let y = graph.add_node("y", op, &[x, w, b], TensorType::unshaped(Dtype::F32));
        graph.outputs.push(y);
        return (graph, random.reals(input));
    }
    if numbers == Numbers::Fixed {
        graph.rounding = Rounding::Gemmlowp;
    }
    let ty = TensorType {
        quantization: quantized(0.03, -7),
        ..TensorType::new(Dtype::I8, input)
    };
    let x = graph.add_input("x", ty.clone());
    let w = random.int8s(kernel).with_quantization(quantized(0.004, 0));
    let w = graph.add_constant("w", w);
    let b: Vec<i32> = (0..outputs)
        .map(|_| random.below(20_000) as i32 - 10_000)
        .collect();
    let b = graph.add_constant("b", Tensor::vector(b));
    let out = TensorType {
        quantization: quantized(0.2, 4),
        ..TensorType::unshaped(Dtype::I8)
    };
    let y = graph.add_node("y", op, &[x, w, b], out);
    graph.outputs.push(y);
    let x = random.int8s(input).with_quantization(ty.quantization);
    (graph, x)
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(Numbers::Float), Just(Numbers::Integer), Just(Numbers::Fixed)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn groups_of_any_number_of_channels_do_not_meet(
        numbers in numbers(),
        seed in any::<u64>(),
        (groups, channels, outputs) in (1..5usize, 1..7usize, 1..20usize),
        (rows, columns) in (1..4usize, 1..4usize),
        (stride, dilation, pad) in (1..3usize, 1..3usize, 0..3usize),
    ) {
        let c = Convolution {
            strides: vec![stride; 2],
            dilations: vec![1, dilation],
            padding: Padding::Explicit(vec![pad; 4]),
            groups,
            ..Convolution::unit(2)
        };
        let input = [2, groups * channels, 7, 9];
        let kernel = [groups * outputs, channels, rows, columns];
        let (mut graph, x) = convolution(numbers, seed, c, false, [&input, &kernel]);
        infer(&mut graph).unwrap();
        check(&graph, &[x], 1e-5);
    }

    #[test]
    fn pools_over_three_axes_give_the_interpreters_numbers(
        seed in any::<u64>(),
        extents in [1..3usize, 1..5, 1..8, 1..8, 1..8],
        kernel in [1..4usize, 1..4, 1..4],
        strides in [1..3usize, 1..3, 1..3],
        dilations in [1..3usize, 1..3, 1..3],
        pads in [0..2usize, 0..2, 0..2, 0..2, 0..2, 0..2],
        (average, include_padding) in (any::<bool>(), any::<bool>()),
    ) {
        let fits = |n: usize| (kernel[n] - 1) * dilations[n] < extents[2 + n] + pads[n] + pads[3 + n];
        // A window that lies in the padding alone has no mean.
        let meets = |n: usize| pads[n] < kernel[n] && pads[3 + n] < kernel[n] && dilations[n] <= extents[2 + n];
        prop_assume!((0..3).all(|n| fits(n) && meets(n)));
        let mut random = Random(seed | 1);
        let mut graph = Graph::new("pool");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &extents));
        let pool = Pool {
            kind: if average { PoolKind::Average { include_padding } } else { PoolKind::Max },
            kernel: kernel.to_vec(),
            strides: strides.to_vec(),
            dilations: dilations.to_vec(),
            padding: Padding::Explicit(pads.to_vec()),
            ceil_mode: false,
            column_major: false,
        };
        let y = graph.add_node("y", Op::Pool(pool), &[x], TensorType::unshaped(Dtype::F32));
        graph.outputs.push(y);
        infer(&mut graph).unwrap();
        check(&graph, &[random.reals(&extents)], 1e-6);
    }

    #[test]
    fn transposed_convolutions_fill_every_phase(
        numbers in numbers(),
        seed in any::<u64>(),
        (groups, channels, outputs) in (1..4usize, 1..6usize, 1..18usize),
        (rows, columns) in (1..5usize, 1..5usize),
        (strides, dilations) in ((1..4usize, 1..4usize), (1..4usize, 1..3usize)),
        (before, extra) in (0..2usize, 0..2usize),
    ) {
        let strides = vec![strides.0, strides.1];
        let dilations = vec![dilations.0, dilations.1];
        let c = Convolution {
            output_padding: strides.iter().zip(&dilations).map(|(&s, &d)| extra.min(s.max(d) - 1)).collect(),
            strides,
            dilations,
            padding: Padding::Explicit(vec![before, 0, 0, before]),
            groups,
            ..Convolution::unit(2)
        };
        let input = [2, groups * channels, 4, 5];
        let kernel = [groups * channels, outputs, rows, columns];
        let (mut graph, x) = convolution(numbers, seed, c, true, [&input, &kernel]);
        infer(&mut graph).unwrap();
        check(&graph, &[x], 1e-5);
    }

    #[test]
    fn pads_take_their_elements_from_where_the_mode_says(
        integers in any::<bool>(),
        seed in any::<u64>(),
        mode in prop_oneof![
            Just(PadMode::Constant), Just(PadMode::Edge), Just(PadMode::Reflect), Just(PadMode::Wrap),
        ],
        pads in prop::collection::vec(-1..4i64, 8),
    ) {
        let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
        let mut graph = Graph::new("pad");
        let shape = [2, 3, 4, 5];
        let ty = if integers {
            TensorType { quantization: quantized(0.1, -9), ..TensorType::new(Dtype::I8, &shape) }
        } else {
            TensorType::new(Dtype::F32, &shape)
        };
        let x = graph.add_input("x", ty.clone());
        let pads = graph.add_constant("pads", Tensor::vector(pads));
        let y = TensorType { dims: None, ..ty.clone() };
        let y = graph.add_node("y", Op::Pad { mode }, &[x, pads], y);
        graph.outputs.push(y);
        infer(&mut graph).unwrap();
        let x = if integers { random.int8s(&shape) } else { random.reals(&shape) };
        check(&graph, &[x.with_quantization(ty.quantization)], 0.0);
    }

    #[test]
    fn resizes_weigh_the_elements_that_the_interpreter_weighs(
        seed in any::<u64>(),
        mode in prop_oneof![
            Just(ResizeMode::Nearest(ResizeRounding::Floor)),
            Just(ResizeMode::Nearest(ResizeRounding::PreferCeil)),
            Just(ResizeMode::Linear),
            Just(ResizeMode::Cubic { a: -0.75 }),
        ],
        coordinates in prop_oneof![
            Just(ResizeCoordinates::HalfPixel),
            Just(ResizeCoordinates::Asymmetric),
            Just(ResizeCoordinates::AlignCorners),
            Just(ResizeCoordinates::PytorchHalfPixel),
        ],
        antialias in any::<bool>(),
        (rows, columns) in (1..12i64, 1..12i64),
        (kept, halves) in (0..4u8, 1..6i64),
    ) {
        let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
        let mut graph = Graph::new("resize");
        let shape = [1, 3, 4, 6];
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &shape));
        // Sizes that keep the ratio of the extents: that of the rows is taken.
        let (to, axes, sizes) = match kept {
            0 => (ResizeTo::NotLarger, vec![2, 3], vec![2 * halves, 3 * halves + 1]),
            1 => (ResizeTo::NotSmaller, vec![2, 3], vec![2 * halves, 3 * halves - 1]),
            _ => (ResizeTo::Stretch, Vec::new(), vec![1, 3, rows, columns]),
        };
        let sizes = graph.add_constant("sizes", Tensor::vector(sizes));
        let antialias = antialias && !matches!(mode, ResizeMode::Nearest(_));
        let resize = Resize {
            mode,
            coordinates,
            antialias,
            axes,
            exclude_outside: false,
            extrapolation: 0.0,
            to,
        };
        let y = graph.add_node("y", Op::Resize(resize), &[x], TensorType::unshaped(Dtype::F32));
        let node = graph.nodes.last_mut().unwrap();
        node.inputs = vec![Some(x), None, None, Some(sizes)];
        graph.outputs.push(y);
        infer(&mut graph).unwrap();
        check(&graph, &[random.reals(&shape)], 1e-5);
    }
}
