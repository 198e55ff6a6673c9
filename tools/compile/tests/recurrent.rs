//! Recurrent layers: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check};
use limbic_graph::op::{Activation, Binary, Cell, Direction, GatherMode, Recurrent};
use limbic_graph::{Dtype, Graph, Op, Tensor, TensorType};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn recurrent_layers_give_the_interpreters_states(
        seed in 1..u64::MAX,
        kind in 0..4u8,
        direction in 0..3u8,
        batch_first in any::<bool>(),
        (time, batch, input, hidden) in (1..6usize, 1..4usize, 1..20usize, 1..36usize),
        bias in any::<bool>(),
        initial in any::<bool>(),
        computed in any::<bool>(),
    ) {
        let mut random = Random(seed);
        let mut graph = Graph::new("recurrent");
        let (cell, gates, functions) = match kind {
            0 => (Cell::Plain, 1, vec![Activation::Tanh]),
            1 => (Cell::Lstm { input_forget: false }, 4, vec![
                Activation::Sigmoid,
                Activation::Tanh,
                Activation::Relu,
            ]),
            linear => (Cell::Gru { linear_before_reset: linear == 3 }, 3, vec![
                Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
                Activation::Tanh,
            ]),
        };
        let direction = [Direction::Forward, Direction::Reverse, Direction::Both][direction as usize];
        let directions = if direction == Direction::Both { 2 } else { 1 };
        let float = |dims: &[usize]| TensorType::new(Dtype::F32, dims);
        let x_dims = if batch_first { [batch, time, input] } else { [time, batch, input] };
        let state_dims = if batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
        let x = graph.add_input("x", float(&x_dims));
        let mut given = vec![random.reals(&x_dims)];
        let width = gates * hidden;
        let mut weights = |graph: &mut Graph, name: &str, dims: &[usize]| {
            let numbers = random.reals(dims);
            if !computed {
                return Some(graph.add_constant(name, numbers));
            }
            given.push(numbers);
            Some(graph.add_input(name, float(dims)))
        };
        let w = weights(&mut graph, "w", &[directions, width, input]);
        let r = weights(&mut graph, "r", &[directions, width, hidden]);
        let mut inputs = vec![Some(x), w, r, None, None, None, None];
        if bias {
            inputs[3] = weights(&mut graph, "b", &[directions, 2 * width]);
        }
        if initial {
            for (n, name) in [(5, "h"), (6, "c")] {
                if n == 5 || kind == 1 {
                    inputs[n] = Some(graph.add_input(name, float(&state_dims)));
                    given.push(random.reals(&state_dims));
                }
            }
        }
        let y_dims: Vec<usize> = if batch_first {
            vec![batch, time, directions, hidden]
        } else {
            vec![time, directions, batch, hidden]
        };
        let mut outputs = vec![graph.add_value("y", float(&y_dims))];
        outputs.push(graph.add_value("y_h", float(&state_dims)));
        if kind == 1 {
            outputs.push(graph.add_value("y_c", float(&state_dims)));
        }
        graph.outputs.clone_from(&outputs);
        graph.nodes.push(limbic_graph::Node {
            name: "layer".into(),
            op: Op::Recurrent(Recurrent {
                cell,
                hidden,
                direction,
                activations: functions.repeat(directions),
                clip: None,
                batch_first,
            }),
            inputs,
            outputs: outputs.into_iter().map(Some).collect(),
        });
        check(&graph, &given, 1e-4);
    }
}

/// The answer of one node with a constant second input.
fn check_node(op: Op, dims: &[usize], second: Tensor, output: &[usize]) {
    let mut graph = Graph::new("node");
    let float = |dims: &[usize]| TensorType::new(Dtype::F32, dims);
    let x = graph.add_input("x", float(dims));
    let second = graph.add_constant("second", second);
    let y = graph.add_node("y", op, &[x, second], float(output));
    graph.outputs.push(y);
    // Roots need numbers that are not negative.
    let elements = Random(3)
        .reals(dims)
        .to_f32()
        .iter()
        .map(|x| x.abs())
        .collect::<Vec<_>>();
    check(&graph, &[Tensor::new(dims, elements).unwrap()], 1e-6);
}

#[test]
fn frames_that_overlap_are_a_view_of_their_tensor() {
    let gather = |axis| Op::Gather(GatherMode::Slices { axis });
    let frames: Vec<i64> = (0..4).flat_map(|n| (0..5).map(move |i| 3 * n + i)).collect();
    let frames = Tensor::new(&[4, 5], frames).unwrap();
    check_node(gather(1), &[2, 16], frames, &[2, 4, 5]);
    check_node(gather(0), &[3, 4], Tensor::scalar(-1i64), &[4]);
    check_node(gather(1), &[3, 4], Tensor::vector(vec![1i64, 3]), &[3, 2]);
}

#[test]
fn powers_of_one_exponent_are_products_and_roots() {
    for exponent in [2.0f32, 1.0, 0.5] {
        check_node(
            Op::Binary(Binary::Pow),
            &[3, 7],
            Tensor::scalar(exponent),
            &[3, 7],
        );
    }
}
