//! What a file of another system holds, listed before it is read into a graph.

use std::collections::BTreeMap;

/// What a file of another system holds: its operators as that system names them, known here or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The program that wrote the file, with its version; empty where the file does not say.
    pub producer: String,
    /// Versions that the file states, by what they are of: operator sets by domain, the format itself.
    pub versions: BTreeMap<String, i64>,
    /// What the caller gives, in the order of the file; inputs with a default value left out.
    pub inputs: Vec<ListedTensor>,
    /// What the caller gets, in the order of the file.
    pub outputs: Vec<ListedTensor>,
    /// Each operator once, by name. Those of branches and of functions of the model are counted with the others.
    pub operators: Vec<ListedOperator>,
    /// Elements of all stored tensors.
    pub parameters: u64,
    /// Bytes that these elements take.
    pub parameter_bytes: u64,
}

/// An input or output as the file states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTensor {
    /// Its name.
    pub name: String,
    /// Type of its elements, by the name that this crate or else the file's format has for it.
    pub dtype: String,
    /// Extents: a number, the name of a symbol, or `?`; `None` where even their number is open.
    pub dims: Option<Vec<String>>,
}

/// An operator and how often it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOperator {
    /// Its name; one outside the standard is led by its domain and `::`.
    pub name: String,
    /// How many nodes have it.
    pub nodes: usize,
    /// Whether it is of somebody's own making: neither in the standard nor a function that the file defines.
    pub custom: bool,
}

/// Counts operators by name.
#[derive(Debug, Default)]
pub(crate) struct Counted(BTreeMap<String, ListedOperator>);

impl Counted {
    /// Counts one node.
    pub(crate) fn add(&mut self, name: &str, custom: bool) {
        let operator = self.0.entry(name.to_owned()).or_insert_with(|| ListedOperator {
            name: name.to_owned(),
            nodes: 0,
            custom,
        });
        operator.nodes += 1;
    }

    /// The operators in the order of their names.
    pub(crate) fn finish(self) -> Vec<ListedOperator> {
        self.0.into_values().collect()
    }
}
