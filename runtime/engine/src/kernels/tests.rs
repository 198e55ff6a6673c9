//! Every tier against the scalar one, over random geometry.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Tensors, floats, scalar};
use crate::span::{Blob, Extent, Grid, Halo, Span};
use crate::step::*;

fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = (0..count).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.collect()
}

/// Small numbers of both signs.
fn random_floats(seed: u64, count: usize) -> Vec<u8> {
    let bytes = random_bytes(seed, count);
    bytes
        .iter()
        .flat_map(|&b| (f32::from(b.cast_signed()) / 64.0).to_le_bytes())
        .collect()
}

/// Memory for a step: input and second tensor before the output, which comes last.
struct Case {
    arena: Vec<u64>,
    pack: Vec<u64>,
    arena_bytes: u32,
    pack_bytes: u32,
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let chunks = bytes.chunks(8);
    chunks
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        })
        .collect()
}

impl Case {
    fn new() -> Self {
        Self {
            arena: Vec::new(),
            pack: Vec::new(),
            arena_bytes: 0,
            pack_bytes: 0,
        }
    }

    fn span(&mut self, bytes: &[u8]) -> Span {
        let offset = self.arena_bytes.next_multiple_of(64);
        self.arena.resize(offset as usize / 8, 0);
        self.arena.extend(words(bytes));
        self.arena_bytes = offset + bytes.len() as u32;
        Span {
            offset,
            bytes: bytes.len() as u32,
        }
    }

    fn blob(&mut self, bytes: &[u8]) -> Blob {
        let offset = self.pack_bytes.next_multiple_of(64);
        self.pack.resize(offset as usize / 8, 0);
        self.pack.extend(words(bytes));
        self.pack_bytes = offset + bytes.len() as u32;
        Blob {
            pack: 0,
            offset,
            bytes: bytes.len() as u32,
        }
    }

    /// What each tier writes; the scalar one first.
    fn outputs(&self, step: &Step) -> Vec<Vec<u8>> {
        let pack: &[u8] = bytemuck::cast_slice(&self.pack);
        let arena: &[u8] = bytemuck::cast_slice(&self.arena);
        let packs = [&pack[..self.pack_bytes as usize]];
        let limits = Limits {
            arena: self.arena_bytes,
            packs: &packs,
        };
        step.check(&limits).unwrap();
        let constant = |blob: &Blob| &packs[0][blob.offset as usize..][..blob.bytes as usize];
        let output = step.output();
        let tensors = Tensors {
            before: &arena[..output.offset as usize],
            behind: &[],
            behind_offset: output.end() as usize,
        };
        let mut found = Vec::new();
        let mut run = |kernel: &dyn Fn(&mut [u8])| {
            let mut out = vec![0u64; output.bytes.div_ceil(8) as usize];
            kernel(&mut bytemuck::cast_slice_mut(&mut out)[..output.bytes as usize]);
            found.push(bytemuck::cast_slice(&out)[..output.bytes as usize].to_vec());
        };
        run(&|out| scalar::run(step, &tensors, &constant, out));
        #[cfg(target_arch = "x86_64")]
        if crate::Cpu::detect().tier() >= crate::Tier::Avx512Vnni {
            run(&|out| super::avx512vnni::run(step, &tensors, &constant, out));
        }
        found
    }
}

/// Integers are equal; floats differ by rounding only.
fn assert_same(outputs: &[Vec<u8>], float: bool) {
    for other in &outputs[1..] {
        if !float {
            assert_eq!(&outputs[0], other);
            continue;
        }
        for (n, (a, b)) in floats(&outputs[0]).iter().zip(floats(other)).enumerate() {
            assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "place {n}: {a} and {b}");
        }
    }
}

/// Random extents of a window over an image.
#[derive(Debug, Clone)]
struct Geometry {
    seed: u64,
    arithmetic: Arithmetic,
    extent: Extent,
    inputs: u32,
    channels: u32,
    kernel: [u32; 2],
    strides: [u32; 2],
    dilations: [u32; 2],
    border: [u32; 4],
    second: u32,
    tile: [u32; 2],
}

