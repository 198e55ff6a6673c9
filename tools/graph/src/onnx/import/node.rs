//! A node of the file on its way into the graph.

use super::attributes::Attributes;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::ValueId;
use crate::onnx::wire::malformed;
use crate::op::Op;

/// A node of the file, its inputs found.
#[derive(Debug)]
pub(super) struct Source<'p> {
    /// Unique in the graph.
    pub name: String,
    pub op_type: &'p str,
    /// Version of the operator at the model's opset.
    pub version: i64,
    pub inputs: Vec<Option<ValueId>>,
    /// Whether each output has a name.
    pub outputs: Vec<bool>,
    pub attributes: Attributes<'p>,
}

impl Source<'_> {
    /// An input that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] without it.
    pub(super) fn input(&self, n: usize) -> Result<ValueId> {
        self.optional(n)
            .ok_or_else(|| malformed(format!("input {n}"), "none"))
    }

    pub(super) fn optional(&self, n: usize) -> Option<ValueId> {
        self.inputs.get(n).copied().flatten()
    }

    /// A step that takes the node's inputs as they are and makes all its outputs.
    pub(super) fn same(&self, op: Op) -> Vec<Step> {
        self.with(op, self.inputs.clone())
    }

    /// A step that makes all the node's outputs.
    pub(super) fn with(&self, op: Op, inputs: Vec<Option<ValueId>>) -> Vec<Step> {
        vec![Step {
            op,
            inputs,
            outputs: 0..self.outputs.len(),
        }]
    }

    /// # Errors
    /// [`ErrorKind::Unsupported`] where an output from `n` on is wanted.
    pub(super) fn at_most(&self, n: usize) -> Result<()> {
        match self.outputs.iter().skip(n).position(|wanted| *wanted) {
            None => Ok(()),
            Some(more) => Err(Error::new(
                ErrorKind::Unsupported,
                "",
                format!("at most {n} outputs"),
                format!("output {}", n + more),
            )),
        }
    }
}

/// An operation that makes some of a node's outputs.
#[derive(Debug)]
pub(super) struct Step {
    pub op: Op,
    pub inputs: Vec<Option<ValueId>>,
    /// Which of the node's outputs it makes, in its own order.
    pub outputs: std::ops::Range<usize>,
}
