//! Whether a step stays inside its buffers.
//!
//! Kernels rely on these checks: [`Step::check`] runs before a plan is accepted, and a plan cannot change afterwards.

use super::check_typed::*;
use super::groups::check_normalize_groups;
use super::rows::check_quantize_rows;
use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::span::{Blob, Extent, Grid, Halo, Span};

/// Alignment of spans and blobs in bytes.
pub(crate) const ALIGNMENT: u32 = 64;

/// What steps must stay inside.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes of the arena.
    pub arena: u32,
    /// The weight packs.
    pub packs: &'a [&'a [u8]],
}

pub(super) fn bounds(place: &'static str, expected: u64, found: u64) -> Error {
    Error::new(ErrorKind::Bounds, place, 0, expected, found)
}

pub(super) fn at_most(place: &'static str, limit: u64, found: u64) -> Result<()> {
    if found > limit {
        return Err(bounds(place, limit, found));
    }
    Ok(())
}

pub(super) fn equal(place: &'static str, expected: u64, found: u64) -> Result<()> {
    if found != expected {
        return Err(bounds(place, expected, found));
    }
    Ok(())
}

pub(super) fn multiple(place: &'static str, of: u32, numbers: &[u32]) -> Result<()> {
    numbers
        .iter()
        .try_for_each(|&number| equal(place, 0, u64::from(number % of)))
}

pub(super) fn some<T>(place: &'static str, found: Option<T>) -> Result<T> {
    found.ok_or(bounds(place, 1, 0))
}

/// The product of extents.
pub(super) fn count(place: &'static str, dims: &[u32]) -> Result<u64> {
    some(
        place,
        dims.iter()
            .try_fold(1u64, |product, &dim| product.checked_mul(u64::from(dim))),
    )
}

fn finite(place: &'static str, numbers: &[f32]) -> Result<()> {
    some(place, numbers.iter().all(|n| n.is_finite()).then_some(()))
}

