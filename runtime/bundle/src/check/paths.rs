//! Names of entries, and whether the list of entries is the one the manifest asks for.

use crate::check::{shorten, unique};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{MANIFEST_ENTRY, Manifest};

/// Refuses a path that could leave the bundle or that some system cannot store.
///
/// Allowed are ASCII letters, digits, `.`, `_`, `-` and `/` between non-empty parts, none of them `.` or `..`.
pub(crate) fn entry_name(path: &str) -> Result<()> {
    let refused = |expected: &str| {
        Err(Error::new(
            ErrorKind::EntryName,
            shorten(path),
            expected,
            "another name",
        ))
    };
    if path.is_empty() || path.len() > limits::ENTRY_NAME_BYTES {
        return refused(&format!("1 to {} bytes", limits::ENTRY_NAME_BYTES));
    }
    if !path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/'))
    {
        return refused("ASCII letters, digits, '.', '_', '-' and '/'");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refused("a path inside the bundle");
    }
    Ok(())
}

/// Checks every path, and the list of entries if there is one.
pub(super) fn files(manifest: &Manifest) -> Result<()> {
    let files = manifest.files();
    for (path, _) in &files {
        entry_name(path)?;
        if *path == MANIFEST_ENTRY {
            return Err(Error::new(
                ErrorKind::EntryName,
                *path,
                "another name than the manifest's",
                "that name",
            ));
        }
    }
    if manifest.entries.is_empty() {
        return Ok(());
    }
    unique(
        "entries",
        manifest.entries.iter().map(|entry| entry.path.as_str()),
    )?;
    for (i, entry) in manifest.entries.iter().enumerate() {
        let place = |key: &str| format!("entries[{i}].{key} ({})", shorten(&entry.path));
        entry_name(&entry.path)?;
        let digits = entry
            .sha256
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if entry.sha256.len() != 64 || !digits {
            let found = format!("{:?}", shorten(&entry.sha256));
            return Err(Error::new(
                ErrorKind::Parameter,
                place("sha256"),
                "64 lower-case hex digits",
                found,
            ));
        }
        match files.iter().find(|(path, _)| *path == entry.path) {
            None => {
                return Err(Error::new(
                    ErrorKind::Reference,
                    place("path"),
                    "an entry another key names",
                    "none does",
                ));
            }
            Some((_, optional)) if *optional != entry.optional => {
                return Err(Error::new(
                    ErrorKind::Reference,
                    place("optional"),
                    optional,
                    entry.optional,
                ));
            }
            Some(_) => {}
        }
    }
    match files
        .iter()
        .find(|(path, _)| !manifest.entries.iter().any(|entry| entry.path == *path))
    {
        Some((path, _)) => Err(Error::new(
            ErrorKind::Reference,
            "entries",
            format!("an entry {path:?}, which a key names"),
            "none",
        )),
        None => Ok(()),
    }
}
