//! Convolutions and matrix products.

use super::round;
use crate::kernels::{Tensors, floats, integers};
use crate::span::Blob;
use crate::step::{Arithmetic, BLOCK, Conv, Epilogue, GROUP_BYTES, Residual, first_channel};

/// What a convolution reads.
pub(crate) struct Operands<'a> {
    pub input: &'a [u8],
    pub weights: &'a [u8],
    pub bias: &'a [u8],
    pub scale: &'a [u8],
    pub offset: &'a [u8],
    pub other: &'a [u8],
}

impl<'a> Operands<'a> {
    /// Of a step whose spans and blobs were checked.
    pub fn new(step: &Conv, tensors: &Tensors<'a>, constant: &dyn Fn(&Blob) -> &'a [u8]) -> Self {
        Self {
            input: tensors.get(&step.input),
            weights: if step.matrix.is_empty() {
                constant(&step.weights)
            } else {
                tensors.get(&step.matrix)
            },
            bias: constant(&step.bias),
            scale: constant(&step.scale),
            offset: constant(&step.offset),
            other: tensors.get(&step.residual.other),
        }
    }
}

/// An integer sum as a quantized number without its zero point.
pub(super) fn requantize(sum: i32, scale: f32, epilogue: &Epilogue) -> f32 {
    round((sum as f32 * scale).max(epilogue.low).min(epilogue.high))
}

/// The sum with a second tensor, as a quantized number without its zero point.
fn residual(q: f32, other: u8, step: &Residual) -> f32 {
    let other = (i32::from(other) - step.other_zero) as f32 * step.other_scale;
    let sum = q * step.scale + other;
    let scaled = if step.divide == 0 {
        sum * step.factor
    } else {
        sum / step.factor
    };
    round(scaled.max(step.epilogue.low).min(step.epilogue.high))
}

/// First bytes of the runs of taps of a window.
fn runs(step: &Conv, at: usize) -> impl Iterator<Item = usize> {
    let taps = step.taps;
    (0..taps.rows as usize).flat_map(move |row| {
        let row = at + row * taps.row_step as usize;
        (0..taps.columns as usize).map(move |column| row + column * taps.column_step as usize)
    })
}

fn sums_u8(step: &Conv, at: usize, input: &[u8], weights: &[u8], bias: &[i32]) -> [i32; BLOCK] {
    let mut sums = [0; BLOCK];
    sums.copy_from_slice(bias);
    let mut groups = weights.chunks_exact(GROUP_BYTES);
    for run in runs(step, at) {
        let bytes = &input[run..run + step.taps.groups as usize * 4];
        for (x, w) in bytes.chunks_exact(4).zip(groups.by_ref()) {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(4)) {
                for (&x, &w) in x.iter().zip(w) {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(w.cast_signed()));
                }
            }
        }
    }
    sums
}

fn sums_f32(step: &Conv, at: usize, input: &[u8], weights: &[u8], bias: &[f32]) -> [f32; BLOCK] {
    let mut sums = [0.0; BLOCK];
    sums.copy_from_slice(bias);
    let (input, weights) = (floats(input), floats(weights));
    let mut rows = weights.chunks_exact(BLOCK);
    for run in runs(step, at) {
        let elements = &input[run / 4..run / 4 + step.taps.groups as usize];
        for (x, w) in elements.iter().zip(rows.by_ref()) {
            for (sum, w) in sums.iter_mut().zip(w) {
                *sum += x * w;
            }
        }
    }
    sums
}

/// Runs a convolution.
pub(crate) fn run(step: &Conv, operands: &Operands<'_>, output: &mut [u8]) {
    step.halo.fill(output);
    let block_bytes = step.taps.depth().unwrap_or(0) as usize * GROUP_BYTES;
    let mut pixel = 0;
    for image in 0..step.extent.images {
        let weights = &operands.weights[image as usize * step.matrix_image as usize..];
        for row in 0..step.extent.rows {
            for column in 0..step.extent.columns {
                let at = step.input_grid.at(image, row, column);
                let out = step.output_grid.at(image, row, column);
                let other = step.residual.grid.at(image, row, column);
                for block in 0..step.blocks() as usize {
                    let weights = &weights[block * block_bytes..][..block_bytes];
                    let channels = (step.channels as usize).min(BLOCK);
                    let block = Block {
                        table: block * BLOCK,
                        first: first_channel(block, step.channels as usize),
                        channels,
                        at,
                        out,
                        other,
                        pixel,
                    };
                    match step.arithmetic {
                        Arithmetic::F32 => block.write_f32(step, operands, weights, output),
                        Arithmetic::RowsToF32 => block.write_rows(step, operands, weights, output),
                        Arithmetic::U8ToU8 | Arithmetic::U8ToF32 => {
                            block.write_u8(step, operands, weights, output);
                        }
                    }
                }
                pixel += 1;
            }
        }
    }
}