impl Limits<'_> {
    fn span(&self, place: &'static str, span: &Span) -> Result<()> {
        multiple(place, ALIGNMENT, &[span.offset])?;
        at_most(place, u64::from(self.arena), span.end())
    }

    /// Input and output spans lie in the arena, and no input touches the output.
    pub(super) fn spans(&self, inputs: &[(&'static str, &Span)], output: &Span) -> Result<()> {
        self.span("output", output)?;
        for &(place, input) in inputs {
            self.span(place, input)?;
            if input.overlaps(output) {
                return Err(bounds(place, input.end(), u64::from(output.offset)));
            }
        }
        Ok(())
    }

    /// A blob of a pack with so many bytes.
    pub(super) fn blob(&self, place: &'static str, blob: &Blob, bytes: u64) -> Result<()> {
        equal(place, bytes, u64::from(blob.bytes))?;
        multiple(place, ALIGNMENT, &[blob.offset])?;
        let pack = some(place, self.packs.get(blob.pack as usize))?;
        at_most(
            place,
            pack.len() as u64,
            u64::from(blob.offset) + u64::from(blob.bytes),
        )
    }

    pub(super) fn optional_blob(&self, place: &'static str, blob: &Blob, bytes: u64) -> Result<()> {
        if blob.bytes == 0 {
            return Ok(());
        }
        self.blob(place, blob, bytes)
    }
}

/// Pixels of `bytes` each, `reach` bytes from their first, inside a span.
pub(super) fn grid(place: &'static str, grid: &Grid, extent: &Extent, reach: u64, span: &Span) -> Result<()> {
    let last = some(place, grid.last(extent))?;
    at_most(place, u64::from(span.bytes), last.saturating_add(reach))
}

/// Output pixels of `bytes` each: inside the span, one behind the other, their border inside the span.
pub(super) fn output_grid(at: &Grid, extent: &Extent, bytes: u64, span: &Span, halo: &Halo) -> Result<()> {
    grid("output", at, extent, bytes, span)?;
    // Each pixel has a place of its own, so that the time of a run is bounded by the size of the arena.
    let steps = [
        (extent.columns, at.column, 1, bytes),
        (extent.rows, at.row, extent.columns, u64::from(at.column)),
        (extent.images, at.image, extent.rows, u64::from(at.row)),
    ];
    for (number, step, inner, size) in steps {
        let least = u64::from(inner - 1) * size + bytes;
        if number > 1 && u64::from(step) < least {
            return Err(bounds("output steps", least, u64::from(step)));
        }
    }
    some("halo", halo.fits(span.bytes).then_some(()))
}

/// A strided operand of elements of `size` bytes inside its span.
pub(super) fn strided(place: &'static str, operand: &Strided, dims: &[u32; AXES], size: u32) -> Result<()> {
    let last = some(place, operand.last(dims))?;
    at_most(
        place,
        u64::from(operand.span.bytes / size),
        last.saturating_add(1),
    )
}

/// A strided output: as many elements as the span can hold at most, so that the time of a run is bounded.
pub(super) fn strided_output(operand: &Strided, dims: &[u32; AXES], size: u32) -> Result<()> {
    strided("output", operand, dims, size)?;
    at_most(
        "output",
        u64::from(operand.span.bytes / size),
        count("output", dims)?,
    )
}

impl Step {
    /// Refuses a step that would leave its buffers, read weights of another length or run without bound.
    ///
    /// # Errors
    /// [`ErrorKind::Bounds`] naming the operand.
    pub fn check(&self, limits: &Limits<'_>) -> Result<()> {
        match self {
            Self::Conv(step) => check_conv(step, limits),
            Self::Depthwise(step) => check_depthwise(step, limits),
            Self::Pool(step) => check_pool(step, limits),
            Self::Unary(step) => {
                limits.spans(&[("input", &step.input.span)], &step.output.span)?;
                strided("input", &step.input, &step.dims, 4)?;
                strided_output(&step.output, &step.dims, 4)
            }
            Self::Binary(step) => {
                let inputs = [("a", &step.a.span), ("b", &step.b.span)];
                limits.spans(&inputs, &step.output.span)?;
                strided("a", &step.a, &step.dims, 4)?;
                strided("b", &step.b, &step.dims, 4)?;
                strided_output(&step.output, &step.dims, 4)
            }
            Self::BinaryU8(step) => {
                let inputs = [("a", &step.a.span), ("b", &step.b.span)];
                limits.spans(&inputs, &step.output.span)?;
                zeros(&[step.a_affine.zero, step.b_affine.zero, step.output_affine.zero])?;
                zeros(&[step.low, step.high])?;
                strided("a", &step.a, &step.dims, 1)?;
                strided("b", &step.b, &step.dims, 1)?;
                strided_output(&step.output, &step.dims, 1)
            }
            Self::Copy(step) => {
                some("size", [1, 2, 4, 8].contains(&step.size).then_some(()))?;
                limits.spans(&[("input", &step.input.span)], &step.output.span)?;
                strided("input", &step.input, &step.dims, step.size)?;
                strided_output(&step.output, &step.dims, step.size)
            }
            Self::Cast(step) => {
                limits.spans(&[("input", &step.input.span)], &step.output.span)?;
                strided("input", &step.input, &step.dims, step.from.size() as u32)?;
                strided_output(&step.output, &step.dims, step.to.size() as u32)
            }
            Self::Calculate(step) => check_calculate(step, limits),
            Self::Compare(step) => check_compare(step, limits),
            Self::Select(step) => check_select(step, limits),
            Self::Lookup(step) => check_lookup(step, limits),
            Self::Extreme(step) => check_extreme(step, limits),
            Self::Cumulate(step) => check_cumulate(step, limits),
            Self::Interpolate(step) => check_interpolate(step, limits),
            Self::Rescale(step) => check_rescale(step, limits),
            Self::PairFixed(step) => check_pair_fixed(step, limits),
            Self::MeanFixed(step) => check_mean_fixed(step, limits),
            Self::Load(step) => {
                limits.spans(&[], &step.output)?;
                limits.blob("input", &step.input, u64::from(step.output.bytes))
            }
            Self::Fill(step) => limits.spans(&[], &step.output),
            Self::Quantize(step) => {
                zeros(&[step.affine.zero])?;
                limits.spans(&[("input", &step.input.span)], &step.output.span)?;
                strided("input", &step.input, &step.dims, 4)?;
                strided_output(&step.output, &step.dims, 1)
            }
            Self::Dequantize(step) => {
                zeros(&[step.affine.zero])?;
                limits.spans(&[("input", &step.input.span)], &step.output.span)?;
                strided("input", &step.input, &step.dims, 1)?;
                strided_output(&step.output, &step.dims, 4)
            }
            Self::Table(step) => {
                limits.spans(&[("input", &step.input.span)], &step.output.span)?;
                limits.blob("table", &step.table, 256)?;
                strided("input", &step.input, &step.dims, 1)?;
                strided_output(&step.output, &step.dims, 1)
            }
            Self::Reduce(step) => check_reduce(step, limits),
            Self::Softmax(step) => check_softmax(step, limits),
            Self::Normalize(step) => check_normalize(step, limits),
            Self::Gather(step) => check_gather(step, limits),
            Self::Pack(step) => check_pack(step, limits),
            Self::NormalizeGroups(step) => check_normalize_groups(step, limits),
            Self::QuantizeRows(step) => check_quantize_rows(step, limits),
        }
    }
}

fn check_conv(step: &Conv, limits: &Limits<'_>) -> Result<()> {
    limits.spans(
        &[
            ("input", &step.input),
            ("matrix", &step.matrix),
            ("residual", &step.residual.other),
        ],
        &step.output,
    )?;
    let depth = some("taps", step.taps.depth())?;
    let reach = some("taps", step.taps.reach())?;
    some("channels", step.channels.checked_sub(1))?;
    grid("input", &step.input_grid, &step.extent, reach, &step.input)?;
    let bytes = u64::from(step.channels) * u64::from(step.output_size());
    output_grid(&step.output_grid, &step.extent, bytes, &step.output, &step.halo)?;
    let blocks = u64::from(step.blocks());
    let matrix = some(
        "weights",
        blocks.checked_mul(u64::from(depth) * GROUP_BYTES as u64),
    )?;
    if step.matrix.is_empty() {
        limits.blob("weights", &step.weights, matrix)?;
        equal("matrix", 0, u64::from(step.matrix_image))?;
    } else {
        equal("weights", 0, u64::from(step.weights.bytes))?;
        multiple("matrix", 4, &[step.matrix_image])?;
        let images = u64::from(step.extent.images - 1) * u64::from(step.matrix_image);
        at_most(
            "matrix",
            u64::from(step.matrix.bytes),
            images.saturating_add(matrix),
        )?;
    }
    let table = blocks * BLOCK as u64 * 4;
    limits.optional_blob("bias", &step.bias, table)?;
    if step.arithmetic == Arithmetic::RowsToF32 {
        limits.optional_blob("offset", &step.offset, table)?;
        multiple("row scales", 4, &[step.row_scales])?;
        let scales = step.extent.pixels().saturating_mul(4);
        let end = scales.saturating_add(u64::from(step.row_scales));
        at_most("row scales", u64::from(step.input.bytes), end)?;
    } else {
        equal("offset", 0, u64::from(step.offset.bytes))?;
    }
    let steps = [
        step.input_grid.start,
        step.input_grid.image,
        step.input_grid.row,
        step.input_grid.column,
        step.taps.row_step,
        step.taps.column_step,
    ];
    match step.arithmetic {
        Arithmetic::F32 => {
            equal("scale", 0, u64::from(step.scale.bytes))?;
            multiple("input", 4, &steps)?;
        }
        Arithmetic::U8ToU8 | Arithmetic::U8ToF32 | Arithmetic::RowsToF32 => {
            limits.blob("scale", &step.scale, table)?;
        }
    }
    check_output_steps(step.output_size(), &step.output_grid)?;
    if !step.residual.other.is_empty() {
        let residual = &step.residual;
        grid("residual", &residual.grid, &step.extent, bytes, &residual.other)?;
        check_output_steps(step.output_size(), &residual.grid)?;
        zeros(&[residual.other_zero])?;
    }
    check_epilogue(step.arithmetic, &step.epilogue)?;
    check_epilogue(step.arithmetic, &step.residual.epilogue)?;
    let tile = some("tile", step.tile_pixels.checked_mul(step.tile_blocks))?;
    some("tile", tile.checked_sub(1))?;
    at_most("tile", u64::from(MAX_TILE), u64::from(tile))
}

fn check_output_steps(size: u32, at: &Grid) -> Result<()> {
    multiple("output", size, &[at.start, at.image, at.row, at.column])
}

/// Zero points of `u8`.
pub(super) fn zeros(zeros: &[i32]) -> Result<()> {
    zeros
        .iter()
        .try_for_each(|zero| some("zero point", (0..=255).contains(zero).then_some(())))
}

/// Limits that keep an integer output in `u8`.
fn check_epilogue(arithmetic: Arithmetic, epilogue: &Epilogue) -> Result<()> {
    if arithmetic != Arithmetic::U8ToU8 {
        return Ok(());
    }
    finite("epilogue", &[epilogue.low, epilogue.high])?;
    zeros(&[epilogue.zero_point])?;
    let zero = epilogue.zero_point as f32;
    let inside = epilogue.low + zero >= 0.0 && epilogue.high + zero <= 255.0 && epilogue.low <= epilogue.high;
    some("epilogue", inside.then_some(()))
}

fn check_depthwise(step: &Depthwise, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input)], &step.output)?;
    let taps = some("taps", step.taps())?;
    let reach = some("taps", step.reach())?;
    some("channels", step.channels.checked_sub(1))?;
    let blocks = u64::from(step.channels.div_ceil(BLOCK as u32));
    let (size, out_size, weights) = match step.arithmetic {
        Arithmetic::U8ToU8 => (1, 1, blocks * u64::from(taps.div_ceil(4)) * GROUP_BYTES as u64),
        Arithmetic::U8ToF32 => (1, 4, blocks * u64::from(taps.div_ceil(4)) * GROUP_BYTES as u64),
        Arithmetic::F32 => (4, 4, blocks * u64::from(taps) * GROUP_BYTES as u64),
        Arithmetic::RowsToF32 => return Err(bounds("arithmetic", 0, step.arithmetic as u64)),
    };
    // Whole blocks of channels are read.
    let read = reach.saturating_add(blocks * BLOCK as u64 * size);
    grid("input", &step.input_grid, &step.extent, read, &step.input)?;
    let bytes = u64::from(step.channels) * out_size;
    output_grid(&step.output_grid, &step.extent, bytes, &step.output, &step.halo)?;
    limits.blob("weights", &step.weights, weights)?;
    let table = blocks * BLOCK as u64 * 4;
    limits.optional_blob("bias", &step.bias, table)?;
    let at = &step.input_grid;
    let steps = [
        at.start,
        at.image,
        at.row,
        at.column,
        step.row_step,
        step.column_step,
    ];
    multiple("input", size as u32, &steps)?;
    match step.arithmetic {
        Arithmetic::F32 => equal("scale", 0, u64::from(step.scale.bytes))?,
        _ => limits.blob("scale", &step.scale, table)?,
    }
    check_output_steps(out_size as u32, &step.output_grid)?;
    check_epilogue(step.arithmetic, &step.epilogue)
}

