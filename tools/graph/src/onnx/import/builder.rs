//! Adding values and nodes to the graph that is being read.

use super::Importer;
use super::node::Source;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Node, Rounding, ValueId};
use crate::infer::{self, Known};
use crate::interpret::{self, Call};
use crate::onnx::wire::malformed;
use crate::op::Op;
use crate::tensor::{Tensor, element_count};
use crate::types::TensorType;

/// Nodes accepted in a graph after functions are written out.
const MAX_NODES: usize = 1 << 18;

/// Elements of a tensor that may be computed while the file is read.
const SMALL: usize = 64;

fn unique(base: &str, taken: &mut std::collections::HashSet<String>) -> String {
    let base = if base.is_empty() { "value" } else { base };
    let mut name = base.to_owned();
    let mut count = 1usize;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("{base}_{count}");
    }
    name
}

impl Importer<'_> {
    /// A name that no other value has.
    pub(super) fn value_name(&mut self, base: &str) -> String {
        unique(base, &mut self.value_names)
    }

    /// A name that no other node has.
    pub(super) fn node_name(&mut self, base: &str) -> String {
        unique(base, &mut self.node_names)
    }

    pub(super) fn rename(&mut self, id: ValueId, base: &str) {
        let name = self.value_name(base);
        self.value_names.remove(&self.graph.value(id).name);
        self.graph.value_mut(id).name = name;
    }

    pub(super) fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let name = self.value_name(name);
        self.graph.add_constant(name, tensor)
    }

    /// A constant that a node's attribute turned into.
    pub(super) fn operand(&mut self, node: &Source<'_>, what: &str, tensor: Tensor) -> Option<ValueId> {
        Some(self.constant(&format!("{}.{what}", node.name), tensor))
    }

    /// A constant vector of integers that a node's attribute turned into.
    pub(super) fn integers(&mut self, node: &Source<'_>, what: &str, values: &[i64]) -> Option<ValueId> {
        self.operand(node, what, Tensor::vector(values.to_vec()))
    }

    pub(super) fn ty(&self, id: ValueId) -> &TensorType {
        &self.graph.value(id).ty
    }

    pub(super) fn dtype(&self, id: ValueId) -> Dtype {
        self.ty(id).dtype
    }

    /// Number of extents of a value.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where it is not known before the graph runs.
    pub(super) fn rank(&self, id: ValueId) -> Result<usize> {
        self.ty(id).rank().ok_or_else(|| {
            let name = &self.graph.value(id).name;
            Error::new(
                ErrorKind::Unsupported,
                "",
                "a known number of extents",
                format!("none for {name}"),
            )
        })
    }

    /// Adds an operation that makes one value inside a node of several; gives that value.
    pub(super) fn step(
        &mut self,
        node: &Source<'_>,
        what: &str,
        op: Op,
        inputs: &[Option<ValueId>],
    ) -> Result<Option<ValueId>> {
        let name = self.node_name(&format!("{}.{what}", node.name));
        let ids = self.emit(&name, op, inputs.to_vec(), &[Some(name.clone())])?;
        Ok(ids.first().copied().flatten())
    }

    /// Adds a node; an output without a name is left out.
    ///
    /// # Errors
    /// As [`infer::output_types`]; [`ErrorKind::Limit`] where the graph has too many nodes.
    pub(super) fn emit(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<Option<ValueId>>,
        outputs: &[Option<String>],
    ) -> Result<Vec<Option<ValueId>>> {
        if self.graph.nodes.len() >= MAX_NODES {
            return Err(Error::new(
                ErrorKind::Limit,
                "",
                format!("at most {MAX_NODES} nodes"),
                "more",
            ));
        }
        let known: Vec<_> = inputs
            .iter()
            .map(|id| id.map(|id| (&self.graph.value(id).ty, self.graph.constant(id))))
            .collect();
        let types = infer::output_types(&op, Known::new(&known), outputs.len())?;
        if outputs.len() > types.len() && outputs.iter().skip(types.len()).any(Option::is_some) {
            return Err(malformed(
                format!("at most {} outputs", types.len()),
                format!("{}", outputs.len()),
            ));
        }
        if let Some(tensors) = self.known_now(&op, &inputs, &types) {
            let constants = outputs.iter().zip(tensors);
            return Ok(constants
                .map(|(output, tensor)| Some(self.constant(output.as_deref()?, tensor)))
                .collect());
        }
        let mut ids = Vec::with_capacity(outputs.len());
        for (output, ty) in outputs.iter().zip(types) {
            ids.push(output.as_ref().map(|name| {
                let name = self.value_name(name);
                self.graph.add_value(name, ty)
            }));
        }
        self.graph.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs,
            outputs: ids.clone(),
        });
        Ok(ids)
    }

    /// The results of an operation on small constants, or on an extent that is a number: shapes that a file computes
    /// are then known to the nodes that use them.
    fn known_now(&self, op: &Op, inputs: &[Option<ValueId>], types: &[TensorType]) -> Option<Vec<Tensor>> {
        if let (Op::Shape { start, end }, [Some(input)]) = (op, inputs) {
            let shape = self.ty(*input).shape()?;
            let place = |n: i64| {
                let rank = shape.len() as i64;
                usize::try_from(if n < 0 { n.saturating_add(rank) } else { n }.clamp(0, rank)).ok()
            };
            let extents = shape.get(place(*start)?..end.map_or(Some(shape.len()), place)?);
            let extents = extents.unwrap_or_default().iter().map(|&n| n as i64).collect();
            return Some(vec![Tensor::vector(extents)]);
        }
        let small = |ty: &TensorType| {
            let count = ty.shape().and_then(|shape| element_count(&shape));
            count.is_some_and(|count| count <= SMALL)
        };
        if !types.iter().all(small) {
            return None;
        }
        // A stored integer stays what the file stores.
        if inputs.is_empty() || matches!(op, Op::Dequantize(_) | Op::If { .. }) {
            return None;
        }
        let mut tensors = Vec::with_capacity(inputs.len());
        for id in inputs {
            let tensor = match id {
                Some(id) => Some(self.graph.constant(*id)?),
                None => None,
            };
            if tensor.is_some_and(|t| t.len() > SMALL) {
                return None;
            }
            tensors.push(tensor);
        }
        let wanted: Vec<_> = types.iter().map(Some).collect();
        let call = Call {
            op,
            inputs: &tensors,
            outputs: &wanted,
            rounding: Rounding::default(),
        };
        let made = interpret::evaluate(call).ok()?;
        (made.len() >= types.len()).then_some(made)
    }
}
