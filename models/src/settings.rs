//! What an architecture needs to know and a state dict does not say.

use std::path::Path;

use limbic_graph::{Error, ErrorKind, Result};
use serde_json::Value;

/// Largest configuration file, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// How token vectors become one vector for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token's.
    First,
    /// Their mean over the tokens that the mask keeps.
    Mean,
    /// The greatest at each place over the tokens that the mask keeps.
    Max,
}

/// What an architecture needs to know and a state dict does not say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// Content of the `config.json` that came with the checkpoint.
    pub config: Option<Value>,
    /// Pooling of token vectors that came with the checkpoint.
    pub pooling: Option<Pooling>,
    /// Whether the pooled vector is divided by its length.
    pub normalise: bool,
    /// Extents of the one input, where the architecture leaves them open.
    pub input: Option<Vec<usize>>,
}

impl Settings {
    /// The settings that lie beside a checkpoint: `config.json` or the file named instead, and the pooling of a
    /// sentence-transformers folder (`modules.json` and the files it names).
    ///
    /// # Errors
    /// [`ErrorKind::Io`] or [`ErrorKind::Malformed`] naming the file; a file that is not there and was not named is no
    /// error.
    pub fn beside(checkpoint: &Path, config: Option<&Path>) -> Result<Self> {
        let folder = checkpoint.parent().unwrap_or(Path::new(""));
        let mut settings = Self {
            config: match config {
                Some(path) => Some(json(path)?),
                None => present(&folder.join("config.json"))?,
            },
            ..Self::default()
        };
        let Some(modules) = present(&folder.join("modules.json"))? else {
            return Ok(settings);
        };
        for module in modules.as_array().into_iter().flatten() {
            let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
            match text("type").rsplit('.').next().unwrap_or_default() {
                "Pooling" => {
                    let path = folder.join(plain_name(text("path"))?).join("config.json");
                    settings.pooling = Some(pooling(&path)?);
                }
                "Normalize" => settings.normalise = true,
                _ => {}
            }
        }
        Ok(settings)
    }

    /// A number of the configuration.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.config.as_ref()?.get(key)?.as_f64()
    }

    /// A count of the configuration.
    pub fn count(&self, key: &str) -> Option<usize> {
        usize::try_from(self.config.as_ref()?.get(key)?.as_u64()?).ok()
    }

    /// A word of the configuration.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.config.as_ref()?.get(key)?.as_str()
    }
}

fn pooling(path: &Path) -> Result<Pooling> {
    let config = json(path)?;
    let modes = [
        ("pooling_mode_cls_token", Some(Pooling::First)),
        ("pooling_mode_mean_tokens", Some(Pooling::Mean)),
        ("pooling_mode_max_tokens", Some(Pooling::Max)),
        ("pooling_mode_mean_sqrt_len_tokens", None),
        ("pooling_mode_weightedmean_tokens", None),
        ("pooling_mode_lasttoken", None),
    ];
    let on = |key: &str| config.get(key).and_then(Value::as_bool) == Some(true);
    let chosen: Vec<_> = modes.iter().filter(|(key, _)| on(key)).collect();
    match chosen.as_slice() {
        [(_, Some(pooling))] => Ok(*pooling),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            path.display(),
            "one of cls, mean or max pooling",
            chosen.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", "),
        )),
    }
}

/// A folder's own name: nothing that leads elsewhere.
fn plain_name(path: &str) -> Result<&str> {
    if path.is_empty() || path.contains(['/', '\\']) || path.contains("..") {
        return Err(Error::new(
            ErrorKind::Malformed,
            "modules.json: path",
            "the name of a folder beside it",
            format!("{path:?}"),
        ));
    }
    Ok(path)
}

fn present(path: &Path) -> Result<Option<Value>> {
    if path.is_file() {
        json(path).map(Some)
    } else {
        Ok(None)
    }
}

fn json(path: &Path) -> Result<Value> {
    let io = |error| Error::new(ErrorKind::Io, path.display(), "a file that can be read", error);
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MOST_BYTES {
        return Err(Error::new(
            ErrorKind::Limit,
            path.display(),
            format!("at most {MOST_BYTES} bytes"),
            bytes,
        ));
    }
    let content = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&content)
        .map_err(|error| Error::new(ErrorKind::Malformed, path.display(), "JSON", error))
}
