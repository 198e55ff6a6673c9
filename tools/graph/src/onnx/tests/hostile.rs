use std::path::Path;

use super::{graph, info, model, node, refusal};
use crate::error::{ErrorKind, Result};
use crate::graph::Graph;
use crate::onnx::wire::Message;
use crate::onnx::{read, read_tensor};
use crate::tensor::Tensor;

#[test]
fn no_part_of_a_file_makes_the_reader_panic() {
    let then = graph(vec![node("Neg", &["x"], &["t"])], vec![], &["t"], &[]);
    let otherwise = graph(vec![node("Abs", &["x"], &["t"])], vec![], &["t"], &[]);
    let nodes = vec![
        node("If", &["c"], &["a"])
            .graph("then_branch", then)
            .graph("else_branch", otherwise),
        node("Softmax", &["a"], &["b"]).int("axis", 0),
        node("Clip", &["b"], &["y"]).float("max", 2.0),
    ];
    let constants = [("c", Tensor::scalar(true))];
    let bytes = model(
        9,
        graph(nodes, vec![info("x", 1, &["n", "2"])], &["y"], &constants),
    )
    .into_bytes();
    for length in 0..bytes.len() {
        let _ = read(&bytes[..length], None);
    }
    for place in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            let _ = read(&damaged, None);
        }
    }
}

#[test]
fn graphs_inside_each_other_end() {
    let mut inner = graph(vec![], vec![], &[], &[]);
    for _ in 0..100 {
        let branch = node("If", &["c"], &["y"]).graph("then_branch", inner);
        inner = graph(vec![branch], vec![], &["y"], &[]);
    }
    assert_eq!(refusal(&model(16, inner).into_bytes()).kind(), ErrorKind::Limit);
}

#[test]
fn a_function_that_calls_itself_ends() {
    let mut function = Message::default();
    function.text(1, "Again");
    function.text(10, "own");
    function.text(4, "a");
    function.text(5, "b");
    function.message(7, node("Again", &["a"], &["b"]).domain("own").0);
    let call = node("Again", &["x"], &["y"]).domain("own");
    let mut model = model(16, graph(vec![call], vec![info("x", 1, &["2"])], &["y"], &[]));
    model.message(25, function);
    assert_eq!(refusal(&model.into_bytes()).kind(), ErrorKind::Limit);
}

#[test]
fn many_empty_nodes_are_too_many() {
    let mut graph = Message::default();
    for _ in 0..=1 << 21 {
        graph.bytes(1, &[]);
    }
    assert_eq!(refusal(&model(16, graph).into_bytes()).kind(), ErrorKind::Limit);
}

#[test]
fn elements_must_be_as_many_as_the_extents_say() {
    let check = |dims: &[i64], bytes: &[u8]| {
        let mut tensor = Message::default();
        dims.iter().for_each(|&d| tensor.integer(1, d));
        tensor.integer(2, 1);
        tensor.bytes(9, bytes);
        assert_eq!(
            read_tensor(&tensor.into_bytes()).unwrap_err().kind(),
            ErrorKind::Malformed
        );
    };
    check(&[2], &[0; 4]);
    check(&[1], &[0; 8]);
    check(&[-1], &[0; 4]);
    check(&[1 << 60], &[0; 4]);
    check(&[1 << 40, 1 << 40], &[0; 4]);
}

/// Reads a model whose constant lies in another file.
fn read_external(folder: Option<&Path>, location: &str, offset: &str) -> Result<Graph> {
    let mut tensor = Message::default();
    tensor.integer(1, 2);
    tensor.integer(2, 1);
    tensor.text(8, "w");
    for (key, value) in [("location", location), ("offset", offset), ("length", "8")] {
        let mut entry = Message::default();
        entry.text(1, key);
        entry.text(2, value);
        tensor.message(13, entry);
    }
    tensor.integer(14, 1);
    let nodes = vec![node("Mul", &["x", "w"], &["y"])];
    let mut graph = graph(nodes, vec![info("x", 1, &["2"])], &["y"], &[]);
    graph.message(5, tensor);
    read(&model(14, graph).into_bytes(), folder)
}

#[test]
fn external_data_is_read_inside_the_folder_only() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    let bytes: Vec<u8> = [0f32, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(folder.join("w.bin"), &bytes).unwrap();
    std::fs::write(outside.path().join("out.bin"), &bytes).unwrap();

    let graph = read_external(Some(&folder), "w.bin", "4").unwrap();
    assert_eq!(
        graph.constant(graph.find("w").unwrap()).unwrap().to_f32(),
        [3.0, 4.0]
    );

    let refused = |location: &str, offset: &str, kind| {
        assert_eq!(
            read_external(Some(&folder), location, offset).unwrap_err().kind(),
            kind,
            "{location}"
        );
    };
    refused("w.bin", "8", ErrorKind::Malformed);
    refused("w.bin", "18446744073709551615", ErrorKind::Malformed);
    refused("../out.bin", "0", ErrorKind::Malformed);
    refused(
        outside.path().join("out.bin").to_str().unwrap(),
        "0",
        ErrorKind::Malformed,
    );
    refused("none.bin", "0", ErrorKind::Io);
    assert_eq!(
        read_external(None, "w.bin", "0").unwrap_err().kind(),
        ErrorKind::Malformed
    );
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outside.path().join("out.bin"), folder.join("link.bin")).unwrap();
        refused("link.bin", "0", ErrorKind::Malformed);
    }
}
