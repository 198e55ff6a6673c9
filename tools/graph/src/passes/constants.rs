//! Nodes whose inputs are all known, computed now.

use crate::error::Result;
use crate::graph::Graph;
use crate::interpret::{Call, evaluate};
use crate::op::Op;
use crate::tensor::{Tensor, span};
use crate::types::TensorType;

/// A constant result may be this much larger than all of its inputs together.
const GROWTH: usize = 4;
/// A constant result of at most this many elements is computed whatever its inputs.
const SMALL: usize = 1 << 16;

/// Computes the nodes whose inputs are all constants and removes them; nodes that would blow a small constant up to
/// a large one stay.
///
/// Returns whether a node was removed.
///
/// # Errors
/// As [`evaluate`], naming the node.
pub fn fold_constants(graph: &mut Graph) -> Result<bool> {
    let mut removed = Vec::new();
    for n in 0..graph.nodes.len() {
        let found = {
            let node = &graph.nodes[n];
            if node
                .outputs
                .iter()
                .flatten()
                .all(|id| graph.constant(*id).is_some())
            {
                removed.push(n);
                continue;
            }
            // A requantized or dequantized weight stays what the file stores.
            if matches!(node.op, Op::Dequantize(_) | Op::Requantize) {
                continue;
            }
            let inputs: Vec<Option<&Tensor>> = node
                .inputs
                .iter()
                .map(|id| id.and_then(|id| graph.constant(id)))
                .collect();
            let known = node
                .inputs
                .iter()
                .zip(&inputs)
                .all(|(id, tensor)| id.is_none() || tensor.is_some());
            if !known || !worth_it(graph, n, &inputs) {
                continue;
            }
            let outputs: Vec<Option<&TensorType>> = node
                .outputs
                .iter()
                .map(|id| id.map(|id| &graph.value(id).ty))
                .collect();
            let call = Call {
                op: &node.op,
                inputs: &inputs,
                outputs: &outputs,
                rounding: graph.rounding,
            };
            evaluate(call).map_err(|e| e.within(format!("node {}", node.name)))?
        };
        let outputs = graph.nodes[n].outputs.clone();
        for (id, tensor) in outputs.into_iter().zip(found) {
            if let Some(id) = id {
                let value = graph.value_mut(id);
                value.ty = tensor.tensor_type();
                value.constant = Some(tensor);
            }
        }
        removed.push(n);
    }
    let mut n = 0;
    graph.nodes.retain(|_| {
        n += 1;
        removed.binary_search(&(n - 1)).is_err()
    });
    Ok(!removed.is_empty())
}

/// Whether the results are small, or not much larger than what they come from.
fn worth_it(graph: &Graph, n: usize, inputs: &[Option<&Tensor>]) -> bool {
    let node = &graph.nodes[n];
    let given: usize = inputs.iter().flatten().map(|t| t.len()).sum();
    // An empty tensor may state any extents at no cost, and kernels loop over them.
    let hollow = |tensor: &Tensor| tensor.is_empty() && span(tensor.shape()).is_none_or(|n| n > SMALL);
    if inputs.iter().flatten().copied().any(hollow) {
        return false;
    }
    node.outputs.iter().flatten().all(|id| {
        let shape = graph.value(*id).ty.shape();
        shape
            .and_then(|shape| span(&shape))
            .is_some_and(|count| count <= SMALL.max(given.saturating_mul(GROWTH)))
    })
}
