//! Elements in and out of tract's tensors.

use std::borrow::Cow;

use limbic_bundle::Dtype;
use tract_onnx::prelude::{DatumType, Tensor, TractResult};
use tract_onnx::tract_hir::internal::f16;

use crate::view::{Elements, ElementsMut, TensorView, TensorViewMut};

/// The type in tract's words.
pub(super) fn datum_type(dtype: Dtype) -> DatumType {
    match dtype {
        Dtype::F32 => DatumType::F32,
        Dtype::F16 => DatumType::F16,
        Dtype::I64 => DatumType::I64,
        Dtype::I32 => DatumType::I32,
        Dtype::I8 => DatumType::I8,
        Dtype::U8 => DatumType::U8,
        Dtype::Bool => DatumType::Bool,
    }
}

/// A tensor with the elements of a view.
pub(super) fn tensor(view: &TensorView<'_>) -> TractResult<Tensor> {
    let dims = view.dims;
    match view.elements {
        Elements::F32(elements) => Tensor::from_shape(dims, elements),
        Elements::F16(elements) => {
            let elements: Vec<f16> = elements.iter().map(|bits| f16::from_bits(*bits)).collect();
            Tensor::from_shape(dims, &elements)
        }
        Elements::I64(elements) => Tensor::from_shape(dims, elements),
        Elements::I32(elements) => Tensor::from_shape(dims, elements),
        Elements::I8(elements) => Tensor::from_shape(dims, elements),
        Elements::U8(elements) => Tensor::from_shape(dims, elements),
        Elements::Bool(elements) => Tensor::from_shape(dims, elements),
    }
}

/// Copies a tensor of equal shape into a view.
pub(super) fn fill(view: &mut TensorViewMut<'_>, tensor: &Tensor) -> TractResult<()> {
    // Sizes that a graph computes are symbolic numbers in tract until they are read.
    let wanted = datum_type(view.elements.dtype());
    let tensor = if tensor.datum_type() == DatumType::TDim {
        tensor.cast_to_dt(wanted)?
    } else {
        Cow::Borrowed(tensor)
    };
    let tensor = tensor.try_as_plain_ram()?;
    match &mut view.elements {
        ElementsMut::F32(elements) => copy(elements, tensor.as_slice()?),
        ElementsMut::F16(elements) => {
            for (element, value) in elements.iter_mut().zip(tensor.as_slice::<f16>()?) {
                *element = value.to_bits();
            }
        }
        ElementsMut::I64(elements) => copy(elements, tensor.as_slice()?),
        ElementsMut::I32(elements) => copy(elements, tensor.as_slice()?),
        ElementsMut::I8(elements) => copy(elements, tensor.as_slice()?),
        ElementsMut::U8(elements) => copy(elements, tensor.as_slice()?),
        ElementsMut::Bool(elements) => copy(elements, tensor.as_slice()?),
    }
    Ok(())
}

fn copy<T: Copy>(elements: &mut [T], values: &[T]) {
    for (element, value) in elements.iter_mut().zip(values) {
        *element = *value;
    }
}
