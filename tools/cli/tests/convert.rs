//! `limbic convert` as a user types it: the examples of its guide, and what it says when something is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Ran, ran, root};

/// A folder with the files of the guide's examples.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root().join("tests/converted/fixtures")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Runs `limbic convert` in a folder, the arguments parted by spaces.
fn convert(folder: &Path, arguments: &str) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_limbic"))
        .arg("convert")
        .args(arguments.split_whitespace())
        .current_dir(folder))
}

#[test]
fn every_example_of_the_guide_runs_and_meets_its_golden_outputs() {
    let guide = std::fs::read_to_string(root().join("docs/convert.md")).unwrap();
    let examples: Vec<&str> = guide
        .lines()
        .filter_map(|line| line.strip_prefix("limbic convert "))
        .collect();
    assert_eq!(examples.len(), 3, "{examples:?}");
    for example in examples {
        let folder = folder();
        let done = convert(folder.path(), example).expect(0);
        assert!(done.stdout.contains(": met, "), "{}", done.stdout);
        let output = example.split_whitespace().last().unwrap();
        limbic_bundle::Bundle::open(&folder.path().join(output)).unwrap();
    }
}

#[test]
fn the_guide_describes_the_network_of_its_example() {
    let guide = std::fs::read_to_string(root().join("docs/convert.md")).unwrap();
    let described = guide
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let file = std::fs::read_to_string(root().join("tests/converted/fixtures/net.toml")).unwrap();
    assert!(file.ends_with(described), "{described}");
}

#[test]
fn outputs_that_are_not_met_write_nothing() {
    let folder = folder();
    let arguments = "net.safetensors --arch net.toml --golden net-golden.npz --tolerance 0 -o net.limbic";
    let done = convert(folder.path(), arguments).expect(1);
    assert!(done.stdout.contains("not met"), "{}", done.stdout);
    assert!(!folder.path().join("net.limbic").exists());
}

#[test]
fn without_golden_outputs_it_warns() {
    let folder = folder();
    convert(folder.path(), "net.safetensors --arch net.toml -o net.onnx")
        .expect(0)
        .says(&["nothing independent was compared"]);
    // What was written is read again, and still meets what PyTorch answered.
    convert(folder.path(), "net.onnx --golden net-golden.npz -o again.onnx").expect(0);
}

#[test]
fn the_same_command_gives_the_same_bytes() {
    let folder = folder();
    let arguments = "net.safetensors --arch net.toml --golden net-golden.npz -o net.limbic";
    convert(folder.path(), arguments).expect(0);
    let first = std::fs::read(folder.path().join("net.limbic")).unwrap();
    convert(folder.path(), arguments).expect(0);
    assert_eq!(first, std::fs::read(folder.path().join("net.limbic")).unwrap());
}

#[test]
fn an_unknown_state_dict_gets_a_way_on() {
    let folder = folder();
    convert(folder.path(), "net.safetensors -o net.limbic")
        .expect(2)
        .says(&["no architecture fits", "torch.onnx.export", "--arch"]);
}

#[test]
fn layers_that_do_not_fit_are_named() {
    let folder = folder();
    let path = folder.path().join("net.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"classify\"", "\"head\"")).unwrap();
    convert(folder.path(), "net.safetensors --arch net.toml -o net.limbic")
        .expect(2)
        .says(&["missing    head.weight", "unexpected classify.weight"]);
}

#[test]
fn wrong_options_say_what_was_expected() {
    let folder = folder();
    for (arguments, words) in [
        ("net.onnx -o net.zip", &[".limbic, .onnx or .tflite"][..]),
        ("net.onnx -o net.limbic", &["free sizes", "--input pixels:SHAPE"]),
        (
            "net.onnx --input pixels:1x1x8 -o net.limbic",
            &["--input pixels:1x1x8"],
        ),
        (
            "net.onnx --input picture:1x1x8x8 -o net.limbic",
            &["pixels", "picture"],
        ),
        (
            "net.onnx --input pixels:1x1x8x8 --labels no-such -o net.limbic",
            &["no-such"],
        ),
        (
            "net.safetensors --arch no-such -o net.limbic",
            &["no-such", "resnet-cifar"],
        ),
        ("missing.onnx -o net.limbic", &["missing.onnx"]),
        ("labels.txt -o net.limbic", &["labels.txt"]),
        (
            "net.onnx --input pixels:1x1x8x8 --preprocess steps.toml -o net.limbic",
            &["heads"],
        ),
    ] {
        convert(folder.path(), arguments).expect(2).says(words);
        assert!(!folder.path().join("net.limbic").exists(), "{arguments}");
    }
}
