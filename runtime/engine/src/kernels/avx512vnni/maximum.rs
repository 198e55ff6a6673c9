//! Greatest bytes of windows: of their rows first, which neighbouring windows share, then of their columns.

use core::arch::x86_64::*;
use core::ops::Range;

use super::lanes::{load_bytes, mask, store_bytes};
use crate::step::{BLOCK, Pool, PoolKind};

/// Bytes of a register.
const WIDE: usize = 64;
/// Bytes of a part of a row that is held.
const HELD: usize = 4096;

/// Runs a pool that was checked, on a processor with the instructions; `false` where there is no code for it, and
/// nothing has run.
pub(super) fn run(step: &Pool, input: &[u8], output: &mut [u8]) -> bool {
    let (channels, pixel) = (step.channels as usize, step.input_grid.column as usize);
    let [window_columns, stride] = [step.kernel[1], step.strides[1]].map(|n| n as usize);
    if step.kind != PoolKind::MaxU8 || step.dilations != [1, 1] || pixel < channels {
        return false;
    }
    // Outputs whose windows fit into what is held.
    let Some(rest) = (HELD / pixel).checked_sub(window_columns) else {
        return false;
    };
    let most = rest / stride + 1;
    let whole = |axis: usize, count: u32, inputs: u32| {
        // The first and the last window meet the least.
        [0, count - 1]
            .into_iter()
            .all(|place| !places(step, axis, place, inputs).is_empty())
    };
    let columns = step.extent.columns;
    if !whole(0, step.extent.rows, step.input_rows) || !whole(1, columns, step.input_columns) {
        return false;
    }
    let mut held = [0; HELD];
    for first in (0..columns).step_by(most) {
        let outputs = first..(first + most as u32).min(columns);
        let from = places(step, 1, outputs.start, step.input_columns).start;
        let to = places(step, 1, outputs.end - 1, step.input_columns).end;
        let bytes = (to - from - 1) * pixel + channels;
        for image in 0..step.extent.images {
            for row in 0..step.extent.rows {
                let rows = places(step, 0, row, step.input_rows);
                let begin = step.input_grid.at(image, rows.start as u32, from as u32);
                let apart = step.input_grid.row as usize;
                let all = &input[begin..begin + (rows.len() - 1) * apart + bytes];
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; each row has as many bytes.
                unsafe { rows_of(all, apart, rows.len(), &mut held[..bytes]) };
                let out = step.output_grid.at(image, row, 0);
                // SAFETY: as above; the step was checked, so that the outputs lie in the slice, and what is held has the
                // channels of every place from the first window to the last.
                unsafe { columns_of(step, outputs.clone(), &held[..bytes], from, &mut output[out..]) };
            }
        }
    }
    true
}

/// Places of the input that a window without gaps meets along an axis; none where it lies in the padding.
#[inline]
fn places(step: &Pool, axis: usize, place: u32, inputs: u32) -> Range<usize> {
    let first = i64::from(place * step.strides[axis]) - i64::from(step.before[axis]);
    let end = (first + i64::from(step.kernel[axis])).min(i64::from(inputs));
    first.max(0) as usize..end.max(0) as usize
}

/// The greatest byte of each place of `count` rows that lie `apart`.
///
/// # Safety
/// The processor has the instructions; `from` has as many rows of the length of `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn rows_of(from: &[u8], apart: usize, count: usize, to: &mut [u8]) {
    for (n, to) in to.chunks_mut(WIDE).enumerate() {
        let present = u64::MAX >> (WIDE - to.len());
        let mut greatest = _mm512_setzero_si512();
        for row in 0..count {
            // SAFETY: the mask leaves out what is not there.
            unsafe {
                let at = from.as_ptr().add(row * apart + n * WIDE);
                greatest = _mm512_max_epu8(greatest, _mm512_maskz_loadu_epi8(present, at.cast()));
            }
        }
        // SAFETY: as above; a store under a mask takes many times as long.
        unsafe {
            match to.first_chunk_mut::<WIDE>() {
                Some(to) => _mm512_storeu_si512(to.as_mut_ptr().cast(), greatest),
                None => _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), present, greatest),
            }
        }
    }
}

/// The greatest byte of each channel of the windows of some outputs.
///
/// # Safety
/// The processor has the instructions; `held` begins with the place `from` and has the channels of all places of the
/// windows; the channels of each output lie in the slice, which begins with the first of the row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn columns_of(step: &Pool, outputs: Range<u32>, held: &[u8], from: usize, output: &mut [u8]) {
    let (channels, pixel) = (step.channels as usize, step.input_grid.column as usize);
    let whole = channels / WIDE * WIDE;
    let (held, output) = (held.as_ptr(), output.as_mut_ptr());
    for column in outputs {
        let places = places(step, 1, column, step.input_columns);
        // SAFETY: as for this function; the mask leaves out channels that are not there.
        unsafe {
            let begin = (places.start - from) * pixel;
            let end = begin + places.len() * pixel;
            let to = output.add(column as usize * step.output_grid.column as usize);
            let mut first = 0;
            while first < whole {
                let mut greatest = _mm512_setzero_si512();
                let mut at = begin + first;
                while at < end {
                    greatest = _mm512_max_epu8(greatest, _mm512_loadu_si512(held.add(at).cast()));
                    at += pixel;
                }
                _mm512_storeu_si512(to.add(first).cast(), greatest);
                first += WIDE;
            }
            while first < channels {
                let count = (channels - first).min(BLOCK);
                let mut greatest = _mm_setzero_si128();
                let mut at = begin + first;
                while at < end {
                    greatest = _mm_max_epu8(greatest, load_bytes(held.add(at), mask(count)));
                    at += pixel;
                }
                store_bytes(to.add(first), greatest, count);
                first += BLOCK;
            }
        }
    }
}
