//! Stages: the way from inputs to heads.

use std::collections::BTreeMap;

use limbic_json::{Faults, Read, Value};
use serde::Serialize;

/// One step on the way from inputs to heads.
///
/// Stages run in order and pass values on by name: a stage may use what an earlier one gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stage {
    /// Turns an input into its tensors.
    Preprocess {
        /// Name of the input.
        input: String,
    },
    /// Runs a program; its state tensors stay inside the session.
    Program {
        /// Name of the program.
        program: String,
        /// Name of the signature, without a bucket.
        signature: String,
        /// Value for each input tensor of another name.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        inputs: BTreeMap<String, String>,
        /// Name under which an output tensor is passed on, where it differs.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        outputs: BTreeMap<String, String>,
    },
    /// Turns a value into labels and probabilities.
    Head {
        /// Name of the head.
        head: String,
    },
}

/// Kinds of stages this release runs. A ring of vectors (`ring`) and host steps (`host`) have their place in the
/// format but nothing uses them yet, so they are refused by name.
pub(crate) const STAGE_KINDS: [&str; 3] = ["preprocess", "program", "head"];

impl Read for Stage {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let tag = Some("kind");
        match value.tag("kind", &STAGE_KINDS, faults) {
            0 => Self::Preprocess {
                input: value.fields(&["input"], tag, faults).required("input"),
            },
            1 => {
                let names = ["program", "signature", "inputs", "outputs"];
                let mut fields = value.fields(&names, tag, faults);
                Self::Program {
                    program: fields.required("program"),
                    signature: fields.required("signature"),
                    inputs: fields.or("inputs", BTreeMap::new()),
                    outputs: fields.or("outputs", BTreeMap::new()),
                }
            }
            _ => Self::Head {
                head: value.fields(&["head"], tag, faults).required("head"),
            },
        }
    }
}
