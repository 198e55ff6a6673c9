//! Operations along one axis.

use super::plain::{AXES, Strided};
use crate::plan::Dtype;
use crate::record::record;
use crate::span::Blob;

record! {
    /// Copies elements from places that indices give.
    ///
    /// An index moves along `index_step` elements of the input; a negative one counts from `length`. Where an index lies
    /// outside, the element is zero.
    pub struct Lookup {
        /// Bytes of an element: 1, 2, 4 or 8.
        pub size: u32,
        /// Extents of the output.
        pub dims: [u32; AXES],
        /// The input, with strides of 0 along axes that only the indices have.
        pub input: Strided,
        /// The first index of each element, with strides of 0 along axes that they do not have.
        pub indices: Strided,
        /// Type of the indices: `i32` or `i64`.
        pub index: Dtype,
        /// Elements from an index of an element to the next.
        pub next_index: u32,
        /// Indices of an element: at most 6.
        pub count: u32,
        /// Places that each index can have.
        pub length: [u32; AXES],
        /// Elements of the input from a place to the next.
        pub index_step: [u32; AXES],
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// Place of the greatest or least element along an axis, as `i64`; a NaN is greater and less than all.
    pub struct Extreme {
        /// Type of the input.
        pub dtype: Dtype,
        /// Whether the greatest is wanted.
        pub greatest: u32,
        /// Whether the last of equal elements is taken instead of the first.
        pub last: u32,
        /// Extents without the axis.
        pub dims: [u32; AXES],
        /// The input, first place of the axis.
        pub input: Strided,
        /// Places of the axis.
        pub length: u32,
        /// Elements of the input from a place to the next.
        pub input_step: u32,
        /// The `i64` output.
        pub output: Strided,
    }
}

record! {
    /// Running sum or product along an axis: `f32` in `f64`, integers in 64 bits.
    pub struct Cumulate {
        /// Type of input and output.
        pub dtype: Dtype,
        /// Product instead of sum.
        pub product: u32,
        /// Whether an element itself is left out of its own result.
        pub exclusive: u32,
        /// Whether it runs from the end.
        pub reverse: u32,
        /// Extents without the axis.
        pub dims: [u32; AXES],
        /// The input, first place of the axis.
        pub input: Strided,
        /// The output, first place of the axis.
        pub output: Strided,
        /// Places of the axis.
        pub length: u32,
        /// Elements of the input from a place to the next.
        pub input_step: u32,
        /// Elements of the output from a place to the next.
        pub output_step: u32,
    }
}

record! {
    /// Weighted sums along an axis of `f32`, in `f64`: resampling by constant weights.
    pub struct Interpolate {
        /// Extents without the axis.
        pub dims: [u32; AXES],
        /// The input, first place of the axis.
        pub input: Strided,
        /// The output, first place of the axis.
        pub output: Strided,
        /// Places of the axis in the input.
        pub input_length: u32,
        /// Places of the axis in the output.
        pub output_length: u32,
        /// Elements of the input from a place to the next.
        pub input_step: u32,
        /// Elements of the output from a place to the next.
        pub output_step: u32,
        /// Terms of each sum.
        pub taps: u32,
        /// `u32` places of the input, `taps` for each place of the output.
        pub places: Blob,
        /// `f32` weights, as the places.
        pub weights: Blob,
    }
}
