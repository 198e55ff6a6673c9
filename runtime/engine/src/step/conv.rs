//! Convolutions and products with constant or computed matrices.

use crate::record::{code, record};
use crate::span::{Blob, Extent, Grid, Halo, Span};

/// Output channels of a block of packed weights.
pub const BLOCK: usize = 16;
/// Bytes of a block's weights for one group of four input bytes.
pub const GROUP_BYTES: usize = BLOCK * 4;
/// Most pixels times blocks that a tile may have: as many accumulators are held at a time.
pub const MAX_TILE: u32 = 24;

/// First channel of a block.
///
/// Blocks are 16 channels long and the last one ends with the last channel, so that it may repeat channels of the one
/// before; only below 16 channels a block has places without one.
pub const fn first_channel(block: usize, channels: usize) -> usize {
    let first = block * BLOCK;
    if channels < BLOCK {
        0
    } else if first + BLOCK > channels {
        channels - BLOCK
    } else {
        first
    }
}

code! {
    /// Types that a product reads and writes.
    pub enum Arithmetic {
        /// `u8` times `i8`, summed in `i32`, requantized to `u8`.
        #[default]
        U8ToU8 = 0,
        /// `u8` times `i8`, summed in `i32`, scaled to `f32`.
        U8ToF32 = 1,
        /// `f32` throughout.
        F32 = 2,
        /// Rows of `u8`, each with a scale of its own, times `i8`, summed in `i32`, scaled to `f32`.
        RowsToF32 = 3,
    }
}

impl Arithmetic {
    /// Bytes of an output element.
    fn output_size(self) -> u32 {
        match self {
            Self::U8ToU8 => 1,
            Self::U8ToF32 | Self::F32 | Self::RowsToF32 => 4,
        }
    }
}

record! {
    /// How a sum becomes an output.
    ///
    /// Integers: `clamp(round(sum * scale)) + zero_point`, to nearest with ties to even, the limits given without the
    /// zero point. `f32`: `clamp(sum)`. Rows: `clamp(sum * (row_scale * scale) + offset)`.
    pub struct Epilogue {
        /// Added to each output of type `u8`.
        pub zero_point: i32,
        /// Least value, before the zero point.
        pub low: f32,
        /// Greatest value, before the zero point.
        pub high: f32,
    }
}

record! {
    /// A second tensor that is added before the output is stored; left out where its span is.
    ///
    /// Stored as `f32`: `clamp(sum + other)`, the sum scaled. `u8`: the first epilogue gives an integer `q` without zero point, and the output
    /// is `clamp(round((q * scale + (other - other_zero) * other_scale) * factor)) + zero_point`, or with a division
    /// by `factor` instead of the product.
    pub struct Residual {
        /// The tensor.
        pub other: Span,
        /// Where its pixels lie.
        pub grid: Grid,
        /// Of the sum.
        pub scale: f32,
        /// Of the other tensor.
        pub other_scale: f32,
        /// Of the other tensor.
        pub other_zero: i32,
        /// From the real sum to the output.
        pub factor: f32,
        /// Whether the factor divides.
        pub divide: u32,
        /// Of the output.
        pub epilogue: Epilogue,
    }
}

record! {
    /// Where the taps of a window lie, from its first byte: runs of `groups` times four bytes.
    pub struct Taps {
        /// Rows of runs.
        pub rows: u32,
        /// Bytes from a row of runs to the next.
        pub row_step: u32,
        /// Runs of a row.
        pub columns: u32,
        /// Bytes from a run to the next.
        pub column_step: u32,
        /// Groups of four bytes of a run.
        pub groups: u32,
    }
}

impl Taps {
    /// Groups of all runs; `None` where they overflow.
    pub fn depth(&self) -> Option<u32> {
        self.rows.checked_mul(self.columns)?.checked_mul(self.groups)
    }

    /// Bytes from the first of a window to behind its last; `None` without taps.
    pub fn reach(&self) -> Option<u64> {
        let rows = u64::from(self.rows.checked_sub(1)?) * u64::from(self.row_step);
        let columns = u64::from(self.columns.checked_sub(1)?) * u64::from(self.column_step);
        let run = u64::from(self.groups) * 4;
        (run > 0).then_some(rows.checked_add(columns)?.checked_add(run)?)
    }
}

