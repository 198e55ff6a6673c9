//! What can be wrong with a plan, its weight packs or the memory lent for it.

use core::fmt;

/// Result of this crate's functions.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a plan was refused or not run.
///
/// Says which part and which entry of it, what was expected there and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    place: &'static str,
    index: usize,
    expected: u64,
    found: u64,
}

/// Class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no plan, or a table of it is damaged.
    Malformed,
    /// A plan of a version that this release does not read; compile the graph again.
    Version,
    /// A step names a kernel or a function that this release does not have.
    Kernel,
    /// A step would read or write outside its buffers, or in an order that is not defined.
    Bounds,
    /// A weight pack is missing or has another length.
    Pack,
    /// The memory lent for a run is too short or not aligned to 64 bytes.
    Arena,
    /// A thread that was lent for a run ended inside a part of a step; what the run left in the arena means nothing.
    Worker,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, place: &'static str, index: usize, expected: u64, found: u64) -> Self {
        Self {
            kind,
            place,
            index,
            expected,
            found,
        }
    }

    /// The same error at another entry.
    pub(crate) fn at(self, index: usize) -> Self {
        Self { index, ..self }
    }

    /// Class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Which part of the plan.
    pub fn place(&self) -> &'static str {
        self.place
    }

    /// Which entry of that part.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "damaged plan",
            Self::Version => "plan of another version",
            Self::Kernel => "unknown kernel",
            Self::Bounds => "outside its buffers",
            Self::Pack => "wrong weight pack",
            Self::Arena => "unfit memory",
            Self::Worker => "a thread that ended",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            place,
            index,
            expected,
            found,
        } = self;
        write!(f, "{place} {index}: {kind}: expected {expected}, found {found}")
    }
}

impl core::error::Error for Error {}
