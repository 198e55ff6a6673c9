//! The bytes of a file, read in pieces.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use limbic_graph::{Error, ErrorKind, Result};

/// A file or bytes in memory; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    name: Arc<str>,
    len: u64,
    held: Held,
}

#[derive(Debug, Clone)]
enum Held {
    File(Arc<Mutex<File>>),
    Bytes(Arc<[u8]>),
}

impl Source {
    /// Opens a regular file; messages call it by its file name.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let io = |error: std::io::Error| Error::new(ErrorKind::Io, path.display(), "a readable file", error);
        // Asked before opening: opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::new(
                ErrorKind::Io,
                path.display(),
                "a file",
                "a folder or a device",
            ));
        }
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        Ok(Self {
            name: name.into(),
            len,
            held: Held::File(Arc::new(Mutex::new(file))),
        })
    }

    /// Bytes in memory under a name for messages.
    pub(crate) fn bytes(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.into(),
            len: bytes.len() as u64,
            held: Held::Bytes(bytes),
        }
    }

    /// Name for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes from `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] past the end, before anything is allocated; [`ErrorKind::Io`].
    pub(crate) fn read(&self, place: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        let (true, Ok(count)) = (inside, usize::try_from(len)) else {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{}: {place}", self.name),
                format!("{len} bytes at offset {offset}"),
                format!("{} bytes in the file", self.len),
            ));
        };
        let mut bytes = vec![0; count];
        self.fill(&mut bytes, offset).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                &self.name,
                format!("{len} bytes at {offset}"),
                error,
            )
        })?;
        Ok(bytes)
    }

    /// At most `len` bytes from the start.
    pub(crate) fn head(&self, len: u64) -> Result<Vec<u8>> {
        self.read("start", 0, self.len.min(len))
    }

    fn fill(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
        let read = rawzip::ReaderAt::read_at(self, bytes, offset)?;
        if read < bytes.len() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl rawzip::ReaderAt for Source {
    /// Reads as much as there is: fewer bytes only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buf.len());
        let Some(target) = buf.get_mut(..count).filter(|target| !target.is_empty()) else {
            return Ok(0);
        };
        match &self.held {
            Held::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                match bytes.get(start..).and_then(|rest| rest.get(..count)) {
                    Some(part) => target.copy_from_slice(part),
                    None => return Ok(0),
                }
            }
            Held::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(target)?;
            }
        }
        Ok(count)
    }
}

impl hdf5_reader::Storage for Source {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_range(&self, offset: u64, len: usize) -> hdf5_reader::error::Result<hdf5_reader::StorageBuffer> {
        let bytes = self
            .read("range", offset, len as u64)
            .map_err(|error| hdf5_reader::error::Error::InvalidData(error.to_string()))?;
        Ok(hdf5_reader::StorageBuffer::from_vec(bytes))
    }
}
