//! Loads and stores of up to 16 elements.

use core::arch::aarch64::*;

use super::lanes::four;

/// Stores the first `count` of 16 bytes.
///
/// # Safety
/// As many bytes may be written.
#[inline(always)]
pub(super) unsafe fn store_bytes(to: *mut u8, bytes: uint8x16_t, count: usize) {
    // SAFETY: as for this function.
    unsafe {
        if count >= 16 {
            vst1q_u8(to, bytes);
        } else {
            store_some_bytes(to, bytes, count);
        }
    }
}

/// As [`store_bytes`], of fewer than 16.
///
/// # Safety
/// As [`store_bytes`].
#[inline(never)]
unsafe fn store_some_bytes(mut to: *mut u8, bytes: uint8x16_t, count: usize) {
    let mut rest = bytes;
    // SAFETY: each part lies inside the first `count` bytes.
    unsafe {
        if count & 8 != 0 {
            vst1_u8(to, vget_low_u8(rest));
            rest = vextq_u8::<8>(rest, rest);
            to = to.add(8);
        }
        if count & 4 != 0 {
            let four = vgetq_lane_u32::<0>(vreinterpretq_u32_u8(rest));
            to.cast::<u32>().write_unaligned(four);
            rest = vextq_u8::<4>(rest, rest);
            to = to.add(4);
        }
        if count & 2 != 0 {
            let two = vgetq_lane_u16::<0>(vreinterpretq_u16_u8(rest));
            to.cast::<u16>().write_unaligned(two);
            rest = vextq_u8::<2>(rest, rest);
            to = to.add(2);
        }
        if count & 1 != 0 {
            to.write(vgetq_lane_u8::<0>(rest));
        }
    }
}

/// The first `count` of 16 bytes, else 0.
///
/// # Safety
/// As many bytes may be read.
#[inline(always)]
pub(super) unsafe fn load_bytes(from: *const u8, count: usize) -> uint8x16_t {
    // SAFETY: as for this function.
    unsafe {
        if count >= 16 {
            vld1q_u8(from)
        } else {
            load_some_bytes(from, count)
        }
    }
}

/// As [`load_bytes`], of fewer than 16.
///
/// # Safety
/// As [`load_bytes`].
#[inline(never)]
unsafe fn load_some_bytes(from: *const u8, count: usize) -> uint8x16_t {
    let mut bytes = [0; 16];
    // SAFETY: no more than `count` bytes are read.
    unsafe {
        core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count);
        vld1q_u8(bytes.as_ptr())
    }
}

/// Stores the first `count` of 16 `f32`.
///
/// # Safety
/// As many elements may be written.
#[inline(always)]
pub(super) unsafe fn store_floats(to: *mut f32, x: [float32x4_t; 4], count: usize) {
    // SAFETY: as for this function.
    unsafe {
        if count >= 16 {
            vst1q_f32(to, x[0]);
            vst1q_f32(to.add(4), x[1]);
            vst1q_f32(to.add(8), x[2]);
            vst1q_f32(to.add(12), x[3]);
        } else {
            store_some_floats(to, x, count);
        }
    }
}

/// As [`store_floats`], of fewer than 16.
///
/// # Safety
/// As [`store_floats`].
#[inline(never)]
unsafe fn store_some_floats(to: *mut f32, x: [float32x4_t; 4], count: usize) {
    for (n, x) in x.into_iter().enumerate() {
        // SAFETY: no more than `count` elements are written.
        unsafe { store(to.wrapping_add(n * 4), x, count.saturating_sub(n * 4)) };
    }
}

/// Stores the first `count` of four `f32`.
///
/// # Safety
/// As many elements may be written.
#[inline(always)]
unsafe fn store(to: *mut f32, x: float32x4_t, count: usize) {
    // SAFETY: no more than `count` elements are written.
    unsafe {
        match count {
            0 => {}
            1 => to.write_unaligned(vgetq_lane_f32::<0>(x)),
            2 => vst1_f32(to, vget_low_f32(x)),
            3 => {
                vst1_f32(to, vget_low_f32(x));
                to.add(2).write_unaligned(vgetq_lane_f32::<2>(x));
            }
            _ => vst1q_f32(to, x),
        }
    }
}

/// The first `count` of four `f32`, else 0.
///
/// # Safety
/// As many elements may be read.
#[inline(always)]
unsafe fn load(from: *const f32, count: usize) -> float32x4_t {
    // SAFETY: no more than `count` elements are read.
    unsafe {
        match count {
            0 => vdupq_n_f32(0.0),
            1 => vsetq_lane_f32::<0>(from.read_unaligned(), vdupq_n_f32(0.0)),
            2 => vcombine_f32(vld1_f32(from), vdup_n_f32(0.0)),
            3 => {
                let two = vcombine_f32(vld1_f32(from), vdup_n_f32(0.0));
                vsetq_lane_f32::<2>(from.add(2).read_unaligned(), two)
            }
            _ => vld1q_f32(from),
        }
    }
}

/// The first `count` of 16 `f32`, else 0.
///
/// # Safety
/// As many elements may be read.
#[inline(always)]
pub(super) unsafe fn load_floats(from: *const f32, count: usize) -> [float32x4_t; 4] {
    // SAFETY: as for this function.
    unsafe {
        if count >= 16 {
            four(|n| vld1q_f32(from.add(n * 4)))
        } else {
            load_some_floats(from, count)
        }
    }
}

/// As [`load_floats`], of fewer than 16.
///
/// # Safety
/// As [`load_floats`].
#[inline(never)]
unsafe fn load_some_floats(from: *const f32, count: usize) -> [float32x4_t; 4] {
    // SAFETY: no more than `count` elements are read.
    four(|n| unsafe { load(from.wrapping_add(n * 4), count.saturating_sub(n * 4)) })
}
