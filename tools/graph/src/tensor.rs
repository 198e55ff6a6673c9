//! Tensors with their elements.

use std::sync::Arc;

use half::{bf16, f16};

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Quantization, TensorType};

/// Elements of a tensor in row-major order, shared between copies.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Storage {
    F32(Arc<Vec<f32>>),
    F16(Arc<Vec<f16>>),
    Bf16(Arc<Vec<bf16>>),
    F64(Arc<Vec<f64>>),
    I8(Arc<Vec<i8>>),
    I16(Arc<Vec<i16>>),
    I32(Arc<Vec<i32>>),
    I64(Arc<Vec<i64>>),
    U8(Arc<Vec<u8>>),
    U16(Arc<Vec<u16>>),
    U32(Arc<Vec<u32>>),
    U64(Arc<Vec<u64>>),
    Bool(Arc<Vec<bool>>),
}

/// Runs the same expression on the elements of a [`Storage`], whatever their type.
#[macro_export]
macro_rules! for_each_storage {
    ($storage:expr, $elements:ident => $body:expr) => {
        match $storage {
            $crate::Storage::F32($elements) => $body,
            $crate::Storage::F16($elements) => $body,
            $crate::Storage::Bf16($elements) => $body,
            $crate::Storage::F64($elements) => $body,
            $crate::Storage::I8($elements) => $body,
            $crate::Storage::I16($elements) => $body,
            $crate::Storage::I32($elements) => $body,
            $crate::Storage::I64($elements) => $body,
            $crate::Storage::U8($elements) => $body,
            $crate::Storage::U16($elements) => $body,
            $crate::Storage::U32($elements) => $body,
            $crate::Storage::U64($elements) => $body,
            $crate::Storage::Bool($elements) => $body,
        }
    };
}

impl Storage {
    /// Type of the elements.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F16(_) => Dtype::F16,
            Self::Bf16(_) => Dtype::Bf16,
            Self::F64(_) => Dtype::F64,
            Self::I8(_) => Dtype::I8,
            Self::I16(_) => Dtype::I16,
            Self::I32(_) => Dtype::I32,
            Self::I64(_) => Dtype::I64,
            Self::U8(_) => Dtype::U8,
            Self::U16(_) => Dtype::U16,
            Self::U32(_) => Dtype::U32,
            Self::U64(_) => Dtype::U64,
            Self::Bool(_) => Dtype::Bool,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        for_each_storage!(self, e => e.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! from_elements {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<Vec<$type>> for Storage {
            fn from(elements: Vec<$type>) -> Self {
                Self::$variant(Arc::new(elements))
            }
        }
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$variant;
            fn slice(storage: &Storage) -> Option<&[Self]> {
                match storage {
                    Storage::$variant(elements) => Some(elements),
                    _ => None,
                }
            }
        }
    )*};
}

/// A Rust type that a tensor can hold.
pub trait Element: Copy + Default + PartialEq + Send + Sync + 'static {
    /// Its element type.
    const DTYPE: Dtype;
    /// The elements of a storage of this type.
    fn slice(storage: &Storage) -> Option<&[Self]>;
}

from_elements!(f32 => F32, f16 => F16, bf16 => Bf16, f64 => F64, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64, bool => Bool);

/// A tensor with its elements, row-major and without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    storage: Storage,
    /// How its integers stand for real numbers, if they do.
    pub quantization: Option<Quantization>,
}

/// Most elements a tensor may have: 8 GiB of `f32`.
pub const MAX_ELEMENTS: usize = 1 << 31;

/// Product of extents; `None` where it overflows.
pub fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// Product of extents with 1 for 0, which bounds the loops over a tensor that may be empty; `None` where it overflows.
pub(crate) fn span(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)))
}

impl Tensor {
    /// A tensor of these extents.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the number of elements is not the product of the extents.
    pub fn new(shape: &[usize], storage: impl Into<Storage>) -> Result<Self> {
        let storage = storage.into();
        if element_count(shape) != Some(storage.len()) {
            return Err(Error::new(
                ErrorKind::Shape,
                "tensor",
                format!("elements for shape {shape:?}"),
                format!("{} elements", storage.len()),
            ));
        }
        Ok(Self {
            shape: shape.to_vec(),
            storage,
            quantization: None,
        })
    }

    /// A tensor without extents that holds one element.
    pub fn scalar<T: Element>(value: T) -> Self
    where
        Storage: From<Vec<T>>,
    {
        Self {
            shape: Vec::new(),
            storage: vec![value].into(),
            quantization: None,
        }
    }

    /// A tensor with one extent.
    pub fn vector<T: Element>(values: Vec<T>) -> Self
    where
        Storage: From<Vec<T>>,
    {
        Self {
            shape: vec![values.len()],
            storage: values.into(),
            quantization: None,
        }
    }

