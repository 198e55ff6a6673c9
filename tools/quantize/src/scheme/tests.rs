use std::collections::BTreeSet;

use limbic_graph::op::{Binary, Convolution, Padding, PoolKind, Unary};
use limbic_graph::{Dtype, Quantization, Tensor, TensorType, ValueId, interpret};

use super::*;
use crate::calibrate::{Calibration, Calibrators, Method};
use crate::sensitivity::SignalToNoise;

fn float() -> TensorType {
    TensorType::unshaped(Dtype::F32)
}

fn numbers(shape: &[usize], seed: u32) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u32)
        .map(|n| ((n + 1000 * seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
        .collect();
    Tensor::new(shape, values).unwrap()
}

fn conv(graph: &mut Graph, name: &str, x: ValueId, shape: [usize; 4], seed: u32) -> ValueId {
    let w = graph.add_constant(format!("{name}.w"), numbers(&shape, seed));
    let b = graph.add_constant(format!("{name}.b"), numbers(&[shape[0]], seed + 1));
    let pad = shape[2] / 2;
    let convolution = Convolution {
        padding: Padding::Explicit(vec![pad; 4]),
        ..Convolution::unit(2)
    };
    graph.add_node(name, Op::Conv(convolution), &[x, w, b], float())
}

fn unary(graph: &mut Graph, name: &str, function: Unary, x: ValueId) -> ValueId {
    graph.add_node(name, Op::Unary(function), &[x], float())
}

/// A residual network: two convolutions, an addition, a pool, and a product to four outputs.
fn residual() -> Graph {
    let mut graph = Graph::new("residual");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 3, 8, 8]));
    let first = conv(&mut graph, "first", x, [8, 3, 3, 3], 1);
    let first = unary(&mut graph, "first.relu", Unary::Relu, first);
    let second = conv(&mut graph, "second", first, [8, 8, 3, 3], 3);
    let sum = graph.add_node("sum", Op::Binary(Binary::Add), &[first, second], float());
    let sum = unary(&mut graph, "sum.relu", Unary::Relu, sum);
    let pooled = graph.add_node(
        "pool",
        Op::GlobalPool(PoolKind::Average {
            include_padding: false,
        }),
        &[sum],
        float(),
    );
    let flat = graph.add_node("flat", Op::Flatten { axis: 1 }, &[pooled], float());
    let w = graph.add_constant("last.w", numbers(&[4, 8], 7));
    let b = graph.add_constant("last.b", numbers(&[4], 8));
    let gemm = Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b: true,
    };
    let y = graph.add_node("last", gemm, &[flat, w, b], float());
    graph.outputs.push(y);
    limbic_graph::infer::infer(&mut graph).unwrap();
    graph
}

/// Two products with biases around a GELU, and one of two activations.
fn transformer() -> Graph {
    let mut graph = Graph::new("transformer");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 5, 8]));
    let w = graph.add_constant("widen.w", numbers(&[8, 16], 1));
    let wide = graph.add_node("widen", Op::MatMul, &[x, w], float());
    let b = graph.add_constant("widen.b", numbers(&[16], 2));
    let wide = graph.add_node("widen.add", Op::Binary(Binary::Add), &[b, wide], float());
    let wide = unary(&mut graph, "gelu", Unary::Gelu { tanh: false }, wide);
    let w = graph.add_constant("narrow.w", numbers(&[16, 8], 3));
    let narrow = graph.add_node("narrow", Op::MatMul, &[wide, w], float());
    let turned = graph.add_node(
        "turned",
        Op::Transpose {
            permutation: vec![0, 2, 1],
        },
        &[narrow],
        float(),
    );
    let y = graph.add_node("scores", Op::MatMul, &[narrow, turned], float());
    graph.outputs.push(y);
    limbic_graph::infer::infer(&mut graph).unwrap();
    graph
}

fn inputs(graph: &Graph) -> Vec<Vec<Tensor>> {
    let shape = graph.value(graph.inputs[0]).ty.shape().unwrap();
    (0..8).map(|n| vec![numbers(&shape, 50 + n)]).collect()
}