pub(super) fn check_pool(step: &Pool, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input)], &step.output)?;
    let size = step.size();
    zeros(&[step.input_affine.zero, step.output_affine.zero])?;
    some("channels", step.channels.checked_sub(1))?;
    let bytes = u64::from(step.channels) * u64::from(size);
    let input = Extent {
        images: step.extent.images,
        rows: step.input_rows,
        columns: step.input_columns,
    };
    grid("input", &step.input_grid, &input, bytes, &step.input)?;
    let at = &step.input_grid;
    multiple("input", size, &[at.start, at.image, at.row, at.column])?;
    output_grid(&step.output_grid, &step.extent, bytes, &step.output, &step.halo)?;
    check_output_steps(size, &step.output_grid)?;
    let extents = [
        (step.input_rows, step.extent.rows),
        (step.input_columns, step.extent.columns),
    ];
    for (axis, (inputs, outputs)) in extents.into_iter().enumerate() {
        // Places of the window are counted in 32 bits with a sign.
        let window = u64::from(step.kernel[axis]) * u64::from(step.dilations[axis]);
        let places = u64::from(outputs) * u64::from(step.strides[axis]);
        let padding = u64::from(step.before[axis]) + u64::from(step.after[axis]);
        let all = window.saturating_add(places) + padding + u64::from(inputs);
        at_most("window", 1 << 30, all)?;
        let numbers = [step.kernel[axis], step.strides[axis], step.dilations[axis]];
        some("window", numbers.iter().all(|&n| n > 0).then_some(()))?;
        // A longer window would only be time.
        at_most(
            "window",
            u64::from(inputs) + padding,
            u64::from(step.kernel[axis]),
        )?;
    }
    Ok(())
}

