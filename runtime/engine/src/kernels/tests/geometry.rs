//! Windows over random images.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Case, random_bytes, random_floats};
use crate::span::{Blob, Extent, Grid, Halo};
use crate::step::*;

/// Random extents of a window over an image.
#[derive(Debug, Clone)]
pub(super) struct Geometry {
    pub seed: u64,
    pub arithmetic: Arithmetic,
    pub extent: Extent,
    pub inputs: u32,
    pub channels: u32,
    pub kernel: [u32; 2],
    pub strides: [u32; 2],
    pub dilations: [u32; 2],
    pub border: [u32; 4],
    pub second: u32,
    pub tile: [u32; 2],
}

pub(super) fn geometry() -> impl Strategy<Value = Geometry> {
    let arithmetic = prop_oneof![
        3 => Just(Arithmetic::U8ToU8),
        1 => Just(Arithmetic::U8ToF32),
        2 => Just(Arithmetic::F32),
        2 => Just(Arithmetic::RowsToF32),
    ];
    let pair = |range: std::ops::Range<u32>| [range.clone(), range];
    let tiles = prop::sample::select(vec![
        [1, 1],
        [1, 4],
        [3, 4],
        [4, 3],
        [6, 4],
        [8, 3],
        [12, 2],
        [12, 1],
        [5, 4],
    ]);
    (
        (
            any::<u64>(),
            arithmetic,
            1..3u32,
            1..9u32,
            1..14u32,
            1..40u32,
            1..75u32,
        ),
        (
            pair(1..5),
            pair(1..4),
            pair(1..3),
            [0..3u32, 0..3, 0..3, 0..3],
            0..3u32,
            tiles,
        ),
    )
        .prop_map(
            |((seed, arithmetic, images, rows, columns, inputs, channels), windows)| {
                let (kernel, strides, dilations, border, second, tile) = windows;
                Geometry {
                    seed,
                    arithmetic,
                    extent: Extent {
                        images,
                        rows,
                        columns,
                    },
                    inputs,
                    channels,
                    kernel,
                    strides,
                    dilations,
                    border,
                    second,
                    tile,
                }
            },
        )
}

/// A grid of pixels of `pixel` bytes that a window of the geometry slides over, and the bytes it needs.
pub(super) fn slid(g: &Geometry, pixel: u32) -> (Grid, u32, u32) {
    let reach = |n: usize, places: u32| (places - 1) * g.strides[n] + (g.kernel[n] - 1) * g.dilations[n] + 1;
    let (rows, columns) = (reach(0, g.extent.rows), reach(1, g.extent.columns));
    let row = columns * pixel;
    let grid = Grid {
        start: 0,
        image: rows * row,
        row: g.strides[0] * row,
        column: g.strides[1] * pixel,
    };
    (grid, row, g.extent.images * rows * row)
}

/// A grid of output pixels inside a border.
pub(super) fn bordered(g: &Geometry, pixel: u32) -> (Grid, Halo, u32) {
    let [top, bottom, left, right] = g.border;
    let row = (g.extent.columns + left + right) * pixel;
    let rows = g.extent.rows + top + bottom;
    let grid = Grid {
        start: top * row + left * pixel,
        image: rows * row,
        row,
        column: pixel,
    };
    let halo = Halo {
        images: g.extent.images,
        rows,
        row_bytes: row,
        top,
        bottom,
        left: left * pixel,
        right: right * pixel,
        value: 7,
    };
    (grid, halo, g.extent.images * rows * row)
}

/// Scales of some steps are so large that their products leave `i32`.
fn coarseness(g: &Geometry, usual: f32) -> f32 {
    if g.seed.is_multiple_of(7) {
        usual * 1e9
    } else {
        usual
    }
}

pub(super) fn epilogue(zero_point: i32) -> Epilogue {
    Epilogue {
        zero_point,
        low: -zero_point as f32,
        high: (250 - zero_point) as f32,
    }
}

/// Bytes: any, without the least signed one, or the greatest and least ones only.
fn random_integers(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = random_bytes(seed, count);
    for b in &mut bytes {
        *b = match seed % 4 {
            0 | 1 if *b == 0x80 => 0x81,
            2 => [0, 0x80, 0x7f, 0xff][usize::from(*b % 4)],
            _ => *b,
        };
    }
    bytes
}

/// Packed numbers of four bytes, `[blocks][depth][16]`: channels that the last block repeats are made equal.
fn repeated(mut packed: Vec<u8>, channels: u32, depth: u32) -> Vec<u8> {
    let (channels, depth) = (channels as usize, depth as usize);
    let last = channels.div_ceil(BLOCK) - 1;
    let first = first_channel(last, channels);
    for row in 0..depth {
        for channel in first..last * BLOCK {
            let place = |block: usize| {
                let lane = channel - first_channel(block, channels);
                ((block * depth + row) * BLOCK + lane) * 4
            };
            packed.copy_within(place(last - 1)..place(last - 1) + 4, place(last));
        }
    }
    packed
}

