//! Steps in TensorFlow Lite's fixed-point arithmetic, for networks whose integers came from it.

use super::plain::{AXES, Strided};
use super::pool::Pool;
use crate::record::{code, record};
use crate::span::Blob;

record! {
    /// A factor `multiplier * 2^(shift - 31)`: a doubling high product that rounds to nearest, then a right shift that
    /// takes ties away from zero.
    pub struct Fixed {
        /// 0, or from 2^30 on.
        pub multiplier: i32,
        /// Positive to the left; -31 to 30.
        pub shift: i32,
    }
}

code! {
    /// A function of two integers.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum FixedPair {
        #[default]
        Add = 0,
        Sub = 1,
        Mul = 2,
    }
}

record! {
    /// `clamp(round((sum + bias) * factor) + zero)` of integers that are kept as `f32`, a factor for each channel.
    pub struct Rescale {
        /// Extents without the channels.
        pub dims: [u32; AXES],
        /// The `f32` input, first channel.
        pub input: Strided,
        /// The `u8` output, first channel.
        pub output: Strided,
        /// Channels, next to each other.
        pub channels: u32,
        /// `i32`, one for each channel; left out for zeros.
        pub bias: Blob,
        /// `i32` multipliers, one for each channel.
        pub multipliers: Blob,
        /// `i32` shifts, one for each channel.
        pub shifts: Blob,
        /// Zero point of the output.
        pub zero: i32,
        /// Least output.
        pub low: i32,
        /// Greatest output.
        pub high: i32,
    }
}

record! {
    /// A function of two `u8` tensors, each byte replaced by an integer of a table, times a factor.
    pub struct PairFixed {
        /// The function.
        pub function: FixedPair,
        /// Extents of the output.
        pub dims: [u32; AXES],
        /// First operand.
        pub a: Strided,
        /// 256 `i32`.
        pub a_table: Blob,
        /// Second operand.
        pub b: Strided,
        /// 256 `i32`.
        pub b_table: Blob,
        /// The `u8` output.
        pub output: Strided,
        /// From the result to the output's scale.
        pub factor: Fixed,
        /// Zero point of the output.
        pub zero: i32,
    }
}

record! {
    /// A mean of `u8` over windows, ties away from zero: `round(sum(q - zero_in) * factor / count) + zero_out`.
    pub struct MeanFixed {
        /// The windows; its kind is a mean of `u8`, and of its numbers only the zero points count.
        pub pool: Pool,
        /// From the sum to the output's scale; a multiplier of 0 for equal scales.
        pub factor: Fixed,
    }
}
