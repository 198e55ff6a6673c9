use crate::error::ErrorKind;
use crate::graph::{Graph, ValueId};
use crate::op::{
    Activation, Binary, Cell, Compare, Convolution, Direction, Op, PadMode, Padding, Pool, PoolKind,
    Recurrent, Reduce, Unary,
};
use crate::tensor::Tensor;
use crate::types::{Quantization, TensorType};
use crate::{Dtype, interpret, onnx};

/// Numbers without a pattern in -2..2.
fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|n| ((n * 7919 + 13) % 1009) as f32 / 252.0 - 2.0)
        .collect()
}

fn same(a: &Tensor, b: &Tensor, tolerance: f32, what: &str) {
    assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()), "{what}");
    for (a, b) in a.to_f32().iter().zip(b.to_f32()) {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{what}: {a} and {b}"
        );
    }
}

/// Writes a graph, reads it back and compares the answers.
fn round_trip(graph: &Graph, inputs: &[Tensor], tolerance: f32, what: &str) -> Graph {
    let bytes = onnx::write(graph).unwrap();
    assert_eq!(bytes, onnx::write(graph).unwrap(), "{what}: other bytes");
    let back = onnx::read(&bytes, None).unwrap();
    let expected = interpret::run(graph, inputs).unwrap();
    let found = interpret::run(&back, inputs).unwrap();
    assert_eq!(expected.len(), found.len());
    for (a, b) in found.iter().zip(&expected) {
        same(a, b, tolerance, what);
    }
    back
}

/// A graph of one operation on `x` and constants.
fn one(op: Op, shape: &[usize], constants: &[Tensor], output: TensorType) -> Graph {
    let mut graph = Graph::new("one");
    let mut inputs = vec![graph.add_input("x", TensorType::new(Dtype::F32, shape))];
    for (n, tensor) in constants.iter().enumerate() {
        inputs.push(graph.add_constant(format!("c{n}"), tensor.clone()));
    }
    let y = graph.add_node("y", op, &inputs, output);
    graph.outputs.push(y);
    graph
}

#[test]
fn operations_that_came_after_the_opset_answer_alike() {
    let check = |op: Op, shape: &[usize], constants: &[Tensor], dtype: Dtype| {
        let what = format!("{op:?}");
        let graph = one(op, shape, constants, TensorType::unshaped(dtype));
        let input = Tensor::new(shape, numbers(shape.iter().product())).unwrap();
        round_trip(&graph, &[input], 1e-5, &what);
    };
    for function in [
        Unary::Gelu { tanh: false },
        Unary::Gelu { tanh: true },
        Unary::Mish,
        Unary::Swish { alpha: 1.0 },
        Unary::Swish { alpha: 1.702 },
        Unary::Relu6,
        Unary::HardSwish,
        Unary::LeakyRelu { alpha: 0.3 },
    ] {
        check(Op::Unary(function), &[2, 5], &[], Dtype::F32);
    }
    let row = Tensor::vector(vec![0.5f32, 1.5, 0.75, 1.25]);
    for function in [
        Binary::SquaredDifference,
        Binary::FloorDiv,
        Binary::Mod { fmod: false },
    ] {
        check(
            Op::Binary(function),
            &[3, 4],
            std::slice::from_ref(&row),
            Dtype::F32,
        );
    }
    check(
        Op::Compare(Compare::NotEqual),
        &[3, 4],
        std::slice::from_ref(&row),
        Dtype::Bool,
    );
    let group = Op::GroupNormalization {
        epsilon: 1e-5,
        groups: 2,
    };
    check(group, &[2, 4, 3, 3], &[row.clone(), row.clone()], Dtype::F32);
    check(
        Op::RmsNormalization {
            axis: -1,
            epsilon: 1e-5,
        },
        &[3, 4],
        std::slice::from_ref(&row),
        Dtype::F32,
    );
    let mean = |keep_dims| Op::Reduce {
        function: Reduce::Mean,
        keep_dims,
        noop_with_empty_axes: false,
    };
    check(
        mean(true),
        &[2, 3, 4],
        &[Tensor::vector(vec![1i64, -1])],
        Dtype::F32,
    );
    check(mean(false), &[2, 3, 4], &[], Dtype::F32);
}

#[test]
fn pads_of_some_axes_become_pads_of_all() {
    let mut graph = Graph::new("pad");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[2, 3]));
    let pads = graph.add_constant("pads", Tensor::vector(vec![1i64, 2]));
    let value = graph.add_constant("value", Tensor::scalar(7f32));
    let axes = graph.add_constant("axes", Tensor::vector(vec![-1i64]));
    let op = Op::Pad {
        mode: PadMode::Constant,
    };
    let y = graph.add_node("y", op, &[x, pads, value, axes], TensorType::unshaped(Dtype::F32));
    graph.outputs.push(y);
    round_trip(&graph, &[Tensor::new(&[2, 3], numbers(6)).unwrap()], 0.0, "pad");
}

