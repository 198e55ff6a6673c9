//! Shapes of a call's outputs, found by the same functions that infer them before a graph runs.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::extent::checked_count;
use crate::infer::{self, Known};
use crate::interpret::Call;
use crate::tensor::Tensor;
use crate::types::TensorType;

impl Call<'_> {
    /// Types of the outputs, every input being known.
    ///
    /// # Errors
    /// As [`infer::output_types`].
    pub(super) fn inferred(&self) -> Result<Vec<TensorType>> {
        let types: Vec<_> = self
            .inputs
            .iter()
            .map(|tensor| tensor.map(|t| (t.tensor_type(), t)))
            .collect();
        let known: Vec<_> = types
            .iter()
            .map(|pair| pair.as_ref().map(|(ty, tensor)| (ty, Some(*tensor))))
            .collect();
        infer::output_types(self.op, Known::new(&known), self.outputs.len())
    }

    /// Extents of an output that do not depend on computed elements.
    ///
    /// # Errors
    /// As [`infer::output_types`]; [`ErrorKind::Limit`] above the greatest number of elements.
    pub(super) fn shape(&self, output: usize) -> Result<Vec<usize>> {
        let shape = self
            .inferred()?
            .get(output)
            .and_then(TensorType::shape)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Shape,
                    format!("output {output}"),
                    "known extents",
                    "none",
                )
            })?;
        checked_count(&shape)?;
        Ok(shape)
    }

    /// The axes that a reduction reduces.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] or [`ErrorKind::Dtype`] where the second input is no list of axes.
    pub(super) fn reduced_axes(&self, noop: bool) -> Result<Vec<usize>> {
        let rank = self.input(0)?.rank();
        let list = self
            .optional(1)
            .map(Tensor::to_i64)
            .transpose()?
            .unwrap_or_default();
        infer::reduced_axes(&list, rank, noop)
    }

    /// The integers of an input.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] if it is left out, [`ErrorKind::Dtype`] if it holds no integers.
    pub(super) fn ints(&self, n: usize) -> Result<Vec<i64>> {
        self.input(n)?
            .to_i64()
            .map_err(|e| e.within(format!("input {n}")))
    }

    /// The only integer of an input.
    ///
    /// # Errors
    /// As [`Call::ints`]; [`ErrorKind::Shape`] if there is not one element.
    pub(super) fn int(&self, n: usize) -> Result<i64> {
        match self.ints(n)?.as_slice() {
            [one] => Ok(*one),
            list => Err(Error::new(
                ErrorKind::Shape,
                format!("input {n}"),
                "one element",
                list.len(),
            )),
        }
    }
}
