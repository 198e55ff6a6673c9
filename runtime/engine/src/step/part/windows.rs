//! Parts of steps on pixels: images, rows, pixels of one row, or channels of one pixel are cut.

use super::{Cuts, between};
use crate::span::{Blob, Extent, Grid, Halo, Span};
use crate::step::{Arithmetic, BLOCK, Conv, Depthwise, GROUP_BYTES, Pool};

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Images,
    Rows,
    Columns,
}

/// The pixels of an output.
struct Pixels<'a> {
    extent: &'a Extent,
    grid: &'a Grid,
    halo: &'a Halo,
    output: &'a Span,
    /// Bytes of a pixel.
    bytes: u32,
}

impl Pixels<'_> {
    /// Bytes from the first of a row to behind its last pixel.
    fn row_reach(&self) -> u64 {
        u64::from(self.extent.columns.saturating_sub(1)) * u64::from(self.grid.column) + u64::from(self.bytes)
    }

    /// Whether the border is that around these pixels.
    fn is_framed(&self) -> bool {
        let (halo, grid, extent) = (self.halo, self.grid, self.extent);
        let rows = u64::from(extent.rows) + u64::from(halo.top) + u64::from(halo.bottom);
        let start = u64::from(halo.top) * u64::from(halo.row_bytes) + u64::from(halo.left);
        halo.images == extent.images
            && u64::from(halo.rows) == rows
            && u64::from(grid.start) == start
            && (extent.rows == 1 || grid.row == halo.row_bytes)
            && u64::from(halo.left) + self.row_reach() + u64::from(halo.right) <= u64::from(halo.row_bytes)
            && (extent.images == 1 || u64::from(grid.image) == rows * u64::from(halo.row_bytes))
    }

    /// The outermost axis with several places, if what is written for a place lies behind what is written for those
    /// before it.
    fn axis(&self) -> Option<(Axis, u32)> {
        let (extent, grid) = (self.extent, self.grid);
        let bordered = self.halo.rows > 0;
        if bordered && !self.is_framed() {
            return None;
        }
        if extent.images > 1 {
            let image = u64::from(extent.rows.saturating_sub(1)) * u64::from(grid.row) + self.row_reach();
            return (bordered || image <= u64::from(grid.image)).then_some((Axis::Images, extent.images));
        }
        if extent.rows > 1 {
            let apart = self.row_reach() <= u64::from(grid.row);
            return (bordered || apart).then_some((Axis::Rows, extent.rows));
        }
        (!bordered && extent.columns > 1 && self.bytes <= grid.column)
            .then_some((Axis::Columns, extent.columns))
    }

    /// First byte of a place along an axis, what stands before its pixels included.
    fn byte(&self, axis: Axis, place: u32) -> u32 {
        let (halo, grid) = (self.halo, self.grid);
        match axis {
            Axis::Images if halo.rows > 0 => place * grid.image,
            Axis::Rows if halo.rows > 0 => (halo.top + place) * halo.row_bytes,
            Axis::Images => grid.start + place * grid.image,
            Axis::Rows => grid.start + place * grid.row,
            Axis::Columns => grid.start + place * grid.column,
        }
    }

    /// Extents, grid, border and span of some places.
    fn part(&self, axis: Axis, cuts: Cuts, places: [u32; 2]) -> (Extent, Grid, Halo, Span) {
        let (mut extent, mut grid, mut halo) = (*self.extent, *self.grid, *self.halo);
        let [from, to] = places;
        let count = to - from;
        match axis {
            Axis::Images => extent.images = count,
            Axis::Rows => extent.rows = count,
            Axis::Columns => extent.columns = count,
        }
        if halo.rows > 0 {
            match axis {
                Axis::Images => halo.images = count,
                Axis::Rows => {
                    if from > 0 {
                        halo.top = 0;
                        grid.start = halo.left;
                    }
                    if to < cuts.count {
                        halo.bottom = 0;
                    }
                    halo.rows = halo.top + count + halo.bottom;
                }
                Axis::Columns => {}
            }
        } else if from > 0 {
            grid.start = 0;
        }
        let output = between(self.output, cuts, places, |place| self.byte(axis, place));
        (extent, grid, halo, output)
    }
}

