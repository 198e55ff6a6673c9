//! Functions of one element, softmax and normalizations of runs whose elements lie next to each other.

use core::arch::x86_64::*;

use super::gelu::Gelu;
use super::lanes::{LANES, load, mask, store};
use crate::kernels::{floats, floats_mut, for_each_run, is_vectorised};
use crate::step::{Function, Normalize, Softmax, Unary};

/// Runs a function there is code for; `false` where there is none, and nothing has run.
pub(super) fn unary(step: &Unary, input: &[u8], output: &mut [u8]) -> bool {
    if !is_vectorised(step.function) || step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let x = &floats(input)[from..from + count];
        let y = &mut floats_mut(output)[to..to + count];
        // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
        unsafe { function_run(step.function, [step.alpha, step.beta], x, y) };
    });
    true
}

/// Softmax along an axis whose places lie next to each other; `false` where they do not, and nothing has run.
pub(super) fn softmax(step: &Softmax, input: &[u8], output: &mut [u8]) -> bool {
    if step.input_step != 1 || step.output_step != 1 {
        return false;
    }
    let length = step.length as usize;
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let x = &floats(input)[from..from + length];
            let y = &mut floats_mut(output)[to..to + length];
            // SAFETY: the tier is chosen only for a `Cpu` that has the instructions.
            unsafe { softmax_run(x, y) };
        }
    });
    true
}

/// Normalizes runs.
pub(super) fn normalize(step: &Normalize, input: &[u8], scale: &[u8], bias: &[u8], output: &mut [u8]) {
    let length = step.length as usize;
    let (scale, bias) = (floats(scale), floats(bias));
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let x = &floats(input)[from..from + length];
            let y = &mut floats_mut(output)[to..to + length];
            // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that
            // scale and a bias that is there have an element for each of a run.
            unsafe { normalize_run(step, x, [scale, bias], y) };
        }
    });
}

/// `e^x`: by powers of two and the series to the seventh power, which is within 1e-8 on half of ln 2.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn exp(x: __m512) -> __m512 {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    // Beyond these the result is 0 or infinite anyway; what is no number comes second and stays so.
    let x = _mm512_min_ps(_mm512_set1_ps(89.0), _mm512_max_ps(_mm512_set1_ps(-104.0), x));
    let n = _mm512_roundscale_ps::<NEAREST>(_mm512_mul_ps(x, _mm512_set1_ps(core::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first short enough that its product with n is exact.
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693_359_4), x);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.121_944_4e-4), r);
    let mut y = _mm512_set1_ps(1.0 / 5040.0);
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(factor));
    }
    _mm512_scalef_ps(y, n)
}

/// The error function within 2e-7: Abramowitz and Stegun, 7.1.26.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn erf(x: __m512) -> __m512 {
    let size = _mm512_abs_ps(x);
    let one = _mm512_set1_ps(1.0);
    let t = _mm512_div_ps(one, _mm512_fmadd_ps(size, _mm512_set1_ps(0.327_591_1), one));
    let mut y = _mm512_set1_ps(1.061_405_4);
    for factor in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(factor));
    }
    let power = exp(_mm512_mul_ps(_mm512_sub_ps(_mm512_setzero_ps(), size), size));
    let y = _mm512_fnmadd_ps(_mm512_mul_ps(y, t), power, one);
    let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
    _mm512_mask_sub_ps(y, negative, _mm512_setzero_ps(), y)
}

/// `1 / (1 + e^-x)`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn sigmoid(x: __m512) -> __m512 {
    let one = _mm512_set1_ps(1.0);
    _mm512_div_ps(
        one,
        _mm512_add_ps(one, exp(_mm512_sub_ps(_mm512_setzero_ps(), x))),
    )
}

/// The hyperbolic tangent, to a few units in the last place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn tanh(x: __m512) -> __m512 {
    let far = _mm512_fmsub_ps(
        _mm512_set1_ps(2.0),
        sigmoid(_mm512_add_ps(x, x)),
        _mm512_set1_ps(1.0),
    );
    // Near 0 that difference keeps few bits, and the first terms of the series are enough.
    let square = _mm512_mul_ps(x, x);
    let mut near = _mm512_set1_ps(62.0 / 2835.0);
    for factor in [-17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0] {
        near = _mm512_fmadd_ps(near, square, _mm512_set1_ps(factor));
    }
    let is_near = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(x), _mm512_set1_ps(0.25));
    _mm512_mask_mul_ps(far, is_near, near, x)
}

/// A function of 16 elements.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn apply(function: Function, [alpha, beta]: [f32; 2], x: __m512) -> __m512 {
    let set = |x: f32| _mm512_set1_ps(x);
    let limited = |x: __m512, low: f32, high: f32| _mm512_min_ps(_mm512_max_ps(x, set(low)), set(high));
    match function {
        Function::Relu => _mm512_max_ps(x, set(0.0)),
        Function::Clip => limited(x, alpha, beta),
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => tanh(x),
        Function::Erf => erf(x),
        Function::Swish => _mm512_mul_ps(x, sigmoid(_mm512_mul_ps(x, set(alpha)))),
        Function::HardSwish => {
            let gate = _mm512_add_ps(_mm512_div_ps(x, set(6.0)), set(0.5));
            _mm512_mul_ps(x, limited(gate, 0.0, 1.0))
        }
        Function::Exp => exp(x),
        _ => x,
    }
}

