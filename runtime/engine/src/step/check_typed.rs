//! Whether steps on elements of any type, along axes and in fixed point stay inside their buffers.

use super::check::{Limits, at_most, check_pool, count, equal, some, strided, strided_output, zeros};
use super::*;
use crate::error::Result;
use crate::plan::Dtype;
use crate::span::Blob;

fn size(size: u32) -> Result<()> {
    some("size", [1, 2, 4, 8].contains(&size).then_some(()))
}

/// An operand with `length` places along one axis more, inside its span.
fn lined(
    place: &'static str,
    operand: &Strided,
    dims: &[u32; AXES],
    (length, step): (u32, u32),
    size: u32,
) -> Result<()> {
    let last = some(place, operand.last(dims))?;
    let reach = u64::from(some(place, length.checked_sub(1))?) * u64::from(step);
    let elements = u64::from(operand.span.bytes / size);
    at_most(place, elements, last.saturating_add(reach).saturating_add(1))?;
    let all = some(place, count(place, dims)?.checked_mul(u64::from(length)))?;
    // As many as the output can hold, so that the time of a run is bounded.
    if place == "output" {
        at_most(place, elements, all)?;
    }
    Ok(())
}

pub(super) fn check_calculate(step: &Calculate, limits: &Limits<'_>) -> Result<()> {
    some("type", (step.dtype != Dtype::F32).then_some(()))?;
    let size = step.dtype.size() as u32;
    limits.spans(&[("a", &step.a.span), ("b", &step.b.span)], &step.output.span)?;
    strided("a", &step.a, &step.dims, size)?;
    strided("b", &step.b, &step.dims, size)?;
    strided_output(&step.output, &step.dims, size)
}

pub(super) fn check_compare(step: &Compare, limits: &Limits<'_>) -> Result<()> {
    let size = step.dtype.size() as u32;
    limits.spans(&[("a", &step.a.span), ("b", &step.b.span)], &step.output.span)?;
    strided("a", &step.a, &step.dims, size)?;
    strided("b", &step.b, &step.dims, size)?;
    strided_output(&step.output, &step.dims, 1)
}

pub(super) fn check_select(step: &Select, limits: &Limits<'_>) -> Result<()> {
    size(step.size)?;
    let inputs = [
        ("condition", &step.condition.span),
        ("a", &step.a.span),
        ("b", &step.b.span),
    ];
    limits.spans(&inputs, &step.output.span)?;
    strided("condition", &step.condition, &step.dims, 1)?;
    strided("a", &step.a, &step.dims, step.size)?;
    strided("b", &step.b, &step.dims, step.size)?;
    strided_output(&step.output, &step.dims, step.size)
}

pub(super) fn check_lookup(step: &Lookup, limits: &Limits<'_>) -> Result<()> {
    size(step.size)?;
    let inputs = [("input", &step.input.span), ("indices", &step.indices.span)];
    limits.spans(&inputs, &step.output.span)?;
    some(
        "index",
        matches!(step.index, Dtype::I32 | Dtype::I64).then_some(()),
    )?;
    at_most("indices", AXES as u64, u64::from(step.count))?;
    let terms = step.length.iter().zip(&step.index_step).take(step.count as usize);
    let mut last = some("input", step.input.last(&step.dims))?;
    for (&length, &index_step) in terms {
        let reach = u64::from(some("input", length.checked_sub(1))?) * u64::from(index_step);
        last = last.saturating_add(reach);
    }
    at_most(
        "input",
        u64::from(step.input.span.bytes / step.size),
        last.saturating_add(1),
    )?;
    let index = some("indices", step.indices.last(&step.dims))?;
    let reach = u64::from(step.count.saturating_sub(1)) * u64::from(step.next_index);
    let bytes = u64::from(step.indices.span.bytes / step.index.size() as u32);
    at_most("indices", bytes, index.saturating_add(reach).saturating_add(1))?;
    strided_output(&step.output, &step.dims, step.size)
}

pub(super) fn check_extreme(step: &Extreme, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    let along = (step.length, step.input_step);
    lined("input", &step.input, &step.dims, along, step.dtype.size() as u32)?;
    // A place may be read again and again: the axis is no longer than the input.
    at_most("axis", u64::from(step.input.span.bytes), u64::from(step.length))?;
    strided_output(&step.output, &step.dims, 8)
}

pub(super) fn check_cumulate(step: &Cumulate, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    let size = step.dtype.size() as u32;
    lined(
        "input",
        &step.input,
        &step.dims,
        (step.length, step.input_step),
        size,
    )?;
    lined(
        "output",
        &step.output,
        &step.dims,
        (step.length, step.output_step),
        size,
    )
}

pub(super) fn check_interpolate(step: &Interpolate, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    lined(
        "input",
        &step.input,
        &step.dims,
        (step.input_length, step.input_step),
        4,
    )?;
    lined(
        "output",
        &step.output,
        &step.dims,
        (step.output_length, step.output_step),
        4,
    )?;
    let terms = u64::from(step.output_length) * u64::from(step.taps);
    let bytes = some("places", terms.checked_mul(4))?;
    limits.blob("places", &step.places, bytes)?;
    limits.blob("weights", &step.weights, bytes)?;
    let outside = words(&step.places, limits).find(|&place| place >= step.input_length);
    outside.map_or(Ok(()), |place| {
        at_most("place", u64::from(step.input_length) - 1, u64::from(place))
    })
}

/// The words of a blob that was checked.
fn words<'a>(blob: &Blob, limits: &Limits<'a>) -> impl Iterator<Item = u32> + 'a {
    let pack = limits.packs.get(blob.pack as usize).copied().unwrap_or_default();
    let begin = blob.offset as usize;
    let bytes = pack.get(begin..begin + blob.bytes as usize).unwrap_or_default();
    let (words, _) = bytes.as_chunks();
    words.iter().map(|&word| u32::from_le_bytes(word))
}

/// Shifts that a product can take.
fn shift(shift: i32) -> Result<()> {
    some("shift", (-31..=30).contains(&shift).then_some(()))
}

pub(super) fn check_rescale(step: &Rescale, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    lined("input", &step.input, &step.dims, (step.channels, 1), 4)?;
    lined("output", &step.output, &step.dims, (step.channels, 1), 1)?;
    let bytes = u64::from(step.channels) * 4;
    limits.optional_blob("bias", &step.bias, bytes)?;
    limits.blob("multipliers", &step.multipliers, bytes)?;
    limits.blob("shifts", &step.shifts, bytes)?;
    words(&step.shifts, limits).try_for_each(|word| shift(word.cast_signed()))?;
    zeros(&[step.zero, step.low, step.high])?;
    some("limits", (step.low <= step.high).then_some(()))
}

pub(super) fn check_pair_fixed(step: &PairFixed, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("a", &step.a.span), ("b", &step.b.span)], &step.output.span)?;
    limits.blob("a table", &step.a_table, 1024)?;
    limits.blob("b table", &step.b_table, 1024)?;
    zeros(&[step.zero])?;
    shift(step.factor.shift)?;
    strided("a", &step.a, &step.dims, 1)?;
    strided("b", &step.b, &step.dims, 1)?;
    strided_output(&step.output, &step.dims, 1)
}

pub(super) fn check_mean_fixed(step: &MeanFixed, limits: &Limits<'_>) -> Result<()> {
    equal("kind", PoolKind::MeanU8 as u64, step.pool.kind as u64)?;
    equal("padding", 0, u64::from(step.pool.include_padding))?;
    shift(step.factor.shift)?;
    check_pool(&step.pool, limits)
}
