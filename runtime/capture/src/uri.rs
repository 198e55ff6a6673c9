//! Names of inputs.

use crate::error::{Error, ErrorKind, Result};
use crate::source::{LineSource, Pace, Source, open_replay};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The grammar of an input URI, one form a line.
pub const INPUT_URI_GRAMMAR: &str = "\
replay:FILE          a sound, picture or text file, as if live
text:-               lines of standard input
mic:default          the default microphone (feature mic)
mic:NAME             a microphone by its name (feature mic)
v4l2:/dev/videoN     a camera (feature camera)";

/// An input, named.
///
/// ```
/// use limbic_capture::InputUri;
/// assert_eq!("mic:default".parse::<InputUri>()?, InputUri::DefaultMicrophone);
/// assert!("micro:phone".parse::<InputUri>().is_err());
/// # Ok::<(), limbic_capture::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputUri {
    /// `replay:FILE`: a file as if live.
    Replay(PathBuf),
    /// `text:-`: lines of standard input.
    StandardInput,
    /// `mic:default`.
    DefaultMicrophone,
    /// `mic:NAME`.
    Microphone(String),
    /// `v4l2:/dev/videoN`.
    Camera(PathBuf),
}

impl InputUri {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUri`] with the grammar.
    pub fn parse(uri: &str) -> Result<Self> {
        let refuse = |what: &str| {
            Err(Error::new(
                ErrorKind::InvalidUri,
                format!("{what}; inputs are\n{INPUT_URI_GRAMMAR}"),
            )
            .of(uri))
        };
        let Some((scheme, rest)) = uri.split_once(':') else {
            return refuse("no scheme in front of a colon");
        };
        match (scheme, rest) {
            ("replay" | "mic" | "v4l2" | "text", "") => refuse(&format!("nothing behind {scheme}:")),
            ("replay", path) => Ok(Self::Replay(path.into())),
            ("text", "-") => Ok(Self::StandardInput),
            ("text", _) => refuse("text is read from standard input only"),
            ("mic", "default") => Ok(Self::DefaultMicrophone),
            ("mic", name) => Ok(Self::Microphone(name.to_owned())),
            ("v4l2", path) if path.starts_with('/') => Ok(Self::Camera(path.into())),
            ("v4l2", _) => refuse("a camera is named by the whole path of its device"),
            _ => refuse(&format!("no scheme is called {scheme}")),
        }
    }

    /// Opens the input as a live source; `pace` is for a replay.
    ///
    /// # Errors
    /// [`ErrorKind::MissingFeature`] naming the feature when this build lacks it; else what the file or the device
    /// refused.
    pub fn open(&self, pace: Pace) -> Result<Box<dyn Source>> {
        let name = self.to_string();
        match self {
            Self::Replay(path) => open_replay(path, pace),
            Self::StandardInput => Ok(Box::new(LineSource::new(
                &name,
                std::io::BufReader::new(std::io::stdin()),
            ))),
            #[cfg(feature = "mic")]
            Self::DefaultMicrophone => Ok(Box::new(crate::mic::Microphone::open(None)?)),
            #[cfg(feature = "mic")]
            Self::Microphone(wanted) => Ok(Box::new(crate::mic::Microphone::open(Some(wanted))?)),
            #[cfg(not(feature = "mic"))]
            Self::DefaultMicrophone | Self::Microphone(_) => Err(missing_feature("mic").of(&name)),
            #[cfg(all(feature = "camera", target_os = "linux"))]
            Self::Camera(path) => Ok(Box::new(crate::camera::open(path)?)),
            #[cfg(not(all(feature = "camera", target_os = "linux")))]
            Self::Camera(_) => Err(missing_feature("camera").of(&name)),
        }
    }
}

#[cfg(not(all(feature = "mic", feature = "camera", target_os = "linux")))]
fn missing_feature(feature: &str) -> Error {
    let detail =
        format!("it needs the feature `{feature}` (build with --features {feature}; cameras only on Linux)");
    Error::new(ErrorKind::MissingFeature, detail)
}

impl FromStr for InputUri {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        Self::parse(uri)
    }
}

impl fmt::Display for InputUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay(path) => write!(f, "replay:{}", path.display()),
            Self::StandardInput => f.write_str("text:-"),
            Self::DefaultMicrophone => f.write_str("mic:default"),
            Self::Microphone(name) => write!(f, "mic:{name}"),
            Self::Camera(path) => write!(f, "v4l2:{}", path.display()),
        }
    }
}
