//! What can stop a quantization.

use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a graph was not quantized.
///
/// Says where (a tensor, a node, a line of a file), what was expected there and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    place: String,
    expected: String,
    found: String,
}

/// Class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The graph could not be run or changed; a retry fails again.
    Graph,
    /// A tensor holds NaN or an infinity: the model or its input is broken.
    NotFinite,
    /// A tensor that is to be quantized got no range: no input reached it.
    NoRange,
    /// A calibration table or a recipe that is not well formed.
    Syntax,
    /// A parameter outside its range.
    Parameter,
    /// Data sets that are empty, overlap or do not fit the model.
    Data,
}

impl Error {
    /// An error of a class at a place.
    pub fn new(
        kind: ErrorKind,
        place: impl fmt::Display,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            place: place.to_string(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    /// Class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where: a tensor, a node, a line.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl From<limbic_graph::Error> for Error {
    fn from(error: limbic_graph::Error) -> Self {
        Self::new(ErrorKind::Graph, error.place(), error.expected(), error.found())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for Error {}
