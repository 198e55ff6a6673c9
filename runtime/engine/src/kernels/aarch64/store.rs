//! Stores of sums: requantized, scaled or limited.

use core::arch::aarch64::*;

use super::conv::{Job, Places};
use super::lanes::{four, load_bytes, load_floats, store_bytes, store_floats};
use super::products::Sums;
use crate::step::{Epilogue, Residual};

/// The channels of a block.
pub(super) struct Channels {
    /// Bytes before its bias and scale.
    pub table: usize,
    pub first: usize,
    pub count: usize,
}

/// 16 `f32` of a table with an entry for each channel of the blocks.
///
/// # Safety
/// The table has them from this byte on.
#[inline(always)]
pub(super) unsafe fn table(bytes: &[u8], at: usize) -> [float32x4_t; 4] {
    // SAFETY: as for this function.
    four(|n| unsafe { vreinterpretq_f32_u8(vld1q_u8(bytes.as_ptr().add(at + n * 16))) })
}

/// Limits and zero point of integer outputs.
pub(super) struct Limits {
    zero: int16x8_t,
    low: uint8x16_t,
    high: uint8x16_t,
}

impl Limits {
    /// Of a step that was checked: the limits plus the zero point are inside `u8`.
    #[inline(always)]
    pub fn new(epilogue: &Epilogue) -> Self {
        // Rounding keeps the order: a rounded number inside rounded limits is the limited number rounded.
        let limit = |x: f32| (crate::kernels::scalar::round(x) as i32 + epilogue.zero_point) as u8;
        // SAFETY: every 64-bit Arm processor has the instructions.
        unsafe {
            Self {
                zero: vdupq_n_s16(epilogue.zero_point as i16),
                low: vdupq_n_u8(limit(epilogue.low)),
                high: vdupq_n_u8(limit(epilogue.high)),
            }
        }
    }

    /// Numbers to the nearest integers, ties to even, plus the zero point, limited.
    #[inline(always)]
    pub fn bytes(&self, x: [float32x4_t; 4]) -> uint8x16_t {
        // SAFETY: every 64-bit Arm processor has the instructions.
        unsafe {
            // Each narrowing saturates, beyond the limits.
            let [a, b, c, d] = four(|n| vcvtnq_s32_f32(x[n]));
            let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), self.zero);
            let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), self.zero);
            let bytes = vqmovun_high_s16(vqmovun_s16(low), high);
            vminq_u8(vmaxq_u8(bytes, self.low), self.high)
        }
    }
}

/// Runs a block for each pixel, written out: constant places keep the sums in registers.
macro_rules! for_each_pixel {
    ($p:ident < $pixels:ident, $body:block) => {
        for_each_pixel!(@ $p $pixels $body 0 1 2 3 4 5)
    };
    (@ $p:ident $pixels:ident $body:block $($number:literal)*) => {$(
        if $number < $pixels {
            let $p = $number % $pixels;
            $body
        }
    )*};
}

/// Requantizes the sums of a block at `P` pixels.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_u8<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    let (step, operands) = (job.step, job.operands);
    // SAFETY: as for this function.
    unsafe {
        let scale = table(operands.scale, channels.table);
        if step.residual.other.is_empty() {
            let limits = Limits::new(&step.epilogue);
            for_each_pixel!(p < P, {
                let bytes = limits.bytes(scaled(sums[p], scale));
                store_bytes(
                    job.output.add(places.output[p] + channels.first),
                    bytes,
                    channels.count,
                );
            });
            return;
        }
        let limits = Limits::new(&step.residual.epilogue);
        // A copy, so that only this one has an address.
        let sums = sums;
        for (p, sums) in sums.iter().enumerate() {
            let other = operands.other.as_ptr().add(places.other[p] + channels.first);
            let other = load_bytes(other, channels.count);
            let bytes = limits.bytes(add(&step.epilogue, &step.residual, scaled(*sums, scale), other));
            store_bytes(
                job.output.add(places.output[p] + channels.first),
                bytes,
                channels.count,
            );
        }
    }
}

