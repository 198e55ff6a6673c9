//! `limbic quantize` and `limbic compare` as a user types them, on the network of the converter's guide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Ran, ran, root};

/// Limits that an untrained network of eight channels can meet.
const RECIPE: &str =
    "[limits]\nmin_equal = 0.9\nmax_drop = 5.0\nmax_recall_drop = 100.0\nmax_drift = 100.0\n";

/// Three disjoint sets, and what is asked of the bundle.
const QUANTIZE: &str =
    "quantize net.limbic --recipe recipe.toml --calib calib.csv --tune tune.csv --eval eval.csv";

fn limbic(folder: &Path, arguments: &str) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_limbic"))
        .args(arguments.split_whitespace())
        .current_dir(folder))
}

/// Regions of the sample portrait as items, two of `count` labelled `sad`: the network takes all for `happy`.
fn items(folder: &Path, name: &str, first: usize, count: usize) {
    let mut text = "label,input,region\n".to_owned();
    for n in first..first + count {
        let label = if n - first < 2 { "sad" } else { "happy" };
        let (x, y) = (n * 37 % 60, n * 53 % 59);
        writeln!(text, "{label},portrait.jpg,\"{x},{y},{},48\"", 40 + n % 20).unwrap();
    }
    std::fs::write(folder.join(name), text).unwrap();
}

/// A folder with the float bundle `net.limbic` and its data sets.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = root().join("tests/converted/fixtures");
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let portrait = root().join("samples/portrait.jpg");
    std::fs::copy(portrait, folder.path().join("portrait.jpg")).unwrap();
    std::fs::write(folder.path().join("recipe.toml"), RECIPE).unwrap();
    items(folder.path(), "calib.csv", 0, 8);
    items(folder.path(), "tune.csv", 8, 20);
    items(folder.path(), "eval.csv", 28, 20);
    limbic(
        folder.path(),
        "convert net.onnx --input pixels:1x1x8x8 --preprocess steps.toml --labels labels.txt -o net.limbic",
    )
    .expect(0);
    folder
}

/// Lines that have all the words.
#[track_caller]
fn line<'t>(text: &'t str, words: &[&str]) -> &'t str {
    text.lines()
        .find(|line| words.iter().all(|word| line.contains(word)))
        .unwrap_or_else(|| panic!("no line with {words:?} in:\n{text}"))
}

#[test]
fn each_set_judges_the_head_and_the_report_travels_in_the_bundle() {
    let folder = folder();
    let folder = folder.path();
    std::fs::write(
        folder.join("plain.csv"),
        "input,region\nportrait.jpg,\"3,4,70,70\"\nportrait.jpg,\"9,1,66,71\"\n",
    )
    .unwrap();
    let arguments = format!("{QUANTIZE} --eval plain.csv --onnx q.onnx --write-table table.txt -o q.limbic");
    let done = limbic(folder, &arguments).expect(0);
    line(
        &done.stdout,
        &["8 items to calibrate, 20 items to tune, 20 + 2 items to judge"],
    );
    line(&done.stdout, &["scheme int8, 100.0 % of"]);
    line(
        &done.stdout,
        &["eval, ", " on eval.csv: 20 items, accuracy 90.00 -> "],
    );
    line(
        &done.stdout,
        &["eval, ", " on plain.csv: 2 items, ", "% of the answers equal"],
    );
    assert_eq!(done.stdout.matches("<- kept").count(), 1, "{}", done.stdout);
    let bundle = limbic_bundle::Bundle::open(&folder.join("q.limbic")).unwrap();
    let report: Value = serde_json::from_slice(bundle.entry("quantization.json").unwrap()).unwrap();
    assert_eq!(report["eval"][0]["float_metric"], 90.0);
    assert_eq!(report["eval"][1]["measure"], "equality");
    assert!(report["not_judged"].as_array().unwrap().is_empty());
    // What was fitted is the variant's own: the float network's head stays as it was.
    let manifest = bundle.manifest();
    let quantized = manifest.variants.iter().find(|v| v.name == "quantized").unwrap();
    let float = manifest.variants.iter().find(|v| v.name == "onnx-f32").unwrap();
    assert_eq!((float.heads.len(), quantized.heads.len()), (0, 1));
    let fitted = quantized.heads.values().next().unwrap();
    assert!(
        fitted
            .temperature
            .is_some_and(|t| t != manifest.heads[0].temperature)
    );
    let table = std::fs::read_to_string(folder.join("table.txt")).unwrap();
    assert!(table.starts_with("# limbic calibration table 1"), "{table}");

    let first = std::fs::read(folder.join("q.limbic")).unwrap();
    limbic(folder, &arguments).expect(0);
    assert_eq!(first, std::fs::read(folder.join("q.limbic")).unwrap());
}

