//! Constants and branches, and the operators that are not read.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::node::{Source, Step};
use super::{Frame, Importer, Named, attributes};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::Graph;
use crate::onnx::proto::GraphProto;
use crate::onnx::tensor;
use crate::op::Op;
use crate::tensor::Tensor;

/// Operators of `ai.onnx` that no version of is read: sequences, optionals, text, pictures, loops, random numbers.
pub(super) const REFUSED: &[&str] = &[
    "Bernoulli",
    "ConcatFromSequence",
    "ImageDecoder",
    "Loop",
    "MaxRoiPool",
    "MelWeightMatrix",
    "Multinomial",
    "Optional",
    "OptionalGetElement",
    "OptionalHasElement",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "RegexFullMatch",
    "Scan",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
    "SequenceMap",
    "SplitToSequence",
    "StringConcat",
    "StringNormalizer",
    "StringSplit",
    "TfIdfVectorizer",
];

/// The tensor of a `Constant` node.
pub(super) fn constant(node: &Source<'_>, folder: Option<&Path>) -> Result<Tensor> {
    let a = &node.attributes;
    if let Some(proto) = a.tensor("value")? {
        return tensor::tensor(proto, folder);
    }
    if let Some(value) = a.optional_float("value_float")? {
        return Ok(Tensor::scalar(value));
    }
    if let Some(value) = a.optional_int("value_int")? {
        return Ok(Tensor::scalar(value));
    }
    if let Some(values) = a.floats("value_floats")? {
        return Ok(Tensor::vector(values.to_vec()));
    }
    if let Some(values) = a.ints("value_ints")? {
        return Ok(Tensor::vector(values.to_vec()));
    }
    let name = a.unread().unwrap_or("value");
    Err(attributes::unsupported(
        name,
        "a tensor or numbers",
        "another value",
    ))
}

/// An `If`: what its branches read of the graph around them becomes inputs of both, constants excepted.
pub(super) fn branch<'p>(
    importer: &mut Importer<'p>,
    frame: &Frame<'p>,
    node: &Source<'p>,
) -> Result<Vec<Step>> {
    let then = node.attributes.graph("then_branch")?;
    let otherwise = node.attributes.graph("else_branch")?;
    let mut free = Vec::new();
    for branch in [then, otherwise] {
        free_names(branch, &mut BTreeSet::new(), &mut free);
    }
    let mut seen = BTreeSet::new();
    free.retain(|name| seen.insert(*name));
    let mut captured = Vec::new();
    let mut names: HashMap<&'p str, Named> = HashMap::new();
    for name in free {
        match frame.names.get(name) {
            Some(Named::Value(id)) => captured.push((name, *id)),
            Some(other) => {
                names.insert(name, *other);
            }
            None => {
                return Err(Error::new(
                    ErrorKind::Order,
                    "",
                    "values made before the branch",
                    name,
                ));
            }
        }
    }
    let before = importer.problems.len();
    let mut read = |graph| read_branch(importer, frame, &names, &captured, graph);
    let wanted = [then.outputs.len(), otherwise.outputs.len()];
    let then = Box::new(read(then)?);
    let otherwise = Box::new(read(otherwise)?);
    if importer.problems.len() > before || [then.outputs.len(), otherwise.outputs.len()] != wanted {
        // What is not supported, in the branches or before them, is listed; the node itself is nothing new.
        return Ok(Vec::new());
    }
    let mut inputs = vec![Some(node.input(0)?)];
    let run_time = captured
        .iter()
        .filter(|(_, id)| importer.graph.constant(*id).is_none());
    inputs.extend(run_time.map(|(_, id)| Some(*id)));
    Ok(node.with(Op::If { then, otherwise }, inputs))
}

/// Reads the graph of a branch.
fn read_branch<'p>(
    importer: &mut Importer<'p>,
    around: &Frame<'p>,
    names: &HashMap<&'p str, Named>,
    captured: &[(&'p str, crate::graph::ValueId)],
    proto: &'p GraphProto<'p>,
) -> Result<Graph> {
    let mut inner = Importer::new(proto.name, importer.model, importer.folder);
    inner.graph.symbols = importer.graph.symbols.clone();
    let mut frame = Frame {
        names: names.clone(),
        opsets: around.opsets,
        arguments: around.arguments.clone(),
        prefix: String::new(),
        calls: around.calls,
    };
    for (name, id) in captured {
        let outer = importer.graph.value(*id);
        let id = match &outer.constant {
            Some(tensor) => inner.constant(name, tensor.clone()),
            None => {
                let unique = inner.value_name(name);
                inner.graph.add_input(unique, outer.ty.clone())
            }
        };
        frame.names.insert(name, Named::Value(id));
    }
    inner.body(&mut frame, proto)?;
    inner.outputs(&frame, proto)?;
    importer.problems.append(&mut inner.problems);
    Ok(inner.graph)
}

/// The names that a graph reads and neither it nor a graph around it makes, in order.
fn free_names<'p>(graph: &'p GraphProto<'p>, made: &mut BTreeSet<&'p str>, free: &mut Vec<&'p str>) {
    let mut own = Vec::new();
    let mut make = |name: &'p str, made: &mut BTreeSet<&'p str>| {
        if made.insert(name) {
            own.push(name);
        }
    };
    for tensor in &graph.initializers {
        make(tensor.name, made);
    }
    for input in &graph.inputs {
        make(input.name, made);
    }
    for node in &graph.nodes {
        free.extend(
            node.inputs
                .iter()
                .filter(|n| !n.is_empty() && !made.contains(**n)),
        );
        for inner in node.attributes.iter().filter_map(|a| a.graph.as_deref()) {
            free_names(inner, made, free);
        }
        for output in &node.outputs {
            make(output, made);
        }
    }
    let outputs = graph.outputs.iter().map(|o| o.name);
    free.extend(outputs.filter(|n| !n.is_empty() && !made.contains(n)));
    for name in own {
        made.remove(name);
    }
}
