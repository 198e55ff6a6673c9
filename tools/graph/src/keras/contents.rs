//! The listing of a model's layers and interface.

use serde_json::Value;

use super::network::Network;
use crate::contents::{Contents, Counted, ListedTensor};
use crate::error::{Error, ErrorKind, Result};

/// Lists the layers of a Keras 2.0 to 2.15 model by class, whether or not they are known here, from the JSON of its
/// `model_config`. Parameters are not in it; the extents of outputs are left open.
///
/// # Errors
/// [`ErrorKind::Malformed`], [`ErrorKind::Limit`] or [`ErrorKind::Unsupported`] for what is no model of layers.
pub fn contents(model_config: &str) -> Result<Contents> {
    let config: Value = serde_json::from_str(model_config)
        .map_err(|e| Error::new(ErrorKind::Malformed, "model_config", "JSON", e))?;
    let network = Network::new(&config)?;
    let mut operators = Counted::default();
    network.count(&mut operators);
    let inputs = network.stated_inputs()?.into_iter();
    let extent = |extent: Option<usize>| extent.map_or_else(|| "?".to_owned(), |n| n.to_string());
    Ok(Contents {
        inputs: inputs
            .map(|(name, dtype, extents)| ListedTensor {
                name,
                dtype: dtype.to_string(),
                dims: Some(extents.into_iter().map(extent).collect()),
            })
            .collect(),
        outputs: network
            .output_names()
            .map(|name| ListedTensor {
                name: name.to_owned(),
                dtype: "f32".to_owned(),
                dims: None,
            })
            .collect(),
        operators: operators.finish(),
        ..Contents::default()
    })
}
