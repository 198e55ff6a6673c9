//! Where bundles lie when the user names none.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Bundles of the first folder that has any, and the folders that were looked in.
pub fn find() -> Result<Vec<PathBuf>> {
    let places = places();
    for place in &places {
        let found = bundles_in(place);
        if !found.is_empty() {
            log::info!("bundles from {}", place.display());
            return Ok(found);
        }
    }
    let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    bail!(
        "no .limbic file in {}; name bundles with --bundle or set LIMBIC_BUNDLES to their folder",
        looked.join(", ")
    )
}

fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("LIMBIC_BUNDLES")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    let program = std::env::current_exe().ok();
    places.extend(
        program
            .as_deref()
            .and_then(Path::parent)
            .map(|folder| folder.join("bundles")),
    );
    places.push("/usr/share/limbic/bundles".into());
    places.push("models".into());
    places
}

/// Bundles in a folder and one level below, sorted.
fn bundles_in(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    };
    let is_bundle =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "limbic") && path.is_file();
    let mut found: Vec<PathBuf> = Vec::new();
    for path in entries(folder) {
        if is_bundle(&path) {
            found.push(path);
        } else if path.is_dir() {
            found.extend(entries(&path).into_iter().filter(is_bundle));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_found_in_a_folder_and_one_level_below() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("b/deep")).unwrap();
        for name in ["a.limbic", "b/c.limbic", "b/deep/d.limbic", "e.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<_> = bundles_in(folder.path())
            .iter()
            .map(|p| p.strip_prefix(folder.path()).unwrap().to_owned())
            .collect();
        assert_eq!(names, [Path::new("a.limbic"), Path::new("b/c.limbic")]);
    }
}
