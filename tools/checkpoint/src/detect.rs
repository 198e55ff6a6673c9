//! Which format a file has, by its content.

use std::fmt;

use limbic_graph::{Error, ErrorKind, Result};

use crate::source::Source;
use crate::{hdf5, llama2c, numpy, safetensors, tensorbundle, torch};

/// A checkpoint format that this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// PyTorch's zip form, since 1.6.
    Torch,
    /// PyTorch's form before 1.6: pickles and storages one behind the other.
    TorchLegacy,
    /// A TorchScript archive; its code is not read.
    TorchScript,
    /// A NumPy array.
    Npy,
    /// An archive of NumPy arrays.
    Npz,
    /// A Keras HDF5 file with its layers named.
    Keras,
    /// Any other HDF5 file: its datasets of numbers.
    Hdf5,
    /// A TensorFlow checkpoint: `.index` and `.data-…`.
    TensorBundle,
    /// llama2.c's first format.
    Llama2c,
}

impl Format {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Torch => "PyTorch zip",
            Self::TorchLegacy => "PyTorch legacy pickle",
            Self::TorchScript => "TorchScript",
            Self::Npy => "NumPy array",
            Self::Npz => "NumPy archive",
            Self::Keras => "Keras HDF5",
            Self::Hdf5 => "HDF5",
            Self::TensorBundle => "TensorFlow TensorBundle",
            Self::Llama2c => "llama2.c v0",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the first and last bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Zip,
    Safetensors,
    TorchLegacy,
    Npy,
    Hdf5,
    TensorBundle,
    Llama2c,
}

/// Finds the kind of a file.
///
/// # Errors
/// [`ErrorKind::Unsupported`] naming what the file is, as far as that can be told.
pub(crate) fn kind(source: &Source) -> Result<Kind> {
    let head = source.head(64)?;
    let tail_start = source.len().saturating_sub(8);
    let tail = source.read("end", tail_start, source.len() - tail_start)?;
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Kind::Zip);
    }
    if torch::is_legacy(&head) {
        return Ok(Kind::TorchLegacy);
    }
    if head.starts_with(numpy::MAGIC) {
        return Ok(Kind::Npy);
    }
    if is_hdf5(source)? {
        return Ok(Kind::Hdf5);
    }
    if tensorbundle::is_table(&tail) {
        return Ok(Kind::TensorBundle);
    }
    if let Some(what) = known_otherwise(&head) {
        return Err(unsupported(source, what));
    }
    if safetensors::header_bytes(&head, source.len()).is_some() {
        return Ok(Kind::Safetensors);
    }
    if llama2c::fits(&head, source.len()) {
        return Ok(Kind::Llama2c);
    }
    Err(unsupported(source, "something else"))
}

pub(crate) fn unsupported(source: &Source, found: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        source.name(),
        "safetensors, PyTorch, TorchScript, NumPy, Keras HDF5, TensorFlow TensorBundle or llama2.c",
        found,
    )
}

/// The signature may stand behind a user block of 512 bytes or a larger power of two.
fn is_hdf5(source: &Source) -> Result<bool> {
    let mut at = 0;
    while at + 8 <= source.len().min(1 << 20) {
        if source.read("signature", at, 8)? == hdf5::MAGIC {
            return Ok(true);
        }
        at = if at == 0 { 512 } else { at * 2 };
    }
    Ok(false)
}

/// Formats that are known by their first bytes and not read here.
fn known_otherwise(head: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    Some(if head.is_empty() {
        "an empty file"
    } else if at(4, b"TFL3") {
        "a TFLite model, which is a graph and not a checkpoint"
    } else if at(0, b"GGUF") {
        "a GGUF file"
    } else if at(0, b"24ka") {
        "a llama2.c file of version 1 or 2"
    } else if at(0, b"version https://git-lfs") {
        "a Git LFS pointer: the file itself was not downloaded"
    } else if at(0, b"<!DOCTYPE") || at(0, b"<html") {
        "a web page: the download went wrong"
    } else if at(0, b"\x1f\x8b") {
        "a gzip file: unpack it first"
    } else if matches!(head, [0x80, 2..=5, ..]) {
        "a pickle that is no PyTorch file"
    } else if at(0, &[0x08]) && at(2, &[0x12]) {
        "what looks like an ONNX model, which is a graph and not a checkpoint"
    } else {
        return None;
    })
}
