//! Which nodes become integer arithmetic and which values are quantized.

use std::collections::HashMap;

use limbic_graph::op::{Binary, PoolKind, Reduce, Unary, Variadic};
use limbic_graph::{Dtype, Graph, Node, NodeId, Op, ValueId};

use crate::scheme::{Choice, Scheme};

/// What a node can be in integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Products with constant weights: quantizes its input.
    Products,
    /// A function of one tensor, in integers where its input is.
    Function,
    /// Moves or picks elements: its output has its input's scale.
    Copy,
    /// A function of several tensors, in integers where one of them is.
    Merge,
    /// Stays in float.
    Float,
}

/// Nodes and values of a graph in integers.
#[derive(Debug)]
pub(super) struct Assignment {
    pub kinds: Vec<Kind>,
    /// Of each node: whether it is integer arithmetic.
    pub integer: Vec<bool>,
    /// Of each value: whether its quantized form is wanted.
    pub quantized: Vec<bool>,
    producers: HashMap<ValueId, NodeId>,
}

impl Assignment {
    pub fn new(graph: &Graph, choice: &Choice) -> Self {
        let producers = graph.producers();
        let kinds: Vec<Kind> = graph
            .nodes
            .iter()
            .map(|node| {
                if choice.float.contains_key(&node.name) {
                    Kind::Float
                } else {
                    kind(graph, node, choice.scheme, &producers)
                }
            })
            .collect();
        let mut possible = vec![false; graph.nodes.len()];
        for (n, node) in graph.nodes.iter().enumerate() {
            let from = |id: ValueId| producers.get(&id).is_some_and(|p| possible[p.0]);
            possible[n] = match kinds[n] {
                Kind::Products => true,
                Kind::Float => false,
                Kind::Function | Kind::Copy => activations(graph, node).next().is_some_and(from),
                Kind::Merge => activations(graph, node).any(from),
            };
        }
        let mut quantized = vec![false; graph.values.len()];
        let mut integer = vec![false; graph.nodes.len()];
        for (n, node) in graph.nodes.iter().enumerate().rev() {
            let wanted = node.outputs.iter().flatten().any(|id| quantized[id.0]);
            integer[n] = possible[n] && (kinds[n] == Kind::Products || wanted);
            if integer[n] {
                let inputs: Vec<ValueId> = match kinds[n] {
                    Kind::Merge => activations(graph, node).collect(),
                    _ => activations(graph, node).take(1).collect(),
                };
                for id in inputs {
                    quantized[id.0] = true;
                }
            }
        }
        Self {
            kinds,
            integer,
            quantized,
            producers,
        }
    }

    /// Whether a node is integer products.
    pub fn products(&self, n: usize) -> bool {
        self.integer[n] && self.kinds[n] == Kind::Products
    }

    /// The node that makes a value, if it is integer arithmetic.
    pub fn integer_producer(&self, id: ValueId) -> Option<usize> {
        self.producers
            .get(&id)
            .map(|node| node.0)
            .filter(|&n| self.integer[n])
    }
}

/// The inputs of a node that are not constants.
pub(super) fn activations<'a>(graph: &'a Graph, node: &'a Node) -> impl Iterator<Item = ValueId> + 'a {
    node.inputs
        .iter()
        .flatten()
        .copied()
        .filter(|id| graph.constant(*id).is_none())
}

/// Axis of the weights that counts output channels.
pub(crate) fn output_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv(_) => Some(0),
        Op::ConvTranspose(_) | Op::MatMul => Some(1),
        Op::Gemm { transpose_b, .. } => Some(usize::from(!*transpose_b)),
        _ => None,
    }
}

fn kind(graph: &Graph, node: &Node, scheme: Scheme, producers: &HashMap<ValueId, NodeId>) -> Kind {
    let float = |id: ValueId| graph.value(id).ty.dtype == Dtype::F32;
    let constant = |n: usize| {
        node.inputs
            .get(n)
            .copied()
            .flatten()
            .is_none_or(|id| graph.constant(id).is_some())
    };
    let rest_constant = (1..node.inputs.len()).all(constant);
    let floats = activations(graph, node).all(float) && node.outputs.iter().flatten().all(|id| float(*id));
    if node.outputs.len() != 1 || !floats {
        return Kind::Float;
    }
    match &node.op {
        Op::MatMul if scheme == Scheme::Mixed => Kind::Float,
        op if output_axis(op).is_some() => {
            if products_fit(graph, node) {
                Kind::Products
            } else {
                Kind::Float
            }
        }
        Op::Reshape { .. }
        | Op::Flatten { .. }
        | Op::Squeeze
        | Op::Unsqueeze
        | Op::Transpose { .. }
        | Op::Slice
        | Op::Identity
        | Op::DepthToSpace { .. }
        | Op::SpaceToDepth { .. }
            if rest_constant =>
        {
            Kind::Copy
        }
        Op::Pool(pool) => match pool.kind {
            PoolKind::Max => Kind::Copy,
            PoolKind::Average { .. } => Kind::Function,
            PoolKind::Lp { .. } => Kind::Float,
        },
        Op::GlobalPool(PoolKind::Max) => Kind::Copy,
        Op::GlobalPool(PoolKind::Average { .. }) => Kind::Function,
        Op::Reduce {
            function: Reduce::Mean,
            ..
        } if rest_constant => Kind::Function,
        Op::Clip if rest_constant => Kind::Function,
        Op::Unary(
            Unary::Relu
            | Unary::Relu6
            | Unary::LeakyRelu { .. }
            | Unary::Elu { .. }
            | Unary::Sigmoid
            | Unary::Tanh
            | Unary::HardSigmoid { .. }
            | Unary::HardSwish
            | Unary::Swish { .. }
            | Unary::Gelu { .. },
        ) => Kind::Function,
        Op::Binary(Binary::Add | Binary::Sub | Binary::Mul) => {
            let products = activations(graph, node).any(|id| {
                let maker = producers.get(&id).and_then(|n| graph.nodes.get(n.0));
                maker.is_some_and(|maker| matches!(maker.op, Op::MatMul))
            });
            // A product without a bias of its own is scaled and shifted before it is rounded, not after.
            if activations(graph, node).count() == 1 && products {
                Kind::Float
            } else {
                Kind::Merge
            }
        }
        Op::Variadic(Variadic::Sum) | Op::Concat { .. } => Kind::Merge,
        _ => Kind::Float,
    }
}

/// Whether a product has constant weights and, if any, a constant bias of one number a channel, without factors.
fn products_fit(graph: &Graph, node: &Node) -> bool {
    let constant = |n: usize| graph.constant(node.inputs.get(n).copied().flatten()?);
    let Some(weights) = constant(1).filter(|w| w.dtype() == Dtype::F32 && w.quantization.is_none()) else {
        return false;
    };
    if node
        .inputs
        .first()
        .copied()
        .flatten()
        .is_none_or(|id| graph.constant(id).is_some())
    {
        return false;
    }
    let channels = match &node.op {
        Op::ConvTranspose(convolution) if convolution.groups != 1 => return false,
        Op::Gemm {
            alpha,
            beta,
            transpose_a,
            ..
        } if *alpha != 1.0 || *beta != 1.0 || *transpose_a => return false,
        Op::MatMul if weights.rank() != 2 => return false,
        op => output_axis(op).and_then(|axis| weights.shape().get(axis).copied()),
    };
    match node.inputs.get(2).copied().flatten() {
        None => true,
        Some(_) => constant(2).is_some_and(|bias| {
            bias.dtype() == Dtype::F32 && bias.rank() == 1 && Some(bias.len()) == channels
        }),
    }
}
