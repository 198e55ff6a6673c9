//! Normalizations over groups of channels: 64 channels of a pixel at a time.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::lanes::{LANES, load, mask, store, store_bytes};
use super::store::{Bounds, order, packed};
use crate::kernels::{floats, floats_mut};
use crate::step::NormalizeGroups;

/// Registers of channels at a time.
const WIDTH: usize = 4;

/// Normalizes a step that was checked, on a processor with the instructions; tables are scale and bias.
pub(super) fn normalize(step: &NormalizeGroups, input: &[u8], tables: [&[u8]; 2], output: &mut [u8]) {
    let tables = tables.map(floats);
    let channels = step.channels as usize;
    let (output, scratch) = output.split_at_mut(step.scratch as usize);
    let (first, second) = floats_mut(scratch)[..channels * 2].split_at_mut(channels);
    step.halo.fill(output);
    for image in 0..step.extent.images {
        for channel in (0..channels).step_by(LANES * WIDTH) {
            // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that the
            // channels of each pixel lie in the input and in the output.
            unsafe { moments(step, image, channel, input.as_ptr(), [first, second]) };
        }
        to_lines(step, tables, [first, second]);
        for channel in (0..channels).step_by(LANES * WIDTH) {
            // SAFETY: as above.
            unsafe {
                apply(
                    step,
                    image,
                    channel,
                    input.as_ptr(),
                    [first, second],
                    output.as_mut_ptr(),
                )
            };
        }
    }
}

/// Which of the registers' channels from `channel` on are there.
fn masks(step: &NormalizeGroups, channel: usize) -> [u16; WIDTH] {
    let rest = step.channels as usize - channel;
    core::array::from_fn(|n| mask(rest.saturating_sub(n * LANES)))
}

/// Mean and variance of each channel from `channel` on.
///
/// # Safety
/// The processor has the instructions; the channels of the image's pixels lie in the input.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn moments(
    step: &NormalizeGroups,
    image: u32,
    channel: usize,
    input: *const u8,
    [means, variances]: [&mut [f32]; 2],
) {
    let masks = masks(step, channel);
    // Differences from the first pixel keep a large mean from drowning the variance.
    let mut origin = [_mm512_setzero_ps(); WIDTH];
    let at = step.input_grid.at(image, 0, 0) + channel * 4;
    for n in 0..WIDTH {
        // SAFETY: the mask leaves out channels that are not there.
        origin[n] = unsafe { load(input.wrapping_add(at + n * LANES * 4).cast(), masks[n]) };
    }
    let mut sums = [[_mm512_setzero_pd(); 2]; WIDTH];
    let mut squares = [[_mm512_setzero_pd(); 2]; WIDTH];
    for row in 0..step.extent.rows {
        let mut at = step.input_grid.at(image, row, 0) + channel * 4;
        let mut row_sums = [_mm512_setzero_ps(); WIDTH];
        let mut row_squares = [_mm512_setzero_ps(); WIDTH];
        for _ in 0..step.extent.columns {
            for n in 0..WIDTH {
                // SAFETY: as above.
                let x = unsafe { load(input.wrapping_add(at + n * LANES * 4).cast(), masks[n]) };
                let x = _mm512_sub_ps(x, origin[n]);
                row_sums[n] = _mm512_add_ps(row_sums[n], x);
                row_squares[n] = _mm512_fmadd_ps(x, x, row_squares[n]);
            }
            at += step.input_grid.column as usize;
        }
        for n in 0..WIDTH {
            add(&mut sums[n], row_sums[n]);
            add(&mut squares[n], row_squares[n]);
        }
    }
    let count = f64::from(step.extent.rows) * f64::from(step.extent.columns);
    for n in 0..WIDTH {
        for lane in 0..(masks[n].count_ones() as usize) {
            let of = |sums: &[__m512d; 2]| {
                let mut lanes = [0f64; LANES];
                // SAFETY: there are 16 lanes.
                unsafe {
                    _mm512_storeu_pd(lanes.as_mut_ptr(), sums[0]);
                    _mm512_storeu_pd(lanes.as_mut_ptr().add(LANES / 2), sums[1]);
                }
                lanes[lane] / count
            };
            let mut first = [0f32; LANES];
            // SAFETY: there are 16 lanes.
            unsafe { _mm512_storeu_ps(first.as_mut_ptr(), origin[n]) };
            let (mean, square) = (of(&sums[n]), of(&squares[n]));
            let at = channel + n * LANES + lane;
            means[at] = (f64::from(first[lane]) + mean) as f32;
            variances[at] = (square - mean * mean).max(0.0) as f32;
        }
    }
}

