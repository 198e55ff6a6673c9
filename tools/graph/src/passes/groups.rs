//! Group normalization that exporters write as instance normalization.

use crate::error::Result;
use crate::graph::{Graph, ValueId};
use crate::op::{Binary, Op};
use crate::passes::fuse::Seen;
use crate::tensor::Tensor;

/// Puts `reshape(instance_normalization(reshape(x))) * scale + bias` together again as
/// [`Op::GroupNormalization`]; returns whether there was one.
///
/// The first reshape makes an axis of the groups, the second takes it back; the parts are left for
/// [`crate::passes::remove_dead`].
///
/// # Errors
/// As [`crate::infer::infer`].
pub fn fuse_group_normalization(graph: &mut Graph) -> Result<bool> {
    let seen = Seen::new(graph);
    let found: Vec<_> = (0..graph.nodes.len())
        .filter_map(|n| Some((n, groups(&seen, n)?)))
        .collect();
    for (n, parts) in &found {
        let base = graph.nodes[*n].name.clone();
        let mut inputs = vec![Some(parts.x)];
        for (name, numbers) in [("scale", &parts.scale), ("bias", &parts.bias)] {
            let tensor = Tensor::new(&[numbers.len()], numbers.clone())?;
            let name = graph.unique_name(&format!("{base}.{name}"));
            inputs.push(Some(graph.add_constant(name, tensor)));
        }
        graph.nodes[*n].op = Op::GroupNormalization {
            epsilon: parts.epsilon,
            groups: parts.groups,
        };
        graph.nodes[*n].inputs = inputs;
    }
    Ok(!found.is_empty())
}

struct Parts {
    x: ValueId,
    scale: Vec<f32>,
    bias: Vec<f32>,
    groups: usize,
    epsilon: f32,
}

fn groups(seen: &Seen<'_>, n: usize) -> Option<Parts> {
    let (Op::Binary(Binary::Add), sum) = seen.node(n)? else {
        return None;
    };
    let output = seen.graph.nodes[n].outputs.first().copied().flatten()?;
    let shape = seen.graph.value(output).ty.shape()?;
    let (product, bias) = by_channel(seen, &sum, &shape)?;
    let (joined, scale) = by_channel(seen, &seen.binary(product, Binary::Mul)?, &shape)?;
    let normalized = reshaped(seen, joined)?;
    let (Op::InstanceNormalization { epsilon }, inputs) = seen.maker(normalized)? else {
        return None;
    };
    let &[parted, ones, zeros] = inputs.as_slice() else {
        return None;
    };
    let plain = seen.number(ones)? == 1.0 && seen.number(zeros)? == 0.0;
    let x = reshaped(seen, parted)?;
    let parts = seen.graph.value(parted).ty.shape()?;
    let same = seen.graph.value(x).ty.shape()? == shape && seen.graph.value(joined).ty.shape()? == shape;
    let (images, channels, groups) = (*shape.first()?, *shape.get(1)?, *parts.get(1)?);
    let whole = parts.first() == Some(&images) && groups > 0 && channels.is_multiple_of(groups);
    (plain && same && whole).then_some(Parts {
        x,
        scale,
        bias,
        groups,
        epsilon: *epsilon,
    })
}

/// What a reshape is made of.
fn reshaped(seen: &Seen<'_>, id: ValueId) -> Option<ValueId> {
    match seen.maker(id)? {
        (Op::Reshape { .. }, inputs) => inputs.first().copied(),
        _ => None,
    }
}

/// Of two operands, the computed one, and the constant's number for each channel.
fn by_channel(seen: &Seen<'_>, operands: &[ValueId], shape: &[usize]) -> Option<(ValueId, Vec<f32>)> {
    let &[a, b] = operands else { return None };
    let (x, constant) = match seen.graph.constant(b) {
        Some(constant) => (a, constant),
        None => (b, seen.graph.constant(a)?),
    };
    // Aligned at the last axis, only that of the channels is longer than 1.
    let axis = (constant.rank() + 1).checked_sub(shape.len())?;
    let lone = constant
        .shape()
        .iter()
        .enumerate()
        .all(|(n, &dim)| n == axis || dim == 1);
    let fits = lone && constant.rank() <= shape.len() && constant.shape().get(axis) == shape.get(1);
    let real = constant.quantization.is_none() && constant.dtype() == crate::Dtype::F32;
    (fits && real).then(|| (x, constant.to_f32()))
}
