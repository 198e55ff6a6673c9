//! Transposes that meet their inverse.

use std::collections::HashMap;

use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::op::{Op, Unary};
use crate::tensor::Tensor;
use crate::types::{Dim, Quantization, TensorType};

/// Moves transposes behind the elementwise operations that follow them, joins those that meet, and makes a reshape of
/// one that only moves extents of 1; returns whether anything changed.
///
/// # Errors
/// Never, for a graph that [`crate::infer::infer`] accepted.
pub fn cancel_transposes(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        let producers = graph.producers();
        changed |= join(graph, n, &producers);
        if sink(graph, n, &producers) {
            changed = true;
            // The transpose now stands behind this node; go on with what follows it.
        }
        n += 1;
    }
    changed |= reshape_instead(graph);
    Ok(changed)
}

fn permutation(op: &Op) -> Option<&[usize]> {
    match op {
        Op::Transpose { permutation } => Some(permutation),
        _ => None,
    }
}

fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut found = vec![0; permutation.len()];
    for (place, &axis) in permutation.iter().enumerate() {
        found[axis] = place;
    }
    found
}

/// A transpose of a transpose reads the first one's input.
fn join(graph: &mut Graph, n: usize, producers: &HashMap<ValueId, NodeId>) -> bool {
    let node = &graph.nodes[n];
    let (Some(outer), Some(Some(input))) = (permutation(&node.op), node.inputs.first()) else {
        return false;
    };
    let Some(maker) = producers.get(input) else {
        return false;
    };
    let maker = &graph.nodes[maker.0];
    let (Some(inner), Some(Some(source))) = (permutation(&maker.op), maker.inputs.first()) else {
        return false;
    };
    if inner.len() != outer.len() {
        return false;
    }
    let joined = outer.iter().map(|&axis| inner[axis]).collect();
    let source = *source;
    graph.nodes[n].op = Op::Transpose { permutation: joined };
    graph.nodes[n].inputs[0] = Some(source);
    true
}

/// The source and permutation of a value that a transpose makes.
fn transposed(
    graph: &Graph,
    id: ValueId,
    producers: &HashMap<ValueId, NodeId>,
) -> Option<(ValueId, Vec<usize>)> {
    let maker = &graph.nodes[producers.get(&id)?.0];
    Some((
        maker.inputs.first().copied().flatten()?,
        permutation(&maker.op)?.to_vec(),
    ))
}

/// Inputs of an operation that a common transpose can be taken from, if it treats all axes alike or by number.
fn moved_inputs(node: &Node) -> Option<usize> {
    match node.op {
        Op::Unary(_) | Op::Cast { .. } | Op::Requantize | Op::Clip | Op::Identity => Some(1),
        Op::Softmax { .. } | Op::LogSoftmax { .. } | Op::LpNormalization { .. } | Op::Pad { .. } => Some(1),
        Op::Reduce { keep_dims: true, .. } => Some(1),
        Op::Binary(_) | Op::Compare(_) | Op::Variadic(_) | Op::Concat { .. } => Some(node.inputs.len()),
        _ => None,
    }
}

