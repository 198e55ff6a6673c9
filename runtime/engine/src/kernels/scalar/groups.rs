//! Normalizations over groups of channels.

use super::elementwise::quantized;
use crate::kernels::{floats, floats_mut};
use crate::step::NormalizeGroups;

/// Normalizes each group of each image.
pub(crate) fn normalize(step: &NormalizeGroups, input: &[u8], scale: &[u8], bias: &[u8], output: &mut [u8]) {
    let (input, scale, bias) = (floats(input), floats(scale), floats(bias));
    step.halo.fill(output);
    let size = (step.channels / step.groups) as usize;
    let (rows, columns) = (step.extent.rows, step.extent.columns);
    for image in 0..step.extent.images {
        let pixels = || (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)));
        for first in (0..step.channels as usize).step_by(size) {
            let group = |(row, column)| {
                let at = step.input_grid.at(image, row, column) / 4 + first;
                input[at..at + size].iter().map(|&x| f64::from(x))
            };
            let count = step.extent.pixels() as f64 / f64::from(step.extent.images) * size as f64;
            let mean = pixels().flat_map(group).sum::<f64>() / count;
            let squares = pixels().flat_map(group).map(|x| (x - mean) * (x - mean));
            let variance = squares.sum::<f64>() / count;
            let factor = (1.0 / libm::sqrt(variance + f64::from(step.epsilon))) as f32;
            for (row, column) in pixels() {
                let from = step.input_grid.at(image, row, column) / 4;
                let to = step.output_grid.at(image, row, column);
                for channel in first..first + size {
                    let x = input[from + channel] - mean as f32;
                    let y = (x * factor * scale[channel] + bias[channel]).max(step.low);
                    if step.quantized == 0 {
                        floats_mut(output)[to / 4 + channel] = y;
                    } else {
                        output[to + channel] = quantized(y, &step.affine, 0, 255);
                    }
                }
            }
        }
    }
}
