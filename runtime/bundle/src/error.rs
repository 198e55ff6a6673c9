//! What can be wrong with a bundle, a manifest or a model folder.

use std::error::Error as StdError;
use std::fmt;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a bundle, a manifest or a model folder was refused.
///
/// Says where (an entry, a key of the manifest, a file), what was expected there and what was found.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    place: String,
    expected: String,
    found: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system could not read or write a file; a retry can help.
    Io,
    /// The bytes do not end or start as a bundle does: another file, or a cut one.
    NotABundle,
    /// The archive's structure is not the one a bundle has: offsets, sizes, padding or header fields.
    Archive,
    /// An entry is compressed; a bundle stores its entries as they are.
    Compressed,
    /// An entry is encrypted.
    Encrypted,
    /// The archive uses 64-bit offsets; a bundle is smaller than 4 GiB.
    Zip64,
    /// Something is larger or more numerous than a bundle may hold.
    Limit,
    /// An entry's name could leave the bundle or is not portable.
    EntryName,
    /// Two things that must differ have the same name.
    Duplicate,
    /// The manifest lists an entry that the file does not hold.
    EntryMissing,
    /// The entry is optional, and this thin bundle was made without it.
    EntryAbsent,
    /// The file holds an entry that the manifest does not list.
    EntryUnlisted,
    /// The content of an entry is not what its digest promises; fetch or copy the bundle anew.
    Digest,
    /// The bundle was written for a newer release; update limbic.
    NewerFormat,
    /// The manifest is not the JSON (or TOML) that its schema asks for.
    Syntax,
    /// A preprocessing step that this release does not know.
    UnknownStep,
    /// A kind of stage, head, gate, backend or graph that this release does not know or cannot run.
    Unsupported,
    /// A step that does not fit its input's modality, or stands at the wrong place.
    StepOrder,
    /// A parameter outside of its range.
    Parameter,
    /// Shapes, types or lengths that contradict each other.
    Shape,
    /// A name that refers to nothing.
    Reference,
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
            source: None,
        }))
    }

    pub(crate) fn io(path: &std::path::Path, doing: &str, error: std::io::Error) -> Self {
        let mut made = Self::new(ErrorKind::Io, path.display().to_string(), doing, &error);
        made.0.source = Some(Box::new(error));
        made
    }

    /// Puts the file or folder that the error is about before its place.
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        if self.0.kind != ErrorKind::Io {
            self.0.place = format!("{outer}: {}", self.0.place);
        }
        self
    }

    /// Class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where: an entry, a key of the manifest such as `inputs[0].steps[2]`, or a file.
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
            ..
        } = &*self.0;
        match kind {
            ErrorKind::Io => write!(f, "{place}: cannot {expected}: {found}"),
            ErrorKind::NewerFormat => write!(
                f,
                "{place}: format {found} is newer than this limbic reads ({expected}); update limbic to use it"
            ),
            kind => write!(f, "{place}: {kind}: expected {expected}, found {found}"),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io => "input or output failed",
            Self::NotABundle => "not a bundle, or cut short",
            Self::Archive => "damaged archive",
            Self::Compressed => "compressed entry",
            Self::Encrypted => "encrypted entry",
            Self::Zip64 => "64-bit archive",
            Self::Limit => "over a limit",
            Self::EntryName => "refused entry name",
            Self::Duplicate => "duplicate name",
            Self::EntryMissing => "entry missing",
            Self::EntryAbsent => "optional entry left out of this thin bundle",
            Self::EntryUnlisted => "entry not listed in the manifest",
            Self::Digest => "digest differs",
            Self::NewerFormat => "newer format",
            Self::Syntax => "manifest syntax",
            Self::UnknownStep => "unknown preprocessing step",
            Self::Unsupported => "not supported",
            Self::StepOrder => "step at the wrong place",
            Self::Parameter => "parameter out of range",
            Self::Shape => "shapes disagree",
            Self::Reference => "dangling name",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|error| error as &(dyn StdError + 'static))
    }
}
