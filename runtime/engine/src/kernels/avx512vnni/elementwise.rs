//! Changes of type and functions of two elements, 16 at a time where they lie next to each other.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the numbers in registers"
)]

use core::arch::x86_64::*;

use super::lanes::{LANES, LEAST_SCALE, NEAR_TIE, load, load_bytes, mask, store, store_bytes};
use super::store::{Bounds, order, packed};
use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{Affine, Binary, BinaryU8, Dequantize, Pair, Quantize, Strided};

/// Whether an operand's innermost elements are next to each other, or all the same.
fn dense(operand: &Strided) -> bool {
    operand.strides[5] <= 1
}

/// Runs of a step whose operands are dense, or planes that become pixels; `false` where they are not, and nothing has
/// run.
pub(super) fn quantize(step: &Quantize, input: &[u8], output: &mut [u8]) -> bool {
    if is_interleaving(step) {
        interleave(step, floats(input), output);
        return true;
    }
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

/// Whether up to four planes, or pixels without gaps, become pixels of four bytes.
fn is_interleaving(step: &Quantize) -> bool {
    let (from, to, channels) = (&step.input.strides, &step.output.strides, step.dims[5]);
    let known = from[4] == 1 || (from[5] == 1 && from[4] == channels);
    (2..=4).contains(&channels) && to[5] == 1 && to[4] == 4 && known
}

/// Quantizes planes or pixels to pixels of four bytes; what lies behind the channels of a pixel stays.
fn interleave(step: &Quantize, input: &[f32], output: &mut [u8]) {
    let [.., columns, channels] = step.dims.map(|dim| dim as usize);
    let mut outer = step.dims;
    (outer[4], outer[5]) = (1, 1);
    let planar = step.input.strides[4] == 1;
    let mut order = [0; LANES * 4];
    for (n, place) in order.iter_mut().enumerate() {
        let (pixel, channel) = (n / 4, n % 4);
        let element = if planar {
            channel * LANES + pixel
        } else {
            pixel * channels + channel.min(channels - 1)
        };
        *place = packed_at(element) as u8;
    }
    for_each_run(&outer, [&step.input, &step.output], |[from, to]| {
        // The last pixel ends with its last channel.
        let pixels = &mut output[to..to + (columns - 1) * 4 + channels];
        if planar {
            let planes: [&[f32]; 4] = core::array::from_fn(|n| {
                let plane = n.min(channels - 1) * step.input.strides[5] as usize;
                &input[from + plane..][..columns]
            });
            // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; planes have as many elements as
            // there are pixels.
            unsafe { interleave_row::<true>(&step.affine, planes, channels, &order, pixels) };
        } else {
            let row = &input[from..][..columns * channels];
            // SAFETY: as above; the row has the channels of each pixel.
            unsafe { interleave_row::<false>(&step.affine, [row; 4], channels, &order, pixels) };
        }
    });
}

/// Quantizes a row of pixels, from planes or from pixels without gaps.
///
/// # Safety
/// The processor has the instructions; each plane has an element for each pixel, or the first all channels of each.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn interleave_row<const PLANES: bool>(
    affine: &Affine,
    from: [&[f32]; 4],
    channels: usize,
    order: &[u8; LANES * 4],
    pixels: &mut [u8],
) {
    // SAFETY: 64 bytes are there.
    let order = unsafe { _mm512_loadu_si512(order.as_ptr().cast()) };
    let present = 0x1111_1111_1111_1111_u64 * ((1 << channels) - 1);
    let quantizer = Quantizer::new(affine);
    let columns = pixels.len().div_ceil(4);
    for first in (0..columns).step_by(LANES) {
        let count = (columns - first).min(LANES);
        let mut x = [_mm512_setzero_ps(); 4];
        for n in 0..channels {
            // SAFETY: the mask leaves out elements that are not there.
            x[n] = unsafe {
                if PLANES {
                    load(from[n].as_ptr().add(first), mask(count))
                } else {
                    let rest = (count * channels).saturating_sub(n * LANES);
                    load(
                        from[0].as_ptr().wrapping_add(first * channels + n * LANES),
                        mask(rest),
                    )
                }
            };
        }
        let bytes = quantizer.bytes(x);
        let bytes = _mm512_permutexvar_epi8(order, bytes);
        if let Some(pixels) = pixels[first * 4..].first_chunk_mut::<{ LANES * 4 }>() {
            // SAFETY: both have 64 bytes.
            unsafe {
                let old = _mm512_loadu_si512(pixels.as_ptr().cast());
                _mm512_storeu_si512(
                    pixels.as_mut_ptr().cast(),
                    _mm512_mask_blend_epi8(present, old, bytes),
                );
            }
            continue;
        }
        let last = &mut pixels[first * 4..];
        let there = present & (u64::MAX >> (LANES * 4 - last.len()));
        // SAFETY: the mask leaves out what is not there.
        unsafe { _mm512_mask_storeu_epi8(last.as_mut_ptr().cast(), there, bytes) };
    }
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
    let y = divided(x, affine, low, high);
    _mm512_cvtepi32_epi8(_mm512_add_epi32(y, _mm512_set1_epi32(affine.zero)))
}

