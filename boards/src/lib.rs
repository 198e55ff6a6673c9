//! Boards as data: what a chip has, and which arithmetic suits it.
//!
//! A board is a TOML file beside this crate, or one of a user's own. The crate checks it and says no more than it
//! holds; tools decide by it. [`detect`] tells which board a machine is from what its system says.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod detect;

pub use detect::{Detected, Facts, detect};

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most cores or threads that a file may state.
const MOST_CORES: usize = 1024;

/// A board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Name, as `--board` takes it: small letters, digits and hyphens.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Its processor.
    pub chip: Chip,
    /// What computes networks on it, where that is not the processor.
    pub accelerator: Option<Accelerator>,
    /// How many threads a network should run on.
    pub threads: usize,
    /// Arithmetic that suits it.
    pub precision: Precisions,
    /// What tells it from others; without it, every machine of its instruction set and features is one.
    pub detect: Option<Signs>,
}

/// What a board's system says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signs {
    /// Strings of the device tree's `compatible`, any of them.
    pub compatible: Vec<String>,
    /// Beginnings of the device tree's `model`, any of them, where `compatible` says nothing.
    pub models: Vec<String>,
}

/// A processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// Its name.
    pub name: String,
    /// Its instruction set.
    pub architecture: Architecture,
    /// Cores that a program can have to itself.
    pub cores: usize,
    /// Extensions beyond the architecture's base that every unit of it has, by the names of `std::arch`.
    pub features: Vec<String>,
}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Architecture {
    Aarch64,
    #[serde(rename = "x86-64")]
    X86_64,
}

impl Architecture {
    /// Name, as files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86-64",
        }
    }
}

/// What computes networks beside the processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerator {
    /// Its name.
    pub name: String,
    /// What runs a network on it.
    pub runtime: Runtime,
}

/// What runs a network on an accelerator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// NVIDIA TensorRT.
    Tensorrt,
}

/// Arithmetic by the kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precisions {
    /// For networks of convolutions and layers.
    pub convolutions: Precision,
    /// For transformers.
    pub transformers: Precision,
}

/// A kind of arithmetic, by the name that quantization schemes have for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 8-bit integers, activations affine for each tensor.
    Int8,
    /// 8-bit integers, all zero points 0.
    Int8Symmetric,
    /// 8-bit integers, activations rounded row by row as they come.
    Dynamic,
    /// 8-bit integers for convolutions, rows rounded as they come for matrix products.
    Mixed,
    /// 16-bit floats.
    F16,
}

impl Precision {
    /// Name, as files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int8Symmetric => "int8-symmetric",
            Self::Dynamic => "dynamic",
            Self::Mixed => "mixed",
            Self::F16 => "f16",
        }
    }
}

/// Why a board's file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Names of the boards that come with the crate, each with its file.
const FILES: [(&str, &str); 6] = [
    ("jetson-nano", include_str!("../jetson-nano.toml")),
    ("jetson-orin-nano", include_str!("../jetson-orin-nano.toml")),
    ("raspberry-pi-4", include_str!("../raspberry-pi-4.toml")),
    ("raspberry-pi-5", include_str!("../raspberry-pi-5.toml")),
    ("x86-64", include_str!("../x86-64.toml")),
    ("x86-64-avx512vnni", include_str!("../x86-64-avx512vnni.toml")),
];

impl Board {
    /// Names of the boards that come with the crate, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// A board that comes with the crate.
    ///
    /// # Errors
    /// A name that is none of [`Board::names`], listing them.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let Some((_, text)) = FILES.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = Self::names().collect();
            let message = format!("expected a board, {}, found {name:?}", names.join(", "));
            return Err(Error { message });
        };
        Self::parse(text)
    }

    /// All boards that come with the crate, by name.
    ///
    /// # Errors
    /// A file of the crate that is not sound, which its tests rule out.
    pub fn all() -> Result<Vec<Self>, Error> {
        FILES.iter().map(|(_, text)| Self::parse(text)).collect()
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// TOML that is damaged, with line and column; keys that are missing or not known; a value outside its range.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let board: Self = toml::from_str(text).map_err(|error| Error {
            message: error.to_string().trim_end().to_owned(),
        })?;
        board.check()?;
        Ok(board)
    }

    fn check(&self) -> Result<(), Error> {
        let refused = |key: &str, expected: &str, found: String| {
            let message = format!("{key}: expected {expected}, found {found}");
            Err(Error { message })
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            let expected = "small letters, digits and hyphens";
            return refused("name", expected, format!("{:?}", self.name));
        }
        if !(1..=MOST_CORES).contains(&self.chip.cores) {
            let expected = format!("1 to {MOST_CORES}");
            return refused("chip.cores", &expected, self.chip.cores.to_string());
        }
        if !(1..=self.chip.cores).contains(&self.threads) {
            let expected = format!("1 to {}, the chip's cores", self.chip.cores);
            return refused("threads", &expected, self.threads.to_string());
        }
        let mut seen = Vec::new();
        for feature in &self.chip.features {
            if feature.is_empty() || seen.contains(&feature) {
                return refused("chip.features", "names, each once", format!("{feature:?}"));
            }
            seen.push(feature);
        }
        if let Some(signs) = &self.detect {
            let all = || signs.compatible.iter().chain(&signs.models);
            if all().next().is_none() || all().any(|sign| sign.trim().is_empty()) {
                return refused("detect", "strings, at least one", format!("{signs:?}"));
            }
        }
        Ok(())
    }
}
