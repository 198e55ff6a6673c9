//! Loads and stores of up to 16 elements.
//!
//! Whole registers go without a mask: a store under a mask takes many times as long.

use core::arch::x86_64::*;

/// Elements of a register.
pub(super) const LANES: usize = 16;
/// Least scale whose reciprocal is as precise as any.
pub(super) const LEAST_SCALE: f32 = 1e-30;
/// From this distance to the nearest integer on, a product with the reciprocal may round to another integer than the
/// quotient: both differ by less than 3e-5 for quotients up to 255.
pub(super) const NEAR_TIE: f32 = 0.4999;
/// A mask that leaves nothing out.
const ALL: u16 = 0xffff;

/// The first `count` of 16 places.
pub(super) fn mask(count: usize) -> u16 {
    if count >= LANES { ALL } else { (1 << count) - 1 }
}

/// The elements under a mask, else 0.
///
/// # Safety
/// The processor has the instructions; the elements under the mask may be read.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn load(from: *const f32, mask: u16) -> __m512 {
    // SAFETY: as for this function.
    unsafe {
        if mask == ALL {
            _mm512_loadu_ps(from)
        } else {
            _mm512_maskz_loadu_ps(mask, from)
        }
    }
}

/// The bytes under a mask, else 0.
///
/// # Safety
/// As [`load`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn load_bytes(from: *const u8, mask: u16) -> __m128i {
    // SAFETY: as for this function.
    unsafe {
        if mask == ALL {
            _mm_loadu_si128(from.cast())
        } else {
            _mm_maskz_loadu_epi8(mask, from.cast())
        }
    }
}

/// Stores the elements under a mask.
///
/// # Safety
/// The processor has the instructions; the elements under the mask may be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store(to: *mut f32, mask: u16, elements: __m512) {
    // SAFETY: as for this function.
    unsafe {
        if mask == ALL {
            _mm512_storeu_ps(to, elements);
        } else {
            _mm512_mask_storeu_ps(to, mask, elements);
        }
    }
}

/// Stores the first `count` of 16 bytes.
///
/// # Safety
/// The processor has the instructions; as many bytes may be written.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_bytes(to: *mut u8, bytes: __m128i, count: usize) {
    // SAFETY: each part lies inside the first `count` bytes.
    unsafe {
        if count == LANES {
            _mm_storeu_si128(to.cast(), bytes);
            return;
        }
        let (mut rest, mut to) = (bytes, to);
        if count & 8 != 0 {
            _mm_storel_epi64(to.cast(), rest);
            rest = _mm_srli_si128::<8>(rest);
            to = to.add(8);
        }
        let mut word = _mm_cvtsi128_si64(rest).cast_unsigned();
        if count & 4 != 0 {
            to.cast::<u32>().write_unaligned(word as u32);
            word >>= 32;
            to = to.add(4);
        }
        if count & 2 != 0 {
            to.cast::<u16>().write_unaligned(word as u16);
            word >>= 16;
            to = to.add(2);
        }
        if count & 1 != 0 {
            to.write(word as u8);
        }
    }
}

/// An address that the compiler does not see through: else it keeps sums of it in more registers than there are.
#[inline(always)]
pub(super) fn opaque(mut at: *const u8) -> *const u8 {
    // SAFETY: nothing is done.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) at, options(pure, readonly, nostack, preserves_flags))
    };
    at
}
