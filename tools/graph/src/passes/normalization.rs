//! Normalizations written out for formats that lack them.

use crate::Dtype;
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::op::{Binary, Op, Reduce, Unary};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// Writes each [`Op::LayerNormalization`] of `f32` out as means, differences and products, all of which TFLite has:
/// `(x - mean) * rsqrt(mean((x - mean)^2) + epsilon) * scale + bias`. One whose mean or deviation is read, or whose axis
/// is unknown, stays. Returns whether there was one.
///
/// # Errors
/// As [`crate::infer::infer`].
pub fn expand_layer_normalization(graph: &mut Graph) -> Result<bool> {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut changed = false;
    let mut written = Vec::with_capacity(nodes.len());
    for node in nodes {
        match parts(graph, &node) {
            Some(parts) => {
                expand(graph, &mut written, &node.name, &parts);
                changed = true;
            }
            None => written.push(node),
        }
    }
    graph.nodes = written;
    if changed {
        crate::infer::infer(graph)?;
    }
    Ok(changed)
}

/// A normalization that can be written out.
struct Parts {
    x: ValueId,
    scale: ValueId,
    bias: Option<ValueId>,
    output: ValueId,
    axes: Vec<i64>,
    epsilon: f32,
}

fn parts(graph: &Graph, node: &Node) -> Option<Parts> {
    let Op::LayerNormalization { axis, epsilon } = node.op else {
        return None;
    };
    let input = |n: usize| node.inputs.get(n).copied().flatten();
    let x = input(0)?;
    let [Some(output), rest @ ..] = node.outputs.as_slice() else {
        return None;
    };
    let ty = &graph.value(x).ty;
    let rank = i64::try_from(ty.dims.as_ref()?.len()).ok()?;
    let first = if axis < 0 { axis + rank } else { axis };
    let fits = ty.dtype == Dtype::F32 && (0..rank).contains(&first) && rest.iter().all(Option::is_none);
    if !fits {
        return None;
    }
    Some(Parts {
        x,
        scale: input(1)?,
        bias: input(2),
        output: *output,
        axes: (first..rank).collect(),
        epsilon,
    })
}

fn expand(graph: &mut Graph, written: &mut Vec<Node>, name: &str, parts: &Parts) {
    let mean = || Op::Reduce {
        function: Reduce::Mean,
        keep_dims: true,
        noop_with_empty_axes: false,
    };
    let axes = graph.add_constant(
        graph.unique_name(&format!("{name}.axes")),
        Tensor::vector(parts.axes.clone()),
    );
    let epsilon = graph.add_constant(
        graph.unique_name(&format!("{name}.epsilon")),
        Tensor::scalar(parts.epsilon),
    );
    let mut push = |step: &str, op: Op, inputs: &[ValueId], output: Option<ValueId>| {
        let name = graph.unique_name(&format!("{name}.{step}"));
        let output =
            output.unwrap_or_else(|| graph.add_value(name.clone(), TensorType::unshaped(Dtype::F32)));
        written.push(Node {
            name,
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![Some(output)],
        });
        output
    };
    let centre = push("mean", mean(), &[parts.x, axes], None);
    let centred = push("centred", Op::Binary(Binary::Sub), &[parts.x, centre], None);
    let squares = push("squares", Op::Binary(Binary::Mul), &[centred, centred], None);
    let variance = push("variance", mean(), &[squares, axes], None);
    let guarded = push("guarded", Op::Binary(Binary::Add), &[variance, epsilon], None);
    let inverse = push("inverse", Op::Unary(Unary::Rsqrt), &[guarded], None);
    let normal = push("normal", Op::Binary(Binary::Mul), &[centred, inverse], None);
    let last = parts.bias.is_none().then_some(parts.output);
    let scaled = push("scaled", Op::Binary(Binary::Mul), &[normal, parts.scale], last);
    if let Some(bias) = parts.bias {
        push(
            "shifted",
            Op::Binary(Binary::Add),
            &[scaled, bias],
            Some(parts.output),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret;

    fn check(axis: i64, bias: bool) {
        let mut graph = Graph::new("normal");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[2, 3, 4]));
        let numbers = |shape: &[usize], step: usize| {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|n| ((n * step) % 17) as f32 / 4.0 - 2.0).collect();
            Tensor::new(shape, values).unwrap()
        };
        let shape: &[usize] = if axis == 1 { &[3, 4] } else { &[4] };
        let mut inputs = vec![x, graph.add_constant("scale", numbers(shape, 5))];
        if bias {
            inputs.push(graph.add_constant("bias", numbers(shape, 3)));
        }
        let op = Op::LayerNormalization { axis, epsilon: 1e-5 };
        let y = graph.add_node("norm", op, &inputs, TensorType::unshaped(Dtype::F32));
        graph.outputs.push(y);
        crate::infer::infer(&mut graph).unwrap();
        let input = [numbers(&[2, 3, 4], 7)];
        let expected = interpret::run(&graph, &input).unwrap();
        assert!(expand_layer_normalization(&mut graph).unwrap());
        graph.check().unwrap();
        let normal = |node: &&Node| matches!(node.op, Op::LayerNormalization { .. });
        assert_eq!(graph.nodes.iter().filter(normal).count(), 0);
        let found = interpret::run(&graph, &input).unwrap();
        for (a, b) in expected[0].to_f32().iter().zip(found[0].to_f32()) {
            assert!((a - b).abs() <= 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn a_normalization_written_out_has_the_same_answers() {
        check(-1, true);
        check(2, false);
        check(1, true);
    }
}