/// Sums times the scales of their channels.
#[inline(always)]
pub(super) fn scaled(sums: Sums, scale: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: every 64-bit Arm processor has the instructions.
    four(|n| unsafe { vmulq_f32(vcvtq_f32_s32(sums[n]), scale[n]) })
}

/// The sum with a second tensor over the scale of the output.
#[inline(always)]
fn add(own: &Epilogue, step: &Residual, x: [float32x4_t; 4], other: uint8x16_t) -> [float32x4_t; 4] {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let (low, high) = (vdupq_n_f32(own.low), vdupq_n_f32(own.high));
        let zero = vdupq_n_s32(step.other_zero);
        let other = integers(other);
        four(|n| {
            let own = vrndnq_f32(vminnmq_f32(vmaxnmq_f32(x[n], low), high));
            let other = vmulq_n_f32(vcvtq_f32_s32(vsubq_s32(other[n], zero)), step.other_scale);
            let sum = vaddq_f32(vmulq_n_f32(own, step.scale), other);
            if step.divide == 0 {
                vmulq_n_f32(sum, step.factor)
            } else {
                vdivq_f32(sum, vdupq_n_f32(step.factor))
            }
        })
    }
}

/// Bytes as integers.
#[inline(always)]
pub(super) fn integers(bytes: uint8x16_t) -> [int32x4_t; 4] {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
        [
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))),
            vreinterpretq_s32_u32(vmovl_high_u16(low)),
            vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
            vreinterpretq_s32_u32(vmovl_high_u16(high)),
        ]
    }
}

/// Scales the integer sums of 16 channels to `f32`.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_scaled<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    // SAFETY: as for this function.
    unsafe {
        let scale = table(job.operands.scale, channels.table);
        for_each_pixel!(p < P, {
            store_limited(job, places, channels, p, scaled(sums[p], scale));
        });
    }
}

/// Limits the sums of 16 channels, a second tensor added where there is one.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_f32<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    // SAFETY: as for this function.
    unsafe {
        for_each_pixel!(p < P, {
            let y = four(|n| vreinterpretq_f32_s32(sums[p][n]));
            store_sum(job, places, channels, p, y);
        });
    }
}

/// Scales the integer sums of 16 channels by the scales of channels and pixels, and limits them.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_rows<const P: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    let operands = job.operands;
    // SAFETY: as for this function; there is a scale for each pixel.
    unsafe {
        let scale = table(operands.scale, channels.table);
        let offset = if operands.offset.is_empty() {
            [vdupq_n_f32(-0.0); 4]
        } else {
            table(operands.offset, channels.table)
        };
        for_each_pixel!(p < P, {
            let row = operands.input.as_ptr().add(places.scales + p * 4);
            let row = row.cast::<f32>().read_unaligned();
            let y = scaled(sums[p], four(|n| vmulq_n_f32(scale[n], row)));
            store_sum(job, places, channels, p, four(|n| vaddq_f32(y[n], offset[n])));
        });
    }
}

/// Limits and stores 16 channels of a pixel, a second tensor added where there is one.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
unsafe fn store_sum(job: &Job<'_>, places: &Places, channels: &Channels, p: usize, mut y: [float32x4_t; 4]) {
    // SAFETY: as for this function; no more channels are read than there are.
    unsafe {
        if !job.step.residual.other.is_empty() {
            let other = job
                .operands
                .other
                .as_ptr()
                .add(places.other[p] + channels.first * 4);
            let other = load_floats(other.cast(), channels.count);
            y = four(|n| vaddq_f32(y[n], other[n]));
        }
        store_limited(job, places, channels, p, y);
    }
}

/// Limits and stores 16 channels of a pixel.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
unsafe fn store_limited(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    p: usize,
    mut y: [float32x4_t; 4],
) {
    let Epilogue { low, high, .. } = job.step.epilogue;
    // SAFETY: as for this function; no more channels are written than there are.
    unsafe {
        if low != f32::NEG_INFINITY || high != f32::INFINITY {
            let (low, high) = (vdupq_n_f32(low), vdupq_n_f32(high));
            y = four(|n| vminnmq_f32(vmaxnmq_f32(y[n], low), high));
        }
        let to = job.output.add(places.output[p] + channels.first * 4);
        store_floats(to.cast(), y, channels.count);
    }
}