record! {
    /// A product of windows of a tensor with a packed matrix: convolution of any kernel, stride and dilation, dense
    /// layer, matrix product.
    ///
    /// Weights are packed `[blocks][taps.depth()][16 outputs][4 bytes]`, four bytes being four `i8` or one `f32`; bias
    /// and scale as `[blocks][16]`. [`first_channel`] says which outputs are in a block; one that two blocks have is the
    /// same in both.
    pub struct Conv {
        /// Types.
        pub arithmetic: Arithmetic,
        /// Pixels of the output.
        pub extent: Extent,
        /// Output channels.
        pub channels: u32,
        /// The input.
        pub input: Span,
        /// First byte of the window of each pixel.
        pub input_grid: Grid,
        /// The window.
        pub taps: Taps,
        /// Constant weights; left out where `matrix` is there.
        pub weights: Blob,
        /// Weights that a step packed.
        pub matrix: Span,
        /// Bytes from the packed weights of an image to those of the next.
        pub matrix_image: u32,
        /// `i32` with the zero point's part, or `f32`; left out for zeros.
        pub bias: Blob,
        /// `f32`; left out for [`Arithmetic::F32`].
        pub scale: Blob,
        /// `f32`, packed as the scale and added to the scaled sum, of [`Arithmetic::RowsToF32`]; left out for zeros.
        pub offset: Blob,
        /// First byte, in the input's span, of an `f32` scale for each pixel, of [`Arithmetic::RowsToF32`].
        pub row_scales: u32,
        /// How a sum becomes an output.
        pub epilogue: Epilogue,
        /// A second tensor that is added.
        pub residual: Residual,
        /// The output; up to the next multiple of four, bytes behind the channels of a pixel may become 0.
        pub output: Span,
        /// Where its pixels lie.
        pub output_grid: Grid,
        /// Its border.
        pub halo: Halo,
        /// Pixels of a tile.
        pub tile_pixels: u32,
        /// Blocks of a tile.
        pub tile_blocks: u32,
    }
}

impl Conv {
    /// Blocks of output channels.
    pub fn blocks(&self) -> u32 {
        self.channels.div_ceil(BLOCK as u32)
    }

    /// Bytes of an output element.
    pub fn output_size(&self) -> u32 {
        self.arithmetic.output_size()
    }

    /// Multiply-accumulates, padded channels left out but taps of padded inputs not.
    pub fn macs(&self) -> u64 {
        let depth = u64::from(self.taps.depth().unwrap_or(0));
        let each = if self.arithmetic == Arithmetic::F32 { 1 } else { 4 };
        self.extent
            .pixels()
            .saturating_mul(u64::from(self.channels))
            .saturating_mul(depth * each)
    }
}

record! {
    /// A convolution of each channel alone.
    ///
    /// Weights are packed `[blocks][ceil(taps / 4)][16 channels][4 taps]` as `i8`, or `[blocks][taps][16]` as `f32`,
    /// taps row by row and missing ones 0; bias and scale as `[blocks][16]`. [`first_channel`] says which channels are
    /// in a block.
    pub struct Depthwise {
        /// Types; [`Arithmetic::RowsToF32`] is refused.
        pub arithmetic: Arithmetic,
        /// Pixels of the output.
        pub extent: Extent,
        /// Channels.
        pub channels: u32,
        /// The input.
        pub input: Span,
        /// First byte of the window of each pixel.
        pub input_grid: Grid,
        /// Rows of the window.
        pub kernel_rows: u32,
        /// Columns of the window.
        pub kernel_columns: u32,
        /// Bytes from a row of the window to the next.
        pub row_step: u32,
        /// Bytes from a column of the window to the next.
        pub column_step: u32,
        /// Weights.
        pub weights: Blob,
        /// `i32` with the zero point's part, or `f32`; left out for zeros.
        pub bias: Blob,
        /// `f32`; left out for [`Arithmetic::F32`].
        pub scale: Blob,
        /// How a sum becomes an output.
        pub epilogue: Epilogue,
        /// The output.
        pub output: Span,
        /// Where its pixels lie.
        pub output_grid: Grid,
        /// Its border.
        pub halo: Halo,
    }
}

impl Depthwise {
    /// Bytes of an output element.
    pub fn output_size(&self) -> u32 {
        self.arithmetic.output_size()
    }

    /// Taps of the window; `None` where they overflow.
    pub fn taps(&self) -> Option<u32> {
        self.kernel_rows.checked_mul(self.kernel_columns)
    }

    /// Bytes from the first of a window to its last tap; `None` without taps.
    pub fn reach(&self) -> Option<u64> {
        let rows = u64::from(self.kernel_rows.checked_sub(1)?) * u64::from(self.row_step);
        let columns = u64::from(self.kernel_columns.checked_sub(1)?) * u64::from(self.column_step);
        rows.checked_add(columns)
    }

    /// Multiply-accumulates.
    pub fn macs(&self) -> u64 {
        self.extent
            .pixels()
            .saturating_mul(u64::from(self.channels))
            .saturating_mul(u64::from(self.taps().unwrap_or(0)))
    }
}
