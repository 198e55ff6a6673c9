//! What the tests share: the fixtures, and tensors as the frameworks' digests have them.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use limbic_checkpoint::Checkpoint;
use limbic_graph::{Storage, Tensor};
use sha2::{Digest, Sha256};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Every fixture that is a checkpoint.
pub fn fixtures() -> Vec<String> {
    let folder = std::fs::read_dir(fixture("")).unwrap();
    let mut names: Vec<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".py") && !name.ends_with(".json") && !name.contains(".data-"))
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    names
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The elements as little-endian bytes.
pub fn le_bytes(tensor: &Tensor) -> Vec<u8> {
    macro_rules! bytes {
        ($elements:expr) => {
            $elements
                .iter()
                .flat_map(|element| element.to_le_bytes())
                .collect()
        };
    }
    match tensor.storage() {
        Storage::F32(elements) => bytes!(elements),
        Storage::F16(elements) => bytes!(elements),
        Storage::Bf16(elements) => bytes!(elements),
        Storage::F64(elements) => bytes!(elements),
        Storage::I8(elements) => bytes!(elements),
        Storage::I16(elements) => bytes!(elements),
        Storage::I32(elements) => bytes!(elements),
        Storage::I64(elements) => bytes!(elements),
        Storage::U8(elements) => bytes!(elements),
        Storage::U16(elements) => bytes!(elements),
        Storage::U32(elements) => bytes!(elements),
        Storage::U64(elements) => bytes!(elements),
        Storage::Bool(elements) => elements.iter().map(|&element| element.into()).collect(),
    }
}

/// Name, type, extents and digest of every tensor, in the order of the file.
pub fn lines(checkpoint: &Checkpoint) -> Vec<(String, String, Vec<usize>, String)> {
    let tensors = checkpoint.tensors().iter();
    tensors
        .map(|entry| {
            let tensor = checkpoint.read(&entry.name).unwrap();
            assert_eq!(
                (tensor.dtype(), tensor.shape()),
                (entry.dtype, entry.shape.as_slice())
            );
            let bytes = le_bytes(&tensor);
            assert_eq!(bytes.len() as u64, entry.bytes, "{}", entry.name);
            (
                entry.name.clone(),
                entry.dtype.name().to_owned(),
                entry.shape.clone(),
                hex(&Sha256::digest(&bytes)),
            )
        })
        .collect()
}
