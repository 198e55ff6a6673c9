//! Normalizations written out for formats that lack them.

use super::written::{Written, write_out};
use crate::Dtype;
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::op::{Binary, Op, Reduce, Unary};
use crate::tensor::Tensor;

/// Writes each [`Op::LayerNormalization`] of `f32` out as means, differences and products, all of which TFLite has:
/// `(x - mean) * rsqrt(mean((x - mean)^2) + epsilon) * scale + bias`. One whose mean or deviation is read, or whose axis
/// is unknown, stays. Returns whether there was one.
///
/// # Errors
/// As [`crate::infer::infer`].
pub fn expand_layer_normalization(graph: &mut Graph) -> Result<bool> {
    write_out(graph, |graph, nodes, node| {
        let Some(parts) = parts(graph, node) else {
            return Ok(false);
        };
        expand(&mut Written::new(graph, nodes, &node.name), &parts);
        Ok(true)
    })
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

fn expand(out: &mut Written<'_>, parts: &Parts) {
    let mean = || Op::Reduce {
        function: Reduce::Mean,
        keep_dims: true,
        noop_with_empty_axes: false,
    };
    let axes = out.constant("axes", Tensor::vector(parts.axes.clone()));
    let epsilon = out.scalar("epsilon", parts.epsilon);
    let centre = out.push("mean", mean(), &[parts.x, axes]);
    let centred = out.binary("centred", Binary::Sub, parts.x, centre);
    let squares = out.binary("squares", Binary::Mul, centred, centred);
    let variance = out.push("variance", mean(), &[squares, axes]);
    let guarded = out.binary("guarded", Binary::Add, variance, epsilon);
    let inverse = out.push("inverse", Op::Unary(Unary::Rsqrt), &[guarded]);
    let normal = out.binary("normal", Binary::Mul, centred, inverse);
    let scale = Op::Binary(Binary::Mul);
    let Some(bias) = parts.bias else {
        return out.finish("scaled", scale, &[normal, parts.scale], parts.output);
    };
    let scaled = out.push("scaled", scale, &[normal, parts.scale]);
    out.finish("shifted", Op::Binary(Binary::Add), &[scaled, bias], parts.output);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret;
    use crate::types::TensorType;

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
