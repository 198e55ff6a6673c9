//! Types of tensors: elements, dims, quantization.

use std::fmt;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};

/// One extent of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// A symbol of the graph, by its place in [`crate::Graph::symbols`].
    Symbol(usize),
}

impl Dim {
    /// The number, if it is one.
    pub fn known(self) -> Option<usize> {
        match self {
            Self::Known(n) => Some(n),
            Self::Symbol(_) => None,
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Self::Known(n)
    }
}

/// A dim that is bound to a number before the graph runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Name, unique in the graph.
    pub name: String,
    /// Least number it may be bound to.
    pub min: usize,
    /// Greatest number it may be bound to.
    pub max: usize,
}

/// How integers stand for real numbers: `real = (integer - zero_point) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub enum Quantization {
    /// One scale and zero point for the tensor.
    PerTensor {
        /// Positive and finite.
        scale: f32,
        /// Inside the range of the element type.
        zero_point: i32,
    },
    /// One scale and zero point for each place along an axis.
    PerAxis {
        /// The axis.
        axis: usize,
        /// As many as the axis is long.
        scales: Vec<f32>,
        /// As many as the axis is long.
        zero_points: Vec<i32>,
    },
    /// One scale and zero point for each run of `size` elements along an axis; the last run may be shorter.
    Blocks {
        /// The axis.
        axis: usize,
        /// Elements of a block.
        size: usize,
        /// In the order of the tensor's elements, the axis being `ceil(length / size)` long.
        scales: Vec<f32>,
        /// As `scales`.
        zero_points: Vec<i32>,
    },
}

impl Quantization {
    /// That of the tensor whose axes are in another order: axis `permutation[i]` becomes axis `i`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for blocks, whose scales would have to be sorted as well.
    pub fn permuted(&self, permutation: &[usize]) -> Result<Self> {
        let mut found = self.clone();
        match &mut found {
            Self::PerTensor { .. } => {}
            Self::PerAxis { axis, .. } => {
                *axis = permutation.iter().position(|from| from == axis).unwrap_or(*axis);
            }
            Self::Blocks { .. } => {
                let expected = "scales for a tensor or an axis";
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "quantization",
                    expected,
                    "blocks",
                ));
            }
        }
        Ok(found)
    }
}

/// What is known of a tensor before the graph runs.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorType {
    /// Type of the elements.
    pub dtype: Dtype,
    /// Extents, outermost first; `None` while even their number is unknown.
    pub dims: Option<Vec<Dim>>,
    /// Present where integers stand for real numbers.
    pub quantization: Option<Quantization>,
}

impl TensorType {
    /// A plain tensor of known extents.
    pub fn new(dtype: Dtype, dims: &[usize]) -> Self {
        Self {
            dtype,
            dims: Some(dims.iter().map(|&n| Dim::Known(n)).collect()),
            quantization: None,
        }
    }

    /// A plain tensor of which nothing but the element type is known.
    pub fn unshaped(dtype: Dtype) -> Self {
        Self {
            dtype,
            dims: None,
            quantization: None,
        }
    }

    /// The extents, if all are numbers.
    pub fn shape(&self) -> Option<Vec<usize>> {
        self.dims.as_ref()?.iter().map(|d| d.known()).collect()
    }

    /// Number of extents, if known.
    pub fn rank(&self) -> Option<usize> {
        self.dims.as_ref().map(Vec::len)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        let Some(dims) = &self.dims else {
            return f.write_str("[...]");
        };
        f.write_str("[")?;
        for (i, dim) in dims.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match dim {
                Dim::Known(n) => write!(f, "{n}")?,
                Dim::Symbol(n) => write!(f, "s{n}")?,
            }
        }
        f.write_str("]")
    }
}
