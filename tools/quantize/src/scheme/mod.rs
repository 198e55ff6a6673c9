//! Schemes: which operations become integer arithmetic, and how.

pub(crate) mod affine;
pub(crate) mod assign;
mod blocks;
mod dynamic;
mod half;
mod integer;

use std::collections::{BTreeMap, BTreeSet};

use limbic_graph::{Dim, Graph, Node, Op, passes};
use serde::{Deserialize, Serialize};

use crate::calibrate::Table;
use crate::error::{Error, ErrorKind, Result};
use crate::macs::macs;
use crate::rounding::Rounded;

/// How a graph is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `i8` weights symmetric for each output channel, `i8` activations affine for each tensor.
    Int8,
    /// As [`Scheme::Int8`], all zero points 0.
    Int8Symmetric,
    /// `i8` weights symmetric for each output channel; activations rounded row by row as they come.
    Dynamic,
    /// [`Scheme::Int8`] for convolutions, [`Scheme::Dynamic`] for matrix products.
    Mixed,
    /// `i8` weights in blocks, float arithmetic.
    WeightsInt8,
    /// Weights of 4 bits in blocks, float arithmetic.
    WeightsInt4,
    /// `f16` weights and arithmetic, but for operations that need more range or precision.
    F16,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Self; 7] = [
        Self::Int8,
        Self::Int8Symmetric,
        Self::Dynamic,
        Self::Mixed,
        Self::WeightsInt8,
        Self::WeightsInt4,
        Self::F16,
    ];

    /// Name as recipes, reports and the command line write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int8Symmetric => "int8-symmetric",
            Self::Dynamic => "dynamic",
            Self::Mixed => "mixed",
            Self::WeightsInt8 => "weights-int8",
            Self::WeightsInt4 => "weights-int4",
            Self::F16 => "f16",
        }
    }

    /// The scheme for an architecture: [`Scheme::Dynamic`] for a transformer, [`Scheme::Int8`] for anything else.
    ///
    /// A transformer is a graph that has products of two activations, or attention, behind a softmax or normalisation
    /// over the last axis, and no convolution that has more multiply-accumulates than they.
    pub fn of_architecture(graph: &Graph) -> Self {
        let (mut attention, mut convolution) = (0usize, 0usize);
        for node in &graph.nodes {
            let activations = node
                .inputs
                .iter()
                .flatten()
                .filter(|id| graph.constant(**id).is_none());
            match node.op {
                Op::MatMul if activations.count() == 2 => attention += 1,
                Op::Attention(_) => attention += 2,
                Op::Conv(_) => convolution += 1,
                _ => {}
            }
        }
        if attention > convolution {
            Self::Dynamic
        } else {
            Self::Int8
        }
    }

    /// Whether products are of integers, their weights one scale for each output channel.
    pub fn has_integer_products(self) -> bool {
        matches!(
            self,
            Self::Int8 | Self::Int8Symmetric | Self::Dynamic | Self::Mixed
        )
    }

    /// Whether it needs ranges from calibration.
    pub fn needs_ranges(self) -> bool {
        matches!(self, Self::Int8 | Self::Int8Symmetric | Self::Mixed | Self::F16)
    }
}

/// A scheme, and what is kept out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The scheme.
    pub scheme: Scheme,
    /// Names of nodes that stay in float, each with the reason.
    pub float: BTreeMap<String, String>,
    /// Elements of a block of [`Scheme::WeightsInt8`] and [`Scheme::WeightsInt4`].
    pub block: usize,
    /// Integer weights of nodes by name; the others are rounded to the nearest.
    pub rounded: BTreeMap<String, Rounded>,
}

impl Choice {
    /// A scheme with nothing kept out of it.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            float: BTreeMap::new(),
            block: 32,
            rounded: BTreeMap::new(),
        }
    }
}

/// What a node with products became.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placement {
    /// Name of the node.
    pub node: String,
    /// Its multiply-accumulates; 0 where extents are not known.
    pub macs: u64,
    /// Type of its arithmetic.
    pub arithmetic: Arithmetic,
    /// Why it is in float, if it is.
    pub reason: Option<String>,
}

/// Type of a product's arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Products of `i8` summed in `i32`.
    Int8,
    /// `f16`.
    F16,
    /// `f32`.
    F32,
}

/// A quantized graph and what became of its nodes.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The graph, quantization part of its types.
    pub graph: Graph,
    /// Its nodes with products, in the order they run.
    pub placements: Vec<Placement>,
}

impl Quantized {
    /// Share of the multiply-accumulates that are of integers, in `0..=1`; 0 where extents are not known.
    pub fn integer_share(&self) -> f64 {
        let all: u64 = self.placements.iter().map(|placement| placement.macs).sum();
        let integer: u64 = self
            .placements
            .iter()
            .filter(|placement| placement.arithmetic == Arithmetic::Int8)
            .map(|placement| placement.macs)
            .sum();
        if all == 0 {
            0.0
        } else {
            integer as f64 / all as f64
        }
    }
}

/// Names of the values that a scheme needs ranges of.
pub fn wanted(graph: &Graph, choice: &Choice) -> BTreeSet<String> {
    match choice.scheme {
        Scheme::Int8 | Scheme::Int8Symmetric | Scheme::Mixed => {
            integer::wanted(graph, &assign::Assignment::new(graph, choice))
        }
        Scheme::F16 => half::wanted(graph),
        Scheme::Dynamic | Scheme::WeightsInt8 | Scheme::WeightsInt4 => BTreeSet::new(),
    }
}

