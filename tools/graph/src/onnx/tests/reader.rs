use std::collections::HashMap;

use super::{answers, graph, info, model, node, read_one, refusal};
use crate::error::ErrorKind;
use crate::onnx::wire::Message;
use crate::onnx::{interface, read, read_bound, read_tensor, with_defaults};
use crate::tensor::Tensor;
use crate::types::Dim;
use crate::{Dtype, interpret};

#[test]
fn softmax_before_version_13_runs_over_all_axes_from_one_on() {
    let input: Vec<f32> = (0..12).map(|n| n as f32 / 3.0).collect();
    for op_type in ["Softmax", "LogSoftmax", "Hardmax"] {
        let node = node(op_type, &["x"], &["y"]).int("axis", 1);
        let found = answers(11, node, &[2, 3, 2], input.clone(), &["y"]);
        assert_eq!(found[0].shape(), [2, 3, 2]);
        for row in found[0].to_f32().chunks(6) {
            let sum: f32 = row
                .iter()
                .map(|&v| if op_type == "LogSoftmax" { v.exp() } else { v })
                .sum();
            assert!((sum - 1.0).abs() < 1e-6, "{op_type}: {sum}");
        }
    }
}

#[test]
fn softmax_from_version_13_on_runs_along_one_axis() {
    let input: Vec<f32> = (0..12).map(|n| n as f32 / 3.0).collect();
    let found = answers(13, node("Softmax", &["x"], &["y"]), &[2, 3, 2], input, &["y"]);
    for row in found[0].to_f32().chunks(2) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn attributes_that_became_inputs_are_read_as_such() {
    let x = vec![1.0, -2.0, 3.0, -4.0, 5.0, -6.0];
    let check = |opset, node, shape: &[usize], expected: &[f32], expected_shape: &[usize]| {
        let found = answers(opset, node, shape, x.clone(), &["y"]);
        assert_eq!(
            (found[0].to_f32().as_slice(), found[0].shape()),
            (expected, expected_shape)
        );
    };
    let one = |op_type| node(op_type, &["x"], &["y"]);
    check(
        7,
        one("Clip").float("max", 2.0),
        &[6],
        &[1.0, -2.0, 2.0, -4.0, 2.0, -6.0],
        &[6],
    );
    let slice = one("Slice")
        .ints("starts", &[1])
        .ints("ends", &[3])
        .ints("axes", &[1]);
    check(9, slice, &[2, 3], &[-2.0, 3.0, 5.0, -6.0], &[2, 2]);
    let pad = one("Pad").ints("pads", &[1, 0]).float("value", 9.0);
    check(7, pad, &[6], &[9.0, 1.0, -2.0, 3.0, -4.0, 5.0, -6.0], &[7]);
    check(11, one("Squeeze").ints("axes", &[0]), &[1, 6], &x, &[6]);
    check(11, one("Unsqueeze").ints("axes", &[0, 2]), &[6], &x, &[1, 6, 1]);
    check(
        13,
        one("ReduceMax").ints("axes", &[1]).int("keepdims", 0),
        &[2, 3],
        &[3.0, 5.0],
        &[2],
    );
    check(
        11,
        one("ReduceSum").ints("axes", &[0]),
        &[2, 3],
        &[-3.0, 3.0, -3.0],
        &[1, 3],
    );
    let upsample = one("Upsample").floats("scales", &[1.0, 1.0, 1.0, 2.0]);
    let doubled: Vec<f32> = x.iter().flat_map(|&v| [v, v]).collect();
    check(7, upsample, &[1, 1, 2, 3], &doubled, &[1, 1, 2, 6]);
}

#[test]
fn split_and_top_k_of_old_versions_have_all_their_outputs() {
    let x = vec![1.0, -2.0, 3.0, -4.0, 5.0, -6.0];
    let split = node("Split", &["x"], &["a", "b"]).ints("split", &[2, 4]);
    let found = answers(11, split, &[6], x.clone(), &["a", "b"]);
    assert_eq!(found[0].to_f32(), [1.0, -2.0]);
    assert_eq!(found[1].to_f32(), [3.0, -4.0, 5.0, -6.0]);
    let found = answers(
        9,
        node("TopK", &["x"], &["v", "i"]).int("k", 2),
        &[6],
        x.clone(),
        &["v", "i"],
    );
    assert_eq!(found[0].to_f32(), [5.0, 3.0]);
    assert_eq!(found[1].to_i64().unwrap(), [4, 2]);
    let found = answers(
        12,
        node("Dropout", &["x"], &["y", "mask"]),
        &[6],
        x.clone(),
        &["y", "mask"],
    );
    assert_eq!(found[0].to_f32(), x);
    assert_eq!(found[1].to_i64().unwrap(), [1; 6]);
}

#[test]
fn all_that_is_not_supported_is_listed_at_once_with_node_names() {
    let nodes = vec![
        node("Loop", &["", "", "x"], &["a"]).named("loop"),
        node("Relu", &["a"], &["b"]),
        node("FusedConv", &["x", "b"], &["c"])
            .named("fused")
            .domain("com.microsoft"),
        node("Gelu", &["x"], &["d"])
            .named("gelu")
            .text("approximate", "sine"),
        node("Relu", &["x"], &["e"]).named("relu").int("depth", 3),
        node("NoSuch", &["c"], &["f"]).named("none"),
    ];
    let inputs = vec![info("x", 1, &["2"]), info("s", 8, &["2"])];
    let error = refusal(&model(20, graph(nodes, inputs, &["f"], &[])).into_bytes());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.found(),
        "input s: elements of string; Loop-19 (node loop); com.microsoft::FusedConv (node fused); \
         Gelu-20 (node gelu): attribute approximate: sine instead of none or tanh; \
         Relu-14 (node relu): attribute depth: one instead of none of this name; NoSuch-20 (node none)"
    );
}

