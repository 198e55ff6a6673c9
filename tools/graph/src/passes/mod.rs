//! Changes of a graph that keep its answers.
//!
//! [`simplify`] is what a converter wants: it binds nothing, but once extents are numbers it leaves only nodes that
//! compute something from the inputs. The other passes are its parts and can be used alone.

mod attention;
mod batch_norm;
mod bind;
mod constants;
mod control;
mod dead;
mod dynamic;
mod fuse;
mod groups;
mod identity;
mod normalization;
mod quantized;
mod spectrum;
mod transpose;
mod written;

pub use attention::expand_attention;
pub use batch_norm::fold_batch_norm;
pub use bind::{Binding, bind, bind_symbol};
pub use constants::fold_constants;
pub use control::choose_branches;
pub use dead::remove_dead;
pub use dynamic::fuse_dynamic_products;
pub use fuse::fuse_patterns;
pub use groups::fuse_group_normalization;
pub use identity::remove_identities;
pub use normalization::expand_layer_normalization;
pub use quantized::fuse_quantized;
pub use spectrum::expand_transforms;
pub use transpose::cancel_transposes;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::Graph;
use crate::infer::infer;

/// Rounds of passes before a graph counts as one that never settles.
const ROUNDS: usize = 64;

/// Infers types, folds constants, branches, batch normalisations and transposes, fuses common patterns and removes
/// what is left without use, until nothing changes.
///
/// # Errors
/// As [`infer`] and the interpreter on constant nodes.
pub fn simplify(graph: &mut Graph) -> Result<()> {
    graph.sort()?;
    for _ in 0..ROUNDS {
        infer(graph)?;
        let mut changed = choose_branches(graph)?;
        changed |= fold_constants(graph)?;
        changed |= remove_identities(graph);
        changed |= cancel_transposes(graph)?;
        changed |= fold_batch_norm(graph)?;
        changed |= fuse_patterns(graph)?;
        remove_dead(graph);
        graph.sort()?;
        if !changed {
            graph.check()?;
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Limit,
        &graph.name,
        format!("a graph that settles in {ROUNDS} rounds"),
        "more changes",
    ))
}
