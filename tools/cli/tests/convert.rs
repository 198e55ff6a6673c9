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

/// Where the real checkpoints are; says so and gives nothing where they are not.
fn checkpoints() -> Option<std::path::PathBuf> {
    limbic_tests::shared().map(|shared| shared.join("checkpoints"))
}

#[test]
fn checkpoints_of_every_format_become_bundles() {
    let Some(from) = checkpoints() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.limbic");
    for arguments in [
        "mini_xception/fer2013_mini_XCEPTION.102-0.66.hdf5",
        "mini_xception/tiny_XCEPTION_KDEF.hdf5",
        "mlperf_tiny/vww_96.h5",
        "mlperf_tiny/vww_96_float.tflite",
        "mlperf_tiny/vww_96_int8.tflite",
        "mlperf_tiny/kws_ref_model.tflite",
        "mlperf_tiny/kws_ref_model_float32.tflite",
        "face_detection/version-RFB-320_without_postprocessing.onnx",
        "face_detection/version-RFB-320.pth",
        "face_detection/face_detection_yunet_2026may.onnx --input input:1x3x160x192",
        "face_detection/face_detection_short_range.tflite",
        "face_detection/face_landmark.tflite",
        "vad/silero_vad_16k_op15.onnx --input sr=16000 --input input:1x576",
        "resnet_cifar10/resnet20-12fca82f.th",
        "speech_emotion/Emotion_Voice_Detection_Model.h5",
        "text_sentiment/movie_review_classifier.tflite",
        "tflite/mobilenet_v1_0.25_128_quant.tflite",
        "tflite/tf2_mobilenet_v2_1.0_224_ptq.tflite",
        "tflite/yamnet.tflite",
    ] {
        let command = format!("{arguments} -o {}", output.display());
        let done = convert(&from, &command)
            .expect(0)
            .says(&["nothing independent was compared"]);
        assert_eq!(
            done.stdout.contains("stateN becomes state"),
            arguments.starts_with("vad/")
        );
        let bundle = limbic_bundle::Bundle::open(&output).unwrap();
        let [program] = bundle.manifest().programs.as_slice() else {
            panic!("{arguments}: {:?}", bundle.manifest().programs)
        };
        assert!(
            program.signatures[0]
                .tensors
                .iter()
                .all(|tensor| tensor.fixed_dims().is_some())
        );
        std::fs::remove_file(&output).unwrap();
    }
}
