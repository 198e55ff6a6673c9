//! Stages: the way from inputs to heads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One step on the way from inputs to heads.
///
/// Stages run in order and pass values on by name: a stage may use what an earlier one gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
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
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inputs: BTreeMap<String, String>,
        /// Name under which an output tensor is passed on, where it differs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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
