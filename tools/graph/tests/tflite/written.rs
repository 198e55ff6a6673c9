//! Files that are written from small graphs: what they hold, and what becomes of them when they are damaged.

use limbic_graph::op::{Convolution, Op, Padding, Pool, PoolKind, Unary};
use limbic_graph::passes::simplify;
use limbic_graph::{Dtype, ErrorKind, Graph, Quantization, Tensor, TensorType, infer, interpret, tflite};

fn ramp(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..count)
        .map(|n| ((n * 37 + 11) % 101) as f32 / 50.0 - 1.0)
        .collect();
    Tensor::new(shape, values).unwrap()
}

fn float(shape: &[usize]) -> TensorType {
    TensorType::new(Dtype::F32, shape)
}

fn gemm() -> Op {
    Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b: true,
    }
}

fn max_pool(padding: Padding) -> Op {
    Op::Pool(Pool {
        kind: PoolKind::Max,
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        padding,
        ceil_mode: false,
        column_major: false,
    })
}

/// Convolutions of all kinds of padding, a pool, a residual sum, a classifier.
fn network() -> Graph {
    let mut g = Graph::new("network");
    let mut x = g.add_input("picture", float(&[1, 3, 8, 8]));
    let ty = || TensorType::unshaped(Dtype::F32);
    let conv = |g: &mut Graph, name: &str, x, weights: [usize; 4], pads: [usize; 4], stride, groups| {
        let w = g.add_constant(format!("{name}.w"), ramp(&weights));
        let b = g.add_constant(format!("{name}.b"), ramp(&weights[..1]));
        let op = Op::Conv(Convolution {
            strides: vec![stride, stride],
            padding: Padding::Explicit(pads.to_vec()),
            groups,
            ..Convolution::unit(2)
        });
        let y = g.add_node(name, op, &[x, w, b], ty());
        g.add_node(format!("{name}.relu"), Op::Unary(Unary::Relu), &[y], ty())
    };
    x = conv(&mut g, "first", x, [4, 3, 3, 3], [1, 1, 1, 1], 2, 1);
    let skip = x;
    x = conv(&mut g, "depthwise", x, [8, 1, 3, 3], [1, 1, 1, 1], 1, 4);
    x = conv(&mut g, "pointwise", x, [4, 8, 1, 1], [0, 0, 0, 0], 1, 1);
    x = g.add_node(
        "residual",
        Op::Binary(limbic_graph::op::Binary::Add),
        &[x, skip],
        ty(),
    );
    x = g.add_node("pool", max_pool(Padding::Explicit(vec![1, 1, 1, 1])), &[x], ty());
    x = g.add_node("flat", Op::Flatten { axis: 1 }, &[x], ty());
    let w = g.add_constant("classifier.w", ramp(&[5, 36]));
    x = g.add_node("classifier", gemm(), &[x, w], ty());
    x = g.add_node("answer", Op::Softmax { axis: -1 }, &[x], ty());
    g.outputs.push(x);
    infer::infer(&mut g).unwrap();
    g
}

fn transposes(graph: &Graph) -> usize {
    let is_transpose = |node: &&limbic_graph::Node| matches!(node.op, Op::Transpose { .. });
    graph.nodes.iter().filter(is_transpose).count()
}

#[test]
fn a_network_reads_back_with_its_answers_names_and_no_transposes_between_layers() {
    let graph = network();
    let bytes = tflite::write(&graph).unwrap();
    let mut again = tflite::read(&bytes).unwrap();
    assert_eq!(again.value(again.inputs[0]).name, "picture");
    assert_eq!(again.value(again.inputs[0]).ty, float(&[1, 3, 8, 8]));
    assert_eq!(again.value(again.outputs[0]).name, "answer");
    simplify(&mut again).unwrap();
    // The reader sets each layer between two; what cancels was not in the file.
    assert_eq!(
        transposes(&again),
        0,
        "{:?}",
        again.nodes.iter().map(|n| &n.name).collect::<Vec<_>>()
    );
    let input = ramp(&[1, 3, 8, 8]);
    let expected = interpret::run(&graph, std::slice::from_ref(&input)).unwrap();
    let found = interpret::run(&again, &[input]).unwrap();
    for (a, b) in expected[0].to_f32().iter().zip(found[0].to_f32()) {
        assert!((a - b).abs() <= 1e-6, "{a} {b}");
    }
}

#[test]
fn quantized_types_are_kept_with_their_axes() {
    let mut g = Graph::new("quantized");
    let parameters = |scale, zero_point| Some(Quantization::PerTensor { scale, zero_point });
    let typed = |quantization, shape: Option<&[usize]>| TensorType {
        dims: shape.map(|s| s.iter().map(|&n| n.into()).collect()),
        quantization,
        ..TensorType::unshaped(Dtype::I8)
    };
    let x = g.add_input("x", typed(parameters(0.5, 3), Some(&[1, 2, 4, 4])));
    let weights: Vec<i8> = (0..3 * 2 * 9).map(|n| (n * 29 % 255) as i8).collect();
    let per_channel = |axis| {
        Some(Quantization::PerAxis {
            axis,
            scales: vec![0.01, 0.02, 0.005],
            zero_points: vec![0; 3],
        })
    };
    let w = Tensor::new(&[3, 2, 3, 3], weights)
        .unwrap()
        .with_quantization(per_channel(0));
    let w = g.add_constant("w", w);
    let b = Tensor::vector(vec![100i32, -50, 7]);
    let b = g.add_constant("b", b);
    let op = Op::Conv(Convolution {
        padding: Padding::SameUpper,
        ..Convolution::unit(2)
    });
    let y = g.add_node("y", op, &[x, w, b], typed(parameters(0.25, -7), None));
    g.outputs.push(y);
    infer::infer(&mut g).unwrap();
    let mut again = tflite::read(&tflite::write(&g).unwrap()).unwrap();
    simplify(&mut again).unwrap();
    let conv = again.nodes.iter().find(|n| matches!(n.op, Op::Conv(_))).unwrap();
    let constant = |n: usize| again.constant(conv.inputs[n].unwrap()).unwrap();
    assert_eq!(constant(1).quantization, per_channel(0));
    assert_eq!(constant(1).shape(), [3, 2, 3, 3]);
    let Some(Quantization::PerAxis { scales, .. }) = &constant(2).quantization else {
        panic!("no scales")
    };
    assert_eq!(scales[..], [0.5f32 * 0.01, 0.5 * 0.02, 0.5 * 0.005]);
    assert_eq!(
        again.value(again.outputs[0]).ty.quantization,
        parameters(0.25, -7)
    );
}

