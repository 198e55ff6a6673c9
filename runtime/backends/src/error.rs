//! What can go wrong between a program's file and its outputs.

use std::error::Error as StdError;
use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a program was not loaded or not run.
///
/// Says where (a program, a signature, a tensor), what was expected there and what was found.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    place: String,
    expected: String,
    found: String,
}

/// Class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No backend of this name is compiled in; build with its feature or choose another.
    UnknownBackend,
    /// The native library of a backend is not named, is no such library, is not for this machine or is too old; name
    /// another.
    Library,
    /// What should compute inside the library is not part of it or does not start here; choose another, or say what may
    /// stand in for it.
    Provider,
    /// The backend does not read this format of file, or not this part of it.
    UnsupportedFormat,
    /// The file is damaged or is no such file.
    Malformed,
    /// The graph uses operators that the backend lacks; another backend or another export may do.
    UnsupportedOperator,
    /// The program has no signature of this name.
    UnknownSignature,
    /// A tensor of this name does not exist where it is looked for.
    UnknownTensor,
    /// A tensor that is needed was not given.
    MissingTensor,
    /// A tensor was given twice.
    DuplicateTensor,
    /// Elements of another type.
    Dtype,
    /// Another shape, or a buffer whose length is not that of its shape.
    Shape,
    /// A saved state of another program.
    State,
    /// The engine failed for a reason of its own; the session's state is as before.
    Engine,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        place: impl Into<String>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        Self::made(kind, place.into(), &expected, &found)
    }

    /// One function for all types of what is told: there are many errors in little code.
    #[inline(never)]
    fn made(kind: ErrorKind, place: String, expected: &dyn fmt::Display, found: &dyn fmt::Display) -> Self {
        Self(Box::new(Details {
            kind,
            place,
            expected: expected.to_string(),
            found: found.to_string(),
        }))
    }

    /// Class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where: a program, a signature, a tensor.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// What was expected there.
    pub fn expected(&self) -> &str {
        &self.0.expected
    }

    /// What was found there.
    pub fn found(&self) -> &str {
        &self.0.found
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details {
            kind,
            place,
            expected,
            found,
        } = &*self.0;
        write!(f, "{place}: {kind}: expected {expected}, found {found}")
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownBackend => "unknown backend",
            Self::Library => "native library",
            Self::Provider => "provider not usable",
            Self::UnsupportedFormat => "format not supported",
            Self::Malformed => "damaged program",
            Self::UnsupportedOperator => "operator not supported",
            Self::UnknownSignature => "unknown signature",
            Self::UnknownTensor => "unknown tensor",
            Self::MissingTensor => "tensor missing",
            Self::DuplicateTensor => "tensor given twice",
            Self::Dtype => "type differs",
            Self::Shape => "shape differs",
            Self::State => "state of another program",
            Self::Engine => "the engine failed",
        })
    }
}

impl StdError for Error {}
