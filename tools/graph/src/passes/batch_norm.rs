//! Batch normalisation folded into the layer before it.

use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::op::{Binary, Op};
use crate::tensor::Tensor;

/// Folds batch normalisations, and multiplications and additions of one constant a channel, into the convolution or
/// matrix product before them where nothing else reads its result; returns whether there was one.
///
/// Computed in f64 and rounded once: `w' = w * g / sqrt(v + e)`, `b' = (b - m) * g / sqrt(v + e) + beta`.
///
/// # Errors
/// Never, for a graph that [`crate::infer::infer`] accepted.
pub fn fold_batch_norm(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        if let Some(fold) = find(graph, n) {
            apply(graph, n, fold)?;
            changed = true;
        } else {
            n += 1;
        }
    }
    Ok(changed)
}

/// `y = factor * x + shift` for each channel, behind a layer.
struct Fold {
    layer: usize,
    factors: Vec<f64>,
    shifts: Vec<f64>,
}

/// Axis of the weights that counts output channels, per group for a transposed convolution.
fn output_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv(_) => Some(0),
        Op::ConvTranspose(convolution) if convolution.groups == 1 => Some(1),
        Op::Gemm {
            alpha,
            beta,
            transpose_b,
            ..
        } if *alpha == 1.0 && *beta == 1.0 => Some(if *transpose_b { 0 } else { 1 }),
        _ => None,
    }
}

fn find(graph: &Graph, n: usize) -> Option<Fold> {
    let node = &graph.nodes[n];
    let data = |m: usize| graph.constant(node.inputs.get(m).copied().flatten()?).map(widen);
    let (input, factors, shifts) = match &node.op {
        Op::BatchNormalization { epsilon } => {
            let (scale, bias, mean, variance) = (data(1)?, data(2)?, data(3)?, data(4)?);
            let gain: Vec<f64> = scale
                .iter()
                .zip(&variance)
                .map(|(g, v)| g / (v + f64::from(*epsilon)).sqrt())
                .collect();
            let shift = bias
                .iter()
                .zip(&mean)
                .zip(&gain)
                .map(|((b, m), g)| b - m * g)
                .collect();
            (node.inputs[0]?, gain, shift)
        }
        Op::Binary(function @ (Binary::Mul | Binary::Add | Binary::Sub)) => {
            let (a, b) = (node.inputs[0]?, node.inputs[1]?);
            let (input, constant) = match (graph.constant(a), graph.constant(b)) {
                (None, Some(_)) => (a, b),
                (Some(_), None) if *function != Binary::Sub => (b, a),
                _ => return None,
            };
            let values = per_channel(graph, input, constant)?;
            match function {
                Binary::Mul => (input, values.clone(), vec![0.0; values.len()]),
                Binary::Sub => (
                    input,
                    vec![1.0; values.len()],
                    values.iter().map(|v| -v).collect(),
                ),
                _ => (input, vec![1.0; values.len()], values),
            }
        }
        _ => return None,
    };
    if graph.value(input).ty.quantization.is_some() || graph.outputs.contains(&input) {
        return None;
    }
    let layer = graph
        .nodes
        .iter()
        .position(|maker| maker.outputs.first() == Some(&Some(input)))?;
    let readers = graph
        .nodes
        .iter()
        .flat_map(|node| node.inputs.iter().flatten())
        .filter(|id| **id == input)
        .count();
    let maker = &graph.nodes[layer];
    let axis = output_axis(&maker.op)?;
    let weights = graph.constant(maker.inputs.get(1).copied().flatten()?)?;
    let bias_known = maker
        .inputs
        .get(2)
        .copied()
        .flatten()
        .is_none_or(|id| graph.constant(id).is_some_and(|bias| bias.len() == factors.len()));
    let fits = weights.dtype() == crate::Dtype::F32
        && weights.quantization.is_none()
        && weights.shape().get(axis) == Some(&factors.len());
    (readers == 1 && bias_known && fits).then_some(Fold {
        layer,
        factors,
        shifts,
    })
}

/// One number a channel of `input` (axis 1), from a constant that broadcasts to it along the other axes.
fn per_channel(graph: &Graph, input: ValueId, constant: ValueId) -> Option<Vec<f64>> {
    let shape = graph.value(input).ty.shape()?;
    let tensor = graph.constant(constant)?;
    let channels = *shape.get(1)?;
    if tensor.rank() > shape.len() || tensor.quantization.is_some() {
        return None;
    }
    let mut full = vec![1; shape.len() - tensor.rank()];
    full.extend_from_slice(tensor.shape());
    let only_channels = full
        .iter()
        .enumerate()
        .all(|(axis, &n)| n == 1 || (axis == 1 && n == channels));
    if !only_channels {
        return None;
    }
    let values = widen(tensor);
    Some(if values.len() == 1 {
        vec![values[0]; channels]
    } else {
        values
    })
}

fn widen(tensor: &Tensor) -> Vec<f64> {
    match tensor.elements::<f64>() {
        Ok(values) => values.to_vec(),
        Err(_) => tensor.to_f32().into_iter().map(f64::from).collect(),
    }
}

fn apply(graph: &mut Graph, n: usize, fold: Fold) -> Result<()> {
    let maker = graph.nodes[fold.layer].clone();
    let (Some(axis), Some(Some(weights))) = (output_axis(&maker.op), maker.inputs.get(1)) else {
        return Ok(());
    };
    let Some(tensor) = graph.constant(*weights) else {
        return Ok(());
    };
    let inner: usize = tensor.shape()[axis + 1..].iter().product();
    let channels = fold.factors.len();
    let scaled: Vec<f32> = tensor
        .elements::<f32>()?
        .iter()
        .enumerate()
        .map(|(i, &w)| (f64::from(w) * fold.factors[i / inner.max(1) % channels]) as f32)
        .collect();
    let scaled = Tensor::new(tensor.shape(), scaled)?;
    let old = maker
        .inputs
        .get(2)
        .copied()
        .flatten()
        .and_then(|id| graph.constant(id));
    let old = old.map_or_else(|| vec![0.0; channels], widen);
    let bias: Vec<f32> = old
        .iter()
        .zip(&fold.factors)
        .zip(&fold.shifts)
        .map(|((b, g), s)| (b * g + s) as f32)
        .collect();
    let name = graph.unique_name(&format!("{}.weight", maker.name));
    let weights = graph.add_constant(name, scaled);
    let name = graph.unique_name(&format!("{}.bias", maker.name));
    let bias = graph.add_constant(name, Tensor::vector(bias));
    let folded: Node = graph.nodes.remove(n);
    let layer = &mut graph.nodes[fold.layer];
    layer.inputs.truncate(1);
    layer.inputs.extend([Some(weights), Some(bias)]);
    layer.outputs = folded.outputs;
    Ok(())
}
