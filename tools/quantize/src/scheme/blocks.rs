//! Weights in blocks, arithmetic in float.

use limbic_graph::{Dtype, Graph, Node, Op};

use crate::error::Result;
use crate::scheme::{Choice, affine};

/// Axis that a product of constant weights sums over, along which the blocks run; for a convolution the input
/// channels.
fn summed_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv(_) => Some(1),
        Op::MatMul | Op::ConvTranspose(_) => Some(0),
        Op::Gemm { transpose_b, .. } => Some(usize::from(*transpose_b)),
        _ => None,
    }
}

/// Whether a node's weights can be stored in blocks.
pub(super) fn fits(graph: &Graph, node: &Node) -> bool {
    let weights = node
        .inputs
        .get(1)
        .copied()
        .flatten()
        .and_then(|id| graph.constant(id));
    summed_axis(&node.op).is_some()
        && weights.is_some_and(|w| w.dtype() == Dtype::F32 && w.quantization.is_none() && w.rank() >= 2)
}

/// Elements of a block along an axis: the largest part of its length that is at most `size` elements, or the whole
/// axis where that is under half of `size`, so that blocks are whole.
fn block_of(length: usize, size: usize) -> usize {
    let most = size.min(length).max(1);
    let part = (1..=most)
        .rev()
        .find(|part| length.is_multiple_of(*part))
        .unwrap_or(1);
    if part < most.div_ceil(2) { length } else { part }
}

/// Stores the weights of products as integers from `-limit` to `limit`, taken back to floats before each product.
pub(super) fn apply(graph: &mut Graph, choice: &Choice, limit: i8) -> Result<()> {
    let mut nodes = Vec::with_capacity(graph.nodes.len() * 2);
    for mut node in std::mem::take(&mut graph.nodes) {
        let weights = node.inputs.get(1).copied().flatten();
        if let (Some(axis), Some(weights), false) = (
            summed_axis(&node.op).filter(|_| fits(graph, &node)),
            weights,
            choice.float.contains_key(&node.name),
        ) && let Some(tensor) = graph.constant(weights)
        {
            let name = graph.value(weights).name.clone();
            let ty = tensor.tensor_type();
            let size = block_of(tensor.shape().get(axis).copied().unwrap_or(1), choice.block);
            let integers = affine::blocks(&name, tensor, axis, size, limit)?;
            let stored = graph.add_constant(graph.unique_name(&format!("{name}.blocks")), integers);
            let real_name = graph.unique_name(&format!("{name}.f32"));
            let real = graph.add_value(real_name.clone(), ty);
            nodes.push(Node {
                name: real_name,
                op: Op::Requantize,
                inputs: vec![Some(stored)],
                outputs: vec![Some(real)],
            });
            node.inputs[1] = Some(real);
        }
        nodes.push(node);
    }
    graph.nodes = nodes;
    Ok(())
}
