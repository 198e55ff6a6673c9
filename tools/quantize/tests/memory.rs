//! Calibration holds one input at a time, however many there are.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(target_os = "linux")]

use limbic_graph::op::{Convolution, Padding, Unary};
use limbic_graph::{Dtype, Graph, Op, Tensor, TensorType};
use limbic_quantize::calibrate::{Calibration, Calibrators, Method};

/// Greatest resident size of this process so far, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn numbers(shape: &[usize], seed: u32) -> Tensor {
    let count: usize = shape.iter().product();
    let number =
        |n: u32| (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    Tensor::new(shape, (0..count as u32).map(number).collect::<Vec<f32>>()).unwrap()
}

/// Eight convolutions of 16 channels on 64 x 64: 256 KiB a tensor, 4 MiB of activations an input.
fn network() -> Graph {
    let mut graph = Graph::new("deep");
    let mut x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 16, 64, 64]));
    for n in 0..8 {
        let w = graph.add_constant(format!("w{n}"), numbers(&[16, 16, 1, 1], n));
        let unit = Convolution {
            padding: Padding::Explicit(vec![0; 4]),
            ..Convolution::unit(2)
        };
        x = graph.add_node(
            format!("conv{n}"),
            Op::Conv(unit),
            &[x, w],
            TensorType::unshaped(Dtype::F32),
        );
        x = graph.add_node(
            format!("tanh{n}"),
            Op::Unary(Unary::Tanh),
            &[x],
            TensorType::unshaped(Dtype::F32),
        );
    }
    graph.outputs.push(x);
    limbic_graph::infer::infer(&mut graph).unwrap();
    graph
}

#[test]
fn peak_memory_does_not_grow_with_the_number_of_inputs() {
    let graph = network();
    let names: Vec<&str> = graph.values.iter().map(|value| value.name.as_str()).collect();
    let collect = |count: u32| {
        let inputs = (0..count).map(|n| Ok(vec![numbers(&[1, 16, 64, 64], 7 * n)]));
        Calibration::collect(
            &graph,
            names.iter().copied().filter(|n| !n.starts_with('w')),
            inputs,
            &Calibrators::default(),
        )
        .unwrap()
        .table(Method::Entropy, 256)
        .unwrap()
    };
    collect(2);
    let few = peak_kib();
    let table = collect(40);
    assert_eq!((table.inputs(), table.entries().count()), (40, 17));
    let grown = peak_kib() - few;
    // All activations of 40 inputs would be 160 MiB.
    assert!(grown < 4 * 1024, "{grown} KiB more for 40 inputs than for 2");
}