#[test]
fn opsets_outside_of_the_known_ones_are_refused() {
    for opset in [6, 29] {
        let error = read_one(opset, node("Relu", &["x"], &["y"]), &["2"], &["y"]).unwrap_err();
        assert_eq!(
            (error.kind(), error.found()),
            (ErrorKind::Unsupported, format!("opset {opset}").as_str())
        );
    }
}

#[test]
fn functions_of_the_model_are_written_out_in_place() {
    let mut function = Message::default();
    function.text(1, "Scaled");
    function.text(10, "own");
    function.text(4, "a");
    function.text(4, "left_out");
    function.text(5, "result");
    function.text(6, "alpha");
    let leaky = node("LeakyRelu", &["a"], &["t"]).attribute("alpha", 1, |m| m.text(21, "alpha"));
    function.message(7, leaky.0);
    function.message(7, node("Clip", &["t", "left_out"], &["result"]).0);
    let mut id = Message::default();
    id.integer(2, 16);
    function.message(9, id);
    let nodes = vec![
        node("Scaled", &["x"], &["y"])
            .named("first")
            .domain("own")
            .float("alpha", 0.5),
        node("Scaled", &["y"], &["z"])
            .named("second")
            .domain("own")
            .float("alpha", 0.25),
    ];
    let mut model = model(16, graph(nodes, vec![info("x", 1, &["2"])], &["y", "z"], &[]));
    model.message(25, function);
    let graph = read(&model.into_bytes(), None).unwrap();
    let names: Vec<&str> = graph
        .outputs
        .iter()
        .map(|id| graph.value(*id).name.as_str())
        .collect();
    assert_eq!(names, ["y", "z"]);
    assert!(graph.find("first/t").is_some() && graph.find("second/t").is_some());
    let found = interpret::run(&graph, &[Tensor::vector(vec![4f32, -8.0])]).unwrap();
    assert_eq!(found[0].to_f32(), [4.0, -4.0]);
    assert_eq!(found[1].to_f32(), [4.0, -1.0]);
}

#[test]
fn branches_take_what_they_read_around_them() {
    let then = graph(vec![node("Add", &["x", "two"], &["t"])], vec![], &["t"], &[]);
    let inner = graph(vec![node("Neg", &["x"], &["n"])], vec![], &["n"], &[]);
    let deep = graph(vec![node("Abs", &["x"], &["n"])], vec![], &["n"], &[]);
    let nested = node("If", &["c"], &["m"])
        .graph("then_branch", inner)
        .graph("else_branch", deep);
    let otherwise = graph(vec![nested], vec![], &["m"], &[]);
    let branch = node("If", &["c"], &["y"])
        .graph("then_branch", then)
        .graph("else_branch", otherwise);
    let inputs = vec![info("c", 9, &[]), info("x", 1, &["2"])];
    let two = Tensor::vector(vec![2f32]);
    let bytes = model(16, graph(vec![branch], inputs, &["y"], &[("two", two)])).into_bytes();
    let graph = read(&bytes, None).unwrap();
    let x = Tensor::vector(vec![-1f32, 5.0]);
    let found = interpret::run(&graph, &[Tensor::scalar(true), x.clone()]).unwrap();
    assert_eq!(found[0].to_f32(), [1.0, 7.0]);
    let found = interpret::run(&graph, &[Tensor::scalar(false), x.clone()]).unwrap();
    assert_eq!(found[0].to_f32(), [1.0, 5.0]);
    let bound = HashMap::from([("c".to_owned(), Tensor::scalar(true))]);
    let graph = read_bound(&bytes, None, &bound).unwrap();
    assert_eq!(interpret::run(&graph, &[x]).unwrap()[0].to_f32(), [1.0, 7.0]);
}

#[test]
fn empty_and_repeated_node_names_become_unique() {
    let nodes = vec![
        node("Relu", &["x"], &["a"]),
        node("Relu", &["a"], &["b"]).named("a"),
        node("Relu", &["b"], &["c"]).named("a"),
    ];
    let graph = read(
        &model(14, graph(nodes, vec![info("x", 1, &["2"])], &["c"], &[])).into_bytes(),
        None,
    )
    .unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["a", "a_2", "a_3"]);
    graph.check().unwrap();
}

