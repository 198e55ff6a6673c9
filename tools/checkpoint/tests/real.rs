//! Other people's checkpoints give the tensors that the original framework reads.
//!
//! `reference.json` holds numbers that `fixtures/make.py` made; the files are in `../shared/data`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use limbic_checkpoint::{Checkpoint, Format};
use limbic_graph::Tensor;
use limbic_tests::shared;
use sha2::{Digest, Sha256};
use support::{hex, lines};

#[derive(serde::Deserialize)]
struct Reference {
    tensors: usize,
    elements: u64,
    sum: f64,
    /// Of the lines `name dtype [extents] digest` in the order of the file.
    digest: String,
    model_config: Option<String>,
}

/// The sum over all elements in `f64`; integers are far below 2^53 in these files.
fn sum(tensor: &Tensor) -> f64 {
    match tensor.elements::<f32>() {
        Ok(elements) => elements.iter().map(|&element| f64::from(element)).sum(),
        Err(_) => tensor
            .to_i64()
            .unwrap()
            .iter()
            .map(|&element| element as f64)
            .sum(),
    }
}

fn check(name: &str, format: Format) {
    let Some(folder) = shared() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.json");
    let all: BTreeMap<String, Reference> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let reference = &all[name];
    let checkpoint = Checkpoint::open(folder.join("checkpoints").join(name)).unwrap();
    assert_eq!(checkpoint.format(), format);
    let entries = checkpoint.tensors();
    assert_eq!(entries.len(), reference.tensors);
    assert_eq!(
        entries.iter().map(|entry| entry.elements()).sum::<u64>(),
        reference.elements
    );
    let total: f64 = entries
        .iter()
        .map(|entry| sum(&checkpoint.read(&entry.name).unwrap()))
        .sum();
    let difference = (total - reference.sum).abs() / reference.sum.abs();
    assert!(
        difference < 1e-6,
        "{name}: sum {total}, expected {}",
        reference.sum
    );
    let mut digest = Sha256::new();
    for (name, dtype, shape, data) in lines(&checkpoint) {
        digest.update(format!("{name} {dtype} {shape:?} {data}\n"));
    }
    assert_eq!(hex(&digest.finalize()), reference.digest, "{name}");
    let config = checkpoint
        .model_config()
        .map(|config| hex(&Sha256::digest(config.as_bytes())));
    assert_eq!(config, reference.model_config, "{name}");
}

#[test]
fn pytorch_reads_ultra_light_the_same() {
    check("face_detection/version-RFB-320.pth", Format::TorchLegacy);
}

#[test]
fn pytorch_reads_resnet20_the_same() {
    check("resnet_cifar10/resnet20-12fca82f.th", Format::TorchLegacy);
}

#[test]
fn safetensors_reads_silero_the_same() {
    check("vad/silero_vad_16k.safetensors", Format::Safetensors);
}

#[test]
fn numpy_reads_stories_the_same() {
    check("tinyllama_stories260k/stories260K.bin", Format::Llama2c);
}

#[test]
fn h5py_reads_mini_xception_the_same() {
    check("mini_xception/fer2013_mini_XCEPTION.102-0.66.hdf5", Format::Keras);
}

#[test]
fn h5py_reads_tiny_xception_the_same() {
    check("mini_xception/tiny_XCEPTION_KDEF.hdf5", Format::Keras);
}

#[test]
fn h5py_reads_wake_words_the_same() {
    check("mlperf_tiny/vww_96.h5", Format::Keras);
}

#[test]
fn h5py_reads_speech_emotion_the_same() {
    check("speech_emotion/Emotion_Voice_Detection_Model.h5", Format::Keras);
}