/// Adds 16 numbers to sums of twice their width.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn add(sums: &mut [__m512d; 2], x: __m512) {
    let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
    sums[0] = _mm512_add_pd(sums[0], _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
    sums[1] = _mm512_add_pd(sums[1], _mm512_cvtps_pd(high));
}

/// Turns means and variances of channels into factors and offsets, over the scale of integers.
fn to_lines(step: &NormalizeGroups, [scale, bias]: [&[f32]; 2], [first, second]: [&mut [f32]; 2]) {
    let size = (step.channels / step.groups) as usize;
    let unit = if step.quantized == 0 {
        1.0
    } else {
        step.affine.scale
    };
    for begin in (0..step.channels as usize).step_by(size) {
        let group = begin..begin + size;
        let mean = first[group.clone()].iter().map(|&x| f64::from(x)).sum::<f64>() / size as f64;
        let spread = |channel: usize| {
            let distance = f64::from(first[channel]) - mean;
            f64::from(second[channel]) + distance * distance
        };
        let variance = group.clone().map(spread).sum::<f64>() / size as f64;
        let factor = 1.0 / libm::sqrt(variance + f64::from(step.epsilon)) / f64::from(unit);
        for channel in group {
            let factor = factor * f64::from(scale[channel]);
            first[channel] = factor as f32;
            second[channel] = (f64::from(bias[channel] / unit) - mean * factor) as f32;
        }
    }
}

/// Multiplies and adds to the channels from `channel` on, and stores them.
///
/// # Safety
/// As [`moments`]; the channels of the image's pixels lie in the output.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn apply(
    step: &NormalizeGroups,
    image: u32,
    channel: usize,
    input: *const u8,
    [factors, offsets]: [&[f32]; 2],
    output: *mut u8,
) {
    let masks = masks(step, channel);
    let mut factor = [_mm512_setzero_ps(); WIDTH];
    let mut offset = [_mm512_setzero_ps(); WIDTH];
    for n in 0..WIDTH {
        let at = channel + n * LANES;
        // SAFETY: the mask leaves out channels that are not there.
        unsafe {
            factor[n] = load(factors.as_ptr().wrapping_add(at), masks[n]);
            offset[n] = load(offsets.as_ptr().wrapping_add(at), masks[n]);
        }
    }
    let zero = step.affine.zero;
    let (low, high) = if step.quantized == 0 {
        (step.low, f32::INFINITY)
    } else {
        (
            (step.low / step.affine.scale).max(-zero as f32),
            (255 - zero) as f32,
        )
    };
    let (low, high) = (_mm512_set1_ps(low), _mm512_set1_ps(high));
    let size = step.output_size() as usize;
    let wide = step.quantized != 0 && masks == [mask(LANES); WIDTH];
    let (bounds, order) = (Bounds::all(zero), order());
    for row in 0..step.extent.rows {
        let mut from = step.input_grid.at(image, row, 0) + channel * 4;
        let mut to = step.output_grid.at(image, row, 0) + channel * size;
        for _ in 0..step.extent.columns {
            let mut y = [_mm512_setzero_ps(); WIDTH];
            for n in 0..WIDTH {
                // SAFETY: the mask leaves out channels that are not there.
                let x = unsafe { load(input.wrapping_add(from + n * LANES * 4).cast(), masks[n]) };
                let line = _mm512_fmadd_ps(x, factor[n], offset[n]);
                y[n] = _mm512_min_ps(_mm512_max_ps(line, low), high);
            }
            if wide {
                let mut q = [_mm512_setzero_si512(); WIDTH];
                for n in 0..WIDTH {
                    q[n] = _mm512_cvtps_epi32(y[n]);
                }
                let bytes = _mm512_permutexvar_epi32(order, packed(q, bounds));
                // SAFETY: as many channels lie in the output.
                unsafe { _mm512_storeu_si512(output.wrapping_add(to).cast(), bytes) };
                from += step.input_grid.column as usize;
                to += step.output_grid.column as usize;
                continue;
            }
            for n in 0..WIDTH {
                // SAFETY: the mask leaves out channels that are not there.
                unsafe {
                    let place = output.wrapping_add(to + n * LANES * size);
                    if step.quantized == 0 {
                        store(place.cast(), masks[n], y[n]);
                    } else {
                        let q = _mm512_add_epi32(_mm512_cvtps_epi32(y[n]), _mm512_set1_epi32(zero));
                        store_bytes(place, _mm512_cvtepi32_epi8(q), masks[n].count_ones() as usize);
                    }
                }
            }
            from += step.input_grid.column as usize;
            to += step.output_grid.column as usize;
        }
    }
}
