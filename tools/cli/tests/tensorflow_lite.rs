//! Flatbuffers in a bundle, and running them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;

use limbic_bundle::{Bundle, GraphFormat};
use support::{limbic, root};

/// A bundle with flatbuffers, and the one that it was made of.
fn made(folder: &Path) -> (String, String) {
    let fixtures = root().join("tests/converted/fixtures");
    let at = |name: &str| folder.join(name).display().to_string();
    let net = fixtures.join("net.safetensors").display().to_string();
    let layers = fixtures.join("net.toml").display().to_string();
    let (plain, with) = (at("net.limbic"), at("with.limbic"));
    limbic(&["convert", &net, "--arch", &layers, "-o", &plain]).expect(0);
    let run = limbic(&["compile", &plain, "--tflite", "-o", &with]).expect(0);
    assert!(run.stdout.contains(".tflite: "), "{}", run.stdout);
    (plain, with)
}

#[test]
fn compile_puts_flatbuffers_into_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (_, with) = made(folder.path());
    let bundle = Bundle::open(with.as_ref()).unwrap();
    let variants = &bundle.manifest().variants;
    let flat = variants
        .iter()
        .find(|variant| variant.backend == "tflite")
        .unwrap();
    assert_eq!(flat.precision.name(), "f32");
    assert_eq!(flat.entries.len(), 1);
    assert_eq!(flat.entries[0].format, GraphFormat::Tflite);
    let graph = limbic_graph::tflite::read(bundle.entry(&flat.entries[0].path).unwrap()).unwrap();
    assert_eq!(graph.inputs.len(), 1);
    // Made anew, nothing is doubled.
    let again = folder.path().join("again.limbic").display().to_string();
    limbic(&["compile", &with, "--tflite", "-o", &again]).expect(0);
    assert_eq!(
        Bundle::open(again.as_ref()).unwrap().identity(),
        bundle.identity()
    );
}

#[test]
#[cfg(feature = "tflite")]
fn flatbuffers_answer_as_the_interpreter_does() {
    if std::env::var_os("TFLITE_DYLIB_PATH").is_none_or(|path| path.is_empty()) {
        println!("skipped: no TensorFlow Lite, TFLITE_DYLIB_PATH is not set");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (plain, with) = made(folder.path());
    let run = limbic(&["compare", &plain, &format!("{with}@tflite"), "--json"]).expect(0);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(
        report["backends"][1]
            .as_str()
            .unwrap()
            .contains("TensorFlow Lite 2."),
        "{report}"
    );
    assert!(
        report["tensors"][0]["max_abs"].as_f64().unwrap() < 1e-5,
        "{report}"
    );
    let warmed = limbic(&["warm", &with, "--backend", "tflite", "--json"])
        .expect(0)
        .events();
    assert_eq!(warmed[0]["variant"], "tflite-f32");
}
