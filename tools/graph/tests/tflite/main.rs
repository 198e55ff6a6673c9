//! TFLite checkpoints give the answers that LiteRT's reference kernels give.
//!
//! `golden.json` holds these answers, keyed by the SHA-256 of each input; `make.py` beside it made them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod inputs;
mod operators;
mod written;

use std::path::Path;

use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Graph, Tensor, interpret, tflite};
use limbic_tests::shared;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Largest difference of a floating-point output, by the largest magnitude of that output.
const FLOAT_TOLERANCE: f64 = 1e-4;

/// Share of integer outputs that may be more than one step away.
const FAR_SHARE: f64 = 1e-3;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A graph of the file whose open extents are those the file was stored with.
fn graph(bytes: &[u8]) -> Graph {
    let mut graph = tflite::read(bytes).unwrap();
    let bindings: Vec<(String, Vec<usize>)> = graph
        .inputs
        .iter()
        .map(|&id| {
            let value = graph.value(id);
            let dims = value.ty.dims.as_ref().unwrap();
            (
                value.name.clone(),
                dims.iter().map(|dim| dim.known().unwrap_or(1)).collect(),
            )
        })
        .collect();
    for (name, shape) in bindings {
        bind(&mut graph, &name, Binding::Shape(shape)).unwrap();
    }
    graph
}

#[derive(Debug, Default)]
struct Seen {
    float: f64,
    integers: usize,
    /// Integers that differ at all.
    near: usize,
    /// Integers that differ by more than one step.
    far: usize,
}

impl Seen {
    fn compare(&mut self, ours: &Tensor, golden: &Value) {
        let stride = golden["stride"].as_u64().unwrap() as usize;
        let values = golden["values"].as_array().unwrap();
        let shape: Vec<usize> = serde_json::from_value(golden["shape"].clone()).unwrap();
        assert_eq!(ours.shape(), shape);
        let ours = ours.to_f32();
        let ours: Vec<f64> = ours.into_iter().step_by(stride).map(f64::from).collect();
        assert_eq!(ours.len(), values.len());
        for (ours, golden_value) in ours.into_iter().zip(values) {
            let difference = (ours - golden_value.as_f64().unwrap()).abs();
            assert!(difference.is_finite());
            match golden["largest"].as_f64() {
                Some(largest) => self.float = self.float.max(difference / largest),
                None => {
                    self.integers += 1;
                    self.near += usize::from(difference > 0.0);
                    self.far += usize::from(difference > 1.0);
                }
            }
        }
    }
}

fn check(name: &str) {
    let Some(shared) = shared() else { return };
    let golden = &golden()[name];
    let file = std::fs::read(shared.join("checkpoints").join(name)).unwrap();
    assert_eq!(golden["file"], digest(&file), "{name} is another file");
    let plain = graph(&file);
    let mut simple = plain.clone();
    simplify(&mut simple).unwrap();
    let mut seen = Seen::default();
    let cases = golden["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for (n, case) in cases.iter().enumerate() {
        let inputs: Vec<Tensor> = simple
            .inputs
            .iter()
            .map(|&id| inputs::make(&case["input"], &simple.value(id).ty, &shared))
            .collect();
        let bytes: Vec<u8> = inputs.iter().flat_map(inputs::bytes).collect();
        assert_eq!(case["digest"], digest(&bytes), "input {n} is another");
        let outputs = interpret::run(&simple, &inputs).unwrap();
        let golden = case["outputs"].as_array().unwrap();
        assert_eq!(outputs.len(), golden.len());
        for (ours, golden) in outputs.iter().zip(golden) {
            seen.compare(ours, golden);
        }
        if n == 0 {
            // The passes keep the answers.
            let before = interpret::run(&plain, &inputs).unwrap();
            for (before, golden) in before.iter().zip(golden) {
                seen.compare(before, golden);
            }
        }
    }
    println!("{name}: {} cases, {seen:?}", cases.len());
    check_written(&simple, golden, &shared);
    assert!(seen.float <= FLOAT_TOLERANCE, "{name}: {seen:?}");
    assert!(
        seen.far as f64 <= FAR_SHARE * seen.integers as f64,
        "{name}: {seen:?}"
    );
}

/// The file that is written from a graph gives LiteRT's answers as well, and is written the same again.
fn check_written(graph: &Graph, golden: &Value, shared: &Path) {
    let written = tflite::write(graph).unwrap();
    assert!(written == tflite::write(graph).unwrap());
    let mut again = tflite::read(&written).unwrap();
    simplify(&mut again).unwrap();
    let case = &golden["cases"][0];
    let inputs: Vec<Tensor> = again
        .inputs
        .iter()
        .map(|&id| inputs::make(&case["input"], &again.value(id).ty, shared))
        .collect();
    let mut seen = Seen::default();
    for (ours, golden) in interpret::run(&again, &inputs)
        .unwrap()
        .iter()
        .zip(case["outputs"].as_array().unwrap())
    {
        seen.compare(ours, golden);
    }
    println!("written again: {} bytes, {seen:?}", written.len());
    assert!(seen.float <= FLOAT_TOLERANCE, "{seen:?}");
    assert!(seen.far as f64 <= FAR_SHARE * seen.integers as f64, "{seen:?}");
}

#[test]
fn face_detection_answers_as_litert_does() {
    check("face_detection/face_detection_short_range.tflite");
}

#[test]
fn face_landmarks_answer_as_litert_does() {
    check("face_detection/face_landmark.tflite");
}

#[test]
fn keyword_spotting_answers_as_litert_does() {
    check("mlperf_tiny/kws_ref_model_float32.tflite");
}

#[test]
fn keyword_spotting_in_int8_answers_as_litert_does() {
    check("mlperf_tiny/kws_ref_model.tflite");
}

#[test]
fn visual_wake_words_answer_as_litert_does() {
    check("mlperf_tiny/vww_96_float.tflite");
}

#[test]
fn visual_wake_words_in_int8_answer_as_litert_does() {
    check("mlperf_tiny/vww_96_int8.tflite");
}

#[test]
fn movie_reviews_answer_as_litert_does() {
    check("text_sentiment/movie_review_classifier.tflite");
}

#[test]
fn mobilenet_v1_in_uint8_answers_as_litert_does() {
    check("tflite/mobilenet_v1_0.25_128_quant.tflite");
}

#[test]
fn mobilenet_v2_in_int8_answers_as_litert_does() {
    check("tflite/tf2_mobilenet_v2_1.0_224_ptq.tflite");
}

#[test]
fn yamnet_answers_as_litert_does() {
    check("tflite/yamnet.tflite");
}
