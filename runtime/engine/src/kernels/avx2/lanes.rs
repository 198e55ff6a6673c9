//! 16 elements in registers of 256 bits.

use core::arch::x86_64::*;

use super::partial::{some_bytes, store_some, store_some_bytes};
use crate::kernels::sixteen::{Lanes, Work};

/// Says that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The processor has the instructions, and the operating system lets them be used.
    #[inline(always)]
    pub unsafe fn new() -> Self {
        Self(())
    }
}

/// Zero point, and least and greatest byte.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    zero: __m256i,
    low: __m128i,
    high: __m128i,
}

/// From place `16 - n` on, `n` elements of all bits and others of none.
static PRESENT: [i32; 32] = {
    let mut present = [0; 32];
    let mut n = 0;
    while n < 16 {
        present[n] = -1;
        n += 1;
    }
    present
};

/// What is more than any byte plus any zero point, and fits `i32`.
pub(super) const BEYOND: f32 = 65536.0;

/// An instruction on both registers.
macro_rules! both {
    ($do:ident, $x:expr) => {{
        let x = $x;
        // SAFETY: a value of this type says that the processor has the instruction.
        unsafe { [$do(x[0]), $do(x[1])] }
    }};
    ($do:ident, $x:expr, $y:expr) => {{
        let (x, y) = ($x, $y);
        // SAFETY: as above.
        unsafe { [$do(x[0], y[0]), $do(x[1], y[1])] }
    }};
    ($do:ident, $x:expr, $y:expr, $z:expr) => {{
        let (x, y, z) = ($x, $y, $z);
        // SAFETY: as above.
        unsafe { [$do(x[0], y[0], z[0]), $do(x[1], y[1], z[1])] }
    }};
}

