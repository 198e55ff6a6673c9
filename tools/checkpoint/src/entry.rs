//! What a checkpoint lists.

use std::fmt;

use limbic_graph::{Dtype, Error, ErrorKind, Result, Tensor};

use crate::elements::extent;

/// A tensor in a file, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name as stored; nested containers and folders give `outer.inner` (torch) or `outer/inner` (Keras).
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Bytes of the elements once read.
    pub bytes: u64,
}

impl Entry {
    /// An entry whose size fits into memory.
    pub(crate) fn new(name: String, dtype: Dtype, shape: Vec<usize>) -> Result<Self> {
        let (_, bytes) = extent(&name, dtype, &shape)?;
        Ok(Self {
            name,
            dtype,
            shape,
            bytes,
        })
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.bytes / self.dtype.size() as u64
    }
}

/// Something in a file that was neither read nor run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it stands, such as `args`.
    pub path: String,
    /// What it is, such as `argparse.Namespace`.
    pub what: String,
}

/// A layer of a Keras file and its weights, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KerasLayer {
    /// Name of the layer.
    pub name: String,
    /// Names of its entries in the checkpoint, in the order of `weight_names`.
    pub weights: Vec<String>,
}

/// What a reader found in a file.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) entries: Vec<Entry>,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) model_config: Option<String>,
    pub(crate) keras_layers: Vec<KerasLayer>,
    pub(crate) tensors: Box<dyn ReadTensor>,
}

impl Contents {
    /// Entries with their reader, nothing else.
    pub(crate) fn new(entries: Vec<Entry>, tensors: impl ReadTensor + 'static) -> Self {
        Self {
            entries,
            metadata: Vec::new(),
            skipped: Vec::new(),
            model_config: None,
            keras_layers: Vec::new(),
            tensors: Box::new(tensors),
        }
    }
}

/// Reads the elements of a listed entry.
pub(crate) trait ReadTensor: fmt::Debug + Send + Sync {
    /// The tensor of the entry, which is number `index` of the list.
    fn read(&self, index: usize, entry: &Entry) -> Result<Tensor>;
}

/// The place of an entry, for readers that keep one for each.
pub(crate) fn place_of<'a, T>(places: &'a [T], index: usize, entry: &Entry) -> Result<&'a T> {
    places
        .get(index)
        .ok_or_else(|| Error::new(ErrorKind::Name, &entry.name, "a listed tensor", "none"))
}

/// The name without the wrappers that training scripts put around a state dict.
///
/// Removes, as often as they stand in front: `state_dict.`, `model_state_dict.`, `module.` (DataParallel) and
/// `_orig_mod.` (compiled modules).
pub fn without_wrappers(name: &str) -> &str {
    const WRAPPERS: [&str; 4] = ["state_dict.", "model_state_dict.", "module.", "_orig_mod."];
    let mut bare = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| bare.strip_prefix(wrapper)) {
        bare = rest;
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_go_in_any_order_and_inner_names_stay() {
        assert_eq!(without_wrappers("state_dict.module.conv1.weight"), "conv1.weight");
        assert_eq!(without_wrappers("_orig_mod.module.fc.bias"), "fc.bias");
        assert_eq!(
            without_wrappers("encoder.module.fc.bias"),
            "encoder.module.fc.bias"
        );
    }
}
