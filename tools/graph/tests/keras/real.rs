//! Keras checkpoints of other people, read from their HDF5 files.
//!
//! `real.json` holds what `tf_keras` answers, keyed by the SHA-256 of each input; `real.py` beside it made it.

use std::path::Path;

use limbic_checkpoint::Checkpoint;
use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Error, ErrorKind, Graph, interpret, keras};
use limbic_tests::shared;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::inputs;

/// Largest difference of an output, by its largest magnitude.
const TOLERANCE: f64 = 1e-4;

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn read(path: &Path) -> Graph {
    let checkpoint = Checkpoint::open(path).unwrap();
    keras::read(checkpoint.model_config().unwrap(), &mut |layer, weight| {
        let group = layer.split('/').next().unwrap_or(layer);
        let layers = checkpoint.keras_layers();
        let names: Vec<&str> = layers
            .iter()
            .filter(|l| l.name == group)
            .flat_map(|l| &l.weights)
            .map(String::as_str)
            .collect();
        let missing = || Error::new(ErrorKind::Name, layer, weight, format!("{names:?}"));
        checkpoint.read(keras::find_weight(&names, layer, weight).ok_or_else(missing)?)
    })
    .unwrap()
}

fn check(name: &str) {
    let Some(shared) = shared() else { return };
    let golden: Value = serde_json::from_str(include_str!("real.json")).unwrap();
    let golden = &golden[name];
    let path = shared.join("checkpoints").join(name);
    assert_eq!(
        golden["file"],
        digest(&std::fs::read(&path).unwrap()),
        "{name} is another file"
    );
    let mut graph = read(&path);
    if let Some(also) = golden["also"].as_str() {
        let also = graph.find(also).unwrap();
        graph.outputs.push(also);
    }
    let shape: Vec<usize> = serde_json::from_value(golden["shape"].clone()).unwrap();
    let input = graph.value(graph.inputs[0]).name.clone();
    bind(&mut graph, &input, Binding::Shape(shape)).unwrap();
    simplify(&mut graph).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 8);
    let mut largest = 0f64;
    for case in cases {
        let input = inputs::make(&case["input"], &graph.value(graph.inputs[0]).ty, &shared);
        assert_eq!(case["digest"], digest(&inputs::bytes(&input)));
        let outputs = interpret::run(&graph, &[input]).unwrap();
        let golden = case["outputs"].as_array().unwrap();
        assert_eq!(outputs.len(), golden.len());
        for (ours, golden) in outputs.iter().zip(golden) {
            let values: Vec<f64> = serde_json::from_value(golden["values"].clone()).unwrap();
            assert_eq!(golden["stride"], 1);
            assert_eq!(ours.len(), values.len());
            for (ours, theirs) in ours.to_f32().into_iter().zip(values) {
                let difference = (f64::from(ours) - theirs).abs() / golden["largest"].as_f64().unwrap();
                largest = largest.max(difference);
            }
        }
    }
    println!("{name}: {} cases, differs by {largest:e}", cases.len());
    assert!(largest <= TOLERANCE, "{name} differs by {largest:e}");
}

#[test]
fn mini_xception_answers_as_tf_keras_does() {
    check("mini_xception/fer2013_mini_XCEPTION.102-0.66.hdf5");
}

#[test]
fn tiny_xception_answers_as_tf_keras_does() {
    check("mini_xception/tiny_XCEPTION_KDEF.hdf5");
}

#[test]
fn visual_wake_words_answer_as_tf_keras_does() {
    check("mlperf_tiny/vww_96.h5");
}

#[test]
fn speech_emotion_answers_as_tf_keras_does() {
    check("speech_emotion/Emotion_Voice_Detection_Model.h5");
}
