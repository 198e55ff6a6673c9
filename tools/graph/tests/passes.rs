//! Passes keep the answers and remove what they should.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use limbic_graph::op::{Binary, Convolution, PadMode, Padding, Pool, PoolKind, Reduce, Unary};
use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Dim, Dtype, Graph, Node, Op, Symbol, Tensor, TensorType, ValueId, interpret};

/// Numbers in -1..1 that differ from place to place.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1u32 << 23) as f32) - 1.0
        })
        .collect()
}

fn tensor(shape: &[usize], seed: u64) -> Tensor {
    Tensor::new(shape, numbers(shape.iter().product(), seed)).unwrap()
}

fn float() -> TensorType {
    TensorType::unshaped(Dtype::F32)
}

fn count(graph: &Graph, wanted: impl Fn(&Op) -> bool) -> usize {
    graph.nodes.iter().filter(|node| wanted(&node.op)).count()
}

/// Simplifies a copy and compares its answers with those of the original.
fn check(graph: &Graph, inputs: &[Tensor]) -> Graph {
    let mut simple = graph.clone();
    simplify(&mut simple).unwrap();
    let before = interpret::run(graph, inputs).unwrap();
    let after = interpret::run(&simple, inputs).unwrap();
    assert_eq!(before.len(), after.len());
    for (a, b) in before.iter().zip(&after) {
        assert_eq!(a.shape(), b.shape());
        for (x, y) in a.to_f32().iter().zip(b.to_f32()) {
            assert!((x - y).abs() <= 1e-5 * x.abs().max(1.0), "{x} became {y}");
        }
    }
    let names =
        |g: &Graph, ids: &[ValueId]| ids.iter().map(|id| g.value(*id).name.clone()).collect::<Vec<_>>();
    assert_eq!(names(graph, &graph.inputs), names(&simple, &simple.inputs));
    assert_eq!(names(graph, &graph.outputs), names(&simple, &simple.outputs));
    simple
}

fn transpose(graph: &mut Graph, name: &str, input: ValueId, permutation: &[usize]) -> ValueId {
    graph.add_node(
        name,
        Op::Transpose {
            permutation: permutation.to_vec(),
        },
        &[input],
        float(),
    )
}

fn conv(
    graph: &mut Graph,
    name: &str,
    input: ValueId,
    outputs: usize,
    inputs: usize,
    side: usize,
) -> ValueId {
    let weights = graph.add_constant(format!("{name}.w"), tensor(&[outputs, inputs, side, side], 3));
    let bias = graph.add_constant(format!("{name}.b"), tensor(&[outputs], 4));
    let padding = Padding::Explicit(vec![side / 2; 4]);
    let op = Op::Conv(Convolution {
        padding,
        ..Convolution::unit(2)
    });
    graph.add_node(name, op, &[input, weights, bias], float())
}

/// A convolution as a channels-last file has it: transposed before, transposed back behind.
fn conv_last(graph: &mut Graph, name: &str, input: ValueId, outputs: usize, inputs: usize) -> ValueId {
    let first = transpose(graph, &format!("{name}.in"), input, &[0, 3, 1, 2]);
    let made = conv(graph, name, first, outputs, inputs, 3);
    transpose(graph, &format!("{name}.out"), made, &[0, 2, 3, 1])
}

#[test]
fn a_channels_last_network_keeps_only_the_outer_transposes() {
    let mut g = Graph::new("residual");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[1, 6, 5, 3]));
    let a = conv_last(&mut g, "a", x, 4, 3);
    let a = g.add_node("a.relu", Op::Unary(Unary::Relu), &[a], float());
    let b = conv_last(&mut g, "b", a, 4, 4);
    let scale = g.add_constant("scale", tensor(&[4], 9));
    let b = g.add_node("b.scaled", Op::Binary(Binary::Mul), &[b, scale], float());
    let sum = g.add_node("sum", Op::Binary(Binary::Add), &[a, b], float());
    let joined = g.add_node("joined", Op::Concat { axis: 3 }, &[sum, a], float());
    let pads = g.add_constant("pads", Tensor::vector(vec![0i64, 1, 0, 0, 0, 0, 2, 0]));
    let padded = g.add_node(
        "padded",
        Op::Pad {
            mode: PadMode::Constant,
        },
        &[joined, pads],
        float(),
    );
    let axes = g.add_constant("axes", Tensor::vector(vec![1i64, 2]));
    let mean = Op::Reduce {
        function: Reduce::Mean,
        keep_dims: true,
        noop_with_empty_axes: false,
    };
    let pooled = g.add_node("pooled", mean, &[padded, axes], float());
    let y = g.add_node("y", Op::Softmax { axis: 3 }, &[pooled], float());
    g.outputs = vec![y];

    let simple = check(&g, &[tensor(&[1, 6, 5, 3], 7)]);
    assert_eq!(
        count(&simple, |op| matches!(op, Op::Transpose { .. })),
        1,
        "{:#?}",
        simple.nodes
    );
}

