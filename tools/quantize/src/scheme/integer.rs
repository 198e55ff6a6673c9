//! Static integer arithmetic: every scale is known before the graph runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use limbic_graph::op::Unary;
use limbic_graph::{Dtype, Graph, Node, Op, Quantization, TensorType, ValueId};

use crate::calibrate::{Range, Table};
use crate::error::Result;
use crate::rounding::Rounded;
use crate::scheme::assign::{Assignment, Kind, output_axis};
use crate::scheme::{Choice, Scheme, affine};

/// Names of the values whose ranges make the scales of the quantized ones, whatever other nodes stay in float too.
pub(super) fn wanted(graph: &Graph, assignment: &Assignment) -> BTreeSet<String> {
    let float = |id: &ValueId| {
        let value = graph.value(*id);
        value.constant.is_none() && value.ty.dtype == Dtype::F32
    };
    graph
        .nodes
        .iter()
        .zip(&assignment.kinds)
        .filter(|(_, kind)| **kind != Kind::Float)
        .flat_map(|(node, _)| node.inputs.iter().chain(&node.outputs).flatten())
        .filter(|id| float(id))
        .map(|id| graph.value(*id).name.clone())
        .collect()
}

/// Values that only a clamp in integers reads: they take the scale of the clamp's output.
struct Clamps {
    /// Value before the clamp to value behind it.
    behind: HashMap<ValueId, ValueId>,
}

impl Clamps {
    fn new(graph: &Graph, assignment: &Assignment) -> Self {
        let consumers = graph.consumers();
        let mut behind = HashMap::new();
        for (n, node) in graph.nodes.iter().enumerate() {
            let (Some(Some(input)), Some(Some(output))) = (node.inputs.first(), node.outputs.first()) else {
                continue;
            };
            let alone = consumers.get(input).is_some_and(|readers| readers.len() == 1)
                && !graph.outputs.contains(input);
            let made = assignment
                .integer_producer(*input)
                .is_some_and(|p| assignment.kinds[p] != Kind::Copy);
            if assignment.integer[n] && alone && made && limits(graph, node).is_some() {
                behind.insert(*input, *output);
            }
        }
        Self { behind }
    }

    /// The value whose range makes the scale of a quantized value.
    fn source(&self, graph: &Graph, assignment: &Assignment, id: ValueId) -> ValueId {
        if let Some(&behind) = self.behind.get(&id) {
            return self.source(graph, assignment, behind);
        }
        let copied = assignment
            .integer_producer(id)
            .filter(|&n| assignment.kinds[n] == Kind::Copy)
            .and_then(|n| graph.nodes[n].inputs.first().copied().flatten());
        match copied {
            // The input of a copy stands before it, so this ends.
            Some(input) => self.source(graph, assignment, input),
            None => id,
        }
    }
}

/// Least and greatest value that a clamp lets through, with zero inside.
fn limits(graph: &Graph, node: &Node) -> Option<(f32, f32)> {
    let bound = |n: usize, open: f32| match node.inputs.get(n).copied().flatten() {
        None => Some(open),
        Some(id) => graph.constant(id)?.to_f32().first().copied(),
    };
    let (low, high) = match node.op {
        Op::Unary(Unary::Relu) => (0.0, f32::INFINITY),
        Op::Unary(Unary::Relu6) => (0.0, 6.0),
        Op::Clip => (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?),
        _ => return None,
    };
    (low <= 0.0 && high > 0.0).then_some((low, high))
}

/// Gives every value that integer arithmetic makes or reads its quantized type.
pub(super) fn apply(graph: &mut Graph, table: &Table, choice: &Choice) -> Result<()> {
    let assignment = Assignment::new(graph, choice);
    let symmetric = choice.scheme == Scheme::Int8Symmetric;
    let clamps = Clamps::new(graph, &assignment);
    let mut scales: HashMap<ValueId, Quantization> = HashMap::new();
    for id in (0..graph.values.len())
        .map(ValueId)
        .filter(|id| assignment.quantized[id.0])
    {
        let source = clamps.source(graph, &assignment, id);
        let range = clamped(
            graph,
            &assignment,
            source,
            table.range(&graph.value(source).name)?,
        );
        scales.insert(id, affine::activation(range, symmetric));
    }
    let mut builder = Builder {
        types: graph.values.iter().map(|value| value.ty.clone()).collect(),
        graph,
        quantized: HashMap::new(),
        taken_back: HashMap::new(),
        rounded: &choice.rounded,
        nodes: Vec::new(),
        scales,
    };
    let nodes = std::mem::take(&mut builder.graph.nodes);
    for (n, node) in nodes.into_iter().enumerate() {
        if assignment.integer[n] {
            let clamp = !symmetric && is_fused(&clamps, &node);
            builder.integer(node, assignment.kinds[n], clamp)?;
        } else {
            builder.float(node);
        }
    }
    builder.finish();
    Ok(())
}

/// Whether a node only clamps a value to what its type holds anyway.
fn is_fused(clamps: &Clamps, node: &Node) -> bool {
    match (node.inputs.first(), node.outputs.first()) {
        (Some(Some(input)), Some(Some(output))) => clamps.behind.get(input) == Some(output),
        _ => false,
    }
}

/// A range cut to what the clamp that makes the value lets through, so that its type clamps as well.
fn clamped(graph: &Graph, assignment: &Assignment, id: ValueId, range: Range) -> Range {
    let limits = assignment
        .integer_producer(id)
        .and_then(|n| limits(graph, &graph.nodes[n]));
    match limits {
        None => range,
        Some((low, high)) => Range {
            min: range.min.max(low).min(high),
            max: range.max.min(high).max(low),
        },
    }
}

