//! A graph in the making, and the parameters that it asks a checkpoint for.

mod layers;

use std::collections::{BTreeMap, BTreeSet};

use limbic_graph::op::{Binary, Unary};
use limbic_graph::{
    Dim, Dtype, Error, ErrorKind, Graph, Node, Op, Result, Symbol, Tensor, TensorType, ValueId,
};

pub use layers::Conv;

use crate::weights::Weights;

/// Tensors that training needs and inference does not.
const OF_TRAINING: [&str; 3] = ["num_batches_tracked", "position_ids", "total_ops"];

/// A graph in the making, and the parameters that it asks a checkpoint for.
///
/// While an architecture is only tried, nothing is read from the checkpoint: names and shapes are compared.
#[allow(
    missing_debug_implementations,
    reason = "the checkpoint behind it is of any kind"
)]
pub struct Network<'w> {
    graph: Graph,
    weights: &'w dyn Weights,
    reads: bool,
    parameters: BTreeMap<String, ValueId>,
    /// What was asked for and is not there, by name.
    missing: BTreeMap<String, String>,
    ignored: Vec<String>,
    names: BTreeSet<String>,
    taken: BTreeSet<String>,
}

/// What came of asking for parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// Names that were found, with the shape that was asked for.
    pub found: usize,
    /// Names that are not there or of another shape; the shapes stand behind the name.
    pub missing: Vec<String>,
    /// Names that nothing asked for.
    pub unexpected: Vec<String>,
}

impl<'w> Network<'w> {
    /// An empty network over a checkpoint; `reads` is false while it is only tried.
    pub(crate) fn new(name: &str, weights: &'w dyn Weights, reads: bool) -> Self {
        Self {
            graph: Graph::new(name),
            weights,
            reads,
            parameters: BTreeMap::new(),
            missing: BTreeMap::new(),
            ignored: OF_TRAINING.iter().map(|name| (*name).to_owned()).collect(),
            names: weights.names().into_iter().collect(),
            taken: BTreeSet::new(),
        }
    }

    /// The graph, and what came of asking for parameters.
    pub(crate) fn finish(self) -> (Graph, Asked) {
        let is_ignored = |name: &str| {
            let last = name.rsplit('.').next().unwrap_or(name);
            self.ignored.iter().any(|ignored| {
                last == ignored || (ignored.ends_with('.') && name.starts_with(ignored.as_str()))
            })
        };
        let asked = Asked {
            found: self.parameters.len(),
            unexpected: self
                .names
                .iter()
                .filter(|name| !self.parameters.contains_key(*name) && !is_ignored(name))
                .filter(|name| !self.missing.contains_key(*name))
                .cloned()
                .collect(),
            missing: self.missing.into_values().collect(),
        };
        (self.graph, asked)
    }

    /// Lets a last part of a name, or a prefix that ends in a dot, stay unused.
    pub fn ignore(&mut self, name: &str) {
        self.ignored.push(name.to_owned());
    }

    /// Whether the checkpoint has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether a name of the checkpoint begins so.
    pub fn has_under(&self, prefix: &str) -> bool {
        self.names
            .range(prefix.to_owned()..)
            .next()
            .is_some_and(|name| name.starts_with(prefix))
    }

    /// How many of `prefix0.`, `prefix1.`, ... there are without a gap.
    pub fn count_under(&self, prefix: &str) -> usize {
        (0..self.names.len())
            .take_while(|n| self.has_under(&format!("{prefix}{n}.")))
            .count()
    }

