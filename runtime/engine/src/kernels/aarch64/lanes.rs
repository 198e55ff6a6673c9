//! 16 elements in registers of 128 bits.

use core::arch::aarch64::*;

use super::partial::{load_bytes, load_floats, store_bytes, store_floats};
use crate::kernels::sixteen::{Lanes, Work};

/// Advanced SIMD, which every 64-bit Arm processor has.
#[derive(Clone, Copy)]
pub(super) struct Simd;

/// Zero point and limits of bytes.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    zero: int16x8_t,
    low: uint8x16_t,
    high: uint8x16_t,
}

/// Four results of a function of their number.
///
/// Unlike [`core::array::from_fn`] and `map` it is always inlined, so that registers stay registers.
#[inline(always)]
pub(super) fn four<T>(make: impl Fn(usize) -> T) -> [T; 4] {
    [make(0), make(1), make(2), make(3)]
}

/// An instruction on all four registers.
macro_rules! all {
    ($do:ident, $($x:expr),+) => {
        all!(@ $do, [$($x),+])
    };
    (@ $do:ident, [$x:expr]) => {{
        let x = $x;
        // SAFETY: every 64-bit Arm processor has the instruction.
        four(|n| unsafe { $do(x[n]) })
    }};
    (@ $do:ident, [$x:expr, $y:expr]) => {{
        let (x, y) = ($x, $y);
        // SAFETY: as above.
        four(|n| unsafe { $do(x[n], y[n]) })
    }};
    (@ $do:ident, [$x:expr, $y:expr, $z:expr]) => {{
        let (x, y, z) = ($x, $y, $z);
        // SAFETY: as above.
        four(|n| unsafe { $do(x[n], y[n], z[n]) })
    }};
}

/// One register of four.
macro_rules! fold {
    ($do:ident, $x:expr) => {{
        let x = $x;
        // SAFETY: every 64-bit Arm processor has the instruction.
        unsafe { $do($do(x[0], x[1]), $do(x[2], x[3])) }
    }};
}

