//! Pools.

use core::ops::Range;

use super::round;
use crate::kernels::{floats, floats_mut};
use crate::step::{Pool, PoolKind};

/// Places of the input that a window meets along an axis, and how many of its elements lie in the padded input.
pub(crate) fn window(step: &Pool, axis: usize, place: u32, inputs: u32) -> (Range<u32>, u32) {
    let (kernel, dilation) = (step.kernel[axis], step.dilations[axis]);
    let first = i64::from(place * step.strides[axis]) - i64::from(step.before[axis]);
    // Elements before the input, and behind it.
    let skipped = (-first).max(0).unsigned_abs().div_ceil(u64::from(dilation)) as u32;
    let room =
        |end: i64| ((end - first).max(0).unsigned_abs().div_ceil(u64::from(dilation)) as u32).min(kernel);
    let inside = room(i64::from(inputs));
    let padded = room(i64::from(inputs) + i64::from(step.after[axis]));
    (skipped.min(inside)..inside, padded)
}

/// Runs a pool.
pub(crate) fn run(step: &Pool, input: &[u8], output: &mut [u8]) {
    step.halo.fill(output);
    for row in 0..step.extent.rows {
        for column in 0..step.extent.columns {
            pixel(step, input, output, [row, column]);
        }
    }
}

/// A pixel of all images.
pub(crate) fn pixel(step: &Pool, input: &[u8], output: &mut [u8], [row, column]: [u32; 2]) {
    let (rows, padded_rows) = window(step, 0, row, step.input_rows);
    let (columns, padded_columns) = window(step, 1, column, step.input_columns);
    let count = if step.include_padding == 0 {
        rows.len() as u64 * columns.len() as u64
    } else {
        u64::from(padded_rows) * u64::from(padded_columns)
    };
    for image in 0..step.extent.images {
        let out = step.output_grid.at(image, row, column);
        let places = || {
            let columns = columns.clone();
            rows.clone().flat_map(move |y| {
                let y = row * step.strides[0] + y * step.dilations[0] - step.before[0];
                columns.clone().map(move |x| {
                    let x = column * step.strides[1] + x * step.dilations[1] - step.before[1];
                    step.input_grid.at(image, y, x)
                })
            })
        };
        for channel in 0..step.channels as usize {
            match step.kind {
                PoolKind::MaxU8 => {
                    let greatest = places().map(|at| input[at + channel]).max();
                    output[out + channel] = greatest.unwrap_or(0);
                }
                PoolKind::MaxF32 => {
                    let values = places().map(|at| floats(input)[at / 4 + channel]);
                    floats_mut(output)[out / 4 + channel] = values.fold(f32::NEG_INFINITY, f32::max);
                }
                PoolKind::MeanU8 => {
                    let real =
                        |q: u8| (i32::from(q) - step.input_affine.zero) as f32 * step.input_affine.scale;
                    let sum: f64 = places().map(|at| f64::from(real(input[at + channel]))).sum();
                    output[out + channel] = quantized((mean(sum, count)) as f32, step);
                }
                PoolKind::MeanF32 => {
                    let values = places().map(|at| f64::from(floats(input)[at / 4 + channel]));
                    floats_mut(output)[out / 4 + channel] = mean(values.sum(), count) as f32;
                }
            }
        }
    }
}

fn mean(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

fn quantized(x: f32, step: &Pool) -> u8 {
    let zero = step.output_affine.zero;
    let scaled = x / step.output_affine.scale;
    let limits = (-zero as f32, (255 - zero) as f32);
    (round(scaled.max(limits.0).min(limits.1)) as i32 + zero) as u8
}
