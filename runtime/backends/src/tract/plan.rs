//! Binding a graph to signatures and optimising it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use limbic_bundle::{Dim, Dtype, Role, Signature, TensorSpec};
use tract_onnx::prelude::{
    DatumType, InferenceFact, InferenceModel, InferenceModelExt, OutletId, SymbolScope, TDim, ToDim,
    TractResult, TypedModel, TypedSimplePlan,
};
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;
use tract_onnx::tract_hir::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_hir::tract_core::ops::scan::Scan;

use crate::error::{Error, ErrorKind, Result};
use crate::tract::elements::datum_type;
use crate::tract::guarded;

/// A signature, ready to run: inputs are the signature's inputs and states in its order, outputs are its outputs,
/// then the states' next values.
#[derive(Debug)]
pub(super) struct Plan(pub(super) Arc<TypedSimplePlan>);

/// Prepares a plan for each signature.
///
/// Buckets of one signature are made from one graph whose constants are folded once, so that they share what tract
/// does not repack for a shape. Weights that it packs for matrix products are held by each bucket.
pub(super) fn prepare(program: &str, graph: &InferenceModel, signatures: &[Signature]) -> Result<Vec<Plan>> {
    let mut shared: HashMap<&str, Option<TypedModel>> = HashMap::new();
    let mut plans = Vec::with_capacity(signatures.len());
    for signature in signatures {
        let place = format!("{program}/{}", signature.name);
        let symbolic = shared.entry(&signature.base).or_insert_with(|| {
            if signature.bindings.is_empty() {
                return None;
            }
            let symbolic = bound(&place, graph, &signature.symbolic).and_then(|bound| typed(&place, bound));
            // A graph may be sound for each size and yet not for a free one; then each bucket is made on its own.
            symbolic
                .inspect_err(|error| log::debug!("{error}; buckets will not share weights"))
                .ok()
        });
        let from_shared = symbolic.as_ref().and_then(|model| {
            let model = with_symbols(&place, model, signature);
            model
                .inspect_err(|error| log::debug!("{error}; this bucket will not share weights"))
                .ok()
        });
        let model = match from_shared {
            Some(model) => model,
            None => typed(&place, bound(&place, graph, &signature.tensors)?)?,
        };
        outputs_fit(&place, &model, signature)?;
        let plan = guarded(
            ErrorKind::Engine,
            &place,
            "a graph that tract can optimise",
            || TypedSimplePlan::new(model.into_optimized()?),
        )?;
        plans.push(Plan(plan));
    }
    Ok(plans)
}

/// Tensors that the graph takes, in the plan's order.
pub(super) fn taken(tensors: &[TensorSpec]) -> impl Iterator<Item = &TensorSpec> {
    tensors.iter().filter(|tensor| tensor.role != Role::Output)
}

/// Tensors that the graph gives and their names in it, in the plan's order.
pub(super) fn given(tensors: &[TensorSpec]) -> impl Iterator<Item = (&TensorSpec, &str)> {
    let outputs = tensors.iter().filter(|tensor| tensor.role == Role::Output);
    let states = tensors.iter().filter(|tensor| tensor.role == Role::State);
    outputs
        .map(|tensor| (tensor, tensor.name.as_str()))
        .chain(states.filter_map(|tensor| Some((tensor, tensor.next.as_deref()?))))
}

/// The graph with the inputs and outputs of a signature, and their types and shapes set.
fn bound(place: &str, graph: &InferenceModel, tensors: &[TensorSpec]) -> Result<InferenceModel> {
    let mut model = graph.clone();
    let engine = |call: &mut dyn FnMut() -> TractResult<()>| {
        guarded(ErrorKind::Malformed, place, "a graph of consistent shapes", call)
    };
    let sources: Vec<(String, OutletId)> = graph
        .inputs
        .iter()
        .map(|outlet| (graph.node(outlet.node).name.clone(), *outlet))
        .collect();
    let mut inputs = Vec::new();
    for tensor in taken(tensors) {
        let found = sources.iter().find(|(name, _)| *name == tensor.name);
        let outlet = found.map(|(_, outlet)| *outlet).ok_or_else(|| {
            let names = sources.iter().map(|(name, _)| name.as_str());
            unknown(place, &tensor.name, "input", names)
        })?;
        declared_fits(&format!("{place}: {}", tensor.name), graph, outlet, tensor)?;
        let dims: Vec<TDim> = tensor
            .dims
            .iter()
            .map(|dim| dimension(&model.symbols, dim))
            .collect();
        let fact = InferenceFact::dt_shape(datum_type(tensor.dtype), dims);
        engine(&mut || model.set_outlet_fact(outlet, fact.clone()))?;
        inputs.push(outlet);
    }
    let mut outputs = Vec::new();
    for (_, name) in given(tensors) {
        let outlet = model
            .outputs
            .iter()
            .find(|outlet| model.outlet_label(**outlet) == Some(name))
            .copied();
        outputs.push(outlet.ok_or_else(|| {
            let names = model
                .outputs
                .iter()
                .filter_map(|outlet| model.outlet_label(*outlet));
            unknown(place, name, "output", names)
        })?);
    }
    needed(place, &model, &inputs, &outputs)?;
    engine(&mut || model.set_input_outlets(&inputs))?;
    engine(&mut || model.select_output_outlets(&outputs))?;
    Ok(model)
}

