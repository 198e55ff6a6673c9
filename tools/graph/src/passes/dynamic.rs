//! Products with rows quantized as they come, put together again from the parts that an export writes out.

use super::fuse::Seen;
use crate::error::Result;
use crate::graph::{Graph, ValueId};
use crate::op::{Binary, Op, Reduce, Unary, Variadic};
use crate::tensor::Tensor;
use crate::types::Quantization;
use crate::{Dtype, Node};

/// Steps of a row on either side of zero.
const STEPS: f64 = 127.0;
/// Greatest number that counts as a guard against a division by zero instead of a scale.
const GREATEST_GUARD: f64 = 1e-20;

/// Makes [`Op::DynamicMatMul`] of the operations that an export writes it out in, with a bias that is added behind it;
/// returns whether there was one. What is not used any more is left for [`crate::passes::remove_dead`].
///
/// No part of [`crate::passes::simplify`]: ONNX has no such operation.
///
/// # Errors
/// As [`Tensor::to_i64`] and [`Tensor::new`]: never, for a graph that [`crate::infer::infer`] accepted.
pub fn fuse_dynamic_products(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        let seen = Seen::new(graph);
        if let Some(found) = product(&seen, n) {
            let name = format!("{}.columns", graph.nodes[n].name);
            let (rows, weights) = (found.rows, found.weights()?);
            let weights = graph.add_constant(graph.unique_name(&name), weights);
            graph.nodes[n].op = Op::DynamicMatMul;
            graph.nodes[n].inputs = vec![Some(rows), Some(weights)];
            changed = true;
        } else if let Some(inputs) = biased(&seen, n) {
            graph.nodes[n].op = Op::DynamicMatMul;
            graph.nodes[n].inputs = inputs.map(Some).to_vec();
            changed = true;
        }
    }
    Ok(changed)
}

/// Operands of a product.
struct Product<'a> {
    rows: ValueId,
    integers: &'a Tensor,
    scales: Vec<f32>,
}

impl Product<'_> {
    /// The integers with their scales.
    fn weights(&self) -> Result<Tensor> {
        let zero_points = vec![0; self.scales.len()];
        let scales = self.scales.clone();
        Ok(self
            .integers
            .clone()
            .with_quantization(Some(Quantization::PerAxis {
                axis: 1,
                scales,
                zero_points,
            })))
    }
}

/// `f32(MatMulInteger(i8(round(x / s)), w)) * scales * s` with `s = max(reduce_max(|x|) / 127, guard)`.
fn product<'a>(seen: &Seen<'a>, n: usize) -> Option<Product<'a>> {
    let (Op::Binary(Binary::Mul), inputs) = seen.node(n)? else {
        return None;
    };
    let [a, b] = *inputs.as_slice() else { return None };
    let (scaled, row_scale, rows) = match (scaled_rows(seen, b), scaled_rows(seen, a)) {
        (Some(rows), _) => (a, b, rows),
        (None, Some(rows)) => (b, a, rows),
        (None, None) => return None,
    };
    let factors = seen.binary(scaled, Binary::Mul)?;
    let [c, d] = *factors.as_slice() else { return None };
    let (sums, scales) = match (seen.graph.constant(c), seen.graph.constant(d)) {
        (None, Some(scales)) => (c, scales),
        (Some(scales), None) => (d, scales),
        _ => return None,
    };
    let (Op::MatMulInteger, operands) = seen.maker(cast(seen, sums, Dtype::F32)?)? else {
        return None;
    };
    let [quantized, weights] = *operands.as_slice() else {
        return None;
    };
    let rounded = seen.unary(cast(seen, quantized, Dtype::I8)?, Unary::Round)?;
    (seen.binary(rounded, Binary::Div)? == [rows, row_scale]).then_some(())?;
    let integers = seen.graph.constant(weights)?;
    let &[_, columns] = integers.shape() else {
        return None;
    };
    let plain = integers.dtype() == Dtype::I8 && integers.quantization.is_none();
    let found = scales.elements::<f32>().ok().filter(|_| plain)?;
    let scales = match found {
        [one] => vec![*one; columns],
        many if many.len() == columns && scales.shape().last() == Some(&columns) => many.to_vec(),
        _ => return None,
    };
    Some(Product {
        rows,
        integers,
        scales,
    })
}

/// The rows whose scales these are.
fn scaled_rows(seen: &Seen<'_>, scale: ValueId) -> Option<ValueId> {
    let (Op::Variadic(Variadic::Max), inputs) = seen.maker(scale)? else {
        return None;
    };
    let [a, b] = *inputs.as_slice() else { return None };
    let guard = |id| {
        seen.number(id)
            .is_some_and(|n| (0.0..GREATEST_GUARD).contains(&n))
    };
    let quotient = match (guard(a), guard(b)) {
        (false, true) => a,
        (true, false) => b,
        _ => return None,
    };
    let parts = seen.binary(quotient, Binary::Div)?;
    let [greatest, steps] = *parts.as_slice() else {
        return None;
    };
    (seen.number(steps)? == STEPS).then_some(())?;
    let (
        Op::Reduce {
            function: Reduce::Max,
            keep_dims: true,
            ..
        },
        reduced,
    ) = seen.maker(greatest)?
    else {
        return None;
    };
    let axes = seen.graph.constant(*reduced.get(1)?)?.to_i64().ok()?;
    let rank = seen.graph.value(reduced[0]).ty.rank()? as i64;
    (axes == [-1] || axes == [rank - 1]).then_some(())?;
    seen.unary(reduced[0], Unary::Abs)
}

/// What is converted to a type.
fn cast(seen: &Seen<'_>, id: ValueId, wanted: Dtype) -> Option<ValueId> {
    match seen.maker(id)? {
        (Op::Cast { to, .. }, inputs) if *to == wanted => inputs.first().copied(),
        _ => None,
    }
}

/// Inputs of a product without bias and the constant vector that its only reader, a node, adds to it.
fn biased(seen: &Seen<'_>, n: usize) -> Option<[ValueId; 3]> {
    let (Op::Binary(Binary::Add), inputs) = seen.node(n)? else {
        return None;
    };
    let [a, b] = *inputs.as_slice() else { return None };
    let (sum, bias) = match (seen.graph.constant(a), seen.graph.constant(b)) {
        (None, Some(bias)) => (a, bias),
        (Some(bias), None) => (b, bias),
        _ => return None,
    };
    let (Op::DynamicMatMul, operands) = seen.maker(sum)? else {
        return None;
    };
    let [x, w] = *operands.as_slice() else { return None };
    let reads = |node: &Node| node.inputs.contains(&Some(sum));
    let alone = seen.graph.nodes.iter().filter(|node| reads(node)).count() == 1;
    let columns = *seen.graph.constant(w)?.shape().last()?;
    let plain = bias.dtype() == Dtype::F32 && bias.quantization.is_none() && bias.shape() == [columns];
    let bias = if sum == a { b } else { a };
    (alone && plain && !seen.graph.outputs.contains(&sum)).then_some([x, w, bias])
}
