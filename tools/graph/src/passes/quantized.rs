//! Quantized types of the `QuantizeLinear` and `DequantizeLinear` that surround operations in ONNX files.

use std::collections::HashMap;

use crate::Dtype;
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::{Binary, Op, PoolKind, Reduce, Unary, Variadic};
use crate::types::Quantization;

/// Makes operations on quantized types of operations between `DequantizeLinear` and `QuantizeLinear` with constant
/// scales; returns whether there was one.
///
/// What stands between the two and is no integer arithmetic anywhere stays in float, between two
/// [`Op::Requantize`]. What is not used any more is left for [`crate::passes::remove_dead`].
///
/// No part of [`crate::passes::simplify`]: the integers' types would be gone in an ONNX file.
///
/// # Errors
/// Never, for a graph that [`crate::infer::infer`] accepted.
pub fn fuse_quantized(graph: &mut Graph) -> Result<bool> {
    if !type_integers(graph) {
        return Ok(false);
    }
    take_integers(graph);
    Ok(true)
}

/// Gives integers their scales, and turns the nodes that stated them to [`Op::Requantize`].
fn type_integers(graph: &mut Graph) -> bool {
    let (producers, consumers) = (graph.producers(), graph.consumers());
    let mut changed = false;
    for id in (0..graph.values.len()).map(ValueId) {
        let readers = consumers.get(&id).map(Vec::as_slice).unwrap_or_default();
        let maker = producers.get(&id).map(|n| &graph.nodes[n.0]);
        let Some(quantization) = stated(graph, id, maker, readers) else {
            continue;
        };
        let nodes = readers.iter().chain(producers.get(&id)).copied();
        for n in nodes {
            let node = &mut graph.nodes[n.0];
            node.op = Op::Requantize;
            node.inputs.truncate(1);
        }
        let value = graph.value_mut(id);
        if let Some(tensor) = &mut value.constant {
            tensor.quantization = Some(quantization.clone());
        }
        value.ty.quantization = Some(quantization);
        changed = true;
    }
    changed
}

/// The one quantization that all users of a value state.
fn stated(graph: &Graph, id: ValueId, maker: Option<&Node>, readers: &[NodeId]) -> Option<Quantization> {
    let value = graph.value(id);
    if !matches!(value.ty.dtype, Dtype::I8 | Dtype::U8 | Dtype::I32) || value.ty.quantization.is_some() {
        return None;
    }
    let mut found = Vec::new();
    if let Some(maker) = maker {
        match &maker.op {
            Op::Quantize(q) if q.block == 0 => found.push(parameters(graph, maker, q.axis, id)?),
            _ => return None,
        }
    }
    for reader in readers {
        let reader = &graph.nodes[reader.0];
        match &reader.op {
            Op::Dequantize(q) if q.block == 0 && reader.inputs.first() == Some(&Some(id)) => {
                found.push(parameters(graph, reader, q.axis, id)?);
            }
            _ => return None,
        }
    }
    let first = found.pop()?;
    found.iter().all(|other| *other == first).then_some(first)
}

/// Constant scales and zero points of a node that quantizes or dequantizes.
fn parameters(graph: &Graph, node: &Node, axis: i64, integers: ValueId) -> Option<Quantization> {
    let constant = |n: usize| match node.inputs.get(n).copied().flatten() {
        None => Some(None),
        Some(id) => graph.constant(id).map(Some),
    };
    let scale = constant(1)??;
    if scale.dtype() != Dtype::F32 {
        return None;
    }
    let scales = scale.to_f32();
    let zero_points: Vec<i32> = match constant(2)? {
        None => vec![0; scales.len()],
        Some(zero_points) => zero_points.to_f32().iter().map(|&z| z as i32).collect(),
    };
    if zero_points.len() != scales.len() || scales.iter().any(|s| !s.is_finite() || *s <= 0.0) {
        return None;
    }
    match scale.rank() {
        0 => Some(Quantization::PerTensor {
            scale: *scales.first()?,
            zero_point: *zero_points.first()?,
        }),
        1 => {
            let shape = graph.value(integers).ty.shape()?;
            let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
            (shape.get(axis) == Some(&scales.len())).then_some(Quantization::PerAxis {
                axis,
                scales,
                zero_points,
            })
        }
        _ => None,
    }
}

