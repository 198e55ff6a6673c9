//! Convolutions of each channel alone: 16 channels at a time, four taps an instruction.

use core::arch::x86_64::*;

use super::interleaved;
use super::lanes::{store, store_bytes};
use super::store::Rounding;
use crate::kernels::scalar;
use crate::step::{Arithmetic, BLOCK, Depthwise, GROUP_BYTES, first_channel};

/// Most taps of a window that there is code for.
const MAX_TAPS: usize = 64;
/// Pixels at a time.
const PIXELS: usize = 4;

/// Order of the bytes of four runs of 16 channels that puts the four taps of a channel next to each other.
const INTERLEAVE: [u8; 64] = {
    let mut order = [0; 64];
    let mut n = 0;
    while n < 64 {
        order[n] = ((n % 4) * 16 + n / 4) as u8;
        n += 1;
    }
    order
};

/// Runs a depthwise convolution that was checked, on a processor with the instructions; constants are weights, bias
/// and scale.
pub(super) fn run(step: &Depthwise, input: &[u8], constants: [&[u8]; 3], output: &mut [u8]) {
    let taps = step.taps().unwrap_or(0) as usize;
    if taps > MAX_TAPS {
        scalar::depthwise(step, input, constants, output);
        return;
    }
    step.halo.fill(output);
    let rounding = Rounding::new(step.arithmetic, &step.epilogue, constants[2]);
    if interleaved::fits(step, &rounding) {
        interleaved::run(step, &rounding, input, constants, output);
        return;
    }
    // Beyond the last tap, weights are zero: any tap does.
    let mut offsets = [0usize; MAX_TAPS];
    for (tap, offset) in offsets.iter_mut().enumerate() {
        let tap = tap.min(taps - 1);
        let columns = step.kernel_columns as usize;
        *offset = tap / columns * step.row_step as usize + tap % columns * step.column_step as usize;
    }
    let job = Job {
        step,
        input: input.as_ptr(),
        constants,
        output: output.as_mut_ptr(),
        offsets,
        taps,
    };
    let columns = step.extent.columns as usize;
    for image in 0..step.extent.images {
        for row in 0..step.extent.rows {
            let (at, out) = (
                step.input_grid.at(image, row, 0),
                step.output_grid.at(image, row, 0),
            );
            let mut first = 0;
            while first < columns {
                // The last pixels of a row are made again where fewer than a whole number are left.
                let start = if columns >= PIXELS {
                    first.min(columns - PIXELS)
                } else {
                    first
                };
                let mut places = [(0, 0); PIXELS];
                for (n, place) in places.iter_mut().enumerate() {
                    let column = (start + n).min(columns - 1);
                    *place = (
                        at + column * step.input_grid.column as usize,
                        out + column * step.output_grid.column as usize,
                    );
                }
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that
                // whole blocks of channels of each tap lie in the input.
                unsafe {
                    match step.arithmetic {
                        Arithmetic::F32 => pixels_f32(&job, &places),
                        Arithmetic::U8ToU8 | Arithmetic::U8ToF32 | Arithmetic::RowsToF32 => {
                            pixels_u8(&job, &places)
                        }
                    }
                }
                first = start + PIXELS;
            }
        }
    }
}

/// A step and its operands.
struct Job<'a> {
    step: &'a Depthwise,
    input: *const u8,
    constants: [&'a [u8]; 3],
    output: *mut u8,
    offsets: [usize; MAX_TAPS],
    taps: usize,
}

