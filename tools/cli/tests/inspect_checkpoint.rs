//! `limbic inspect` of files that training left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::Value;
use support::limbic;

const FIXTURES: &str = "tools/checkpoint/tests/fixtures";

#[test]
fn a_checkpoint_is_listed_with_types_shapes_and_what_was_skipped() {
    let run = limbic(&["inspect", &format!("{FIXTURES}/zip.pt")]).expect(0);
    for words in [
        "PyTorch zip",
        "state_dict.module.embed.weight",
        "[3, 4]",
        "bf16",
        "epoch",
        "argparse.Namespace",
    ] {
        assert!(run.stdout.contains(words), "no `{words}` in:\n{}", run.stdout);
    }
}

#[test]
fn json_holds_the_layers_and_the_architecture_of_a_keras_file() {
    let run = limbic(&["inspect", "--json", &format!("{FIXTURES}/model.h5")]).expect(0);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["format"], "Keras HDF5");
    assert_eq!(report["parameters"], 4 * 2 + 2 + 4 * 2);
    assert_eq!(report["layers"][0]["name"], "inner");
    assert_eq!(report["model_config"]["class_name"], "Sequential");
    assert_eq!(report["tensors"][0]["dtype"], "f32");
}

#[test]
fn a_tensorflow_checkpoint_is_named_by_its_common_start() {
    let run = limbic(&["inspect", &format!("{FIXTURES}/saver.ckpt")]).expect(0);
    assert!(run.stdout.contains("layer/kernel"), "{}", run.stdout);
}

#[test]
fn what_is_neither_bundle_nor_checkpoint_is_refused_by_name() {
    limbic(&["inspect", "README.md"])
        .expect(2)
        .says(&["README.md", "safetensors"]);
    limbic(&["inspect", "nothing.pt"]).expect(2).says(&["nothing.pt"]);
    limbic(&["inspect", &format!("{FIXTURES}/sliced.ckpt.index")])
        .expect(2)
        .says(&["sliced", "slices"]);
}