/// The same grid from another place of an axis on.
fn moved(grid: &Grid, axis: Axis, place: u32) -> Grid {
    let step = match axis {
        Axis::Images => grid.image,
        Axis::Rows => grid.row,
        Axis::Columns => grid.column,
    };
    Grid {
        start: grid.start + place * step,
        ..*grid
    }
}

/// Whether rows lie behind each other in all grids as pixels of a row do.
fn is_flat(extent: &Extent, grids: &[&Grid]) -> bool {
    grids
        .iter()
        .all(|grid| u64::from(grid.row) == u64::from(extent.columns) * u64::from(grid.column))
}

/// The same pixels in one row, where they lie in all grids as if they were.
fn flattened(extent: &mut Extent, grids: &[&Grid], halo: &Halo) {
    if extent.images == 1 && extent.rows > 1 && halo.rows == 0 && is_flat(extent, grids) {
        extent.columns *= extent.rows;
        extent.rows = 1;
    }
}

fn flat_conv(step: &Conv) -> Conv {
    let mut flat = *step;
    let grids = [&step.input_grid, &step.output_grid, &step.residual.grid];
    let grids = if step.residual.other.is_empty() {
        &grids[..2]
    } else {
        &grids[..]
    };
    flattened(&mut flat.extent, grids, &step.halo);
    flat
}

fn conv_pixels(step: &Conv) -> Pixels<'_> {
    Pixels {
        extent: &step.extent,
        grid: &step.output_grid,
        halo: &step.halo,
        output: &step.output,
        bytes: step.channels * step.output_size(),
    }
}

/// Whether the channels of the only pixel are cut, by blocks.
fn cuts_channels(step: &Conv) -> bool {
    step.extent.pixels() == 1 && step.halo.rows == 0
}

/// Where a convolution can be cut.
pub(super) fn conv_cuts(step: &Conv) -> Option<Cuts> {
    if cuts_channels(step) {
        // Channels behind the last whole block stay with it: the block that has them begins inside.
        let count = step.channels / BLOCK as u32;
        return (count > 1).then_some(Cuts { count, grain: 1 });
    }
    let flat = flat_conv(step);
    let (axis, count) = conv_pixels(&flat).axis()?;
    let grain = match axis {
        Axis::Columns if count >= flat.tile_pixels * 8 => flat.tile_pixels.max(1),
        _ => 1,
    };
    Some(Cuts { count, grain })
}

pub(super) fn conv(step: &Conv, cuts: Cuts, places: [u32; 2]) -> Option<Conv> {
    if cuts_channels(step) {
        return Some(channels(step, cuts, places));
    }
    let mut part = flat_conv(step);
    let whole = part;
    let pixels = conv_pixels(&whole);
    let (axis, _) = pixels.axis()?;
    (part.extent, part.output_grid, part.halo, part.output) = pixels.part(axis, cuts, places);
    let from = places[0];
    part.input_grid = moved(&whole.input_grid, axis, from);
    if !whole.residual.other.is_empty() {
        part.residual.grid = moved(&whole.residual.grid, axis, from);
    }
    if step.arithmetic == Arithmetic::RowsToF32 {
        let pixels = match axis {
            Axis::Images => from * whole.extent.rows * whole.extent.columns,
            Axis::Rows => from * whole.extent.columns,
            Axis::Columns => from,
        };
        part.row_scales += pixels * 4;
    }
    if axis == Axis::Images {
        let bytes = from * whole.matrix_image;
        part.matrix.offset += bytes;
        part.matrix.bytes -= bytes;
    }
    Some(part)
}

