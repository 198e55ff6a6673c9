//! Commands on ONNX Runtime, and what they say without it.
#![cfg(feature = "ort")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::process::Command;

use support::{limbic, ran, root};

/// The library that the user named; says that there is none.
fn library() -> Option<String> {
    let named = std::env::var("ORT_DYLIB_PATH")
        .ok()
        .filter(|path| !path.is_empty());
    if named.is_none() {
        println!("skipped: no ONNX Runtime, ORT_DYLIB_PATH is not set");
    }
    named
}

/// Cases that ONNX Runtime answers in another way than the ONNX project, with what differs.
const APART: [(&str, &str); 17] = [
    (
        "test_attention_4d_diff_heads_mask4d_padded_kv",
        "refuses a mask that is shorter than the keys",
    ),
    (
        "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
        "masks with the lowest number in place of minus infinity",
    ),
    ("test_convinteger_with_padding", "has no zero points by channel"),
    ("test_dft", "f32 sums: 2e-4 where a zero is expected"),
    ("test_dft_irfft_opset19", "as test_dft"),
    ("test_dft_opset19", "as test_dft"),
    ("test_dft_rfft", "as test_dft"),
    ("test_dft_rfft_opset19", "as test_dft"),
    (
        "test_maxunpool_export_with_output_shape",
        "counts places in the output that was asked for",
    ),
    (
        "test_resize_downsample_scales_cubic_align_corners",
        "takes the ends of the rounded size",
    ),
    (
        "test_resize_downsample_scales_linear_align_corners",
        "takes the ends of the rounded size",
    ),
    ("test_stft", "as test_dft"),
    ("test_stft_with_window", "as test_dft"),
    ("test_training_dropout", "draws other random numbers"),
    ("test_training_dropout_default", "draws other random numbers"),
    ("test_training_dropout_default_mask", "draws other random numbers"),
    ("test_training_dropout_mask", "draws other random numbers"),
];

/// Least number of cases that pass: those of release 1.31, with some room for older ones.
const LEAST_PASSED: usize = 800;

#[test]
fn cases_of_the_onnx_project_pass_or_are_refused_but_for_a_list() {
    if library().is_none() {
        return;
    }
    let shared = std::env::var_os("LIMBIC_SHARED").map_or_else(|| root().join("../shared/data"), Into::into);
    if !shared.is_dir() {
        println!("skipped: no ../shared/data for ONNX Runtime");
        return;
    }
    let cases = shared
        .join("checkpoints/onnx_node_tests.zip")
        .display()
        .to_string();
    let run = limbic(&["conformance", &cases, "--backend", "ort", "--json"]);
    let lines = run.events();
    let of = |outcome: &'static str| lines.iter().filter(move |line| line["outcome"] == outcome);
    let wrong: Vec<&str> = of("failed")
        .chain(of("broken"))
        .filter_map(|line| line["case"].as_str())
        .collect();
    for case in &wrong {
        assert!(
            APART.iter().any(|(name, _)| name == case),
            "{case} differs and is not in the list"
        );
    }
    assert_eq!(run.code, i32::from(!wrong.is_empty()));
    assert!(of("passed").count() >= LEAST_PASSED, "{}", of("passed").count());
    for refused in of("unsupported") {
        assert!(
            refused["detail"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{refused}"
        );
    }
}

#[test]
fn without_a_library_it_is_said_where_one_is_looked_for() {
    let infer = |extra: &[&str]| {
        ran(Command::new(env!("CARGO_BIN_EXE_limbic"))
            .args(["infer", "--text", "fine", "--backend", "ort"])
            .args(extra)
            .env_remove("ORT_DYLIB_PATH")
            .current_dir(root()))
        .expect(2)
    };
    infer(&[]).says(&["ORT_DYLIB_PATH", "help:", "--onnx-runtime"]);
    infer(&["--onnx-runtime", "no-such.so"]).says(&["no-such.so", "No such file"]);
    infer(&["--onnx-runtime", "Cargo.toml"]).says(&["Cargo.toml", "no shared library"]);
}

#[test]
fn the_bundled_models_answer_on_it() {
    if library().is_none() {
        return;
    }
    let args = ["demo", "--json", "--backend"];
    let on = |backend: &str| limbic(&[&args[..], &[backend]].concat()).expect(0).events();
    let (ours, theirs) = (on("engine"), on("ort"));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        if let (Some(own), Some(heads)) = (ours["heads"].as_array(), theirs["heads"].as_array()) {
            assert_eq!(theirs["backend"], "ort");
            for (own, head) in own.iter().zip(heads) {
                assert_eq!(own["selected"], head["selected"]);
            }
        }
    }
}

#[test]
fn compare_bench_and_warm_take_it() {
    if library().is_none() {
        return;
    }
    let bundle = "models/speech-small/speech-small.limbic";
    let named = format!("{bundle}#onnx-f16w@ort");
    // The graph of the file on the interpreter is what ONNX Runtime runs.
    let run = limbic(&[
        "compare",
        &format!("{bundle}#onnx-f16w"),
        &named,
        "--limit",
        "2",
        "--json",
    ])
    .expect(0);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(
        report["backends"][1]
            .as_str()
            .unwrap()
            .contains("ONNX Runtime 1."),
        "{report}"
    );
    assert!(
        report["tensors"][0]["max_abs"].as_f64().unwrap() < 1e-3,
        "{report}"
    );
    let times = ["--rounds", "2", "--runs", "1", "--json"];
    let backends = ["bench", "--bundle", bundle, "--backend", "engine,ort"];
    let records = limbic(&[&backends[..], &times[..]].concat()).expect(0).events();
    assert_eq!(records[1]["tier"], "cpu");
    let warmed = limbic(&["warm", bundle, "--backend", "ort", "--json"])
        .expect(0)
        .events();
    assert_eq!(warmed[0]["device"], "cpu");
    let gpu = limbic(&["warm", bundle, "--backend", "ort@abacus"]).expect(2);
    gpu.says(&["abacus", "cuda", "tensorrt"]);
}
