//! Small files of TensorFlow's converter, one for each group of operators.
//!
//! `operators.json` holds the files and what LiteRT's reference kernels answer; `operators.py` beside it made it.

use std::collections::BTreeSet;
use std::path::Path;

use limbic_graph::passes::simplify;
use limbic_graph::{Graph, Tensor, interpret, tflite};
use serde_json::Value;

use crate::{Seen, inputs};

/// Largest difference of a floating-point output, by the largest magnitude of that output.
const TOLERANCE: f64 = 1e-5;

fn from_base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => u32::from(c - b'A'),
        b'a'..=b'z' => u32::from(c - b'a') + 26,
        b'0'..=b'9' => u32::from(c - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.chunks(4) {
        let bits = four
            .iter()
            .enumerate()
            .fold(0, |bits, (n, &c)| bits | digit(c) << (18 - 6 * n));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

fn compare(case: &Value, graph: &Graph, inputs: &[Tensor]) -> Result<(), String> {
    let outputs = interpret::run(graph, inputs).map_err(|e| e.to_string())?;
    let golden = case["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), golden.len());
    for (n, (ours, golden)) in outputs.iter().zip(golden).enumerate() {
        let mut seen = Seen::default();
        seen.compare(ours, golden);
        if seen.float > TOLERANCE || seen.near > 0 {
            return Err(format!("output {n} differs: {seen:?}"));
        }
    }
    Ok(())
}

fn check(case: &Value) -> Result<(), String> {
    let bytes = from_base64(case["file"].as_str().unwrap());
    let plain = tflite::read(&bytes).map_err(|e| e.to_string())?;
    let inputs: Vec<Tensor> = plain
        .inputs
        .iter()
        .zip(case["inputs"].as_array().unwrap())
        .map(|(&id, spec)| {
            assert_eq!(spec["name"], plain.value(id).name);
            inputs::make(spec, &plain.value(id).ty, Path::new(""))
        })
        .collect();
    compare(case, &plain, &inputs)?;
    let mut simple = plain;
    simplify(&mut simple).map_err(|e| e.to_string())?;
    compare(case, &simple, &inputs).map_err(|e| format!("simplified: {e}"))
}

#[test]
fn operators_answer_as_litert_does() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("operators.json")).unwrap();
    let mut operators = BTreeSet::new();
    let mut failures = Vec::new();
    for case in &cases {
        operators.extend(
            case["operators"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap()),
        );
        if let Err(e) = check(case) {
            failures.push(format!("{}: {e}", case["name"]));
        }
    }
    println!("{} operators in {} files", operators.len(), cases.len());
    assert!(operators.len() >= 80, "{operators:?}");
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
