//! Sound, picture and text files.
//!
//! The format is decided by the content, never by the name. Every reader is bounded: a header that promises more than
//! [`Limits`] allow is refused before memory is taken for it.

pub mod audio;
pub mod image;
mod kind;
pub mod text;

use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use kind::{FileKind, SNIFF_BYTES};

/// Upper bounds of what a reader takes into memory.
///
/// Sound has none: it is read in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a picture file.
    pub picture_bytes: u64,
    /// Width times height of a picture. While it is decoded a pixel takes up to 16 bytes.
    pub picture_pixels: u64,
    /// Bytes of a text file.
    pub text_bytes: u64,
}

impl Default for Limits {
    /// 256 MiB and 64,000,000 pixels a picture, 64 MiB of text.
    fn default() -> Self {
        Self {
            picture_bytes: 256 << 20,
            picture_pixels: 64_000_000,
            text_bytes: 64 << 20,
        }
    }
}

/// Opens a file, refusing what is not one.
fn open(path: &Path) -> Result<File> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| Error::io(error).of(&name))?;
    let metadata = file.metadata().map_err(|error| Error::io(error).of(&name))?;
    if metadata.is_dir() {
        return Err(Error::new(ErrorKind::Unreadable, "this is a folder").of(&name));
    }
    Ok(file)
}

/// Reads a whole input of at most `limit` bytes.
fn read_bounded(reader: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Error::io)?;
    check_size(bytes.len() as u64, limit)?;
    Ok(bytes)
}

fn check_size(bytes: u64, limit: u64) -> Result<()> {
    if bytes > limit {
        let detail = format!("at least {bytes} bytes, the limit is {limit}");
        return Err(Error::limit(limit, bytes, detail));
    }
    Ok(())
}
