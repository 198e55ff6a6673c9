//! Loads and stores of fewer than 16 elements.

use core::arch::x86_64::*;

/// The first `count` of 16 bytes, which are fewer, else 0.
///
/// # Safety
/// As many bytes may be read.
#[inline(never)]
pub(super) unsafe fn some_bytes(from: *const u8, count: usize) -> [u64; 2] {
    let mut bytes = [0; 16];
    // SAFETY: no more than `count` bytes are read.
    unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count.min(16)) };
    let whole = u128::from_le_bytes(bytes);
    [whole as u64, (whole >> 64) as u64]
}

/// Stores the first `count` of 16 bytes, which are fewer.
///
/// # Safety
/// As many bytes may be written.
#[inline(never)]
pub(super) unsafe fn store_some_bytes(mut to: *mut u8, [low, high]: [u64; 2], count: usize) {
    let mut rest = low;
    // SAFETY: each part lies inside the first `count` bytes.
    unsafe {
        if count & 8 != 0 {
            to.cast::<u64>().write_unaligned(rest);
            rest = high;
            to = to.add(8);
        }
        if count & 4 != 0 {
            to.cast::<u32>().write_unaligned(rest as u32);
            rest >>= 32;
            to = to.add(4);
        }
        if count & 2 != 0 {
            to.cast::<u16>().write_unaligned(rest as u16);
            rest >>= 16;
            to = to.add(2);
        }
        if count & 1 != 0 {
            to.write(rest as u8);
        }
    }
}

/// Stores the first `count` of 16 `f32`, which are fewer.
///
/// # Safety
/// As many elements may be written, and the processor has the instructions.
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn store_some(to: *mut f32, x: [__m256; 2], count: usize) {
    // SAFETY: each part lies inside the first `count` elements.
    unsafe {
        // A store under a mask takes many times as long on some processors.
        let (mut rest, mut to) = (x[0], to);
        if count & 8 != 0 {
            _mm256_storeu_ps(to, rest);
            rest = x[1];
            to = to.add(8);
        }
        let mut four = _mm256_castps256_ps128(rest);
        if count & 4 != 0 {
            _mm_storeu_ps(to, four);
            four = _mm256_extractf128_ps::<1>(rest);
            to = to.add(4);
        }
        if count & 2 != 0 {
            _mm_storel_epi64(to.cast(), _mm_castps_si128(four));
            four = _mm_movehl_ps(four, four);
            to = to.add(2);
        }
        if count & 1 != 0 {
            _mm_store_ss(to, four);
        }
    }
}
