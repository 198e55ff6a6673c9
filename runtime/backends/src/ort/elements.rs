//! Elements in and out of ONNX Runtime's tensors.

use half::f16;
use half::slice::HalfBitsSliceExt;
use limbic_bundle::Dtype;
use ort::session::SessionInputValue;
use ort::value::{DynValue, TensorElementType, TensorRef};

use crate::view::{Elements, ElementsMut};

/// The type in ONNX Runtime's words.
pub(super) fn element_type(dtype: Dtype) -> TensorElementType {
    match dtype {
        Dtype::F32 => TensorElementType::Float32,
        Dtype::F16 => TensorElementType::Float16,
        Dtype::I64 => TensorElementType::Int64,
        Dtype::I32 => TensorElementType::Int32,
        Dtype::I8 => TensorElementType::Int8,
        Dtype::U8 => TensorElementType::Uint8,
        Dtype::Bool => TensorElementType::Bool,
    }
}

/// A tensor that borrows the elements.
pub(super) fn lent<'v>(dims: &'v [usize], elements: Elements<'v>) -> ort::Result<SessionInputValue<'v>> {
    Ok(match elements {
        Elements::F32(elements) => TensorRef::from_array_view((dims, elements))?.into(),
        Elements::F16(elements) => {
            let elements: &[f16] = elements.reinterpret_cast();
            TensorRef::from_array_view((dims, elements))?.into()
        }
        Elements::I64(elements) => TensorRef::from_array_view((dims, elements))?.into(),
        Elements::I32(elements) => TensorRef::from_array_view((dims, elements))?.into(),
        Elements::I8(elements) => TensorRef::from_array_view((dims, elements))?.into(),
        Elements::U8(elements) => TensorRef::from_array_view((dims, elements))?.into(),
        Elements::Bool(elements) => TensorRef::from_array_view((dims, elements))?.into(),
    })
}

/// Copies a tensor of as many elements of the same type.
pub(super) fn fill(elements: &mut ElementsMut<'_>, value: &DynValue) -> ort::Result<()> {
    fn copy<T: Copy>(to: &mut [T], from: &[T]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
    match elements {
        ElementsMut::F32(elements) => copy(elements, value.try_extract_tensor()?.1),
        ElementsMut::F16(elements) => {
            let values: &[f16] = value.try_extract_tensor()?.1;
            for (element, value) in elements.iter_mut().zip(values) {
                *element = value.to_bits();
            }
        }
        ElementsMut::I64(elements) => copy(elements, value.try_extract_tensor()?.1),
        ElementsMut::I32(elements) => copy(elements, value.try_extract_tensor()?.1),
        ElementsMut::I8(elements) => copy(elements, value.try_extract_tensor()?.1),
        ElementsMut::U8(elements) => copy(elements, value.try_extract_tensor()?.1),
        ElementsMut::Bool(elements) => copy(elements, value.try_extract_tensor()?.1),
    }
    Ok(())
}