fn unknown<'a>(place: &str, name: &str, what: &str, names: impl Iterator<Item = &'a str>) -> Error {
    let names: Vec<&str> = names.collect();
    let found = format!("a graph with {what}s {}", names.join(", "));
    Error::new(
        ErrorKind::UnknownTensor,
        format!("{place}: {name}"),
        format!("an {what} of this name"),
        found,
    )
}

/// Compares what the graph itself says about an input with the signature.
fn declared_fits(place: &str, graph: &InferenceModel, outlet: OutletId, tensor: &TensorSpec) -> Result<()> {
    let Ok(fact) = graph.outlet_fact(outlet) else {
        return Ok(());
    };
    if let Some(found) = fact.datum_type.concretize()
        && found != datum_type(tensor.dtype)
    {
        return Err(Error::new(
            ErrorKind::Dtype,
            place,
            tensor.dtype.name(),
            format!("{found:?}").to_lowercase(),
        ));
    }
    let declared: Vec<Option<TDim>> = fact.shape.dims().map(|dim| dim.concretize()).collect();
    let rank_known = !fact.shape.is_open();
    let sizes = declared.iter().zip(&tensor.dims).all(|(declared, dim)| {
        match (
            declared.as_ref().and_then(|declared| declared.to_usize().ok()),
            dim,
        ) {
            (Some(declared), Dim::Fixed(size)) => declared == *size,
            (Some(_), Dim::Symbol(_)) => false,
            (None, _) => true,
        }
    });
    if rank_known && (declared.len() != tensor.dims.len() || !sizes) {
        let list = declared
            .iter()
            .map(|dim| dim.as_ref().map_or_else(|| "?".to_owned(), TDim::to_string));
        let found = format!("[{}] in the graph", list.collect::<Vec<_>>().join(", "));
        return Err(Error::new(ErrorKind::Shape, place, tensor.shape(), found));
    }
    Ok(())
}

/// Checks that the outputs depend on no input that the signature leaves out.
fn needed(place: &str, model: &InferenceModel, inputs: &[OutletId], outputs: &[OutletId]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = outputs.iter().map(|outlet| outlet.node).collect();
    while let Some(node) = open.pop() {
        if !seen.insert(node) {
            continue;
        }
        if model.inputs.iter().any(|outlet| outlet.node == node)
            && !inputs.iter().any(|outlet| outlet.node == node)
        {
            let place = format!("{place}: {}", model.node(node).name);
            let expected = "an input or a state of this name, which the outputs need";
            return Err(Error::new(
                ErrorKind::MissingTensor,
                place,
                expected,
                "none in the signature",
            ));
        }
        open.extend(model.node(node).inputs.iter().map(|outlet| outlet.node));
    }
    Ok(())
}

/// The graph with the sizes of a signature, simplified but not laid out for a processor.
pub(super) fn simplified(program: &str, graph: &InferenceModel, signature: &Signature) -> Result<TypedModel> {
    let place = format!("{program}/{}", signature.name);
    typed(&place, bound(&place, graph, &signature.tensors)?)
}

fn dimension(symbols: &SymbolScope, dim: &Dim) -> TDim {
    match dim {
        Dim::Fixed(size) => size.to_dim(),
        Dim::Symbol(symbol) => symbols.sym(&symbol.symbol).to_dim(),
    }
}

fn typed(place: &str, model: InferenceModel) -> Result<TypedModel> {
    guarded(
        ErrorKind::Malformed,
        place,
        "a graph of consistent shapes",
        || {
            let mut model = model.into_typed()?;
            forget(&mut model);
            model.into_decluttered()
        },
    )
}

/// Lets recurrences inside the graph begin anew in each run.
///
/// tract would carry their last value over to the next run, but a session's only state is its state tensors.
fn forget(model: &mut TypedModel) {
    for node in model.nodes_mut() {
        if let Some(scan) = node.op_as_mut::<Scan>() {
            scan.reset_every_turn = true;
            forget(&mut scan.body);
        } else if let Some(gru) = node.op_as_mut::<GruSeq>() {
            gru.reset_every_turn = true;
        }
    }
}

fn with_symbols(place: &str, model: &TypedModel, signature: &Signature) -> Result<TypedModel> {
    guarded(
        ErrorKind::Malformed,
        place,
        "a graph that allows these sizes",
        || {
            let values: HashMap<_, _> = signature
                .bindings
                .iter()
                .map(|(name, size)| (model.symbols.sym(name), size.to_dim()))
                .collect();
            model.set_symbols(&values)?.into_decluttered()
        },
    )
}

/// Compares what tract found out about the outputs with the signature.
fn outputs_fit(place: &str, model: &TypedModel, signature: &Signature) -> Result<()> {
    for (index, (tensor, name)) in given(&signature.tensors).enumerate() {
        let place = format!("{place}: {name}");
        let fact = guarded(ErrorKind::Malformed, &place, "an output", || {
            model.output_fact(index).cloned()
        })?;
        let computed_size = fact.datum_type == DatumType::TDim && tensor.dtype == Dtype::I64;
        if fact.datum_type != datum_type(tensor.dtype) && !computed_size {
            let found = format!("{:?}", fact.datum_type).to_lowercase();
            return Err(Error::new(ErrorKind::Dtype, place, tensor.dtype.name(), found));
        }
        let fit = fact.shape.rank() == tensor.dims.len()
            && fact
                .shape
                .iter()
                .zip(&tensor.dims)
                .all(|(found, dim)| *found == dimension(&model.symbols, dim));
        if !fit {
            return Err(Error::new(
                ErrorKind::Shape,
                place,
                tensor.shape(),
                format!("{:?}", fact.shape),
            ));
        }
    }
    Ok(())
}
