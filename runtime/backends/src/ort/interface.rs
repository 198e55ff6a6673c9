//! Comparing the graph that was loaded with a signature.

use limbic_bundle::{Dim, Role, Signature, TensorSpec};
use ort::session::Session as Graph;
use ort::value::Outlet;

use crate::error::{Error, ErrorKind, Result};
use crate::ort::elements::element_type;

/// Checks names, types and shapes, and that the signature has every input of the graph.
pub(super) fn fits(place: &str, graph: &Graph, signature: &Signature) -> Result<()> {
    for spec in &signature.tensors {
        let (outlets, what) = match spec.role {
            Role::Output => (graph.outputs(), "output"),
            Role::Input | Role::State => (graph.inputs(), "input"),
        };
        fit(place, outlets, what, &spec.name, spec)?;
        if let Some(next) = &spec.next {
            fit(place, graph.outputs(), "output", next, spec)?;
        }
    }
    for outlet in graph.inputs() {
        let mut taken = signature.tensors.iter().filter(|spec| spec.role != Role::Output);
        if !taken.any(|spec| spec.name == outlet.name()) {
            return Err(Error::new(
                ErrorKind::MissingTensor,
                format!("{place}: {}", outlet.name()),
                "an input or a state of this name, which the graph needs",
                "none in the signature",
            ));
        }
    }
    Ok(())
}

fn fit(place: &str, outlets: &[Outlet], what: &str, name: &str, spec: &TensorSpec) -> Result<()> {
    let place = format!("{place}: {name}");
    let Some(outlet) = outlets.iter().find(|outlet| outlet.name() == name) else {
        let names: Vec<&str> = outlets.iter().map(Outlet::name).collect();
        let found = format!("a graph with {what}s {}", names.join(", "));
        let expected = format!("an {what} of this name");
        return Err(Error::new(ErrorKind::UnknownTensor, place, expected, found));
    };
    let dtype = outlet.dtype();
    let Some((found, shape)) = dtype.tensor_type().zip(dtype.tensor_shape()) else {
        let found = dtype.to_string();
        return Err(Error::new(ErrorKind::Dtype, place, spec.dtype.name(), found));
    };
    if found != element_type(spec.dtype) {
        return Err(Error::new(ErrorKind::Dtype, place, spec.dtype.name(), found));
    }
    let agrees = |(stated, dim): (&i64, &Dim)| match (usize::try_from(*stated), dim) {
        (Ok(stated), Dim::Fixed(size)) => stated == *size,
        (Ok(_), Dim::Symbol(_)) => false,
        // Free in the graph.
        (Err(_), _) => true,
    };
    if shape.len() != spec.dims.len() || !shape.iter().zip(&spec.dims).all(agrees) {
        let sizes = shape.iter().map(|size| match size {
            size if *size < 0 => "?".to_owned(),
            size => size.to_string(),
        });
        let found = format!("[{}] in the graph", sizes.collect::<Vec<_>>().join(", "));
        return Err(Error::new(ErrorKind::Shape, place, spec.shape(), found));
    }
    Ok(())
}
