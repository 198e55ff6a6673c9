//! Changes of a graph that make steps fewer or larger.

use limbic_graph::passes::{
    expand_attention, expand_transforms, fuse_dynamic_products, fuse_group_normalization, fuse_quantized,
    remove_dead,
};
use limbic_graph::{Graph, Result, infer};

/// The graph whose nodes are lowered.
pub(crate) fn prepared(graph: &Graph) -> Result<Graph> {
    let mut graph = graph.clone();
    if fuse_quantized(&mut graph)? {
        remove_dead(&mut graph);
        infer::infer(&mut graph)?;
    }
    if fuse_dynamic_products(&mut graph)? {
        remove_dead(&mut graph);
        infer::infer(&mut graph)?;
    }
    if fuse_group_normalization(&mut graph)? {
        remove_dead(&mut graph);
        infer::infer(&mut graph)?;
    }
    // What the engine has no kernel of its own for.
    expand_attention(&mut graph)?;
    expand_transforms(&mut graph)?;
    Ok(graph)
}