impl Lanes for Simd {
    type Bytes = uint8x16_t;
    type Integers = [int32x4_t; 4];
    type Reals = [float32x4_t; 4];
    type Doubles = [[float64x2_t; 2]; 4];
    type Limits = Limits;

    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Output {
        #[inline(never)]
        fn entered<W: Work>(work: W) -> W::Output {
            work.run()
        }
        entered(work)
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8, count: usize) -> uint8x16_t {
        // SAFETY: as for this function.
        unsafe { load_bytes(from, count) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, bytes: uint8x16_t, count: usize) {
        // SAFETY: as for this function.
        unsafe { store_bytes(to, bytes, count) }
    }

    #[inline(always)]
    unsafe fn store_last_bytes(self, to: *mut u8, bytes: uint8x16_t) {
        // SAFETY: as for this function.
        unsafe { vst1_u8(to.add(8), vget_high_u8(bytes)) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32, count: usize) -> [float32x4_t; 4] {
        // SAFETY: as for this function.
        unsafe { load_floats(from, count) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: [float32x4_t; 4], count: usize) {
        // SAFETY: as for this function.
        unsafe { store_floats(to, x, count) }
    }

    #[inline(always)]
    unsafe fn store_last(self, to: *mut f32, x: [float32x4_t; 4]) {
        // SAFETY: as for this function.
        unsafe {
            vst1q_f32(to.add(8), x[2]);
            vst1q_f32(to.add(12), x[3]);
        }
    }

    #[inline(always)]
    fn byte(self, x: u8) -> uint8x16_t {
        // SAFETY: every 64-bit Arm processor has the instruction.
        unsafe { vdupq_n_u8(x) }
    }

    #[inline(always)]
    fn max_bytes(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        // SAFETY: as above.
        unsafe { vmaxq_u8(a, b) }
    }

    #[inline(always)]
    fn widened(self, x: uint8x16_t) -> [int32x4_t; 4] {
        // SAFETY: as above.
        unsafe {
            let (low, high) = (vmovl_u8(vget_low_u8(x)), vmovl_high_u8(x));
            [
                vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))),
                vreinterpretq_s32_u32(vmovl_high_u16(low)),
                vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))),
                vreinterpretq_s32_u32(vmovl_high_u16(high)),
            ]
        }
    }

    #[inline(always)]
    fn integer(self, x: i32) -> [int32x4_t; 4] {
        // SAFETY: as above.
        unsafe { [vdupq_n_s32(x); 4] }
    }

    #[inline(always)]
    fn sub_integers(self, a: [int32x4_t; 4], b: [int32x4_t; 4]) -> [int32x4_t; 4] {
        all!(vsubq_s32, a, b)
    }

    #[inline(always)]
    fn to_reals(self, x: [int32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vcvtq_f32_s32, x)
    }

    #[inline(always)]
    fn bits(self, x: [float32x4_t; 4]) -> [int32x4_t; 4] {
        all!(vreinterpretq_s32_f32, x)
    }

    #[inline(always)]
    fn of_bits(self, x: [int32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vreinterpretq_f32_s32, x)
    }

    #[inline(always)]
    fn real(self, x: f32) -> [float32x4_t; 4] {
        // SAFETY: as above.
        unsafe { [vdupq_n_f32(x); 4] }
    }

    #[inline(always)]
    fn add(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vaddq_f32, a, b)
    }

    #[inline(always)]
    fn sub(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vsubq_f32, a, b)
    }

    #[inline(always)]
    fn mul(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vmulq_f32, a, b)
    }

    #[inline(always)]
    fn div(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vdivq_f32, a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: [float32x4_t; 4], b: [float32x4_t; 4], c: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vfmaq_f32, c, a, b)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: [float32x4_t; 4], b: [float32x4_t; 4], c: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vfmsq_f32, c, a, b)
    }

    #[inline(always)]
    fn max(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vmaxnmq_f32, a, b)
    }

    #[inline(always)]
    fn min(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vminnmq_f32, a, b)
    }

    #[inline(always)]
    fn within(self, x: [float32x4_t; 4], low: [float32x4_t; 4], high: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vminq_f32, all!(vmaxq_f32, x, low), high)
    }

    // What is no number becomes the integer 0 anyway.
    #[inline(always)]
    fn or_zero(self, x: [float32x4_t; 4]) -> [float32x4_t; 4] {
        x
    }

    #[inline(always)]
    fn round(self, x: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vrndnq_f32, x)
    }

    #[inline(always)]
    fn abs(self, x: [float32x4_t; 4]) -> [float32x4_t; 4] {
        all!(vabsq_f32, x)
    }

    #[inline(always)]
    fn where_less(
        self,
        a: [float32x4_t; 4],
        b: [float32x4_t; 4],
        x: [float32x4_t; 4],
        y: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        all!(vbslq_f32, all!(vcltq_f32, a, b), x, y)
    }

    #[inline(always)]
    fn times_power(self, x: [float32x4_t; 4], n: [float32x4_t; 4]) -> [float32x4_t; 4] {
        // Two powers of two, since one alone may be beyond the exponents of f32.
        four(|q| {
            // SAFETY: every 64-bit Arm processor has the instructions.
            unsafe {
                let n = vcvtq_s32_f32(n[q]);
                let half = vshrq_n_s32::<1>(n);
                let power =
                    |n: int32x4_t| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127))));
                vmulq_f32(vmulq_f32(x[q], power(half)), power(vsubq_s32(n, half)))
            }
        })
    }

    #[inline(always)]
    fn all_at_most(self, x: [float32x4_t; 4], bound: f32) -> bool {
        // What is no number stays so, and is not at most anything.
        let x = fold!(vmaxq_f32, x);
        // SAFETY: as above.
        unsafe { vmaxvq_f32(x) <= bound }
    }

    #[inline(always)]
    fn greatest(self, x: [float32x4_t; 4]) -> f32 {
        let x = fold!(vmaxnmq_f32, x);
        // SAFETY: as above.
        unsafe { vmaxnmvq_f32(x) }
    }

    #[inline(always)]
    fn sum(self, x: [float32x4_t; 4]) -> f32 {
        let x = fold!(vaddq_f32, x);
        // SAFETY: as above.
        unsafe { vaddvq_f32(x) }
    }

    #[inline(always)]
    fn wide_sum(self, x: [float32x4_t; 4]) -> f64 {
        let x = fold!(vaddq_f32, x);
        // SAFETY: as above.
        unsafe { vaddvq_f64(vaddq_f64(vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x))) }
    }

    #[inline(always)]
    fn zeros(self) -> [[float64x2_t; 2]; 4] {
        // SAFETY: as above.
        unsafe { [[vdupq_n_f64(0.0); 2]; 4] }
    }

    #[inline(always)]
    fn add_wide(self, sums: [[float64x2_t; 2]; 4], x: [float32x4_t; 4]) -> [[float64x2_t; 2]; 4] {
        // SAFETY: as above.
        four(|n| unsafe {
            [
                vaddq_f64(sums[n][0], vcvt_f64_f32(vget_low_f32(x[n]))),
                vaddq_f64(sums[n][1], vcvt_high_f64_f32(x[n])),
            ]
        })
    }

    #[inline(always)]
    fn over(self, sums: [[float64x2_t; 2]; 4], count: f64) -> [float32x4_t; 4] {
        // SAFETY: as above.
        four(|n| unsafe {
            let count = vdupq_n_f64(count);
            let low = vcvt_f32_f64(vdivq_f64(sums[n][0], count));
            vcvt_high_f32_f64(low, vdivq_f64(sums[n][1], count))
        })
    }

    #[inline(always)]
    fn limits(self, zero: u8, low: u8, high: u8) -> Limits {
        // SAFETY: as above.
        unsafe {
            Limits {
                zero: vdupq_n_s16(zero.into()),
                low: vdupq_n_u8(low),
                high: vdupq_n_u8(high),
            }
        }
    }

    #[inline(always)]
    fn to_bytes(self, x: [float32x4_t; 4], limits: Limits) -> uint8x16_t {
        let [a, b, c, d] = all!(vcvtnq_s32_f32, x);
        // SAFETY: as above.
        unsafe {
            // Each narrowing saturates, beyond the limits.
            let low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), limits.zero);
            let high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), limits.zero);
            let bytes = vqmovun_high_s16(vqmovun_s16(low), high);
            vminq_u8(vmaxq_u8(bytes, limits.low), limits.high)
        }
    }
}
