use limbic_graph::op::{Convolution, Unary};
use limbic_graph::{Dtype, Tensor, TensorType, interpret};

use super::*;
use crate::control::Set;
use crate::scheme::Scheme;
use crate::verdict::Verdict;

struct Inputs(Vec<Tensor>);

impl Judge for Inputs {
    fn calibration(&mut self, n: usize) -> Result<Option<Vec<Tensor>>> {
        Ok(self.0.get(n).map(|tensor| vec![tensor.clone()]))
    }

    fn judge(&mut self, _: &Graph, _: Set) -> Result<Vec<Verdict>> {
        unreachable!("a remedy judges nothing")
    }

    fn refit(&mut self, _: &Graph, _: &Graph) -> Result<()> {
        unreachable!("a remedy fits nothing")
    }

    fn progress(&mut self, _: &str, _: usize, _: usize) {}
}

fn numbers(shape: &[usize], seed: u32) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u32)
        .map(|n| ((n + 1000 * seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 0.8)
        .collect();
    Tensor::new(shape, values).unwrap()
}

fn float() -> TensorType {
    TensorType::unshaped(Dtype::F32)
}

/// Two convolutions with a ReLU between, the first's channels of very different size.
fn convolutions() -> Graph {
    let mut graph = Graph::new("two");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 6, 6]));
    let w = numbers(&[4, 2, 3, 3], 1);
    let uneven: Vec<f32> = w
        .to_f32()
        .iter()
        .enumerate()
        .map(|(i, w)| w * [0.1, 1.0, 5.0, 20.0][i / 18])
        .collect();
    let w = graph.add_constant("w1", Tensor::new(&[4, 2, 3, 3], uneven).unwrap());
    let b = graph.add_constant("b1", numbers(&[4], 2));
    let conv = Op::Conv(Convolution::unit(2));
    let y = graph.add_node("first", conv.clone(), &[x, w, b], float());
    let y = graph.add_node("relu", Op::Unary(Unary::LeakyRelu { alpha: 0.1 }), &[y], float());
    let w = graph.add_constant("w2", numbers(&[3, 4, 3, 3], 3));
    let b = graph.add_constant("b2", numbers(&[3], 4));
    let y = graph.add_node("second", conv, &[y, w, b], float());
    graph.outputs.push(y);
    limbic_graph::infer::infer(&mut graph).unwrap();
    graph
}

/// A layer normalization that two products read, and their sum.
fn products() -> Graph {
    let mut graph = Graph::new("products");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 3, 8]));
    let uneven: Vec<f32> = (0..8).map(|n| if n == 3 { 30.0 } else { 1.0 }).collect();
    let scale = graph.add_constant("scale", Tensor::vector(uneven));
    let bias = graph.add_constant("bias", numbers(&[8], 5));
    let norm = Op::LayerNormalization {
        axis: -1,
        epsilon: 1e-5,
    };
    let n = graph.add_node("norm", norm, &[x, scale, bias], float());
    let a = graph.add_constant("a", numbers(&[8, 4], 6));
    let b = graph.add_constant("b", numbers(&[8, 4], 7));
    let left = graph.add_node("left", Op::MatMul, &[n, a], float());
    let right = graph.add_node("right", Op::MatMul, &[n, b], float());
    graph.outputs.extend([left, right]);
    limbic_graph::infer::infer(&mut graph).unwrap();
    graph
}

fn inputs(graph: &Graph) -> Inputs {
    let shape = graph.value(graph.inputs[0]).ty.shape().unwrap();
    Inputs((0..6).map(|n| numbers(&shape, 20 + n)).collect())
}

/// Applies a remedy and checks that the float answers stay within a relative error.
fn check(mut graph: Graph, choice: &Choice, remedy: Remedy, tolerance: f32) -> (Graph, Graph) {
    let mut judge = inputs(&graph);
    let before = graph.clone();
    apply(&mut graph, &[remedy], choice, &mut judge).unwrap();
    for input in &judge.0 {
        let expected = interpret::run(&before, std::slice::from_ref(input)).unwrap();
        let found = interpret::run(&graph, std::slice::from_ref(input)).unwrap();
        for (a, b) in found.iter().zip(&expected) {
            for (a, b) in a.to_f32().iter().zip(b.to_f32()) {
                assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} {b}");
            }
        }
    }
    (before, graph)
}

/// Greatest channel of a value over the smallest.
fn spread(graph: &Graph, value: &str, axis: Axis) -> f64 {
    let id = graph.find(value).unwrap();
    let channels = observe(graph, [(id, axis)], &mut inputs(graph)).unwrap();
    let greatest = &channels[&id].greatest;
    greatest.iter().copied().fold(0.0, f64::max) / greatest.iter().copied().fold(f64::INFINITY, f64::min)
}

