//! Where parameters come from.

use std::collections::BTreeMap;

use limbic_checkpoint::Checkpoint;
use limbic_graph::{Error, ErrorKind, Result, Tensor};

/// The tensors of a checkpoint, by name.
pub trait Weights {
    /// Names, in the order of the file.
    fn names(&self) -> Vec<String>;

    /// Extents of a tensor; `None` where there is none of this name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// A tensor with its elements.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] where there is none of this name, or what reading the file gives.
    fn read(&self, name: &str) -> Result<Tensor>;
}

impl Weights for BTreeMap<String, Tensor> {
    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.get(name)?.shape().to_vec())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.get(name).cloned().ok_or_else(|| no_tensor(name))
    }
}

impl Weights for Checkpoint {
    fn names(&self) -> Vec<String> {
        self.tensors().iter().map(|entry| entry.name.clone()).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.entry(name)?.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.read(name)
    }
}

/// The tensors whose names begin with a prefix, the prefix left out.
#[derive(Clone, Copy)]
#[allow(
    missing_debug_implementations,
    reason = "the tensors behind it are of any kind"
)]
pub struct Under<'a> {
    weights: &'a dyn Weights,
    prefix: &'a str,
}

impl<'a> Under<'a> {
    /// The tensors under a prefix, such as `model.`; an empty one takes all.
    pub fn new(weights: &'a dyn Weights, prefix: &'a str) -> Self {
        Self { weights, prefix }
    }
}

impl Weights for Under<'_> {
    fn names(&self) -> Vec<String> {
        let all = self.weights.names().into_iter();
        all.filter_map(|name| Some(name.strip_prefix(self.prefix)?.to_owned()))
            .collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.weights.shape(&format!("{}{name}", self.prefix))
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.weights.read(&format!("{}{name}", self.prefix))
    }
}

fn no_tensor(name: &str) -> Error {
    Error::new(ErrorKind::Name, "checkpoint", "a tensor of this name", name)
}