#[test]
fn a_mean_of_a_finer_scale_than_its_elements_is_not_cut_before_it_is_taken() {
    let typed = |scale, dims: &[usize]| TensorType {
        quantization: Some(Quantization::PerTensor { scale, zero_point: 0 }),
        ..TensorType::new(Dtype::I8, dims)
    };
    let mut g = Graph::new("mean");
    let x = g.add_input("x", typed(1.0, &[1, 1, 2, 2]));
    let op = Op::Pool(Pool {
        kind: PoolKind::Average {
            include_padding: false,
        },
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        padding: Padding::Explicit(vec![0; 4]),
        ceil_mode: false,
        column_major: false,
    });
    let y = g.add_node("y", op, &[x], typed(0.1, &[1, 1, 1, 1]));
    g.outputs.push(y);
    let mut again = tflite::read(&tflite::write(&g).unwrap()).unwrap();
    simplify(&mut again).unwrap();
    let input = Tensor::new(&[1, 1, 2, 2], vec![100i8, -100, 20, 1]).unwrap();
    let input = input.with_quantization(g.value(x).ty.quantization.clone());
    for graph in [&g, &again] {
        let found = interpret::run(graph, std::slice::from_ref(&input)).unwrap();
        // 21 / 4 in steps of 0.1.
        assert!((51..=53).contains(&found[0].to_i64().unwrap()[0]), "{found:?}");
    }
}

#[test]
fn what_tflite_does_not_express_is_listed_at_once() {
    let mut g = Graph::new("odd");
    let x = g.add_input("x", float(&[2, 3]));
    let y = g.add_node("first", Op::Unary(Unary::Erf), &[x], float(&[2, 3]));
    let z = g.add_node("second", Op::Hardmax { axis: 1 }, &[y], float(&[2, 3]));
    g.outputs.push(z);
    let e = tflite::write(&g).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert_eq!(e.found(), "Unary(Erf) (first); Hardmax (second)");
}

#[test]
fn unknown_operators_are_listed_at_once() {
    let mut bytes = tflite::write(&network()).unwrap();
    let mut replace = |from: u8, to: u8| {
        // Version 1, the number, the number again.
        let code = [1, 0, 0, 0, from, 0, 0, 0, from];
        let at = bytes.windows(9).position(|window| window == code).unwrap();
        bytes[at + 4] = to;
        bytes[at + 8] = to;
    };
    replace(9, 119);
    replace(3, 27);
    let e = tflite::read(&bytes).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert!(e.found().contains("WHILE (classifier"), "{e}");
    assert!(e.found().contains("SVDF (first"), "{e}");
}

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let bytes = tflite::write(&network()).unwrap();
    for length in 0..bytes.len() {
        // What is left of the last buffer may still be all of it.
        let _ = tflite::read(&bytes[..length]);
    }
    assert_eq!(
        tflite::read(&bytes[..100]).unwrap_err().kind(),
        ErrorKind::Malformed
    );
    assert_eq!(tflite::read(b"").unwrap_err().kind(), ErrorKind::Malformed);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let _ = tflite::read(&damaged);
        }
    }
}

#[test]
fn a_product_whose_rows_are_rounded_as_they_come_keeps_its_integer_weights() {
    let mut g = Graph::new("rows");
    let x = g.add_input("tokens", float(&[1, 3, 8]));
    let integers: Vec<i8> = (0..40).map(|n| ((n * 29 + 7) % 255 - 127) as i8).collect();
    let weights = Tensor::new(&[8, 5], integers)
        .unwrap()
        .with_quantization(Some(Quantization::PerAxis {
            axis: 1,
            scales: vec![0.01, 0.02, 0.005, 0.015, 0.03],
            zero_points: vec![0; 5],
        }));
    let w = g.add_constant("w", weights);
    let b = g.add_constant("b", ramp(&[5]));
    let ty = TensorType::unshaped(Dtype::F32);
    let y = g.add_node("product", Op::DynamicMatMul, &[x, w, b], ty);
    g.outputs.push(y);
    infer::infer(&mut g).unwrap();
    let again = tflite::read(&tflite::write(&g).unwrap()).unwrap();
    let kept = again.values.iter().filter_map(|value| value.constant.as_ref());
    assert_eq!(kept.filter(|tensor| tensor.dtype() == Dtype::I8).count(), 1);
    let input = ramp(&[1, 3, 8]);
    let expected = interpret::run(&g, std::slice::from_ref(&input)).unwrap();
    let found = interpret::run(&again, &[input]).unwrap();
    assert_eq!(found[0].shape(), [1, 3, 5]);
    // The file's rows are floats for our own reader: the difference is that of rounding them.
    for (a, b) in expected[0].to_f32().iter().zip(found[0].to_f32()) {
        assert!((a - b).abs() <= 0.1, "{a} {b}");
    }
}
