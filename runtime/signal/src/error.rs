//! The crate's error.

use std::borrow::Cow;
use std::fmt;

/// What went wrong; decides what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A parameter of a step is outside its range or contradicts another. Only another manifest helps.
    Parameter,
    /// A buffer does not have the length its shape asks for. A mistake of the caller; nothing was changed.
    Shape,
    /// A region lies outside its picture or is empty. Nothing was changed; another region may do.
    Region,
    /// The vocabulary lacks a token a step needs, holds one twice, or is too large. Only another vocabulary helps.
    Vocabulary,
    /// The input is larger than a step accepts. Nothing was changed; smaller input may do.
    Limit,
    /// A sample is NaN or infinite; [`Error::index`] is its place in the stream. Nothing was changed.
    NotFinite,
    /// A sample is finite but too large to be sound; [`Error::index`] is its place in the stream. Nothing was changed.
    OutOfRange,
    /// The input is too short for the step to have an output. Longer input may do.
    TooShort,
}

/// Error of a preprocessing step: what it is about, what was expected there and what was found.
///
/// # Example
/// ```
/// use limbic_signal::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::Parameter, "resize@1 width", "at least 1", 0);
/// assert_eq!(error.to_string(), "resize@1 width: expected at least 1, found 0");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    subject: Cow<'static, str>,
    expected: Cow<'static, str>,
    found: String,
    index: Option<u64>,
}

/// Result with the crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error about `subject` (a step's parameter, a buffer, a region), with names and numbers.
    pub fn new(
        kind: ErrorKind,
        subject: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
        found: impl fmt::Display,
    ) -> Self {
        Self {
            kind,
            subject: subject.into(),
            expected: expected.into(),
            found: found.to_string(),
            index: None,
        }
    }

    /// The same error with the index of the element it is about.
    #[must_use]
    pub fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    /// The kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the error is about.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What would have been accepted.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was found instead.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Index of the element the error is about, counted from the start of its stream or buffer.
    pub fn index(&self) -> Option<u64> {
        self.index
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.subject, self.expected, self.found
        )?;
        match self.index {
            Some(index) => write!(f, " at index {index}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
