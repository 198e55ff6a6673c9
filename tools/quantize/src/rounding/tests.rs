use limbic_graph::op::{Convolution, Padding, Unary};
use limbic_graph::{Dtype, TensorType};

use super::*;
use crate::calibrate::{Calibration, Calibrators, Method};
use crate::control::Set;
use crate::scheme::Scheme;
use crate::sensitivity::SignalToNoise;
use crate::verdict::Verdict;

struct Inputs(Vec<Tensor>);

impl Judge for Inputs {
    fn calibration(&mut self, n: usize) -> Result<Option<Vec<Tensor>>> {
        Ok(self.0.get(n).map(|tensor| vec![tensor.clone()]))
    }

    fn judge(&mut self, _: &Graph, _: Set) -> Result<Vec<Verdict>> {
        unreachable!("rounding judges nothing")
    }

    fn refit(&mut self, _: &Graph, _: &Graph) -> Result<()> {
        unreachable!("rounding fits nothing")
    }

    fn progress(&mut self, _: &str, _: usize, _: usize) {}
}

fn numbers(shape: &[usize], seed: u32) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |n: u32| {
        let mixed = n
            .wrapping_add(seed.wrapping_mul(7919))
            .wrapping_mul(2_654_435_761);
        ((mixed ^ (mixed >> 15)) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    Tensor::new(shape, (0..count as u32).map(number).collect::<Vec<f32>>()).unwrap()
}

fn float() -> TensorType {
    TensorType::unshaped(Dtype::F32)
}

fn gemm(transpose_b: bool) -> Op {
    Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b,
    }
}

/// A convolution, a depthwise one, one of two groups without bias, and two products that read the same.
fn network() -> Graph {
    let mut graph = Graph::new("layers");
    let mut x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 3, 7, 7]));
    for (n, (shape, groups)) in [([8, 3, 3, 3], 1), ([8, 1, 3, 3], 8), ([6, 4, 1, 1], 2)]
        .into_iter()
        .enumerate()
    {
        let w = graph.add_constant(format!("w{n}"), numbers(&shape, n as u32 + 1));
        let b = graph.add_constant(format!("b{n}"), numbers(&[shape[0]], n as u32 + 11));
        let convolution = Convolution {
            padding: Padding::Explicit(
                vec![shape[2] as i64 / 2; 4]
                    .into_iter()
                    .map(|p| p as usize)
                    .collect(),
            ),
            groups,
            ..Convolution::unit(2)
        };
        let inputs = if n == 2 { vec![x, w] } else { vec![x, w, b] };
        x = graph.add_node(format!("conv{n}"), Op::Conv(convolution), &inputs, float());
        x = graph.add_node(format!("relu{n}"), Op::Unary(Unary::Relu), &[x], float());
    }
    let flat = graph.add_node("flat", Op::Flatten { axis: 1 }, &[x], float());
    for (name, shape, transposed) in [("left", [6 * 49, 4], false), ("right", [5, 6 * 49], true)] {
        let w = graph.add_constant(format!("{name}.w"), numbers(&shape, 21));
        let b = graph.add_constant(
            format!("{name}.b"),
            numbers(&[shape[usize::from(!transposed)]], 31),
        );
        let y = graph.add_node(name, gemm(transposed), &[flat, w, b], float());
        graph.outputs.push(y);
    }
    limbic_graph::infer::infer(&mut graph).unwrap();
    graph
}

/// Smooth in both directions, so that neighbours go together.
fn picture(n: u32) -> Tensor {
    let phases = numbers(&[6], n).to_f32();
    let value = |i: usize| {
        let (channel, row, column) = (i / 49, i / 7 % 7, i % 7);
        let wave = phases[channel] * row as f32 + phases[channel + 3] * column as f32;
        1.0 + 1.5 * (wave + phases[0] * 3.0).sin()
    };
    Tensor::new(&[1, 3, 7, 7], (0..147).map(value).collect::<Vec<f32>>()).unwrap()
}

/// Noise of the outputs on inputs that were not calibrated with, as a share of the signal.
fn noise(graph: &Graph, table: Option<&Table>, choice: &Choice) -> f64 {
    let quantized = scheme::apply(graph, table, choice).unwrap().graph;
    let mut ratio = SignalToNoise::default();
    for n in 500..560 {
        let expected = interpret::run(graph, &[picture(n)]).unwrap();
        let found = interpret::run(&quantized, &[picture(n)]).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            ratio.add(&found.to_f32(), &expected.to_f32());
        }
    }
    ratio.noise_share()
}

/// The choice after rounding, which leaves at most `most` of the noise of nearest rounding.
fn check(scheme: Scheme, layers: &[&str], most: f64) -> Choice {
    let graph = network();
    let nearest = Choice::new(scheme);
    let table = scheme.needs_ranges().then(|| {
        let wanted = scheme::wanted(&graph, &nearest);
        let inputs = (0..80).map(|n| Ok(vec![picture(n)]));
        let calibrators = Calibrators::default();
        Calibration::collect(&graph, wanted.iter().map(String::as_str), inputs, &calibrators)
            .unwrap()
            .table(Method::MinMax, 256)
            .unwrap()
    });
    let mut choice = nearest.clone();
    let mut inputs = Inputs((0..80).map(picture).collect());
    calibrate(&graph, table.as_ref(), &mut choice, 80, &mut inputs).unwrap();
    assert_eq!(
        choice.rounded.keys().map(String::as_str).collect::<Vec<_>>(),
        layers
    );
    let before = noise(&graph, table.as_ref(), &nearest);
    let after = noise(&graph, table.as_ref(), &choice);
    assert!(after < most * before, "{}: {after} of {before}", scheme.name());
    choice
}

#[test]
fn calibrated_weights_leave_less_noise_in_the_outputs_than_the_nearest() {
    let all = ["conv0", "conv1", "conv2", "left", "right"];
    check(Scheme::Int8, &all, 0.95);
    // Rounding of activations makes nearly all of the noise here.
    check(Scheme::Int8Symmetric, &all, 1.02);
    check(Scheme::Dynamic, &["left", "right"], 0.9);
}

#[test]
fn rounding_twice_gives_the_same_weights() {
    let layers = ["left", "right"];
    assert_eq!(
        check(Scheme::Dynamic, &layers, 1.0),
        check(Scheme::Dynamic, &layers, 1.0)
    );
}

#[test]
fn layers_that_see_only_zeros_keep_the_nearest_weights() {
    let graph = network();
    let mut choice = Choice::new(Scheme::Dynamic);
    let mut inputs = Inputs(Vec::new());
    calibrate(&graph, None, &mut choice, 8, &mut inputs).unwrap();
    assert!(choice.rounded.is_empty());
}
