//! The listing of a file's operators, interface and constants.

use super::model::{File, Kind};
use crate::contents::{Contents, Counted, ListedTensor};
use crate::error::Result;

/// Lists what a TFLite file holds, whether or not its operators are known here; no element is read.
///
/// # Errors
/// [`crate::ErrorKind::Malformed`] or [`crate::ErrorKind::Limit`] for a damaged file;
/// [`crate::ErrorKind::Unsupported`] for another schema or several subgraphs.
pub fn contents(bytes: &[u8]) -> Result<Contents> {
    let budget = File::budget(bytes);
    let file = File::new(bytes, &budget)?;
    let mut operators = Counted::default();
    for operator in &file.operators {
        match operator.code.strip_prefix("CUSTOM ") {
            Some(name) => operators.add(&format!("CUSTOM::{name}"), true),
            None => operators.add(&operator.code, false),
        }
    }
    let listed = |&index: &usize| {
        let tensor = &file.tensors[index];
        let extents = tensor.shape.iter().zip(&tensor.fixed);
        ListedTensor {
            name: tensor.name.to_owned(),
            dtype: match tensor.kind {
                Kind::Plain(dtype) => dtype.to_string(),
                Kind::Complex64 => "complex64".to_owned(),
                Kind::I4 => "i4".to_owned(),
                Kind::Unknown(number) => format!("type {number}"),
            },
            dims: Some(
                extents
                    .map(|(extent, fixed)| {
                        if *fixed {
                            extent.to_string()
                        } else {
                            "?".to_owned()
                        }
                    })
                    .collect(),
            ),
        }
    };
    let (mut parameters, mut parameter_bytes) = (0u64, 0u64);
    for tensor in &file.tensors {
        let bytes = file.stored(tensor)?.len() as u64;
        if bytes > 0 {
            let extents = tensor.shape.iter().map(|&n| n as u64);
            parameters = parameters.saturating_add(extents.fold(1, u64::saturating_mul));
            parameter_bytes = parameter_bytes.saturating_add(bytes);
        }
    }
    Ok(Contents {
        producer: String::new(),
        versions: [("schema".to_owned(), 3)].into(),
        inputs: file.inputs.iter().map(listed).collect(),
        outputs: file.outputs.iter().map(listed).collect(),
        operators: operators.finish(),
        parameters,
        parameter_bytes,
    })
}
