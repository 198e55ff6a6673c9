use crate::error::{Error, ErrorKind, Result};
use crate::graph::Graph;
use crate::infer::{Known, extent, infer};
use crate::op::Op;
use crate::types::TensorType;

/// Types of the outputs: those of the branch that a constant condition takes, else what both have in common.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, outputs: usize) -> Result<Vec<TensorType>> {
    let Op::If { then, otherwise } = op else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "a choice of branches",
            format!("{op:?}"),
        ));
    };
    let condition = inputs.ty(0)?;
    if let Some(constant) = inputs.constant(0) {
        let truth = constant.elements::<bool>()?;
        let Some(&truth) = truth.first() else {
            return Err(Error::new(
                ErrorKind::Shape,
                "condition",
                "one element",
                condition,
            ));
        };
        return branch(if truth { then } else { otherwise }, inputs, outputs);
    }
    let (then, otherwise) = (
        branch(then, inputs, outputs)?,
        branch(otherwise, inputs, outputs)?,
    );
    then.into_iter()
        .zip(otherwise)
        .map(|(a, b)| {
            let expected = extent::dtype(&a).name();
            extent::ensure(a.dtype == b.dtype, ErrorKind::Dtype, expected, b.dtype)?;
            let dims = if a.dims == b.dims { a.dims } else { None };
            Ok(extent::typed(a.dtype, dims))
        })
        .collect()
}

/// Types of a branch's outputs; extents that are symbols of the branch are not known outside.
fn branch(graph: &Graph, inputs: Known<'_>, outputs: usize) -> Result<Vec<TensorType>> {
    let captures = inputs.count().saturating_sub(1);
    if captures != graph.inputs.len() || outputs > graph.outputs.len() {
        return Err(Error::new(
            ErrorKind::Name,
            format!("branch {}", graph.name),
            format!(
                "{} captures and {} outputs",
                graph.inputs.len(),
                graph.outputs.len()
            ),
            format!("{captures} and {outputs}"),
        ));
    }
    let mut graph = graph.clone();
    for (n, id) in graph.inputs.clone().into_iter().enumerate() {
        let Some(ty) = inputs.optional(n + 1) else {
            continue;
        };
        let value = graph.value_mut(id);
        value.constant = inputs.constant(n + 1).cloned();
        if let Some(shape) = ty.shape() {
            value.ty.dims = TensorType::new(ty.dtype, &shape).dims;
        }
    }
    infer(&mut graph).map_err(|e| e.within(format!("branch {}", graph.name)))?;
    Ok(graph
        .outputs
        .iter()
        .take(outputs)
        .map(|id| {
            let ty = &graph.value(*id).ty;
            match ty.shape() {
                Some(_) => ty.clone(),
                None => extent::typed(ty.dtype, None),
            }
        })
        .collect())
}
