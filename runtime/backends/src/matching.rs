//! Matching a caller's tensors with a signature, the same for every backend.

use std::collections::BTreeMap;

use limbic_bundle::{Dim, Dtype, Role, Signature, TensorSpec};

use crate::error::{Error, ErrorKind, Result};
use crate::view::{TensorView, TensorViewMut};

/// Where each tensor of a signature is among the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Matched {
    /// For each input tensor of the signature, in order: index into the caller's inputs.
    pub(crate) inputs: Vec<usize>,
    /// For each output tensor of the signature, in order: index into the caller's outputs, if it is asked for.
    pub(crate) outputs: Vec<Option<usize>>,
}

/// What is checked of a view.
#[derive(Clone, Copy)]
struct Given<'a> {
    name: &'a str,
    dims: &'a [usize],
    dtype: Dtype,
    count: usize,
}

/// Matches views by name and checks types, shapes and lengths.
pub(crate) fn matched(
    program: &str,
    signature: &Signature,
    inputs: &[TensorView<'_>],
    outputs: &[TensorViewMut<'_>],
) -> Result<Matched> {
    let place = |tensor: &str| format!("{program}/{}: {tensor}", signature.name);
    let inputs: Vec<Given<'_>> = inputs
        .iter()
        .map(|view| Given {
            name: view.name,
            dims: view.dims,
            dtype: view.elements.dtype(),
            count: view.elements.count(),
        })
        .collect();
    let outputs: Vec<Given<'_>> = outputs
        .iter()
        .map(|view| Given {
            name: view.name,
            dims: view.dims,
            dtype: view.elements.dtype(),
            count: view.elements.count(),
        })
        .collect();
    let specs = |role: Role| signature.tensors.iter().filter(move |tensor| tensor.role == role);
    let mut symbols: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Matched::default();
    for (role, given) in [(Role::Input, &inputs), (Role::Output, &outputs)] {
        for (i, view) in given.iter().enumerate() {
            if !specs(role).any(|spec| spec.name == view.name) {
                let known: Vec<&str> = specs(role).map(|spec| spec.name.as_str()).collect();
                let expected = format!("one of {}", known.join(", "));
                return Err(Error::new(
                    ErrorKind::UnknownTensor,
                    place(view.name),
                    expected,
                    "no such tensor",
                ));
            }
            if given.iter().take(i).any(|before| before.name == view.name) {
                return Err(Error::new(
                    ErrorKind::DuplicateTensor,
                    place(view.name),
                    "it once",
                    "it twice",
                ));
            }
        }
        for spec in specs(role) {
            let at = given.iter().position(|view| view.name == spec.name);
            let view = at.and_then(|at| given.get(at));
            if let Some(view) = view {
                fits(&place(&spec.name), spec, *view, &mut symbols)?;
            }
            match (role, at) {
                (Role::Input, Some(at)) => found.inputs.push(at),
                (Role::Input, None) => {
                    let expected = format!("an input {} {}", spec.dtype.name(), spec.shape());
                    return Err(Error::new(
                        ErrorKind::MissingTensor,
                        place(&spec.name),
                        expected,
                        "none",
                    ));
                }
                _ => found.outputs.push(at),
            }
        }
    }
    Ok(found)
}

fn fits<'a>(
    place: &str,
    spec: &'a TensorSpec,
    view: Given<'_>,
    symbols: &mut BTreeMap<&'a str, usize>,
) -> Result<()> {
    if spec.dtype != view.dtype {
        return Err(Error::new(
            ErrorKind::Dtype,
            place,
            spec.dtype.name(),
            view.dtype.name(),
        ));
    }
    let mut fit = spec.dims.len() == view.dims.len();
    for (dim, size) in spec.dims.iter().zip(view.dims) {
        fit &= match dim {
            Dim::Fixed(fixed) => fixed == size,
            Dim::Symbol(symbol) => {
                let known = *symbols.entry(symbol.symbol.as_str()).or_insert(*size);
                (symbol.min..=symbol.max).contains(size) && known == *size
            }
        };
    }
    if !fit {
        return Err(Error::new(
            ErrorKind::Shape,
            place,
            expected_shape(spec, symbols),
            format!("{:?}", view.dims),
        ));
    }
    let count = view
        .dims
        .iter()
        .try_fold(1usize, |count, size| count.checked_mul(*size));
    if count != Some(view.count) {
        let expected = format!("the elements of {:?}", view.dims);
        return Err(Error::new(
            ErrorKind::Shape,
            place,
            expected,
            format!("{} elements", view.count),
        ));
    }
    Ok(())
}

/// The shape a tensor should have, with the sizes that other tensors already gave to symbols.
fn expected_shape(spec: &TensorSpec, symbols: &BTreeMap<&str, usize>) -> String {
    let dims: Vec<String> = spec
        .dims
        .iter()
        .map(|dim| match dim {
            Dim::Symbol(symbol) => match symbols.get(symbol.symbol.as_str()) {
                Some(size) if (symbol.min..=symbol.max).contains(size) => {
                    format!("{} = {size}", symbol.symbol)
                }
                _ => dim.to_string(),
            },
            Dim::Fixed(size) => size.to_string(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}
