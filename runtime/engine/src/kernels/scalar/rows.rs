//! Rows that are quantized as they come.

use super::elementwise::apply;
use super::round;
use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{QuantizeRows, ROW_ZERO};

/// Quantizes rows.
pub(crate) fn quantize(step: &QuantizeRows, input: &[u8], output: &mut [u8]) {
    let input = floats(input);
    let (length, row_bytes) = (step.length as usize, step.row_bytes as usize);
    let next = step.input.strides[5] as usize;
    let (integers, scales) = output.split_at_mut(step.scales as usize);
    let scales = floats_mut(scales);
    let mut row = 0;
    for_each_run(&step.dims, [&step.input], |[from]| {
        for n in 0..step.dims[5] as usize {
            let x = &input[from + n * next..][..length];
            let integers = &mut integers[row * row_bytes..][..row_bytes];
            let function = |x: f32| apply(step.function, step.alpha, step.beta, x);
            scales[row] = quantize_row(x, function, integers);
            row += 1;
        }
    });
}

fn quantize_row(x: &[f32], function: impl Fn(f32) -> f32, integers: &mut [u8]) -> f32 {
    let scale = x.iter().fold(0f32, |most, &x| most.max(function(x).abs())) / 127.0;
    integers.fill(ROW_ZERO as u8);
    if scale != 0.0 {
        for (q, &x) in integers.iter_mut().zip(x) {
            *q = (round((function(x) / scale).clamp(-127.0, 127.0)) as i32 + ROW_ZERO) as u8;
        }
    }
    scale
}
