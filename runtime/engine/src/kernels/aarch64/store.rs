//! Stores of sums: requantized, scaled or limited.

use core::arch::aarch64::*;

use super::conv::{Job, Places};
use super::lanes::{four, load_bytes, load_floats, store_bytes, store_floats};
use super::products::Sums;
use crate::kernels::scalar::round;
use crate::step::{Conv, Epilogue};

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
#[derive(Clone, Copy)]
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
        // Those of other arithmetic, which are not used, may be anything.
        let limit = |x: f32| (round(x) as i32).wrapping_add(epilogue.zero_point) as u8;
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
pub(super) unsafe fn store_u8<const P: usize, const FROM: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    let (operands, limits) = (job.operands, job.limits);
    // SAFETY: as for this function.
    unsafe {
        let scale = table(operands.scale, channels.table);
        if operands.other.is_empty() {
            for_each_pixel!(p < P, {
                let bytes = limits.bytes(scaled(sums[p], scale));
                store_from::<FROM>(
                    job.output.add(places.output[p] + channels.first),
                    bytes,
                    channels.count,
                );
            });
            return;
        }
        let add = Addition::new(job.step);
        for_each_pixel!(p < P, {
            let other = operands.other.as_ptr().add(places.other[p] + channels.first);
            let sum = add.sum(scaled(sums[p], scale), load_bytes(other, channels.count));
            store_from::<FROM>(
                job.output.add(places.output[p] + channels.first),
                limits.bytes(sum),
                channels.count,
            );
        });
    }
}

/// Sums times the scales of their channels.
#[inline(always)]
pub(super) fn scaled(sums: Sums, scale: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: every 64-bit Arm processor has the instructions.
    four(|n| unsafe { vmulq_f32(vcvtq_f32_s32(sums[n]), scale[n]) })
}

/// How a second tensor is added, as a step says.
struct Addition {
    low: float32x4_t,
    high: float32x4_t,
    scale: f32,
    other_zero: uint8x8_t,
    other_scale: f32,
    factor: f32,
    divide: bool,
}

impl Addition {
    #[inline(always)]
    fn new(step: &Conv) -> Self {
        let residual = &step.residual;
        // SAFETY: every 64-bit Arm processor has the instructions.
        unsafe {
            Self {
                low: vdupq_n_f32(step.epilogue.low),
                high: vdupq_n_f32(step.epilogue.high),
                scale: residual.scale,
                other_zero: vdup_n_u8(residual.other_zero as u8),
                other_scale: residual.other_scale,
                factor: residual.factor,
                divide: residual.divide != 0,
            }
        }
    }

    /// The sum over the scale of the output.
    #[inline(always)]
    fn sum(&self, own: [float32x4_t; 4], other: uint8x16_t) -> [float32x4_t; 4] {
        // SAFETY: every 64-bit Arm processor has the instructions.
        unsafe {
            let zero = vcombine_u8(self.other_zero, self.other_zero);
            let low = vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(other), self.other_zero));
            let high = vreinterpretq_s16_u16(vsubl_high_u8(other, zero));
            let other = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            let sum = four(|n| {
                let own = vrndnq_f32(vminnmq_f32(vmaxnmq_f32(own[n], self.low), self.high));
                let other = vmulq_n_f32(vcvtq_f32_s32(other[n]), self.other_scale);
                vaddq_f32(vmulq_n_f32(own, self.scale), other)
            });
            if self.divide {
                four(|n| vdivq_f32(sum[n], vdupq_n_f32(self.factor)))
            } else {
                four(|n| vmulq_n_f32(sum[n], self.factor))
            }
        }
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

/// Scales the integer sums of 16 channels to `f32`, a second tensor added where there is one.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_scaled<const P: usize, const FROM: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    // SAFETY: as for this function.
    unsafe {
        let scale = table(job.operands.scale, channels.table);
        for_each_pixel!(p < P, {
            store_sum::<FROM>(job, places, channels, p, scaled(sums[p], scale));
        });
    }
}

/// Limits the sums of 16 channels, a second tensor added where there is one.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_f32<const P: usize, const FROM: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    sums: [Sums; P],
) {
    // SAFETY: as for this function.
    unsafe {
        for_each_pixel!(p < P, {
            let y = four(|n| vreinterpretq_f32_s32(sums[p][n]));
            store_sum::<FROM>(job, places, channels, p, y);
        });
    }
}

/// Scales the integer sums of 16 channels by the scales of channels and pixels, and limits them.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
pub(super) unsafe fn store_rows<const P: usize, const FROM: usize>(
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
            store_sum::<FROM>(job, places, channels, p, four(|n| vaddq_f32(y[n], offset[n])));
        });
    }
}

/// Limits and stores 16 channels of a pixel, a second tensor added where there is one.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
unsafe fn store_sum<const FROM: usize>(
    job: &Job<'_>,
    places: &Places,
    channels: &Channels,
    p: usize,
    mut y: [float32x4_t; 4],
) {
    // SAFETY: as for this function; no more channels are read than there are.
    unsafe {
        if !job.operands.other.is_empty() {
            let other = job
                .operands
                .other
                .as_ptr()
                .add(places.other[p] + channels.first * 4);
            let other = load_floats(other.cast(), channels.count);
            y = four(|n| vaddq_f32(y[n], other[n]));
        }
        store_limited::<FROM>(job, places, channels, p, y);
    }
}

/// Limits and stores 16 channels of a pixel.
///
/// # Safety
/// As `Job::tile`.
#[inline(always)]
unsafe fn store_limited<const FROM: usize>(
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
        if FROM == 2 {
            let to = to.add(32).cast();
            vst1q_f32(to, y[2]);
            vst1q_f32(to.add(4), y[3]);
        } else {
            store_floats(to.cast(), y, channels.count);
        }
    }
}

/// Stores the first `count` of 16 bytes, or all of them without the first half.
///
/// # Safety
/// As many bytes may be written.
#[inline(always)]
unsafe fn store_from<const FROM: usize>(to: *mut u8, bytes: uint8x16_t, count: usize) {
    // SAFETY: as for this function.
    unsafe {
        if FROM == 2 {
            vst1_u8(to.add(8), vget_high_u8(bytes));
        } else {
            store_bytes(to, bytes, count);
        }
    }
}
