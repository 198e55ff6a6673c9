//! Nodes that give back what they got.

use crate::graph::{Graph, Node};
use crate::op::{Op, Variadic};

/// Removes nodes whose output is their input, element for element and extent for extent; returns whether there was
/// one.
///
/// A graph output keeps its name: where it would become an input or a constant, the node stays.
pub fn remove_identities(graph: &mut Graph) -> bool {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if !is_identity(graph, &graph.nodes[n]) {
            n += 1;
            continue;
        }
        let (Some(input), Some(output)) = (graph.nodes[n].inputs[0], graph.nodes[n].outputs[0]) else {
            n += 1;
            continue;
        };
        if !graph.outputs.contains(&output) {
            graph.replace_uses(output, input);
        } else if !give_name(graph, input, output) {
            n += 1;
            continue;
        }
        graph.nodes.remove(n);
        changed = true;
    }
    changed
}

/// Lets the node that makes `input` make the graph output `output` instead; `false` where no node can.
fn give_name(graph: &mut Graph, input: crate::ValueId, output: crate::ValueId) -> bool {
    if graph.inputs.contains(&input) || graph.outputs.contains(&input) {
        return false;
    }
    let maker = graph
        .nodes
        .iter()
        .position(|node| node.outputs.contains(&Some(input)));
    let Some(maker) = maker else { return false };
    for id in graph.nodes[maker].outputs.iter_mut().flatten() {
        if *id == input {
            *id = output;
        }
    }
    graph.replace_uses(input, output);
    true
}

fn is_identity(graph: &Graph, node: &Node) -> bool {
    let (Some(Some(input)), Some(Some(output))) = (node.inputs.first(), node.outputs.first()) else {
        return false;
    };
    if node.outputs.iter().flatten().count() != 1 {
        return false;
    }
    let (from, to) = (&graph.value(*input).ty, &graph.value(*output).ty);
    if from.dtype != to.dtype || from.quantization != to.quantization {
        return false;
    }
    let same_shape = || matches!((from.shape(), to.shape()), (Some(a), Some(b)) if a == b);
    match &node.op {
        Op::Identity | Op::Cast { .. } | Op::BitCast { .. } => true,
        Op::Requantize => true,
        Op::Transpose { permutation } => permutation.iter().enumerate().all(|(i, &axis)| i == axis),
        Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze | Op::Unsqueeze | Op::Expand | Op::Tile => {
            same_shape()
        }
        Op::Slice => same_shape() && forward(graph, node),
        Op::Pad { .. } => same_shape() && constant_zeros(graph, node, 1),
        Op::Concat { .. } | Op::Variadic(Variadic::Sum | Variadic::Mean | Variadic::Min | Variadic::Max) => {
            node.inputs.iter().flatten().count() == 1
        }
        _ => false,
    }
}

/// Whether a slice has no negative steps, which would turn an axis round.
fn forward(graph: &Graph, node: &Node) -> bool {
    match node.inputs.get(4).copied().flatten() {
        None => true,
        Some(id) => graph
            .constant(id)
            .and_then(|steps| steps.to_i64().ok())
            .is_some_and(|steps| steps.iter().all(|&step| step > 0)),
    }
}

fn constant_zeros(graph: &Graph, node: &Node, n: usize) -> bool {
    node.inputs
        .get(n)
        .copied()
        .flatten()
        .and_then(|id| graph.constant(id))
        .and_then(|pads| pads.to_i64().ok())
        .is_some_and(|pads| pads.iter().all(|&pad| pad == 0))
}
