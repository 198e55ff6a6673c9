//! Checkpoints that others trained, read from their own formats: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check};
use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Dtype, Graph, Tensor, tflite};
use limbic_tests::shared;

/// A graph whose open extents are 1, simplified.
fn bound(mut graph: Graph) -> Graph {
    let inputs = graph.inputs.clone();
    for id in inputs {
        let value = graph.value(id);
        let dims = value.ty.dims.clone().unwrap();
        let shape = dims.iter().map(|dim| dim.known().unwrap_or(1)).collect();
        let name = value.name.clone();
        bind(&mut graph, &name, Binding::Shape(shape)).unwrap();
    }
    simplify(&mut graph).unwrap();
    graph
}

/// Inputs of the graph's types: integers of all sizes, real numbers from -1 to 1.
fn inputs(graph: &Graph, seed: u64) -> Vec<Tensor> {
    let mut random = Random(seed);
    let make = |id: &limbic_graph::ValueId| {
        let ty = &graph.value(*id).ty;
        let shape = ty.shape().unwrap();
        let count = shape.iter().product();
        let tensor = match ty.dtype {
            Dtype::F32 => random.reals(&shape),
            Dtype::I8 => random.int8s(&shape),
            Dtype::U8 => {
                let bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
                Tensor::new(&shape, bytes).unwrap()
            }
            other => panic!("no input of {other}"),
        };
        tensor.with_quantization(ty.quantization.clone())
    };
    graph.inputs.iter().map(make).collect()
}

/// Runs a file's graph on some inputs: integers must be equal, real numbers within `tolerance` of the greatest.
fn compare(name: &str, read: fn(&[u8]) -> limbic_graph::Result<Graph>, tolerance: f32) {
    let Some(folder) = shared() else { return };
    let bytes = std::fs::read(folder.join("checkpoints").join(name)).unwrap();
    let graph = bound(read(&bytes).unwrap());
    for seed in [3, 1_000_003] {
        check(&graph, &inputs(&graph, seed), tolerance);
    }
}

#[test]
fn short_range_face_detection() {
    compare(
        "face_detection/face_detection_short_range.tflite",
        tflite::read,
        1e-4,
    );
}

#[test]
fn face_landmarks() {
    compare("face_detection/face_landmark.tflite", tflite::read, 1e-4);
}

#[test]
fn keyword_spotting() {
    compare("mlperf_tiny/kws_ref_model.tflite", tflite::read, 0.0);
    compare("mlperf_tiny/kws_ref_model_float32.tflite", tflite::read, 1e-4);
}

#[test]
fn visual_wake_words() {
    compare("mlperf_tiny/vww_96_int8.tflite", tflite::read, 0.0);
    compare("mlperf_tiny/vww_96_float.tflite", tflite::read, 1e-4);
}

#[test]
fn movie_reviews() {
    compare(
        "text_sentiment/movie_review_classifier.tflite",
        tflite::read,
        1e-4,
    );
}

#[test]
fn mobilenets() {
    compare("tflite/mobilenet_v1_0.25_128_quant.tflite", tflite::read, 0.0);
    compare("tflite/tf2_mobilenet_v2_1.0_224_ptq.tflite", tflite::read, 0.0);
}

#[test]
fn yamnet() {
    compare("tflite/yamnet.tflite", tflite::read, 1e-4);
}
