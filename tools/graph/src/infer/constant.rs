//! Nodes whose results are known before the graph runs.

use crate::error::{ErrorKind, Result};
use crate::graph::{Graph, Node};
use crate::infer::shape_range;
use crate::interpret::{Call, evaluate};
use crate::op::Op;
use crate::tensor::{Tensor, element_count, span};
use crate::types::{Dim, TensorType};

/// Results of at most this many elements are computed.
const SMALL: usize = 4096;

/// The outputs of a node, where they are known and small.
///
/// What stands for a stored weight stays as the file has it: a dequantized constant is none.
///
/// # Errors
/// As [`evaluate`].
pub(super) fn outputs(graph: &Graph, node: &Node) -> Result<Option<Vec<Tensor>>> {
    let first = node.inputs.first().copied().flatten();
    match &node.op {
        Op::Shape { start, end } => {
            if let Some(dims) = first.and_then(|id| graph.value(id).ty.dims.as_ref()) {
                let dims = &dims[shape_range(dims.len(), *start, *end)];
                return Ok(extents(dims).map(|list| vec![Tensor::vector(list)]));
            }
        }
        Op::Size => {
            if let Some(shape) = first.and_then(|id| graph.value(id).ty.shape()) {
                let count = element_count(&shape).map(|n| vec![Tensor::scalar(n as i64)]);
                return Ok(count);
            }
        }
        Op::Dequantize(_) | Op::Requantize => return Ok(None),
        _ => {}
    }
    let mut given = 0usize;
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for id in &node.inputs {
        let tensor = id.map(|id| graph.constant(id));
        if tensor == Some(None) {
            return Ok(None);
        }
        inputs.push(tensor.flatten());
        given += tensor.flatten().map_or(0, Tensor::len);
    }
    let small = node.outputs.iter().flatten().all(|id| {
        let ty = &graph.value(*id).ty;
        match &ty.dims {
            Some(_) => ty.shape().and_then(|s| span(&s)).is_some_and(|n| n <= SMALL),
            // Extents that depend on elements are not much greater than their number.
            None => given <= SMALL,
        }
    });
    // An empty tensor may state any extents at no cost, and kernels loop over them.
    let hollow = |tensor: &&Tensor| tensor.is_empty() && span(tensor.shape()).is_none_or(|n| n > SMALL);
    if !small || inputs.iter().flatten().any(hollow) || inputs.iter().all(Option::is_none) {
        return Ok(None);
    }
    let types: Vec<Option<&TensorType>> = node
        .outputs
        .iter()
        .map(|id| id.map(|id| &graph.value(id).ty))
        .collect();
    let call = Call {
        op: &node.op,
        inputs: &inputs,
        outputs: &types,
        rounding: graph.rounding,
    };
    match evaluate(call) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

/// Extents as elements of a tensor, where all are numbers.
fn extents(dims: &[Dim]) -> Option<Vec<i64>> {
    dims.iter()
        .map(|dim| dim.known().and_then(|n| i64::try_from(n).ok()))
        .collect()
}