/// Puts the transpose of all inputs of node `n` behind it.
fn sink(graph: &mut Graph, n: usize, producers: &HashMap<ValueId, NodeId>) -> bool {
    let node = &graph.nodes[n];
    let Some(count) = moved_inputs(node) else {
        return false;
    };
    if node.outputs.len() != 1 || node.inputs.len() < count || matches!(node.op, Op::Unary(Unary::Not)) {
        return false;
    }
    let Some(output) = node.outputs[0] else {
        return false;
    };
    let Some(ids) = node.inputs[..count]
        .iter()
        .copied()
        .collect::<Option<Vec<ValueId>>>()
    else {
        return false;
    };
    let Some(order) = ids
        .iter()
        .find_map(|id| transposed(graph, *id, producers))
        .map(|(_, order)| order)
    else {
        return false;
    };
    let back = inverse(&order);
    // A constant or a single element can be turned back; anything else must come through the same transpose.
    enum Source {
        Value(ValueId),
        Constant(Tensor),
    }
    let mut sources = Vec::with_capacity(count);
    let mut turned = 0;
    for id in &ids {
        if let Some(tensor) = graph.constant(*id) {
            match turned_back(tensor, &back) {
                Some(tensor) => sources.push(Source::Constant(tensor)),
                None => return false,
            }
            continue;
        }
        match transposed(graph, *id, producers) {
            Some((source, of)) if of == order => {
                turned += 1;
                sources.push(Source::Value(source));
            }
            _ => {
                let id = *id;
                if graph.value(id).ty.rank() != Some(0) {
                    return false;
                }
                sources.push(Source::Value(id));
            }
        }
    }
    if turned == 0 {
        return false;
    }
    let Some((op, extra)) = turned_op(graph, &graph.nodes[n], &order, count) else {
        return false;
    };
    let ty = turned_type(&graph.value(output).ty, &order);
    let base = graph.nodes[n].name.clone();
    let mut inputs = Vec::with_capacity(graph.nodes[n].inputs.len());
    for source in sources {
        inputs.push(Some(match source {
            Source::Value(id) => id,
            Source::Constant(tensor) => {
                let name = graph.unique_name(&format!("{base}.turned"));
                graph.add_constant(name, tensor)
            }
        }));
    }
    match extra {
        Some(tensor) => {
            let name = graph.unique_name(&format!("{base}.axes"));
            let id = graph.add_constant(name, tensor);
            inputs.push(Some(id));
            inputs.extend_from_slice(graph.nodes[n].inputs.get(count + 1..).unwrap_or_default());
        }
        None => inputs.extend_from_slice(&graph.nodes[n].inputs[count..]),
    }
    let name = graph.unique_name(&format!("{}.before", graph.value(output).name));
    let before = graph.add_value(name, ty);
    let node = &mut graph.nodes[n];
    node.op = op;
    node.inputs = inputs;
    node.outputs = vec![Some(before)];
    let name = graph.unique_name(&format!("{base}.transpose"));
    let behind = Node {
        name,
        op: Op::Transpose { permutation: order },
        inputs: vec![Some(before)],
        outputs: vec![Some(output)],
    };
    graph.nodes.insert(n + 1, behind);
    true
}

/// The operation on inputs that are not transposed, and the constant that becomes its second input.
fn turned_op(graph: &Graph, node: &Node, order: &[usize], count: usize) -> Option<(Op, Option<Tensor>)> {
    let rank = order.len();
    let axis_of = |axis: i64| -> Option<i64> {
        let place = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        Some(*order.get(place)? as i64)
    };
    let numbers = |n: usize| {
        graph
            .constant(node.inputs.get(n).copied().flatten()?)?
            .to_i64()
            .ok()
    };
    Some(match &node.op {
        Op::Softmax { axis } => (
            Op::Softmax {
                axis: axis_of(*axis)?,
            },
            None,
        ),
        Op::LogSoftmax { axis } => (
            Op::LogSoftmax {
                axis: axis_of(*axis)?,
            },
            None,
        ),
        Op::LpNormalization { axis, p } => (
            Op::LpNormalization {
                axis: axis_of(*axis)?,
                p: *p,
            },
            None,
        ),
        Op::Concat { axis } => (
            Op::Concat {
                axis: axis_of(*axis)?,
            },
            None,
        ),
        Op::Reduce { .. } => {
            if node.inputs.get(1).copied().flatten().is_none() {
                return Some((node.op.clone(), None));
            }
            let axes = numbers(1)?
                .into_iter()
                .map(axis_of)
                .collect::<Option<Vec<i64>>>()?;
            (node.op.clone(), Some(Tensor::vector(axes)))
        }
        Op::Pad { .. } => {
            // Pads of some axes only are named by a fourth input.
            if node.inputs.get(3).copied().flatten().is_some() {
                return None;
            }
            let pads = numbers(1)?;
            if pads.len() != 2 * rank {
                return None;
            }
            let mut moved = vec![0i64; 2 * rank];
            for (place, &axis) in order.iter().enumerate() {
                moved[axis] = pads[place];
                moved[rank + axis] = pads[rank + place];
            }
            (node.op.clone(), Some(Tensor::vector(moved)))
        }
        // Slopes, limits and the like beyond the moved inputs are scalars; the moved ones are seen to by the caller.
        _ => {
            let plain = node.inputs[count..]
                .iter()
                .flatten()
                .all(|id| graph.value(*id).ty.rank() == Some(0));
            if !plain {
                return None;
            }
            (node.op.clone(), None)
        }
    })
}

