//! Checkpoint files as a source of parameters.

use std::path::Path;

use limbic_checkpoint::Checkpoint;
use limbic_graph::{Error, ErrorKind, Result, Tensor};

use crate::weights::Weights;

/// A checkpoint that lies in one file or several.
#[derive(Debug)]
pub struct Checkpoints {
    parts: Vec<Checkpoint>,
}

impl Checkpoints {
    /// Opens every file; nothing but names and shapes is read.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; [`ErrorKind::Name`] for a tensor that two files have.
    pub fn open<P: AsRef<Path>>(files: &[P]) -> Result<Self> {
        let parts: Vec<Checkpoint> = files
            .iter()
            .map(|file| Checkpoint::open(file).map_err(|error| error.within(file.as_ref().display())))
            .collect::<Result<_>>()?;
        for (i, part) in parts.iter().enumerate() {
            for entry in part.tensors() {
                if parts
                    .iter()
                    .take(i)
                    .any(|before| before.entry(&entry.name).is_some())
                {
                    let place = files.get(i).map(|file| file.as_ref().display().to_string());
                    return Err(Error::new(
                        ErrorKind::Name,
                        place.unwrap_or_default(),
                        "tensors that no other file has",
                        &entry.name,
                    ));
                }
            }
        }
        Ok(Self { parts })
    }
}

impl Weights for Checkpoints {
    fn names(&self) -> Vec<String> {
        self.parts.iter().flat_map(Weights::names).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.parts.iter().find_map(|part| part.shape(name))
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        match self.parts.iter().find(|part| part.entry(name).is_some()) {
            Some(part) => part.read(name),
            None => Err(Error::new(
                ErrorKind::Name,
                "checkpoint",
                "a tensor of this name",
                name,
            )),
        }
    }
}
