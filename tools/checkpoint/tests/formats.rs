//! Every format gives the tensors that its own framework reads from the same file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;

use limbic_checkpoint::{Checkpoint, ErrorKind, Format};
use support::{fixture, fixtures, lines};

type Expected = BTreeMap<String, Vec<(String, String, Vec<usize>, String)>>;

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn check(name: &str, format: Format) -> Checkpoint {
    let checkpoint = Checkpoint::open(fixture(name)).unwrap();
    assert_eq!(checkpoint.format(), format, "{name}");
    // The framework's own order where the file keeps it; the readers say which files are listed by name.
    let (mut found, mut expected) = (lines(&checkpoint), expected()[name].clone());
    if !matches!(
        format,
        Format::Torch | Format::TorchLegacy | Format::Keras | Format::Llama2c
    ) {
        found.sort();
        expected.sort();
    }
    assert_eq!(found, expected, "{name}");
    checkpoint
}

fn metadata<'a>(checkpoint: &'a Checkpoint, name: &str) -> &'a str {
    let found = checkpoint.metadata().iter().find(|(key, _)| key == name);
    &found
        .unwrap_or_else(|| panic!("no {name} in {:?}", checkpoint.metadata()))
        .1
}

fn skipped(checkpoint: &Checkpoint) -> Vec<(&str, &str)> {
    let skipped = checkpoint.skipped().iter();
    skipped
        .map(|skipped| (skipped.path.as_str(), skipped.what.as_str()))
        .collect()
}

#[test]
fn torch_zip_and_legacy_give_the_same_tensors_and_skip_the_same_objects() {
    for (name, format) in [("zip.pt", Format::Torch), ("legacy.pt", Format::TorchLegacy)] {
        let checkpoint = check(name, format);
        assert_eq!(metadata(&checkpoint, "epoch"), "12");
        assert_eq!(metadata(&checkpoint, "best"), "0.625");
        assert_eq!(
            metadata(&checkpoint, "optimizer.param_groups.0.betas"),
            "[0.9, 0.999]"
        );
        assert_eq!(metadata(&checkpoint, "extra.2"), "text");
        assert_eq!(
            skipped(&checkpoint),
            [("args", "argparse.Namespace"), ("when", "datetime.datetime")]
        );
    }
    check("protocol4.pt", Format::Torch);
    check("tensor.pt", Format::Torch);
}

#[test]
fn a_pickled_module_gives_its_parameters_and_buffers() {
    let checkpoint = check("module.pt", Format::Torch);
    assert!(checkpoint.skipped().is_empty(), "{:?}", checkpoint.skipped());
}

#[test]
fn torchscript_gives_parameters_buffers_and_constants() {
    let checkpoint = Checkpoint::open(fixture("script.pt")).unwrap();
    assert_eq!(checkpoint.format(), Format::TorchScript);
    let (constants, mut rest): (Vec<_>, Vec<_>) = lines(&checkpoint)
        .into_iter()
        .partition(|(name, ..)| name.starts_with("CONSTANTS."));
    rest.sort();
    assert_eq!(rest, expected()["script.pt"]);
    assert_eq!(constants.len(), 1);
    let constant = checkpoint.read(&constants[0].0).unwrap();
    assert_eq!(constant.elements::<f32>().unwrap(), [1.0, 2.0]);
}

#[test]
fn safetensors_gives_every_type_and_its_metadata() {
    let checkpoint = check("types.safetensors", Format::Safetensors);
    assert_eq!(metadata(&checkpoint, "note"), "made by make.py");
}

#[test]
fn numpy_files_are_read_in_either_order_packed_or_not() {
    for name in ["c.npy", "fortran.npy", "version2.npy"] {
        check(name, Format::Npy);
    }
    for name in ["stored.npz", "packed.npz"] {
        let checkpoint = check(name, Format::Npz);
        assert_eq!(skipped(&checkpoint), [("labels", "an array, dtype <U2")]);
    }
}