#[test]
fn equal_names_of_extents_are_one_symbol() {
    let nodes = vec![node("Add", &["x", "y"], &["z"])];
    let inputs = vec![info("x", 1, &["batch", "3"]), info("y", 1, &["batch", "length"])];
    let graph = read(&model(14, graph(nodes, inputs, &["z"], &[])).into_bytes(), None).unwrap();
    let names: Vec<&str> = graph.symbols.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["batch", "length"]);
    let dims = graph.value(graph.inputs[1]).ty.dims.clone().unwrap();
    assert_eq!(dims, [Dim::Symbol(0), Dim::Symbol(1)]);
    assert_eq!(
        (graph.symbols[0].min, graph.symbols[0].max),
        (1, crate::onnx::MAX_EXTENT)
    );
}

#[test]
fn inputs_with_a_default_value_become_constants() {
    let inputs = vec![info("x", 1, &["2"]), info("w", 1, &["2"])];
    let w = Tensor::vector(vec![3f32, 4.0]);
    let plain = model(
        14,
        graph(vec![node("Mul", &["x", "w"], &["y"])], inputs, &["y"], &[]),
    )
    .into_bytes();
    let bytes = with_defaults(&plain, &HashMap::from([("w".to_owned(), w)]));
    let graph = read(&bytes, None).unwrap();
    assert_eq!(graph.inputs.len(), 1);
    let found = interpret::run(&graph, &[Tensor::vector(vec![1f32, 2.0])]).unwrap();
    assert_eq!(found[0].to_f32(), [3.0, 8.0]);
    let inputs = |bytes: &[u8]| interface(bytes).unwrap().inputs.len();
    assert_eq!((inputs(&plain), inputs(&bytes)), (2, 1));
}

#[test]
fn a_bound_input_must_exist_and_fit() {
    let bytes = model(
        14,
        graph(
            vec![node("Relu", &["x"], &["y"])],
            vec![info("x", 1, &["2"])],
            &["y"],
            &[],
        ),
    );
    let bytes = bytes.into_bytes();
    let check = |name: &str, tensor: Tensor, kind| {
        let bound = HashMap::from([(name.to_owned(), tensor)]);
        assert_eq!(read_bound(&bytes, None, &bound).unwrap_err().kind(), kind);
    };
    check("z", Tensor::vector(vec![1f32]), ErrorKind::Name);
    check("x", Tensor::vector(vec![1i64, 2]), ErrorKind::Dtype);
    check("x", Tensor::vector(vec![1f32]), ErrorKind::Shape);
}

#[test]
fn inputs_that_say_a_shape_are_told_from_data() {
    let nodes = vec![
        node("Reshape", &["x", "shape"], &["a"]),
        node("ReduceSum", &["a", "axes"], &["y"]),
    ];
    let inputs = vec![
        info("x", 1, &["6"]),
        info("shape", 7, &["2"]),
        info("axes", 7, &["1"]),
    ];
    let interface = interface(&model(14, graph(nodes, inputs, &["y"], &[])).into_bytes()).unwrap();
    let shapes: Vec<bool> = interface.inputs.iter().map(|input| input.shape_only).collect();
    assert_eq!(shapes, [false, true, true]);
    assert_eq!(interface.outputs, ["y"]);
}

#[test]
fn shapes_that_a_file_computes_are_known_after_reading() {
    let nodes = vec![
        node("Shape", &["x"], &["s"]),
        node("Gather", &["s", "first"], &["n"]),
        node("Concat", &["n", "rest"], &["target"]).int("axis", 0),
        node("Reshape", &["x", "target"], &["y"]),
    ];
    let constants = [
        ("first", Tensor::vector(vec![0i64])),
        ("rest", Tensor::vector(vec![-1i64])),
    ];
    let graph = graph(nodes, vec![info("x", 1, &["2", "3", "4"])], &["y"], &constants);
    let graph = read(&model(14, graph).into_bytes(), None).unwrap();
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.value(graph.outputs[0]).ty.shape().unwrap(), [2, 12]);
}

#[test]
fn elements_are_read_from_typed_fields_and_raw_bytes_alike() {
    let mut packed = Message::default();
    packed.integer(1, 3);
    packed.integer(2, 3);
    packed.bytes(
        5,
        &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 3],
    );
    let tensor = read_tensor(&packed.into_bytes()).unwrap();
    assert_eq!(
        (tensor.dtype(), tensor.to_i64().unwrap()),
        (Dtype::I8, vec![1, -1, 3])
    );
    let mut raw = Message::default();
    raw.integer(1, 2);
    raw.integer(2, 10);
    raw.bytes(9, &[0x00, 0x3c, 0x00, 0xc0]);
    assert_eq!(read_tensor(&raw.into_bytes()).unwrap().to_f32(), [1.0, -2.0]);
}
