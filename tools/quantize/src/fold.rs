//! Exact folds that a quantized graph profits from, beyond those every conversion makes.

use limbic_graph::op::{Convolution, Padding};
use limbic_graph::{Dtype, Graph, Op, Tensor, ValueId, passes};

use crate::error::Result;

/// Simplifies a float graph, folds batch normalizations forward into the convolution behind them where nothing before
/// them takes them, and sums the weights of input channels that are equal.
///
/// Weight standardisation and weight norm are functions of constants, which simplifying computes.
///
/// # Errors
/// [`crate::ErrorKind::Graph`] as [`passes::simplify`].
pub fn fold(graph: &mut Graph) -> Result<()> {
    passes::simplify(graph)?;
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        changed |= fold_forward(graph, n)?;
        changed |= sum_equal_channels(graph, n)?;
    }
    if changed {
        passes::simplify(graph)?;
    }
    Ok(())
}

/// Folds a batch normalization into the convolutions that alone read it; returns whether it did.
///
/// `w' = w * g`, `b' = b + sum(w * s)` with `g = scale / sqrt(variance + epsilon)` and `s = bias - mean * g`; a shift
/// only passes a convolution without padding, whose zeros it would not reach.
fn fold_forward(graph: &mut Graph, n: usize) -> Result<bool> {
    let node = &graph.nodes[n];
    let Op::BatchNormalization { epsilon } = node.op else {
        return Ok(false);
    };
    let inputs: Option<Vec<ValueId>> = node.inputs.iter().copied().collect();
    let (Some(inputs), Some(Some(output))) = (inputs, node.outputs.first().copied()) else {
        return Ok(false);
    };
    let data = |id: ValueId| graph.constant(id).map(Tensor::to_f32);
    let [input, rest @ ..] = inputs.as_slice() else {
        return Ok(false);
    };
    let Some([scale, bias, mean, variance]) = rest
        .iter()
        .map(|id| data(*id))
        .collect::<Option<Vec<_>>>()
        .and_then(|all| <[Vec<f32>; 4]>::try_from(all).ok())
    else {
        return Ok(false);
    };
    let gains: Vec<f64> = scale
        .iter()
        .zip(&variance)
        .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(epsilon)).sqrt())
        .collect();
    let shifts: Vec<f64> = bias
        .iter()
        .zip(&mean)
        .zip(&gains)
        .map(|((&b, &m), g)| f64::from(b) - f64::from(m) * g)
        .collect();
    let shifted = shifts.iter().any(|&s| s != 0.0);
    let input = *input;
    let Some(readers) = lone_convolutions(graph, output) else {
        return Ok(false);
    };
    let fits = readers
        .iter()
        .all(|&(_, channels, padded)| channels == gains.len() && !(padded && shifted));
    if !fits {
        return Ok(false);
    }
    for (reader, channels, _) in readers {
        scale_input(graph, reader, channels, &gains, &shifts)?;
        graph.nodes[reader].inputs[0] = Some(input);
    }
    Ok(true)
}

/// The convolutions that read a value, with their number of input channels and whether they pad; `None` if anything
/// else reads it.
fn lone_convolutions(graph: &Graph, id: ValueId) -> Option<Vec<(usize, usize, bool)>> {
    if graph.outputs.contains(&id) {
        return None;
    }
    let mut found = Vec::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let reads = node.inputs.iter().filter(|input| **input == Some(id)).count();
        if reads == 0 {
            continue;
        }
        let Op::Conv(convolution) = &node.op else {
            return None;
        };
        let weights = graph.constant(node.inputs.get(1).copied().flatten()?)?;
        let bias_known = node
            .inputs
            .get(2)
            .copied()
            .flatten()
            .is_none_or(|id| graph.constant(id).is_some());
        let plain = weights.dtype() == Dtype::F32 && weights.quantization.is_none();
        if reads != 1 || node.inputs.first() != Some(&Some(id)) || !bias_known || !plain {
            return None;
        }
        let channels = weights.shape().get(1)?.checked_mul(convolution.groups)?;
        found.push((n, channels, pads(convolution)));
    }
    (!found.is_empty()).then_some(found)
}

fn pads(convolution: &Convolution) -> bool {
    match &convolution.padding {
        Padding::Explicit(pads) => pads.iter().any(|&n| n != 0),
        Padding::SameUpper | Padding::SameLower => true,
    }
}

