//! Operations that exporters write out in parts, put together again.

use crate::error::Result;
use crate::graph::{Graph, NodeId, ValueId};
use crate::op::{Binary, Op, Reduce, Unary};

/// Puts GELU, SiLU, hard-swish and layer normalisation that are written out in parts together again, and a pad of
/// zeros into the convolution behind it; returns whether there was one.
///
/// # Errors
/// Never, for a graph that [`crate::infer::infer`] accepted.
pub fn fuse_patterns(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in (0..graph.nodes.len()).rev() {
        let seen = Seen::new(graph);
        let found = gelu(&seen, n)
            .or_else(|| swish(&seen, n))
            .or_else(|| layer_normalization(&seen, n));
        let found = found.or_else(|| padded_convolution(&seen, n));
        if let Some((op, inputs)) = found {
            graph.nodes[n].op = op;
            graph.nodes[n].inputs = inputs.into_iter().map(Some).collect();
            changed = true;
        }
    }
    Ok(changed)
}

/// A graph and who makes what in it.
pub(super) struct Seen<'a> {
    pub graph: &'a Graph,
    producers: std::collections::HashMap<ValueId, NodeId>,
}

impl<'a> Seen<'a> {
    pub fn new(graph: &'a Graph) -> Self {
        Self {
            graph,
            producers: graph.producers(),
        }
    }

    /// The operation that makes a value, and its inputs.
    pub fn maker(&self, id: ValueId) -> Option<(&'a Op, Vec<ValueId>)> {
        let node = &self.graph.nodes[self.producers.get(&id)?.0];
        Some((&node.op, node.inputs.iter().copied().collect::<Option<_>>()?))
    }

    pub fn node(&self, n: usize) -> Option<(&'a Op, Vec<ValueId>)> {
        let node = &self.graph.nodes[n];
        Some((&node.op, node.inputs.iter().copied().collect::<Option<_>>()?))
    }

    /// The number that a constant of one element, or of equal elements, is.
    pub fn number(&self, id: ValueId) -> Option<f64> {
        let tensor = self.graph.constant(id)?;
        if tensor.quantization.is_some() {
            return None;
        }
        let values = tensor.to_f32();
        let first = *values.first()?;
        values.iter().all(|&v| v == first).then_some(f64::from(first))
    }

    /// The other operand of a sum or product with a constant close to `number`.
    fn with_number(&self, inputs: &[ValueId], number: f64) -> Option<ValueId> {
        let [a, b] = *inputs else { return None };
        let close = |id| {
            self.number(id)
                .is_some_and(|found| (found - number).abs() <= 1e-4 * number.abs())
        };
        if close(b) {
            Some(a)
        } else if close(a) {
            Some(b)
        } else {
            None
        }
    }

    pub fn binary(&self, id: ValueId, wanted: Binary) -> Option<Vec<ValueId>> {
        match self.maker(id)? {
            (Op::Binary(function), inputs) if *function == wanted => Some(inputs),
            _ => None,
        }
    }

    pub fn unary(&self, id: ValueId, wanted: Unary) -> Option<ValueId> {
        match self.maker(id)? {
            (Op::Unary(function), inputs) if *function == wanted => Some(inputs[0]),
            _ => None,
        }
    }
}

type Fused = Option<(Op, Vec<ValueId>)>;

/// `x * 0.5 * (1 + erf(x / sqrt 2))`, the factors in any order.
fn gelu(seen: &Seen<'_>, n: usize) -> Fused {
    let (Op::Binary(Binary::Mul), inputs) = seen.node(n)? else {
        return None;
    };
    let mut factors = Vec::new();
    flatten_product(seen, &inputs, &mut factors, 0);
    let half = factors
        .iter()
        .position(|id| seen.number(*id).is_some_and(|v| v == 0.5))?;
    factors.remove(half);
    let [a, b] = *factors.as_slice() else { return None };
    let bell = |sum: ValueId, x: ValueId| -> Option<()> {
        let erf = seen.with_number(&seen.binary(sum, Binary::Add)?, 1.0)?;
        let scaled = seen.unary(erf, Unary::Erf)?;
        let from = match seen.binary(scaled, Binary::Div) {
            Some(inputs)
                if seen
                    .number(inputs[1])
                    .is_some_and(|v| (v - std::f64::consts::SQRT_2).abs() < 1e-4) =>
            {
                inputs[0]
            }
            Some(_) => return None,
            None => seen.with_number(
                &seen.binary(scaled, Binary::Mul)?,
                std::f64::consts::FRAC_1_SQRT_2,
            )?,
        };
        (from == x).then_some(())
    };
    let x = if bell(a, b).is_some() {
        b
    } else if bell(b, a).is_some() {
        a
    } else {
        return None;
    };
    Some((Op::Unary(Unary::Gelu { tanh: false }), vec![x]))
}

fn flatten_product(seen: &Seen<'_>, inputs: &[ValueId], factors: &mut Vec<ValueId>, depth: usize) {
    for id in inputs {
        match seen.binary(*id, Binary::Mul) {
            Some(inner) if depth < 2 => flatten_product(seen, &inner, factors, depth + 1),
            _ => factors.push(*id),
        }
    }
}

