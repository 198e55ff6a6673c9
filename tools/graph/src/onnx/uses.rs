//! Inputs of a model that only say a shape or an attribute.

use std::collections::BTreeSet;

use super::proto::{GraphProto, Model};
use crate::error::Result;

/// Names of the inputs of a model that its nodes read only where the standard has a shape or what was an attribute
/// once: the shape of `Reshape`, the axes of a reduction, the `k` of `TopK`.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`] or [`crate::ErrorKind::Limit`] for a damaged file.
pub fn shape_inputs(bytes: &[u8]) -> Result<Vec<String>> {
    let model = Model::read(bytes)?;
    let Some(graph) = &model.graph else {
        return Ok(Vec::new());
    };
    let mut read_as_shape = BTreeSet::new();
    let mut read_as_data = BTreeSet::new();
    sort_uses(graph, &mut read_as_shape, &mut read_as_data);
    let names = graph.inputs.iter().map(|input| input.name);
    Ok(names
        .filter(|name| read_as_shape.contains(name) && !read_as_data.contains(name))
        .map(str::to_owned)
        .collect())
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
