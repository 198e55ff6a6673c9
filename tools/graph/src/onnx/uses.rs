//! What a model takes and gives, without reading all of it into a graph.

use std::collections::{BTreeSet, HashMap};

use super::export;
use super::proto::{GraphProto, Model};
use super::wire::{Message, malformed};
use crate::error::Result;
use crate::tensor::Tensor;

/// Inputs and outputs of a model, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Those with a default value left out.
    pub inputs: Vec<Input>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
}

/// An input of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Whether nodes read it only where the standard has a shape or what was an attribute once: the shape of `Reshape`,
    /// the axes of a reduction, the `k` of `TopK`.
    pub shape_only: bool,
}

/// What a model takes and gives.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`] or [`crate::ErrorKind::Limit`] for a damaged file.
pub fn interface(bytes: &[u8]) -> Result<Interface> {
    let model = Model::read(bytes)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| malformed("a model with a graph", "none"))?;
    let mut shape = BTreeSet::new();
    let mut data = BTreeSet::new();
    sort_uses(graph, &mut shape, &mut data);
    let constants: BTreeSet<&str> = graph.initializers.iter().map(|t| t.name).collect();
    let names = graph.inputs.iter().map(|input| input.name);
    let inputs = names.filter(|name| !constants.contains(name)).map(|name| Input {
        name: name.to_owned(),
        shape_only: shape.contains(name) && !data.contains(name),
    });
    Ok(Interface {
        inputs: inputs.collect(),
        outputs: graph
            .outputs
            .iter()
            .map(|output| output.name.to_owned())
            .collect(),
    })
}

/// The file with some of its inputs given default values, which makes them constants to most systems.
///
/// The format joins what a message has twice, so the constants stand behind the rest.
pub fn with_defaults(bytes: &[u8], values: &HashMap<String, Tensor>) -> Vec<u8> {
    let mut names: Vec<&String> = values.keys().collect();
    names.sort();
    let mut graph = Message::default();
    for name in names {
        if let Some(tensor) = values.get(name) {
            graph.message(5, export::tensor(name, tensor));
        }
    }
    let mut model = Message::default();
    if !values.is_empty() {
        model.message(7, graph);
    }
    [bytes, &model.into_bytes()].concat()
}

fn sort_uses<'p>(graph: &'p GraphProto<'p>, shape: &mut BTreeSet<&'p str>, data: &mut BTreeSet<&'p str>) {
    for node in &graph.nodes {
        for (n, name) in node.inputs.iter().enumerate() {
            if shape_places(node.op_type).contains(&n) {
                shape.insert(name);
            } else {
                data.insert(name);
            }
        }
        for inner in node.attributes.iter().filter_map(|a| a.graph.as_deref()) {
            sort_uses(inner, shape, data);
        }
    }
    data.extend(graph.outputs.iter().map(|output| output.name));
}

/// Places among an operator's inputs that hold a shape or what could be an attribute.
fn shape_places(op_type: &str) -> &'static [usize] {
    match op_type {
        "Reshape" | "Squeeze" | "Unsqueeze" | "Expand" | "Tile" | "TopK" | "OneHot" | "Split" | "CumSum"
        | "CumProd" | "CenterCropPad" | "AffineGrid" | "Trilu" | "Upsample" => &[1],
        name if name.starts_with("Reduce") => &[1],
        "ConstantOfShape" | "HannWindow" | "HammingWindow" | "BlackmanWindow" => &[0],
        "Dropout" | "MaxUnpool" | "NonMaxSuppression" => &[2],
        "Pad" | "STFT" => &[1, 3],
        "Col2Im" | "DFT" => &[1, 2],
        "Resize" => &[2, 3],
        "Range" => &[0, 1, 2],
        "Slice" => &[1, 2, 3, 4],
        _ => &[],
    }
}
