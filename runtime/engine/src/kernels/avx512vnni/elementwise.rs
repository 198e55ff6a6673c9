//! Changes of type and functions of two elements, 16 at a time where they lie next to each other.

use core::arch::x86_64::*;

use super::lanes::{LEAST_SCALE, NEAR_TIE, load, load_bytes, mask, store, store_bytes};
use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{Affine, Binary, BinaryU8, Dequantize, Pair, Quantize, Strided};

/// Whether an operand's innermost elements are next to each other, or all the same.
fn dense(operand: &Strided) -> bool {
    operand.strides[5] <= 1
}

/// Runs of a step whose operands are dense; `false` where they are not, and nothing has run.
pub(super) fn quantize(step: &Quantize, input: &[u8], output: &mut [u8]) -> bool {
    if step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let (x, y) = (&floats(input)[from..from + count], &mut output[to..to + count]);
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
        unsafe { quantize_run(&step.affine, x, y) };
    });
    true
}

/// As [`quantize`].
pub(super) fn dequantize(step: &Dequantize, input: &[u8], output: &mut [u8]) -> bool {
    if step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let (x, y) = (
            &input[from..from + count],
            &mut floats_mut(output)[to..to + count],
        );
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
        unsafe { dequantize_run(&step.affine, x, y) };
    });
    true
}

/// As [`quantize`].
pub(super) fn binary(step: &Binary, a: &[u8], b: &[u8], output: &mut [u8]) -> bool {
    let dense = dense(&step.a) && dense(&step.b) && step.output.strides[5] == 1;
    if !dense || !is_known(step.function) {
        return false;
    }
    let count = step.dims[5] as usize;
    let (a, b) = (floats(a), floats(b));
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        let x = &a[at..at + (count - 1) * step.a.strides[5] as usize + 1];
        let y = &b[bt..bt + (count - 1) * step.b.strides[5] as usize + 1];
        let z = &mut floats_mut(output)[to..to + count];
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; operands of one element are repeated,
        // others have as many as the output.
        unsafe { binary_run(step, x, y, z) };
    });
    true
}

/// As [`quantize`].
pub(super) fn binary_u8(step: &BinaryU8, a: &[u8], b: &[u8], output: &mut [u8]) -> bool {
    let dense = dense(&step.a) && dense(&step.b) && step.output.strides[5] == 1;
    if !dense || !is_known(step.function) {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        let x = &a[at..at + (count - 1) * step.a.strides[5] as usize + 1];
        let y = &b[bt..bt + (count - 1) * step.b.strides[5] as usize + 1];
        let z = &mut output[to..to + count];
        // SAFETY: as in `binary`.
        unsafe { binary_u8_run(step, x, y, z) };
    });
    true
}

/// Integers without zero point from real numbers over the scale, plus the zero point, as bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn to_bytes(x: __m512, affine: &Affine, low: i32, high: i32) -> __m128i {
    let y = _mm512_div_ps(x, _mm512_set1_ps(affine.scale));
    let low = _mm512_set1_ps((low - affine.zero) as f32);
    let high = _mm512_set1_ps((high - affine.zero) as f32);
    let y = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(y, low), high));
    _mm512_cvtepi32_epi8(_mm512_add_epi32(y, _mm512_set1_epi32(affine.zero)))
}

/// The real numbers that bytes stand for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn to_reals(x: __m128i, affine: &Affine) -> __m512 {
    let x = _mm512_sub_epi32(_mm512_cvtepu8_epi32(x), _mm512_set1_epi32(affine.zero));
    _mm512_mul_ps(_mm512_cvtepi32_ps(x), _mm512_set1_ps(affine.scale))
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn quantize_run(affine: &Affine, x: &[f32], y: &mut [u8]) {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    let exact = affine.scale < LEAST_SCALE;
    let factor = _mm512_set1_ps(1.0 / affine.scale);
    let low = _mm512_set1_ps(-affine.zero as f32);
    let high = _mm512_set1_ps((255 - affine.zero) as f32);
    for (x, y) in x.chunks(16).zip(y.chunks_mut(16)) {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let x = load(x.as_ptr(), mask);
            let product = _mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(x, factor), low), high);
            let distance = _mm512_abs_ps(_mm512_sub_ps(product, _mm512_roundscale_ps::<NEAREST>(product)));
            let near = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(distance, _mm512_set1_ps(NEAR_TIE));
            let bytes = if near != 0 || exact {
                to_bytes(x, affine, 0, 255)
            } else {
                let q = _mm512_add_epi32(_mm512_cvtps_epi32(product), _mm512_set1_epi32(affine.zero));
                _mm512_cvtepi32_epi8(q)
            };
            store_bytes(y.as_mut_ptr(), bytes, y.len());
        }
    }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn dequantize_run(affine: &Affine, x: &[u8], y: &mut [f32]) {
    for (x, y) in x.chunks(16).zip(y.chunks_mut(16)) {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let reals = to_reals(load_bytes(x.as_ptr(), mask), affine);
            store(y.as_mut_ptr(), mask, reals);
        }
    }
}

/// A function of two elements, as the scalar tier has it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn combine(function: Pair, a: __m512, b: __m512) -> __m512 {
    match function {
        Pair::Add => _mm512_add_ps(a, b),
        Pair::Sub => _mm512_sub_ps(a, b),
        Pair::Mul => _mm512_mul_ps(a, b),
        Pair::Div => _mm512_div_ps(a, b),
        Pair::Min => _mm512_min_ps(a, b),
        Pair::Max => _mm512_max_ps(a, b),
        Pair::PRelu => {
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, _mm512_setzero_ps());
            _mm512_mask_mul_ps(a, negative, b, a)
        }
        // There is no code for these: nobody comes here with them.
        _ => a,
    }
}

/// Functions there is code for.
fn is_known(function: Pair) -> bool {
    matches!(
        function,
        Pair::Add | Pair::Sub | Pair::Mul | Pair::Div | Pair::Min | Pair::Max | Pair::PRelu
    )
}

/// # Safety
/// The processor has the instructions; an operand has one element, or as many as the output.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn binary_run(step: &Binary, a: &[f32], b: &[f32], y: &mut [f32]) {
    let (a_step, b_step) = (step.a.strides[5] as usize, step.b.strides[5] as usize);
    for (n, y) in y.chunks_mut(16).enumerate() {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let load = |x: &[f32], step: usize| {
                if step == 0 {
                    _mm512_set1_ps(x[0])
                } else {
                    load(x.as_ptr().add(n * 16), mask)
                }
            };
            let found = combine(step.function, load(a, a_step), load(b, b_step));
            store(y.as_mut_ptr(), mask, found);
        }
    }
}

/// # Safety
/// As [`binary_run`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn binary_u8_run(step: &BinaryU8, a: &[u8], b: &[u8], y: &mut [u8]) {
    let (a_step, b_step) = (step.a.strides[5] as usize, step.b.strides[5] as usize);
    for (n, y) in y.chunks_mut(16).enumerate() {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let load = |x: &[u8], step: usize| {
                if step == 0 {
                    _mm_set1_epi8(x[0].cast_signed())
                } else {
                    load_bytes(x.as_ptr().add(n * 16), mask)
                }
            };
            let x = to_reals(load(a, a_step), &step.a_affine);
            let other = to_reals(load(b, b_step), &step.b_affine);
            let found = combine(step.function, x, other);
            let bytes = to_bytes(found, &step.output_affine, step.low, step.high);
            store_bytes(y.as_mut_ptr(), bytes, mask.count_ones() as usize);
        }
    }
}
