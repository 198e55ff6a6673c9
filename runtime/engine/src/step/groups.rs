//! Normalizations over groups of channels.

use super::check::{Limits, at_most, bounds, equal, grid, multiple, output_grid, some, zeros};
use crate::error::Result;
use crate::record::record;
use crate::span::{Blob, Extent, Grid, Halo, Span};
use crate::step::plain::Affine;

record! {
    /// `max((x - mean) / sqrt(variance + epsilon) * scale + bias, low)` of `f32` pixels with channels next to each other,
    /// mean and variance being those of a group of channels of an image.
    ///
    /// Integers: `clamp(round(y / scale) + zero)`, to nearest with ties to even. The order of sums is left to the kernel,
    /// so that tiers may differ by rounding.
    pub struct NormalizeGroups {
        /// Pixels.
        pub extent: Extent,
        /// Channels.
        pub channels: u32,
        /// Groups of as many channels each.
        pub groups: u32,
        /// Added to the variance.
        pub epsilon: f32,
        /// Least value.
        pub low: f32,
        /// The `f32` input.
        pub input: Span,
        /// Where its pixels lie.
        pub input_grid: Grid,
        /// `f32`, one for each channel.
        pub scale: Blob,
        /// As `scale`.
        pub bias: Blob,
        /// Whether the output is `u8`, else `f32`.
        pub quantized: u32,
        /// Of integers.
        pub affine: Affine,
        /// The output.
        pub output: Span,
        /// Where its pixels lie.
        pub output_grid: Grid,
        /// Its border.
        pub halo: Halo,
        /// First byte in the output, behind pixels and border, of memory for two `f32` of each channel; behind a run
        /// anything may lie there.
        pub scratch: u32,
    }
}

impl NormalizeGroups {
    /// Bytes of an output element.
    pub fn output_size(&self) -> u32 {
        if self.quantized == 0 { 4 } else { 1 }
    }

    /// Bytes of memory for the channels.
    pub fn scratch_bytes(&self) -> u64 {
        u64::from(self.channels) * 8
    }
}

pub(super) fn check_normalize_groups(step: &NormalizeGroups, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input)], &step.output)?;
    some("channels", step.channels.checked_sub(1))?;
    let rest = some("groups", step.channels.checked_rem(step.groups))?;
    equal("groups", 0, u64::from(rest))?;
    some("quantized", 1u32.checked_sub(step.quantized))?;
    zeros(&[step.affine.zero])?;
    let (channels, size) = (u64::from(step.channels), step.output_size());
    grid("input", &step.input_grid, &step.extent, channels * 4, &step.input)?;
    let at = &step.input_grid;
    multiple("input", 4, &[at.start, at.image, at.row, at.column])?;
    // Pixels and border end where the memory for channels begins.
    let pixels = Span {
        bytes: step.scratch,
        ..step.output
    };
    let at = &step.output_grid;
    output_grid(at, &step.extent, channels * u64::from(size), &pixels, &step.halo)?;
    multiple("output", size, &[at.start, at.image, at.row, at.column])?;
    multiple("scratch", 4, &[step.scratch])?;
    let end = u64::from(step.scratch) + step.scratch_bytes();
    at_most("scratch", u64::from(step.output.bytes), end)?;
    if !step.epsilon.is_finite() || step.low.is_nan() {
        return Err(bounds("epsilon", 0, 1));
    }
    limits.blob("scale", &step.scale, channels * 4)?;
    limits.blob("bias", &step.bias, channels * 4)
}
