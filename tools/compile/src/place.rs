//! Where the values of a graph are placed.

use limbic_engine::step::{Affine, Strided};
use limbic_engine::{Blob, Span};
use limbic_graph::{Dtype, Error, ErrorKind, Quantization, Result, TensorType};

use crate::strides::{Loops, broadcast, loops, number, reshaped, row_major};

/// Bytes behind the elements of each buffer, for kernels that read a whole register.
pub(crate) const SLACK: usize = 64;

/// What the elements of a placed value are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    F32,
    /// Integers that stand for real numbers; `i8` is kept with its sign bit flipped and its zero point plus 128.
    U8(Affine),
    /// Anything else, by size.
    Plain(usize),
}

impl Kind {
    /// Of a type.
    pub fn of(ty: &TensorType) -> Result<Self> {
        match (&ty.quantization, ty.dtype) {
            (None, Dtype::F32) => Ok(Self::F32),
            (None, dtype) => Ok(Self::Plain(dtype.size())),
            (Some(Quantization::PerTensor { scale, zero_point }), Dtype::U8 | Dtype::I8) => {
                let shift = if ty.dtype == Dtype::I8 { 128 } else { 0 };
                Ok(Self::U8(Affine {
                    scale: *scale,
                    zero: zero_point + shift,
                }))
            }
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "f32, or 8-bit integers with one scale",
                format!("{ty} quantized otherwise"),
            )),
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::U8(_) => 1,
            Self::Plain(size) => size,
        }
    }
}

/// Pixels around a spatial value: top, bottom, left, right.
pub(crate) type Border = [usize; 4];

/// A value in a buffer: extents as the graph has them, strides and start in elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub buffer: usize,
    /// Bytes of the buffer.
    pub bytes: usize,
    pub kind: Kind,
    pub dims: Vec<usize>,
    pub strides: Vec<usize>,
    pub start: usize,
    /// Border with the zero point in it, if the value is `[N,C,H,W]` or `[N,C,L]` with channels last.
    pub border: Border,
}

impl Placed {
    /// Loops over this place and two operands that broadcast to it, in the order first, second, place.
    pub fn pairs(&self, a: &Self, b: &Self) -> Result<Loops<3>> {
        let (a, b) = (
            broadcast(&a.dims, &a.strides, &self.dims),
            broadcast(&b.dims, &b.strides, &self.dims),
        );
        loops(&self.dims, [&a, &b, &self.strides])
    }

    /// The whole buffer; its offset is the buffer's number until the arena is planned.
    pub fn span(&self) -> Result<Span> {
        Ok(Span {
            offset: number(self.buffer)?,
            bytes: number(self.bytes)?,
        })
    }

    /// As an operand along axes with these strides.
    pub fn strided(&self, strides: [u32; 6]) -> Result<Strided> {
        Ok(Strided {
            span: self.span()?,
            start: number(self.start)?,
            strides,
        })
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether the elements lie row-major without gaps.
    pub fn is_row_major(&self) -> bool {
        reshaped(&self.dims, &self.strides, &[self.count()]).is_some_and(|s| self.count() == 1 || s == [1])
    }

    /// The same elements under other extents, if no copy is needed.
    pub fn reshape(&self, dims: &[usize]) -> Option<Self> {
        Some(Self {
            strides: reshaped(&self.dims, &self.strides, dims)?,
            dims: dims.to_vec(),
            border: [0; 4],
            ..self.clone()
        })
    }

    /// The same elements with axes in another order.
    pub fn transpose(&self, order: &[usize]) -> Self {
        Self {
            dims: order.iter().map(|&axis| self.dims[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            border: [0; 4],
            ..self.clone()
        }
    }

    /// Row-major in a buffer.
    pub fn row_major(buffer: usize, kind: Kind, dims: &[usize]) -> Self {
        let count: usize = dims.iter().product();
        Self {
            buffer,
            bytes: count * kind.size() + SLACK,
            kind,
            dims: dims.to_vec(),
            strides: row_major(dims),
            start: 0,
            border: [0; 4],
        }
    }

    /// Channels last with a border, in a buffer; `dims` are `[N,C,L]` or `[N,C,H,W]`.
    pub fn channels_last(buffer: usize, kind: Kind, dims: &[usize], border: Border) -> Self {
        let [top, bottom, left, right] = border;
        let pixel = pixel_elements(kind, dims[1]);
        let (rows, columns) = match dims {
            [_, _, rows, columns] => (*rows, *columns),
            _ => (1, dims[2]),
        };
        let row = (columns + left + right) * pixel;
        let image = (rows + top + bottom) * row;
        let mut strides = vec![image, 1, row, pixel];
        if dims.len() == 3 {
            strides.remove(2);
        }
        Self {
            buffer,
            bytes: dims[0] * image * kind.size() + SLACK,
            kind,
            dims: dims.to_vec(),
            strides,
            start: top * row + left * pixel,
            border,
        }
    }
}

/// Elements from a pixel to the next: those of integers begin at multiples of four bytes, unless there is one channel.
pub(crate) fn pixel_elements(kind: Kind, channels: usize) -> usize {
    match kind {
        Kind::U8(_) if channels > 1 => channels.next_multiple_of(4),
        _ => channels,
    }
}

/// No blob.
pub(crate) const NONE: Blob = Blob {
    pack: 0,
    offset: 0,
    bytes: 0,
};
