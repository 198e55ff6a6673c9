//! Raw bytes to typed elements, and views with strides.

use half::{bf16, f16};
use limbic_graph::{Dtype, Error, ErrorKind, Result, Storage, Tensor, element_count};

/// Order of the bytes of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// Most extents a tensor may have.
pub(crate) const MAX_RANK: usize = 32;

/// Number of elements and of bytes of a shape.
///
/// # Errors
/// [`ErrorKind::Limit`] where the product overflows or there are more than [`MAX_RANK`] extents.
pub(crate) fn extent(place: &str, dtype: Dtype, shape: &[usize]) -> Result<(usize, u64)> {
    let count = element_count(shape).filter(|_| shape.len() <= MAX_RANK);
    let bytes = count.and_then(|count| count.checked_mul(dtype.size()));
    match (count, bytes.filter(|&bytes| bytes <= isize::MAX as usize)) {
        (Some(count), Some(bytes)) => Ok((count, bytes as u64)),
        _ => Err(Error::new(
            ErrorKind::Limit,
            place,
            "a tensor that fits into memory",
            format!("shape {shape:?} of {dtype}"),
        )),
    }
}

/// Extents as a file states them.
pub(crate) fn to_shape(place: &str, extents: impl IntoIterator<Item = u64>) -> Result<Vec<usize>> {
    extents
        .into_iter()
        .map(|extent| {
            usize::try_from(extent)
                .map_err(|_| Error::new(ErrorKind::Limit, place, "an extent that fits into memory", extent))
        })
        .collect()
}

/// A tensor of packed row-major bytes.
pub(crate) fn tensor(
    place: &str,
    dtype: Dtype,
    shape: &[usize],
    order: ByteOrder,
    bytes: &[u8],
) -> Result<Tensor> {
    let (_, expected) = extent(place, dtype, shape)?;
    if expected != bytes.len() as u64 {
        return Err(Error::new(
            ErrorKind::Malformed,
            place,
            format!("{expected} bytes for {dtype} {shape:?}"),
            format!("{} bytes", bytes.len()),
        ));
    }
    Tensor::new(shape, decode(dtype, order, bytes)).map_err(|error| error.within(place))
}

fn decode(dtype: Dtype, order: ByteOrder, bytes: &[u8]) -> Storage {
    macro_rules! numbers {
        ($type:ty) => {{
            let elements = bytes.chunks_exact(size_of::<$type>()).map(|chunk| {
                let mut array = [0; size_of::<$type>()];
                array.copy_from_slice(chunk);
                match order {
                    ByteOrder::Little => <$type>::from_le_bytes(array),
                    ByteOrder::Big => <$type>::from_be_bytes(array),
                }
            });
            elements.collect::<Vec<_>>().into()
        }};
    }
    match dtype {
        Dtype::F32 => numbers!(f32),
        Dtype::F16 => numbers!(f16),
        Dtype::Bf16 => numbers!(bf16),
        Dtype::F64 => numbers!(f64),
        Dtype::I8 => numbers!(i8),
        Dtype::I16 => numbers!(i16),
        Dtype::I32 => numbers!(i32),
        Dtype::I64 => numbers!(i64),
        Dtype::U8 => numbers!(u8),
        Dtype::U16 => numbers!(u16),
        Dtype::U32 => numbers!(u32),
        Dtype::U64 => numbers!(u64),
        Dtype::Bool => bytes.iter().map(|&byte| byte != 0).collect::<Vec<_>>().into(),
    }
}

/// Strides of a packed tensor in elements, the last extent (`false`) or the first one (`true`) varying fastest.
pub(crate) fn packed_strides(shape: &[usize], first_fastest: bool) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    let mut step = 1usize;
    let mut place = |axis: usize| {
        if let (Some(stride), Some(&extent)) = (strides.get_mut(axis), shape.get(axis)) {
            *stride = step;
            step = step.saturating_mul(extent.max(1));
        }
    };
    if first_fastest {
        (0..shape.len()).for_each(&mut place);
    } else {
        (0..shape.len()).rev().for_each(&mut place);
    }
    strides
}

/// Elements from the first to the last that a view touches; 0 for an empty one. `None` on overflow.
pub(crate) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let mut last = 0usize;
    for (&extent, &stride) in shape.iter().zip(strides) {
        last = last.checked_add(extent.checked_sub(1)?.checked_mul(stride)?)?;
    }
    last.checked_add(1)
}

/// The bytes of a view in row-major order, out of the bytes of its [`span`].
pub(crate) fn gather(bytes: &[u8], size: usize, shape: &[usize], strides: &[usize]) -> Option<Vec<u8>> {
    let count = element_count(shape)?;
    if strides == packed_strides(shape, false) {
        return bytes.get(..count.checked_mul(size)?).map(<[u8]>::to_vec);
    }
    let mut packed = Vec::with_capacity(count.checked_mul(size)?);
    let mut index = vec![0usize; shape.len()];
    for _ in 0..count {
        let offset: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        packed.extend_from_slice(bytes.get(offset * size..(offset + 1) * size)?);
        for (i, &extent) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < extent {
                break;
            }
            *i = 0;
        }
    }
    Some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_is_read_in_row_major_order() {
        let bytes: Vec<u8> = (0..6).collect();
        assert_eq!(gather(&bytes, 1, &[3, 2], &[1, 3]).unwrap(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(packed_strides(&[3, 2], true), [1, 3]);
        assert_eq!(packed_strides(&[3, 2], false), [2, 1]);
        assert_eq!(span(&[3, 2], &[1, 3]), Some(6));
        assert_eq!(span(&[usize::MAX, 2], &[1, usize::MAX]), None);
        assert_eq!(
            gather(&bytes, 2, &[2, 2], &[0, 2]).unwrap(),
            [0, 1, 4, 5, 0, 1, 4, 5]
        );
    }

    #[test]
    fn big_endian_bytes_are_swapped() {
        let read = tensor("t", Dtype::I16, &[2], ByteOrder::Big, &[1, 2, 0xff, 0xfe]).unwrap();
        assert_eq!(read.elements::<i16>().unwrap(), [0x0102, -2]);
    }

    #[test]
    fn a_shape_of_two_to_the_sixty_is_refused() {
        assert_eq!(
            extent("t", Dtype::F32, &[1 << 30, 1 << 30, 8])
                .unwrap_err()
                .kind(),
            ErrorKind::Limit
        );
    }
}
