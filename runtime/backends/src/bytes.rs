//! Elements as bytes.

#[cfg(feature = "tflite")]
use limbic_bundle::Dtype;

use crate::view::{Elements, ElementsMut};

/// Copies as many elements as both have.
pub(crate) fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// The elements as bytes, in the machine's order.
pub(crate) fn bytes_of(elements: Elements<'_>) -> &[u8] {
    match elements {
        Elements::F32(elements) => bytemuck::cast_slice(elements),
        Elements::F16(elements) => bytemuck::cast_slice(elements),
        Elements::I64(elements) => bytemuck::cast_slice(elements),
        Elements::I32(elements) => bytemuck::cast_slice(elements),
        Elements::I8(elements) => bytemuck::cast_slice(elements),
        Elements::U8(elements) => elements,
        Elements::Bool(elements) => bytemuck::cast_slice(elements),
    }
}

/// Copies as many elements from bytes, in the machine's order.
pub(crate) fn fill(elements: &mut ElementsMut<'_>, from: &[u8]) {
    match elements {
        ElementsMut::F32(elements) => copy(bytemuck::cast_slice_mut(elements), from),
        ElementsMut::F16(elements) => copy(bytemuck::cast_slice_mut(elements), from),
        ElementsMut::I64(elements) => copy(bytemuck::cast_slice_mut(elements), from),
        ElementsMut::I32(elements) => copy(bytemuck::cast_slice_mut(elements), from),
        ElementsMut::I8(elements) => copy(bytemuck::cast_slice_mut(elements), from),
        ElementsMut::U8(elements) => copy(elements, from),
        ElementsMut::Bool(elements) => {
            for (element, byte) in elements.iter_mut().zip(from) {
                *element = *byte != 0;
            }
        }
    }
}

/// Bytes of an element.
#[cfg(feature = "tflite")]
pub(crate) fn size(dtype: Dtype) -> usize {
    match dtype {
        Dtype::I64 => 8,
        Dtype::F32 | Dtype::I32 => 4,
        Dtype::F16 => 2,
        Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
    }
}
