//! Graphs: values, nodes and their order.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::op::Op;
use crate::tensor::Tensor;
use crate::types::{Symbol, TensorType};

/// A value of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub usize);

/// A node of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// A tensor that flows through a graph: an input, a constant or the output of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Name, unique in the graph.
    pub name: String,
    /// What is known of it; after shape inference the extents are there.
    pub ty: TensorType,
    /// Its elements, where they are known before the graph runs.
    pub constant: Option<Tensor>,
}

/// An operation applied to values.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name, for messages and tables; unique in the graph.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// In the order that the operation documents; `None` where an optional one is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// In the order that the operation documents; `None` where an optional one is not wanted.
    pub outputs: Vec<Option<ValueId>>,
}

/// How an i32 accumulator becomes a quantized output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// To f32, times the f32 scale, to the nearest integer with ties to even, plus the zero point, clamped.
    #[default]
    TiesToEven,
    /// TensorFlow Lite's: times a Q31 multiplier with rounding, and a rounding right shift that takes ties away from
    /// zero. Sums, differences, products and means of 8-bit integers then follow its integer arithmetic as well.
    Gemmlowp,
}

/// A trained model: typed values and the nodes that make them, in an order in which they can run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name, for messages.
    pub name: String,
    /// Dims that are bound before the graph runs.
    pub symbols: Vec<Symbol>,
    /// What the caller gives.
    pub inputs: Vec<ValueId>,
    /// What the caller gets.
    pub outputs: Vec<ValueId>,
    /// State: pairs of an input and the output that becomes this input in the next run. Both are also in `inputs` and
    /// `outputs`.
    pub states: Vec<(ValueId, ValueId)>,
    /// All values, by [`ValueId`].
    pub values: Vec<Value>,
    /// All nodes; a node stands behind the nodes that make its inputs.
    pub nodes: Vec<Node>,
    /// Rule of its integer operations.
    pub rounding: Rounding,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The value of an id.
    ///
    /// # Panics
    /// If the id is of another graph.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The value of an id, to change it.
    ///
    /// # Panics
    /// If the id is of another graph.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0]
    }

    /// The constant that a value is, if it is one.
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        self.values[id.0].constant.as_ref()
    }

    /// Adds a value; the name gets a suffix where it is taken only if [`Graph::unique_name`] made it so.
    pub fn add_value(&mut self, name: impl Into<String>, ty: TensorType) -> ValueId {
        self.values.push(Value {
            name: name.into(),
            ty,
            constant: None,
        });
        ValueId(self.values.len() - 1)
    }

    /// Adds a value that the caller gives.
    pub fn add_input(&mut self, name: impl Into<String>, ty: TensorType) -> ValueId {
        let id = self.add_value(name, ty);
        self.inputs.push(id);
        id
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<String>, tensor: Tensor) -> ValueId {
        let id = self.add_value(name, tensor.tensor_type());
        self.values[id.0].constant = Some(tensor);
        id
    }

    /// Adds a node with one output of unknown extents and the given type, named after the node.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: &[ValueId],
        output: TensorType,
    ) -> ValueId {
        let name = name.into();
        let id = self.add_value(name.clone(), output);
        self.nodes.push(Node {
            name,
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![Some(id)],
        });
        id
    }

    /// A name that no value and no node has: `base`, or `base_2`, `base_3`, ...
    pub fn unique_name(&self, base: &str) -> String {
        let taken = |name: &str| {
            self.values.iter().any(|v| v.name == name) || self.nodes.iter().any(|n| n.name == name)
        };
        if !taken(base) {
            return base.to_owned();
        }
        let mut n = 2usize;
        loop {
            let name = format!("{base}_{n}");
            if !taken(&name) {
                return name;
            }
            n += 1;
        }
    }

    /// The value of a name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(ValueId)
    }

    /// The node that makes each value.
    pub fn producers(&self) -> HashMap<ValueId, NodeId> {
        let mut found = HashMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            for id in node.outputs.iter().flatten() {
                found.insert(*id, NodeId(n));
            }
        }
        found
    }

    /// The nodes that read each value, in their order; a node that reads it twice is there twice.
    pub fn consumers(&self) -> HashMap<ValueId, Vec<NodeId>> {
        let mut found: HashMap<ValueId, Vec<NodeId>> = HashMap::new();
        for (n, node) in self.nodes.iter().enumerate() {
            for id in node.inputs.iter().flatten() {
                found.entry(*id).or_default().push(NodeId(n));
            }
        }
        found
    }

    /// Puts `new` wherever nodes or the graph's outputs read `old`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for node in &mut self.nodes {
            for id in node.inputs.iter_mut().flatten() {
                if *id == old {
                    *id = new;
                }
            }
        }
        for id in &mut self.outputs {
            if *id == old {
                *id = new;
            }
        }
        for (_, output) in &mut self.states {
            if *output == old {
                *output = new;
            }
        }
    }

    /// Sorts the nodes so that each stands behind the makers of its inputs; the order is otherwise kept.
    ///
    /// # Errors
    /// [`ErrorKind::Order`] naming a node of a cycle.
    pub fn sort(&mut self) -> Result<()> {
        let producers = self.producers();
        let mut waiting: Vec<usize> = Vec::with_capacity(self.nodes.len());
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            let mut count = 0;
            for id in node.inputs.iter().flatten() {
                if let Some(NodeId(p)) = producers.get(id) {
                    readers[*p].push(n);
                    count += 1;
                }
            }
            waiting.push(count);
        }
        let mut ready: std::collections::BTreeSet<usize> =
            (0..self.nodes.len()).filter(|&n| waiting[n] == 0).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some(n) = ready.pop_first() {
            order.push(n);
            for &reader in &readers[n] {
                waiting[reader] -= 1;
                if waiting[reader] == 0 {
                    ready.insert(reader);
                }
            }
        }
        if order.len() < self.nodes.len() {
            let stuck = (0..self.nodes.len()).find(|&n| waiting[n] > 0);
            let name = stuck.map_or("", |n| self.nodes[n].name.as_str());
            return Err(Error::new(
                ErrorKind::Order,
                format!("node {name}"),
                "no cycle",
                "a cycle",
            ));
        }
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.into_iter().filter_map(|n| nodes[n].take()).collect();
        Ok(())
    }

    /// Checks that every value that is read is an input, a constant or made before, and made once.
    ///
    /// # Errors
    /// [`ErrorKind::Order`] or [`ErrorKind::Name`] naming the node and value.
    pub fn check(&self) -> Result<()> {
        let mut known: Vec<bool> = self.values.iter().map(|v| v.constant.is_some()).collect();
        // What a node makes may be known before it runs.
        let mut made = vec![false; self.values.len()];
        let place = |node: &Node| format!("node {}", node.name);
        for id in &self.inputs {
            *known.get_mut(id.0).ok_or_else(|| unknown_id("inputs", *id))? = true;
            made[id.0] = true;
        }
        for node in &self.nodes {
            for id in node.inputs.iter().flatten() {
                match known.get(id.0) {
                    Some(true) => {}
                    Some(false) => {
                        let name = &self.values[id.0].name;
                        return Err(Error::new(
                            ErrorKind::Order,
                            place(node),
                            "inputs made before",
                            name,
                        ));
                    }
                    None => return Err(unknown_id(&place(node), *id)),
                }
            }
            for id in node.outputs.iter().flatten() {
                match made.get_mut(id.0) {
                    Some(made @ false) => {
                        *made = true;
                        known[id.0] = true;
                    }
                    Some(true) => {
                        let name = &self.values[id.0].name;
                        return Err(Error::new(
                            ErrorKind::Name,
                            place(node),
                            "an output made once",
                            name,
                        ));
                    }
                    None => return Err(unknown_id(&place(node), *id)),
                }
            }
        }
        for id in &self.outputs {
            match known.get(id.0) {
                Some(true) => {}
                Some(false) => {
                    let name = &self.values[id.0].name;
                    return Err(Error::new(
                        ErrorKind::Order,
                        "outputs",
                        "values that a node makes",
                        name,
                    ));
                }
                None => return Err(unknown_id("outputs", *id)),
            }
        }
        Ok(())
    }
}

fn unknown_id(place: &str, id: ValueId) -> Error {
    Error::new(
        ErrorKind::Name,
        place,
        "a value of the graph",
        format!("id {}", id.0),
    )
}