/// `x * sigmoid(x)` and `x * hard_sigmoid(x)` with slope 1/6.
fn swish(seen: &Seen<'_>, n: usize) -> Fused {
    let (Op::Binary(Binary::Mul), inputs) = seen.node(n)? else {
        return None;
    };
    let [a, b] = *inputs.as_slice() else { return None };
    for (x, gate) in [(a, b), (b, a)] {
        match seen.maker(gate) {
            Some((Op::Unary(Unary::Sigmoid), from)) if from[0] == x => {
                return Some((Op::Unary(Unary::Swish { alpha: 1.0 }), vec![x]));
            }
            Some((Op::Unary(Unary::HardSigmoid { alpha, beta }), from))
                if from[0] == x && (alpha - 1.0 / 6.0).abs() < 1e-6 && *beta == 0.5 =>
            {
                return Some((Op::Unary(Unary::HardSwish), vec![x]));
            }
            _ => {}
        }
    }
    None
}

/// `(x - mean) / sqrt(mean((x - mean)^2) + e) * g + b` over the last axis.
fn layer_normalization(seen: &Seen<'_>, n: usize) -> Fused {
    let (Op::Binary(Binary::Add), inputs) = seen.node(n)? else {
        return None;
    };
    let (product, bias) = constant_last(seen, &inputs)?;
    let (quotient, scale) = constant_last(seen, &seen.binary(product, Binary::Mul)?)?;
    let parts = seen.binary(quotient, Binary::Div)?;
    let [centred, deviation] = *parts.as_slice() else {
        return None;
    };
    let difference = seen.binary(centred, Binary::Sub)?;
    let [x, mean] = *difference.as_slice() else {
        return None;
    };
    (last_axis_mean(seen, mean)? == x).then_some(())?;
    let sum = seen.binary(seen.unary(deviation, Unary::Sqrt)?, Binary::Add)?;
    let (variance, epsilon) = constant_last(seen, &sum)?;
    let square = last_axis_mean(seen, variance)?;
    let squared = match seen.binary(square, Binary::Pow) {
        Some(inputs) => seen.with_number(&inputs, 2.0)?,
        None => {
            let inputs = seen.binary(square, Binary::Mul)?;
            (inputs[0] == inputs[1]).then_some(inputs[0])?
        }
    };
    (squared == centred).then_some(())?;
    let width = *seen.graph.value(x).ty.shape()?.last()?;
    let fits = |id: ValueId| seen.graph.constant(id).is_some_and(|t| t.shape() == [width]);
    let epsilon = seen.number(epsilon)? as f32;
    (fits(scale) && fits(bias))
        .then_some((Op::LayerNormalization { axis: -1, epsilon }, vec![x, scale, bias]))
}

/// The operand that is not a constant, then the one that is.
fn constant_last(seen: &Seen<'_>, inputs: &[ValueId]) -> Option<(ValueId, ValueId)> {
    let [a, b] = *inputs else { return None };
    match (seen.graph.constant(a), seen.graph.constant(b)) {
        (None, Some(_)) => Some((a, b)),
        (Some(_), None) => Some((b, a)),
        _ => None,
    }
}

fn last_axis_mean(seen: &Seen<'_>, id: ValueId) -> Option<ValueId> {
    let (
        Op::Reduce {
            function: Reduce::Mean,
            keep_dims: true,
            ..
        },
        inputs,
    ) = seen.maker(id)?
    else {
        return None;
    };
    let axes = seen.graph.constant(*inputs.get(1)?)?.to_i64().ok()?;
    let rank = seen.graph.value(inputs[0]).ty.rank()? as i64;
    (axes == [-1] || axes == [rank - 1]).then_some(inputs[0])
}

/// A convolution of an input that is padded with zeros pads itself.
fn padded_convolution(seen: &Seen<'_>, n: usize) -> Fused {
    let node = &seen.graph.nodes[n];
    let Op::Conv(convolution) = &node.op else {
        return None;
    };
    let inputs = node.inputs.iter().copied().collect::<Option<Vec<_>>>()?;
    let crate::op::Padding::Explicit(own) = &convolution.padding else {
        return None;
    };
    let pad = &seen.graph.nodes[seen.producers.get(&inputs[0])?.0];
    let Op::Pad {
        mode: crate::op::PadMode::Constant,
    } = pad.op
    else {
        return None;
    };
    if pad.inputs.get(3).copied().flatten().is_some() {
        return None;
    }
    let source = pad.inputs.first().copied().flatten()?;
    let ty = &seen.graph.value(source).ty;
    let zero = match &ty.quantization {
        None => 0.0,
        Some(crate::Quantization::PerTensor { zero_point, .. }) => f64::from(*zero_point),
        Some(_) => return None,
    };
    if ty.quantization != seen.graph.value(inputs[0]).ty.quantization {
        return None;
    }
    match pad.inputs.get(2).copied().flatten() {
        Some(id) if f64::from(*seen.graph.constant(id)?.to_f32().first()?) != zero => return None,
        None if zero != 0.0 => return None,
        _ => {}
    }
    let pads = seen
        .graph
        .constant(pad.inputs.get(1).copied().flatten()?)?
        .to_i64()
        .ok()?;
    let rank = pads.len() / 2;
    if rank != own.len() / 2 + 2 || pads[..2].iter().chain(&pads[rank..rank + 2]).any(|&n| n != 0) {
        return None;
    }
    let outer = pads[2..rank].iter().chain(&pads[rank + 2..]);
    let padding = own
        .iter()
        .zip(outer)
        .map(|(&own, &more)| own.checked_add(usize::try_from(more).ok()?));
    let mut convolution = convolution.clone();
    convolution.padding = crate::op::Padding::Explicit(padding.collect::<Option<Vec<_>>>()?);
    let mut inputs = inputs;
    inputs[0] = source;
    Some((Op::Conv(convolution), inputs))
}
