//! Variants, further files, golden samples and the list of entries.

use serde::{Deserialize, Serialize};

/// One form in which the programs are there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name, unique in the manifest.
    pub name: String,
    /// Backend that runs it, such as `tract`.
    pub backend: String,
    /// Precision of weights and arithmetic.
    pub precision: Precision,
    /// Instruction set or chip it is for; `any` for all.
    pub tier: String,
    /// Largest absolute difference of a probability from the training framework.
    pub tolerance: f32,
    /// A file for each program.
    pub entries: Vec<VariantEntry>,
}

/// Precision of weights and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// 32-bit weights and arithmetic.
    #[serde(rename = "f32")]
    F32,
    /// 16-bit weights, 32-bit arithmetic.
    #[serde(rename = "f16_weights")]
    F16Weights,
    /// 16-bit weights and arithmetic.
    #[serde(rename = "f16")]
    F16,
    /// 8-bit weights and arithmetic.
    #[serde(rename = "int8")]
    Int8,
}

impl Precision {
    /// Name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16Weights => "f16_weights",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

/// The file of a program in a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantEntry {
    /// Name of the program.
    pub program: String,
    /// Format of the file.
    pub format: GraphFormat,
    /// Entry that holds it.
    pub path: String,
    /// Whether a thin bundle may leave it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Format of a program's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraphFormat {
    /// ONNX model.
    Onnx,
}

impl GraphFormat {
    /// Name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
        }
    }
}

/// A file that travels in the bundle and that no other key names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Entry that holds it.
    pub path: String,
    /// What it is.
    pub kind: AssetKind,
    /// Whether a thin bundle may leave it out.
    pub optional: bool,
}

/// What a further file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetKind {
    /// Numbers measured at training and evaluation.
    Metrics,
    /// Reference answers of the training framework.
    Reference,
    /// Anything else.
    Other,
}

/// A recorded way of one raw input through the model in the training framework.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Name of the input.
    pub input: String,
    /// Entry of the raw input: a picture, sound or text file.
    pub raw: String,
    /// Entry of the tensors that preprocessing gives (npz, keyed by tensor).
    pub tensors: String,
    /// Entry of the outputs (npz, keyed by head).
    pub outputs: String,
}

/// An entry of the bundle and what it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Path in the bundle, `/` between folders.
    pub path: String,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length of the content, in bytes.
    pub bytes: u64,
    /// Whether a thin bundle may leave it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}
