//! GELU by table: the normal distribution in 32 pieces.

use core::arch::x86_64::*;

/// Pieces for each unit of the argument.
const PIECES: f32 = 6.0;
/// Above the middle of the last piece the distribution is 1 within 1e-7.
const LAST: f32 = 31.49;
/// Added to a number below 2^22, leaves its nearest integer in the lowest bits.
const SHIFT: f32 = 12_582_912.0;

/// Factors of the powers, from the lowest: piece `n` is the integral of the normal density from 0 to
/// `(n + f) / PIECES` for `f` from -1/2 to 1/2, within 2e-7; fitted at the nodes of Chebyshev.
#[rustfmt::skip]
const FACTORS: [[f32; 32]; 4] = [
    [
        0.0, 0.06618378, 0.13055857, 0.19146234,
        0.24750732, 0.2976715, 0.34134462, 0.3783274,
        0.4087887, 0.43319276, 0.45220965, 0.4666235,
        0.4772499, 0.4848699, 0.4901847, 0.49379036,
        0.49616966, 0.49769676, 0.49865013, 0.49922904,
        0.49957094, 0.4997674, 0.49987713, 0.4999368,
        0.49996832, 0.49998453, 0.49999267, 0.4999966,
        0.49999848, 0.4999993, 0.4999997, 0.49999988,
    ],
    [
        0.06649035, 0.06557326, 0.06289718, 0.058677543,
        0.05324133, 0.046985317, 0.040328465, 0.03366646,
        0.027335027, 0.02158628, 0.016579535, 0.0123852035,
        0.0089985, 0.006358773, 0.004370315, 0.0029213817,
        0.0018993284, 0.0012010137, 0.0007386386, 0.0004418269,
        0.00025704456, 0.00014544567, 8.004407e-05, 4.2844356e-05,
        2.230458e-05, 1.129355e-05, 5.56164e-06, 2.663859e-06,
        1.2409535e-06, 5.62258e-07, 2.4777165e-07, 1.0619485e-07,
    ],
    [
        -4.9326497e-17, -0.00090917526, -0.0017442267, -0.0024410111,
        -0.0029534814, -0.003258519, -0.0033568174, -0.0032700237,
        -0.0030350755, -0.0026971113, -0.002302414, -0.0018925761,
        -0.0015006153, -0.0011492358, -0.00085098454, -0.0006097656,
        -0.00042307744, -0.0002843984, -0.00018530167, -0.00011706826,
        -7.17372e-05, -4.2649386e-05, -2.4606248e-05, -1.3779386e-05,
        -7.491051e-06, -3.9541314e-06, -2.0268153e-06, -1.0089842e-06,
        -4.87875e-07, -2.2915458e-07, -1.0456393e-07, -4.635563e-08,
    ],
    [
        -0.00030742536, -0.00029477413, -0.00025854, -0.00020355737,
        -0.00013688076, -6.653031e-05, -1.6184609e-07, 5.6059984e-05,
        9.8181255e-05, 0.00012468483, 0.00013625882, 0.00013523737,
        0.00012488864, 0.00010871979, 8.992387e-05, 7.1032555e-05,
        5.377776e-05, 3.912277e-05, 2.7401591e-05, 1.8504887e-05,
        1.2063409e-05, 7.59863e-06, 4.6282416e-06, 2.7276517e-06,
        1.556274e-06, 8.600116e-07, 4.604814e-07, 2.3897636e-07,
        1.2024289e-07, 5.8672732e-08, 2.7770476e-08, 1.2752258e-08,
    ],
];

/// The table in registers.
#[derive(Clone, Copy)]
pub(super) struct Gelu {
    factors: [[__m512; 2]; 4],
}

impl Gelu {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub(super) fn new() -> Self {
        let mut factors = [[_mm512_setzero_ps(); 2]; 4];
        for (to, from) in factors.iter_mut().zip(&FACTORS) {
            for (to, from) in to.iter_mut().zip(from.as_chunks::<16>().0) {
                // SAFETY: a chunk has 16 numbers.
                *to = unsafe { _mm512_loadu_ps(from.as_ptr()) };
            }
        }
        Self { factors }
    }

    /// `x / 2 * (1 + erf(x / sqrt 2))`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub(super) fn apply(&self, x: __m512) -> __m512 {
        let size = _mm512_abs_ps(x);
        let place = _mm512_min_ps(_mm512_mul_ps(size, _mm512_set1_ps(PIECES)), _mm512_set1_ps(LAST));
        let shifted = _mm512_add_ps(place, _mm512_set1_ps(SHIFT));
        let f = _mm512_sub_ps(place, _mm512_sub_ps(shifted, _mm512_set1_ps(SHIFT)));
        // The five lowest bits choose the piece.
        let piece = _mm512_castps_si512(shifted);
        let factor = |n: usize| {
            let [low, high] = self.factors[n];
            _mm512_permutex2var_ps(low, piece, high)
        };
        let mut integral = _mm512_fmadd_ps(factor(3), f, factor(2));
        integral = _mm512_fmadd_ps(integral, f, factor(1));
        integral = _mm512_fmadd_ps(integral, f, factor(0));
        _mm512_fmadd_ps(size, integral, _mm512_mul_ps(x, _mm512_set1_ps(0.5)))
    }
}
