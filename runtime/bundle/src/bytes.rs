//! The bytes of a bundle: mapped, shared or static.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, ErrorKind, Result};

/// Alignment of bytes that are held in memory; a mapped file begins at a page.
const ALIGNMENT: usize = 64;

/// Read-only bytes, or a part of them, that live as long as somebody holds them.
///
/// They begin at an address that is a multiple of 64, and so do the entries of a bundle in them.
#[derive(Clone)]
pub struct Bytes {
    held: Held,
    part: Range<usize>,
}

#[derive(Clone)]
enum Held {
    Static(&'static [u8]),
    Shared(Arc<Vec<u8>>),
    Mapped(Arc<Mmap>),
}

impl Bytes {
    /// Maps a file read-only.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] naming the file; [`ErrorKind::NotABundle`] for a folder or an empty file.
    pub(crate) fn map(path: &Path) -> Result<Self> {
        // Asked before opening: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, "open it", error))?;
        if !metadata.is_file() || metadata.len() == 0 {
            let found = if metadata.is_file() {
                "an empty file"
            } else {
                "no file"
            };
            return Err(Error::new(
                ErrorKind::NotABundle,
                path.display().to_string(),
                "a bundle",
                found,
            ));
        }
        let file = File::open(path).map_err(|error| Error::io(path, "open it", error))?;
        // SAFETY: the map is read-only and private to this value, and only ever seen as plain bytes, for which every
        // value is valid. The one way to break it is another process that shortens or rewrites the file in place
        // while it is open: bundles are replaced by renaming (as the writer does), never rewritten.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::io(path, "map it", error))?;
        Ok(Self {
            part: 0..map.len(),
            held: Held::Mapped(Arc::new(map)),
        })
    }

    /// A copy at an aligned address.
    fn aligned(content: &[u8]) -> Self {
        let mut bytes = vec![0; content.len() + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let part = start..start + content.len();
        if let Some(to) = bytes.get_mut(part.clone()) {
            to.copy_from_slice(content);
        }
        // Turning a vector into a shared slice would move it.
        Self {
            held: Held::Shared(Arc::new(bytes)),
            part,
        }
    }

    /// A part of these bytes that holds them; nothing if it ends behind them.
    pub(crate) fn part(&self, part: Range<usize>) -> Option<Self> {
        self.get(part.clone())?;
        Some(Self {
            held: self.held.clone(),
            part: self.part.start + part.start..self.part.start + part.end,
        })
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.held {
            Held::Static(bytes) => bytes,
            Held::Shared(bytes) => bytes,
            Held::Mapped(map) => map,
        };
        all.get(self.part.clone()).unwrap_or_default()
    }
}

impl From<&'static [u8]> for Bytes {
    /// Copies only what does not begin at a multiple of 64.
    fn from(bytes: &'static [u8]) -> Self {
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Self::aligned(bytes);
        }
        Self {
            held: Held::Static(bytes),
            part: 0..bytes.len(),
        }
    }
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::aligned(&bytes)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = match &self.held {
            Held::Static(_) => "static",
            Held::Shared(_) => "shared",
            Held::Mapped(_) => "mapped",
        };
        write!(f, "Bytes({held}, {})", self.len())
    }
}
