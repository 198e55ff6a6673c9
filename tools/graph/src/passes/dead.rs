//! Removal of what no output needs.

use crate::graph::{Graph, Node, ValueId};

/// Removes nodes that no output needs, outputs of nodes that nobody reads, and values that are then unused.
///
/// Inputs stay, read or not.
pub fn remove_dead(graph: &mut Graph) {
    let mut needed = vec![false; graph.values.len()];
    for id in &graph.outputs {
        needed[id.0] = true;
    }
    let mut kept: Vec<Node> = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes).into_iter().rev() {
        for output in &mut node.outputs {
            if output.is_some_and(|id| !needed[id.0]) {
                *output = None;
            }
        }
        if node.outputs.iter().all(Option::is_none) {
            continue;
        }
        while node.outputs.last() == Some(&None) {
            node.outputs.pop();
        }
        for id in node.inputs.iter().flatten() {
            needed[id.0] = true;
        }
        kept.push(node);
    }
    kept.reverse();
    graph.nodes = kept;
    for id in &graph.inputs {
        needed[id.0] = true;
    }
    drop_values(graph, &needed);
}

/// Drops the values that are not kept and numbers the rest anew.
fn drop_values(graph: &mut Graph, kept: &[bool]) {
    let mut place = vec![ValueId(0); graph.values.len()];
    let mut next = 0;
    for (n, &keep) in kept.iter().enumerate() {
        if keep {
            place[n] = ValueId(next);
            next += 1;
        }
    }
    let mut n = 0;
    graph.values.retain(|_| {
        n += 1;
        kept[n - 1]
    });
    let move_all = |ids: &mut [Option<ValueId>]| {
        for id in ids.iter_mut().flatten() {
            *id = place[id.0];
        }
    };
    for node in &mut graph.nodes {
        move_all(&mut node.inputs);
        move_all(&mut node.outputs);
    }
    for id in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        *id = place[id.0];
    }
    for (input, output) in &mut graph.states {
        *input = place[input.0];
        *output = place[output.0];
    }
}
