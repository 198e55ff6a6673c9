//! Counting what an ONNX program is made of.

use std::collections::BTreeMap;

use limbic_bundle::GraphFormat;
use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::{Framework, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::Cost;

use crate::backend::{ProgramReport, ProgramSource};
use crate::error::{ErrorKind, Result};
use crate::tract::{graph, guarded, plan};

pub(super) fn describe(source: &ProgramSource<'_>) -> Result<ProgramReport> {
    let bytes = source.whole(GraphFormat::Onnx)?;
    let model = graph::read(source.name, bytes)?;
    let proto = guarded(ErrorKind::Malformed, source.name, "an ONNX model", || {
        let mut reader = bytes;
        tract_onnx::onnx().proto_model_for_read(&mut reader)
    })?;
    let mut operators = BTreeMap::new();
    let mut parameters = 0;
    if let Some(proto) = &proto.graph {
        graph::operators(proto, &mut |kind, _| {
            *operators.entry(kind.to_owned()).or_insert(0) += 1
        });
        parameters = float_elements(proto);
    }
    let mut macs = Vec::new();
    for signature in source.signatures {
        let simplified = plan::simplified(source.name, &model, signature)?;
        let count = guarded(ErrorKind::Engine, source.name, "costs of the operators", || {
            count_macs(&simplified)
        })?;
        macs.push((signature.name.clone(), count));
    }
    Ok(ProgramReport {
        operators: operators.into_iter().collect(),
        parameters: Some(parameters),
        macs,
    })
}

fn float_elements(graph: &GraphProto) -> u64 {
    let floats = [
        DataType::Float,
        DataType::Float16,
        DataType::Bfloat16,
        DataType::Double,
    ]
    .map(|kind| kind as i32);
    let elements = |tensor: &TensorProto| {
        let elements = tensor
            .dims
            .iter()
            .map(|dim| u64::try_from(*dim).unwrap_or(0))
            .product::<u64>();
        if floats.contains(&tensor.data_type) {
            elements
        } else {
            0
        }
    };
    let constants = graph
        .node
        .iter()
        .filter(|node| node.op_type == "Constant")
        .flat_map(|node| node.attribute.iter().filter_map(|attribute| attribute.t.as_ref()));
    graph.initializer.iter().chain(constants).map(elements).sum()
}

fn count_macs(model: &TypedModel) -> TractResult<Option<u64>> {
    let mut total = 0_u64;
    for node in model.eval_order()? {
        let node = model.node(node);
        let inputs = model.node_input_facts(node.id)?;
        for (cost, count) in node.op.cost(&inputs)? {
            if matches!(cost, Cost::FMA(_)) {
                let Ok(count) = count.to_i64() else {
                    return Ok(None);
                };
                total = total.saturating_add(u64::try_from(count).unwrap_or(0));
            }
        }
    }
    Ok(Some(total))
}
