//! Pools.

use crate::record::{code, record};
use crate::span::{Extent, Grid, Halo, Span};
use crate::step::plain::Affine;

code! {
    /// What a pool makes of its window.
    pub enum PoolKind {
        /// Greatest `u8`.
        #[default]
        MaxU8 = 0,
        /// Greatest `f32`.
        MaxF32 = 1,
        /// Mean of the real numbers that `u8` stand for, summed in `f64`, quantized to nearest, ties to even.
        MeanU8 = 2,
        /// Mean of `f32`, summed in `f64`.
        MeanF32 = 3,
    }
}

record! {
    /// A pool over windows of pixels with channels next to each other.
    ///
    /// Elements outside the input are no part of a window.
    pub struct Pool {
        /// What it makes of its window.
        pub kind: PoolKind,
        /// Pixels of the output.
        pub extent: Extent,
        /// Channels.
        pub channels: u32,
        /// Rows of the input.
        pub input_rows: u32,
        /// Columns of the input.
        pub input_columns: u32,
        /// The input.
        pub input: Span,
        /// Its pixels.
        pub input_grid: Grid,
        /// Rows and columns of the window.
        pub kernel: [u32; 2],
        /// Steps of the window in rows and columns.
        pub strides: [u32; 2],
        /// Distances of the window's elements in rows and columns.
        pub dilations: [u32; 2],
        /// Elements before the input in rows and columns.
        pub before: [u32; 2],
        /// Elements behind it that count, in rows and columns, where padding counts.
        pub after: [u32; 2],
        /// Whether a mean divides by the elements of the window inside the padded input instead of the input.
        pub include_padding: u32,
        /// Of the input of a mean.
        pub input_affine: Affine,
        /// Of the output of a mean.
        pub output_affine: Affine,
        /// The output.
        pub output: Span,
        /// Its pixels.
        pub output_grid: Grid,
        /// Its border.
        pub halo: Halo,
    }
}

impl Pool {
    /// Bytes of an element.
    pub fn size(&self) -> u32 {
        match self.kind {
            PoolKind::MaxU8 | PoolKind::MeanU8 => 1,
            PoolKind::MaxF32 | PoolKind::MeanF32 => 4,
        }
    }
}
