//! Nodes that one operation is written out in.

use crate::Dtype;
use crate::graph::{Graph, Node, ValueId};
use crate::op::{Binary, Op};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// Adds the nodes that take the place of one.
pub(super) struct Written<'g> {
    graph: &'g mut Graph,
    nodes: &'g mut Vec<Node>,
    /// Name of the node.
    name: &'g str,
}

impl<'g> Written<'g> {
    pub fn new(graph: &'g mut Graph, nodes: &'g mut Vec<Node>, name: &'g str) -> Self {
        Self { graph, nodes, name }
    }

    /// A node of `f32`; its extents are left to [`crate::infer::infer`].
    pub fn push(&mut self, step: &str, op: Op, inputs: &[ValueId]) -> ValueId {
        self.typed(step, op, inputs, Dtype::F32)
    }

    /// A node of a type; its extents are left to [`crate::infer::infer`].
    pub fn typed(&mut self, step: &str, op: Op, inputs: &[ValueId], dtype: Dtype) -> ValueId {
        let name = self.graph.unique_name(&format!("{}.{step}", self.name));
        let output = self.graph.add_value(name.clone(), TensorType::unshaped(dtype));
        self.node(name, op, inputs, output);
        output
    }

    /// The last node, which makes a value that is there.
    pub fn finish(&mut self, step: &str, op: Op, inputs: &[ValueId], output: ValueId) {
        let name = self.graph.unique_name(&format!("{}.{step}", self.name));
        self.node(name, op, inputs, output);
    }

    fn node(&mut self, name: String, op: Op, inputs: &[ValueId], output: ValueId) {
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![Some(output)],
        });
    }

    pub fn constant(&mut self, step: &str, tensor: Tensor) -> ValueId {
        let name = self.graph.unique_name(&format!("{}.{step}", self.name));
        self.graph.add_constant(name, tensor)
    }

    /// A number of `f32`.
    pub fn scalar(&mut self, step: &str, value: f32) -> ValueId {
        self.constant(step, Tensor::scalar(value))
    }

    pub fn binary(&mut self, step: &str, function: Binary, a: ValueId, b: ValueId) -> ValueId {
        self.push(step, Op::Binary(function), &[a, b])
    }

    /// The same elements under other extents.
    pub fn reshape(&mut self, step: &str, x: ValueId, shape: &[usize]) -> ValueId {
        let shape = shape.iter().map(|&extent| extent as i64).collect::<Vec<_>>();
        let shape = self.constant(&format!("{step}.shape"), Tensor::vector(shape));
        self.push(step, Op::Reshape { allow_zero: true }, &[x, shape])
    }

    pub fn transpose(&mut self, step: &str, x: ValueId, permutation: &[usize]) -> ValueId {
        let permutation = permutation.to_vec();
        self.push(step, Op::Transpose { permutation }, &[x])
    }
}

/// Writes out each node that `write` takes; returns whether there was one, after types were inferred again.
///
/// # Errors
/// As `write` and [`crate::infer::infer`].
pub(super) fn write_out(
    graph: &mut Graph,
    write: impl Fn(&mut Graph, &mut Vec<Node>, &Node) -> crate::Result<bool>,
) -> crate::Result<bool> {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut changed = false;
    let mut written = Vec::with_capacity(nodes.len());
    for node in nodes {
        if write(graph, &mut written, &node)? {
            changed = true;
        } else {
            written.push(node);
        }
    }
    graph.nodes = written;
    if changed {
        crate::infer::infer(graph)?;
    }
    Ok(changed)
}