/// Integers without zero point from real numbers over the scale.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn divided(x: __m512, affine: &Affine, low: i32, high: i32) -> __m512i {
    let y = _mm512_div_ps(x, _mm512_set1_ps(affine.scale));
    let low = _mm512_set1_ps((low - affine.zero) as f32);
    let high = _mm512_set1_ps((high - affine.zero) as f32);
    _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(y, low), high))
}

/// The real numbers that bytes stand for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn to_reals(x: __m128i, affine: &Affine) -> __m512 {
    let x = _mm512_sub_epi32(_mm512_cvtepu8_epi32(x), _mm512_set1_epi32(affine.zero));
    _mm512_mul_ps(_mm512_cvtepi32_ps(x), _mm512_set1_ps(affine.scale))
}

/// Real numbers to bytes: by a product where it surely gives what the division gives.
struct Quantizer<'a> {
    affine: &'a Affine,
    exact: bool,
    factor: __m512,
    high: __m512,
    bounds: Bounds,
}

/// Where an element of four registers lies behind packing, which keeps to the quarters.
const fn packed_at(element: usize) -> usize {
    let (register, lane) = (element / LANES, element % LANES);
    lane / 4 * 16 + register * 4 + lane % 4
}

impl<'a> Quantizer<'a> {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    fn new(affine: &'a Affine) -> Self {
        Self {
            affine,
            exact: affine.scale < LEAST_SCALE,
            factor: _mm512_set1_ps(1.0 / affine.scale),
            high: _mm512_set1_ps((255 - affine.zero) as f32),
            bounds: Bounds::all(affine.zero),
        }
    }

    /// The bytes of four registers, quarter by quarter as [`packed_at`] says.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    fn bytes(&self, x: [__m512; 4]) -> __m512i {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        let mut farthest = _mm512_setzero_ps();
        let mut q = [_mm512_setzero_si512(); 4];
        for n in 0..4 {
            // What is no number stays so and becomes, as what is too small, the least integer, which packing limits.
            let product = _mm512_min_ps(self.high, _mm512_mul_ps(x[n], self.factor));
            let distance = _mm512_sub_ps(product, _mm512_roundscale_ps::<NEAREST>(product));
            farthest = _mm512_max_ps(_mm512_abs_ps(distance), farthest);
            q[n] = _mm512_cvtps_epi32(product);
        }
        let near = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(farthest, _mm512_set1_ps(NEAR_TIE));
        if near != 0 || self.exact {
            for n in 0..4 {
                q[n] = divided(x[n], self.affine, 0, 255);
            }
        }
        packed(q, self.bounds)
    }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn quantize_run(affine: &Affine, x: &[f32], y: &mut [u8]) {
    let (quantizer, order) = (Quantizer::new(affine), order());
    let (whole, rest) = y.as_chunks_mut::<{ LANES * 4 }>();
    let (x, last) = x.split_at(whole.len() * LANES * 4);
    for (x, y) in x.chunks_exact(LANES * 4).zip(whole) {
        let mut four = [_mm512_setzero_ps(); 4];
        for n in 0..4 {
            // SAFETY: there are four registers.
            four[n] = unsafe { _mm512_loadu_ps(x.as_ptr().add(n * LANES)) };
        }
        let bytes = _mm512_permutexvar_epi32(order, quantizer.bytes(four));
        // SAFETY: there are 64 bytes.
        unsafe { _mm512_storeu_si512(y.as_mut_ptr().cast(), bytes) };
    }
    for (x, y) in last.chunks(LANES).zip(rest.chunks_mut(LANES)) {
        // SAFETY: the mask leaves out elements that are not there.
        unsafe {
            let bytes = to_bytes(load(x.as_ptr(), mask(y.len())), affine, 0, 255);
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
