//! Inputs and symbols bound to numbers.

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, ValueId};
use crate::tensor::{Tensor, element_count};
use crate::types::{Dim, Symbol};

/// What an input is bound to.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    /// Extents; the input stays.
    Shape(Vec<usize>),
    /// Elements: the input becomes a constant.
    Constant(Tensor),
}

/// Binds an input of the graph by name.
///
/// Extents bind the symbols in the input's type everywhere in the graph.
///
/// # Errors
/// [`ErrorKind::Name`] if there is no such input, listing those there are; [`ErrorKind::Shape`] or
/// [`ErrorKind::Dtype`] if the binding contradicts the input's type or a symbol's bounds.
pub fn bind(graph: &mut Graph, name: &str, binding: Binding) -> Result<()> {
    let names = || {
        graph
            .inputs
            .iter()
            .map(|id| graph.value(*id).name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(id) = graph
        .inputs
        .iter()
        .copied()
        .find(|id| graph.value(*id).name == name)
    else {
        return Err(Error::new(
            ErrorKind::Name,
            &graph.name,
            format!("one of the inputs {}", names()),
            name,
        ));
    };
    let place = format!("input {name}");
    match binding {
        Binding::Shape(shape) => bind_shape(graph, id, &shape).map_err(|e| e.within(place)),
        Binding::Constant(tensor) => {
            let stated = graph.value(id).ty.dtype;
            if tensor.dtype() != stated {
                return Err(Error::new(ErrorKind::Dtype, place, stated, tensor.dtype()));
            }
            bind_shape(graph, id, tensor.shape()).map_err(|e| e.within(place))?;
            graph.value_mut(id).constant = Some(tensor);
            graph.inputs.retain(|input| *input != id);
            Ok(())
        }
    }
}

fn bind_shape(graph: &mut Graph, id: ValueId, shape: &[usize]) -> Result<()> {
    let wrong = |graph: &Graph| Error::new(ErrorKind::Shape, "", &graph.value(id).ty, format!("{shape:?}"));
    if element_count(shape).is_none_or(|n| n > crate::MAX_ELEMENTS) {
        return Err(Error::new(
            ErrorKind::Limit,
            "",
            format!("at most {} elements", crate::MAX_ELEMENTS),
            format!("{shape:?}"),
        ));
    }
    let Some(dims) = graph.value(id).ty.dims.clone() else {
        graph.value_mut(id).ty.dims = Some(shape.iter().map(|&n| Dim::Known(n)).collect());
        return Ok(());
    };
    if dims.len() != shape.len() {
        return Err(wrong(graph));
    }
    let mut bound: Vec<(usize, usize)> = Vec::new();
    for (dim, &n) in dims.iter().zip(shape) {
        match *dim {
            Dim::Known(stated) if stated != n => return Err(wrong(graph)),
            Dim::Known(_) => {}
            Dim::Symbol(symbol) => {
                let Symbol { name, min, max } = &graph.symbols[symbol];
                if n < *min || n > *max {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        "",
                        format!("{name} in {min}..={max}"),
                        n,
                    ));
                }
                if bound.iter().any(|&(other, m)| other == symbol && m != n) {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        "",
                        format!("one number for {name}"),
                        format!("{shape:?}"),
                    ));
                }
                bound.push((symbol, n));
            }
        }
    }
    for (symbol, n) in bound {
        bind_symbol(graph, symbol, n);
    }
    Ok(())
}

/// Puts a number in place of a symbol, by its place in [`Graph::symbols`], everywhere in the graph.
pub fn bind_symbol(graph: &mut Graph, symbol: usize, n: usize) {
    for value in &mut graph.values {
        for dim in value.ty.dims.iter_mut().flatten() {
            if *dim == Dim::Symbol(symbol) {
                *dim = Dim::Known(n);
            }
        }
    }
}
