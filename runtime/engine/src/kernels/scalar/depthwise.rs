//! Convolutions of each channel alone.

use super::conv::requantize;
use crate::kernels::{floats, floats_mut, integers};
use crate::step::{Arithmetic, BLOCK, Depthwise, GROUP_BYTES, first_channel};

/// First bytes of the taps of a window, row by row.
fn taps(step: &Depthwise, at: usize) -> impl Iterator<Item = usize> {
    let step = *step;
    (0..step.kernel_rows as usize).flat_map(move |row| {
        let row = at + row * step.row_step as usize;
        (0..step.kernel_columns as usize).map(move |column| row + column * step.column_step as usize)
    })
}

/// Runs a depthwise convolution; constants are weights, bias and scale.
pub(crate) fn run(step: &Depthwise, input: &[u8], constants: [&[u8]; 3], output: &mut [u8]) {
    step.halo.fill(output);
    for image in 0..step.extent.images {
        for row in 0..step.extent.rows {
            for column in 0..step.extent.columns {
                let at = step.input_grid.at(image, row, column);
                let out = step.output_grid.at(image, row, column);
                for channel in 0..step.channels as usize {
                    let place = place(channel, step.channels as usize);
                    match step.arithmetic {
                        Arithmetic::F32 => {
                            let y = value_f32(step, at + channel * 4, place, floats(input), constants);
                            floats_mut(output)[out / 4 + channel] = y;
                        }
                        Arithmetic::U8ToF32 | Arithmetic::RowsToF32 => {
                            let (sum, scale) = sum_u8(step, at + channel, place, input, constants);
                            let y = (sum as f32 * scale)
                                .max(step.epilogue.low)
                                .min(step.epilogue.high);
                            floats_mut(output)[out / 4 + channel] = y;
                        }
                        Arithmetic::U8ToU8 => {
                            let (sum, scale) = sum_u8(step, at + channel, place, input, constants);
                            let q = requantize(sum, scale, &step.epilogue) as i32;
                            output[out + channel] = (q + step.epilogue.zero_point) as u8;
                        }
                    }
                }
            }
        }
    }
}

/// Place of a channel in the tables: its block, the last of two that have it, and its place in that.
fn place(channel: usize, channels: usize) -> usize {
    let last = channels.div_ceil(BLOCK) - 1;
    let block = if channel >= first_channel(last, channels) {
        last
    } else {
        channel / BLOCK
    };
    block * BLOCK + channel - first_channel(block, channels)
}

fn sum_u8(step: &Depthwise, at: usize, place: usize, input: &[u8], constants: [&[u8]; 3]) -> (i32, f32) {
    let [weights, bias, scale] = constants;
    let groups = step.taps().unwrap_or(0).div_ceil(4) as usize;
    let (block, lane) = (place / BLOCK, place % BLOCK);
    let weights = &weights[block * groups * GROUP_BYTES..][..groups * GROUP_BYTES];
    let mut sum = match bias {
        [] => 0,
        bias => integers(bias)[place],
    };
    for (tap, from) in taps(step, at).enumerate() {
        let w = weights[tap / 4 * GROUP_BYTES + lane * 4 + tap % 4].cast_signed();
        sum = sum.wrapping_add(i32::from(input[from]) * i32::from(w));
    }
    (sum, floats(scale)[place])
}

fn value_f32(step: &Depthwise, at: usize, place: usize, input: &[f32], constants: [&[u8]; 3]) -> f32 {
    let [weights, bias, _] = constants;
    let count = step.taps().unwrap_or(0) as usize;
    let (block, lane) = (place / BLOCK, place % BLOCK);
    let weights = &floats(weights)[block * count * BLOCK..][..count * BLOCK];
    let mut sum = match bias {
        [] => 0.0,
        bias => floats(bias)[place],
    };
    for (tap, from) in taps(step, at).enumerate() {
        sum += input[from / 4] * weights[tap * BLOCK + lane];
    }
    sum.max(step.epilogue.low).min(step.epilogue.high)
}
