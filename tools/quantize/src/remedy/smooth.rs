//! Channel ranges moved between activations and the weights behind them.

use limbic_graph::op::{Binary, PoolKind, Unary};
use limbic_graph::{Dtype, Graph, Node, Op, Tensor, TensorType, ValueId};

use crate::control::Judge;
use crate::error::Result;
use crate::remedy::{Axis, Channels, input_axes, observe};
use crate::scheme::{Choice, integer_nodes};

/// Factors stay within this of 1, so that a channel that is nearly never used does not blow up the others.
const MOST: f64 = 16.0;

/// What each channel of an activation is divided by, and the weights behind it multiplied with:
/// `sqrt(max|x| / max|w|)`, scaled to a geometric mean of 1.
///
/// Xiao et al., "SmoothQuant" (2022), with alpha 0.5; for two layers in a row that is the equalisation of Nagel et al.
/// (2019) with the activation's range in place of the first layer's weights.
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
    let mean = (raw.iter().map(|f| f.ln()).sum::<f64>() / raw.len() as f64).exp();
    Some(raw.iter().map(|f| (f / mean).clamp(1.0 / MOST, MOST)).collect())
}

/// Greatest magnitude of the weights for each input channel.
fn input_maxima(weights: &Tensor, axis: usize, groups: usize, kernels_axis: usize) -> Vec<f64> {
    let shape = weights.shape();
    let mut greatest = vec![0f64; shape[axis] * groups];
    for (i, w) in weights.to_f32().into_iter().enumerate() {
        let channel = channel_of(i, shape, axis, groups, kernels_axis);
        greatest[channel] = greatest[channel].max(f64::from(w).abs());
    }
    greatest
}

fn channel_of(i: usize, shape: &[usize], axis: usize, groups: usize, kernels_axis: usize) -> usize {
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

/// Makes the ranges of channels between two convolutions equal: `conv, relu, conv` where nothing else reads what is
/// between them.
pub(super) fn equalise(graph: &mut Graph, judge: &mut dyn Judge) -> Result<()> {
    let pairs: Vec<(usize, usize)> = (0..graph.nodes.len())
        .filter_map(|n| Some((n, second_convolution(graph, n)?)))
        .collect();
    let wanted: Vec<_> = pairs
        .iter()
        .filter_map(|&(_, second)| Some((graph.nodes[second].inputs[0]?, Axis::Second)))
        .collect();
    let channels = observe(graph, wanted, judge)?;
    for (first, second) in pairs {
        let node = &graph.nodes[second];
        let (Some(input), Some(weights), Op::Conv(convolution)) = (node.inputs[0], node.inputs[1], &node.op)
        else {
            continue;
        };
        let groups = convolution.groups.max(1);
        let Some(tensor) = graph.constant(weights) else {
            continue;
        };
        let maxima = input_maxima(tensor, 1, groups, 0);
        let Some(factors) = channels
            .get(&input)
            .and_then(|channels| factors(channels, &maxima))
        else {
            continue;
        };
        scale_weights(graph, second, 1, |i, shape| {
            factors[channel_of(i, shape, 1, groups, 0)]
        })?;
        scale_weights(graph, first, 1, |i, shape| {
            let inner: usize = shape.iter().skip(1).product();
            1.0 / factors[i / inner.max(1)]
        })?;
        scale_weights(graph, first, 2, |i, _| 1.0 / factors[i])?;
    }
    Ok(())
}

/// The convolution that alone reads what a convolution makes, behind functions that scale with their input.
fn second_convolution(graph: &Graph, n: usize) -> Option<usize> {
    let plain = |node: &Node, m: usize| {
        node.inputs
            .get(m)
            .copied()
            .flatten()
            .and_then(|id| graph.constant(id))
            .is_some_and(|w| w.dtype() == Dtype::F32 && w.quantization.is_none())
    };
    let first = &graph.nodes[n];
    let bias = first.inputs.get(2).copied().flatten().is_none() || plain(first, 2);
    if !matches!(first.op, Op::Conv(_)) || !plain(first, 1) || !bias {
        return None;
    }
    let mut id = first.outputs.first().copied().flatten()?;
    loop {
        let mut readers = graph
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.inputs.contains(&Some(id)));
        let (reader, node) = readers.next()?;
        if readers.next().is_some() || graph.outputs.contains(&id) {
            return None;
        }
        match &node.op {
            Op::Conv(_) if plain(node, 1) && node.inputs.first() == Some(&Some(id)) => return Some(reader),
            Op::Unary(Unary::Relu | Unary::LeakyRelu { .. }) => {}
            Op::Pool(pool) if !matches!(pool.kind, PoolKind::Lp { .. }) => {}
            _ => return None,
        }
        id = node.outputs.first().copied().flatten()?;
    }
}

/// Multiplies the elements of a node's constant input.
fn scale_weights(
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