/// The channels of a block at a pixel.
struct Block {
    /// Place of its bias and scale.
    table: usize,
    first: usize,
    channels: usize,
    at: usize,
    out: usize,
    other: usize,
    /// Its number.
    pixel: usize,
}

impl Block {
    fn write_u8(&self, step: &Conv, operands: &Operands<'_>, weights: &[u8], output: &mut [u8]) {
        let scale = &floats(operands.scale)[self.table..][..BLOCK];
        let zeros = [0; BLOCK];
        let bias = match operands.bias {
            [] => &zeros,
            bias => &integers(bias)[self.table..][..BLOCK],
        };
        let sums = sums_u8(step, self.at, operands.input, weights, bias);
        if step.arithmetic == Arithmetic::U8ToF32 {
            let mut found = [0.0; BLOCK];
            for ((found, sum), scale) in found.iter_mut().zip(sums).zip(scale) {
                *found = sum as f32 * scale;
            }
            self.write_limited(step, operands, found, output);
            return;
        }
        let out = &mut output[self.out + self.first..][..self.channels];
        let zero = step.epilogue.zero_point;
        if step.residual.other.is_empty() {
            for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scale) {
                *out = (requantize(sum, *scale, &step.epilogue) as i32 + zero) as u8;
            }
            return;
        }
        let other = &operands.other[self.other + self.first..][..self.channels];
        let zero = step.residual.epilogue.zero_point;
        for (((out, sum), scale), other) in out.iter_mut().zip(sums).zip(scale).zip(other) {
            let q = requantize(sum, *scale, &step.epilogue);
            *out = (residual(q, *other, &step.residual) as i32 + zero) as u8;
        }
    }

    fn write_f32(&self, step: &Conv, operands: &Operands<'_>, weights: &[u8], output: &mut [u8]) {
        let zeros = [0.0; BLOCK];
        let bias = match operands.bias {
            [] => &zeros,
            bias => &floats(bias)[self.table..][..BLOCK],
        };
        let sums = sums_f32(step, self.at, operands.input, weights, bias);
        self.write_limited(step, operands, sums, output);
    }

    fn write_rows(&self, step: &Conv, operands: &Operands<'_>, weights: &[u8], output: &mut [u8]) {
        let zeros = [0; BLOCK];
        let bias = match operands.bias {
            [] => &zeros,
            bias => &integers(bias)[self.table..][..BLOCK],
        };
        let sums = sums_u8(step, self.at, operands.input, weights, bias);
        let row = floats(&operands.input[step.row_scales as usize..])[self.pixel];
        let scale = &floats(operands.scale)[self.table..][..BLOCK];
        let mut found = [0.0; BLOCK];
        for ((found, sum), scale) in found.iter_mut().zip(sums).zip(scale) {
            *found = sum as f32 * (row * scale);
        }
        if !operands.offset.is_empty() {
            for (found, offset) in found.iter_mut().zip(&floats(operands.offset)[self.table..]) {
                *found += offset;
            }
        }
        self.write_limited(step, operands, found, output);
    }

    /// Adds a second tensor that is there, and limits the sums.
    fn write_limited(&self, step: &Conv, operands: &Operands<'_>, sums: [f32; BLOCK], output: &mut [u8]) {
        let out = &mut crate::kernels::floats_mut(output)[self.out / 4 + self.first..][..self.channels];
        let limit = |x: f32| x.max(step.epilogue.low).min(step.epilogue.high);
        if step.residual.other.is_empty() {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = limit(sum);
            }
            return;
        }
        let other = &floats(operands.other)[self.other / 4 + self.first..][..self.channels];
        for ((out, sum), other) in out.iter_mut().zip(sums).zip(other) {
            *out = limit(sum + other);
        }
    }
}