/// The sample recording at a share of its level.
fn quieter(folder: &Path, name: &str, share: f32) {
    const HEADER: usize = 44;
    let mut bytes = std::fs::read(root().join("samples/good-news.wav")).unwrap();
    for sample in bytes[HEADER..].as_chunks_mut().0 {
        *sample = ((f32::from(i16::from_le_bytes(*sample)) * share) as i16).to_le_bytes();
    }
    std::fs::write(folder.join(format!("{name}.wav")), bytes).unwrap();
    std::fs::write(folder.join(format!("{name}.csv")), format!("input\n{name}.wav\n")).unwrap();
}

#[test]
fn the_windows_of_a_sound_are_judged_beside_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, share) in [("calib", 1.0), ("tune", 0.9), ("eval", 0.8)] {
        quieter(folder, name, share);
    }
    let speech = root().join("models/speech-small/speech-small.limbic");
    std::fs::copy(speech, folder.join("net.limbic")).unwrap();
    std::fs::write(folder.join("recipe.toml"), "methods = [\"min-max\"]\n").unwrap();
    let done = limbic(folder, &format!("{QUANTIZE} -o q.limbic")).expect(0);
    line(
        &done.stdout,
        &["eval, emotion on eval.csv: 1 items, ", " windows)"],
    );
    line(&done.stdout, &["q.limbic identity "]);
    let done = limbic(folder, &format!("{QUANTIZE} --json -o q.limbic")).expect(0);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    let bundle = limbic_bundle::Bundle::open(&folder.join("q.limbic")).unwrap();
    let carried: Value = serde_json::from_slice(bundle.entry("quantization.json").unwrap()).unwrap();
    assert_eq!(report, carried);
    let windows = &report["eval"][0]["windows"];
    assert!(
        windows["count"].as_u64() > Some(1) && windows["equal"].as_f64() >= Some(0.5),
        "{windows}"
    );
}

#[test]
fn a_network_without_a_head_is_judged_by_its_vectors() {
    let folder = folder();
    let folder = folder.path();
    for name in ["calib", "tune", "eval"] {
        let arguments = format!("preprocess -b net.limbic -d {name}.csv -o {name}.npz");
        limbic(folder, &arguments).expect(0);
    }
    limbic(folder, "convert net.onnx --input pixels:1x1x8x8 -o alone.limbic").expect(0);
    let sets = "--calib calib.npz --tune tune.npz --eval eval.npz";
    let arguments = format!("quantize alone.limbic --recipe recipe.toml {sets} --json -o q.limbic");
    let done = limbic(folder, &arguments).expect(0);
    // The bundle's identity stands behind the document.
    let end = done.stdout.rfind('}').unwrap();
    let report: Value = serde_json::from_str(&done.stdout[..=end]).unwrap();
    assert_eq!(report["eval"][0]["head"], "logits");
    assert_eq!(report["eval"][0]["measure"], "embedding");
    assert!(report["eval"][0]["metric"].as_f64().unwrap() > 99.0);
}

