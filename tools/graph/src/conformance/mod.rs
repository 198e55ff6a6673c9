//! Conformance: ONNX operator cases, run and compared.
//!
//! A case is a folder with `model.onnx` and `test_data_set_N/{input,output}_M.pb`, as the ONNX project publishes them.
//! An input that only says a shape or an attribute ([`crate::onnx::Input::shape_only`]) is bound as a constant before the
//! model is run.

mod cases;
mod compare;

use std::collections::HashMap;

pub use cases::{Case, Cases, DataSet};
pub use compare::{Difference, Tolerance, compare, tolerance};

use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;
use crate::{interpret, onnx};

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All outputs of all data sets are as expected.
    Passed,
    /// An output differs.
    Failed(Difference),
    /// What the system does not have, by name.
    Unsupported(String),
    /// The system broke off with something other than a refusal.
    Broken(Error),
}

/// A case that was run.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseReport {
    /// Name of the case.
    pub name: String,
    /// Whether its graph is an operator written out as others.
    pub expanded: bool,
    /// Inputs that were bound as constants.
    pub bound: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// Inputs bound by name.
pub type Bound = HashMap<String, Tensor>;

/// Something that runs models: a file, some of its inputs bound by name, the others in their order.
pub trait System {
    /// Outputs of the model, in their order; `wanted` says types and extents to systems that fill buffers.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for what the system does not have.
    fn run(
        &mut self,
        model: &[u8],
        bound: &Bound,
        inputs: &[Tensor],
        wanted: &[Tensor],
    ) -> Result<Vec<Tensor>>;
}

/// The reader and interpreter of this crate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interpreter;

impl System for Interpreter {
    fn run(&mut self, model: &[u8], bound: &Bound, inputs: &[Tensor], _: &[Tensor]) -> Result<Vec<Tensor>> {
        let graph = onnx::read_bound(model, None, bound)?;
        interpret::run(&graph, inputs)
    }
}

/// Runs a case.
pub fn run(case: &Case, system: &mut dyn System) -> CaseReport {
    let mut bound = 0;
    let outcome = match judge(case, system, &mut bound) {
        Ok(None) => Outcome::Passed,
        Ok(Some(difference)) => Outcome::Failed(difference),
        Err(e) if e.kind() == ErrorKind::Unsupported => Outcome::Unsupported(words(&e)),
        Err(e) => Outcome::Broken(e),
    };
    CaseReport {
        name: case.name.clone(),
        expanded: case.name.contains("_expanded"),
        bound,
        outcome,
    }
}

/// What a refusal is about.
fn words(error: &Error) -> String {
    if error.found().is_empty() {
        return error.to_string();
    }
    error.found().to_owned()
}

/// The largest difference over all data sets, if one is too large.
fn judge(case: &Case, system: &mut dyn System, bound: &mut usize) -> Result<Option<Difference>> {
    let malformed =
        |expected: String, found: usize| Error::new(ErrorKind::Malformed, &case.name, expected, found);
    if case.sets.is_empty() {
        return Err(malformed("at least one data set".to_owned(), 0));
    }
    let interface = onnx::interface(&case.model)?;
    let mut worst: Option<Difference> = None;
    for set in &case.sets {
        if set.inputs.len() > interface.inputs.len() || set.outputs.len() != interface.outputs.len() {
            let expected = format!(
                "{} inputs and {} outputs",
                interface.inputs.len(),
                interface.outputs.len()
            );
            return Err(malformed(expected, set.inputs.len() + set.outputs.len()));
        }
        let mut constants = Bound::new();
        let mut inputs = Vec::new();
        for (input, tensor) in interface.inputs.iter().zip(tensors(case, &set.inputs)?) {
            if input.shape_only {
                constants.insert(input.name.clone(), tensor);
            } else {
                inputs.push(tensor);
            }
        }
        *bound = constants.len();
        let wanted = tensors(case, &set.outputs)?;
        let found = system.run(&case.model, &constants, &inputs, &wanted)?;
        if found.len() != wanted.len() {
            return Err(malformed(format!("{} outputs", wanted.len()), found.len()));
        }
        for (n, (wanted, found)) in wanted.iter().zip(&found).enumerate() {
            if let Some(difference) = compare(wanted, found, n)
                && worst.as_ref().is_none_or(|w| difference.amount > w.amount)
            {
                worst = Some(difference);
            }
        }
    }
    Ok(worst)
}

/// The tensors of a data set.
fn tensors(case: &Case, files: &[Vec<u8>]) -> Result<Vec<Tensor>> {
    let tensors: Result<_> = files.iter().map(|bytes| onnx::read_tensor(bytes)).collect();
    if tensors.is_err() {
        // Sequences and optionals are no tensors; the model says so with names.
        onnx::read(&case.model, None)?;
    }
    tensors
}
