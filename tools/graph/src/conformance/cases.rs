//! Cases in a zip archive or a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// Bytes accepted of one file of a case.
const MAX_FILE: u64 = 64 << 20;

/// Inputs with the outputs that are expected for them: tensors as files hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataSet {
    /// In the order of the model's inputs.
    pub inputs: Vec<Vec<u8>>,
    /// In the order of the model's outputs.
    pub outputs: Vec<Vec<u8>>,
}

/// A model and what it should answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    /// The model's file.
    pub model: Vec<u8>,
    /// The data sets, in their order.
    pub sets: Vec<DataSet>,
}

/// A folder or archive of cases.
#[derive(Debug)]
pub struct Cases {
    place: Place,
    /// Files by the case they belong to.
    files: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug)]
enum Place {
    Zip(Box<zip::ZipArchive<std::fs::File>>),
    Folder(PathBuf),
}

impl Cases {
    /// Lists the cases of a zip archive or a folder of folders.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Malformed`] where it cannot be read or holds no case.
    pub fn open(path: &Path) -> Result<Self> {
        let mut files: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut add = |name: &str| {
            if let Some((case, file)) = name.split_once('/')
                && !file.is_empty()
            {
                files.entry(case.to_owned()).or_default().insert(file.to_owned());
            }
        };
        let place = if path.is_dir() {
            for case in list(path)? {
                for file in list(&path.join(&case))? {
                    add(&format!("{case}/{file}"));
                    let inner = path.join(&case).join(&file);
                    if inner.is_dir() {
                        for data in list(&inner)? {
                            add(&format!("{case}/{file}/{data}"));
                        }
                    }
                }
            }
            Place::Folder(path.to_owned())
        } else {
            let file = std::fs::File::open(path).map_err(|e| io(path, e))?;
            let archive = zip::ZipArchive::new(file)
                .map_err(|e| Error::new(ErrorKind::Malformed, path.display(), "a zip archive", e))?;
            for name in archive.file_names() {
                let damaged = |e| Error::new(ErrorKind::Malformed, path.display(), "names in UTF-8", e);
                add(&name.map_err(damaged)?);
            }
            Place::Zip(Box::new(archive))
        };
        files.retain(|_, files| files.contains("model.onnx"));
        if files.is_empty() {
            let expected = "folders with a model.onnx";
            return Err(Error::new(ErrorKind::Malformed, path.display(), expected, "none"));
        }
        Ok(Self { place, files })
    }

    /// Names of the cases, in order.
    pub fn names(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    /// Reads a case.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] if there is none of this name; [`ErrorKind::Io`], [`ErrorKind::Malformed`] or
    /// [`ErrorKind::Limit`] where a file of it cannot be read.
    pub fn load(&mut self, name: &str) -> Result<Case> {
        let files = self.files.get(name).cloned();
        let files = files.ok_or_else(|| Error::new(ErrorKind::Name, "", "a case", name))?;
        let mut sets = Vec::new();
        for set in 0.. {
            let inputs = self.tensors(name, &files, set, "input")?;
            let outputs = self.tensors(name, &files, set, "output")?;
            if inputs.is_empty() && outputs.is_empty() {
                break;
            }
            sets.push(DataSet { inputs, outputs });
        }
        Ok(Case {
            name: name.to_owned(),
            model: self.bytes(&format!("{name}/model.onnx"))?,
            sets,
        })
    }

    fn tensors(
        &mut self,
        case: &str,
        files: &BTreeSet<String>,
        set: usize,
        kind: &str,
    ) -> Result<Vec<Vec<u8>>> {
        let mut tensors = Vec::new();
        for n in 0.. {
            let file = format!("test_data_set_{set}/{kind}_{n}.pb");
            if !files.contains(&file) {
                break;
            }
            tensors.push(self.bytes(&format!("{case}/{file}"))?);
        }
        Ok(tensors)
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        match &mut self.place {
            Place::Zip(archive) => {
                let file = archive
                    .by_name(name)
                    .map_err(|e| Error::new(ErrorKind::Malformed, name, "a file of the archive", e))?;
                take(name, file)
            }
            Place::Folder(folder) => {
                let path = folder.join(name);
                take(name, std::fs::File::open(&path).map_err(|e| io(&path, e))?)
            }
        }
    }
}

fn take(name: &str, file: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|e| Error::new(ErrorKind::Io, name, "a file that can be read", e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::new(
            ErrorKind::Limit,
            name,
            format!("at most {MAX_FILE} bytes"),
            "more",
        ));
    }
    Ok(bytes)
}

/// Names in a folder; nothing for a file.
fn list(path: &Path) -> Result<Vec<String>> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(path).map_err(|e| io(path, e))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| io(path, e))?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

fn io(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, path.display(), "a file that can be read", error)
}
