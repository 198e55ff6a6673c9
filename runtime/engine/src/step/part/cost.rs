//! How long a step takes at least.

use crate::step::{Arithmetic, PoolKind, Step, Strided};

/// Picoseconds of what the fastest tier does.
mod picoseconds {
    /// A product of 8-bit integers.
    pub const PRODUCT: u64 = 4;
    /// A product of `f32`.
    pub const REAL_PRODUCT: u64 = 14;
    /// A product of a convolution of each channel alone.
    pub const ALONE: u64 = 25;
    /// An element of a pool's window.
    pub const POOLED: u64 = 8;
    /// An element that is moved or combined.
    pub const MOVED: u64 = 60;
    /// An element of a function, of a softmax or of a normalization.
    pub const FUNCTION: u64 = 200;
}

/// Elements of a strided output.
fn elements(dims: &[u32], length: u32) -> u64 {
    let dims = dims.iter().chain([&length]);
    dims.fold(1, |product, &dim| product.saturating_mul(u64::from(dim)))
}

impl Step {
    /// Nanoseconds that it takes on one thread at least, as the fastest tier was measured; 0 where nothing is known.
    ///
    /// A lower tier takes longer, so that what pays by this pays there all the more.
    pub(crate) fn least_nanoseconds(&self) -> u64 {
        let (count, each) = match self {
            Self::Conv(step) if step.arithmetic == Arithmetic::F32 => {
                (step.macs(), picoseconds::REAL_PRODUCT)
            }
            Self::Conv(step) => (step.macs(), picoseconds::PRODUCT),
            Self::Depthwise(step) if step.arithmetic == Arithmetic::F32 => {
                (step.macs(), picoseconds::ALONE * 2)
            }
            Self::Depthwise(step) => (step.macs(), picoseconds::ALONE),
            Self::Pool(step) => {
                let window = elements(&step.kernel, step.channels);
                let each = match step.kind {
                    PoolKind::MaxU8 => 1,
                    PoolKind::MaxF32 | PoolKind::MeanU8 | PoolKind::MeanF32 => 4,
                };
                let count = step.extent.pixels().saturating_mul(window);
                (count, picoseconds::POOLED * each)
            }
            Self::Unary(step) => (elements(&step.dims, 1), picoseconds::FUNCTION),
            Self::Softmax(step) => (elements(&step.dims, step.length), picoseconds::FUNCTION),
            Self::Normalize(step) => (elements(&step.dims, step.length), picoseconds::FUNCTION),
            Self::Binary(step) => (elements(&step.dims, 1), picoseconds::MOVED),
            Self::BinaryU8(step) => (elements(&step.dims, 1), picoseconds::MOVED),
            Self::Copy(step) => (elements(&step.dims, 1), moved(&step.input)),
            Self::Table(step) => (elements(&step.dims, 1), picoseconds::MOVED * 4),
            Self::Quantize(step) => (elements(&step.dims, 1), picoseconds::MOVED),
            Self::Dequantize(step) => (elements(&step.dims, 1), picoseconds::MOVED),
            Self::Pack(step) => {
                let count = elements(&[step.images, step.depth, step.columns], 1);
                (count, picoseconds::MOVED * 2)
            }
            _ => (0, 0),
        };
        count.saturating_mul(each) / 1000
    }
}

/// Picoseconds of an element that is copied: gathered ones come one by one.
fn moved(input: &Strided) -> u64 {
    if input.strides[5] == 1 {
        picoseconds::MOVED
    } else {
        picoseconds::MOVED * 8
    }
}
