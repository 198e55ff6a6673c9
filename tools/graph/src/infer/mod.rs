//! The types of a graph's values, found from its inputs' types and its constants.

mod array;
mod constant;
mod control;
mod dynamic;
pub(crate) mod einsum;
pub(crate) mod extent;
mod layer;
mod math;
mod quant;
mod signal;

pub(crate) use array::{crop_or_pad, cuts, pads, permutation, shape_range, split_sizes};
pub(crate) use math::reduced_axes;
pub(crate) use quant::{Granularity, granularity};
pub(crate) use signal::transform_length;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, ValueId};
use crate::op::{Family, Op};
use crate::tensor::Tensor;
use crate::types::{Dim, TensorType};

/// What is known of an operation's inputs: `None` where one is left out.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    inputs: &'a [Option<(&'a TensorType, Option<&'a Tensor>)>],
}

impl<'a> Known<'a> {
    /// Of a list of types, each with its elements where they are known.
    pub fn new(inputs: &'a [Option<(&'a TensorType, Option<&'a Tensor>)>]) -> Self {
        Self { inputs }
    }

    /// Number of inputs, left-out ones at the end included.
    pub fn count(&self) -> usize {
        self.inputs.len()
    }

    /// Type of an input.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] if it is left out.
    pub fn ty(&self, n: usize) -> Result<&'a TensorType> {
        self.optional(n).ok_or_else(|| Error::left_out(n))
    }

    /// Type of an input that may be left out.
    pub fn optional(&self, n: usize) -> Option<&'a TensorType> {
        self.inputs.get(n).copied().flatten().map(|(ty, _)| ty)
    }

    /// Elements of an input, where they are known.
    pub fn constant(&self, n: usize) -> Option<&'a Tensor> {
        self.inputs
            .get(n)
            .copied()
            .flatten()
            .and_then(|(_, constant)| constant)
    }

    /// Whether an input is given.
    pub fn has(&self, n: usize) -> bool {
        self.optional(n).is_some()
    }
}

/// Types of an operation's outputs; extents that depend on unknown elements are `None`.
///
/// # Errors
/// [`ErrorKind::Shape`], [`ErrorKind::Dtype`], [`ErrorKind::Value`] or [`ErrorKind::Name`] where the inputs do not fit.
pub fn output_types(op: &Op, inputs: Known<'_>, outputs: usize) -> Result<Vec<TensorType>> {
    match op.family() {
        Family::Math => math::output_types(op, inputs, outputs),
        Family::Layer => layer::output_types(op, inputs, outputs),
        Family::Signal => signal::output_types(op, inputs, outputs),
        Family::Dynamic => dynamic::output_types(inputs),
        Family::Quantization => quant::output_types(op, inputs, outputs),
        Family::Control => control::output_types(op, inputs, outputs),
        Family::Array => array::output_types(op, inputs, outputs),
    }
}

/// Gives every value its type: runs through the nodes in their order, and evaluates those whose inputs are all known
/// and small, so that shapes made by arithmetic on shapes become numbers.
///
/// Types that the graph already has are checked against what is found; quantization stays as it is.
///
/// # Errors
/// As [`output_types`], naming the node.
pub fn infer(graph: &mut Graph) -> Result<()> {
    for n in 0..graph.nodes.len() {
        infer_node(graph, n)?;
    }
    Ok(())
}

fn infer_node(graph: &mut Graph, n: usize) -> Result<()> {
    let node = &graph.nodes[n];
    let known: Vec<_> = node
        .inputs
        .iter()
        .map(|id| id.map(|id| (&graph.value(id).ty, graph.constant(id))))
        .collect();
    let found = output_types(&node.op, Known::new(&known), node.outputs.len())
        .map_err(|e| e.within(format!("node {}", node.name)))?;
    let outputs: Vec<(ValueId, TensorType)> = node
        .outputs
        .iter()
        .zip(found)
        .filter_map(|(id, ty)| Some(((*id)?, ty)))
        .collect();
    let name = node.name.clone();
    for (id, ty) in outputs {
        let value = graph.value_mut(id);
        merge(&mut value.ty, ty).map_err(|e| e.within(format!("node {name}, value {}", value.name)))?;
    }
    infer_constants(graph, n).map_err(|e| e.within(format!("node {name}")))
}

/// Gives the outputs of a node their elements, where those are known.
fn infer_constants(graph: &mut Graph, n: usize) -> Result<()> {
    let node = &graph.nodes[n];
    let unknown = |id: &ValueId| graph.constant(*id).is_none();
    if !node.outputs.iter().flatten().any(unknown) {
        return Ok(());
    }
    let Some(found) = constant::outputs(graph, node)? else {
        return Ok(());
    };
    let outputs = node.outputs.clone();
    for (id, tensor) in outputs.into_iter().zip(found) {
        let Some(id) = id else { continue };
        let value = graph.value_mut(id);
        merge(&mut value.ty, tensor.tensor_type()).map_err(|e| e.within(format!("value {}", value.name)))?;
        value.constant = Some(tensor.with_quantization(value.ty.quantization.clone()));
    }
    Ok(())
}

/// Takes what was found into what was stated; they may not contradict each other.
fn merge(stated: &mut TensorType, found: TensorType) -> Result<()> {
    if stated.quantization.is_none() && stated.dtype != found.dtype {
        return Err(Error::new(ErrorKind::Dtype, "", stated.dtype, found.dtype));
    }
    let Some(new) = found.dims else { return Ok(()) };
    if let Some(old) = &stated.dims {
        let same = |(a, b): (&Dim, &Dim)| a == b || a.known().is_none() || b.known().is_none();
        // A number says more than a symbol.
        let known = |(&a, &b): (&Dim, &Dim)| if a.known().is_some() { a } else { b };
        if old.len() != new.len() || !old.iter().zip(&new).all(same) {
            let found = TensorType {
                dims: Some(new),
                ..stated.clone()
            };
            return Err(Error::new(ErrorKind::Shape, "", &*stated, found));
        }
        stated.dims = Some(old.iter().zip(&new).map(known).collect());
        return Ok(());
    }
    stated.dims = Some(new);
    Ok(())
}

#[cfg(test)]
mod tests;
