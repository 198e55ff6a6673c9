//! A second tensor that is added to requantized sums.

use core::arch::x86_64::*;

use super::lanes::{LEAST_SCALE, NEAR_TIE, load_bytes, mask};
use crate::step::{Conv, Epilogue};

/// Limits in registers.
#[derive(Clone, Copy)]
struct Limits {
    low: __m512,
    high: __m512,
}

impl Limits {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    fn new(epilogue: &Epilogue) -> Self {
        Self {
            low: _mm512_set1_ps(epilogue.low),
            high: _mm512_set1_ps(epilogue.high),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    fn of(self, x: __m512) -> __m512 {
        _mm512_min_ps(_mm512_max_ps(x, self.low), self.high)
    }
}

/// What is done to scaled sums before they are bytes: limits, and a second tensor that is added, in registers.
#[derive(Clone, Copy)]
pub(super) struct Added {
    own_limits: Limits,
    /// The second tensor; null without one.
    from: *const u8,
    zero: __m512i,
    own_scale: __m512,
    other_scale: __m512,
    factor: __m512,
    /// Of a factor that divides.
    reciprocal: __m512,
    divides: bool,
    /// Whether the product with the reciprocal may be far from the quotient.
    exact: bool,
    limits: Limits,
}

impl Added {
    /// Of a step and the first byte of its second tensor.
    ///
    /// # Safety
    /// The processor has the instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub unsafe fn new(step: &Conv, other: &[u8]) -> Self {
        let residual = &step.residual;
        let limits = [residual.epilogue.low, residual.epilogue.high];
        Self {
            own_limits: Limits::new(&step.epilogue),
            from: if residual.other.is_empty() {
                core::ptr::null()
            } else {
                other.as_ptr()
            },
            zero: _mm512_set1_epi32(residual.other_zero),
            own_scale: _mm512_set1_ps(residual.scale),
            other_scale: _mm512_set1_ps(residual.other_scale),
            factor: _mm512_set1_ps(residual.factor),
            reciprocal: _mm512_set1_ps(1.0 / residual.factor),
            divides: residual.divide != 0,
            exact: residual.factor.abs() < LEAST_SCALE || limits.iter().any(|limit| limit.abs() > 255.0),
            limits: Limits::new(&residual.epilogue),
        }
    }

    /// The integers of 16 sums without zero point, the second tensor added where there is one.
    ///
    /// # Safety
    /// The processor has the instructions; `count` channels of the second tensor at `other` lie in it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub unsafe fn rounded(&self, other: usize, count: usize, sum: __m512i, scale: __m512) -> __m512i {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        let q = self.own_limits.of(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale));
        if self.from.is_null() {
            return _mm512_cvtps_epi32(q);
        }
        // SAFETY: as for this function.
        let other = unsafe { _mm512_cvtepu8_epi32(load_bytes(self.from.add(other), mask(count))) };
        let other = _mm512_cvtepi32_ps(_mm512_sub_epi32(other, self.zero));
        let other = _mm512_mul_ps(other, self.other_scale);
        let own = _mm512_mul_ps(_mm512_roundscale_ps::<NEAREST>(q), self.own_scale);
        let sum = _mm512_add_ps(own, other);
        if !self.divides {
            return _mm512_cvtps_epi32(self.limits.of(_mm512_mul_ps(sum, self.factor)));
        }
        let product = self.limits.of(_mm512_mul_ps(sum, self.reciprocal));
        let distance = _mm512_abs_ps(_mm512_sub_ps(product, _mm512_roundscale_ps::<NEAREST>(product)));
        let near = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(distance, _mm512_set1_ps(NEAR_TIE));
        if near != 0 || self.exact {
            return _mm512_cvtps_epi32(self.limits.of(_mm512_div_ps(sum, self.factor)));
        }
        _mm512_cvtps_epi32(product)
    }
}
