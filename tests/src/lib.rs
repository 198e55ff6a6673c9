//! What the tests over several crates share: the bundled models and the real data where it is.

use std::path::{Path, PathBuf};

/// Root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The bundle of one of the project's models.
pub fn bundle(name: &str) -> PathBuf {
    root().join("models").join(name).join(format!("{name}.limbic"))
}

/// The folder of real data sets; says so and gives nothing where it is not there.
///
/// `LIMBIC_SHARED` names another folder than `../shared/data`.
pub fn shared() -> Option<PathBuf> {
    let folder =
        std::env::var_os("LIMBIC_SHARED").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no ../shared/data");
    None
}
