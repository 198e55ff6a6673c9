use crate::dtype::Dtype;
use crate::error::ErrorKind;
use crate::graph::{Graph, ValueId};
use crate::infer::infer;
use crate::op::{Binary, GatherMode, Op, Reduce, Unary};
use crate::tensor::Tensor;
use crate::types::{Dim, Symbol, TensorType};

const BATCH: Dim = Dim::Symbol(0);

/// A graph with an input `[batch, extents...]`.
fn graph(extents: &[usize]) -> (Graph, ValueId) {
    let mut graph = Graph::new("test");
    graph.symbols.push(Symbol {
        name: "batch".into(),
        min: 1,
        max: 8,
    });
    let dims = std::iter::once(BATCH).chain(extents.iter().map(|&n| Dim::Known(n)));
    let ty = TensorType {
        dims: Some(dims.collect()),
        ..TensorType::unshaped(Dtype::F32)
    };
    let x = graph.add_input("x", ty);
    (graph, x)
}

fn check(graph: &mut Graph, value: ValueId, expected: &[Dim]) {
    infer(graph).unwrap();
    assert_eq!(graph.value(value).ty.dims.as_deref(), Some(expected));
}

fn node(graph: &mut Graph, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
    graph.add_node(name, op, inputs, TensorType::unshaped(Dtype::F32))
}

fn indices(graph: &mut Graph, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
    graph.add_node(name, op, inputs, TensorType::unshaped(Dtype::I64))
}

#[test]
fn symbols_pass_through_what_does_not_touch_them() {
    let (mut g, x) = graph(&[3, 4, 5]);
    let y = node(&mut g, "relu", Op::Unary(Unary::Relu), &[x]);
    let bias = g.add_constant("bias", Tensor::new(&[3, 1, 1], vec![0f32; 3]).unwrap());
    let y = node(&mut g, "add", Op::Binary(Binary::Add), &[y, bias]);
    let order = vec![0, 2, 3, 1];
    let y = node(&mut g, "transpose", Op::Transpose { permutation: order }, &[y]);
    check(&mut g, y, &[BATCH, Dim::Known(4), Dim::Known(5), Dim::Known(3)]);
    let flat = node(&mut g, "flatten", Op::Flatten { axis: 1 }, &[y]);
    check(&mut g, flat, &[BATCH, Dim::Known(60)]);
    let shape = g.add_constant("shape", Tensor::vector(vec![0i64, -1, 6]));
    let y = node(
        &mut g,
        "reshape",
        Op::Reshape { allow_zero: false },
        &[flat, shape],
    );
    check(&mut g, y, &[BATCH, Dim::Known(10), Dim::Known(6)]);
    let shape = g.add_constant("shape_2", Tensor::vector(vec![-1i64, 60]));
    let y = node(
        &mut g,
        "reshape_2",
        Op::Reshape { allow_zero: false },
        &[y, shape],
    );
    check(&mut g, y, &[BATCH, Dim::Known(60)]);
    let axes = g.add_constant("axes", Tensor::vector(vec![1i64]));
    let reduce = Op::Reduce {
        function: Reduce::Mean,
        keep_dims: true,
        noop_with_empty_axes: false,
    };
    let y = node(&mut g, "mean", reduce, &[y, axes]);
    check(&mut g, y, &[BATCH, Dim::Known(1)]);
}

#[test]
fn what_depends_on_a_symbol_is_unknown() {
    let (mut g, x) = graph(&[3]);
    let y = node(&mut g, "flatten", Op::Flatten { axis: 2 }, &[x]);
    let joined = node(&mut g, "concat", Op::Concat { axis: 0 }, &[x, x]);
    infer(&mut g).unwrap();
    assert_eq!(g.value(y).ty.dims, None);
    assert_eq!(g.value(joined).ty.dims, None);
}

