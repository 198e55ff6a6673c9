//! TensorFlow Lite's fixed-point arithmetic.

use super::pool::window;
use crate::kernels::{floats, for_each_run, integers};
use crate::step::{Fixed, FixedPair, MeanFixed, PairFixed, Rescale};

/// The high half of twice a product, rounded to nearest, ties up.
fn doubling_high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
    ((product + nudge) / (1i64 << 31)) as i32
}

/// A right shift that rounds to nearest, ties away from zero.
fn rounding_shift(x: i32, exponent: u32) -> i32 {
    let mask = (1i64 << exponent) - 1;
    let rest = i64::from(x) & mask;
    let threshold = (mask >> 1) + i64::from(x < 0);
    (x >> exponent.min(31)) + i32::from(rest > threshold)
}

/// An integer times a factor whose shift was checked.
pub(crate) fn scaled(x: i32, factor: &Fixed) -> i32 {
    let left = (i64::from(x) << factor.shift.max(0)).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let product = doubling_high_product(left, factor.multiplier);
    rounding_shift(product, factor.shift.min(0).unsigned_abs())
}

/// With the zero point, as a byte.
fn finished(x: i32, zero: i32, low: i32, high: i32) -> u8 {
    x.saturating_add(zero).clamp(low, high) as u8
}

pub(super) fn rescale(step: &Rescale, input: &[u8], tables: [&[u8]; 3], output: &mut [u8]) {
    let input = floats(input);
    let [bias, multipliers, shifts] = tables.map(integers);
    let channels = step.channels as usize;
    let [from_next, to_next] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let sums = &input[from + n * from_next..][..channels];
            let out = &mut output[to + n * to_next..][..channels];
            let factors = multipliers.iter().zip(shifts);
            for (channel, ((y, &sum), (&multiplier, &shift))) in
                out.iter_mut().zip(sums).zip(factors).enumerate()
            {
                let bias = bias.get(channel).copied().unwrap_or(0);
                let sum = (sum as i32).saturating_add(bias);
                let x = scaled(sum, &Fixed { multiplier, shift });
                *y = finished(x, step.zero, step.low, step.high);
            }
        }
    });
}

pub(super) fn pair(step: &PairFixed, operands: [&[u8]; 2], tables: [&[u8]; 2], output: &mut [u8]) {
    let [a, b] = operands;
    let [a_table, b_table] = tables.map(integers);
    let [a_step, b_step, to_step] = [&step.a, &step.b, &step.output].map(|o| o.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        for n in 0..step.dims[5] as usize {
            let x = a_table[usize::from(a[at + n * a_step])];
            let y = b_table[usize::from(b[bt + n * b_step])];
            let found = match step.function {
                FixedPair::Add => x.saturating_add(y),
                FixedPair::Sub => x.saturating_sub(y),
                FixedPair::Mul => x.saturating_mul(y),
            };
            output[to + n * to_step] = finished(scaled(found, &step.factor), step.zero, 0, 255);
        }
    });
}

/// To nearest, ties away from zero; 0 for a count of 0.
fn divided(x: i32, count: i32) -> i32 {
    let half = i64::from(x.signum()) * i64::from(count / 2);
    ((i64::from(x) + half).checked_div(count.into())).unwrap_or(0) as i32
}

pub(super) fn mean(step: &MeanFixed, input: &[u8], output: &mut [u8]) {
    let pool = &step.pool;
    pool.halo.fill(output);
    let (zero_in, zero_out) = (pool.input_affine.zero, pool.output_affine.zero);
    for row in 0..pool.extent.rows {
        let (rows, _) = window(pool, 0, row, pool.input_rows);
        for column in 0..pool.extent.columns {
            let (columns, _) = window(pool, 1, column, pool.input_columns);
            let count = (rows.len() as i32).wrapping_mul(columns.len() as i32);
            for image in 0..pool.extent.images {
                let out = pool.output_grid.at(image, row, column);
                for channel in 0..pool.channels as usize {
                    let mut sum = 0i32;
                    for y in rows.clone() {
                        let y = row * pool.strides[0] + y * pool.dilations[0] - pool.before[0];
                        for x in columns.clone() {
                            let x = column * pool.strides[1] + x * pool.dilations[1] - pool.before[1];
                            let q = input[pool.input_grid.at(image, y, x) + channel];
                            sum = sum.wrapping_add(i32::from(q) - zero_in);
                        }
                    }
                    let factored = if step.factor.multiplier == 0 {
                        sum
                    } else {
                        scaled(sum, &step.factor)
                    };
                    output[out + channel] = finished(divided(factored, count), zero_out, 0, 255);
                }
            }
        }
    }
}
