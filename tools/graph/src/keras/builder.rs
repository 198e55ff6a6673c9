//! A graph in the making: nodes whose types are found as they are added.

use std::collections::{HashMap, HashSet};

use super::config::Layer;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::infer::{Known, output_types};
use crate::op::Op;
use crate::tensor::Tensor;
use crate::types::{Dim, Symbol, TensorType};

/// Greatest number that an open extent may be bound to.
const MOST_EXTENT: usize = 1 << 24;

/// Most nodes of a graph: models inside one another can be applied many times.
const MOST_NODES: usize = 100_000;

/// Where the graph's weights come from: a layer and a weight in, its elements out.
type Weights<'w> = &'w mut dyn FnMut(&str, &str) -> Result<Tensor>;

pub(super) struct Builder<'w> {
    pub graph: Graph,
    weights: Weights<'w>,
    /// Weights of layers that are applied more than once are asked for once.
    known: HashMap<(String, String), Tensor>,
    names: HashSet<String>,
    /// Layers that are not known.
    pub unsupported: Vec<String>,
    /// Name of the layer that is being applied, the models it is in before it.
    pub path: String,
}

impl<'w> Builder<'w> {
    pub(super) fn new(weights: Weights<'w>) -> Self {
        Self {
            graph: Graph::new("keras"),
            weights,
            known: HashMap::new(),
            names: HashSet::new(),
            unsupported: Vec::new(),
            path: String::new(),
        }
    }

    /// The graph with these outputs.
    pub(super) fn finish(mut self, outputs: Vec<ValueId>) -> Result<Graph> {
        if !self.unsupported.is_empty() {
            return Err(Error::unsupported(
                "model_config",
                "layers that are known",
                self.unsupported,
            ));
        }
        self.graph.outputs = outputs;
        self.graph.check()?;
        Ok(self.graph)
    }