#[test]
fn parts_of_unequal_size_have_their_sizes_said() {
    let mut graph = one(
        Op::Split { axis: 0 },
        &[5, 2],
        &[],
        TensorType::unshaped(Dtype::F32),
    );
    let second = graph.add_value("z", TensorType::unshaped(Dtype::F32));
    graph.nodes[0].outputs.push(Some(second));
    graph.outputs.push(second);
    round_trip(
        &graph,
        &[Tensor::new(&[5, 2], numbers(10)).unwrap()],
        0.0,
        "split",
    );
}

#[test]
fn outputs_that_no_node_makes_are_copied() {
    let mut graph = one(
        Op::Unary(Unary::Relu),
        &[2],
        &[],
        TensorType::unshaped(Dtype::F32),
    );
    let constant = graph.add_constant("k", Tensor::vector(vec![1f32, 2.0]));
    let (x, y) = (graph.inputs[0], graph.outputs[0]);
    graph.outputs = vec![y, x, constant, y];
    round_trip(&graph, &[Tensor::vector(vec![-1f32, 1.0])], 0.0, "outputs");
}

#[test]
fn axes_and_groups_that_do_not_fit_are_refused() {
    let row = Tensor::vector(vec![1f32; 4]);
    let check = |op: Op, constants: &[Tensor]| {
        let graph = one(op, &[2, 4], constants, TensorType::unshaped(Dtype::F32));
        assert!(onnx::write(&graph).is_err());
    };
    for axis in [i64::MIN, -3, 2, i64::MAX] {
        check(
            Op::RmsNormalization { axis, epsilon: 1e-5 },
            std::slice::from_ref(&row),
        );
        check(Op::Split { axis }, &[]);
    }
    for groups in [0, 3, usize::MAX] {
        check(
            Op::GroupNormalization {
                epsilon: 1e-5,
                groups,
            },
            &[row.clone(), row.clone()],
        );
    }
}

#[test]
fn a_value_that_is_known_before_the_graph_runs_is_written_once() {
    let mut graph = one(Op::Size, &[2, 3], &[], TensorType::unshaped(Dtype::I64));
    crate::infer::infer(&mut graph).unwrap();
    round_trip(&graph, &[Tensor::new(&[2, 3], numbers(6)).unwrap()], 0.0, "size");
}

#[test]
fn what_the_opset_cannot_say_is_listed_with_node_names() {
    let mut graph = Graph::new("late");
    let x = graph.add_input("x", TensorType::new(Dtype::I32, &[2]));
    let ty = TensorType::new(Dtype::I32, &[2]);
    let a = graph.add_node("first", Op::Unary(Unary::BitwiseNot), &[x], ty.clone());
    let b = graph.add_node("second", Op::Binary(Binary::BitwiseAnd), &[a, x], ty);
    graph.outputs.push(b);
    let error = onnx::write(&graph).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.found(), "BitwiseNot (node first); BitwiseAnd (node second)");
}

fn per_tensor(scale: f32, zero_point: i32) -> Quantization {
    Quantization::PerTensor { scale, zero_point }
}

fn quantized(
    graph: &mut Graph,
    name: &str,
    op: Op,
    inputs: &[ValueId],
    scale: f32,
    zero_point: i32,
) -> ValueId {
    let mut ty = TensorType::unshaped(Dtype::U8);
    ty.quantization = Some(per_tensor(scale, zero_point));
    graph.add_node(name, op, inputs, ty)
}

/// Image to scores: a convolution with weights per channel, a pool, a fully connected layer.
fn quantized_network() -> Graph {
    let mut graph = Graph::new("quantized");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 6, 6]));
    let x = quantized(&mut graph, "x_q", Op::Requantize, &[x], 4.0 / 255.0, 128);
    let weights: Vec<i8> = (0..54).map(|n| ((n * 37) % 255 - 127) as i8).collect();
    let scales = vec![0.01f32, 0.02, 0.005];
    let per_axis = |scales: Vec<f32>| {
        Some(Quantization::PerAxis {
            axis: 0,
            zero_points: vec![0; scales.len()],
            scales,
        })
    };
    let w = Tensor::new(&[3, 2, 3, 3], weights)
        .unwrap()
        .with_quantization(per_axis(scales.clone()));
    let w = graph.add_constant("w", w);
    let bias_scales: Vec<f32> = scales.iter().map(|s| s * (4.0 / 255.0)).collect();
    let bias = Tensor::vector(vec![100i32, -500, 900]).with_quantization(per_axis(bias_scales));
    let bias = graph.add_constant("bias", bias);
    let conv = Convolution {
        padding: Padding::Explicit(vec![1; 4]),
        ..Convolution::unit(2)
    };
    let y = quantized(&mut graph, "conv", Op::Conv(conv), &[x, w, bias], 0.05, 100);
    let y = quantized(&mut graph, "relu", Op::Unary(Unary::Relu), &[y], 0.05, 0);
    let pool = Pool {
        kind: PoolKind::Max,
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        padding: Padding::Explicit(vec![0; 4]),
        ceil_mode: false,
        column_major: false,
    };
    let y = quantized(&mut graph, "pool", Op::Pool(pool), &[y], 0.05, 0);
    let y = quantized(&mut graph, "flat", Op::Flatten { axis: 1 }, &[y], 0.05, 0);
    let table: Vec<i8> = (0..108).map(|n| ((n * 53) % 255 - 127) as i8).collect();
    let v = Tensor::new(&[27, 4], table)
        .unwrap()
        .with_quantization(Some(per_tensor(0.01, 0)));
    let v = graph.add_constant("v", v);
    let y = quantized(&mut graph, "scores_q", Op::MatMul, &[y, v], 0.2, 128);
    let y = graph.add_node("scores", Op::Requantize, &[y], TensorType::unshaped(Dtype::F32));
    graph.outputs.push(y);
    graph
}