fn check_reduce(step: &Reduce, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    let inner = Strided {
        strides: step.inner_strides,
        start: 0,
        ..step.input
    };
    let last = some("input", step.input.last(&step.dims))?;
    let reach = some("input", inner.last(&step.inner))?;
    let elements = u64::from(step.input.span.bytes / 4);
    at_most("input", elements, last.saturating_add(reach).saturating_add(1))?;
    at_most("input", elements, count("input", &step.inner)?)?;
    strided_output(&step.output, &step.dims, 4)
}

/// A run of `length` elements behind each element of a strided operand.
pub(super) fn run(
    place: &'static str,
    operand: &Strided,
    dims: &[u32; AXES],
    length: u32,
    step: u32,
) -> Result<()> {
    let last = some(place, operand.last(dims))?;
    let reach = u64::from(some(place, length.checked_sub(1))?) * u64::from(step);
    at_most(
        place,
        u64::from(operand.span.bytes / 4),
        last.saturating_add(reach).saturating_add(1),
    )
}

/// As [`run`], with as many elements as the span can hold at most.
fn output_run(operand: &Strided, dims: &[u32; AXES], length: u32, step: u32) -> Result<()> {
    run("output", operand, dims, length, step)?;
    let elements = some("output", count("output", dims)?.checked_mul(u64::from(length)))?;
    at_most("output", u64::from(operand.span.bytes / 4), elements)
}

