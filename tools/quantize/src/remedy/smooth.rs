//! Channel ranges moved between activations and the weights behind them.

use limbic_graph::op::Binary;
use limbic_graph::{Graph, Node, Op, Tensor, TensorType, ValueId};

use crate::control::Judge;
use crate::error::Result;
use crate::remedy::{Axis, Channels, input_axes, observe};
use crate::scheme::{Choice, integer_nodes};

/// Factors stay within this of 1, so that a channel that is nearly never used does not blow up the others.
pub(super) const MOST: f64 = 16.0;

/// What each channel of an activation is divided by, and the weights behind it multiplied with:
/// `sqrt(max|x| / max|w|)`, scaled to a geometric mean of 1.
///
/// Xiao et al., "SmoothQuant" (2022), with alpha 0.5.
fn factors(channels: &Channels, weights: &[f64]) -> Option<Vec<f64>> {
    let raw: Vec<f64> = channels
        .greatest
        .iter()
        .zip(weights)
        .map(|(&x, &w)| if x > 0.0 && w > 0.0 { (x / w).sqrt() } else { 1.0 })
        .collect();
    if raw.is_empty() || raw.len() != weights.len() {
        return None;
    }
    Some(normalised(raw))
}

/// Factors with a geometric mean of 1, none far from it.
pub(super) fn normalised(raw: Vec<f64>) -> Vec<f64> {
    let mean = (raw.iter().map(|f| f.ln()).sum::<f64>() / raw.len().max(1) as f64).exp();
    raw.into_iter()
        .map(|f| (f / mean).clamp(1.0 / MOST, MOST))
        .collect()
}

/// Greatest magnitude of the weights for each input channel.
pub(super) fn input_maxima(weights: &Tensor, axis: usize, groups: usize, kernels_axis: usize) -> Vec<f64> {
    let shape = weights.shape();
    let mut greatest = vec![0f64; shape[axis] * groups];
    for (i, w) in weights.to_f32().into_iter().enumerate() {
        let channel = channel_of(i, shape, axis, groups, kernels_axis);
        greatest[channel] = greatest[channel].max(f64::from(w).abs());
    }
    greatest
}

pub(super) fn channel_of(
    i: usize,
    shape: &[usize],
    axis: usize,
    groups: usize,
    kernels_axis: usize,
) -> usize {
    let place = |axis: usize| {
        let inner: usize = shape.iter().skip(axis + 1).product();
        i / inner.max(1) % shape[axis].max(1)
    };
    let group = if groups > 1 {
        place(kernels_axis) * groups / shape[kernels_axis].max(1)
    } else {
        0
    };
    group * shape[axis] + place(axis)
}

/// Multiplies the elements of a node's constant input.
pub(super) fn scale_weights(
    graph: &mut Graph,
    n: usize,
    input: usize,
    factor: impl Fn(usize, &[usize]) -> f64,
) -> Result<()> {
    let Some(id) = graph.nodes[n].inputs.get(input).copied().flatten() else {
        return Ok(());
    };
    let Some(tensor) = graph.constant(id) else {
        return Ok(());
    };
    let values: Vec<f32> = tensor
        .elements::<f32>()?
        .iter()
        .enumerate()
        .map(|(i, &w)| (f64::from(w) * factor(i, tensor.shape())) as f32)
        .collect();
    let scaled = Tensor::new(tensor.shape(), values)?;
    let name = graph.unique_name(&format!("{}.scaled", graph.value(id).name));
    let scaled = graph.add_constant(name, scaled);
    graph.nodes[n].inputs[input] = Some(scaled);
    Ok(())
}

/// Divides the channels that matrix products read, and multiplies the products' weights.
///
/// The division goes into the scale and bias of a layer normalization that only the products read, else before them.
pub(super) fn smooth_products(graph: &mut Graph, choice: &Choice, judge: &mut dyn Judge) -> Result<()> {
    let names = integer_nodes(graph, choice);
    let mut groups: Vec<(ValueId, Vec<usize>)> = Vec::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let (Op::MatMul | Op::Gemm { .. }, Some(Some(input))) = (&node.op, node.inputs.first()) else {
            continue;
        };
        if !names.contains(&node.name) {
            continue;
        }
        match groups.iter_mut().find(|(id, _)| id == input) {
            Some((_, readers)) => readers.push(n),
            None => groups.push((*input, vec![n])),
        }
    }
    let channels = observe(graph, groups.iter().map(|(id, _)| (*id, Axis::Last)), judge)?;
    let mut added = Vec::new();
    for (input, readers) in groups {
        let Some(channels) = channels.get(&input) else {
            continue;
        };
        let mut maxima = vec![0f64; channels.greatest.len()];
        for &n in &readers {
            let node = &graph.nodes[n];
            let (Some((_, axis)), Some(weights)) = (
                input_axes(&node.op),
                node.inputs[1].and_then(|id| graph.constant(id)),
            ) else {
                continue;
            };
            for (most, found) in maxima.iter_mut().zip(input_maxima(weights, axis, 1, 0)) {
                *most = most.max(found);
            }
        }
        let Some(factors) = factors(channels, &maxima) else {
            continue;
        };
        for &n in &readers {
            if let Some((_, axis)) = input_axes(&graph.nodes[n].op) {
                scale_weights(graph, n, 1, |i, shape| factors[channel_of(i, shape, axis, 1, 0)])?;
            }
        }
        match lone_normalization(graph, input, &readers) {
            Some(norm) => {
                scale_weights(graph, norm, 1, |i, _| 1.0 / factors[i])?;
                scale_weights(graph, norm, 2, |i, _| 1.0 / factors[i])?;
            }
            None => added.push(divide(graph, input, &readers, &factors)),
        }
    }
    graph.nodes.extend(added);
    Ok(graph.sort()?)
}

/// The layer normalization over the last axis that makes a value which only `readers` read.
fn lone_normalization(graph: &Graph, id: ValueId, readers: &[usize]) -> Option<usize> {
    let all = graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.inputs.contains(&Some(id)))
        .all(|(n, _)| readers.contains(&n));
    let rank = graph.value(id).ty.rank()? as i64;
    let n = graph
        .nodes
        .iter()
        .position(|node| node.outputs.first() == Some(&Some(id)))?;
    let node = &graph.nodes[n];
    let constants = node
        .inputs
        .get(1..)?
        .iter()
        .flatten()
        .all(|id| graph.constant(*id).is_some());
    let last = matches!(node.op, Op::LayerNormalization { axis, .. } if axis == -1 || axis == rank - 1);
    (all && last && constants && !graph.outputs.contains(&id)).then_some(n)
}

/// A node that divides the channels of a value for its readers.
fn divide(graph: &mut Graph, input: ValueId, readers: &[usize], factors: &[f64]) -> Node {
    let inverse: Vec<f32> = factors.iter().map(|f| (1.0 / f) as f32).collect();
    let name = graph.unique_name(&format!("{}.smooth", graph.value(input).name));
    let constant = graph.add_constant(format!("{name}.factors"), Tensor::vector(inverse));
    let ty = TensorType {
        quantization: None,
        ..graph.value(input).ty.clone()
    };
    let output = graph.add_value(name.clone(), ty);
    for &n in readers {
        graph.nodes[n].inputs[0] = Some(output);
    }
    Node {
        name,
        op: Op::Binary(Binary::Mul),
        inputs: vec![Some(input), Some(constant)],
        outputs: vec![Some(output)],
    }
}