/// A function of all elements, for which there is code.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn function_run(function: Function, parameters: [f32; 2], x: &[f32], y: &mut [f32]) {
    if function == Function::Gelu {
        let gelu = Gelu::new();
        // SAFETY: as for this function.
        unsafe { map(x, y, |x| gelu.apply(x)) };
    } else {
        // SAFETY: as for this function.
        unsafe { map(x, y, |x| apply(function, parameters, x)) };
    }
}

/// A function of all elements.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn map(x: &[f32], y: &mut [f32], function: impl Fn(__m512) -> __m512) {
    for (x, y) in x.chunks(LANES).zip(y.chunks_mut(LANES)) {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let found = function(load(x.as_ptr(), mask));
            store(y.as_mut_ptr(), mask, found);
        }
    }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn softmax_run(x: &[f32], y: &mut [f32]) {
    let least = _mm512_set1_ps(f32::NEG_INFINITY);
    let mut greatest = least;
    for x in x.chunks(LANES) {
        // SAFETY: the mask leaves out elements that are not there.
        let x = unsafe { _mm512_mask_loadu_ps(least, mask(x.len()), x.as_ptr()) };
        greatest = _mm512_max_ps(x, greatest);
    }
    let greatest = _mm512_set1_ps(_mm512_reduce_max_ps(greatest));
    let mut sum = _mm512_setzero_ps();
    for (x, y) in x.chunks(LANES).zip(y.chunks_mut(LANES)) {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let power = exp(_mm512_sub_ps(load(x.as_ptr(), mask), greatest));
            sum = _mm512_mask_add_ps(sum, mask, sum, power);
            store(y.as_mut_ptr(), mask, power);
        }
    }
    let factor = _mm512_set1_ps(1.0 / _mm512_reduce_add_ps(sum));
    for y in y.chunks_mut(LANES) {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let found = _mm512_mul_ps(load(y.as_ptr(), mask), factor);
            store(y.as_mut_ptr(), mask, found);
        }
    }
}

/// The sum of a function of all elements, in 16 parts of `f32` that are summed in `f64`.
///
/// # Safety
/// The processor has the instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn sum(x: &[f32], function: impl Fn(__m512) -> __m512) -> f64 {
    // Sums of few elements each lose little.
    const PARTS: usize = 4;
    const MOST: usize = PARTS * LANES * 64;
    let mut whole = 0.0;
    for x in x.chunks(MOST) {
        let mut sums = [_mm512_setzero_ps(); PARTS];
        let (groups, rest) = x.as_chunks::<{ PARTS * LANES }>();
        for x in groups {
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the chunk has as many elements.
                let x = unsafe { _mm512_loadu_ps(x.as_ptr().add(n * LANES)) };
                *sum = _mm512_add_ps(*sum, function(x));
            }
        }
        for x in rest.chunks(LANES) {
            let mask = mask(x.len());
            // SAFETY: the mask leaves out elements that are not there.
            let x = unsafe { load(x.as_ptr(), mask) };
            sums[0] = _mm512_mask_add_ps(sums[0], mask, sums[0], function(x));
        }
        let halves = [_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])];
        let sum = _mm512_add_ps(halves[0], halves[1]);
        let low = _mm512_cvtps_pd(_mm512_castps512_ps256(sum));
        let high = _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(
            sum,
        ))));
        whole += _mm512_reduce_add_pd(_mm512_add_pd(low, high));
    }
    whole
}

/// # Safety
/// The processor has the instructions; the first table has as many elements as a run, the second as many or none.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn normalize_run(step: &Normalize, x: &[f32], tables: [&[f32]; 2], y: &mut [f32]) {
    let [scale, bias] = tables;
    let length = x.len() as f64;
    // SAFETY: the processor has the instructions.
    let (mean, variance) = unsafe {
        let mean = if step.centre == 0 {
            0.0
        } else {
            sum(x, |x| x) / length
        };
        let centre = _mm512_set1_ps(mean as f32);
        let squares = sum(x, |x| {
            let x = _mm512_sub_ps(x, centre);
            _mm512_mul_ps(x, x)
        });
        (mean, squares / length)
    };
    let factor = _mm512_set1_ps((1.0 / libm::sqrt(variance + f64::from(step.epsilon))) as f32);
    let mean = _mm512_set1_ps(mean as f32);
    for (n, (x, y)) in x.chunks(LANES).zip(y.chunks_mut(LANES)).enumerate() {
        let mask = mask(y.len());
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let x = _mm512_sub_ps(load(x.as_ptr(), mask), mean);
            let scale = load(scale.as_ptr().add(n * LANES), mask);
            let mut found = _mm512_mul_ps(_mm512_mul_ps(x, factor), scale);
            if !bias.is_empty() {
                found = _mm512_add_ps(found, load(bias.as_ptr().add(n * LANES), mask));
            }
            store(y.as_mut_ptr(), mask, found);
        }
    }
}