/// Names of the nodes that a scheme makes integer arithmetic, those kept out by the choice left out.
pub fn integer_nodes(graph: &Graph, choice: &Choice) -> Vec<String> {
    let assignment = assign::Assignment::new(graph, choice);
    graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(n, node)| match choice.scheme {
            Scheme::Int8 | Scheme::Int8Symmetric => assignment.products(*n),
            Scheme::Dynamic => dynamic::fits(graph, node) && !choice.float.contains_key(&node.name),
            Scheme::Mixed => {
                assignment.products(*n)
                    || dynamic::fits(graph, node) && !choice.float.contains_key(&node.name)
            }
            Scheme::WeightsInt8 | Scheme::WeightsInt4 => {
                blocks::fits(graph, node) && !choice.float.contains_key(&node.name)
            }
            Scheme::F16 => !choice.float.contains_key(&node.name) && macs(graph, node) > 0,
        })
        .map(|(_, node)| node.name.clone())
        .collect()
}

/// Quantizes a simplified float graph by a scheme.
///
/// # Errors
/// [`ErrorKind::NoRange`] naming a tensor that the table lacks, [`ErrorKind::NotFinite`] naming a constant, or
/// [`ErrorKind::Graph`].
pub fn apply(graph: &Graph, table: Option<&Table>, choice: &Choice) -> Result<Quantized> {
    let need = || {
        table.ok_or_else(|| {
            Error::new(
                ErrorKind::NoRange,
                format!("scheme {}", choice.scheme.name()),
                "a calibration table",
                "none",
            )
        })
    };
    let mut quantized = graph.clone();
    match choice.scheme {
        Scheme::Int8 | Scheme::Int8Symmetric => integer::apply(&mut quantized, need()?, choice)?,
        Scheme::Mixed => {
            integer::apply(&mut quantized, need()?, choice)?;
            dynamic::apply(&mut quantized, choice)?;
        }
        Scheme::Dynamic => dynamic::apply(&mut quantized, choice)?,
        Scheme::WeightsInt8 => blocks::apply(&mut quantized, choice, 127)?,
        Scheme::WeightsInt4 => blocks::apply(&mut quantized, choice, 7)?,
        Scheme::F16 => half::apply(&mut quantized, need()?, choice)?,
    }
    passes::remove_dead(&mut quantized);
    quantized.sort()?;
    quantized.check()?;
    let bound = largest(&quantized)?;
    let placements = bound
        .nodes
        .iter()
        .filter_map(|node| placement(&bound, node, choice))
        .collect();
    Ok(Quantized {
        graph: quantized,
        placements,
    })
}

/// The graph with its symbols at their greatest.
///
/// # Errors
/// [`ErrorKind::Graph`] where it has no shapes then.
pub fn largest(graph: &Graph) -> Result<Graph> {
    let mut bound = graph.clone();
    for &id in &graph.inputs {
        let value = graph.value(id);
        let Some(dims) = &value.ty.dims else { continue };
        let extent = |dim: &Dim| match *dim {
            Dim::Known(n) => Some(n),
            Dim::Symbol(n) => graph.symbols.get(n).map(|symbol| symbol.max),
        };
        let Some(shape) = dims.iter().map(extent).collect::<Option<Vec<usize>>>() else {
            continue;
        };
        passes::bind(&mut bound, &value.name, passes::Binding::Shape(shape))?;
    }
    if !graph.symbols.is_empty() {
        limbic_graph::infer::infer(&mut bound)?;
    }
    Ok(bound)
}

fn placement(graph: &Graph, node: &Node, choice: &Choice) -> Option<Placement> {
    let products = matches!(
        node.op,
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm { .. } | Op::MatMul | Op::DynamicMatMul
    );
    if !products {
        return None;
    }
    let output = node.outputs.first().copied().flatten()?;
    let arithmetic = if crate::macs::is_integer(graph, node) {
        Arithmetic::Int8
    } else if graph.value(output).ty.dtype == limbic_graph::Dtype::F16 {
        Arithmetic::F16
    } else {
        Arithmetic::F32
    };
    let reason = (arithmetic == Arithmetic::F32).then(|| {
        choice
            .float
            .get(&node.name)
            .cloned()
            .unwrap_or_else(|| unfit(graph, node, choice))
    });
    Some(Placement {
        node: node.name.clone(),
        macs: macs(graph, node),
        arithmetic,
        reason,
    })
}

/// Why a scheme left a node in float that nobody kept out.
fn unfit(graph: &Graph, node: &Node, choice: &Choice) -> String {
    let activations = node
        .inputs
        .iter()
        .take(2)
        .flatten()
        .filter(|id| graph.constant(**id).is_none())
        .count();
    match choice.scheme {
        Scheme::WeightsInt8 | Scheme::WeightsInt4 => "the scheme keeps arithmetic in float".to_owned(),
        Scheme::Dynamic | Scheme::Mixed if activations == 2 => "a product of two activations".to_owned(),
        Scheme::Dynamic => "the scheme is for matrix products with constant weights".to_owned(),
        _ => "weights, factors or shapes that the scheme has no integer form for".to_owned(),
    }
}

#[cfg(test)]
mod tests;
