//! Variants, further files, golden samples and the list of entries.

use std::collections::BTreeMap;

use limbic_affect::HeadSpec;
use limbic_json::{choices, deserialize, fields};
use serde::Serialize;

/// One form in which the programs are there.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// The files of each program: one, or one for each concrete signature, as the format wants.
    pub entries: Vec<VariantEntry>,
    /// What differs in this variant's heads, by name of the head.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub heads: BTreeMap<String, HeadCalibration>,
}

/// What is fitted to a head behind training, and again behind quantization.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct HeadCalibration {
    /// In place of the head's temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// In place of the head's thresholds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<f64>>,
    /// In place of the head's least probability of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abstain_below: Option<f64>,
}

impl HeadCalibration {
    /// Puts the numbers that are there in place of the head's.
    pub fn apply(&self, head: &mut HeadSpec) {
        head.temperature = self.temperature.unwrap_or(head.temperature);
        head.abstain_below = self.abstain_below.unwrap_or(head.abstain_below);
        if let Some(thresholds) = &self.thresholds {
            head.thresholds.clone_from(thresholds);
        }
    }
}

/// Precision of weights and arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// A file of a program in a variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantEntry {
    /// Name of the program.
    pub program: String,
    /// The concrete signature, such as `encode@64`, that it serves; nothing where a file serves all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Format of the file.
    pub format: GraphFormat,
    /// Entry that holds it.
    pub path: String,
    /// Entries of the weight packs that it reads, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<String>,
    /// Whether a thin bundle may leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl VariantEntry {
    /// An ONNX model that serves all signatures of a program, never left out.
    pub fn onnx(program: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            signature: None,
            format: GraphFormat::Onnx,
            path: path.into(),
            packs: Vec::new(),
            optional: false,
        }
    }
}

/// Format of a program's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GraphFormat {
    /// ONNX model, for all signatures of a program.
    Onnx,
    /// Plan of the engine, for one concrete signature; its weights lie in packs.
    Plan,
    /// TensorFlow Lite's flatbuffer, whose sizes are those of the one concrete signature it is for, or of them all.
    Tflite,
}

impl GraphFormat {
    /// Name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Plan => "plan",
            Self::Tflite => "tflite",
        }
    }
}

/// A file that travels in the bundle and that no other key names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asset {
    /// Entry that holds it.
    pub path: String,
    /// What it is.
    pub kind: AssetKind,
    /// Whether a thin bundle may leave it out.
    pub optional: bool,
}

/// What a further file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Path in the bundle, `/` between folders.
    pub path: String,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Length of the content, in bytes.
    pub bytes: u64,
    /// Whether a thin bundle may leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

fields!(Variant { name, backend, precision, tier, tolerance, entries, heads = BTreeMap::new() });
fields!(HeadCalibration { temperature = None, thresholds = None, abstain_below = None });
choices!(Precision { F32 = "f32", F16Weights = "f16_weights", F16 = "f16", Int8 = "int8" });
fields!(VariantEntry { program, signature = None, format, path, packs = Vec::new(), optional = false });
choices!(GraphFormat { Onnx = "onnx", Plan = "plan", Tflite = "tflite" });
fields!(Asset { path, kind, optional });
choices!(AssetKind { Metrics = "metrics", Reference = "reference", Other = "other" });
fields!(Golden {
    input,
    raw,
    tensors,
    outputs
});
fields!(Entry { path, sha256, bytes, optional = false });
deserialize!(HeadCalibration);