    /// A name that nothing else has.
    fn unique(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut n = 2usize;
        while !self.names.insert(name.clone()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        name
    }

    /// An input of the model; `None` extents are open.
    pub(super) fn input(&mut self, name: &str, dtype: Dtype, extents: &[Option<usize>]) -> ValueId {
        let dims = extents
            .iter()
            .enumerate()
            .map(|(axis, extent)| match extent {
                Some(n) => Dim::Known(*n),
                None if axis == 0 => self.symbol("batch".to_owned()),
                None => self.symbol(format!("{name}.{axis}")),
            })
            .collect();
        let name = self.unique(name);
        let ty = TensorType {
            dims: Some(dims),
            ..TensorType::unshaped(dtype)
        };
        self.graph.add_input(name, ty)
    }

    fn symbol(&mut self, name: String) -> Dim {
        let known = self.graph.symbols.iter().position(|s| s.name == name);
        Dim::Symbol(known.unwrap_or_else(|| {
            self.graph.symbols.push(Symbol {
                name,
                min: 1,
                max: MOST_EXTENT,
            });
            self.graph.symbols.len() - 1
        }))
    }

    /// States the extents of a value whose first one follows from an open batch.
    pub(super) fn open_first(&mut self, value: ValueId, behind: &[Option<usize>]) {
        if self.graph.value(value).ty.dims.is_some() {
            return;
        }
        let symbol = self.symbol(format!("{}.0", self.path));
        let behind = behind.iter().copied().flatten().map(Dim::Known);
        self.graph.value_mut(value).ty.dims = Some([symbol].into_iter().chain(behind).collect());
    }

    /// A weight of the layer that is being applied, its extents as expected; `None` there fits any.
    pub(super) fn weight(
        &mut self,
        layer: &Layer<'_>,
        name: &str,
        extents: &[Option<usize>],
    ) -> Result<Tensor> {
        let key = (self.path.clone(), name.to_owned());
        let tensor = match self.known.get(&key) {
            Some(tensor) => tensor.clone(),
            None => {
                let tensor = (self.weights)(&self.path, name)?;
                let tensor = if tensor.dtype() == Dtype::F32 {
                    tensor
                } else {
                    tensor.dequantized()?
                };
                self.known.insert(key, tensor.clone());
                tensor
            }
        };
        let fits = tensor.rank() == extents.len()
            && tensor
                .shape()
                .iter()
                .zip(extents)
                .all(|(n, expected)| expected.is_none_or(|e| e == *n));
        if !fits {
            let expected: Vec<String> = extents
                .iter()
                .map(|e| e.map_or("?".into(), |n| n.to_string()))
                .collect();
            let expected = format!("{name} of shape [{}]", expected.join(", "));
            return Err(layer.fault(ErrorKind::Shape, expected, format!("{:?}", tensor.shape())));
        }
        Ok(tensor)
    }

    /// A constant named after the layer.
    pub(super) fn constant(&mut self, what: &str, tensor: Tensor) -> ValueId {
        let name = self.unique(&format!("{}/{what}", self.path));
        self.graph.add_constant(name, tensor)
    }

    /// Whole numbers as the constant that shapes and axes are.
    pub(super) fn vector(&mut self, what: &str, numbers: Vec<i64>) -> ValueId {
        self.constant(what, Tensor::vector(numbers))
    }

    /// A node with optional inputs and outputs of which some are wanted.
    pub(super) fn emit_some(
        &mut self,
        what: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        wanted: &[bool],
    ) -> Result<Vec<ValueId>> {
        if self.graph.nodes.len() >= MOST_NODES {
            let expected = format!("at most {MOST_NODES} nodes");
            return Err(Error::new(ErrorKind::Limit, "model_config", expected, "more"));
        }
        let name = self.unique(&format!("{}/{what}", self.path));
        let known: Vec<_> = inputs
            .iter()
            .map(|id| id.map(|id| (&self.graph.value(id).ty, self.graph.constant(id))))
            .collect();
        let types = output_types(&op, Known::new(&known), wanted.len())
            .map_err(|e| e.within(format!("node {name}")))?;
        let outputs: Vec<Option<ValueId>> = types
            .into_iter()
            .zip(wanted)
            .map(|(ty, wanted)| {
                wanted.then(|| {
                    let name = self.unique(&name);
                    self.graph.add_value(name, ty)
                })
            })
            .collect();
        self.graph.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        Ok(outputs.into_iter().flatten().collect())
    }

    /// A node with one output.
    pub(super) fn emit(&mut self, what: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        let found = self.emit_some(what, op, &inputs, &[true])?;
        found
            .first()
            .copied()
            .ok_or_else(|| Error::new(ErrorKind::Shape, &self.path, "an output", "none"))
    }

    /// Gives a value that was just emitted a layer's name.
    pub(super) fn rename(&mut self, value: ValueId, name: &str) {
        let name = self.unique(name);
        self.graph.value_mut(value).name = name;
    }

    /// Extents of a value; `None` for open ones.
    pub(super) fn extents(&self, layer: &Layer<'_>, value: ValueId) -> Result<Vec<Option<usize>>> {
        let ty = &self.graph.value(value).ty;
        let dims = ty.dims.as_ref().ok_or_else(|| {
            layer.fault(
                ErrorKind::Shape,
                "an input whose number of axes follows from the model's inputs",
                ty,
            )
        })?;
        Ok(dims.iter().map(|dim| dim.known()).collect())
    }

    /// Number of axes of a value.
    pub(super) fn rank(&self, layer: &Layer<'_>, value: ValueId) -> Result<usize> {
        Ok(self.extents(layer, value)?.len())
    }

    /// Checks the number of axes of a value.
    pub(super) fn expect_rank(&self, layer: &Layer<'_>, value: ValueId, rank: usize) -> Result<()> {
        match self.rank(layer, value)? {
            found if found == rank => Ok(()),
            found => Err(layer.fault(ErrorKind::Shape, format!("an input of {rank} axes"), found)),
        }
    }

    /// Extent of an axis that must be known.
    pub(super) fn extent(&self, layer: &Layer<'_>, value: ValueId, axis: usize) -> Result<usize> {
        let extents = self.extents(layer, value)?;
        let extent = extents.get(axis).copied().flatten();
        extent.ok_or_else(|| {
            layer.fault(
                ErrorKind::Shape,
                format!("a known extent of axis {axis}"),
                format!("{extents:?}"),
            )
        })
    }

    /// Transposes a value.
    pub(super) fn transpose(
        &mut self,
        what: &str,
        value: ValueId,
        permutation: Vec<usize>,
    ) -> Result<ValueId> {
        self.emit(what, Op::Transpose { permutation }, &[value])
    }

    /// A value of `rank` axes with channels behind the batch, whatever the layer's format.
    pub(super) fn channels_behind_batch(
        &mut self,
        layer: &Layer<'_>,
        value: ValueId,
        rank: usize,
    ) -> Result<ValueId> {
        self.expect_rank(layer, value, rank)?;
        if layer.channels_first()? || rank < 3 {
            return Ok(value);
        }
        let order = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        self.transpose("channels_first", value, order)
    }

    /// The way back from [`Builder::channels_behind_batch`].
    pub(super) fn back(&mut self, layer: &Layer<'_>, value: ValueId, rank: usize) -> Result<ValueId> {
        if layer.channels_first()? || rank < 3 {
            return Ok(value);
        }
        let order = [0].into_iter().chain(2..rank).chain([1]).collect();
        self.transpose("channels_last", value, order)
    }
}
