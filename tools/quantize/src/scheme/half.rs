//! Half precision, with islands of `f32` where its range or precision is too small.

use std::collections::{BTreeSet, HashMap};

use half::f16;
use limbic_graph::op::{Binary, Reduce, Unary};
use limbic_graph::{Dtype, Graph, Node, Op, Tensor, TensorType, ValueId};

use crate::calibrate::Table;
use crate::error::Result;
use crate::scheme::Choice;

/// Largest magnitude seen in calibration that is trusted to `f16`: half of what it holds.
const LARGEST: f32 = 32_752.0;

/// Names of the values whose ranges are scanned for overflow: every float that a node makes or the caller gives.
pub(super) fn wanted(graph: &Graph) -> BTreeSet<String> {
    let made = graph.nodes.iter().flat_map(|node| node.outputs.iter().flatten());
    made.chain(&graph.inputs)
        .map(|id| graph.value(*id))
        .filter(|value| value.ty.dtype == Dtype::F32 && value.constant.is_none())
        .map(|value| value.name.clone())
        .collect()
}

/// Whether an operation stays in `f32` whatever its values: norms, softmax, exponentials, sums and squares.
fn is_island(node: &Node) -> bool {
    matches!(
        node.op,
        Op::Softmax { .. }
            | Op::LogSoftmax { .. }
            | Op::LayerNormalization { .. }
            | Op::RmsNormalization { .. }
            | Op::InstanceNormalization { .. }
            | Op::GroupNormalization { .. }
            | Op::BatchNormalization { .. }
            | Op::MeanVarianceNormalization { .. }
            | Op::LocalResponseNormalization { .. }
            | Op::LpNormalization { .. }
            | Op::Attention(_)
            | Op::Recurrent(_)
            | Op::Cumulative { .. }
            | Op::Dft { .. }
            | Op::Stft { .. }
            | Op::Unary(
                Unary::Exp | Unary::Log | Unary::Softplus | Unary::Reciprocal | Unary::Rsqrt | Unary::Sqrt
            )
            | Op::Binary(Binary::Pow | Binary::Div | Binary::SquaredDifference)
            | Op::Reduce {
                function: Reduce::Sum
                    | Reduce::Mean
                    | Reduce::Prod
                    | Reduce::L1
                    | Reduce::L2
                    | Reduce::LogSum
                    | Reduce::LogSumExp
                    | Reduce::SumSquare,
                ..
            }
            | Op::If { .. }
            | Op::Requantize
            | Op::Quantize(_)
            | Op::Dequantize(_)
            | Op::DynamicQuantize
            | Op::DynamicMatMul
    )
}

/// Turns what is neither an island, nor kept out, nor makes an output of the graph, nor overflows into `f16`.
pub(super) fn apply(graph: &mut Graph, table: &Table, choice: &Choice) -> Result<()> {
    let float = |graph: &Graph, id: ValueId| graph.value(id).ty.dtype == Dtype::F32;
    let mut halves: HashMap<ValueId, ValueId> = HashMap::new();
    let mut reals: HashMap<ValueId, ValueId> = HashMap::new();
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        let floats = node
            .inputs
            .iter()
            .chain(&node.outputs)
            .flatten()
            .any(|id| float(graph, *id));
        let overflows = |id: ValueId| -> Result<bool> {
            if graph.constant(id).is_some() || !float(graph, id) {
                return Ok(false);
            }
            let range = table.range(&graph.value(id).name)?;
            Ok(range.min.abs().max(range.max.abs()) > LARGEST)
        };
        let mut too_large = false;
        if floats {
            for id in node.inputs.iter().chain(&node.outputs).flatten() {
                // A value that is `f16` already was seen not to overflow.
                too_large |= !halves.contains_key(id) && !reals.contains_key(id) && overflows(*id)?;
            }
        }
        let output = node.outputs.iter().flatten().any(|id| graph.outputs.contains(id));
        let stays = is_island(&node) || output || too_large || choice.float.contains_key(&node.name);
        for id in node.inputs.iter_mut().flatten() {
            if !floats {
                continue;
            }
            *id = if stays {
                real(graph, &mut nodes, &halves, &mut reals, *id)
            } else if float(graph, *id) || halves.contains_key(id) {
                half(graph, &mut nodes, &mut halves, *id)?
            } else {
                *id
            };
        }
        if floats && !stays {
            for id in node.outputs.iter().flatten() {
                let value = graph.value_mut(*id);
                if value.ty.dtype == Dtype::F32 {
                    value.ty.dtype = Dtype::F16;
                    halves.insert(*id, *id);
                }
            }
            if let Op::Cast { to, .. } = &mut node.op
                && *to == Dtype::F32
            {
                *to = Dtype::F16;
            }
        }
        nodes.push(node);
    }
    graph.nodes = nodes;
    Ok(())
}

/// The `f16` form of a value.
fn half(
    graph: &mut Graph,
    nodes: &mut Vec<Node>,
    halves: &mut HashMap<ValueId, ValueId>,
    id: ValueId,
) -> Result<ValueId> {
    if let Some(&half) = halves.get(&id) {
        return Ok(half);
    }
    let name = graph.unique_name(&format!("{}.f16", graph.value(id).name));
    let half = match graph.constant(id) {
        Some(tensor) => {
            let values: Vec<f16> = tensor
                .elements::<f32>()?
                .iter()
                .map(|&x| f16::from_f32(x))
                .collect();
            let tensor = Tensor::new(tensor.shape(), values)?;
            graph.add_constant(name, tensor)
        }
        None => cast(graph, nodes, name, id, Dtype::F16),
    };
    halves.insert(id, half);
    Ok(half)
}

/// The `f32` form of a value.
fn real(
    graph: &mut Graph,
    nodes: &mut Vec<Node>,
    halves: &HashMap<ValueId, ValueId>,
    reals: &mut HashMap<ValueId, ValueId>,
    id: ValueId,
) -> ValueId {
    if halves.get(&id) != Some(&id) {
        return id;
    }
    if let Some(&real) = reals.get(&id) {
        return real;
    }
    let name = graph.unique_name(&format!("{}.f32", graph.value(id).name));
    let real = cast(graph, nodes, name, id, Dtype::F32);
    reals.insert(id, real);
    real
}

fn cast(graph: &mut Graph, nodes: &mut Vec<Node>, name: String, from: ValueId, to: Dtype) -> ValueId {
    let ty = TensorType {
        dtype: to,
        ..graph.value(from).ty.clone()
    };
    let made = graph.add_value(name.clone(), ty);
    nodes.push(Node {
        name,
        op: Op::Cast { to, saturate: false },
        inputs: vec![Some(from)],
        outputs: vec![Some(made)],
    });
    made
}
