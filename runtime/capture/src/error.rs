//! The error type of this crate.

use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in one word.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No file of that name. Nothing was opened; a retry helps once the file is there.
    NotFound,
    /// The system refused to open or to read. What came before stays valid; a retry may help.
    Unreadable,
    /// The input has no bytes at all.
    Empty,
    /// The content is of another kind than what was asked for (a picture given as sound).
    WrongType,
    /// The content is of the right kind, but in a format or a variant that is not read.
    Unsupported,
    /// The content contradicts its own format.
    Malformed,
    /// The content ends before its header says. What was delivered before is valid.
    Truncated,
    /// A sound file without a single sample.
    NoSamples,
    /// A floating-point sample is infinite or not a number. What was delivered before is valid.
    NonFinite,
    /// A size is beyond a stated limit; nothing was allocated for it.
    Limit,
    /// An input URI does not follow the grammar.
    InvalidUri,
    /// The input needs a feature that this build does not have.
    MissingFeature,
    /// No such microphone or camera, or it is in use by someone else. A retry may help.
    NoDevice,
    /// The device refused a setting or stopped delivering. The source is dead; open it again.
    Device,
}

impl ErrorKind {
    fn words(self) -> &'static str {
        match self {
            Self::NotFound => "no such file",
            Self::Unreadable => "cannot be read",
            Self::Empty => "empty",
            Self::WrongType => "wrong type",
            Self::Unsupported => "not supported",
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::NoSamples => "no samples",
            Self::NonFinite => "not a finite number",
            Self::Limit => "too large",
            Self::InvalidUri => "not an input",
            Self::MissingFeature => "not in this build",
            Self::NoDevice => "no such device",
            Self::Device => "device failed",
        }
    }
}

/// Why an input could not be opened or read on.
///
/// Its text is one line: the input's name, the kind, and the numbers.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    input: String,
    detail: String,
    counts: Option<Counts>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// An expected and a found quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// What the header, the format or the limit says.
    pub expected: u64,
    /// What is there.
    pub found: u64,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            input: String::new(),
            detail: detail.into(),
            counts: None,
            source: None,
        }))
    }

    pub(crate) fn counted(kind: ErrorKind, expected: u64, found: u64, unit: &str) -> Self {
        let mut error = Self::new(kind, format!("expected {expected} {unit}, found {found}"));
        error.0.counts = Some(Counts { expected, found });
        error
    }

    /// `found` is beyond `limit`.
    pub(crate) fn limit(limit: u64, found: u64, detail: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::Limit, detail);
        error.0.counts = Some(Counts {
            expected: limit,
            found,
        });
        error
    }

    pub(crate) fn io(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Unreadable,
        };
        let detail = if kind == ErrorKind::NotFound {
            String::new()
        } else {
            error.to_string()
        };
        Self::new(kind, detail).because(error)
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Says in which part of the content it happened.
    pub(crate) fn in_part(mut self, part: &str) -> Self {
        self.0.detail = format!("{} in {part}", self.0.detail);
        self
    }

    /// Names the input, unless an inner layer has done so.
    pub(crate) fn of(mut self, input: &str) -> Self {
        if self.0.input.is_empty() {
            self.0.input = input.to_owned();
        }
        self
    }

    /// What went wrong, in one word.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Path, URI or given name of the input; empty when the input has none.
    pub fn input(&self) -> &str {
        &self.0.input
    }

    /// The numbers of a [`ErrorKind::Truncated`] or [`ErrorKind::Limit`] error: there `expected` is the limit.
    pub fn counts(&self) -> Option<Counts> {
        self.0.counts
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.input.is_empty() {
            write!(f, "{}: ", self.0.input)?;
        }
        f.write_str(self.0.kind.words())?;
        if !self.0.detail.is_empty() {
            write!(f, ": {}", self.0.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
