//! `limbic inspect` of graphs that other systems wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::{Value, json};
use support::limbic;

const GRAPHS: &str = "tools/graph/fuzz/seeds";

/// What is printed of a graph, and the document of `--json`.
fn inspect(file: &str) -> (String, Value) {
    let path = format!("{GRAPHS}/{file}");
    let text = limbic(&["inspect", &path]).expect(0).stdout;
    let json = limbic(&["inspect", "--json", &path]).expect(0).stdout;
    (text, serde_json::from_str(&json).unwrap())
}

#[test]
fn an_onnx_file_is_listed_with_its_interface_operators_and_cost() {
    let (text, json) = inspect("onnx/picture.onnx");
    assert_eq!(
        text,
        "\
tools/graph/fuzz/seeds/onnx/picture.onnx
  format        ONNX, 584 bytes
  parameters    34, 136 bytes
  producer      seeds
  versions      IR 8, opset of ai.onnx 17
  MACs          294

inputs
  f32  [N, 1, 8, 8]          x

outputs
  f32  [N, 3]                y

operators
      1  BatchNormalization
      1  Conv
      1  Flatten
      1  Gemm
      1  GlobalAveragePool
      1  MaxPool
      1  Relu
      1  Resize
"
    );
    assert_eq!(json["inputs"][0]["shape"], json!(["N", "1", "8", "8"]));
    assert_eq!(json["versions"]["opset of ai.onnx"], 17);
    // Sixteen places with nine products for each of two channels, and three of two.
    assert_eq!(json["macs"], 16 * 9 * 2 + 3 * 2);
    assert_eq!(json["refused"], json!([]));
}

#[test]
fn custom_and_unsupported_operators_are_all_named() {
    let (text, json) = inspect("onnx/custom.onnx");
    let behind = text.split_once("operators\n").unwrap().1;
    assert_eq!(
        behind,
        "      1  Add
      1  RandomNormalLike
      2  com.example::Swirl  (custom)

not convertible
  RandomNormalLike-1 (node noise)
  com.example::Swirl (node swirl_1)
  com.example::Swirl (node swirl_2)
"
    );
    assert_eq!(json["macs"], Value::Null);
    assert_eq!(json["refused"].as_array().unwrap().len(), 3);
    assert_eq!(json["operators"][2]["custom"], true);
}

#[test]
fn a_tflite_file_is_listed_in_the_words_of_its_schema() {
    let (text, json) = inspect("tflite/int8.tflite");
    for words in [
        "TFLite, 3416 bytes",
        "schema 3",
        "i8   [?, 8, 8, 1]",
        "1  DEPTHWISE_CONV_2D",
    ] {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }
    assert_eq!(json["format"], "TFLite");
    assert_eq!(json["inputs"][0]["dtype"], "i8");
    assert_eq!(json["macs"], 16 * 9 * 2 + 16 * 9 * 2 + 8 * 3);
}

#[test]
fn a_keras_file_is_listed_with_its_layers_and_cost() {
    let file = "tools/checkpoint/tests/fixtures/model.h5";
    let text = limbic(&["inspect", file]).expect(0).stdout;
    let graph = text.split_once("\ngraph\n").unwrap().1;
    for words in ["MACs          8", "f32  [?, 4]", "f32  [1, 2]", "1  Dense"] {
        assert!(graph.contains(words), "no `{words}` in:\n{graph}");
    }
    let json = limbic(&["inspect", "--json", file]).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["graph"]["macs"], 8);
    assert_eq!(json["graph"]["refused"], json!([]));
}

#[test]
fn a_file_that_only_claims_to_be_a_graph_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.onnx", "a.tflite"] {
        let path = folder.path().join(name);
        std::fs::write(&path, b"no graph at all").unwrap();
        limbic(&["inspect", path.to_str().unwrap()])
            .expect(2)
            .says(&[name]);
    }
}