#[test]
fn operations_go_back_to_float_until_the_drop_that_was_asked_for_holds() {
    let folder = folder();
    let folder = folder.path();
    for name in ["calib", "tune", "eval"] {
        let arguments = format!("preprocess -b net.limbic -d {name}.csv -o {name}.npz");
        limbic(folder, &arguments).expect(0);
    }
    limbic(folder, "convert net.onnx --input pixels:1x1x8x8 -o alone.limbic").expect(0);
    let quantize =
        "quantize alone.limbic --recipe recipe.toml --calib calib.npz --tune tune.npz --eval eval.npz";
    let done = limbic(folder, &format!("{quantize} --max-drop 0 -o q.limbic")).expect(0);
    line(&done.stdout, &["scheme int8, 0.0 % of"]);
    for node in ["/stem/Conv_output_0", "/wide/Conv_output_0", "logits"] {
        line(
            &done.stdout,
            &[
                &format!("  {node}: "),
                "returned to float",
                "dB between the outputs",
            ],
        );
    }
}

#[test]
fn sets_that_share_items_or_have_labels_of_no_head_are_refused() {
    let folder = folder();
    let folder = folder.path();
    items(folder, "shared.csv", 27, 4);
    limbic(
        folder,
        "quantize net.limbic --calib calib.csv --tune shared.csv --eval eval.csv -o q.limbic",
    )
    .expect(2)
    .says(&["sets tune and eval", "3 items"]);
    let joy = std::fs::read_to_string(folder.join("eval.csv"))
        .unwrap()
        .replace("happy", "joy");
    std::fs::write(folder.join("joy.csv"), joy).unwrap();
    limbic(
        folder,
        "quantize net.limbic --calib calib.csv --tune tune.csv --eval joy.csv -o q.limbic",
    )
    .expect(2)
    .says(&["no head has all labels of joy.csv", "happy sad neutral"]);
    limbic(folder, &format!("{QUANTIZE} --scheme int3 -o q.limbic"))
        .expect(2)
        .says(&["no scheme `int3`", "int8-symmetric"]);
    limbic(folder, "quantize net.limbic --calib calib.csv -o q.limbic")
        .expect(2)
        .says(&["--calib, --tune and --eval"]);
    assert!(!folder.join("q.limbic").exists());
}

#[test]
fn networks_goldens_and_exports_are_compared_tensor_by_tensor() {
    let folder = folder();
    let folder = folder.path();
    limbic(
        folder,
        &format!("{QUANTIZE} --onnx q.onnx --tflite q.tflite -o q.limbic"),
    )
    .expect(0);
    // The golden outputs hold four rows, each a run of its own.
    let golden = limbic(folder, "compare net.limbic net-golden.npz").expect(0);
    line(
        &golden.stdout,
        &["net.limbic (interpreter) and net-golden.npz (recorded) on 4 inputs"],
    );
    line(&golden.stdout, &["100.00 %", "logits"]);
    let exported = limbic(
        folder,
        "compare q.limbic#quantized q.onnx --data eval.csv --limit 5",
    )
    .expect(0);
    line(&exported.stdout, &["0.0000e0", "equal", "logits"]);
    let json = limbic(
        folder,
        "compare q.limbic q.limbic#quantized --data eval.csv --json",
    );
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let logits = report["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["tensor"] == "logits")
        .unwrap();
    let (error, cosine) = (
        logits["max_abs"].as_f64().unwrap(),
        logits["cosine"].as_f64().unwrap(),
    );
    assert!(error > 0.0 && error < 0.05 && cosine > 0.99, "{logits}");
    // One tensor of another size in the way: no name in common is an error, not a success.
    limbic(folder, "compare net.limbic small.tflite --data eval.csv")
        .expect(2)
        .says(&["nothing for input"]);
    limbic(folder, "compare net.limbic net.limbic@abacus --data eval.csv")
        .expect(2)
        .says(&["abacus"]);
    limbic(folder, "compare net.limbic net-golden.npz --data eval.csv")
        .expect(2)
        .says(&["leave --data out"]);
}

#[test]
fn a_tensor_that_diverges_is_named_and_is_no_success() {
    let folder = folder();
    let folder = folder.path();
    let done = limbic(
        folder,
        "compare net.limbic net.onnx --data eval.csv --least-snr 20",
    );
    done.expect(0);
    limbic(folder, &format!("{QUANTIZE} -o q.limbic")).expect(0);
    let done = limbic(
        folder,
        "compare q.limbic q.limbic#quantized --data eval.csv --least-snr 90",
    )
    .expect(1);
    line(&done.stdout, &["first that diverges: "]);
}