#[test]
fn equalised_channels_are_closer_and_the_answers_stay() {
    let (before, after) = check(convolutions(), &Choice::new(Scheme::Int8), Remedy::Equalise, 1e-4);
    let (old, new) = (
        spread(&before, "relu", Axis::Second),
        spread(&after, "relu", Axis::Second),
    );
    assert!(new < 0.3 * old, "{old} {new}");
}

#[test]
fn channels_are_equalised_through_sums_pools_and_depthwise_convolutions() {
    let mut graph = Graph::new("residual");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 6, 6]));
    let layer = |graph: &mut Graph, name: &str, x, shape: [usize; 4], groups: usize| {
        let uneven = numbers(&shape, shape[0] as u32).to_f32().into_iter().enumerate();
        let inner = shape[1] * shape[2] * shape[3];
        let uneven: Vec<f32> = uneven
            .map(|(i, w)| w * [0.1, 1.0, 5.0, 20.0][i / inner % 4])
            .collect();
        let w = graph.add_constant(format!("{name}.w"), Tensor::new(&shape, uneven).unwrap());
        let b = graph.add_constant(format!("{name}.b"), numbers(&[shape[0]], 9));
        let convolution = Convolution {
            groups,
            ..Convolution::unit(2)
        };
        graph.add_node(name, Op::Conv(convolution), &[x, w, b], float())
    };
    let trunk = layer(&mut graph, "trunk", x, [4, 2, 1, 1], 1);
    let branch = graph.add_node("relu", Op::Unary(Unary::Relu), &[trunk], float());
    let branch = layer(&mut graph, "branch", branch, [4, 4, 1, 1], 1);
    let sum = Op::Binary(limbic_graph::op::Binary::Add);
    let sum = graph.add_node("sum", sum, &[trunk, branch], float());
    let deep = layer(&mut graph, "depthwise", sum, [4, 1, 3, 3], 4);
    let y = layer(&mut graph, "last", deep, [3, 4, 1, 1], 1);
    graph.outputs.push(y);
    limbic_graph::infer::infer(&mut graph).unwrap();
    let (before, after) = check(graph, &Choice::new(Scheme::Int8), Remedy::Equalise, 1e-4);
    for value in ["sum", "depthwise"] {
        let (old, new) = (
            spread(&before, value, Axis::Second),
            spread(&after, value, Axis::Second),
        );
        assert!(new < 0.3 * old, "{value}: {old} {new}");
    }
}

#[test]
fn smoothed_channels_go_into_the_normalization_that_only_products_read() {
    let (before, after) = check(
        products(),
        &Choice::new(Scheme::Dynamic),
        Remedy::SmoothQuant,
        1e-4,
    );
    assert_eq!(after.nodes.len(), before.nodes.len());
    let (old, new) = (
        spread(&before, "norm", Axis::Last),
        spread(&after, "norm", Axis::Last),
    );
    assert!(new < 0.5 * old, "{old} {new}");
}

#[test]
fn smoothed_channels_are_divided_apart_where_others_read_them() {
    let mut graph = products();
    let norm = graph.find("norm").unwrap();
    graph.outputs.push(norm);
    let (before, after) = check(graph, &Choice::new(Scheme::Dynamic), Remedy::SmoothQuant, 1e-4);
    assert_eq!(after.nodes.len(), before.nodes.len() + 1);
}

#[test]
fn corrected_biases_take_the_mean_error_of_the_weights_away() {
    let mut choice = Choice::new(Scheme::Int8);
    choice
        .float
        .insert("first".to_owned(), "only the second is looked at".to_owned());
    let (before, after) = check(convolutions(), &choice, Remedy::BiasCorrection, 0.5);
    let bias = |graph: &Graph, n: usize| {
        let id = graph.nodes[n].inputs[2].unwrap();
        graph.constant(id).unwrap().to_f32()
    };
    assert_ne!(bias(&before, 2), bias(&after, 2));
    // With rounded weights the corrected layer has the mean that the exact one had.
    let mean = |graph: &Graph, rounded: bool| {
        let mut graph = graph.clone();
        if rounded {
            let id = graph.nodes[2].inputs[1].unwrap();
            let exact = graph.constant(id).unwrap().clone();
            let integers = crate::scheme::affine::weights("w", &exact, 0, None, 1.0).unwrap();
            graph.value_mut(id).constant = Some(limbic_graph::dequantize(&integers).unwrap());
        }
        let id = graph.outputs[0];
        observe(&graph, [(id, Axis::Second)], &mut inputs(&graph)).unwrap()[&id].means()
    };
    let error = |means: Vec<f64>| -> f64 {
        means
            .iter()
            .zip(mean(&before, false))
            .map(|(a, b)| (a - b).abs())
            .sum()
    };
    assert!(error(mean(&after, true)) < 0.5 * error(mean(&before, true)));
}
