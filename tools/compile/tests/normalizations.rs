//! Normalizations over groups of channels and to unit length: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check};
use limbic_graph::op::{Binary, Convolution, Unary};
use limbic_graph::{Dtype, Graph, Op, Tensor, TensorType, ValueId};
use proptest::prelude::*;

/// A normalization as exporters write it, by an axis of groups.
fn written_out(graph: &mut Graph, random: &mut Random, x: ValueId, dims: &[usize], groups: usize) -> ValueId {
    let ty = TensorType::new(Dtype::F32, dims);
    let elements: usize = dims.iter().product();
    let parts = [dims[0], groups, elements / dims[0] / groups];
    let shape = |dims: &[usize]| {
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        Tensor::vector(dims)
    };
    let apart = graph.add_constant("apart", shape(&parts));
    let together = graph.add_constant("together", shape(dims));
    let ones = graph.add_constant("ones", Tensor::vector(vec![1f32; groups]));
    let zeros = graph.add_constant("zeros", Tensor::vector(vec![0f32; groups]));
    let parted = TensorType::new(Dtype::F32, &parts);
    let op = Op::Reshape { allow_zero: false };
    let x = graph.add_node("parted", op.clone(), &[x, apart], parted.clone());
    let op_norm = Op::InstanceNormalization { epsilon: 1e-3 };
    let x = graph.add_node("normalized", op_norm, &[x, ones, zeros], parted);
    let x = graph.add_node("joined", op, &[x, together], ty.clone());
    let mut channel = vec![1; dims.len() - 1];
    channel[0] = dims[1];
    let scale = graph.add_constant("scale", random.reals(&channel));
    let bias = graph.add_constant("bias", random.reals(&channel));
    let x = graph.add_node("scaled", Op::Binary(Binary::Mul), &[x, scale], ty.clone());
    graph.add_node("y", Op::Binary(Binary::Add), &[x, bias], ty)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn groups_of_channels_are_normalized_as_the_interpreter_does(
        seed in 1..u64::MAX,
        images in 1..3usize,
        (groups, each) in (1..4usize, 1..5usize),
        spatial in prop::collection::vec(1..7usize, 1..3),
        instance in any::<bool>(),
    ) {
        let mut random = Random(seed);
        let channels = groups * each;
        let mut dims = vec![images, channels];
        dims.extend(spatial);
        let mut graph = Graph::new("groups");
        let ty = TensorType::new(Dtype::F32, &dims);
        let x = graph.add_input("x", ty.clone());
        let scale = graph.add_constant("scale", random.reals(&[channels]));
        let bias = graph.add_constant("bias", random.reals(&[channels]));
        let op = if instance {
            Op::InstanceNormalization { epsilon: 1e-3 }
        } else {
            Op::GroupNormalization { epsilon: 1e-3, groups }
        };
        let y = graph.add_node("y", op, &[x, scale, bias], ty);
        graph.outputs.push(y);
        check(&graph, &[random.reals(&dims)], 1e-4);
    }

    #[test]
    fn groups_behind_a_convolution_are_normalized_as_the_interpreter_does(
        seed in 1..u64::MAX,
        images in 1..3usize,
        (groups, each) in (1..9usize, 1..20usize),
        spatial in prop::collection::vec(1..7usize, 1..3),
        relu in any::<bool>(),
        parts in any::<bool>(),
    ) {
        let mut random = Random(seed);
        let channels = groups * each;
        let mut dims = vec![images, 3];
        dims.extend(&spatial);
        let mut graph = Graph::new("groups");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &dims));
        let mut weights = vec![channels, 3];
        weights.extend(spatial.iter().map(|_| 1));
        let w = graph.add_constant("w", random.reals(&weights));
        let mut wide = dims.clone();
        wide[1] = channels;
        let ty = TensorType::new(Dtype::F32, &wide);
        let c = graph.add_node("c", Op::Conv(Convolution::unit(spatial.len())), &[x, w], ty.clone());
        let mut y = if parts {
            written_out(&mut graph, &mut random, c, &wide, groups)
        } else {
            let scale = graph.add_constant("scale", random.reals(&[channels]));
            let bias = graph.add_constant("bias", random.reals(&[channels]));
            let op = Op::GroupNormalization { epsilon: 1e-3, groups };
            graph.add_node("y", op, &[c, scale, bias], ty.clone())
        };
        if relu {
            y = graph.add_node("relu", Op::Unary(Unary::Relu), &[y], ty);
        }
        graph.outputs.push(y);
        let compiled = limbic_compile::compile(&graph).unwrap();
        let kernels: Vec<_> = compiled.report.steps.iter().map(|step| step.kernel).collect();
        prop_assert_eq!(kernels.contains(&"normalize_groups"), channels > 1, "{:?}", kernels);
        prop_assert!(!relu || channels == 1 || !kernels.contains(&"unary"), "{:?}", kernels);
        check(&graph, &[random.reals(&dims)], 1e-4);
    }

    #[test]
    fn vectors_get_unit_length_along_any_axis(
        seed in 1..u64::MAX,
        dims in prop::collection::vec(1..9usize, 1..4),
        axis in 0..3usize,
        zeros in any::<bool>(),
    ) {
        let mut graph = Graph::new("unit");
        let ty = TensorType::new(Dtype::F32, &dims);
        let x = graph.add_input("x", ty.clone());
        let op = Op::LpNormalization { axis: (axis % dims.len()) as i64, p: 2 };
        let y = graph.add_node("y", op, &[x], ty);
        graph.outputs.push(y);
        let input = if zeros {
            limbic_graph::Tensor::new(&dims, vec![0f32; dims.iter().product()]).unwrap()
        } else {
            Random(seed).reals(&dims)
        };
        check(&graph, &[input], 1e-5);
    }
}
