//! The product with rows quantized as they come.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::types::TensorType;

/// Type of the output.
pub(super) fn output_types(inputs: Known<'_>) -> Result<Vec<TensorType>> {
    let (x, w) = (inputs.ty(0)?, inputs.ty(1)?);
    for (n, ty, dtype) in [(0, x, Dtype::F32), (1, w, Dtype::I8)] {
        if ty.dtype != dtype {
            return Err(Error::new(
                ErrorKind::Dtype,
                format!("input {n}"),
                dtype,
                ty.dtype,
            ));
        }
    }
    let Some(w_dims) = &w.dims else {
        return Ok(vec![TensorType::unshaped(Dtype::F32)]);
    };
    let &[depth, columns] = w_dims.as_slice() else {
        return Err(Error::new(ErrorKind::Shape, "input 1", "[K,N]", w));
    };
    let Some(x_dims) = &x.dims else {
        return Ok(vec![TensorType::unshaped(Dtype::F32)]);
    };
    let fits = |found: crate::Dim| found == depth || found.known().is_none() || depth.known().is_none();
    let mut dims = x_dims.clone();
    match dims.last_mut() {
        Some(last) if fits(*last) => *last = columns,
        _ => {
            return Err(Error::new(
                ErrorKind::Shape,
                "input 0",
                format!("[...,{depth:?}]"),
                x,
            ));
        }
    }
    Ok(vec![TensorType {
        dims: Some(dims),
        ..TensorType::unshaped(Dtype::F32)
    }])
}