#[test]
fn quantized_values_lie_between_pairs_and_answer_alike() {
    let graph = quantized_network();
    let input = Tensor::new(&[1, 2, 6, 6], numbers(72)).unwrap();
    let bytes = onnx::write(&graph).unwrap();
    let back = onnx::read(&bytes, None).unwrap();
    let of = |test: fn(&Op) -> bool| back.nodes.iter().filter(|node| test(&node.op)).count();
    assert_eq!(of(|op| matches!(op, Op::Quantize(_))), 6);
    assert_eq!(of(|op| matches!(op, Op::Dequantize(_))), 9);
    let weight = back.find("w").and_then(|id| back.constant(id)).unwrap();
    assert_eq!(weight.dtype(), Dtype::I8);
    let expected = interpret::run(&graph, std::slice::from_ref(&input)).unwrap();
    let found = interpret::run(&back, &[input]).unwrap();
    for (a, b) in found[0].to_f32().iter().zip(expected[0].to_f32()) {
        // A step of the last scale.
        assert!((a - b).abs() <= 0.2 + 1e-5, "{a} and {b}");
    }
}

#[test]
fn a_branch_names_what_it_takes_from_around_it() {
    let branch = |function: Unary| {
        let mut branch = Graph::new("branch");
        let a = branch.add_input("x", TensorType::new(Dtype::F32, &[2]));
        let k = branch.add_constant("k", Tensor::vector(vec![1f32, 2.0]));
        let s = branch.add_node(
            "s",
            Op::Binary(Binary::Add),
            &[a, k],
            TensorType::new(Dtype::F32, &[2]),
        );
        let y = branch.add_node("y", Op::Unary(function), &[s], TensorType::new(Dtype::F32, &[2]));
        branch.outputs.push(y);
        Box::new(branch)
    };
    let mut graph = Graph::new("outer");
    let c = graph.add_input("c", TensorType::new(Dtype::Bool, &[]));
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[2]));
    let op = Op::If {
        then: branch(Unary::Neg),
        otherwise: branch(Unary::Abs),
    };
    let y = graph.add_node("y", op, &[c, x], TensorType::new(Dtype::F32, &[2]));
    graph.outputs.push(y);
    for condition in [true, false] {
        let inputs = [Tensor::scalar(condition), Tensor::vector(vec![-3f32, 4.0])];
        round_trip(&graph, &inputs, 0.0, "branch");
    }
}

#[test]
fn a_layer_with_batch_before_time_is_written_with_time_first() {
    let (batch, time, size, hidden) = (2, 3, 4, 5);
    let mut graph = Graph::new("gru");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[batch, time, size]));
    let constants = [
        ("w", vec![1, 3 * hidden, size]),
        ("r", vec![1, 3 * hidden, hidden]),
        ("b", vec![1, 6 * hidden]),
        ("state", vec![batch, 1, hidden]),
    ];
    let [w, r, b, state] = constants.map(|(name, shape)| {
        let tensor = Tensor::new(&shape, numbers(shape.iter().product())).unwrap();
        Some(graph.add_constant(name, tensor))
    });
    let outputs = ["y", "y_h"].map(|name| graph.add_value(name, TensorType::unshaped(Dtype::F32)));
    graph.nodes.push(crate::Node {
        name: "gru".to_owned(),
        op: Op::Recurrent(Recurrent {
            cell: Cell::Gru {
                linear_before_reset: true,
            },
            hidden,
            direction: Direction::Reverse,
            activations: vec![Activation::Sigmoid, Activation::Tanh],
            clip: None,
            batch_first: true,
        }),
        inputs: vec![Some(x), w, r, b, None, state],
        outputs: outputs.map(Some).to_vec(),
    });
    graph.outputs = outputs.to_vec();
    let input = Tensor::new(&[batch, time, size], numbers(batch * time * size)).unwrap();
    let back = round_trip(&graph, &[input], 1e-6, "batch first");
    let layer = |node: &crate::Node| matches!(&node.op, Op::Recurrent(r) if !r.batch_first);
    assert!(back.nodes.iter().any(layer));
}
