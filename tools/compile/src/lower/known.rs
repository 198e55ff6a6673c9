//! Values that are known before a run.

use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::{Op, Result, Tensor, TensorType, ValueId};

use super::Lowering;

impl Lowering<'_> {
    /// Outputs that follow from types and constants alone: those of operations that read no element, and those of
    /// inputs without any.
    pub(super) fn place_known(&mut self, n: usize) -> Result<bool> {
        let node = &self.graph.nodes[n];
        let only_types = matches!(node.op, Op::EyeLike { .. } | Op::Shape { .. } | Op::Size);
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for id in &node.inputs {
            let Some(id) = *id else {
                inputs.push(None);
                continue;
            };
            if let Some(tensor) = self.graph.constant(id) {
                inputs.push(Some(tensor.clone()));
                continue;
            }
            let ty = &self.graph.value(id).ty;
            let shape = self.shape(id)?;
            if !only_types && !shape.contains(&0) {
                return Ok(false);
            }
            let zeros = Tensor::new(&shape, vec![0i64; shape.iter().product()])?;
            let cast = Op::Cast {
                to: ty.dtype,
                saturate: true,
            };
            let zeros = self.evaluated(&cast, &[Some(zeros)], &[Some(&TensorType::new(ty.dtype, &shape))])?;
            let zeros = zeros.into_iter().next();
            inputs.push(zeros.map(|zeros| zeros.with_quantization(ty.quantization.clone())));
        }
        let outputs: Vec<Option<ValueId>> = node.outputs.clone();
        let types: Vec<Option<&TensorType>> = outputs
            .iter()
            .map(|id| id.map(|id| &self.graph.value(id).ty))
            .collect();
        let made = self.evaluated(&node.op, &inputs, &types)?;
        for (id, tensor) in outputs.into_iter().zip(made) {
            if let Some(id) = id {
                self.placed[id.0] = Some(self.load(&tensor)?);
            }
        }
        Ok(true)
    }

    /// The interpreter's answers.
    fn evaluated(
        &self,
        op: &Op,
        inputs: &[Option<Tensor>],
        outputs: &[Option<&TensorType>],
    ) -> Result<Vec<Tensor>> {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        evaluate(Call {
            op,
            inputs: &inputs,
            outputs,
            rounding: self.graph.rounding,
        })
    }

    /// Places the outputs of a node without elements; `false` where an output has some.
    pub(super) fn place_empty(&mut self, n: usize) -> Result<bool> {
        let outputs: Vec<ValueId> = self.graph.nodes[n].outputs.iter().flatten().copied().collect();
        for &id in &outputs {
            if !self.shape(id)?.contains(&0) {
                return Ok(false);
            }
        }
        for id in outputs {
            let (dims, kind) = (self.shape(id)?, self.kind(id)?);
            self.placed[id.0] = Some(self.row_major(kind, &dims));
        }
        Ok(true)
    }
}
