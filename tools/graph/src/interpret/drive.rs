//! Running a whole graph.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, ValueId};
use crate::interpret::{Call, evaluate};
use crate::tensor::Tensor;
use crate::types::{Dim, TensorType};

/// Runs a graph whose inputs are given in their order; returns its outputs.
///
/// # Errors
/// As [`evaluate`], naming the node; [`ErrorKind::Shape`] or [`ErrorKind::Dtype`] naming an input that does not fit.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    run_observed(graph, inputs, &mut |_, _| {})
}

/// As [`run`], showing `observer` each value as it is made, inputs included, constants not.
///
/// A value is dropped once the last node that reads it has run.
///
/// # Errors
/// As [`run`].
pub fn run_observed(
    graph: &Graph,
    inputs: &[Tensor],
    observer: &mut dyn FnMut(ValueId, &Tensor),
) -> Result<Vec<Tensor>> {
    graph.check()?;
    let mut values = bind(graph, inputs)?;
    for &id in &graph.inputs {
        if let Some(tensor) = &values[id.0] {
            observer(id, tensor);
        }
    }
    let last_reader = last_readers(graph);
    for (n, node) in graph.nodes.iter().enumerate() {
        let made = {
            let inputs: Vec<Option<&Tensor>> = node
                .inputs
                .iter()
                .map(|id| id.and_then(|id| values[id.0].as_ref().or_else(|| graph.constant(id))))
                .collect();
            let outputs: Vec<Option<&TensorType>> = node
                .outputs
                .iter()
                .map(|id| id.map(|id| &graph.value(id).ty))
                .collect();
            let call = Call {
                op: &node.op,
                inputs: &inputs,
                outputs: &outputs,
                rounding: graph.rounding,
            };
            evaluate(call).map_err(|e| e.within(format!("node {}", node.name)))?
        };
        let mut made = made.into_iter();
        for id in &node.outputs {
            let tensor = made.next();
            let Some(id) = *id else { continue };
            let value = graph.value(id);
            let place = || format!("node {}, value {}", node.name, value.name);
            let Some(tensor) = tensor else {
                return Err(Error::new(ErrorKind::Unsupported, place(), "an output", "none"));
            };
            check_type(&tensor, &value.ty).map_err(|e| e.within(place()))?;
            observer(id, &tensor);
            if last_reader[id.0].is_some() {
                values[id.0] = Some(tensor);
            }
        }
        for id in node.inputs.iter().flatten() {
            if last_reader[id.0] == Some(Reader::Node(n)) {
                values[id.0] = None;
            }
        }
    }
    graph
        .outputs
        .iter()
        .map(|&id| {
            let found = values[id.0].as_ref().or_else(|| graph.constant(id));
            found.cloned().ok_or_else(|| {
                let name = &graph.value(id).name;
                Error::new(ErrorKind::Order, format!("output {name}"), "a value", "none")
            })
        })
        .collect()
}

/// Who reads a value last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Node(usize),
    Caller,
}

fn last_readers(graph: &Graph) -> Vec<Option<Reader>> {
    let mut last = vec![None; graph.values.len()];
    for (n, node) in graph.nodes.iter().enumerate() {
        for id in node.inputs.iter().flatten() {
            last[id.0] = Some(Reader::Node(n));
        }
    }
    for id in &graph.outputs {
        last[id.0] = Some(Reader::Caller);
    }
    last
}

/// The values with the inputs in their places, each checked against its type.
fn bind(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    if inputs.len() != graph.inputs.len() {
        return Err(Error::new(
            ErrorKind::Name,
            format!("graph {}", graph.name),
            format!("{} inputs", graph.inputs.len()),
            inputs.len(),
        ));
    }
    let mut values: Vec<Option<Tensor>> = vec![None; graph.values.len()];
    let mut bound: HashMap<usize, usize> = HashMap::new();
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        let value = graph.value(id);
        let place = || format!("input {}", value.name);
        let mut tensor = tensor.clone();
        if tensor.quantization.is_none() {
            tensor.quantization.clone_from(&value.ty.quantization);
        }
        check_type(&tensor, &value.ty).map_err(|e| e.within(place()))?;
        for (dim, &extent) in value.ty.dims.iter().flatten().zip(tensor.shape()) {
            let Dim::Symbol(symbol) = *dim else { continue };
            bind_symbol(graph, symbol, extent, &mut bound).map_err(|e| e.within(place()))?;
        }
        values[id.0] = Some(tensor);
    }
    Ok(values)
}

fn bind_symbol(graph: &Graph, n: usize, extent: usize, bound: &mut HashMap<usize, usize>) -> Result<()> {
    let Some(symbol) = graph.symbols.get(n) else {
        return Err(Error::new(
            ErrorKind::Name,
            "",
            format!("one of {} symbols", graph.symbols.len()),
            format!("symbol {n}"),
        ));
    };
    let before = *bound.entry(n).or_insert(extent);
    if before != extent {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("{before} for {}, as in an input before", symbol.name),
            extent,
        ));
    }
    if !(symbol.min..=symbol.max).contains(&extent) {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("{} to {} for {}", symbol.min, symbol.max, symbol.name),
            extent,
        ));
    }
    Ok(())
}

/// Checks a tensor against what is known of its value.
fn check_type(tensor: &Tensor, ty: &TensorType) -> Result<()> {
    if tensor.dtype() != ty.dtype {
        return Err(Error::new(ErrorKind::Dtype, "", ty.dtype, tensor.dtype()));
    }
    if tensor.quantization != ty.quantization {
        return Err(Error::new(
            ErrorKind::Dtype,
            "",
            format!("quantization {:?}", ty.quantization),
            format!("{:?}", tensor.quantization),
        ));
    }
    let Some(dims) = &ty.dims else { return Ok(()) };
    let fits = |(dim, &extent): (&Dim, &usize)| dim.known().is_none_or(|n| n == extent);
    if dims.len() != tensor.rank() || !dims.iter().zip(tensor.shape()).all(fits) {
        return Err(Error::new(ErrorKind::Shape, "", ty, tensor.tensor_type()));
    }
    Ok(())
}