    /// The same tensor, its integers standing for real numbers.
    #[must_use]
    pub fn with_quantization(mut self, quantization: Option<Quantization>) -> Self {
        self.quantization = quantization;
        self
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of extents.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.storage.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.storage.is_empty()
    }

    /// Type of the elements.
    pub fn dtype(&self) -> Dtype {
        self.storage.dtype()
    }

    /// The elements.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The elements, where they are of type `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Dtype`] if they are of another.
    pub fn elements<T: Element>(&self) -> Result<&[T]> {
        T::slice(&self.storage).ok_or_else(|| Error::new(ErrorKind::Dtype, "tensor", T::DTYPE, self.dtype()))
    }

    /// The same elements under other extents.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if the number of elements differs.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self> {
        Ok(Self::new(shape, self.storage.clone())?.with_quantization(self.quantization.clone()))
    }

    /// The tensor with its axes in another order: axis `permutation[i]` becomes axis `i`, as NumPy's `transpose`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `permutation` is not one of its axes; [`ErrorKind::Unsupported`] for a tensor that is
    /// quantized in blocks.
    pub fn permuted(&self, permutation: &[usize]) -> Result<Self> {
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if sorted.len() != self.rank() || sorted.iter().enumerate().any(|(i, &axis)| i != axis) {
            let expected = format!("a permutation of {} axes", self.rank());
            return Err(Error::new(
                ErrorKind::Shape,
                "tensor",
                expected,
                format!("{permutation:?}"),
            ));
        }
        let shape: Vec<usize> = permutation.iter().map(|&axis| self.shape[axis]).collect();
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = self.shape[axis].saturating_mul(strides[axis]);
        }
        let strides: Vec<usize> = permutation.iter().map(|&axis| strides[axis]).collect();
        let places = places(&shape, &strides, self.len());
        let storage: Storage =
            for_each_storage!(&self.storage, e => places.iter().map(|&at| e[at]).collect::<Vec<_>>().into());
        let quantization = self
            .quantization
            .as_ref()
            .map(|q| q.permuted(permutation))
            .transpose()?;
        Ok(Self::new(&shape, storage)?.with_quantization(quantization))
    }

    /// The real numbers that the elements stand for, as `f32`; without quantization, the elements widened.
    ///
    /// # Errors
    /// As [`crate::dequantize`] for a quantized tensor.
    pub fn dequantized(&self) -> Result<Self> {
        match self.quantization {
            Some(_) => crate::quantization::dequantize(self),
            None => Self::new(&self.shape, self.to_f32()),
        }
    }

    /// The elements widened to `f32`, quantization not applied; `bool` gives 0 and 1.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.storage {
            Storage::F32(e) => e.to_vec(),
            Storage::F16(e) => e.iter().map(|x| x.to_f32()).collect(),
            Storage::Bf16(e) => e.iter().map(|x| x.to_f32()).collect(),
            Storage::F64(e) => e.iter().map(|&x| x as f32).collect(),
            Storage::I8(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::I16(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::I32(e) => e.iter().map(|&x| x as f32).collect(),
            Storage::I64(e) => e.iter().map(|&x| x as f32).collect(),
            Storage::U8(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::U16(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::U32(e) => e.iter().map(|&x| x as f32).collect(),
            Storage::U64(e) => e.iter().map(|&x| x as f32).collect(),
            Storage::Bool(e) => e.iter().map(|&x| x.into()).collect(),
        }
    }

    /// The elements of an integer or `bool` tensor as `i64`.
    ///
    /// # Errors
    /// [`ErrorKind::Dtype`] for floating-point elements, [`ErrorKind::Value`] above the range of `i64`.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        Ok(match &self.storage {
            Storage::I8(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::I16(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::I32(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::I64(e) => e.to_vec(),
            Storage::U8(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::U16(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::U32(e) => e.iter().map(|&x| x.into()).collect(),
            Storage::U64(e) => e
                .iter()
                .map(|&x| i64::try_from(x))
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| Error::new(ErrorKind::Value, "tensor", "values below 2^63", "a larger one"))?,
            Storage::Bool(e) => e.iter().map(|&x| x.into()).collect(),
            _ => {
                return Err(Error::new(ErrorKind::Dtype, "tensor", "integers", self.dtype()));
            }
        })
    }

    /// Its type, all extents numbers.
    pub fn tensor_type(&self) -> TensorType {
        TensorType {
            quantization: self.quantization.clone(),
            ..TensorType::new(self.dtype(), &self.shape)
        }
    }
}

/// Where each of `count` elements of a tensor of these extents lies, by the strides of its axes.
fn places(shape: &[usize], strides: &[usize], count: usize) -> Vec<usize> {
    let mut found = Vec::with_capacity(count);
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..count {
        found.push(at);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    found
}
