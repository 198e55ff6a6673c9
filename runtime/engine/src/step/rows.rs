//! Rows that are quantized as they come.

use super::check::{Limits, at_most, bounds, multiple, run};
use crate::error::Result;
use crate::record::record;
use crate::span::Span;
use crate::step::plain::{AXES, Function, Strided};

/// What an integer of a quantized row is more than the number that it stands for.
pub const ROW_ZERO: i32 = 128;

record! {
    /// Rounds a function of each row of `f32` to `u8` with a scale of its own.
    ///
    /// The scale is `max|x| / 127`, and an integer is `clamp(round(x / scale), -127, 127)` plus [`ROW_ZERO`], to
    /// nearest with ties to even; a scale of 0 gives [`ROW_ZERO`] throughout. Bytes of a row behind its elements are
    /// [`ROW_ZERO`] too.
    pub struct QuantizeRows {
        /// Extents without the row.
        pub dims: [u32; AXES],
        /// The input, first element of the row.
        pub input: Strided,
        /// Elements of a row, next to each other.
        pub length: u32,
        /// Bytes from a row of integers to the next.
        pub row_bytes: u32,
        /// What is computed of each element first.
        pub function: Function,
        /// Parameter of the function.
        pub alpha: f32,
        /// Parameter of the function.
        pub beta: f32,
        /// First byte of the scales in the output.
        pub scales: u32,
        /// First byte in the output of memory for the function of a row, [`QuantizeRows::scratch_bytes`] long; behind
        /// a run anything may lie there.
        pub scratch: u32,
        /// Rows of integers next to each other, an `f32` scale for each, then the memory for a row.
        pub output: Span,
    }
}

impl QuantizeRows {
    /// Bytes of memory for the function of a row: whole registers.
    pub fn scratch_bytes(&self) -> u64 {
        if self.function == Function::Identity {
            0
        } else {
            u64::from(self.length).next_multiple_of(16) * 4
        }
    }

    /// Number of rows; `None` where it overflows.
    pub fn rows(&self) -> Option<u64> {
        let mut dims = self.dims.iter();
        dims.try_fold(1u64, |product, &dim| product.checked_mul(u64::from(dim)))
    }
}

pub(super) fn check_quantize_rows(step: &QuantizeRows, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output)?;
    run("input", &step.input, &step.dims, step.length, 1)?;
    at_most("row", u64::from(step.row_bytes), u64::from(step.length))?;
    multiple("scales", 4, &[step.scales])?;
    let rows = step.rows().ok_or(bounds("rows", u64::MAX, 0))?;
    let integers = rows.saturating_mul(u64::from(step.row_bytes));
    at_most("scales", u64::from(step.scales), integers)?;
    let end = rows.saturating_mul(4).saturating_add(u64::from(step.scales));
    multiple("scratch", 4, &[step.scratch])?;
    at_most("scratch", u64::from(step.scratch), end)?;
    let end = u64::from(step.scratch).saturating_add(step.scratch_bytes());
    at_most("output", u64::from(step.output.bytes), end)
}
