//! Reading an ONNX file, and saying in names what tract cannot run.

use std::collections::BTreeSet;

use tract_onnx::pb::{GraphProto, tensor_proto::DataLocation};
use tract_onnx::prelude::{Framework, InferenceModel};

use crate::error::{Error, ErrorKind, Result};
use crate::tract::{VERSION, guarded};

/// Most nodes named in a message.
const NAMED: usize = 16;

/// Reads a graph; nothing of it is bound or optimised yet.
pub(super) fn read(program: &str, bytes: &[u8]) -> Result<InferenceModel> {
    let malformed =
        |expected: &str, found: String| Error::new(ErrorKind::Malformed, program, expected, found);
    // Shapes noted inside the graph may use other symbols than the signature; tract finds them out by itself.
    let onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let mut reader = bytes;
    let proto = guarded(ErrorKind::Malformed, program, "an ONNX model", || {
        onnx.proto_model_for_read(&mut reader)
    })?;
    let graph = proto
        .graph
        .as_ref()
        .ok_or_else(|| malformed("an ONNX model", "one without a graph".to_owned()))?;
    let mut missing = Vec::new();
    operators(graph, &mut |kind, node| {
        if !onnx.op_register.0.contains_key(kind) {
            missing.push(format!("{kind} (node {node:?})"));
        }
    });
    if !missing.is_empty() {
        let more = missing.len().saturating_sub(NAMED);
        missing.truncate(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let expected = format!("operators that {VERSION} has");
        let found = format!("{}{more}", missing.join(", "));
        return Err(Error::new(
            ErrorKind::UnsupportedOperator,
            program,
            expected,
            found,
        ));
    }
    let external = graph
        .initializer
        .iter()
        .find(|tensor| tensor.data_location == Some(DataLocation::External as i32));
    if let Some(tensor) = external {
        let place = format!("{program}: {}", tensor.name);
        let expected = "weights inside the ONNX file";
        return Err(Error::new(
            ErrorKind::UnsupportedFormat,
            place,
            expected,
            "weights in another file",
        ));
    }
    let known: BTreeSet<&str> = (graph.input.iter().map(|input| input.name.as_str()))
        .chain(graph.initializer.iter().map(|tensor| tensor.name.as_str()))
        .chain(
            graph
                .node
                .iter()
                .flat_map(|node| node.output.iter().map(String::as_str)),
        )
        .collect();
    let used = graph
        .node
        .iter()
        .flat_map(|node| node.input.iter().map(String::as_str));
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    if let Some(name) = used
        .chain(outputs)
        .find(|name| !name.is_empty() && !known.contains(name))
    {
        return Err(malformed(
            "a graph in which every tensor comes from somewhere",
            format!("{name:?} from nowhere"),
        ));
    }
    guarded(ErrorKind::Malformed, program, "a graph that tract reads", || {
        onnx.model_for_proto_model(&proto)
    })
}

/// Calls `found` with operator and name of each node, those of inner graphs included.
pub(super) fn operators(graph: &GraphProto, found: &mut impl FnMut(&str, &str)) {
    for node in &graph.node {
        let name = if node.name.is_empty() {
            node.output.first()
        } else {
            Some(&node.name)
        };
        found(&node.op_type, name.map_or("", String::as_str));
        for attribute in &node.attribute {
            for inner in attribute.g.iter().chain(&attribute.graphs) {
                operators_boxed(inner, found);
            }
        }
    }
}

/// [`operators`] behind a pointer, so that the closure's type does not grow with the depth.
fn operators_boxed(graph: &GraphProto, found: &mut dyn FnMut(&str, &str)) {
    operators(graph, &mut |kind: &str, node: &str| found(kind, node));
}
