//! Writing a bundle.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use atomic_write_file::AtomicWriteFile;

use crate::archive::{Crc32, Record, central_header, data_offset, end_record, local_header, sha256_hex};
use crate::bundle::Bundle;
use crate::check::{at_most, dangling};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{Entry, MANIFEST_ENTRY, Manifest};

/// Collects contents and writes them as a bundle.
///
/// Equal manifests and contents give equal bytes.
#[derive(Debug, Clone)]
pub struct BundleWriter {
    manifest: Manifest,
    contents: BTreeMap<String, Vec<u8>>,
}

impl BundleWriter {
    /// A writer for this manifest; entries it lists are replaced.
    pub fn new(mut manifest: Manifest) -> Self {
        manifest.entries.clear();
        Self {
            manifest,
            contents: BTreeMap::new(),
        }
    }

    /// Adds the content of an entry that the manifest names.
    ///
    /// # Errors
    /// [`ErrorKind::Reference`] if no key of the manifest names it, [`ErrorKind::Duplicate`] if it was added before.
    pub fn add(&mut self, path: &str, content: Vec<u8>) -> Result<()> {
        let files = self.manifest.files();
        if !files.iter().any(|(file, _)| *file == path) {
            return Err(dangling(
                "entry".to_owned(),
                path,
                files.iter().map(|(file, _)| *file),
            ));
        }
        if self.contents.insert(path.to_owned(), content).is_some() {
            return Err(Error::new(
                ErrorKind::Duplicate,
                path,
                "each entry once",
                "a second content",
            ));
        }
        Ok(())
    }

    /// The bundle as bytes, and its identity.
    ///
    /// # Errors
    /// [`ErrorKind::EntryMissing`] if a content was not added, [`ErrorKind::Zip64`] at 4 GiB, or what the check of the
    /// manifest finds.
    pub fn to_bytes(&self) -> Result<(Vec<u8>, String)> {
        let mut manifest = self.manifest.clone();
        let mut members = Vec::new();
        for (path, optional) in self.manifest.files() {
            let content = self.contents.get(path).ok_or_else(|| {
                Error::new(ErrorKind::EntryMissing, path, "the content of each entry", "none")
            })?;
            manifest.entries.push(Entry {
                path: path.to_owned(),
                sha256: sha256_hex(content),
                bytes: content.len() as u64,
                optional,
            });
            members.push((path, content.as_slice()));
        }
        manifest.check()?;
        let text = manifest.to_json()?;
        Ok((archive(&text, &members)?, sha256_hex(&text)))
    }

    /// Writes the bundle beside `path`, renames it to `path`, and gives its identity.
    ///
    /// # Errors
    /// As [`BundleWriter::to_bytes`], or [`ErrorKind::Io`] naming the file; `path` is then as before.
    pub fn write(&self, path: &Path) -> Result<String> {
        let (bytes, identity) = self.to_bytes()?;
        replace(path, &bytes)?;
        Ok(identity)
    }
}

impl Bundle {
    /// This bundle without the optional entries that `keep` refuses: a thin one, of the same identity.
    ///
    /// # Errors
    /// [`ErrorKind::Archive`] cannot happen for a bundle that was opened.
    pub fn to_thin_bytes(&self, keep: impl Fn(&Entry) -> bool) -> Result<Vec<u8>> {
        let mut members = Vec::new();
        for info in self.entries().filter(|info| info.present) {
            if !info.entry.optional || keep(info.entry) {
                members.push((info.entry.path.as_str(), self.entry(&info.entry.path)?));
            }
        }
        archive(self.manifest_bytes()?, &members)
    }
}

fn archive(manifest: &[u8], members: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let too_large = |bytes: u64| {
        Error::new(
            ErrorKind::Zip64,
            "archive",
            "less than 4 GiB",
            format!("{bytes} bytes"),
        )
    };
    if manifest.len() as u64 > limits::MANIFEST_BYTES {
        let expected = format!("at most {} bytes", limits::MANIFEST_BYTES);
        return Err(Error::new(
            ErrorKind::Limit,
            MANIFEST_ENTRY,
            expected,
            manifest.len(),
        ));
    }
    at_most("entries", members.len(), limits::ENTRIES)?;
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in std::iter::once(&(MANIFEST_ENTRY, manifest)).chain(members) {
        let offset = bytes.len() as u64;
        let end = data_offset(offset, name) + content.len() as u64;
        if end >= u64::from(u32::MAX) {
            return Err(too_large(end));
        }
        let record = Record {
            name: (*name).to_owned(),
            crc: Crc32::of(content),
            bytes: content.len() as u32,
            offset: offset as u32,
        };
        bytes.extend_from_slice(&local_header(&record));
        bytes.extend_from_slice(content);
        directory.extend_from_slice(&central_header(&record));
    }
    let total = bytes.len() as u64 + directory.len() as u64;
    if total >= u64::from(u32::MAX) {
        return Err(too_large(total));
    }
    let end = end_record(
        members.len() as u16 + 1,
        directory.len() as u32,
        bytes.len() as u32,
    );
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(&end);
    Ok(bytes)
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |error: std::io::Error| Error::io(path, "write it", error);
    let mut file = AtomicWriteFile::open(path).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.commit().map_err(io)
}
