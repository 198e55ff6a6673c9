//! The interpreter on the operator cases of the ONNX project, in `../shared/data`: a case passes or is refused by name,
//! and every refusal has its reason in `unsupported.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use limbic_graph::conformance::{self, Bound, Cases, Interpreter, Outcome, System};
use limbic_graph::{Error, ErrorKind, Result, Tensor, interpret, onnx};
use limbic_tests::shared;

/// Cases that pass at least, those of operators written out as others not counted.
const LEAST_OPERATORS: usize = 740;

/// Cases of operators written out as others that pass at least.
const LEAST_EXPANDED: usize = 262;

/// Cases, and those of operators written out, that pass at least after their models were written at opset 17.
const LEAST_WRITTEN: (usize, usize) = (612, 258);

/// Why cases are refused: text that is in what a refusal says, or the name of a case, and the reason.
fn reasons() -> Vec<(String, String)> {
    let lines = include_str!("unsupported.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (key, reason) = line.split_once('\t').expect("a key, a tab and a reason");
            assert!(!reason.trim().is_empty(), "{key} has no reason");
            (key.to_owned(), reason.to_owned())
        })
        .collect()
}

/// The interpreter on models that were written at the writer's opset and read again.
struct Rewritten;

impl System for Rewritten {
    fn run(&mut self, model: &[u8], bound: &Bound, inputs: &[Tensor], _: &[Tensor]) -> Result<Vec<Tensor>> {
        let bytes = onnx::write(&onnx::read_bound(model, None, bound)?)?;
        // What the writer wrote the reader may not refuse.
        let graph = onnx::read(&bytes, None)
            .map_err(|e| Error::new(ErrorKind::Malformed, "written model", "what can be read", e))?;
        interpret::run(&graph, inputs)
    }
}

#[test]
fn what_the_writer_writes_passes_too() {
    let Some(folder) = shared() else { return };
    let mut cases = Cases::open(&folder.join("checkpoints/onnx_node_tests.zip")).unwrap();
    let (mut operators, mut expanded) = (0, 0);
    for name in cases.names() {
        let report = conformance::run(&cases.load(&name).unwrap(), &mut Rewritten);
        match report.outcome {
            Outcome::Passed => {
                *if report.expanded {
                    &mut expanded
                } else {
                    &mut operators
                } += 1
            }
            Outcome::Unsupported(_) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    println!("{operators} operators, {expanded} expanded");
    assert!(
        operators >= LEAST_WRITTEN.0 && expanded >= LEAST_WRITTEN.1,
        "{operators} and {expanded}"
    );
}

#[test]
fn every_case_passes_or_is_refused_for_a_reason() {
    let Some(folder) = shared() else { return };
    let mut cases = Cases::open(&folder.join("checkpoints/onnx_node_tests.zip")).unwrap();
    let reasons = reasons();
    let mut used = BTreeSet::new();
    let (mut operators, mut expanded, mut bound) = (0, 0, 0);
    let mut wrong = Vec::new();
    for name in cases.names() {
        let report = conformance::run(&cases.load(&name).unwrap(), &mut Interpreter);
        match report.outcome {
            Outcome::Passed => {
                bound += usize::from(report.bound > 0);
                *if report.expanded {
                    &mut expanded
                } else {
                    &mut operators
                } += 1;
            }
            Outcome::Unsupported(what) => {
                let keys = reasons.iter().map(|(key, _)| key.as_str());
                let keys: Vec<&str> = keys.filter(|key| *key == name || what.contains(key)).collect();
                if keys.is_empty() {
                    wrong.push(format!("{name}: no reason for {what}"));
                }
                used.extend(keys);
            }
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    for (key, _) in &reasons {
        if !used.contains(key.as_str()) {
            wrong.push(format!("{key}: nothing is refused for it"));
        }
    }
    println!("{operators} operators, {expanded} expanded; {bound} with inputs bound as constants");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        operators >= LEAST_OPERATORS,
        "{operators} of at least {LEAST_OPERATORS}"
    );
    assert!(
        expanded >= LEAST_EXPANDED,
        "{expanded} of at least {LEAST_EXPANDED}"
    );
}