/// Some blocks of the channels of the only pixel.
fn channels(step: &Conv, cuts: Cuts, places: [u32; 2]) -> Conv {
    let [from, to] = places;
    let block = BLOCK as u32;
    let last = to == cuts.count;
    let mut part = *step;
    part.channels = if last { step.channels } else { to * block } - from * block;
    let blocks = part.channels.div_ceil(block);
    let table = |blob: &Blob, bytes: u32| {
        if blob.bytes == 0 {
            return *blob;
        }
        Blob {
            pack: blob.pack,
            offset: blob.offset + from * bytes,
            bytes: blocks * bytes,
        }
    };
    let block_bytes = step.taps.depth().unwrap_or(0) * GROUP_BYTES as u32;
    part.weights = table(&step.weights, block_bytes);
    if !step.matrix.is_empty() {
        part.matrix.offset += from * block_bytes;
        part.matrix.bytes = blocks * block_bytes;
    }
    part.bias = table(&step.bias, GROUP_BYTES as u32);
    part.scale = table(&step.scale, GROUP_BYTES as u32);
    part.offset = table(&step.offset, GROUP_BYTES as u32);
    let byte = |place: u32| step.output_grid.start + place * block * step.output_size();
    part.output = between(&step.output, cuts, places, byte);
    if from > 0 {
        part.output_grid.start = 0;
    }
    if !step.residual.other.is_empty() {
        part.residual.grid.start += from * block * step.output_size();
    }
    part
}

fn flat_depthwise(step: &Depthwise) -> Depthwise {
    let mut flat = *step;
    flattened(
        &mut flat.extent,
        &[&step.input_grid, &step.output_grid],
        &step.halo,
    );
    flat
}

fn depthwise_pixels(step: &Depthwise) -> Pixels<'_> {
    Pixels {
        extent: &step.extent,
        grid: &step.output_grid,
        halo: &step.halo,
        output: &step.output,
        bytes: step.channels * step.output_size(),
    }
}

/// Where a convolution of each channel alone can be cut.
pub(super) fn depthwise_cuts(step: &Depthwise) -> Option<Cuts> {
    let (_, count) = depthwise_pixels(&flat_depthwise(step)).axis()?;
    Some(Cuts { count, grain: 1 })
}

pub(super) fn depthwise(step: &Depthwise, cuts: Cuts, places: [u32; 2]) -> Option<Depthwise> {
    let mut part = flat_depthwise(step);
    let whole = part;
    let pixels = depthwise_pixels(&whole);
    let (axis, _) = pixels.axis()?;
    (part.extent, part.output_grid, part.halo, part.output) = pixels.part(axis, cuts, places);
    part.input_grid = moved(&whole.input_grid, axis, places[0]);
    Some(part)
}

fn pool_pixels(step: &Pool) -> Pixels<'_> {
    Pixels {
        extent: &step.extent,
        grid: &step.output_grid,
        halo: &step.halo,
        output: &step.output,
        bytes: step.channels * step.size(),
    }
}

/// Where a pool can be cut: windows of each row must reach into the input.
pub(super) fn pool_cuts(step: &Pool) -> Option<Cuts> {
    let (axis, count) = pool_pixels(step).axis()?;
    let reaches = || (count - 1) * step.strides[0] < step.before[0] + step.input_rows;
    let cuttable = match axis {
        Axis::Images => true,
        Axis::Rows => reaches(),
        Axis::Columns => false,
    };
    cuttable.then_some(Cuts { count, grain: 1 })
}

pub(super) fn pool(step: &Pool, cuts: Cuts, places: [u32; 2]) -> Option<Pool> {
    let pixels = pool_pixels(step);
    let (axis, _) = pixels.axis()?;
    let mut part = *step;
    (part.extent, part.output_grid, part.halo, part.output) = pixels.part(axis, cuts, places);
    match axis {
        Axis::Images => part.input_grid = moved(&step.input_grid, axis, places[0]),
        Axis::Rows => {
            // The first window begins in the padding before the input, or so many rows inside it.
            let begin = places[0] * step.strides[0];
            let inside = begin.saturating_sub(step.before[0]);
            part.before[0] = step.before[0].saturating_sub(begin);
            part.input_rows = step.input_rows - inside;
            part.input_grid = moved(&step.input_grid, axis, inside);
        }
        Axis::Columns => return None,
    }
    Some(part)
}