/// Lets operations read and make the integers themselves.
fn take_integers(graph: &mut Graph) {
    let (producers, consumers) = (graph.producers(), graph.consumers());
    let quantized = |graph: &Graph, id: ValueId| graph.value(id).ty.quantization.is_some();
    // The integers that a float value is made of.
    let from: HashMap<ValueId, ValueId> = producers
        .iter()
        .filter_map(|(&id, n)| {
            let node = &graph.nodes[n.0];
            let input = node.inputs.first().copied().flatten()?;
            let taken_back = matches!(node.op, Op::Requantize) && !quantized(graph, id);
            (taken_back && quantized(graph, input)).then_some((id, input))
        })
        .collect();
    // The integers that a float value is made to, where nothing else reads it.
    let to: HashMap<ValueId, (ValueId, NodeId)> = consumers
        .iter()
        .filter_map(|(&id, readers)| {
            let &[reader] = readers.as_slice() else {
                return None;
            };
            let node = &graph.nodes[reader.0];
            let output = node.outputs.first().copied().flatten()?;
            let made = matches!(node.op, Op::Requantize) && quantized(graph, output);
            (made && !quantized(graph, id) && !graph.outputs.contains(&id)).then_some((id, (output, reader)))
        })
        .collect();
    let mut removed = vec![false; graph.nodes.len()];
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        if removed[n] {
            continue;
        }
        let inputs: Vec<Option<ValueId>> = node
            .inputs
            .iter()
            .map(|id| id.map(|id| from.get(&id).copied().unwrap_or(id)))
            .collect();
        let float =
            |id: &&ValueId| graph.value(**id).ty.dtype == Dtype::F32 && graph.constant(**id).is_none();
        if inputs == node.inputs || inputs.iter().flatten().any(|id| float(&id)) {
            continue;
        }
        let output = node.outputs.first().copied().flatten();
        let made = output.and_then(|id| to.get(&id)).copied();
        match arithmetic(&node.op) {
            Arithmetic::Products => {}
            Arithmetic::Function if node.outputs.len() == 1 && made.is_some() => {}
            _ => continue,
        }
        let node = &mut graph.nodes[n];
        node.inputs = inputs;
        if let (Some((integers, reader)), Some(slot)) = (made, node.outputs.first_mut()) {
            *slot = Some(integers);
            removed[reader.0] = true;
        }
    }
    let mut gone = removed.into_iter();
    graph.nodes.retain(|_| !gone.next().unwrap_or(false));
}

/// What an operation can be in integers.
enum Arithmetic {
    /// Products, whose sums may be left in float.
    Products,
    /// Integers in, integers out.
    Function,
    Float,
}

fn arithmetic(op: &Op) -> Arithmetic {
    match op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::MatMul => Arithmetic::Products,
        Op::Requantize
        | Op::Reshape { .. }
        | Op::Flatten { .. }
        | Op::Squeeze
        | Op::Unsqueeze
        | Op::Transpose { .. }
        | Op::Slice
        | Op::Identity
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
        | Op::Concat { .. }
        | Op::Clip
        | Op::Variadic(Variadic::Sum)
        | Op::Binary(Binary::Add | Binary::Sub | Binary::Mul)
        | Op::Reduce {
            function: Reduce::Mean,
            ..
        }
        | Op::Pool(_)
        | Op::GlobalPool(PoolKind::Max | PoolKind::Average { .. })
        | Op::Unary(
            Unary::Relu
            | Unary::Relu6
            | Unary::LeakyRelu { .. }
            | Unary::Elu { .. }
            | Unary::Sigmoid
            | Unary::Tanh
            | Unary::HardSigmoid { .. }
            | Unary::HardSwish
            | Unary::Swish { .. }
            | Unary::Gelu { .. },
        ) => Arithmetic::Function,
        _ => Arithmetic::Float,
    }
}
