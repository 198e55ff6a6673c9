//! The listing of a model's operators, interface and constants.

use std::collections::BTreeSet;

use super::import::is_standard;
use super::proto::{DimProto, GraphProto, Model, NodeProto, TensorProto, ValueInfo};
use super::wire::malformed;
use super::{tensor, versions};
use crate::contents::{Contents, Counted, ListedTensor};
use crate::error::Result;

/// Lists what a model holds, whether or not its operators are known here; no element is read.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`] or [`crate::ErrorKind::Limit`] for a damaged file.
pub fn contents(bytes: &[u8]) -> Result<Contents> {
    let model = Model::read(bytes)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| malformed("a model with a graph", "none"))?;
    let mut listing = Listing {
        model: &model,
        operators: Counted::default(),
        parameters: 0,
        bits: 0,
    };
    listing.graph(graph);
    for function in &model.functions {
        listing.nodes(&function.nodes);
    }
    let defaults: BTreeSet<&str> = graph.initializers.iter().map(|t| t.name).collect();
    let given = graph.inputs.iter().filter(|i| !defaults.contains(i.name));
    let mut stated = vec![("IR".to_owned(), model.ir_version)];
    stated.extend(model.opsets.iter().map(|opset| {
        let domain = if is_standard(opset.domain) {
            "ai.onnx"
        } else {
            opset.domain
        };
        (format!("opset of {domain}"), opset.version)
    }));
    let producer = format!("{} {}", model.producer, model.producer_version);
    Ok(Contents {
        producer: producer.trim().to_owned(),
        versions: stated.into_iter().collect(),
        inputs: given.map(listed).collect(),
        outputs: graph.outputs.iter().map(listed).collect(),
        operators: listing.operators.finish(),
        parameters: listing.parameters,
        parameter_bytes: listing.bits.div_ceil(8),
    })
}

struct Listing<'p> {
    model: &'p Model<'p>,
    operators: Counted,
    parameters: u64,
    bits: u64,
}

impl Listing<'_> {
    fn graph(&mut self, graph: &GraphProto<'_>) {
        for constant in &graph.initializers {
            self.constant(constant);
        }
        self.nodes(&graph.nodes);
    }

    fn nodes(&mut self, nodes: &[NodeProto<'_>]) {
        for node in nodes {
            self.node(node);
            for attribute in &node.attributes {
                if let Some(constant) = &attribute.tensor {
                    self.constant(constant);
                }
                if let Some(graph) = &attribute.graph {
                    self.graph(graph);
                }
            }
        }
    }

    fn node(&mut self, node: &NodeProto<'_>) {
        let standard = is_standard(node.domain);
        let known = standard && versions::since(node.op_type, versions::LATEST).is_some();
        let defined = self.model.functions.iter().any(|function| {
            let same_domain = function.domain == node.domain || standard && is_standard(function.domain);
            same_domain && function.name == node.op_type
        });
        let name = if standard {
            node.op_type.to_owned()
        } else {
            format!("{}::{}", node.domain, node.op_type)
        };
        self.operators.add(&name, !known && !defined);
    }

    fn constant(&mut self, constant: &TensorProto<'_>) {
        let extents = constant.dims.iter().map(|&dim| u64::try_from(dim).unwrap_or(0));
        let count = extents.fold(1, u64::saturating_mul);
        self.parameters = self.parameters.saturating_add(count);
        let bits = count.saturating_mul(tensor::bits(constant.data_type));
        self.bits = self.bits.saturating_add(bits);
    }
}

fn listed(value: &ValueInfo<'_>) -> ListedTensor {
    let dtype = match value.kind {
        1 => tensor::dtype(value.elem_type).map_or_else(|name| name, |dtype| dtype.to_string()),
        _ => "no tensor".to_owned(),
    };
    let extent = |dim: &DimProto<'_>| match dim {
        DimProto::Number(number) => number.to_string(),
        DimProto::Symbol(name) if !name.is_empty() => (*name).to_owned(),
        _ => "?".to_owned(),
    };
    ListedTensor {
        name: value.name.to_owned(),
        dtype,
        dims: value.dims.as_ref().map(|dims| dims.iter().map(extent).collect()),
    }
}
