//! Files that appear whole or not at all.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use atomic_write_file::AtomicWriteFile;

/// Writes a file beside its place and moves it there once it is on the disk; what stood there stays until then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("can't write {}", path.display());
    let mut file = AtomicWriteFile::open(path).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    file.commit().with_context(context)
}
