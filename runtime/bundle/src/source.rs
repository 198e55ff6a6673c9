//! A model folder: `model.toml`, its calibration, and the files beside it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::check::{dangling, entry_name};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{HeadCalibration, Manifest};
use crate::package::Package;

/// Name of the calibration beside a `model.toml`.
const CALIBRATION: &str = "calibration.json";

/// A model before it is packed: a folder with a `model.toml`.
#[derive(Debug, Clone)]
pub struct Source {
    folder: PathBuf,
    manifest: Manifest,
}

/// What a recipe found out about its heads after training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calibration {
    heads: BTreeMap<String, HeadCalibration>,
}

impl Source {
    /// Reads a `model.toml`, or that of a folder, and the `calibration.json` beside it where there is one.
    ///
    /// Calibrated temperatures, thresholds and abstention bounds take the place of those in `model.toml`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if a file cannot be read, otherwise what is wrong in it; each error names the file.
    pub fn open(path: &Path) -> Result<Self> {
        let path = if path.is_dir() {
            path.join("model.toml")
        } else {
            path.to_path_buf()
        };
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let text = read_text(&path)?;
        let mut manifest = Manifest::from_toml(&text).map_err(|error| error.within(folder_name(&folder)))?;
        let calibration = folder.join(CALIBRATION);
        if calibration
            .try_exists()
            .map_err(|error| Error::io(&calibration, "look for it", error))?
        {
            let text = read_text(&calibration)?;
            calibrate(&mut manifest, &text).map_err(|error| error.within(calibration.display()))?;
        }
        Ok(Self { folder, manifest })
    }

    /// The manifest, already checked; it lists no entries.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder that the manifest's paths start from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Content of a file beside `model.toml`.
    ///
    /// # Errors
    /// [`ErrorKind::EntryName`] for a path that leaves the folder, [`ErrorKind::Io`], [`ErrorKind::Limit`].
    pub fn entry(&self, path: &str) -> Result<Vec<u8>> {
        entry_name(path)?;
        read(&self.folder.join(path), u64::from(u32::MAX))
    }

    /// Packs the folder into a bundle at `output` and gives the bundle's identity.
    ///
    /// The bundle is written beside `output` and renamed, so that `output` is whole or as before.
    ///
    /// # Errors
    /// If a file that the manifest names cannot be read, or the bundle cannot be written.
    #[cfg(feature = "write")]
    pub fn pack(&self, output: &Path) -> Result<String> {
        let mut writer = crate::write::BundleWriter::new(self.manifest.clone());
        for (path, _) in self.manifest.files() {
            writer.add(path, self.entry(path)?)?;
        }
        writer.write(output)
    }
}

impl Package for Source {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn entry(&self, path: &str) -> Result<Cow<'_, [u8]>> {
        self.entry(path).map(Cow::Owned)
    }

    fn identity(&self) -> Option<&str> {
        None
    }
}

fn folder_name(folder: &Path) -> std::path::Display<'_> {
    if folder.as_os_str().is_empty() {
        Path::new(".").display()
    } else {
        folder.display()
    }
}

fn calibrate(manifest: &mut Manifest, text: &str) -> Result<()> {
    let calibration: Calibration = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Syntax, "calibration", "heads by name", error))?;
    for (name, found) in calibration.heads {
        let known: Vec<String> = manifest.heads.iter().map(|head| head.name.clone()).collect();
        let head = manifest
            .heads
            .iter_mut()
            .find(|head| head.name == name)
            .ok_or_else(|| dangling("heads".to_owned(), &name, known.iter().map(String::as_str)))?;
        found.apply(head);
    }
    manifest.check()
}

fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path, limits::TEXT_FILE_BYTES)?).map_err(|error| {
        let found = format!("another byte at {}", error.utf8_error().valid_up_to());
        Error::new(ErrorKind::Syntax, path.display().to_string(), "UTF-8 text", found)
    })
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let metadata = fs::metadata(path).map_err(|error| Error::io(path, "read it", error))?;
    if !metadata.is_file() {
        return Err(Error::new(
            ErrorKind::Reference,
            path.display().to_string(),
            "a file",
            "something else",
        ));
    }
    if metadata.len() > most {
        let expected = format!("at most {most} bytes");
        return Err(Error::new(
            ErrorKind::Limit,
            path.display().to_string(),
            expected,
            metadata.len(),
        ));
    }
    fs::read(path).map_err(|error| Error::io(path, "read it", error))
}