fn quantized(graph: &Graph, choice: &Choice) -> Quantized {
    let table = choice.scheme.needs_ranges().then(|| {
        let wanted = wanted(graph, choice);
        let calibrators = Calibrators {
            symmetric: choice.scheme == Scheme::Int8Symmetric,
            ..Calibrators::default()
        };
        let inputs = inputs(graph).into_iter().map(Ok);
        let calibration =
            Calibration::collect(graph, wanted.iter().map(String::as_str), inputs, &calibrators).unwrap();
        calibration.table(Method::MinMax, 256).unwrap()
    });
    apply(graph, table.as_ref(), choice).unwrap()
}

/// Quantizes by a scheme and checks that the outputs are within a signal-to-noise ratio of the float graph's.
fn check(graph: &Graph, scheme: Scheme, least_db: f64) -> Quantized {
    let quantized = quantized(graph, &Choice::new(scheme));
    let mut ratio = SignalToNoise::default();
    for input in inputs(graph) {
        let expected = interpret::run(graph, &input).unwrap();
        let found = interpret::run(&quantized.graph, &input).unwrap();
        assert_eq!(found[0].dtype(), Dtype::F32);
        ratio.add(&found[0].to_f32(), &expected[0].to_f32());
    }
    // What is written out for export computes the same.
    let lowered = crate::lower(&quantized.graph).unwrap();
    let mut exported = SignalToNoise::default();
    for input in inputs(graph) {
        let expected = interpret::run(&quantized.graph, &input).unwrap();
        exported.add(
            &interpret::run(&lowered, &input).unwrap()[0].to_f32(),
            &expected[0].to_f32(),
        );
    }
    assert!(exported.db() > 100.0, "{scheme:?}: {} dB", exported.db());
    assert!(ratio.db() > least_db, "{scheme:?}: {} dB", ratio.db());
    assert!(ratio.db() < 200.0, "{scheme:?} changes nothing");
    quantized
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|node| node.name.as_str()).collect()
}

fn quantization<'g>(graph: &'g Graph, name: &str) -> &'g Quantization {
    let id = graph.find(name).unwrap();
    graph.value(id).ty.quantization.as_ref().unwrap()
}

#[test]
fn a_network_is_all_integers_between_its_input_and_its_last_product() {
    let quantized = check(&residual(), Scheme::Int8, 30.0);
    assert_eq!(
        names(&quantized.graph),
        [
            "x.i8.requantize",
            "first",
            "second",
            "sum",
            "pool",
            "flat",
            "last"
        ]
    );
    assert_eq!(quantized.integer_share(), 1.0);
    let last = &quantized.graph.nodes[6];
    assert!(
        quantized
            .graph
            .value(last.outputs[0].unwrap())
            .ty
            .quantization
            .is_none()
    );
}

#[test]
fn a_relu_is_the_lower_end_of_the_type_that_it_clamps_to() {
    let quantized = check(&residual(), Scheme::Int8, 30.0);
    for name in ["first.relu", "sum.relu"] {
        assert!(matches!(
            quantization(&quantized.graph, name),
            Quantization::PerTensor { zero_point: -128, .. }
        ));
    }
}

#[test]
fn a_symmetric_network_has_no_zero_points_and_keeps_its_relus() {
    let quantized = check(&residual(), Scheme::Int8Symmetric, 26.0);
    for value in &quantized.graph.values {
        match &value.ty.quantization {
            Some(Quantization::PerTensor { zero_point, .. }) => assert_eq!(*zero_point, 0, "{}", value.name),
            Some(Quantization::PerAxis { zero_points, .. }) => assert!(zero_points.iter().all(|&z| z == 0)),
            _ => {}
        }
    }
    assert!(names(&quantized.graph).contains(&"sum.relu"));
    assert_eq!(
        quantization(&quantized.graph, "sum"),
        quantization(&quantized.graph, "sum.relu")
    );
}

