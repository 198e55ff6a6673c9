//! Programs of a manifest: one plan for each concrete signature.

use limbic_bundle::{Role, Signature};
use limbic_graph::passes::{Binding, bind, remove_dead, simplify};
use limbic_graph::{Error, ErrorKind, Graph, Result, ValueId};

use crate::{Shared, compile_shared};

/// Compiles the graph of a program for each of its signatures, in their order; the plans share one weight pack.
///
/// # Errors
/// As [`crate::compile`], naming the signature; [`ErrorKind::Shape`] for a signature with a free extent, for which
/// buckets are to be given; [`ErrorKind::Name`] for a tensor that the graph does not have.
pub fn compile_program(graph: &Graph, signatures: &[Signature]) -> Result<Shared> {
    let graphs = signatures
        .iter()
        .map(|signature| {
            specialise(graph, signature).map_err(|e| e.within(format!("signature {}", signature.name)))
        })
        .collect::<Result<Vec<_>>>()?;
    compile_shared(&graphs)
}

/// The part of a graph that a signature runs, its extents bound to numbers.
///
/// # Errors
/// As [`compile_program`], but for what the engine lacks.
pub fn specialise(graph: &Graph, signature: &Signature) -> Result<Graph> {
    let mut graph = graph.clone();
    graph.name = format!("{} {}", graph.name, signature.name).trim().to_owned();
    for tensor in signature.tensors.iter().filter(|t| t.role != Role::Output) {
        let shape = tensor.fixed_dims().ok_or_else(|| {
            Error::new(
                ErrorKind::Shape,
                format!("input {}", tensor.name),
                "extents that are numbers: give buckets for its symbols",
                tensor.shape(),
            )
        })?;
        bind(&mut graph, &tensor.name, Binding::Shape(shape))?;
    }
    let mut outputs = Vec::new();
    let mut states = Vec::new();
    for tensor in &signature.tensors {
        match (tensor.role, &tensor.next) {
            (Role::Output, _) => outputs.push(named(&graph, &graph.outputs, &tensor.name, "output")?),
            (Role::State, Some(next)) => {
                let next = named(&graph, &graph.outputs, next, "output")?;
                let input = named(&graph, &graph.inputs, &tensor.name, "input")?;
                outputs.push(next);
                states.push((input, next));
            }
            _ => {}
        }
    }
    (graph.outputs, graph.states) = (outputs, states);
    remove_dead(&mut graph);
    simplify(&mut graph)?;
    Ok(graph)
}

fn named(graph: &Graph, among: &[ValueId], name: &str, what: &str) -> Result<ValueId> {
    let known = || among.iter().map(|&id| (id, graph.value(id).name.as_str()));
    let found = known().find(|(_, known)| *known == name).map(|(id, _)| id);
    found.ok_or_else(|| {
        let names: Vec<&str> = known().map(|(_, name)| name).collect();
        Error::new(
            ErrorKind::Name,
            format!("{what} {name}"),
            format!("one of {}", names.join(", ")),
            "none of that name",
        )
    })
}