/// A constant operand as it stands before the transpose: padded to full rank, then turned.
fn turned_back(tensor: &Tensor, back: &[usize]) -> Option<Tensor> {
    if tensor.len() == 1 && tensor.quantization.is_none() {
        return tensor.reshaped(&[]).ok();
    }
    let rank = back.len();
    if tensor.rank() > rank
        || matches!(
            tensor.quantization,
            Some(Quantization::PerAxis { .. } | Quantization::Blocks { .. })
        )
    {
        return None;
    }
    let mut shape = vec![1; rank - tensor.rank()];
    shape.extend_from_slice(tensor.shape());
    let full = tensor.reshaped(&shape).ok()?;
    let turned: Vec<usize> = back.iter().map(|&axis| shape[axis]).collect();
    // With one extent above 1 the order of the elements stays.
    if shape.iter().filter(|&&n| n > 1).count() <= 1 {
        return full.reshaped(&turned).ok();
    }
    let op = Op::Transpose {
        permutation: back.to_vec(),
    };
    let ty = TensorType {
        quantization: tensor.quantization.clone(),
        ..TensorType::new(tensor.dtype(), &turned)
    };
    let call = crate::interpret::Call {
        op: &op,
        inputs: &[Some(&full)],
        outputs: &[Some(&ty)],
        rounding: crate::graph::Rounding::default(),
    };
    crate::interpret::evaluate(call).ok()?.pop()
}

/// The type of a tensor before a transpose, from that behind it.
fn turned_type(behind: &TensorType, order: &[usize]) -> TensorType {
    let back = inverse(order);
    let dims = behind
        .dims
        .as_ref()
        .map(|dims| back.iter().map(|&axis| dims[axis]).collect::<Vec<Dim>>());
    let quantization = match &behind.quantization {
        Some(Quantization::PerAxis {
            axis,
            scales,
            zero_points,
        }) => Some(Quantization::PerAxis {
            axis: order[*axis],
            scales: scales.clone(),
            zero_points: zero_points.clone(),
        }),
        other => other.clone(),
    };
    TensorType {
        dtype: behind.dtype,
        dims,
        quantization,
    }
}

/// Makes reshapes of transposes that keep the order of the extents above 1.
fn reshape_instead(graph: &mut Graph) -> bool {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        let node = &graph.nodes[n];
        let (Some(order), Some(Some(input)), Some(Some(output))) =
            (permutation(&node.op), node.inputs.first(), node.outputs.first())
        else {
            continue;
        };
        let Some(shape) = graph.value(*input).ty.shape() else {
            continue;
        };
        let moved: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&axis| shape.get(axis).is_some_and(|&n| n != 1))
            .collect();
        if !moved.is_sorted() || order.iter().enumerate().all(|(i, &axis)| i == axis) {
            continue;
        }
        if matches!(
            graph.value(*output).ty.quantization,
            Some(Quantization::PerAxis { .. } | Quantization::Blocks { .. })
        ) {
            continue;
        }
        let target: Vec<i64> = order.iter().map(|&axis| shape[axis] as i64).collect();
        let name = graph.unique_name(&format!("{}.shape", node.name));
        let shape = graph.add_constant(name, Tensor::vector(target));
        let node = &mut graph.nodes[n];
        node.op = Op::Reshape { allow_zero: true };
        node.inputs.push(Some(shape));
        changed = true;
    }
    changed
}
