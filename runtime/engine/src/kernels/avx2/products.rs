//! Sums of products of windows with a block of weights, all in registers.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::lanes::Avx2;
use crate::kernels::sixteen::{Lanes, Products, Runs, Work};
use crate::step::GROUP_BYTES;

/// The sums of 16 channels: integers, or the bits of `f32`.
type Sums = [__m256i; 2];

/// Products of four bytes of a window, the same for all channels, with the weights of eight channels.
///
/// # Safety
/// Of all functions: a value says that the processor has the instructions.
pub(super) trait Dot: Copy {
    /// Bytes of a window as the products take them.
    type Ready: Copy;

    /// Most pixels of a tile.
    const PIXELS: usize;
    /// Whether it multiplies `f32`, else bytes.
    const REALS: bool = false;

    /// Does work in a function of its own that may use the instructions.
    fn enter<W: Work>(self, work: W) -> W::Output;

    /// Four bytes of a window, repeated.
    fn ready(self, x: __m256i) -> Self::Ready;

    /// Adds the products.
    fn add(self, sum: __m256i, weights: __m256i, x: Self::Ready) -> __m256i;
}

/// Products whose sums begin with the bias.
#[derive(Clone, Copy)]
pub(super) struct Dots<D>(pub D);

impl<D: Dot> Products for Dots<D> {
    type Lanes = Avx2;
    type Start = Sums;
    const PIXELS: usize = D::PIXELS;
    const REALS: bool = D::REALS;

    #[inline(always)]
    fn lanes(self) -> Avx2 {
        // SAFETY: products of any kind come with these instructions.
        unsafe { Avx2::new() }
    }

    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Output {
        self.0.enter(work)
    }

    #[inline(always)]
    unsafe fn start(self, _: Runs<'_>, _: *const u8, bias: Sums) -> Sums {
        bias
    }

    #[inline(always)]
    unsafe fn sums<const P: usize, const BEGIN: usize>(
        self,
        runs: Runs<'_>,
        windows: [*const u8; P],
        weights: *const u8,
        start: &Sums,
    ) -> [Sums; P] {
        // SAFETY: as for this function.
        unsafe { dot_sums::<_, P, BEGIN>(self.0, runs, windows, weights, *start) }
    }
}

/// The sums of `P` windows, those of the first `BEGIN` channels left out.
///
/// # Safety
/// As [`Products`].
#[inline(always)]
unsafe fn dot_sums<D: Dot, const P: usize, const BEGIN: usize>(
    dot: D,
    runs: Runs<'_>,
    windows: [*const u8; P],
    mut weights: *const u8,
    start: Sums,
) -> [Sums; P] {
    let mut sums = [start; P];
    for &offset in runs.offsets {
        for group in 0..runs.groups {
            // SAFETY: every run of taps lies in the input, and there is a group of weights for each of its groups.
            unsafe {
                let mut w = start;
                for n in BEGIN / 8..2 {
                    w[n] = _mm256_loadu_si256(weights.add(n * 32).cast());
                }
                for p in 0..P {
                    let from = windows[p].wrapping_add(offset + group * 4);
                    let x = dot.ready(_mm256_set1_epi32(from.cast::<i32>().read_unaligned()));
                    for n in BEGIN / 8..2 {
                        sums[p][n] = dot.add(sums[p][n], w[n], x);
                    }
                }
                weights = weights.add(GROUP_BYTES);
            }
        }
    }
    sums
}

/// Products of `f32`.
#[derive(Clone, Copy)]
pub(super) struct Fma(pub Avx2);

impl Dot for Fma {
    type Ready = __m256;
    const PIXELS: usize = 6;
    const REALS: bool = true;

    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Output {
        self.0.enter(work)
    }

    #[inline(always)]
    fn ready(self, x: __m256i) -> __m256 {
        // SAFETY: a value says that the processor has the instructions.
        unsafe { _mm256_castsi256_ps(x) }
    }

    #[inline(always)]
    fn add(self, sum: __m256i, weights: __m256i, x: __m256) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let (sum, weights) = (_mm256_castsi256_ps(sum), _mm256_castsi256_ps(weights));
            _mm256_castps_si256(_mm256_fmadd_ps(x, weights, sum))
        }
    }
}

/// Products of bytes with `vpdpbusd`, of an encoding.
macro_rules! busd {
    ($(#[$attribute:meta])* $name:ident, $features:literal, $busd:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(super) struct $name(());

        $(#[$attribute])*
        impl $name {
            /// # Safety
            /// The processor has the instructions, and the operating system lets them be used.
            #[inline(always)]
            pub unsafe fn new() -> Self {
                Self(())
            }
        }

        $(#[$attribute])*
        impl Dot for $name {
            type Ready = __m256i;
            const PIXELS: usize = 6;

            #[inline(always)]
            fn enter<W: Work>(self, work: W) -> W::Output {
                #[target_feature(enable = $features)]
                fn entered<W: Work>(work: W) -> W::Output {
                    work.run()
                }
                // SAFETY: a value says that the processor has the instructions.
                unsafe { entered(work) }
            }

            #[inline(always)]
            fn ready(self, x: __m256i) -> __m256i {
                x
            }

            #[inline(always)]
            fn add(self, sum: __m256i, weights: __m256i, x: __m256i) -> __m256i {
                // SAFETY: as above.
                unsafe { $busd(sum, x, weights) }
            }
        }
    };
}

// AVX-VNNI.
busd!(Busd, "avx2,fma,avxvnni", _mm256_dpbusd_avx_epi32);
busd!(
    #[cfg(test)]
    EncodedBusd,
    "avx2,fma,avx512vl,avx512vnni",
    _mm256_dpbusd_epi32
);

/// Products of bytes without an instruction for four of them: in 32 bits those of the first and the third byte, then of
/// the others.
///
/// Sums of two products in 16 bits, which one instruction makes of bytes, would not hold them.
#[derive(Clone, Copy)]
pub(super) struct Madd(pub Avx2);

impl Dot for Madd {
    /// The first and the third byte, and the others, each in 16 bits.
    type Ready = [__m256i; 2];
    const PIXELS: usize = 4;

    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Output {
        self.0.enter(work)
    }

    #[inline(always)]
    fn ready(self, x: __m256i) -> [__m256i; 2] {
        // SAFETY: a value says that the processor has the instructions.
        unsafe {
            [
                _mm256_and_si256(x, _mm256_set1_epi16(0xff)),
                _mm256_srli_epi16::<8>(x),
            ]
        }
    }

    #[inline(always)]
    fn add(self, sum: __m256i, weights: __m256i, [even, odd]: [__m256i; 2]) -> __m256i {
        // SAFETY: as above.
        unsafe {
            // The same for all pixels, and so made once.
            let first = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
            let second = _mm256_srai_epi16::<8>(weights);
            let sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, first));
            _mm256_add_epi32(sum, _mm256_madd_epi16(odd, second))
        }
    }
}