fn geometry() -> impl Strategy<Value = Geometry> {
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
fn slid(g: &Geometry, pixel: u32) -> (Grid, u32, u32) {
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
fn bordered(g: &Geometry, pixel: u32) -> (Grid, Halo, u32) {
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

fn epilogue(zero_point: i32) -> Epilogue {
    Epilogue {
        zero_point,
        low: -zero_point as f32,
        high: (250 - zero_point) as f32,
    }
}

fn conv(g: &Geometry) -> (Case, Conv) {
    let mut case = Case::new();
    let float = g.arithmetic == Arithmetic::F32;
    let random = if float {
        random_floats
    } else {
        |seed, count| random_bytes(seed, count)
    };
    let size = if float { 4 } else { 1 };
    // One channel lies without gaps; more begin at multiples of four bytes.
    let pixel = if g.inputs == 1 {
        size
    } else {
        (g.inputs * size).next_multiple_of(4)
    };
    let (input_grid, row, bytes) = slid(g, pixel);
    let mut content = random(g.seed, (bytes / size) as usize + 16);
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
    let weights = case.blob(&random(g.seed ^ 5, (blocks * depth * 64 / size) as usize));
    let bias = case.blob(&if float {
        random_floats(g.seed ^ 6, blocks as usize * 16)
    } else {
        random_bytes(g.seed ^ 6, blocks as usize * 16)
            .iter()
            .flat_map(|&b| (i32::from(b) * 99 - 5000).to_le_bytes())
            .collect()
    });
    let scale: Vec<u8> = random_bytes(g.seed ^ 7, blocks as usize * 16)
        .iter()
        .flat_map(|&b| (f32::from(b) * 2e-5).to_le_bytes())
        .collect();
    let scale = if float { Blob::default() } else { case.blob(&scale) };
    let offset = random_floats(g.seed ^ 10, blocks as usize * 16);
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
    if g.second > 0 && g.arithmetic != Arithmetic::U8ToF32 {
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
    step.output = case.span(&vec![0; bytes as usize]);
    (step.output_grid, step.halo) = (grid, halo);
    (case, step)
}

fn depthwise(g: &Geometry) -> (Case, Depthwise) {
    let mut case = Case::new();
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
        .flat_map(|&b| (f32::from(b) * 2e-4).to_le_bytes())
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
    step.output = case.span(&vec![0; bytes as usize]);
    (step.output_grid, step.halo) = (grid, halo);
    (case, step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn convolutions_of_all_tiers_are_equal(g in geometry()) {
        let (case, step) = conv(&g);
        assert_same(&case.outputs(&step.into()), g.arithmetic != Arithmetic::U8ToU8);
    }

    #[test]
    fn depthwise_convolutions_of_all_tiers_are_equal(mut g in geometry()) {
        if g.arithmetic == Arithmetic::RowsToF32 {
            g.arithmetic = Arithmetic::U8ToF32;
        }
        let (case, step) = depthwise(&g);
        assert_same(&case.outputs(&step.into()), g.arithmetic != Arithmetic::U8ToU8);
    }

    #[test]
    fn functions_of_all_tiers_are_equal(
        seed in any::<u64>(), rows in 1..5u32, length in 1..70u32, which in 0..9usize,
    ) {
        let function = [
            Function::Relu,
            Function::Clip,
            Function::Sigmoid,
            Function::Tanh,
            Function::Erf,
            Function::Gelu,
            Function::Swish,
            Function::HardSwish,
            Function::Exp,
        ][which];
        let mut case = Case::new();
        let (input, output) = runs(&mut case, seed, rows, length);
        let dims = [1, 1, 1, 1, rows, length];
        let strides = [0, 0, 0, 0, length, 1];
        let at = |span| Strided { span, start: 0, strides };
        let step = Unary { function, alpha: -0.5, beta: 1.5, dims, input: at(input), output: at(output) };
        assert_same(&case.outputs(&step.into()), true);
    }

    #[test]
    fn rows_of_all_tiers_are_quantized_to_the_same_integers(
        seed in any::<u64>(), rows in 1..5u32, length in 1..150u32, shift in 0..6i32,
    ) {
        let mut case = Case::new();
        let count = (rows * length) as usize;
        // Ties, zeros and rows of subnormal numbers too.
        let factor = [1.0, 0.5, 1.0 / 3.0, 1e-33, 1e-42, 0.0][shift as usize];
        let numbers: Vec<u8> = floats(&random_floats(seed, count))
            .iter()
            .flat_map(|x| (x * factor).to_le_bytes())
            .collect();
        let row_bytes = length.next_multiple_of(4);
        let scales = (rows * row_bytes).next_multiple_of(64);
        let span = case.span(&numbers);
        let step = QuantizeRows {
            dims: [1, 1, 1, 1, 1, rows],
            input: Strided { span, start: 0, strides: [0, 0, 0, 0, 0, length] },
            length,
            row_bytes,
            scales,
            scratch: scales + rows * 4,
            output: case.span(&vec![0; (scales + rows * 4) as usize]),
            ..QuantizeRows::default()
        };
        assert_same(&case.outputs(&step.into()), false);
        // A function of rows: integers of nearly the same real numbers.
        let step = QuantizeRows {
            function: Function::Gelu,
            output: case.span(&vec![0; (scales + rows * 4 + length.next_multiple_of(16) * 4) as usize]),
            ..step
        };
        let outputs = case.outputs(&step.into());
        for other in &outputs[1..] {
            let scale_of = |bytes: &[u8], row: usize| floats(&bytes[scales as usize..])[row];
            for row in 0..rows as usize {
                let (a, b) = (scale_of(&outputs[0], row), scale_of(other, row));
                prop_assert!((a - b).abs() <= 1e-5 * a.max(1e-2), "{a} and {b}");
                for n in row * row_bytes as usize..(row + 1) * row_bytes as usize {
                    prop_assert!(outputs[0][n].abs_diff(other[n]) <= 1 || a < 1e-6);
                }
            }
        }
    }

    #[test]
    fn runs_of_all_tiers_are_equal(seed in any::<u64>(), rows in 1..5u32, length in 1..70u32, centre in 0..2u32) {
        let mut case = Case::new();
        let scale = case.blob(&random_floats(seed ^ 3, length as usize));
        let bias = case.blob(&random_floats(seed ^ 4, length as usize));
        let (input, output) = runs(&mut case, seed, rows, length);
        let dims = [1, 1, 1, 1, 1, rows];
        let at = |span| Strided { span, start: 0, strides: [0, 0, 0, 0, 0, length] };
        let softmax = Softmax {
            dims,
            input: at(input),
            output: at(output),
            length,
            input_step: 1,
            output_step: 1,
        };
        assert_same(&case.outputs(&softmax.into()), true);
        let normalize = Normalize {
            epsilon: 1e-3,
            centre,
            dims,
            input: at(input),
            output: at(output),
            length,
            scale,
            bias: if centre == 0 { Blob::default() } else { bias },
        };
        assert_same(&case.outputs(&normalize.into()), true);
    }
}

/// Runs of numbers, and a place for as many.
fn runs(case: &mut Case, seed: u64, rows: u32, length: u32) -> (Span, Span) {
    let count = (rows * length) as usize;
    (
        case.span(&random_floats(seed, count)),
        case.span(&vec![0; count * 4]),
    )
}
