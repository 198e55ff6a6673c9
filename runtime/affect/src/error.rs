//! The crate's one error type.

use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, where, and with which numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Details>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    kind: ErrorKind,
    subject: String,
    detail: String,
}

/// Kind of an [`Error`]; nothing has changed when one is returned, and a retry with the same values fails again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A label space, or the map in it, breaks a rule: sizes, unique labels, rows that sum to one.
    InvalidLabelSpace,
    /// A head names a label space that neither this crate nor the bundle has.
    UnknownLabelSpace,
    /// A head's parameter is out of range or does not fit its label space.
    InvalidHead,
    /// The head's kind is known by name but not implemented.
    UnsupportedHead,
    /// A slice has another length than its consumer expects.
    Shape,
    /// A number is NaN or infinite.
    NonFinite,
    /// A vector that must be normalised has length zero.
    ZeroNorm,
    /// Nothing was given where at least one item is needed.
    Empty,
    /// A distribution is negative somewhere or does not sum to one.
    InvalidDistribution,
    /// Fusion weights or the emotion-to-valence table break a rule.
    InvalidFusion,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            subject: subject.into(),
            detail: detail.into(),
        }))
    }

    /// The kind, for a caller that reacts to some kinds only.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The name of what the error is about: a label space, a head, a source.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.kind {
            ErrorKind::InvalidLabelSpace | ErrorKind::UnknownLabelSpace => "label space",
            ErrorKind::InvalidDistribution | ErrorKind::InvalidFusion => "fusion",
            ErrorKind::Empty => "pooling",
            _ => "head",
        };
        write!(f, "{what} `{}`: {}", self.0.subject, self.0.detail)
    }
}

impl std::error::Error for Error {}