/// Scales and shifts the input channels of a convolution inside its weights.
fn scale_input(graph: &mut Graph, n: usize, channels: usize, gains: &[f64], shifts: &[f64]) -> Result<()> {
    let node = &graph.nodes[n];
    let Op::Conv(convolution) = &node.op else {
        return Ok(());
    };
    let at = |m: usize| {
        node.inputs
            .get(m)
            .copied()
            .flatten()
            .and_then(|id| graph.constant(id))
    };
    let Some(weights) = at(1) else { return Ok(()) };
    let &[kernels, per_group, ..] = weights.shape() else {
        return Ok(());
    };
    let groups = convolution.groups.max(1);
    let inner = weights.len() / (kernels * per_group).max(1);
    let mut bias: Vec<f64> = at(2).map_or_else(
        || vec![0.0; kernels],
        |bias| bias.to_f32().into_iter().map(f64::from).collect(),
    );
    let mut scaled = Vec::with_capacity(weights.len());
    for (i, &w) in weights.elements::<f32>()?.iter().enumerate() {
        let (kernel, place) = (i / inner / per_group, i / inner % per_group);
        let channel = (kernel * groups / kernels * per_group + place).min(channels - 1);
        scaled.push((f64::from(w) * gains[channel]) as f32);
        bias[kernel] += f64::from(w) * shifts[channel];
    }
    let scaled = Tensor::new(weights.shape(), scaled)?;
    let bias: Vec<f32> = bias.into_iter().map(|b| b as f32).collect();
    replace_constants(graph, n, scaled, Some(bias));
    Ok(())
}

fn replace_constants(graph: &mut Graph, n: usize, weights: Tensor, bias: Option<Vec<f32>>) {
    let name = graph.nodes[n].name.clone();
    let weights = graph.add_constant(graph.unique_name(&format!("{name}.weight")), weights);
    graph.nodes[n].inputs[1] = Some(weights);
    if let Some(bias) = bias {
        let bias = graph.add_constant(graph.unique_name(&format!("{name}.bias")), Tensor::vector(bias));
        graph.nodes[n].inputs.truncate(2);
        graph.nodes[n].inputs.push(Some(bias));
    }
}

/// Reads a value once where a convolution reads copies of it joined along the channels; returns whether it did.
fn sum_equal_channels(graph: &mut Graph, n: usize) -> Result<bool> {
    let node = &graph.nodes[n];
    let Some((input, copies)) = copied_channels(graph, n) else {
        return Ok(false);
    };
    let Some(Some(output)) = node.outputs.first().copied() else {
        return Ok(false);
    };
    let Some(readers) = lone_convolutions(graph, output) else {
        return Ok(false);
    };
    let whole = readers.iter().all(|&(reader, channels, _)| {
        matches!(&graph.nodes[reader].op, Op::Conv(c) if c.groups == 1) && channels % copies == 0
    });
    if !whole {
        return Ok(false);
    }
    for (reader, channels, _) in readers {
        let Some(weights) = graph.nodes[reader].inputs[1].and_then(|id| graph.constant(id)) else {
            continue;
        };
        let mut shape = weights.shape().to_vec();
        let kept = channels / copies;
        let inner = weights.len() / (shape[0] * channels).max(1);
        let mut sums = vec![0f64; shape[0] * kept * inner];
        for (i, &w) in weights.elements::<f32>()?.iter().enumerate() {
            let (kernel, channel, place) = (i / inner / channels, i / inner % channels, i % inner);
            sums[(kernel * kept + channel % kept) * inner + place] += f64::from(w);
        }
        shape[1] = kept;
        let summed = Tensor::new(&shape, sums.into_iter().map(|w| w as f32).collect::<Vec<_>>())?;
        replace_constants(graph, reader, summed, None);
        graph.nodes[reader].inputs[0] = Some(input);
    }
    Ok(true)
}

