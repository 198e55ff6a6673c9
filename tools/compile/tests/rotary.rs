//! Rotary position embedding: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check};
use limbic_graph::infer::infer;
use limbic_graph::op::RotaryEmbedding;
use limbic_graph::{Dtype, Graph, Op, Tensor, TensorType};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn pairs_of_every_head_are_turned_by_their_places(
        seed in 1..u64::MAX,
        (batch, heads, length, half, rest) in (1..3usize, 1..4usize, 1..6usize, 1..5usize, 0..4usize),
        (interleaved, joined, positions) in (any::<bool>(), any::<bool>(), any::<bool>()),
    ) {
        let mut random = Random(seed);
        let mut graph = Graph::new("rotary");
        let size = 2 * half + rest;
        let dims = if joined {
            vec![batch, length, heads * size]
        } else {
            vec![batch, heads, length, size]
        };
        let float = |dims: &[usize]| TensorType::new(Dtype::F32, dims);
        let x = graph.add_input("x", float(&dims));
        let table = if positions { vec![7, half] } else { vec![batch, length, half] };
        let mut inputs = vec![x, graph.add_input("cos", float(&table)), graph.add_input("sin", float(&table))];
        let mut given = vec![random.reals(&dims), random.reals(&table), random.reals(&table)];
        if positions {
            inputs.push(graph.add_input("positions", TensorType::new(Dtype::I64, &[batch, length])));
            let places: Vec<i64> = (0..batch * length).map(|_| random.below(7) as i64).collect();
            given.push(Tensor::new(&[batch, length], places).unwrap());
        }
        let op = Op::RotaryEmbedding(RotaryEmbedding {
            interleaved,
            dim: if rest == 0 { 0 } else { 2 * half },
            heads: if joined { heads } else { 0 },
        });
        let y = graph.add_node("y", op, &inputs, TensorType::unshaped(Dtype::F32));
        graph.outputs.push(y);
        infer(&mut graph).unwrap();
        check(&graph, &given, 1e-6);
    }
}