pub(super) fn conv(g: &Geometry) -> (Case, Conv) {
    let mut case = Case::default();
    let float = g.arithmetic == Arithmetic::F32;
    let random = if float { random_floats } else { random_integers };
    let size = if float { 4 } else { 1 };
    // One channel lies without gaps; more begin at multiples of four bytes.
    let pixel = if g.inputs == 1 {
        size
    } else {
        (g.inputs * size).next_multiple_of(4)
    };
    let (input_grid, row, bytes) = slid(g, pixel);
    // Groups of four taps may go beyond the last.
    let mut content = random(g.seed, (bytes / size).next_multiple_of(4) as usize + 4);
    let rows = g.arithmetic == Arithmetic::RowsToF32;
    let row_scales = if rows {
        content.len().next_multiple_of(4)
    } else {
        0
    };
    if rows {
        content.resize(row_scales, 0);
        content.extend(random_floats(g.seed ^ 9, g.extent.pixels() as usize));
    }
    let input = case.span(&content);
    let whole = g.dilations[1] == 1;
    let taps = Taps {
        rows: g.kernel[0],
        row_step: g.dilations[0] * row,
        columns: if whole { 1 } else { g.kernel[1] },
        column_step: if whole { 0 } else { g.dilations[1] * pixel },
        groups: if whole {
            (g.kernel[1] * pixel).div_ceil(4)
        } else {
            pixel.div_ceil(4)
        },
    };
    let blocks = g.channels.div_ceil(16);
    let depth = taps.depth().unwrap();
    let weights = random(g.seed ^ 5, (blocks * depth * 64 / size) as usize);
    let weights = case.blob(&repeated(weights, g.channels, depth));
    let bias = if float {
        random_floats(g.seed ^ 6, blocks as usize * 16)
    } else {
        random_bytes(g.seed ^ 6, blocks as usize * 16)
            .iter()
            .flat_map(|&b| (i32::from(b) * 99 - 5000).to_le_bytes())
            .collect()
    };
    let bias = case.blob(&repeated(bias, g.channels, 1));
    let scale: Vec<u8> = random_bytes(g.seed ^ 7, blocks as usize * 16)
        .iter()
        .flat_map(|&b| (f32::from(b) * coarseness(g, 2e-5)).to_le_bytes())
        .collect();
    let scale = if float {
        Blob::default()
    } else {
        case.blob(&repeated(scale, g.channels, 1))
    };
    let offset = repeated(random_floats(g.seed ^ 10, blocks as usize * 16), g.channels, 1);
    let mut step = Conv {
        arithmetic: g.arithmetic,
        offset: if rows && g.seed.is_multiple_of(3) {
            case.blob(&offset)
        } else {
            Blob::default()
        },
        row_scales: row_scales as u32,
        extent: g.extent,
        channels: g.channels,
        input,
        input_grid,
        taps,
        weights,
        bias: if g.seed.is_multiple_of(5) {
            Blob::default()
        } else {
            bias
        },
        scale,
        epilogue: epilogue(100),
        tile_pixels: g.tile[0],
        tile_blocks: g.tile[1],
        ..Conv::default()
    };
    let pixel = (g.channels * step.output_size()).next_multiple_of(4);
    let (grid, halo, bytes) = bordered(g, pixel);
    if g.second > 0 {
        let other = case.span(&if g.arithmetic == Arithmetic::U8ToU8 {
            random_bytes(g.seed ^ 8, bytes as usize)
        } else {
            random_floats(g.seed ^ 8, bytes as usize / 4)
        });
        step.residual = Residual {
            other,
            grid,
            scale: 0.3,
            other_scale: 0.7,
            other_zero: 90,
            factor: 1.7,
            divide: g.second - 1,
            epilogue: epilogue(31),
        };
    }
    step.output = case.output(bytes);
    (step.output_grid, step.halo) = (grid, halo);
    (case, step)
}

pub(super) fn depthwise(g: &Geometry) -> (Case, Depthwise) {
    let mut case = Case::default();
    let float = g.arithmetic == Arithmetic::F32;
    let size = if float { 4 } else { 1 };
    let pixel = (g.channels * size).next_multiple_of(4);
    let (input_grid, row, bytes) = slid(g, pixel);
    let slack = 16 * size + bytes;
    let taps = g.kernel[0] * g.kernel[1];
    let blocks = g.channels.div_ceil(16);
    let (input, weights) = if float {
        let input = case.span(&random_floats(g.seed, slack as usize / 4));
        (
            input,
            case.blob(&random_floats(g.seed ^ 5, (blocks * taps * 16) as usize)),
        )
    } else {
        let input = case.span(&random_bytes(g.seed, slack as usize));
        let mut weights = random_bytes(g.seed ^ 5, (blocks * taps.div_ceil(4) * 64) as usize);
        for (n, w) in weights.iter_mut().enumerate() {
            if n as u32 / 64 % taps.div_ceil(4) * 4 + n as u32 % 4 >= taps {
                *w = 0;
            }
        }
        (input, case.blob(&weights))
    };
    let bias = if float {
        random_floats(g.seed ^ 6, blocks as usize * 16)
    } else {
        (0..blocks * 16)
            .flat_map(|n| (n as i32 * 57 - 2000).to_le_bytes())
            .collect()
    };
    let scale: Vec<u8> = random_bytes(g.seed ^ 7, blocks as usize * 16)
        .iter()
        .flat_map(|&b| (f32::from(b) * coarseness(g, 2e-4)).to_le_bytes())
        .collect();
    let mut step = Depthwise {
        arithmetic: g.arithmetic,
        extent: g.extent,
        channels: g.channels,
        input,
        input_grid,
        kernel_rows: g.kernel[0],
        kernel_columns: g.kernel[1],
        row_step: g.dilations[0] * row,
        column_step: g.dilations[1] * pixel,
        weights,
        bias: case.blob(&bias),
        scale: if float { Blob::default() } else { case.blob(&scale) },
        epilogue: epilogue(100),
        ..Depthwise::default()
    };
    let out_size = if g.arithmetic == Arithmetic::U8ToU8 { 1 } else { 4 };
    let (grid, halo, bytes) = bordered(g, (g.channels * out_size).next_multiple_of(4));
    step.output = case.output(bytes);
    (step.output_grid, step.halo) = (grid, halo);
    (case, step)
}