/// A value whose channels a node repeats, and how often: a `Concat` of one value, or an `Expand` of one channel.
fn copied_channels(graph: &Graph, n: usize) -> Option<(ValueId, usize)> {
    let node = &graph.nodes[n];
    let input = node.inputs.first().copied().flatten()?;
    let output = node.outputs.first().copied().flatten()?;
    let (from, to) = (graph.value(input).ty.shape()?, graph.value(output).ty.shape()?);
    let only_channels = from.len() == to.len()
        && from.len() > 2
        && from
            .iter()
            .zip(&to)
            .enumerate()
            .all(|(axis, (a, b))| axis == 1 || a == b);
    let copies = match node.op {
        Op::Concat { axis: 1 } if node.inputs.iter().all(|id| *id == Some(input)) => node.inputs.len(),
        Op::Expand if from.get(1) == Some(&1) => *to.get(1)?,
        _ => return None,
    };
    (only_channels && copies > 1 && from[1] * copies == to[1]).then_some((input, copies))
}

#[cfg(test)]
mod tests {
    use limbic_graph::op::Unary;
    use limbic_graph::{TensorType, interpret};

    use super::*;

    fn numbers(shape: &[usize], seed: u32) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count as u32)
            .map(|n| ((n + seed).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
            .collect();
        Tensor::new(shape, values).unwrap()
    }

    fn constant(graph: &mut Graph, name: &str, tensor: Tensor) -> ValueId {
        graph.add_constant(name, tensor)
    }

    /// Folds a graph and checks that its answers stay and that it has `left` nodes.
    fn check(mut graph: Graph, input: &Tensor, left: usize) {
        limbic_graph::infer::infer(&mut graph).unwrap();
        let before = interpret::run(&graph, std::slice::from_ref(input)).unwrap();
        fold(&mut graph).unwrap();
        let after = interpret::run(&graph, std::slice::from_ref(input)).unwrap();
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(graph.nodes.len(), left, "{names:?}");
        for (a, b) in before[0].to_f32().iter().zip(after[0].to_f32()) {
            assert!((a - b).abs() <= 1e-4 * (1.0 + a.abs()), "{a} {b}");
        }
    }

    fn normalized_relu_then(convolution: Convolution, weights: &[usize]) -> Graph {
        let float = || TensorType::unshaped(Dtype::F32);
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 4, 6, 6]));
        let relu = graph.add_node("relu", Op::Unary(Unary::Relu), &[x], float());
        let parameters: Vec<ValueId> = (0..4)
            .map(|n| {
                let mut tensor = numbers(&[4], 10 * n + 3);
                if n == 3 {
                    tensor =
                        Tensor::vector(tensor.to_f32().iter().map(|v| v.abs() + 0.1).collect::<Vec<_>>());
                }
                constant(&mut graph, &format!("bn{n}"), tensor)
            })
            .collect();
        let op = Op::BatchNormalization { epsilon: 1e-3 };
        let normalized = graph.add_node("bn", op, &[&[relu], parameters.as_slice()].concat(), float());
        let w = constant(&mut graph, "w", numbers(weights, 77));
        let y = graph.add_node("conv", Op::Conv(convolution), &[normalized, w], float());
        graph.outputs.push(y);
        graph
    }

    #[test]
    fn a_normalization_behind_a_relu_goes_into_the_next_convolution() {
        check(
            normalized_relu_then(Convolution::unit(2), &[5, 4, 3, 3]),
            &numbers(&[1, 4, 6, 6], 1),
            2,
        );
        let grouped = Convolution {
            groups: 2,
            ..Convolution::unit(2)
        };
        check(
            normalized_relu_then(grouped, &[6, 2, 3, 3]),
            &numbers(&[1, 4, 6, 6], 1),
            2,
        );
    }

    #[test]
    fn a_shift_does_not_pass_a_padded_convolution() {
        let padded = Convolution {
            padding: Padding::Explicit(vec![1; 4]),
            ..Convolution::unit(2)
        };
        check(
            normalized_relu_then(padded, &[5, 4, 3, 3]),
            &numbers(&[1, 4, 6, 6], 1),
            3,
        );
    }

    #[test]
    fn equal_input_channels_are_read_once() {
        let mut graph = Graph::new("test");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 5, 5]));
        let three = graph.add_node(
            "three",
            Op::Concat { axis: 1 },
            &[x, x, x],
            TensorType::unshaped(Dtype::F32),
        );
        let w = constant(&mut graph, "w", numbers(&[4, 6, 3, 3], 5));
        let y = graph.add_node(
            "conv",
            Op::Conv(Convolution::unit(2)),
            &[three, w],
            TensorType::unshaped(Dtype::F32),
        );
        graph.outputs.push(y);
        check(graph, &numbers(&[1, 2, 5, 5], 9), 1);
    }
}
