//! A checkpoint of any format.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use limbic_graph::{Error, ErrorKind, Result, Tensor};

use crate::detect::{Format, Kind, kind, unsupported};
use crate::entry::{Contents, Entry, KerasLayer, Skipped};
use crate::source::Source;
use crate::zip::Archive;
use crate::{keras, llama2c, numpy, safetensors, tensorbundle, torch};

/// An open checkpoint: a list of tensors, each read when it is asked for.
#[derive(Debug)]
pub struct Checkpoint {
    format: Format,
    contents: Contents,
    index: HashMap<String, usize>,
}

impl Checkpoint {
    /// Opens a file and lists its tensors; the format is found by the content.
    ///
    /// A TensorFlow checkpoint is named by its `.index`, by one of its `.data-…` files, by the path without either,
    /// or by the folder of a SavedModel.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Unsupported`] naming what the file is instead; [`ErrorKind::Malformed`] and
    /// [`ErrorKind::Limit`] for damaged and hostile files.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if let Some(prefix) = tensorbundle_prefix(path) {
            let index = Source::open(&with_suffix(&prefix, ".index"))?;
            let contents = tensorbundle::open(index, Some(&prefix))?;
            return Self::new(Format::TensorBundle, contents);
        }
        Self::from_source(Source::open(path)?, Some(path))
    }

    /// Opens a file in memory; `name` stands for it in messages.
    ///
    /// Of a TensorFlow checkpoint this is the index: its tensors are listed and cannot be read.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self> {
        Self::from_source(Source::bytes(name, bytes), None)
    }

    fn from_source(source: Source, path: Option<&Path>) -> Result<Self> {
        let (format, contents) = match kind(&source)? {
            Kind::Safetensors => (Format::Safetensors, safetensors::open(source)?),
            Kind::TorchLegacy => (Format::TorchLegacy, torch::open_legacy(source)?),
            Kind::Npy => (Format::Npy, numpy::open_npy(source)?),
            Kind::Hdf5 => keras::open(source)?,
            Kind::TensorBundle => {
                let prefix = path.map(|path| path.with_extension(""));
                (
                    Format::TensorBundle,
                    tensorbundle::open(source, prefix.as_deref())?,
                )
            }
            Kind::Llama2c => (Format::Llama2c, llama2c::open(source)?),
            Kind::Zip => open_archive(Archive::open(source)?)?,
        };
        Self::new(format, contents)
    }

    fn new(format: Format, contents: Contents) -> Result<Self> {
        let mut index = HashMap::with_capacity(contents.entries.len());
        for (at, entry) in contents.entries.iter().enumerate() {
            if index.insert(entry.name.clone(), at).is_some() {
                return Err(Error::new(
                    ErrorKind::Name,
                    &entry.name,
                    "one tensor of this name",
                    "two",
                ));
            }
        }
        Ok(Self {
            format,
            contents,
            index,
        })
    }

    /// Format of the file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The tensors in the order of the file.
    pub fn tensors(&self) -> &[Entry] {
        &self.contents.entries
    }

    /// The tensor listed under a name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.contents.entries.get(*self.index.get(name)?)
    }

    /// Reads one tensor, row-major; memory is that of its elements and of what they are unpacked from.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] where there is no such tensor, [`ErrorKind::Io`], [`ErrorKind::Malformed`] where the
    /// elements are not there or fail their checksum.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let missing = || Error::new(ErrorKind::Name, name, "a tensor of this name", "none");
        let &at = self.index.get(name).ok_or_else(missing)?;
        let entry = self.contents.entries.get(at).ok_or_else(missing)?;
        self.contents.tensors.read(at, entry)
    }

    /// The architecture as Keras' JSON, where the file holds one.
    pub fn model_config(&self) -> Option<&str> {
        self.contents.model_config.as_deref()
    }

    /// Layers of a Keras file with their weights, both in the file's order; empty for other formats.
    pub fn keras_layers(&self) -> &[KerasLayer] {
        &self.contents.keras_layers
    }

    /// Numbers and texts beside the tensors, in the order of the file: safetensors' `__metadata__`, llama2.c's header,
    /// a pickle's values such as `epoch`, Keras' version.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.contents.metadata
    }

    /// What stands in the file and was neither read nor run.
    pub fn skipped(&self) -> &[Skipped] {
        &self.contents.skipped
    }
}

fn open_archive(archive: Archive) -> Result<(Format, Contents)> {
    if let Some(root) = torch::root(&archive) {
        let script = torch::is_script(&archive, &root);
        let format = if script {
            Format::TorchScript
        } else {
            Format::Torch
        };
        return Ok((format, torch::open_zip(archive, &root, script)?));
    }
    let has = |name: &str| archive.members().iter().any(|member| member.name == name);
    if archive
        .members()
        .iter()
        .any(|member| member.name.ends_with(".npy"))
    {
        return Ok((Format::Npz, numpy::open_npz(archive)?));
    }
    let found = if has("model.weights.h5") {
        "a Keras 3 archive: save it as .h5, or take its model.weights.h5 out"
    } else if has("manifest.json") {
        "a limbic bundle, or another zip archive with a manifest"
    } else {
        "another zip archive"
    };
    Err(unsupported(archive.source(), found))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The common start of a TensorFlow checkpoint's files, where the path names one without being its index.
fn tensorbundle_prefix(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        let prefix = path.join("variables").join("variables");
        return with_suffix(&prefix, ".index").is_file().then_some(prefix);
    }
    if !path.exists() {
        return with_suffix(path, ".index").is_file().then(|| path.to_owned());
    }
    let name = path.file_name()?.to_str()?;
    let (stem, numbers) = name.rsplit_once(".data-")?;
    let prefix = path.with_file_name(stem);
    (numbers.contains("-of-") && with_suffix(&prefix, ".index").is_file()).then_some(prefix)
}
