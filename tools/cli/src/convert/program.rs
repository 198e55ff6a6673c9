//! A graph as a program of a bundle.

use anyhow::{Context, Result, bail};
use limbic_bundle::{Dim, Dtype, ProgramSpec, Quantization, Role, SignatureSpec, Symbol, TensorSpec};
use limbic_graph::{Graph, ValueId};

/// The graph as a program of one signature.
pub fn program(graph: &Graph) -> Result<ProgramSpec> {
    let mut tensors = Vec::new();
    for id in &graph.inputs {
        let next = graph.states.iter().find(|(input, _)| input == id);
        let role = if next.is_some() { Role::State } else { Role::Input };
        let mut spec = tensor(graph, *id, role)?;
        spec.next = next.map(|(_, output)| graph.value(*output).name.clone());
        tensors.push(spec);
    }
    for id in &graph.outputs {
        if !graph.states.iter().any(|(_, output)| output == id) {
            tensors.push(tensor(graph, *id, Role::Output)?);
        }
    }
    Ok(ProgramSpec {
        name: "net".to_owned(),
        signatures: vec![SignatureSpec {
            name: "main".to_owned(),
            tensors,
            buckets: Vec::new(),
        }],
    })
}

fn tensor(graph: &Graph, id: ValueId, role: Role) -> Result<TensorSpec> {
    let value = graph.value(id);
    let dims = value
        .ty
        .dims
        .as_ref()
        .with_context(|| format!("tensor {} has no known number of axes", value.name))?;
    let dims = dims.iter().map(|dim| match dim {
        limbic_graph::Dim::Known(n) => Ok(Dim::Fixed(*n)),
        limbic_graph::Dim::Symbol(n) => {
            let symbol = graph
                .symbols
                .get(*n)
                .context("a symbol that the graph does not list")?;
            Ok(Dim::Symbol(Symbol {
                symbol: symbol.name.clone(),
                min: symbol.min,
                max: symbol.max,
            }))
        }
    });
    Ok(TensorSpec {
        name: value.name.clone(),
        role,
        dtype: dtype(value.ty.dtype).with_context(|| format!("tensor {}", value.name))?,
        dims: dims.collect::<Result<_>>()?,
        layout: None,
        quantization: quantization(value.ty.quantization.as_ref()),
        next: None,
    })
}

/// An element type as the manifest has it.
pub fn dtype(dtype: limbic_graph::Dtype) -> Result<Dtype> {
    Ok(match dtype {
        limbic_graph::Dtype::F32 => Dtype::F32,
        limbic_graph::Dtype::F16 => Dtype::F16,
        limbic_graph::Dtype::I64 => Dtype::I64,
        limbic_graph::Dtype::I32 => Dtype::I32,
        limbic_graph::Dtype::I8 => Dtype::I8,
        limbic_graph::Dtype::U8 => Dtype::U8,
        limbic_graph::Dtype::Bool => Dtype::Bool,
        other => bail!("expected f32, f16, i64, i32, i8, u8 or bool, found {other}"),
    })
}

fn quantization(given: Option<&limbic_graph::Quantization>) -> Option<Quantization> {
    match given? {
        limbic_graph::Quantization::PerTensor { scale, zero_point } => Some(Quantization {
            scale: vec![*scale],
            zero_point: vec![*zero_point],
            axis: None,
        }),
        limbic_graph::Quantization::PerAxis {
            axis,
            scales,
            zero_points,
        } => Some(Quantization {
            scale: scales.clone(),
            zero_point: zero_points.clone(),
            axis: Some(*axis),
        }),
        limbic_graph::Quantization::Blocks { .. } => None,
    }
}
