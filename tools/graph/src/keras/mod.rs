//! Keras models: the `model_config` of an HDF5 file with the weights beside it.
//!
//! Keras' tensors are channels-last unless a layer says otherwise. Reading puts a `Transpose` around each spatial
//! operation and permutes weights; [`crate::passes`] cancels what meets its inverse.

mod activation;
mod builder;
mod config;
mod contents;
mod convolution;
mod core;
mod merge;
mod network;
mod normalization;
mod pool;
mod recurrent;
mod shape;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::Graph;
use crate::tensor::Tensor;
use builder::Builder;

pub use contents::contents;

/// Gives the graph of a Keras 2.0 to 2.15 model, from the JSON of its `model_config`.
///
/// `weights` is asked for a layer and a weight of it: `kernel`, `bias`, `gamma`, ... A layer inside another model is
/// asked for as `model/layer`; the directions of `Bidirectional` are weights `forward/kernel`, `backward/kernel`, ...
/// [`find_weight`] finds it among the names that an HDF5 file has for the layer.
///
/// Values are named after the layers. The first axis of every input is the symbol `batch`; other open extents are
/// `NAME.AXIS`.
///
/// # Errors
/// [`ErrorKind::Malformed`] for a damaged configuration; [`ErrorKind::Unsupported`] listing all layers that are not
/// known, each with its name; whatever `weights` gives.
pub fn read(model_config: &str, weights: &mut dyn FnMut(&str, &str) -> Result<Tensor>) -> Result<Graph> {
    let config: Value = serde_json::from_str(model_config)
        .map_err(|e| Error::new(ErrorKind::Malformed, "model_config", "JSON", e))?;
    let mut builder = Builder::new(weights);
    let network = network::Network::new(&config)?;
    builder.graph.name = network.name().to_owned();
    let inputs = network.inputs(&mut builder)?;
    let outputs = network.apply(&mut builder, "", &inputs)?;
    builder.finish(outputs)
}

/// Finds a weight that [`read`] asks for among the names that a file has for its layer, such as
/// `conv2d_1_1/kernel:0` or `bidirectional/forward_lstm/lstm_cell/kernel:0`.
///
/// `layer` is what [`read`] gave: the file's group is its first part, and further parts are looked for in the names.
pub fn find_weight<'a>(names: &[&'a str], layer: &str, weight: &str) -> Option<&'a str> {
    let (direction, weight) = match weight.split_once('/') {
        Some((direction, weight)) => (Some(direction), weight),
        None => (None, weight),
    };
    let inner: Vec<&str> = layer.split('/').skip(1).collect();
    names.iter().copied().find(|name| {
        let path = name.rsplit_once(':').map_or(*name, |(path, _)| path);
        let mut parts: Vec<&str> = path.split('/').collect();
        let last = parts.pop();
        let has = |part: &str| parts.contains(&part);
        last == Some(weight)
            && inner.iter().all(|part| has(part))
            && direction.is_none_or(|direction| {
                parts.iter().any(|part| {
                    part.strip_prefix(direction)
                        .is_some_and(|rest| rest.starts_with('_'))
                })
            })
    })
}