    /// Names in the checkpoint between a prefix and the next dot, each once, in their order.
    pub fn children(&self, prefix: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for name in self.weights.names() {
            let Some((child, _)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            if !found.iter().any(|known| known == child) {
                found.push(child.to_owned());
            }
        }
        found
    }

    /// One extent of a tensor; 0 where there is no such tensor or axis.
    pub fn extent(&self, name: &str, axis: usize) -> usize {
        let shape = self.weights.shape(name).unwrap_or_default();
        shape.get(axis).copied().unwrap_or(0)
    }

    /// Spatial extents of a convolution's weight.
    pub fn kernel(&self, prefix: &str) -> Vec<usize> {
        let shape = self
            .weights
            .shape(&format!("{prefix}.weight"))
            .unwrap_or_default();
        shape.get(2..).unwrap_or_default().to_vec()
    }

    /// An input of fixed extents.
    pub fn input(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> ValueId {
        self.taken.insert(name.to_owned());
        self.graph.add_input(name, TensorType::new(dtype, shape))
    }

    /// An input whose extents may be symbols.
    pub fn input_of(&mut self, name: &str, dtype: Dtype, dims: &[Dim]) -> ValueId {
        let mut ty = TensorType::unshaped(dtype);
        ty.dims = Some(dims.to_vec());
        self.taken.insert(name.to_owned());
        self.graph.add_input(name, ty)
    }

    /// A dim that is bound before the graph runs.
    pub fn symbol(&mut self, name: &str, min: usize, max: usize) -> Dim {
        self.graph.symbols.push(Symbol {
            name: name.to_owned(),
            min,
            max,
        });
        Dim::Symbol(self.graph.symbols.len() - 1)
    }

    /// Makes a value an output under a name of its own.
    pub fn output(&mut self, name: &str, value: ValueId) {
        let mut value = value;
        if self.graph.outputs.contains(&value) || self.graph.inputs.contains(&value) {
            let dtype = self.graph.value(value).ty.dtype;
            value = self.node("again", Op::Identity, &[value], dtype);
        }
        let name = self.name(name);
        self.graph.value_mut(value).name = name;
        self.graph.outputs.push(value);
    }

    /// Whether the architecture is only tried, so that settings may be missing.
    pub fn is_tried(&self) -> bool {
        !self.reads
    }

    /// A parameter, floats as `f32`; `None` in `shape` takes any extent.
    ///
    /// One that is not there or of another shape is noted, and the network is refused at its end.
    ///
    /// # Errors
    /// What reading it from the checkpoint gives.
    pub fn parameter(&mut self, name: &str, shape: &[Option<usize>]) -> Result<ValueId> {
        self.stored(name, shape, Ok)
    }

    /// A parameter as [`Network::parameter`], its elements put into another order or form first.
    ///
    /// # Errors
    /// What reading it from the checkpoint or `change` gives.
    pub(crate) fn stored(
        &mut self,
        name: &str,
        shape: &[Option<usize>],
        change: impl FnOnce(Tensor) -> Result<Tensor>,
    ) -> Result<ValueId> {
        if let Some(id) = self.parameters.get(name) {
            return Ok(*id);
        }
        let found = self.weights.shape(name);
        let fits = found.as_ref().is_some_and(|found| {
            found.len() == shape.len() && found.iter().zip(shape).all(|(f, s)| s.is_none_or(|s| s == *f))
        });
        if !fits {
            let dims: Vec<String> = shape
                .iter()
                .map(|s| s.map_or_else(|| "?".to_owned(), |s| s.to_string()))
                .collect();
            let note = match found {
                Some(found) => format!("{name} [{}], found {found:?}", dims.join(", ")),
                None => format!("{name} [{}]", dims.join(", ")),
            };
            self.missing.insert(name.to_owned(), note);
        }
        let value_name = self.name(name);
        if !fits || !self.reads {
            let id = self.graph.add_value(value_name, TensorType::unshaped(Dtype::F32));
            if fits {
                self.parameters.insert(name.to_owned(), id);
            }
            return Ok(id);
        }
        let tensor = as_f32(self.weights.read(name)?)?;
        let tensor = change(tensor).map_err(|error| error.within(name))?;
        let id = self.graph.add_constant(value_name, tensor);
        self.parameters.insert(name.to_owned(), id);
        Ok(id)
    }

    /// A constant that no parameter gives.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let name = self.name(name);
        self.graph.add_constant(name, tensor)
    }

    /// A node with one output of the given element type.
    pub fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], dtype: Dtype) -> ValueId {
        let name = self.name(name);
        self.graph.add_node(name, op, inputs, TensorType::unshaped(dtype))
    }

    /// A node of which some inputs are left out and some outputs not wanted; gives those that are, named behind the
    /// node.
    pub(crate) fn node_of_many(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        outputs: &[Option<&str>],
    ) -> Vec<ValueId> {
        let node = self.name(name);
        let outputs: Vec<Option<ValueId>> = outputs
            .iter()
            .map(|output| {
                let name = self.name(&format!("{name}.{}", (*output)?));
                Some(self.graph.add_value(name, TensorType::unshaped(Dtype::F32)))
            })
            .collect();
        self.graph.nodes.push(Node {
            name: node,
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        outputs.into_iter().flatten().collect()
    }

    /// A function of each element.
    pub fn unary(&mut self, name: &str, function: Unary, x: ValueId) -> ValueId {
        self.node(name, Op::Unary(function), &[x], Dtype::F32)
    }

    /// A function of two tensors' elements.
    pub fn binary(&mut self, name: &str, function: Binary, a: ValueId, b: ValueId) -> ValueId {
        self.node(name, Op::Binary(function), &[a, b], Dtype::F32)
    }

    /// A name that nothing in the graph has: `base`, or `base_2`, `base_3`, ...
    fn name(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut n = 2usize;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        name
    }
}

/// The same tensor, floats of any width as `f32`.
fn as_f32(tensor: Tensor) -> Result<Tensor> {
    if !tensor.dtype().is_float() {
        return Err(Error::new(
            ErrorKind::Dtype,
            "parameter",
            "floating-point elements",
            tensor.dtype(),
        ));
    }
    if tensor.dtype() == Dtype::F32 {
        return Ok(tensor);
    }
    Tensor::new(tensor.shape(), tensor.to_f32())
}