/// The new nodes, and the two forms of each value.
struct Builder<'g> {
    graph: &'g mut Graph,
    types: Vec<TensorType>,
    scales: HashMap<ValueId, Quantization>,
    /// The quantized form of a value, once there is one.
    quantized: HashMap<ValueId, ValueId>,
    /// The float form of a value that integer arithmetic made; nothing while nobody asked for it.
    taken_back: HashMap<ValueId, Option<ValueId>>,
    nodes: Vec<Node>,
    rounded: &'g BTreeMap<String, Rounded>,
}

impl Builder<'_> {
    /// The quantized form of a value, rounded from floats where nothing made it; `None` for one that has no scale.
    fn quantized(&mut self, id: ValueId) -> Option<ValueId> {
        if let Some(&form) = self.quantized.get(&id) {
            return Some(form);
        }
        let scale = self.scales.get(&id)?.clone();
        let name = self.named(id, "i8");
        let ty = affine::quantized_type(&self.types[id.0], scale);
        let form = self.graph.add_value(name, ty);
        self.requantize(id, form);
        self.quantized.insert(id, form);
        Some(form)
    }

    /// The float form of a value.
    fn real(&mut self, id: ValueId) -> ValueId {
        match (self.taken_back.get(&id), self.quantized.get(&id)) {
            (Some(Some(real)), _) => *real,
            (Some(None), Some(&form)) => {
                // An output of the graph keeps its name and type.
                let real = if self.graph.outputs.contains(&id) {
                    id
                } else {
                    let name = self.named(id, "f32");
                    self.graph.add_value(name, self.types[id.0].clone())
                };
                self.requantize(form, real);
                self.taken_back.insert(id, Some(real));
                real
            }
            _ => id,
        }
    }

    fn named(&self, id: ValueId, form: &str) -> String {
        self.graph
            .unique_name(&format!("{}.{form}", self.graph.value(id).name))
    }

    fn requantize(&mut self, from: ValueId, to: ValueId) {
        self.nodes.push(Node {
            name: format!("{}.requantize", self.graph.value(to).name),
            op: Op::Requantize,
            inputs: vec![Some(from)],
            outputs: vec![Some(to)],
        });
    }

    fn float(&mut self, mut node: Node) {
        for id in node.inputs.iter_mut().flatten() {
            *id = self.real(*id);
        }
        self.nodes.push(node);
    }

    fn integer(&mut self, mut node: Node, kind: Kind, fused: bool) -> Result<()> {
        let Some(output) = node.outputs.first().copied().flatten() else {
            self.nodes.push(node);
            return Ok(());
        };
        let inputs = if kind == Kind::Merge { node.inputs.len() } else { 1 };
        for id in node.inputs.iter_mut().take(inputs).flatten() {
            *id = self.quantized(*id).unwrap_or(*id);
        }
        if kind == Kind::Products {
            self.constants(&mut node)?;
        }
        if let Some(scale) = self.scales.get(&output).cloned() {
            self.taken_back.insert(output, None);
            if let (true, Some(Some(input))) = (fused, node.inputs.first()) {
                // The maker of the input clamps to the same limits when it rounds.
                self.quantized.insert(output, *input);
                if !self.graph.outputs.contains(&output) {
                    // What is left of the two is the clamped value, and named so.
                    let name = std::mem::take(&mut self.graph.value_mut(output).name);
                    let name = std::mem::replace(&mut self.graph.value_mut(*input).name, name);
                    self.graph.value_mut(output).name = name;
                }
                return Ok(());
            }
            let ty = affine::quantized_type(&self.types[output.0], scale);
            let form = if self.graph.outputs.contains(&output) {
                let name = self.named(output, "i8");
                self.graph.add_value(name, ty)
            } else {
                self.graph.value_mut(output).ty = ty;
                output
            };
            node.outputs = vec![Some(form)];
            self.quantized.insert(output, form);
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Puts integer weights and bias in place of the float ones.
    fn constants(&mut self, node: &mut Node) -> Result<()> {
        let at = |n: usize| node.inputs.get(n).copied().flatten();
        let input_scale = at(0)
            .and_then(|id| self.graph.value(id).ty.quantization.as_ref())
            .map_or(1.0, affine::scale_of);
        let (Some(axis), Some(weights)) = (output_axis(&node.op), at(1)) else {
            return Ok(());
        };
        let Some(tensor) = self.graph.constant(weights) else {
            return Ok(());
        };
        let rounded = self.rounded.get(&node.name);
        let own = rounded.and_then(|rounded| rounded.bias.clone());
        let bias = at(2).and_then(|id| Some((id, own.unwrap_or(self.graph.constant(id)?.to_f32()))));
        let values = bias.as_ref().map(|(_, values)| values.as_slice());
        let integers = match rounded {
            Some(rounded) => rounded.weights.clone(),
            None => affine::weights(&self.graph.value(weights).name, tensor, axis, values, input_scale)?,
        };
        if let Some((id, values)) = bias {
            let integers = affine::bias(&self.graph.value(id).name, &values, input_scale, &integers)?;
            let name = self.named(id, "i32");
            node.inputs[2] = Some(self.graph.add_constant(name, integers));
        }
        let name = self.named(weights, "i8");
        node.inputs[1] = Some(self.graph.add_constant(name, integers));
        Ok(())
    }

    fn finish(mut self) {
        for id in self.graph.outputs.clone() {
            self.real(id);
        }
        self.graph.nodes = self.nodes;
    }
}