impl Lanes for Avx2 {
    type Bytes = __m128i;
    type Integers = [__m256i; 2];
    type Reals = [__m256; 2];
    type Doubles = [__m256d; 4];
    type Limits = Limits;

    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx2,fma")]
        fn entered<W: Work>(work: W) -> W::Output {
            work.run()
        }
        // SAFETY: a value of this type says that the processor has the instructions.
        unsafe { entered(work) }
    }

    #[inline(always)]
    unsafe fn load_bytes(self, from: *const u8, count: usize) -> __m128i {
        // SAFETY: as for this function, and a value of this type says that the processor has the instructions.
        unsafe {
            if count >= 16 {
                _mm_loadu_si128(from.cast())
            } else {
                let [low, high] = some_bytes(from, count);
                _mm_set_epi64x(high.cast_signed(), low.cast_signed())
            }
        }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, bytes: __m128i, count: usize) {
        // SAFETY: as above.
        unsafe {
            if count >= 16 {
                _mm_storeu_si128(to.cast(), bytes);
            } else {
                let low = _mm_cvtsi128_si64(bytes).cast_unsigned();
                let high = _mm_extract_epi64::<1>(bytes).cast_unsigned();
                store_some_bytes(to, [low, high], count);
            }
        }
    }

    #[inline(always)]
    unsafe fn store_last_bytes(self, to: *mut u8, bytes: __m128i) {
        // SAFETY: as above.
        unsafe { _mm_storel_epi64(to.add(8).cast(), _mm_unpackhi_epi64(bytes, bytes)) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32, count: usize) -> [__m256; 2] {
        // SAFETY: as above; no more elements are read than there are.
        unsafe {
            if count >= 16 {
                return [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))];
            }
            let mask = PRESENT.as_ptr().add(16 - count);
            [
                _mm256_maskload_ps(from, _mm256_loadu_si256(mask.cast())),
                _mm256_maskload_ps(from.wrapping_add(8), _mm256_loadu_si256(mask.add(8).cast())),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, x: [__m256; 2], count: usize) {
        // SAFETY: as above; each part lies inside the first `count` elements.
        unsafe {
            if count >= 16 {
                _mm256_storeu_ps(to, x[0]);
                _mm256_storeu_ps(to.add(8), x[1]);
                return;
            }
            store_some(to, x, count);
        }
    }

    #[inline(always)]
    unsafe fn store_last(self, to: *mut f32, x: [__m256; 2]) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(to.add(8), x[1]) }
    }

    #[inline(always)]
    fn byte(self, x: u8) -> __m128i {
        // SAFETY: a value of this type says that the processor has the instructions.
        unsafe { _mm_set1_epi8(x.cast_signed()) }
    }

    #[inline(always)]
    fn max_bytes(self, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: as above.
        unsafe { _mm_max_epu8(a, b) }
    }

    #[inline(always)]
    fn widened(self, x: __m128i) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_cvtepu8_epi32(x),
                _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(x, x)),
            ]
        }
    }

    #[inline(always)]
    fn integer(self, x: i32) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_set1_epi32(x); 2] }
    }

    #[inline(always)]
    fn sub_integers(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        both!(_mm256_sub_epi32, a, b)
    }

    #[inline(always)]
    fn to_reals(self, x: [__m256i; 2]) -> [__m256; 2] {
        both!(_mm256_cvtepi32_ps, x)
    }

    #[inline(always)]
    fn bits(self, x: [__m256; 2]) -> [__m256i; 2] {
        both!(_mm256_castps_si256, x)
    }

    #[inline(always)]
    fn of_bits(self, x: [__m256i; 2]) -> [__m256; 2] {
        both!(_mm256_castsi256_ps, x)
    }

    #[inline(always)]
    fn real(self, x: f32) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_add_ps, a, b)
    }

    #[inline(always)]
    fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_sub_ps, a, b)
    }

    #[inline(always)]
    fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_mul_ps, a, b)
    }

    #[inline(always)]
    fn div(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_div_ps, a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_fmadd_ps, a, b, c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_fnmadd_ps, a, b, c)
    }

    // The instructions give their second operand where one is no number.
    #[inline(always)]
    fn max(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_max_ps, a, b)
    }

    #[inline(always)]
    fn min(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_min_ps, a, b)
    }

    #[inline(always)]
    fn within(self, x: [__m256; 2], low: [__m256; 2], high: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_min_ps, high, both!(_mm256_max_ps, low, x))
    }

    #[inline(always)]
    fn or_zero(self, x: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        let is_number = unsafe {
            [
                _mm256_cmp_ps::<_CMP_ORD_Q>(x[0], x[0]),
                _mm256_cmp_ps::<_CMP_ORD_Q>(x[1], x[1]),
            ]
        };
        both!(_mm256_and_ps, x, is_number)
    }

    #[inline(always)]
    fn round(self, x: [__m256; 2]) -> [__m256; 2] {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: as above.
        unsafe { [_mm256_round_ps::<NEAREST>(x[0]), _mm256_round_ps::<NEAREST>(x[1])] }
    }

    #[inline(always)]
    fn abs(self, x: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_andnot_ps, self.real(-0.0), x)
    }

    #[inline(always)]
    fn where_less(self, a: [__m256; 2], b: [__m256; 2], x: [__m256; 2], y: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        let less = unsafe {
            [
                _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0]),
                _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1]),
            ]
        };
        both!(_mm256_blendv_ps, y, x, less)
    }

    #[inline(always)]
    fn times_power(self, x: [__m256; 2], n: [__m256; 2]) -> [__m256; 2] {
        // Two powers of two, since one alone may be beyond the exponents of f32.
        // SAFETY: as above.
        let [half, rest] = unsafe {
            let n = [_mm256_cvtps_epi32(n[0]), _mm256_cvtps_epi32(n[1])];
            let half = [_mm256_srai_epi32::<1>(n[0]), _mm256_srai_epi32::<1>(n[1])];
            [
                half,
                [_mm256_sub_epi32(n[0], half[0]), _mm256_sub_epi32(n[1], half[1])],
            ]
        };
        self.mul(self.mul(x, power(half)), power(rest))
    }

    #[inline(always)]
    fn all_at_most(self, x: [__m256; 2], bound: f32) -> bool {
        // SAFETY: as above.
        unsafe {
            let bound = _mm256_set1_ps(bound);
            let low = _mm256_cmp_ps::<_CMP_LE_OQ>(x[0], bound);
            let high = _mm256_cmp_ps::<_CMP_LE_OQ>(x[1], bound);
            _mm256_movemask_ps(_mm256_and_ps(low, high)) == 0xff
        }
    }

    #[inline(always)]
    fn greatest(self, x: [__m256; 2]) -> f32 {
        // SAFETY: as above.
        unsafe {
            let x = _mm256_max_ps(x[0], x[1]);
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        }
    }

    #[inline(always)]
    fn sum(self, x: [__m256; 2]) -> f32 {
        // SAFETY: as above.
        unsafe {
            let x = _mm256_add_ps(x[0], x[1]);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        }
    }

    #[inline(always)]
    fn wide_sum(self, x: [__m256; 2]) -> f64 {
        let [a, b, c, d] = self.add_wide(self.zeros(), x);
        // SAFETY: as above.
        unsafe {
            let x = _mm256_add_pd(_mm256_add_pd(a, b), _mm256_add_pd(c, d));
            let x = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
            _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)))
        }
    }

    #[inline(always)]
    fn zeros(self) -> [__m256d; 4] {
        // SAFETY: as above.
        unsafe { [_mm256_setzero_pd(); 4] }
    }

    #[inline(always)]
    fn add_wide(self, sums: [__m256d; 4], x: [__m256; 2]) -> [__m256d; 4] {
        // SAFETY: as above.
        unsafe {
            let low = |x: __m256| _mm256_cvtps_pd(_mm256_castps256_ps128(x));
            let high = |x: __m256| _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x));
            [
                _mm256_add_pd(sums[0], low(x[0])),
                _mm256_add_pd(sums[1], high(x[0])),
                _mm256_add_pd(sums[2], low(x[1])),
                _mm256_add_pd(sums[3], high(x[1])),
            ]
        }
    }

    #[inline(always)]
    fn over(self, sums: [__m256d; 4], count: f64) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            let count = _mm256_set1_pd(count);
            let low = _mm256_cvtpd_ps(_mm256_div_pd(sums[0], count));
            let high = _mm256_cvtpd_ps(_mm256_div_pd(sums[1], count));
            let last = _mm256_cvtpd_ps(_mm256_div_pd(sums[2], count));
            let end = _mm256_cvtpd_ps(_mm256_div_pd(sums[3], count));
            [_mm256_set_m128(high, low), _mm256_set_m128(end, last)]
        }
    }

    #[inline(always)]
    fn limits(self, zero: u8, low: u8, high: u8) -> Limits {
        // SAFETY: as above.
        unsafe {
            Limits {
                zero: _mm256_set1_epi16(zero.into()),
                low: _mm_set1_epi8(low.cast_signed()),
                high: _mm_set1_epi8(high.cast_signed()),
            }
        }
    }

    #[inline(always)]
    fn to_bytes(self, x: [__m256; 2], limits: Limits) -> __m128i {
        // Numbers too large would become the least integer; those too small become it as well.
        let x = self.min(x, self.real(BEYOND));
        let bytes = self.packed(self.nearest(x), limits);
        // SAFETY: as above.
        unsafe { _mm_shuffle_epi32::<0b11_01_10_00>(bytes) }
    }
}

impl Avx2 {
    /// The nearest integers, ties to even.
    #[inline(always)]
    pub fn nearest(self, x: [__m256; 2]) -> [__m256i; 2] {
        both!(_mm256_cvtps_epi32, x)
    }

    /// Integers plus the zero point as bytes, limited; each narrowing saturates, beyond the limits.
    ///
    /// Elements 0 to 3 and 8 to 11 lie in the first register, the others in the second.
    #[inline(always)]
    pub fn packed(self, q: [__m256i; 2], limits: Limits) -> __m128i {
        // SAFETY: a value of this type says that the processor has the instructions.
        unsafe {
            let words = _mm256_adds_epi16(_mm256_packs_epi32(q[0], q[1]), limits.zero);
            let high = _mm256_extracti128_si256::<1>(words);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), high);
            _mm_min_epu8(_mm_max_epu8(bytes, limits.low), limits.high)
        }
    }
}

/// Powers of two.
#[inline(always)]
fn power(n: [__m256i; 2]) -> [__m256; 2] {
    // SAFETY: only called for a value that says that the processor has the instructions.
    unsafe {
        let bias = _mm256_set1_epi32(127);
        [
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n[0], bias))),
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n[1], bias))),
        ]
    }
}
