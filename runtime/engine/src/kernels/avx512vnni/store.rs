//! Stores of sums: requantized, scaled or limited.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::conv::{Job, Places};
use super::lanes::{load, load_bytes, store, store_bytes};
use crate::step::{Arithmetic, BLOCK, Conv};

/// Whether a whole register may be stored at each pixel of an integer output, of so many bytes, of a step that was
/// checked.
pub(super) fn is_wide(step: &Conv, bytes: usize) -> bool {
    let grid = &step.output_grid;
    // Fewer than four bytes behind the channels of a pixel are no other channels.
    step.arithmetic == Arithmetic::U8ToU8
        && (BLOCK as u32 - 3..BLOCK as u32).contains(&step.channels)
        && grid.column as usize == BLOCK
        && grid
            .last(&step.extent)
            .is_some_and(|last| last + BLOCK as u64 <= bytes as u64)
}

/// The channels of a block.
pub(super) struct Channels {
    /// Bytes before its bias and scale.
    pub table: usize,
    pub first: usize,
    pub count: usize,
}

impl Channels {
    fn mask(&self) -> u16 {
        (0xffff_u32 >> (BLOCK - self.count)) as u16
    }
}

/// Requantizes the sums of a block at `P` pixels.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_u8<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [__m512i; P],
) {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    let step = job.step;
    let mask = channels.mask();
    let first = channels.first;
    let (low, high) = (
        _mm512_set1_ps(step.epilogue.low),
        _mm512_set1_ps(step.epilogue.high),
    );
    // SAFETY: scale has an entry for each channel of the blocks.
    let scale = unsafe { _mm512_loadu_ps(job.operands.scale.as_ptr().add(channels.table).cast()) };
    let plain = step.residual.other.is_empty();
    let zero = _mm512_set1_epi32(if plain {
        step.epilogue.zero_point
    } else {
        step.residual.epilogue.zero_point
    });
    let mut q = [_mm512_setzero_ps(); P];
    for p in 0..P {
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[p]), scale);
        q[p] = _mm512_min_ps(_mm512_max_ps(scaled, low), high);
    }
    if !plain {
        let residual = &step.residual;
        let other_zero = _mm512_set1_epi32(residual.other_zero);
        let (own_scale, other_scale) = (
            _mm512_set1_ps(residual.scale),
            _mm512_set1_ps(residual.other_scale),
        );
        for p in 0..P {
            // SAFETY: the channels under the mask lie in the second tensor.
            let other = unsafe {
                let from = job.operands.other.as_ptr().add(places.other[p] + first);
                _mm512_cvtepu8_epi32(load_bytes(from, mask))
            };
            let other = _mm512_mul_ps(
                _mm512_cvtepi32_ps(_mm512_sub_epi32(other, other_zero)),
                other_scale,
            );
            let own = _mm512_mul_ps(_mm512_roundscale_ps::<NEAREST>(q[p]), own_scale);
            q[p] = _mm512_add_ps(own, other);
        }
        let factor = _mm512_set1_ps(residual.factor);
        if residual.divide == 0 {
            for p in 0..P {
                q[p] = _mm512_mul_ps(q[p], factor);
            }
        } else {
            for p in 0..P {
                q[p] = _mm512_div_ps(q[p], factor);
            }
        }
        let (low, high) = (
            _mm512_set1_ps(residual.epilogue.low),
            _mm512_set1_ps(residual.epilogue.high),
        );
        for p in 0..P {
            q[p] = _mm512_min_ps(_mm512_max_ps(q[p], low), high);
        }
    }
    let mut bytes = [_mm_setzero_si128(); P];
    for p in 0..P {
        bytes[p] = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(q[p]), zero));
    }
    // SAFETY: as many channels lie in the output, and a whole register where stores are wide.
    unsafe {
        if job.wide {
            let present = _mm_maskz_set1_epi8(mask, -1);
            for p in 0..P {
                let bytes = _mm_and_si128(bytes[p], present);
                _mm_storeu_si128(job.output.add(places.output[p]).cast(), bytes);
            }
        } else if channels.count == BLOCK {
            for p in 0..P {
                _mm_storeu_si128(job.output.add(places.output[p] + first).cast(), bytes[p]);
            }
        } else {
            for p in 0..P {
                store_bytes(job.output.add(places.output[p] + first), bytes[p], channels.count);
            }
        }
    }
}

/// Scales the integer sums of 16 channels to `f32`.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_scaled<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [__m512i; P],
) {
    let mask = channels.mask();
    let first = channels.first;
    let (low, high) = (
        _mm512_set1_ps(job.step.epilogue.low),
        _mm512_set1_ps(job.step.epilogue.high),
    );
    // SAFETY: scale has an entry for each channel of the blocks.
    let scale = unsafe { _mm512_loadu_ps(job.operands.scale.as_ptr().add(channels.table).cast()) };
    for p in 0..P {
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[p]), scale);
        let y = _mm512_min_ps(_mm512_max_ps(scaled, low), high);
        // SAFETY: the channels under the mask lie in the output.
        unsafe { store(job.output.add(places.output[p] + first * 4).cast(), mask, y) };
    }
}

/// Limits the sums of 16 channels, a second tensor added where there is one.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_f32<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [__m512i; P],
) {
    let mut found = [_mm512_setzero_ps(); P];
    for p in 0..P {
        found[p] = _mm512_castsi512_ps(sums[p]);
    }
    // SAFETY: as for this function.
    unsafe { store_limited(job, places, channels, found) };
}

/// Scales the integer sums of 16 channels by the scales of channels and pixels, and limits them.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_rows<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [__m512i; P],
) {
    let operands = job.operands;
    // SAFETY: scale, and an offset that is there, have an entry for each channel of the blocks.
    let (scale, offset) = unsafe {
        let scale = _mm512_loadu_ps(operands.scale.as_ptr().add(channels.table).cast());
        let offset = if operands.offset.is_empty() {
            _mm512_set1_ps(-0.0)
        } else {
            _mm512_loadu_ps(operands.offset.as_ptr().add(channels.table).cast())
        };
        (scale, offset)
    };
    let mut found = [_mm512_setzero_ps(); P];
    for p in 0..P {
        // SAFETY: there is a scale for each pixel.
        let row = unsafe {
            let row = operands.input.as_ptr().add(places.scales + p * 4);
            _mm512_set1_ps(row.cast::<f32>().read_unaligned())
        };
        let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[p]), _mm512_mul_ps(row, scale));
        found[p] = _mm512_add_ps(scaled, offset);
    }
    // SAFETY: as for this function.
    unsafe { store_limited(job, places, channels, found) };
}

/// Limits and stores `f32` of 16 channels, a second tensor added where there is one.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn store_limited<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    found: [__m512; P],
) {
    let mask = channels.mask();
    let first = channels.first;
    let (low, high) = (
        _mm512_set1_ps(job.step.epilogue.low),
        _mm512_set1_ps(job.step.epilogue.high),
    );
    let plain = job.step.residual.other.is_empty();
    for p in 0..P {
        let mut y = found[p];
        if !plain {
            // SAFETY: the channels under the mask lie in the second tensor.
            let other = unsafe {
                let from = job.operands.other.as_ptr().add(places.other[p] + first * 4);
                load(from.cast(), mask)
            };
            y = _mm512_add_ps(y, other);
        }
        let y = _mm512_min_ps(_mm512_max_ps(y, low), high);
        // SAFETY: the channels under the mask lie in the output.
        unsafe { store(job.output.add(places.output[p] + first * 4).cast(), mask, y) };
    }
}
