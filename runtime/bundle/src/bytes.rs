//! The bytes of a bundle: mapped, shared or static.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, ErrorKind, Result};

/// Bytes that live as long as the bundle.
#[derive(Clone)]
pub struct Bytes(Held);

#[derive(Clone)]
enum Held {
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
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
        Ok(Self(Held::Mapped(Arc::new(map))))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Static(bytes) => bytes,
            Held::Shared(bytes) => bytes,
            Held::Mapped(map) => map,
        }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Held::Static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self(Held::Static(bytes))
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Held::Shared(bytes))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Held::Shared(bytes.into()))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = match &self.0 {
            Held::Static(_) => "static",
            Held::Shared(_) => "shared",
            Held::Mapped(_) => "mapped",
        };
        write!(f, "Bytes({held}, {})", self.len())
    }
}