/// All channels of some pixels; each is the first byte of its window and of its output.
///
/// # Safety
/// The processor has the instructions; whole blocks of channels of each tap lie in the input, the channels in the
/// output.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn pixels_u8(job: &Job<'_>, places: &[(usize, usize); PIXELS]) {
    let step = job.step;
    let [weights, bias, scale] = job.constants;
    let groups = job.taps.div_ceil(4);
    // SAFETY: 64 bytes are there.
    let order = unsafe { _mm512_loadu_si512(INTERLEAVE.as_ptr().cast()) };
    let (low, high) = (
        _mm512_set1_ps(step.epilogue.low),
        _mm512_set1_ps(step.epilogue.high),
    );
    let zero = _mm512_set1_epi32(step.epilogue.zero_point);
    let all = step.channels as usize;
    for block in 0..all.div_ceil(BLOCK) {
        let first = first_channel(block, all);
        let mut sums = [_mm512_setzero_si512(); PIXELS];
        if !bias.is_empty() {
            // SAFETY: bias has an entry for each channel of the blocks.
            sums = [unsafe { _mm512_loadu_si512(bias.as_ptr().add(block * GROUP_BYTES).cast()) }; PIXELS];
        }
        for group in 0..groups {
            // SAFETY: as for this function.
            unsafe {
                let group_of_block = block * groups + group;
                let w = _mm512_loadu_si512(weights.as_ptr().add(group_of_block * GROUP_BYTES).cast());
                for (sum, place) in sums.iter_mut().zip(places) {
                    let from = job.input.add(place.0 + first);
                    let tap = |n: usize| _mm_loadu_si128(from.add(job.offsets[group * 4 + n]).cast());
                    let x = _mm512_castsi128_si512(tap(0));
                    let x = _mm512_inserti32x4::<1>(x, tap(1));
                    let x = _mm512_inserti32x4::<2>(x, tap(2));
                    let x = _mm512_inserti32x4::<3>(x, tap(3));
                    *sum = _mm512_dpbusd_epi32(*sum, _mm512_permutexvar_epi8(order, x), w);
                }
            }
        }
        let channels = all.min(BLOCK);
        let mask = (0xffff_u32 >> (BLOCK - channels)) as u16;
        // SAFETY: scale has an entry for each channel of the blocks; the channels under the mask lie in the output.
        unsafe {
            let scale = _mm512_loadu_ps(scale.as_ptr().add(block * GROUP_BYTES).cast());
            for (sum, place) in sums.iter().zip(places) {
                let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(*sum), scale);
                let y = _mm512_min_ps(_mm512_max_ps(scaled, low), high);
                if step.arithmetic == Arithmetic::U8ToF32 {
                    store(job.output.add(place.1 + first * 4).cast(), mask, y);
                } else {
                    let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(y), zero));
                    store_bytes(job.output.add(place.1 + first), bytes, channels);
                }
            }
        }
    }
}

/// As [`pixels_u8`].
///
/// # Safety
/// As [`pixels_u8`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn pixels_f32(job: &Job<'_>, places: &[(usize, usize); PIXELS]) {
    let step = job.step;
    let [weights, bias, _] = job.constants;
    let (low, high) = (
        _mm512_set1_ps(step.epilogue.low),
        _mm512_set1_ps(step.epilogue.high),
    );
    let all = step.channels as usize;
    for block in 0..all.div_ceil(BLOCK) {
        let first = first_channel(block, all);
        let mut sums = [_mm512_setzero_ps(); PIXELS];
        if !bias.is_empty() {
            // SAFETY: bias has an entry for each channel of the blocks.
            sums = [unsafe { _mm512_loadu_ps(bias.as_ptr().add(block * GROUP_BYTES).cast()) }; PIXELS];
        }
        for tap in 0..job.taps {
            // SAFETY: as for this function.
            unsafe {
                let row = block * job.taps + tap;
                let w = _mm512_loadu_ps(weights.as_ptr().add(row * GROUP_BYTES).cast());
                for (sum, place) in sums.iter_mut().zip(places) {
                    let x = _mm512_loadu_ps(job.input.add(place.0 + job.offsets[tap] + first * 4).cast());
                    *sum = _mm512_fmadd_ps(x, w, *sum);
                }
            }
        }
        let channels = all.min(BLOCK);
        let mask = (0xffff_u32 >> (BLOCK - channels)) as u16;
        for (sum, place) in sums.iter().zip(places) {
            let y = _mm512_min_ps(_mm512_max_ps(*sum, low), high);
            // SAFETY: the channels under the mask lie in the output.
            unsafe { store(job.output.add(place.1 + first * 4).cast(), mask, y) };
        }
    }
}
