//! From a graph to a TFLite file.

mod emit;
mod file;
mod flatbuffer;
mod layer;
mod movement;
mod pointwise;
mod window;

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::op::{Op, Unary};
use crate::types::TensorType;
use file::{File, Index};
use flatbuffer::{Field, Table};

/// Writes a TFLite file (schema version 3) that computes the graph; the same graph gives the same bytes.
///
/// All extents must be numbers. Inputs and outputs keep the graph's extents; in between, whatever follows a spatial
/// operation stays channels-last until an operation needs the graph's own order, so that a convolutional network has
/// no transpose between its layers. Rectifiers are fused into the layer before them. An operation that LiteRT has no
/// integer kernel for is computed in `f32` between a dequantization and a quantization.
///
/// # Errors
/// [`ErrorKind::Unsupported`] listing all nodes that TFLite's builtin operators do not express, each with its name;
/// [`ErrorKind::Shape`] for extents that are not numbers; [`ErrorKind::Limit`] above 2 GiB.
pub fn write(graph: &Graph) -> Result<Vec<u8>> {
    let mut exporter = Exporter {
        graph,
        file: File::default(),
        plain: vec![None; graph.values.len()],
        last: vec![None; graph.values.len()],
        readers: vec![0; graph.values.len()],
        done: HashSet::new(),
    };
    for id in graph
        .nodes
        .iter()
        .flat_map(|node| node.inputs.iter().flatten())
        .chain(&graph.outputs)
    {
        exporter.readers[id.0] += 1;
    }
    let inputs = exporter.inputs()?;
    exporter.nodes()?;
    let outputs = graph
        .outputs
        .iter()
        .map(|&id| exporter.plain(id))
        .collect::<Result<Vec<_>>>()?;
    exporter.file.finish(&graph.name, &inputs, &outputs)
}

/// A file in the making, with the tensors that each value has become.
struct Exporter<'g> {
    graph: &'g Graph,
    file: File,
    /// In the graph's own order of axes.
    plain: Vec<Option<Index>>,
    /// With the axis behind the batch moved to the end.
    last: Vec<Option<Index>>,
    /// How often each value is read.
    readers: Vec<usize>,
    /// Nodes that are part of an operator before them.
    done: HashSet<usize>,
}

/// From the graph's order to channels-last.
fn to_last(rank: usize) -> Vec<usize> {
    [0].into_iter().chain(2..rank).chain([1]).collect()
}

/// From channels-last to the graph's order.
fn to_plain(rank: usize) -> Vec<usize> {
    [0, rank - 1].into_iter().chain(1..rank - 1).collect()
}

/// Where an axis of the graph is in a channels-last tensor.
fn axis_in_last(axis: usize, rank: usize) -> usize {
    match axis {
        0 => 0,
        1 => rank - 1,
        n => n - 1,
    }
}

fn permuted<T: Copy>(list: &[T], permutation: &[usize]) -> Vec<T> {
    permutation.iter().map(|&axis| list[axis]).collect()
}

