//! The crate's error.

use std::error::Error as StdError;
use std::fmt;

/// Result with the crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a recognizer could not be opened or could not answer.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A bundle can't be read or is not sound. The recognizer was not opened; another file may do.
    Bundle,
    /// The backend is not compiled in, refused the program or failed to run it. A retry gives the same.
    Backend,
    /// A backend's native library, or what should compute in it, is not there or not usable; name another.
    Library,
    /// A preprocessing step refused its input or parameters. The recognizer can be used on.
    Preprocess,
    /// A head could not make an answer of the model's output. The recognizer can be used on.
    Head,
    /// The bundle asks for something this version does not do. A newer version may.
    Unsupported,
    /// No opened bundle takes this sense. The recognizer can be used on for the others.
    NoModel,
    /// Two bundles for one sense. Open them in two recognizers.
    TwoModels,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn bundle(source: limbic_bundle::Error) -> Self {
        Self::new(ErrorKind::Bundle, source.to_string()).because(source)
    }

    pub(crate) fn backend(source: limbic_backends::Error) -> Self {
        let kind = match source.kind() {
            limbic_backends::ErrorKind::Library | limbic_backends::ErrorKind::Provider => ErrorKind::Library,
            _ => ErrorKind::Backend,
        };
        Self::new(kind, source.to_string()).because(source)
    }

    pub(crate) fn preprocess(source: limbic_signal::Error) -> Self {
        Self::new(ErrorKind::Preprocess, source.to_string()).because(source)
    }

    pub(crate) fn head(source: limbic_affect::Error) -> Self {
        Self::new(ErrorKind::Head, source.to_string()).because(source)
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl From<limbic_signal::Error> for Error {
    fn from(source: limbic_signal::Error) -> Self {
        Self::preprocess(source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The message already holds the direct source's words; what lies below it is still worth showing.
        self.0.source.as_deref().and_then(StdError::source)
    }
}