fn check_softmax(step: &Softmax, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    run("input", &step.input, &step.dims, step.length, step.input_step)?;
    output_run(&step.output, &step.dims, step.length, step.output_step)
}

fn check_normalize(step: &Normalize, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output.span)?;
    run("input", &step.input, &step.dims, step.length, 1)?;
    output_run(&step.output, &step.dims, step.length, 1)?;
    let bytes = u64::from(step.length) * 4;
    limits.blob("scale", &step.scale, bytes)?;
    limits.optional_blob("bias", &step.bias, bytes)
}

fn check_gather(step: &Gather, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("indices", &step.indices)], &step.output)?;
    some("index", [4, 8].contains(&step.index_size).then_some(()))?;
    some("row", step.row_bytes.checked_sub(1))?;
    equal("indices", 0, u64::from(step.indices.bytes % step.index_size))?;
    let table = some(
        "table",
        u64::from(step.rows).checked_mul(u64::from(step.row_bytes)),
    )?;
    limits.blob("table", &step.table, table)?;
    some("widened", 1u32.checked_sub(step.widened))?;
    equal("f16 row", 0, u64::from(step.row_bytes & step.widened))?;
    let rows = u64::from(step.indices.bytes / step.index_size);
    let row = u64::from(step.row_bytes) << step.widened;
    equal("output", rows.saturating_mul(row), u64::from(step.output.bytes))
}

fn check_pack(step: &Pack, limits: &Limits<'_>) -> Result<()> {
    limits.spans(&[("input", &step.input.span)], &step.output)?;
    let dims = [step.images, step.depth, step.columns, 1, 1, 1];
    strided("input", &step.input, &dims, 4)?;
    let blocks = step.columns.div_ceil(BLOCK as u32);
    let bytes = count("output", &[step.images, step.depth, blocks])?;
    let bytes = some("output", bytes.checked_mul(GROUP_BYTES as u64))?;
    equal("output", bytes, u64::from(step.output.bytes))
}
