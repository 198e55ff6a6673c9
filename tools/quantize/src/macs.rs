//! Multiply-accumulates of the nodes of a graph.

use limbic_graph::{Dtype, Graph, Node, Op, ValueId};

/// Multiply-accumulates of a node; 0 for one that has none, or whose extents are not known.
///
/// Convolutions and products only: the figure that a share of integer arithmetic is stated in.
pub fn macs(graph: &Graph, node: &Node) -> u64 {
    let shape = |id: Option<&Option<ValueId>>| {
        let id = (*id?)?;
        match graph.constant(id) {
            Some(tensor) => Some(tensor.shape().to_vec()),
            None => graph.value(id).ty.shape(),
        }
    };
    let product = |dims: &[usize]| dims.iter().map(|&n| n as u64).product::<u64>();
    let count = || -> Option<u64> {
        let output = shape(node.outputs.first())?;
        let weights = shape(node.inputs.get(1))?;
        Some(match &node.op {
            Op::Conv(_) | Op::ConvInteger(_) => product(&output) * product(weights.get(1..)?),
            Op::QLinearConv(_) => product(&output) * product(shape(node.inputs.get(3))?.get(1..)?),
            // Every element of the input meets the kernel once.
            Op::ConvTranspose(_) => product(&shape(node.inputs.first())?) * product(weights.get(1..)?),
            Op::Gemm { transpose_a, .. } => {
                let a = shape(node.inputs.first())?;
                product(&output) * *a.get(usize::from(!transpose_a))? as u64
            }
            Op::MatMul | Op::MatMulInteger | Op::DynamicMatMul => {
                product(&output) * *shape(node.inputs.first())?.last()? as u64
            }
            _ => 0,
        })
    };
    count().unwrap_or(0)
}

/// Whether a node's products are of integers.
pub fn is_integer(graph: &Graph, node: &Node) -> bool {
    if matches!(
        node.op,
        Op::DynamicMatMul | Op::MatMulInteger | Op::ConvInteger(_) | Op::QLinearConv(_)
    ) {
        return true;
    }
    let dtype = |n: usize| Some(graph.value(node.inputs.get(n).copied().flatten()?).ty.dtype);
    let eight_bits = |dtype: Option<Dtype>| matches!(dtype, Some(Dtype::I8 | Dtype::U8));
    eight_bits(dtype(0)) && eight_bits(dtype(1))
}

/// Multiply-accumulates of a graph: all, and those of integers.
pub fn totals(graph: &Graph) -> (u64, u64) {
    let mut totals = (0, 0);
    for node in &graph.nodes {
        let count = macs(graph, node);
        totals.0 += count;
        if is_integer(graph, node) {
            totals.1 += count;
        }
    }
    totals
}
