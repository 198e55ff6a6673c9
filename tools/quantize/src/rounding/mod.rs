//! Weights rounded so that a layer's outputs on the calibration set change least.

mod layer;
mod moments;
mod solve;

use limbic_graph::{Graph, Op, Tensor, ValueId, interpret, passes};
use ndarray::{Array2, Axis, Slice};

use crate::calibrate::Table;
use crate::control::Judge;
use crate::error::Result;
use crate::scheme::{self, Choice};

use layer::{Layer, Operand};
use moments::Moments;

/// Rows of a layer's input that are taken from each calibration input, spread over all of them.
const ROWS: usize = 512;

/// Share of the mean second moment that is added to each input's own: keeps rare inputs from being trusted too far.
const DAMPING: f64 = 0.01;

/// Rows for each weight of a kernel from which on the real weights are fitted again before they are rounded.
const ROWS_TO_FIT: usize = 8;

/// Weights of a node as they were rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounded {
    /// `i8`, in the layout that the scheme gives the node.
    pub weights: Tensor,
    /// The bias that belongs to them.
    pub bias: Option<Vec<f32>>,
}

/// Layers that read one tensor, all of it in the same way.
struct Stage {
    input: ValueId,
    nodes: Vec<usize>,
}

/// Rounds the weights of the nodes that a choice makes integer arithmetic, layer by layer in the order they run, and
/// puts them into the choice.
///
/// For each layer with weights `W`, inputs `x` of the float graph and inputs `z` of the graph quantized so far, `sum z
/// z^T` and `sum z (W x)^T` over rows of the first `count` calibration inputs give the weights of least squared error
/// `|W x - V z|`, damped towards `W`; these are rounded by [`solve::round`], and the bias takes the mean error that is
/// left. Two networks, one input and the moments of one tensor's readers are in memory at a time.
///
/// # Errors
/// As [`scheme::apply`], the interpreter, or what the judge gives.
pub(crate) fn calibrate(
    graph: &Graph,
    table: Option<&Table>,
    choice: &mut Choice,
    count: usize,
    judge: &mut dyn Judge,
) -> Result<()> {
    let stages = stages(graph, choice);
    for (n, stage) in stages.iter().enumerate() {
        judge.progress("round weights", n, stages.len());
        let quantized = scheme::apply(graph, table, choice)?.graph;
        let layers: Vec<Layer> = stage
            .nodes
            .iter()
            .filter_map(|&node| Layer::new(graph, &quantized, node))
            .collect();
        let Some(first) = layers.first() else { continue };
        let exact = prefix(graph, stage.input);
        let rounded = prefix(&quantized, first.input);
        let outputs: usize = layers.iter().map(|layer| layer.kernels / layer.groups()).sum();
        let mut moments = vec![Moments::new(first.depth(), outputs); first.groups()];
        let mut input = 0;
        while input < count
            && let Some(tensors) = judge.calibration(input)?
        {
            let x = one(interpret::run(&exact, &tensors)?)?;
            let z = one(interpret::run(&rounded, &tensors)?)?;
            gather(first, &layers, &x, &z, input, &mut moments)?;
            input += 1;
        }
        for (name, rounded) in layer::round(&layers, moments)? {
            choice.rounded.insert(name, rounded);
        }
    }
    Ok(())
}

/// The layers to round, those that read one tensor as rows together.
fn stages(graph: &Graph, choice: &Choice) -> Vec<Stage> {
    let names = scheme::integer_nodes(graph, choice);
    let mut stages: Vec<Stage> = Vec::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let rows = matches!(node.op, Op::MatMul | Op::Gemm { .. });
        let (true, Some(Some(input))) = (rows || matches!(node.op, Op::Conv(_)), node.inputs.first()) else {
            continue;
        };
        if !names.contains(&node.name) {
            continue;
        }
        let like = |stage: &&mut Stage| {
            let first = stage.nodes.first().and_then(|&n| graph.nodes.get(n));
            rows && stage.input == *input && first.is_some_and(|first| !matches!(first.op, Op::Conv(_)))
        };
        match stages.iter_mut().find(like) {
            Some(stage) => stage.nodes.push(n),
            None => stages.push(Stage {
                input: *input,
                nodes: vec![n],
            }),
        }
    }
    stages
}

/// The part of a graph that makes a value.
fn prefix(graph: &Graph, id: ValueId) -> Graph {
    let mut part = graph.clone();
    part.outputs = vec![id];
    passes::remove_dead(&mut part);
    part
}

fn one(mut outputs: Vec<Tensor>) -> Result<Tensor> {
    let tensor = outputs.pop().unwrap_or_else(|| Tensor::vector(Vec::<f32>::new()));
    Ok(tensor.dequantized()?)
}

/// Adds rows of one input to the moments of each group.
fn gather(
    first: &Layer,
    layers: &[Layer],
    x: &Tensor,
    z: &Tensor,
    input: usize,
    moments: &mut [Moments],
) -> Result<()> {
    let (x, z) = (Operand::new(first, x)?, Operand::new(first, z)?);
    let taken = spread(x.rows().min(z.rows()), input);
    for (group, moments) in moments.iter_mut().enumerate() {
        let depth = first.depth();
        let matrix = |operand: &Operand<'_>| -> Option<Array2<f64>> {
            let mut rows = Vec::with_capacity(taken.len() * depth);
            for &row in &taken {
                operand.gather(group, row, &mut rows);
            }
            Array2::from_shape_vec((taken.len(), depth), rows).ok()
        };
        let (Some(x), Some(mut z)) = (matrix(&x), matrix(&z)) else {
            continue;
        };
        if first.by_row {
            layer::round_rows(&mut z);
        }
        let mut wanted = Array2::zeros((taken.len(), moments.outputs.ncols()));
        let mut from = 0;
        for layer in layers {
            let kernels = layer.group(group);
            let until = from + kernels.nrows();
            wanted
                .slice_axis_mut(Axis(1), Slice::from(from..until))
                .assign(&x.dot(&kernels.t()));
            from = until;
        }
        moments.add(z.view(), wanted.view());
    }
    Ok(())
}

/// At most [`ROWS`] of `rows` rows: steps of the golden ratio, which fall on all places of a grid alike.
fn spread(rows: usize, input: usize) -> Vec<usize> {
    if rows <= ROWS {
        return (0..rows).collect();
    }
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let place = |n: usize| {
        let turn = ((input * ROWS + n) as f64 * golden).fract();
        ((turn * rows as f64) as usize).min(rows - 1)
    };
    (0..ROWS).map(place).collect()
}

#[cfg(test)]
mod tests;