#[test]
fn a_transpose_of_one_channel_becomes_a_reshape() {
    let mut g = Graph::new("grey");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[1, 6, 5, 1]));
    let y = transpose(&mut g, "y", x, &[0, 3, 1, 2]);
    g.outputs = vec![y];
    let simple = check(&g, &[tensor(&[1, 6, 5, 1], 1)]);
    assert_eq!(count(&simple, |op| matches!(op, Op::Reshape { .. })), 1);
    assert_eq!(simple.nodes.len(), 1);
}

#[test]
fn batch_normalisation_and_scaling_disappear_into_the_convolution() {
    let mut g = Graph::new("folded");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[2, 3, 5, 5]));
    let a = conv(&mut g, "a", x, 4, 3, 3);
    let parameters: Vec<ValueId> = (0..3)
        .map(|n| g.add_constant(format!("bn.{n}"), tensor(&[4], 20 + n)))
        .collect();
    let variance = g.add_constant("bn.v", Tensor::vector(vec![0.5f32, 1.0, 1.5, 2.0]));
    let inputs = [a, parameters[0], parameters[1], parameters[2], variance];
    let b = g.add_node("bn", Op::BatchNormalization { epsilon: 1e-3 }, &inputs, float());
    let factor = g.add_constant("factor", tensor(&[4, 1, 1], 30));
    let c = g.add_node("scaled", Op::Binary(Binary::Mul), &[factor, b], float());
    let d = g.add_node("relu", Op::Unary(Unary::Relu), &[c], float());
    g.outputs = vec![d];
    let simple = check(&g, &[tensor(&[2, 3, 5, 5], 8)]);
    assert_eq!(simple.nodes.len(), 2);
    assert_eq!(count(&simple, |op| matches!(op, Op::Conv(_))), 1);
}

#[test]
fn a_convolution_that_two_nodes_read_keeps_its_weights() {
    let mut g = Graph::new("shared");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 4, 4]));
    let a = conv(&mut g, "a", x, 2, 2, 1);
    let factor = g.add_constant("factor", tensor(&[2, 1, 1], 30));
    let b = g.add_node("scaled", Op::Binary(Binary::Mul), &[a, factor], float());
    let c = g.add_node("both", Op::Binary(Binary::Add), &[a, b], float());
    g.outputs = vec![c];
    let simple = check(&g, &[tensor(&[1, 2, 4, 4], 2)]);
    assert_eq!(simple.nodes.len(), 3);
}

#[test]
fn shapes_computed_by_the_graph_become_constants() {
    let mut g = Graph::new("shapes");
    g.symbols.push(Symbol {
        name: "n".to_owned(),
        min: 1,
        max: 8,
    });
    let dims = Some(vec![Dim::Symbol(0), Dim::Known(3), Dim::Known(4)]);
    let x = g.add_input(
        "x",
        TensorType {
            dtype: Dtype::F32,
            dims,
            quantization: None,
        },
    );
    let whole = TensorType::unshaped(Dtype::I64);
    let shape = g.add_node(
        "shape",
        Op::Shape {
            start: 0,
            end: Some(1),
        },
        &[x],
        whole.clone(),
    );
    let rest = g.add_constant("rest", Tensor::vector(vec![-1i64]));
    let target = g.add_node("target", Op::Concat { axis: 0 }, &[shape, rest], whole);
    let y = g.add_node("y", Op::Reshape { allow_zero: false }, &[x, target], float());
    g.outputs = vec![y];

    assert!(
        bind(&mut g, "x", Binding::Shape(vec![9, 3, 4]))
            .unwrap_err()
            .to_string()
            .contains("n in 1..=8")
    );
    assert!(
        bind(&mut g, "z", Binding::Shape(vec![1]))
            .unwrap_err()
            .to_string()
            .contains("one of the inputs x")
    );
    bind(&mut g, "x", Binding::Shape(vec![2, 3, 4])).unwrap();
    let simple = check(&g, &[tensor(&[2, 3, 4], 5)]);
    assert_eq!(simple.nodes.len(), 1);
    assert_eq!(
        simple.value(simple.outputs[0]).ty,
        TensorType::new(Dtype::F32, &[2, 12])
    );
}

#[test]
fn a_bound_input_chooses_the_branch() {
    let branch = |name: &str, factor: f32| {
        let mut b = Graph::new(name);
        let x = b.add_input("captured", float());
        let f = b.add_constant("f", Tensor::scalar(factor));
        let y = b.add_node("product", Op::Binary(Binary::Mul), &[x, f], float());
        b.outputs = vec![y];
        Box::new(b)
    };
    let mut g = Graph::new("rates");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[3]));
    let rate = g.add_input("rate", TensorType::new(Dtype::I64, &[]));
    let wanted = g.add_constant("wanted", Tensor::scalar(16_000i64));
    let equal = Op::Compare(limbic_graph::op::Compare::Equal);
    let same = g.add_node("same", equal, &[rate, wanted], TensorType::unshaped(Dtype::Bool));
    let y = g.add_value("y", float());
    g.nodes.push(Node {
        name: "if".to_owned(),
        op: Op::If {
            then: branch("then", 2.0),
            otherwise: branch("otherwise", 3.0),
        },
        inputs: vec![Some(same), Some(x)],
        outputs: vec![Some(y)],
    });
    g.outputs = vec![y];
    for (rate, factor) in [(16_000i64, 2.0f32), (8_000, 3.0)] {
        let mut bound = g.clone();
        bind(&mut bound, "rate", Binding::Constant(Tensor::scalar(rate))).unwrap();
        simplify(&mut bound).unwrap();
        assert_eq!(count(&bound, |op| matches!(op, Op::If { .. })), 0);
        let out = interpret::run(&bound, &[Tensor::vector(vec![1.0f32, 2.0, 3.0])]).unwrap();
        assert_eq!(out[0].to_f32(), [factor, 2.0 * factor, 3.0 * factor]);
    }
}

