//! Matrix products whose activations are rounded row by row as they come.

use limbic_graph::op::Binary;
use limbic_graph::{Dtype, Graph, Node, NodeId, Op, Tensor, ValueId};

use crate::error::Result;
use crate::scheme::{Choice, affine};

/// Whether a node is a product of floats with constant weights, which this scheme makes integer arithmetic.
pub(super) fn fits(graph: &Graph, node: &Node) -> bool {
    let at = |n: usize| node.inputs.get(n).copied().flatten();
    let constant = |n: usize| at(n).and_then(|id| graph.constant(id));
    let weights = constant(1).is_some_and(|w| {
        w.dtype() == Dtype::F32 && w.quantization.is_none() && w.rank() == 2 && !w.is_empty()
    });
    let input = at(0).is_some_and(|id| {
        graph.constant(id).is_none()
            && graph.value(id).ty.dtype == Dtype::F32
            && graph.value(id).ty.rank() != Some(0)
    });
    let plain = match node.op {
        Op::MatMul => true,
        Op::Gemm {
            alpha,
            beta,
            transpose_a,
            ..
        } => {
            let bias = at(2)
                .is_none_or(|_| constant(2).is_some_and(|b| b.rank() == 1 && is_columns(graph, node, b)));
            alpha == 1.0 && beta == 1.0 && !transpose_a && bias
        }
        _ => false,
    };
    weights && input && plain
}

/// Whether a bias has one number for each column of a node's weights.
fn is_columns(graph: &Graph, node: &Node, bias: &Tensor) -> bool {
    let transposed = matches!(
        node.op,
        Op::Gemm {
            transpose_b: true,
            ..
        }
    );
    let weights = node
        .inputs
        .get(1)
        .copied()
        .flatten()
        .and_then(|id| graph.constant(id));
    weights.and_then(|w| w.shape().get(usize::from(!transposed)).copied()) == Some(bias.len())
}

/// Makes the products with constant weights integer arithmetic, a bias that is added behind them included.
pub(super) fn apply(graph: &mut Graph, choice: &Choice) -> Result<()> {
    for n in 0..graph.nodes.len() {
        if !fits(graph, &graph.nodes[n]) || choice.float.contains_key(&graph.nodes[n].name) {
            continue;
        }
        let node = graph.nodes[n].clone();
        let (Some(Some(input)), Some(Some(weights))) = (node.inputs.first(), node.inputs.get(1)) else {
            continue;
        };
        let Some(tensor) = graph.constant(*weights) else {
            continue;
        };
        let name = graph.value(*weights).name.clone();
        let transposed = matches!(
            node.op,
            Op::Gemm {
                transpose_b: true,
                ..
            }
        );
        let rounded = choice.rounded.get(&node.name);
        let integers = if let Some(rounded) = rounded {
            rounded.weights.clone()
        } else if transposed {
            affine::weights(&name, &transpose(tensor)?, 1, None, 1.0)?
        } else {
            affine::weights(&name, tensor, 1, None, 1.0)?
        };
        let integers = graph.add_constant(graph.unique_name(&format!("{name}.i8")), integers);
        let mut inputs = vec![Some(*input), Some(integers)];
        let mut outputs = node.outputs.clone();
        if let Some(Some(bias)) = node.inputs.get(2) {
            inputs.push(Some(*bias));
        } else if let Some((adder, bias)) = added_bias(graph, &node) {
            inputs.push(Some(bias));
            outputs = graph.nodes[adder.0].outputs.clone();
            // Nothing reads what is behind the adder any more; it is removed as dead.
            let unused = graph.add_value(
                graph.unique_name(&format!("{}.unused", node.name)),
                limbic_graph::TensorType::unshaped(Dtype::F32),
            );
            graph.nodes[adder.0].outputs = vec![Some(unused)];
        }
        if let (Some(bias), Some(own)) = (
            inputs.get_mut(2),
            rounded.and_then(|rounded| rounded.bias.clone()),
        ) {
            let name = graph.unique_name(&format!("{}.bias", node.name));
            *bias = Some(graph.add_constant(name, Tensor::vector(own)));
        }
        let changed = &mut graph.nodes[n];
        changed.op = Op::DynamicMatMul;
        changed.inputs = inputs;
        changed.outputs = outputs;
    }
    Ok(())
}

/// The only reader of a product, where it adds a constant of one number a column.
fn added_bias(graph: &Graph, node: &Node) -> Option<(NodeId, ValueId)> {
    let output = node.outputs.first().copied().flatten()?;
    if graph.outputs.contains(&output) {
        return None;
    }
    let readers = graph.consumers().remove(&output)?;
    let [reader] = readers.as_slice() else { return None };
    let adder = graph.nodes.get(reader.0)?;
    let [Some(a), Some(b)] = adder.inputs.as_slice() else {
        return None;
    };
    let bias = if *a == output { *b } else { *a };
    let tensor = graph.constant(bias)?;
    let fits = adder.op == Op::Binary(Binary::Add)
        && tensor.dtype() == Dtype::F32
        && tensor.quantization.is_none()
        && tensor.rank() == 1
        && is_columns(graph, node, tensor);
    fits.then_some((*reader, bias))
}

fn transpose(tensor: &Tensor) -> Result<Tensor> {
    let &[rows, columns] = tensor.shape() else {
        return Ok(tensor.clone());
    };
    let values = tensor.elements::<f32>()?;
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..columns {
        turned.extend((0..rows).map(|row| values[row * columns + column]));
    }
    Ok(Tensor::new(&[columns, rows], turned)?)
}