#[test]
fn an_operation_kept_in_float_is_named_with_its_reason_and_cost() {
    let graph = residual();
    let mut choice = Choice::new(Scheme::Int8);
    choice
        .float
        .insert("second".to_owned(), "too sensitive".to_owned());
    let quantized = quantized(&graph, &choice);
    let second = quantized
        .placements
        .iter()
        .find(|placement| placement.node == "second")
        .unwrap();
    assert_eq!(second.arithmetic, Arithmetic::F32);
    assert_eq!(second.reason.as_deref(), Some("too sensitive"));
    assert_eq!(second.macs, 8 * 64 * 8 * 9);
    assert!(quantized.integer_share() > 0.0 && quantized.integer_share() < 1.0);
    let integer: BTreeSet<String> = integer_nodes(&graph, &choice).into_iter().collect();
    assert!(!integer.contains("second") && integer.contains("first"));
}

#[test]
fn a_value_that_is_an_output_and_goes_on_has_both_forms() {
    let mut graph = residual();
    let inner = graph.find("first.relu").unwrap();
    graph.outputs.push(inner);
    let quantized = quantized(&graph, &Choice::new(Scheme::Int8));
    let input = &inputs(&graph)[0];
    let found = interpret::run(&quantized.graph, input).unwrap();
    let expected = interpret::run(&graph, input).unwrap();
    assert_eq!(
        quantized.graph.value(quantized.graph.outputs[1]).name,
        "first.relu"
    );
    let mut ratio = SignalToNoise::default();
    ratio.add(&found[1].to_f32(), &expected[1].to_f32());
    assert!(ratio.db() > 30.0);
}

#[test]
fn a_tensor_without_a_range_is_named() {
    let graph = residual();
    let empty = Table::new(Calibrators::default(), 1);
    let error = apply(&graph, Some(&empty), &Choice::new(Scheme::Int8)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRange);
    assert_eq!(error.place(), "tensor x");
}

#[test]
fn products_of_a_transformer_take_their_rows_as_they_come() {
    let graph = transformer();
    assert_eq!(Scheme::of_architecture(&residual()), Scheme::Int8);
    assert_eq!(Scheme::of_architecture(&graph), Scheme::Dynamic);
    let quantized = check(&graph, Scheme::Dynamic, 30.0);
    assert_eq!(
        names(&quantized.graph),
        ["widen", "gelu", "narrow", "turned", "scores"]
    );
    let scores = &quantized.placements[2];
    assert_eq!(scores.reason.as_deref(), Some("a product of two activations"));
    assert_eq!(quantized.integer_share(), (2.0 * 640.0) / (2.0 * 640.0 + 200.0));
}

#[test]
fn every_scheme_keeps_the_answers_of_both_networks() {
    for (scheme, least_db) in [
        (Scheme::Int8, 25.0),
        (Scheme::Int8Symmetric, 20.0),
        (Scheme::Dynamic, 25.0),
        (Scheme::Mixed, 25.0),
        (Scheme::WeightsInt8, 35.0),
        (Scheme::WeightsInt4, 12.0),
        (Scheme::F16, 50.0),
    ] {
        check(&residual(), scheme, least_db);
        check(&transformer(), scheme, least_db);
    }
}

#[test]
fn half_precision_leaves_what_overflows_and_the_last_product_in_f32() {
    let mut graph = residual();
    let w = graph.find("second.w").unwrap();
    let large: Vec<f32> = numbers(&[8, 8, 3, 3], 3)
        .to_f32()
        .iter()
        .map(|v| v * 1e5)
        .collect();
    graph.value_mut(w).constant = Some(Tensor::new(&[8, 8, 3, 3], large).unwrap());
    let quantized = quantized(&graph, &Choice::new(Scheme::F16));
    let arithmetic: Vec<Arithmetic> = quantized.placements.iter().map(|p| p.arithmetic).collect();
    assert_eq!(arithmetic, [Arithmetic::F16, Arithmetic::F32, Arithmetic::F32]);
    let found = interpret::run(&quantized.graph, &inputs(&graph)[0]).unwrap();
    assert!(found[0].to_f32().iter().all(|value| value.is_finite()));
}