impl Exporter<'_> {
    fn inputs(&mut self) -> Result<Vec<Index>> {
        let mut found = Vec::with_capacity(self.graph.inputs.len());
        for &id in &self.graph.inputs {
            let tensor = self.new_tensor(id, false)?;
            self.plain[id.0] = Some(tensor);
            found.push(tensor);
        }
        Ok(found)
    }

    fn nodes(&mut self) -> Result<()> {
        let graph = self.graph;
        let mut unsupported = Vec::new();
        for (n, node) in graph.nodes.iter().enumerate() {
            if self.done.contains(&n) {
                continue;
            }
            match self.node(n, node) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Unsupported => {
                    unsupported.push(format!("{} ({})", e.found(), node.name));
                    for &id in node.outputs.iter().flatten() {
                        self.plain[id.0] = Some(self.new_tensor(id, false)?);
                    }
                }
                Err(e) => return Err(e.within(format!("node {}", node.name))),
            }
        }
        if unsupported.is_empty() {
            return Ok(());
        }
        let expected = "operations that TFLite's builtin operators express";
        Err(Error::unsupported(&graph.name, expected, unsupported))
    }

    fn node(&mut self, n: usize, node: &Node) -> Result<()> {
        if layer::write(self, n, node)? || pointwise::write(self, n, node)? || movement::write(self, node)? {
            return Ok(());
        }
        Err(unsupported(&node.op))
    }

    /// Extents of a value.
    fn shape(&self, id: ValueId) -> Result<Vec<usize>> {
        let value = self.graph.value(id);
        value.ty.shape().ok_or_else(|| {
            Error::new(
                ErrorKind::Shape,
                format!("value {}", value.name),
                "extents that are numbers",
                &value.ty,
            )
        })
    }

    fn ty(&self, id: ValueId) -> &TensorType {
        &self.graph.value(id).ty
    }

    /// A tensor for a value, in one of both orders.
    fn new_tensor(&mut self, id: ValueId, last: bool) -> Result<Index> {
        let graph = self.graph;
        let value = graph.value(id);
        let mut shape = self.shape(id)?;
        let mut quantization = value.ty.quantization.clone();
        if last {
            let order = to_last(shape.len());
            shape = permuted(&shape, &order);
            quantization = quantization.map(|q| q.permuted(&order)).transpose()?;
        }
        // An output of the graph has its name in the graph's own order.
        let name = if last && graph.outputs.contains(&id) {
            format!("{}/channels_last", value.name)
        } else {
            value.name.clone()
        };
        Ok(self.file.add(&name, value.ty.dtype, &shape, quantization))
    }

    /// An input of a node.
    fn input(&self, node: &Node, n: usize) -> Result<ValueId> {
        self.optional(node, n)
            .ok_or_else(|| Error::new(ErrorKind::Name, "", format!("input {n}"), "none"))
    }

    fn optional(&self, node: &Node, n: usize) -> Option<ValueId> {
        node.inputs.get(n).copied().flatten()
    }

    /// The first output of a node.
    fn output(&self, node: &Node) -> Result<ValueId> {
        let output = node.outputs.first().copied().flatten();
        output.ok_or_else(|| Error::new(ErrorKind::Name, "", "an output", "none"))
    }

    /// Whole numbers that an input is.
    fn numbers(&self, node: &Node, n: usize) -> Result<Option<Vec<i64>>> {
        let Some(id) = self.optional(node, n) else {
            return Ok(None);
        };
        match self.graph.constant(id) {
            Some(tensor) => tensor.to_i64().map(Some),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "a constant",
                format!("{} with input {n} made at run time", name(&node.op)),
            )),
        }
    }

    /// Whether a value is there channels-last alone.
    fn lives_last(&self, id: ValueId) -> bool {
        self.last[id.0].is_some() && self.plain[id.0].is_none()
    }

    /// A value in the graph's own order.
    fn plain(&mut self, id: ValueId) -> Result<Index> {
        if let Some(tensor) = self.plain[id.0] {
            return Ok(tensor);
        }
        let graph = self.graph;
        let tensor = if let Some(constant) = graph.constant(id) {
            self.file.constant(&graph.value(id).name, constant)
        } else if let Some(from) = self.last[id.0] {
            let to = self.new_tensor(id, false)?;
            self.turn(from, to, &to_plain(self.shape(id)?.len()));
            to
        } else {
            let place = format!("value {}", graph.value(id).name);
            return Err(Error::new(
                ErrorKind::Order,
                place,
                "a node before that makes it",
                "none",
            ));
        };
        self.plain[id.0] = Some(tensor);
        Ok(tensor)
    }

    /// A value of three axes or more, channels-last.
    fn last(&mut self, id: ValueId) -> Result<Index> {
        if let Some(tensor) = self.last[id.0] {
            return Ok(tensor);
        }
        let graph = self.graph;
        let order = to_last(self.shape(id)?.len());
        let tensor = if let Some(constant) = graph.constant(id) {
            self.file
                .constant(&graph.value(id).name, &constant.permuted(&order)?)
        } else {
            let from = self.plain(id)?;
            let to = self.new_tensor(id, true)?;
            self.turn(from, to, &order);
            to
        };
        self.last[id.0] = Some(tensor);
        Ok(tensor)
    }

    /// Transposes, or reshapes where the elements keep their order.
    fn turn(&mut self, from: Index, to: Index, order: &[usize]) {
        let shape = &self.file.tensor(from).shape;
        let moved: Vec<usize> = order.iter().copied().filter(|&axis| shape[axis] != 1).collect();
        if moved.is_sorted() {
            self.reshape(from, to);
            return;
        }
        let order: Vec<i32> = order.iter().map(|&axis| axis as i32).collect();
        let order = self.file.ints("permutation", &order);
        self.file
            .operator("TRANSPOSE", Table::new(), &[Some(from), Some(order)], &[to]);
    }

    /// The same elements under other extents.
    fn reshape(&mut self, from: Index, to: Index) {
        let shape: Vec<i32> = self
            .file
            .tensor(to)
            .shape
            .iter()
            .map(|&n| i32::try_from(n).unwrap_or(-1))
            .collect();
        let target = self.file.ints("shape", &shape);
        let settings = Table::new().with(0, Field::Ints(shape));
        self.file
            .operator("RESHAPE", settings, &[Some(from), Some(target)], &[to]);
    }

    /// The value that a node's result is called and the number of a fused activation: that of a rectifier behind the
    /// node which alone reads it and rounds as it does.
    fn fuse(&mut self, n: usize, output: ValueId) -> (ValueId, u8) {
        if self.readers[output.0] != 1 {
            return (output, 0);
        }
        let graph = self.graph;
        let reader = graph
            .nodes
            .iter()
            .enumerate()
            .skip(n + 1)
            .find(|(_, node)| node.inputs.contains(&Some(output)));
        let Some((place, node)) = reader else {
            return (output, 0);
        };
        let activation = match node.op {
            Op::Unary(Unary::Relu) => 1,
            Op::Unary(Unary::Relu6) => 3,
            _ => return (output, 0),
        };
        let Some(&Some(behind)) = node.outputs.first() else {
            return (output, 0);
        };
        if graph.value(behind).ty.quantization != graph.value(output).ty.quantization {
            return (output, 0);
        }
        self.done.insert(place);
        (behind, activation)
    }
}

/// Name of an operation without its parameters.
fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    let end = text.find([' ', '{']).unwrap_or(text.len());
    match op {
        Op::Unary(_) | Op::Binary(_) | Op::Variadic(_) | Op::Compare(_) | Op::Logic(_) => text.clone(),
        _ => text[..end].split('(').next().unwrap_or_default().to_owned(),
    }
}

/// An error that joins the list of all that is not supported.
fn unsupported(op: &Op) -> Error {
    Error::new(ErrorKind::Unsupported, "", "a builtin operator", name(op))
}

/// As [`unsupported`], with a reason.
fn unsupported_with(op: &Op, what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "",
        "a builtin operator",
        format!("{} with {what}", name(op)),
    )
}
