//! The engine on the operator cases of the ONNX project, in `../shared/data`: a case passes or is refused by name, and
//! every refusal has its reason in `unsupported.txt`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use limbic_compile::host::Engine;
use limbic_engine::Cpu;
use limbic_graph::conformance::{self, Cases, Outcome};
use limbic_tests::shared;

/// Cases that pass at least, those of operators written out as others not counted.
const LEAST_OPERATORS: usize = 587;

/// Cases of operators written out as others that pass at least.
const LEAST_EXPANDED: usize = 228;

/// Why cases are refused: text that is in what a refusal says, or the name of a case, and the reason.
fn reasons() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("unsupported.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (key, reason) = line.split_once('\t').expect("a key, a tab and a reason");
            assert!(!reason.trim().is_empty(), "{key} has no reason");
            (key, reason)
        })
        .collect()
}

/// Runs every case on a processor; the cases that pass, and what is wrong.
fn run(cpu: Cpu, cases: &mut Cases) -> (usize, usize, Vec<String>) {
    let mut engine = Engine { cpu };
    let reasons = reasons();
    let mut used = BTreeSet::new();
    let (mut operators, mut expanded) = (0, 0);
    let mut wrong = Vec::new();
    for name in cases.names() {
        let report = conformance::run(&cases.load(&name).unwrap(), &mut engine);
        match report.outcome {
            Outcome::Passed if report.expanded => expanded += 1,
            Outcome::Passed => operators += 1,
            Outcome::Unsupported(what) => {
                let keys = reasons.iter().map(|(key, _)| *key);
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
        if !used.contains(key) {
            wrong.push(format!("{key}: nothing is refused for it"));
        }
    }
    (operators, expanded, wrong)
}

#[test]
fn every_case_passes_or_is_refused_for_a_reason() {
    let Some(folder) = shared() else { return };
    let mut cases = Cases::open(&folder.join("checkpoints/onnx_node_tests.zip")).unwrap();
    for cpu in [Cpu::detect(), Cpu::scalar()] {
        let (operators, expanded, wrong) = run(cpu, &mut cases);
        println!(
            "{}: {operators} operators, {expanded} expanded",
            cpu.tier().name()
        );
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
        assert!(
            operators >= LEAST_OPERATORS,
            "{operators} of at least {LEAST_OPERATORS}"
        );
        assert!(
            expanded >= LEAST_EXPANDED,
            "{expanded} of at least {LEAST_EXPANDED}"
        );
    }
}