#[test]
fn arithmetic_on_shapes_ends_in_numbers() {
    let mut g = Graph::new("test");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[2, 3, 4]));
    let shape = indices(&mut g, "shape", Op::Shape { start: 0, end: None }, &[x]);
    let last = g.add_constant("last", Tensor::scalar(-1i64));
    let gather = Op::Gather(GatherMode::Slices { axis: 0 });
    let width = indices(&mut g, "width", gather, &[shape, last]);
    let two = g.add_constant("two", Tensor::scalar(2i64));
    let half = indices(&mut g, "half", Op::Binary(Binary::Div), &[width, two]);
    let zero = g.add_constant("zero", Tensor::vector(vec![0i64]));
    let half = indices(&mut g, "half_vector", Op::Unsqueeze, &[half, zero]);
    let minus = g.add_constant("minus", Tensor::vector(vec![-1i64]));
    let to = indices(&mut g, "to", Op::Concat { axis: 0 }, &[minus, half]);
    let y = node(&mut g, "y", Op::Reshape { allow_zero: false }, &[x, to]);
    check(&mut g, y, &[Dim::Known(12), Dim::Known(2)]);
    assert_eq!(g.constant(to), Some(&Tensor::vector(vec![-1i64, 2])));
    g.outputs.push(y);
    // The nodes are still there, and the graph is one that can run.
    assert_eq!(g.nodes.len(), 6);
    g.check().unwrap();
    let x = Tensor::new(&[2, 3, 4], (0..24).map(|n| n as f32).collect::<Vec<_>>()).unwrap();
    let found = crate::interpret::run(&g, std::slice::from_ref(&x)).unwrap();
    assert_eq!(found[0], x.reshaped(&[12, 2]).unwrap());
}

#[test]
fn known_extents_of_a_partly_known_shape_are_constants() {
    let (mut g, x) = graph(&[3, 4]);
    let whole = indices(&mut g, "whole", Op::Shape { start: 0, end: None }, &[x]);
    let tail = indices(&mut g, "tail", Op::Shape { start: 1, end: None }, &[x]);
    infer(&mut g).unwrap();
    assert_eq!(g.constant(whole), None);
    assert_eq!(g.constant(tail), Some(&Tensor::vector(vec![3i64, 4])));
}

#[test]
fn contradictions_name_the_node_and_the_value() {
    let mut g = Graph::new("test");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[2, 3]));
    g.add_node(
        "relu",
        Op::Unary(Unary::Relu),
        &[x],
        TensorType::new(Dtype::F32, &[3, 2]),
    );
    let error = infer(&mut g).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(error.to_string().contains("node relu, value relu"), "{error}");
}

/// A branch that adds a constant to its input.
fn branch(name: &str, constant: Tensor) -> Graph {
    let mut g = Graph::new(name);
    let x = g.add_input("x", TensorType::unshaped(Dtype::F32));
    let c = g.add_constant("c", constant);
    let y = node(&mut g, "add", Op::Binary(Binary::Add), &[x, c]);
    g.outputs.push(y);
    g
}

#[test]
fn a_known_condition_gives_the_extents_of_its_branch() {
    let wide = Tensor::new(&[2, 3], vec![1f32; 6]).unwrap();
    let choice = Op::If {
        then: Box::new(branch("then", Tensor::scalar(1f32))),
        otherwise: Box::new(branch("otherwise", wide)),
    };
    let mut g = Graph::new("test");
    let x = g.add_input("x", TensorType::new(Dtype::F32, &[3]));
    let condition = g.add_input("condition", TensorType::new(Dtype::Bool, &[]));
    let y = node(&mut g, "if", choice.clone(), &[condition, x]);
    g.outputs.push(y);
    infer(&mut g).unwrap();
    assert_eq!(g.value(y).ty.dims, None);
    let x3 = Tensor::vector(vec![1f32, 2.0, 3.0]);
    let run = |truth: bool| {
        let found = crate::interpret::run(&g, &[x3.clone(), Tensor::scalar(truth)]);
        found.unwrap().remove(0)
    };
    assert_eq!(run(true), Tensor::vector(vec![2f32, 3.0, 4.0]));
    assert_eq!(run(false).shape(), [2, 3]);
    let known = g.add_constant("known", Tensor::scalar(false));
    let z = node(&mut g, "if_known", choice, &[known, x]);
    check(&mut g, z, &[Dim::Known(2), Dim::Known(3)]);
}

#[test]
fn an_empty_constant_of_vast_extents_is_not_computed_with() {
    let sum = Op::Reduce {
        function: crate::op::Reduce::Sum,
        keep_dims: false,
        noop_with_empty_axes: false,
    };
    for (extents, folded) in [([3, 0], true), ([1 << 40, 0], false)] {
        let mut g = Graph::new("test");
        let x = g.add_constant("x", Tensor::new(&extents, Vec::<f32>::new()).unwrap());
        let y = node(&mut g, "sum", sum.clone(), &[x]);
        g.outputs.push(y);
        infer(&mut g).unwrap();
        assert_eq!(g.constant(y).is_some(), folded);
        assert_eq!(crate::passes::fold_constants(&mut g).unwrap(), folded);
    }
}
