//! Keras models give the answers that `tf_keras` gives.
//!
//! `golden.json` holds one small model for each kind of layer, and these answers; `make.py` beside it made them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../tflite/inputs.rs"]
mod inputs;
mod real;

use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Dim, ErrorKind, Graph, Result, Tensor, interpret, keras};
use serde_json::{Value, json};

/// Largest difference of an output, by its largest magnitude.
const TOLERANCE: f64 = 1e-5;

/// SplitMix64 seeded by FNV-1a of a name: numbers of -0.5 to 0.5.
fn noise(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1..=shape.iter().product::<usize>() as u64)
        .map(|n| {
            let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect()
}

fn weight(tables: &Value, layer: &str, weight: &str) -> Tensor {
    let group = layer.split('/').next().unwrap();
    let table = tables.as_array().unwrap().iter().find(|t| t[0] == group);
    let table = table.unwrap_or_else(|| panic!("no weights of {layer}"))[1]
        .as_array()
        .unwrap();
    let names: Vec<&str> = table.iter().map(|w| w[0].as_str().unwrap()).collect();
    let name =
        keras::find_weight(&names, layer, weight).unwrap_or_else(|| panic!("{layer} {weight} in {names:?}"));
    let entry = table.iter().find(|w| w[0] == name).unwrap();
    let shape: Vec<usize> = serde_json::from_value(entry[1].clone()).unwrap();
    let mut values = noise(name, &shape);
    if name.contains("variance") {
        values.iter_mut().for_each(|v| *v += 1.0);
    }
    Tensor::new(&shape, values).unwrap()
}

fn read(case: &Value) -> Result<Graph> {
    let config = case["config"].to_string();
    keras::read(&config, &mut |layer, name| {
        Ok(weight(&case["weights"], layer, name))
    })
}

fn largest_difference(case: &Value, outputs: &[Tensor]) -> f64 {
    let golden = case["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), golden.len(), "{}", case["name"]);
    let mut largest: f64 = 0.0;
    for (ours, golden) in outputs.iter().zip(golden) {
        let shape: Vec<usize> = serde_json::from_value(golden["shape"].clone()).unwrap();
        assert_eq!(ours.shape(), shape, "{}", case["name"]);
        let golden: Vec<f64> = serde_json::from_value(golden["values"].clone()).unwrap();
        let scale = golden.iter().fold(1e-6f64, |m, v| m.max(v.abs()));
        for (ours, golden) in ours.to_f32().into_iter().zip(golden) {
            let difference = (f64::from(ours) - golden).abs() / scale;
            assert!(difference.is_finite());
            largest = largest.max(difference);
        }
    }
    largest
}

#[test]
fn layers_answer_as_tf_keras_does() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert!(cases.len() >= 60);
    let mut failures = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let plain = match read(case) {
            Ok(graph) => graph,
            Err(e) => {
                failures.push(format!("{name}: {e}"));
                continue;
            }
        };
        let shapes: Vec<Vec<usize>> = serde_json::from_value(case["inputs"].clone()).unwrap();
        let inputs: Vec<Tensor> = shapes
            .iter()
            .enumerate()
            .map(|(n, shape)| {
                let mut values = noise(&format!("input {n}"), shape);
                if let Some(whole) = case["whole"].as_f64() {
                    values
                        .iter_mut()
                        .for_each(|v| *v = ((*v + 0.5) * whole as f32).floor());
                }
                Tensor::new(shape, values).unwrap()
            })
            .collect();
        let mut simple = plain.clone();
        for (&id, shape) in plain.inputs.iter().zip(&shapes) {
            assert_eq!(
                plain.value(id).ty.dims.as_ref().unwrap()[0],
                Dim::Symbol(0),
                "{name}: open batch"
            );
            bind(&mut simple, &plain.value(id).name, Binding::Shape(shape.clone())).unwrap();
        }
        let result = simplify(&mut simple).and_then(|()| {
            Ok(largest_difference(case, &interpret::run(&simple, &inputs)?)
                .max(largest_difference(case, &interpret::run(&plain, &inputs)?)))
        });
        match result {
            Ok(difference) if difference <= TOLERANCE => {}
            Ok(difference) => failures.push(format!("{name}: differs by {difference:e}")),
            Err(e) => failures.push(format!("{name}: {e}")),
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn unknown_layers_are_listed_at_once() {
    let layer = |class: &str, name: &str| json!({"class_name": class, "config": {"name": name}});
    let config = json!({"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [null, 4]}},
        layer("Lambda", "trick"),
        layer("Dropout", "idle"),
        layer("MultiHeadAttention", "heads"),
        {"class_name": "Activation", "config": {"name": "act", "activation": "snake"}},
    ]}});
    let e = keras::read(&config.to_string(), &mut |_, _| panic!("no weights")).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    assert_eq!(e.found(), "Lambda (trick); MultiHeadAttention (heads)");
}

#[test]
fn weights_are_found_by_their_last_part_direction_and_inner_layer() {
    let names = [
        "b/forward_lstm/lstm_cell/kernel:0",
        "b/forward_lstm/lstm_cell/recurrent_kernel:0",
        "b/backward_lstm/lstm_cell/kernel:0",
    ];
    assert_eq!(keras::find_weight(&names, "b", "backward/kernel"), Some(names[2]));
    assert_eq!(
        keras::find_weight(&names, "b", "forward/recurrent_kernel"),
        Some(names[1])
    );
    assert_eq!(keras::find_weight(&names, "b", "forward/bias"), None);
    let nested = ["dense/kernel:0", "dense_1/kernel:0"];
    assert_eq!(
        keras::find_weight(&nested, "tower/dense_1", "kernel"),
        Some(nested[1])
    );
    assert_eq!(
        keras::find_weight(&["conv2d_1_1/bias:0"], "conv2d_1", "bias"),
        Some("conv2d_1_1/bias:0")
    );
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_with_its_layer() {
    let check = |layers: Value, kind: ErrorKind, found: &str| {
        let config = json!({"class_name": "Sequential", "config": layers});
        let e = keras::read(&config.to_string(), &mut |_, _| {
            Tensor::new(&[3, 2], vec![0f32; 6])
        })
        .unwrap_err();
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.to_string().contains(found), "{e}");
    };
    let input = json!([null, 4]);
    let dense =
        json!({"class_name": "Dense", "config": {"name": "d", "batch_input_shape": input, "units": 2}});
    check(
        json!([dense]),
        ErrorKind::Shape,
        "kernel of shape [4, 2], found [3, 2]",
    );
    let zero =
        json!({"class_name": "Dense", "config": {"name": "d", "batch_input_shape": input, "units": 0}});
    check(json!([zero]), ErrorKind::Malformed, "layer d (Dense)");
    check(json!([]), ErrorKind::Malformed, "layers");
    let unnamed = json!({"class_name": "Dense", "config": {"name": "d", "units": 2}});
    check(json!([unnamed]), ErrorKind::Malformed, "batch_input_shape");
}
