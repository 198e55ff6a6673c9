//! Normalizations over groups of channels and to unit length: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check};
use limbic_graph::{Dtype, Graph, Op, TensorType};
use proptest::prelude::*;

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
