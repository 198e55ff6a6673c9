//! Branches on conditions that are known.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::op::Op;

/// Puts the branch that will run in place of each `If` whose condition is a constant; returns whether there was one.
///
/// # Errors
/// [`ErrorKind::Dtype`] if a condition is not a `bool`, [`ErrorKind::Name`] if a branch and its node do not fit.
pub fn choose_branches(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    let mut n = 0;
    while n < graph.nodes.len() {
        let chosen = chosen_branch(graph, n)?;
        match chosen {
            Some(branch) => {
                inline(graph, n, branch)?;
                changed = true;
            }
            None => n += 1,
        }
    }
    Ok(changed)
}

fn chosen_branch(graph: &Graph, n: usize) -> Result<Option<Graph>> {
    let node = &graph.nodes[n];
    let Op::If { then, otherwise } = &node.op else {
        return Ok(None);
    };
    let Some(condition) = node
        .inputs
        .first()
        .copied()
        .flatten()
        .and_then(|id| graph.constant(id))
    else {
        return Ok(None);
    };
    let of_node = |e: Error| e.within(format!("node {}", node.name));
    let truth = condition.elements::<bool>().map_err(of_node)?;
    let Some(&truth) = truth.first() else {
        return Err(of_node(Error::new(
            ErrorKind::Shape,
            "condition",
            "one element",
            "none",
        )));
    };
    Ok(Some(if truth {
        (**then).clone()
    } else {
        (**otherwise).clone()
    }))
}

/// Replaces node `n` by the nodes of a graph whose inputs are the node's inputs behind the first.
fn inline(graph: &mut Graph, n: usize, branch: Graph) -> Result<()> {
    let node = graph.nodes.remove(n);
    let captures = &node.inputs[1..];
    if captures.len() != branch.inputs.len() || node.outputs.len() > branch.outputs.len() {
        return Err(Error::new(
            ErrorKind::Name,
            format!("node {}", node.name),
            format!(
                "{} captures and {} outputs",
                branch.inputs.len(),
                branch.outputs.len()
            ),
            format!("{} and {}", captures.len(), node.outputs.len()),
        ));
    }
    let mut place: HashMap<ValueId, ValueId> = HashMap::new();
    for (inner, outer) in branch.inputs.iter().zip(captures) {
        if let Some(outer) = outer {
            place.insert(*inner, *outer);
        }
    }
    for (inner, outer) in branch.outputs.iter().zip(&node.outputs) {
        // An output that is an input or a constant of the branch has no node to give the outer name to.
        let made = branch
            .nodes
            .iter()
            .any(|node| node.outputs.contains(&Some(*inner)));
        if let (Some(outer), true) = (outer, made && !place.contains_key(inner)) {
            place.insert(*inner, *outer);
        }
    }
    for (i, value) in branch.values.iter().enumerate() {
        let inner = ValueId(i);
        if place.contains_key(&inner) {
            continue;
        }
        let name = graph.unique_name(&value.name);
        let id = graph.add_value(name, value.ty.clone());
        graph.value_mut(id).constant = value.constant.clone();
        place.insert(inner, id);
    }
    let moved = |ids: &[Option<ValueId>]| {
        ids.iter()
            .map(|id| id.and_then(|id| place.get(&id).copied()))
            .collect()
    };
    let mut nodes = Vec::with_capacity(branch.nodes.len() + 1);
    for inner in &branch.nodes {
        nodes.push(Node {
            name: graph.unique_name(&format!("{}/{}", node.name, inner.name)),
            op: inner.op.clone(),
            inputs: moved(&inner.inputs),
            outputs: moved(&inner.outputs),
        });
    }
    for (k, (inner, outer)) in branch.outputs.iter().zip(&node.outputs).enumerate() {
        if let Some(outer) = outer
            && place.get(inner) != Some(outer)
        {
            nodes.push(Node {
                name: graph.unique_name(&format!("{}/output_{k}", node.name)),
                op: Op::Identity,
                inputs: vec![place.get(inner).copied()],
                outputs: vec![Some(*outer)],
            });
        }
    }
    // The two branches may give an output different extents; those of the one that runs are found anew.
    for outer in node.outputs.iter().flatten() {
        graph.value_mut(*outer).ty.dims = None;
    }
    graph.nodes.splice(n..n, nodes);
    Ok(())
}
