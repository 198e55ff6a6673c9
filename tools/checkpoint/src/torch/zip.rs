//! The zip form: `data.pkl` beside one member for each storage, and TorchScript's archives.

use limbic_graph::{Error, ErrorKind, Result};

use super::flatten::flatten;
use super::view::{Storages, View, Views, check_storages};
use crate::elements::ByteOrder;
use crate::entry::{Contents, Entry};
use crate::pickle::{Limits, load};
use crate::zip::Archive;

/// Longest pickle.
const MAX_PICKLE_BYTES: u64 = 64 << 20;

/// The folder inside the archive, with its slash, where this is a PyTorch file.
pub(crate) fn root(archive: &Archive) -> Option<String> {
    let pickles = archive
        .members()
        .iter()
        .filter_map(|member| member.name.strip_suffix("data.pkl"));
    let root = pickles
        .filter(|root| root.is_empty() || root.ends_with('/'))
        .min_by_key(|root| root.len())?;
    Some(root.to_owned())
}

/// Whether the archive holds code, which makes it TorchScript.
pub(crate) fn is_script(archive: &Archive, root: &str) -> bool {
    let code = format!("{root}code/");
    let constants = format!("{root}constants.pkl");
    archive
        .members()
        .iter()
        .any(|member| member.name.starts_with(&code) || member.name == constants)
}

/// Lists an archive; constants of a script are called `CONSTANTS.` and their number, as its code calls them.
pub(crate) fn open(archive: Archive, root: &str, script: bool) -> Result<Contents> {
    let order = match archive.member(&format!("{root}byteorder")) {
        Err(_) => ByteOrder::Little,
        Ok(member) => match archive.read(member, 16)?.as_slice() {
            b"little" => ByteOrder::Little,
            b"big" => ByteOrder::Big,
            other => {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!("{}: {}", archive.source().name(), member.name),
                    "little or big",
                    String::from_utf8_lossy(other),
                ));
            }
        },
    };
    let file = archive.source().name().to_owned();
    let mut metadata = Vec::new();
    let mut skipped = Vec::new();
    let mut views: Vec<(String, View)> = Vec::new();
    let mut parts = vec![("data.pkl", "data/", "")];
    if script {
        parts.push(("constants.pkl", "constants/", "CONSTANTS"));
    }
    for (pickle, folder, prefix) in parts {
        let path = format!("{root}{pickle}");
        if prefix == "CONSTANTS" && archive.member(&path).is_err() {
            continue;
        }
        let bytes = archive.read(archive.member(&path)?, MAX_PICKLE_BYTES)?;
        let place = format!("{file}: {path}");
        let mut flat = flatten(&load(&place, &bytes, Limits::default())?, &place, prefix)?;
        for (name, view) in &mut flat.tensors {
            view.storage.key = format!("{root}{folder}{}", view.storage.key);
            if let Some(number) = name.strip_prefix("CONSTANTS.").filter(|_| script) {
                *name = format!("CONSTANTS.c{number}");
            }
        }
        views.append(&mut flat.tensors);
        metadata.append(&mut flat.metadata);
        skipped.append(&mut flat.skipped);
    }
    check_storages(&file, &views, &archive)?;
    let entries: Result<Vec<Entry>> = views
        .iter()
        .map(|(name, view)| Entry::new(name.clone(), view.dtype, view.shape.clone()))
        .collect();
    let tensors = Views {
        storages: archive,
        views: views.into_iter().map(|(_, view)| view).collect(),
        order,
    };
    let mut contents = Contents::new(entries?, tensors);
    contents.metadata = metadata;
    contents.skipped = skipped;
    Ok(contents)
}

impl Storages for Archive {
    fn size(&self, key: &str) -> Option<u64> {
        self.member(key).ok().map(|member| member.size)
    }

    fn read(&self, key: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        let member = self.member(key)?;
        if offset == 0 && len == member.size {
            return self.read(member, len);
        }
        self.part(member, offset, len, len)
    }
}
