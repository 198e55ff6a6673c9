//! Rows that are quantized as they come.

use core::arch::x86_64::*;

use super::functions::function_run;
use super::lanes::{LANES, LEAST_SCALE, NEAR_TIE, load, store_bytes};
use crate::kernels::{floats, floats_mut, for_each_run, is_vectorised};
use crate::step::{Function, QuantizeRows, ROW_ZERO};

/// Quantizes rows of a step that was checked, on a processor with the instructions; `false` where there is no code for
/// the function, and nothing has run.
pub(super) fn quantize(step: &QuantizeRows, input: &[u8], output: &mut [u8]) -> bool {
    if step.function != Function::Identity && !is_vectorised(step.function) {
        return false;
    }
    let input = floats(input);
    let (length, row_bytes) = (step.length as usize, step.row_bytes as usize);
    let next = step.input.strides[5] as usize;
    let (output, scratch) = output.split_at_mut(step.scratch as usize);
    let (integers, scales) = output.split_at_mut(step.scales as usize);
    let scales = floats_mut(scales);
    let scratch = floats_mut(scratch);
    let mut row = 0;
    for_each_run(&step.dims, [&step.input], |[from]| {
        for n in 0..step.dims[5] as usize {
            let x = &input[from + n * next..][..length];
            let integers = &mut integers[row * row_bytes..][..row_bytes];
            let x = if step.function == Function::Identity {
                x
            } else {
                let made = &mut scratch[..length];
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
                unsafe { function_run(step.function, [step.alpha, step.beta], x, made) };
                made
            };
            // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; a row has as many integers as
            // elements at least.
            scales[row] = unsafe { quantize_row(x, integers) };
            row += 1;
        }
    });
    true
}

/// Quantizes a row; returns its scale.
///
/// # Safety
/// The processor has the instructions; there are as many integers as elements at least.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn quantize_row(x: &[f32], integers: &mut [u8]) -> f32 {
    // SAFETY: the processor has the instructions.
    let scale = unsafe { greatest(x) } / 127.0;
    let (used, padding) = integers.split_at_mut(x.len());
    padding.fill(ROW_ZERO as u8);
    if scale == 0.0 {
        used.fill(ROW_ZERO as u8);
        return scale;
    }
    let exact = scale < LEAST_SCALE;
    let (divisor, factor) = (_mm512_set1_ps(scale), _mm512_set1_ps(1.0 / scale));
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut to = used.as_mut_ptr();
    for x in whole {
        // SAFETY: integers have a place for each element.
        unsafe {
            let q = quantized(_mm512_loadu_ps(x.as_ptr()), divisor, factor, exact);
            _mm_storeu_si128(to.cast(), q);
            to = to.add(LANES);
        }
    }
    if !rest.is_empty() {
        let mask = (1u16 << rest.len()) - 1;
        // SAFETY: the mask leaves out elements that are not there, the count their integers.
        unsafe {
            let q = quantized(load(rest.as_ptr(), mask), divisor, factor, exact);
            store_bytes(to, q, rest.len());
        }
    }
    scale
}

/// The greatest magnitude.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn greatest(x: &[f32]) -> f32 {
    const WIDTH: usize = 4;
    let mut most = [_mm512_setzero_ps(); WIDTH];
    let (whole, rest) = x.as_chunks::<{ LANES * WIDTH }>();
    for x in whole {
        for (n, most) in most.iter_mut().enumerate() {
            // SAFETY: the chunk has as many elements.
            let x = unsafe { _mm512_loadu_ps(x.as_ptr().add(n * LANES)) };
            // What is no number comes first and is passed over.
            *most = _mm512_max_ps(_mm512_abs_ps(x), *most);
        }
    }
    for x in rest.chunks(LANES) {
        let mask = if x.len() == LANES {
            0xffff
        } else {
            (1 << x.len()) - 1
        };
        // SAFETY: the mask leaves out elements that are not there.
        let x = unsafe { load(x.as_ptr(), mask) };
        most[0] = _mm512_max_ps(_mm512_abs_ps(x), most[0]);
    }
    let most = _mm512_max_ps(_mm512_max_ps(most[0], most[1]), _mm512_max_ps(most[2], most[3]));
    _mm512_reduce_max_ps(most)
}

/// 16 integers of a row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn quantized(x: __m512, divisor: __m512, factor: __m512, exact: bool) -> __m128i {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    let product = _mm512_mul_ps(x, factor);
    let mut rounded = _mm512_roundscale_ps::<NEAREST>(product);
    let distance = _mm512_abs_ps(_mm512_sub_ps(product, rounded));
    let near = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(distance, _mm512_set1_ps(NEAR_TIE));
    if near != 0 || exact {
        rounded = _mm512_roundscale_ps::<NEAREST>(_mm512_div_ps(x, divisor));
    }
    let (low, high) = (_mm512_set1_ps(-127.0), _mm512_set1_ps(127.0));
    let limited = _mm512_min_ps(high, _mm512_max_ps(low, rounded));
    let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(limited));
    // What is no number became the least integer, whose last byte is 0.
    _mm_xor_si128(bytes, _mm_set1_epi8((ROW_ZERO as u8).cast_signed()))
}
