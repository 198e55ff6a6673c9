//! What can be wrong with a graph or a file that holds one.

use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a graph was refused, could not be changed or could not be run.
///
/// Says where (a file, a node, a tensor), what was expected there and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    place: String,
    expected: String,
    found: String,
    items: Vec<String>,
}

/// Class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file is damaged or is no such file.
    Malformed,
    /// Something is larger, deeper or more numerous than this crate accepts from a file.
    Limit,
    /// Operations, versions or attributes that this release does not know; all of them are listed.
    Unsupported,
    /// A name that should exist does not, or exists twice.
    Name,
    /// Elements of another type than the operation takes.
    Dtype,
    /// A shape that does not fit the operation, or that is not known where it must be.
    Shape,
    /// An attribute or a constant input outside its range.
    Value,
    /// The graph has a cycle or uses a value before it is made.
    Order,
    /// The operating system could not read or write a file; a retry can help.
    Io,
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
            items: Vec::new(),
        }
    }

    /// All that is unsupported of a file or graph, found at once.
    pub(crate) fn unsupported(
        place: impl fmt::Display,
        expected: impl fmt::Display,
        items: Vec<String>,
    ) -> Self {
        Self {
            items: items.clone(),
            ..Self::new(ErrorKind::Unsupported, place, expected, items.join("; "))
        }
    }

    /// An input of an operation that is left out and may not be.
    pub(crate) fn left_out(n: usize) -> Self {
        Self::new(ErrorKind::Name, "", format!("input {n}"), "none")
    }

    /// Class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where: a file, a node, a tensor.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was expected there.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was found there.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// One by one what [`Error::found`] lists; empty where it lists nothing.
    pub fn items(&self) -> &[String] {
        &self.items
    }

    /// The same error, its place inside an outer one.
    #[must_use]
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.place = if self.place.is_empty() {
            outer.to_string()
        } else {
            format!("{outer}: {}", self.place)
        };
        self
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