#[test]
fn gelu_and_layer_normalisation_in_parts_become_one_node_each() {
    let mut g = Graph::new("transformer");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 8]));
    let axes = g.add_constant("axes", Tensor::vector(vec![-1i64]));
    let mean = Op::Reduce {
        function: Reduce::Mean,
        keep_dims: true,
        noop_with_empty_axes: false,
    };
    let m = g.add_node("mean", mean.clone(), &[x, axes], float());
    let centred = g.add_node("centred", Op::Binary(Binary::Sub), &[x, m], float());
    let two = g.add_constant("two", Tensor::scalar(2.0f32));
    let square = g.add_node("square", Op::Binary(Binary::Pow), &[centred, two], float());
    let variance = g.add_node("variance", mean, &[square, axes], float());
    let epsilon = g.add_constant("epsilon", Tensor::scalar(1e-5f32));
    let sum = g.add_node("sum", Op::Binary(Binary::Add), &[variance, epsilon], float());
    let deviation = g.add_node("deviation", Op::Unary(Unary::Sqrt), &[sum], float());
    let quotient = g.add_node(
        "quotient",
        Op::Binary(Binary::Div),
        &[centred, deviation],
        float(),
    );
    let scale = g.add_constant("scale", tensor(&[8], 41));
    let bias = g.add_constant("bias", tensor(&[8], 42));
    let scaled = g.add_node("scaled", Op::Binary(Binary::Mul), &[quotient, scale], float());
    let normal = g.add_node("normal", Op::Binary(Binary::Add), &[scaled, bias], float());
    let root = g.add_constant("root", Tensor::scalar(std::f32::consts::SQRT_2));
    let one = g.add_constant("one", Tensor::scalar(1.0f32));
    let half = g.add_constant("half", Tensor::scalar(0.5f32));
    let scaled = g.add_node("over", Op::Binary(Binary::Div), &[normal, root], float());
    let erf = g.add_node("erf", Op::Unary(Unary::Erf), &[scaled], float());
    let bell = g.add_node("bell", Op::Binary(Binary::Add), &[erf, one], float());
    let product = g.add_node("product", Op::Binary(Binary::Mul), &[normal, bell], float());
    let y = g.add_node("y", Op::Binary(Binary::Mul), &[product, half], float());
    g.outputs = vec![y];
    let simple = check(&g, &[tensor(&[1, 2, 8], 6)]);
    assert_eq!(simple.nodes.len(), 2, "{:#?}", simple.nodes);
    assert_eq!(
        count(&simple, |op| matches!(op, Op::LayerNormalization { .. })),
        1
    );
    assert_eq!(
        count(&simple, |op| matches!(op, Op::Unary(Unary::Gelu { tanh: false }))),
        1
    );
}

#[test]
fn a_pad_of_zeros_moves_into_the_convolution_and_another_does_not() {
    for (value, left) in [(0.0f32, 1), (1.0, 2)] {
        let mut g = Graph::new("padded");
        let x = g.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 4, 4]));
        let pads = g.add_constant("pads", Tensor::vector(vec![0i64, 0, 1, 0, 0, 0, 0, 1]));
        let value = g.add_constant("value", Tensor::scalar(value));
        let padded = g.add_node(
            "pad",
            Op::Pad {
                mode: PadMode::Constant,
            },
            &[x, pads, value],
            float(),
        );
        let y = conv(&mut g, "y", padded, 3, 2, 3);
        g.outputs = vec![y];
        assert_eq!(check(&g, &[tensor(&[1, 2, 4, 4], 6)]).nodes.len(), left);
    }
}

#[test]
fn what_no_output_needs_is_removed_and_inputs_stay() {
    let mut g = Graph::new("dead");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[1, 1, 4, 4]));
    let _unused = g.add_input("unused", TensorType::new(Dtype::F32, &[2]));
    let pool = Pool {
        kind: PoolKind::Max,
        kernel: vec![2, 2],
        strides: vec![2, 2],
        dilations: vec![1, 1],
        padding: Padding::Explicit(vec![0; 4]),
        ceil_mode: false,
        column_major: false,
    };
    let y = g.add_node("y", Op::Pool(pool), &[x], float());
    let _nobody = g.add_node("nobody", Op::Unary(Unary::Exp), &[x], float());
    g.outputs = vec![y];
    let simple = check(&g, &[tensor(&[1, 1, 4, 4], 1), tensor(&[2], 1)]);
    assert_eq!((simple.nodes.len(), simple.values.len()), (1, 3));
}
