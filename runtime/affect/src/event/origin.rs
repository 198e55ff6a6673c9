//! Where an event comes from: its version, time, place, bundle and losses.

use serde::{Deserialize, Serialize};

/// Version of the event schema; reading another version is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "u32", into = "u32")]
#[cfg_attr(feature = "schema", schemars(extend("const" = 1)))]
pub struct SchemaVersion;

impl SchemaVersion {
    /// The number in the field `schema`.
    pub const NUMBER: u32 = 1;
}

impl TryFrom<u32> for SchemaVersion {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == Self::NUMBER {
            Ok(Self)
        } else {
            Err(format!(
                "event schema {number}, this version reads {}",
                Self::NUMBER
            ))
        }
    }
}

impl From<SchemaVersion> for u32 {
    fn from(_: SchemaVersion) -> Self {
        SchemaVersion::NUMBER
    }
}

/// What `start_ms` and `end_ms` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Time within the file, from its first sample.
    Stream,
    /// A live source's monotonic clock, from the start of the capture.
    Monotonic,
    /// No time: a text or a picture.
    None,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One window of a longer input.
    Window,
    /// A whole file: the summary of its windows.
    File,
    /// One picture or one text.
    Item,
}

/// The bundle behind an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleRef {
    /// Name in the manifest.
    pub name: String,
    /// SHA-256 of the manifest, in hex.
    pub identity: String,
}

/// Where in the picture the face is, in pixels of the picture after its EXIF orientation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Region {
    /// The whole picture.
    Whole {
        /// Whether nobody said so: the picture is taken to show one face and little else.
        assumed: bool,
    },
    /// A rectangle.
    Box {
        /// Left edge.
        x: u32,
        /// Upper edge.
        y: u32,
        /// Width.
        w: u32,
        /// Height.
        h: u32,
    },
}

/// What was cut off because it was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Truncated {
    /// Tokens beyond the last window.
    pub tokens: u64,
}

/// What was lost on the way from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dropped {
    /// Samples of a sound.
    pub samples: u64,
    /// Frames of a camera.
    pub frames: u64,
}
