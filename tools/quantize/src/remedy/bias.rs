//! Biases moved by the mean error of rounded weights.

use limbic_graph::{Dtype, Graph, Op, Tensor};

use crate::control::Judge;
use crate::error::Result;
use crate::remedy::{input_axes, observe};
use crate::scheme::assign::output_axis;
use crate::scheme::{Choice, affine, integer_nodes};

/// Takes the mean error that rounding its weights makes from the bias of each convolution and product that has one:
/// `b' = b - sum((w' - w) * mean(x))`, after Nagel et al., "Data-Free Quantization" (2019), with measured means.
///
/// The border that padding adds to a convolution is taken for the mean too.
pub(super) fn correct(graph: &mut Graph, choice: &Choice, judge: &mut dyn Judge) -> Result<()> {
    let names = integer_nodes(graph, choice);
    let nodes: Vec<usize> = (0..graph.nodes.len())
        .filter(|&n| {
            let node = &graph.nodes[n];
            let constant = |m: usize| {
                node.inputs
                    .get(m)
                    .copied()
                    .flatten()
                    .and_then(|id| graph.constant(id))
            };
            matches!(node.op, Op::Conv(_) | Op::Gemm { .. })
                && names.contains(&node.name)
                && constant(1).is_some_and(|w| w.dtype() == Dtype::F32)
                && constant(2).is_some_and(|b| b.rank() == 1)
        })
        .collect();
    let wanted: Vec<_> = nodes
        .iter()
        .filter_map(|&n| Some((graph.nodes[n].inputs[0]?, input_axes(&graph.nodes[n].op)?.0)))
        .collect();
    let channels = observe(graph, wanted, judge)?;
    for n in nodes {
        let node = &graph.nodes[n];
        let (Some(input), Some(weights), Some(bias)) = (node.inputs[0], node.inputs[1], node.inputs[2])
        else {
            continue;
        };
        let (Some(channels), Some(axis), Some((_, input_axis)), Some(tensor), Some(old)) = (
            channels.get(&input),
            output_axis(&node.op),
            input_axes(&node.op),
            graph.constant(weights),
            graph.constant(bias),
        ) else {
            continue;
        };
        let rounded = affine::weights(&graph.value(weights).name, tensor, axis, None, 1.0)?;
        let rounded = limbic_graph::dequantize(&rounded)?;
        let means = channels.means();
        let groups = if let Op::Conv(c) = &node.op {
            c.groups.max(1)
        } else {
            1
        };
        let shape = tensor.shape();
        let place = |i: usize, axis: usize| {
            let inner: usize = shape.iter().skip(axis + 1).product();
            i / inner.max(1) % shape[axis].max(1)
        };
        let mut values: Vec<f64> = old.to_f32().into_iter().map(f64::from).collect();
        let pairs = rounded.elements::<f32>()?.iter().zip(tensor.elements::<f32>()?);
        for (i, (&rounded, &exact)) in pairs.enumerate() {
            let kernel = place(i, axis);
            let group = kernel * groups / shape[axis].max(1);
            let channel = group * shape[input_axis] + place(i, input_axis);
            let mean = means.get(channel).copied().unwrap_or(0.0);
            if let Some(value) = values.get_mut(kernel) {
                *value -= (f64::from(rounded) - f64::from(exact)) * mean;
            }
        }
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        let name = graph.unique_name(&format!("{}.corrected", graph.value(bias).name));
        let corrected = graph.add_constant(name, Tensor::vector(values));
        graph.nodes[n].inputs[2] = Some(corrected);
    }
    Ok(())
}