#[test]
fn keras_files_keep_the_order_of_layers_and_weights() {
    for name in ["model.h5", "weights.h5"] {
        let checkpoint = check(name, Format::Keras);
        assert_eq!(checkpoint.model_config().is_some(), name == "model.h5");
        let layers: Vec<(&str, usize)> = checkpoint
            .keras_layers()
            .iter()
            .map(|layer| (layer.name.as_str(), layer.weights.len()))
            .collect();
        assert_eq!(layers, [("inner", 2), ("norm", 4), ("re_lu", 0)]);
        let weights = checkpoint.keras_layers().iter().flat_map(|layer| &layer.weights);
        assert!(weights.eq(checkpoint.tensors().iter().map(|entry| &entry.name)));
    }
    let checkpoint = Checkpoint::open(fixture("model.h5")).unwrap();
    let config: serde_json::Value = serde_json::from_str(checkpoint.model_config().unwrap()).unwrap();
    assert_eq!(config["class_name"], "Sequential");
}

#[test]
fn hdf5_of_the_oldest_and_the_newest_layout_is_listed() {
    for name in ["old.h5", "new.h5"] {
        let checkpoint = check(name, Format::Hdf5);
        assert_eq!(checkpoint.skipped().len(), 1);
        assert_eq!(checkpoint.skipped()[0].path, "text");
    }
}

#[test]
fn hdf5_groups_that_hold_each_other_are_listed_once() {
    let checkpoint = check("loop.h5", Format::Hdf5);
    assert_eq!(
        skipped(&checkpoint),
        [
            ("a/again", "a second link to a group"),
            ("a/b/up", "a second link to a group")
        ]
    );
}

#[test]
fn tensorflow_checkpoints_open_by_any_of_their_names() {
    check("saver.ckpt.index", Format::TensorBundle);
    for name in ["saver.ckpt", "saver.ckpt.data-00000-of-00001"] {
        let checkpoint = Checkpoint::open(fixture(name)).unwrap();
        assert_eq!(checkpoint.tensors().len(), 3);
    }
    let checkpoint = check("object.ckpt.index", Format::TensorBundle);
    // The graph of objects is a text, not a tensor of numbers.
    assert_eq!(
        skipped(&checkpoint),
        [("_CHECKPOINTABLE_OBJECT_GRAPH", "a tensor of TensorFlow's type 7")]
    );
}

#[test]
fn a_sliced_variable_is_refused_by_name() {
    let error = Checkpoint::open(fixture("sliced.ckpt.index")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("sliced"), "{error}");
}

#[test]
fn a_damaged_tensor_fails_its_checksum() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["index", "data-00000-of-00001"] {
        let name = format!("saver.ckpt.{part}");
        let mut bytes = std::fs::read(fixture(&name)).unwrap();
        if part != "index" {
            bytes[20] ^= 1;
        }
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let checkpoint = Checkpoint::open(folder.path().join("saver.ckpt")).unwrap();
    let failed: Vec<bool> = checkpoint
        .tensors()
        .iter()
        .map(|entry| checkpoint.read(&entry.name).is_err())
        .collect();
    assert_eq!(failed.iter().filter(|&&failed| failed).count(), 1, "{failed:?}");
}

#[test]
fn llama2c_says_by_the_sign_whether_the_classifier_is_shared() {
    let shared = check("llama2c.bin", Format::Llama2c);
    assert_eq!(metadata(&shared, "shared_classifier"), "true");
    let own = check("llama2c_own.bin", Format::Llama2c);
    assert_eq!(metadata(&own, "shared_classifier"), "false");
    assert_eq!(metadata(&own, "vocab_size"), "5");
}

#[test]
fn a_file_in_memory_reads_as_the_file_does() {
    for name in fixtures() {
        let Ok(opened) = Checkpoint::open(fixture(&name)) else {
            assert!(name.starts_with("sliced"), "{name}");
            continue;
        };
        let held = Checkpoint::from_bytes(&name, std::fs::read(fixture(&name)).unwrap()).unwrap();
        assert_eq!(held.tensors(), opened.tensors());
        if held.format() != Format::TensorBundle {
            assert_eq!(lines(&held), lines(&opened));
        }
    }
}

#[test]
fn what_is_no_checkpoint_is_refused_by_what_it_is() {
    for (bytes, found) in [
        (
            b"version https://git-lfs.github.com/spec/v1".as_slice(),
            "Git LFS",
        ),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x1c\0\0\0TFL3", "TFLite"),
        (b"", "empty"),
        (b"\x80\x04\x95\x05", "pickle"),
        (b"hello, this is no checkpoint at all", "something else"),
    ] {
        let error = Checkpoint::from_bytes("file", bytes.to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(found), "{error}");
    }
    let error = Checkpoint::open(fixture("nothing.pt")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("nothing.pt"), "{error}");
}
