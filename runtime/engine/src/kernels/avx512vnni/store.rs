//! Stores of sums: requantized, scaled or limited.

#![allow(
    clippy::needless_range_loop,
    reason = "constant bounds keep the sums in registers"
)]

use core::arch::x86_64::*;

use super::conv::{Job, Places};
use super::lanes::{load, mask, store, store_bytes};
use crate::kernels::floats;
use crate::step::{Arithmetic, BLOCK, Conv, Epilogue, GROUP_BYTES, first_channel};

/// Whether a whole register may be stored at each pixel of an integer output, of so many bytes, of a step that was
/// checked.
pub(super) fn is_wide(step: &Conv, bytes: usize) -> bool {
    let grid = &step.output_grid;
    // Fewer than four bytes behind the channels of a pixel are no other channels.
    step.arithmetic == Arithmetic::U8ToU8
        && (BLOCK as u32 - 3..BLOCK as u32).contains(&step.channels)
        && grid.column as usize == BLOCK
        && grid
            .last(&step.extent)
            .is_some_and(|last| last + BLOCK as u64 <= bytes as u64)
}

/// How sums become `u8`, the same for all tiles of a step.
pub(super) struct Rounding {
    /// Whether every scale is below 1, so that no product leaves `i32` and limits hold as well behind it.
    pub small: bool,
    /// Limits of the bytes.
    low: u8,
    high: u8,
}

impl Rounding {
    pub(super) fn new(arithmetic: Arithmetic, epilogue: &Epilogue, scale: &[u8]) -> Self {
        if arithmetic != Arithmetic::U8ToU8 {
            return Self {
                small: false,
                low: 0,
                high: 255,
            };
        }
        // SAFETY: every x86-64 processor has the instruction.
        let rounded = |x: f32| unsafe { _mm_cvtss_si32(_mm_set_ss(x)) };
        let byte = |limit: f32| (rounded(limit) + epilogue.zero_point).clamp(0, 255) as u8;
        Self {
            small: floats(scale).iter().all(|scale| scale.abs() < 1.0),
            low: byte(epilogue.low),
            high: byte(epilogue.high),
        }
    }
}

/// The epilogue that gives the output.
pub(super) fn last_epilogue(step: &Conv) -> &Epilogue {
    if step.residual.other.is_empty() {
        &step.epilogue
    } else {
        &step.residual.epilogue
    }
}

/// Where the outputs of a tile's pixels lie, and those of a second tensor, in bytes.
pub(super) trait Pixels {
    fn output(&self, pixel: usize) -> usize;
    fn other(&self, pixel: usize) -> usize;
    /// Bytes from each output to the next, if all have that distance.
    fn apart(&self) -> Option<usize>;
}

impl Pixels for Places {
    #[inline(always)]
    fn output(&self, pixel: usize) -> usize {
        self.output[pixel]
    }

    #[inline(always)]
    fn other(&self, pixel: usize) -> usize {
        self.other[pixel]
    }

    #[inline(always)]
    fn apart(&self) -> Option<usize> {
        None
    }
}

/// How the sums of `N` blocks are requantized, the same for all tiles.
pub(super) struct Requantized<const N: usize> {
    /// First channel of each block.
    first: [usize; N],
    scale: [__m512; N],
    /// Whether the blocks' channels lie next to each other: the last one may begin before the end of the one before.
    together: bool,
    /// Channels of a block.
    count: usize,
    /// Whether nothing is done but scaling and rounding.
    simple: bool,
    bounds: Bounds,
    output: *mut u8,
}

impl<const N: usize> Requantized<N> {
    /// Of the blocks from `block` on.
    ///
    /// # Safety
    /// The processor has the instructions; the step of the job has `N` blocks from `block` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub unsafe fn new(job: &Job<'_>, block: usize) -> Self {
        let all = job.step.channels as usize;
        let mut first = [0; N];
        let mut scale = [_mm512_setzero_ps(); N];
        for n in 0..N {
            first[n] = first_channel(block + n, all);
            let table = (block + n) * GROUP_BYTES;
            // SAFETY: scale has an entry for each channel of the blocks.
            scale[n] = unsafe { _mm512_loadu_ps(job.operands.scale.as_ptr().add(table).cast()) };
        }
        Self {
            together: first[N - 1] == first[0] + (N - 1) * BLOCK,
            first,
            scale,
            count: all.min(BLOCK),
            simple: job.step.residual.other.is_empty() && job.rounding.small,
            bounds: Bounds::new(last_epilogue(job.step).zero_point, &job.rounding),
            // Read once: what lies behind a pointer may have changed with each store.
            output: job.output,
        }
    }
}

/// Requantizes the sums of `N` blocks at `P` pixels, four of them at a time.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_u8<const P: usize, const N: usize>(
    job: &Job<'_>,
    places: &impl Pixels,
    how: &Requantized<N>,
    sums: [[__m512i; N]; P],
) {
    let Requantized {
        first, scale, count, ..
    } = *how;
    let (bounds, output, together) = (how.bounds, how.output, how.together);
    let whole = count == BLOCK;
    let order = order();
    // Four registers next to each other in the output.
    let dense = whole && together && (P * N).is_multiple_of(4) && places.apart() == Some(N * BLOCK);
    // Written out: constant places keep the sums in registers.
    macro_rules! four {
        ($($begin:literal)*) => {
            $(if $begin < P * N {
                let last = P * N - 1;
                macro_rules! at {
                    ($n:literal) => {
                        ((($begin + $n).min(last)) / N, (($begin + $n).min(last)) % N)
                    };
                }
                macro_rules! q {
                    ($n:literal) => {{
                        let (p, n) = at!($n);
                        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[p][n]), scale[n]))
                    }};
                }
                macro_rules! limited {
                    ($n:literal) => {{
                        let (p, n) = at!($n);
                        // SAFETY: as for this function.
                        unsafe { job.added.rounded(places.other(p) + first[n], count, sums[p][n], scale[n]) }
                    }};
                }
                let q = if how.simple {
                    [q!(0), q!(1), q!(2), q!(3)]
                } else {
                    [limited!(0), limited!(1), limited!(2), limited!(3)]
                };
                let bytes = _mm512_permutexvar_epi32(order, packed(q, bounds));
                macro_rules! put {
                    ($n:literal) => {
                        if $begin + $n < P * N {
                            let (p, n) = at!($n);
                            let bytes = _mm512_extracti32x4_epi32::<$n>(bytes);
                            if whole {
                                _mm_storeu_si128(output.add(places.output(p) + first[n]).cast(), bytes);
                            } else {
                                put(job, places.output(p), bytes, count);
                            }
                        }
                    };
                }
                // SAFETY: the channels of the blocks lie in the output, and a whole register where stores are wide.
                unsafe {
                    if dense || (N == 4 && together) {
                        _mm512_storeu_si512(output.add(places.output(at!(0).0) + first[0]).cast(), bytes);
                    } else if N == 2 && together {
                        let low = _mm512_castsi512_si256(bytes);
                        _mm256_storeu_si256(output.add(places.output(at!(0).0) + first[0]).cast(), low);
                        if $begin + 2 < P * N {
                            let high = _mm512_extracti64x4_epi64::<1>(bytes);
                            _mm256_storeu_si256(output.add(places.output(at!(2).0) + first[0]).cast(), high);
                        }
                    } else {
                        put!(0);
                        put!(1);
                        put!(2);
                        put!(3);
                    }
                }
            })*
        };
    }
    four!(0 4 8 12 16 20);
}

/// Real numbers within limits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn limited(x: __m512, epilogue: &Epilogue) -> __m512 {
    let (low, high) = (_mm512_set1_ps(epilogue.low), _mm512_set1_ps(epilogue.high));
    _mm512_min_ps(_mm512_max_ps(x, low), high)
}

/// Zero point and limits in registers.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    zero: __m512i,
    low: __m512i,
    high: __m512i,
}

impl Bounds {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub(super) fn new(zero: i32, rounding: &Rounding) -> Self {
        Self {
            zero: _mm512_set1_epi16(zero as i16),
            low: _mm512_set1_epi8(rounding.low.cast_signed()),
            high: _mm512_set1_epi8(rounding.high.cast_signed()),
        }
    }

    /// Of integers that were limited before.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    pub(super) fn all(zero: i32) -> Self {
        Self {
            zero: _mm512_set1_epi16(zero as i16),
            low: _mm512_setzero_si512(),
            high: _mm512_set1_epi8(-1),
        }
    }
}

/// Puts packed bytes in the order of their registers: packing keeps to the quarters, each having four of each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) fn order() -> __m512i {
    _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
}

/// The integers of four registers as bytes, quarter by quarter, the zero point added and limited.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) fn packed(q: [__m512i; 4], bounds: Bounds) -> __m512i {
    let low = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), bounds.zero);
    let high = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), bounds.zero);
    let bytes = _mm512_packus_epi16(low, high);
    _mm512_min_epu8(_mm512_max_epu8(bytes, bounds.low), bounds.high)
}

/// Stores the first `count` of 16 bytes, or all with zeros behind the first where stores are wide.
///
/// # Safety
/// The processor has the instructions; as many bytes lie in the output.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn put(job: &Job<'_>, to: usize, bytes: __m128i, count: usize) {
    // SAFETY: as for this function.
    unsafe {
        let to = job.output.add(to);
        if job.wide {
            let present = _mm_maskz_set1_epi8(mask(count), -1);
            _mm_storeu_si128(to.cast(), _mm_and_si128(bytes, present));
        } else {
            store_bytes(to, bytes, count);
        }
    }
}

/// The channels of a block.
struct Channels {
    /// Bytes before its bias and scale.
    table: usize,
    first: usize,
    mask: u16,
}

impl Channels {
    fn new(step: &Conv, block: usize) -> Self {
        let channels = step.channels as usize;
        Self {
            table: block * GROUP_BYTES,
            first: first_channel(block, channels),
            mask: mask(channels.min(BLOCK)),
        }
    }
}

/// Calls code for each block, written out: constant places keep the sums in registers.
macro_rules! each_block {
    ($count:ident, $n:ident => $code:block) => {
        each_block!(0 $count, $n => $code);
        each_block!(1 $count, $n => $code);
        each_block!(2 $count, $n => $code);
        each_block!(3 $count, $n => $code);
    };
    ($number:literal $count:ident, $n:ident => $code:block) => {
        if $number < $count {
            let $n = $number % $count;
            $code
        }
    };
}

/// Limits the sums of `N` blocks at `P` pixels, a second tensor added where there is one.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_f32<const P: usize, const N: usize>(
    job: &Job<'_>,
    places: &Places,
    block: usize,
    sums: [[__m512i; N]; P],
) {
    each_block!(N, n => {
        let channels = Channels::new(job.step, block + n);
        for p in 0..P {
            // SAFETY: as for this function.
            unsafe { store_limited(job, places, &channels, p, _mm512_castsi512_ps(sums[p][n])) };
        }
    });
}

/// Scales the integer sums of `N` blocks at `P` pixels by the scales of channels, and those of pixels where there are
/// some, and limits them.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
pub(super) unsafe fn store_scaled<const P: usize, const N: usize>(
    job: &Job<'_>,
    places: &Places,
    block: usize,
    sums: [[__m512i; N]; P],
) {
    let operands = job.operands;
    let rows = job.step.arithmetic == Arithmetic::RowsToF32;
    let mut row = [_mm512_set1_ps(1.0); P];
    if rows {
        for p in 0..P {
            // SAFETY: there is a scale for each pixel.
            row[p] = unsafe {
                let row = operands.input.as_ptr().add(places.scales + p * 4);
                _mm512_set1_ps(row.cast::<f32>().read_unaligned())
            };
        }
    }
    each_block!(N, n => {
        let channels = Channels::new(job.step, block + n);
        // SAFETY: scale, and an offset that is there, have an entry for each channel of the blocks.
        unsafe {
            let scale = _mm512_loadu_ps(operands.scale.as_ptr().add(channels.table).cast());
            // What is added to nothing: it changes no number.
            let offset = if operands.offset.is_empty() {
                _mm512_set1_ps(-0.0)
            } else {
                _mm512_loadu_ps(operands.offset.as_ptr().add(channels.table).cast())
            };
            for p in 0..P {
                let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[p][n]), _mm512_mul_ps(row[p], scale));
                store_limited(job, places, &channels, p, _mm512_add_ps(scaled, offset));
            }
        }
    });
}

/// Limits and stores `f32` of 16 channels of a pixel, a second tensor added where there is one.
///
/// # Safety
/// As `conv::tile`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
unsafe fn store_limited(job: &Job<'_>, places: &Places, channels: &Channels, p: usize, found: __m512) {
    let mut y = found;
    // SAFETY: the channels under the mask lie in the second tensor and in the output.
    unsafe {
        if !job.step.residual.other.is_empty() {
            let from = job
                .operands
                .other
                .as_ptr()
                .add(places.other[p] + channels.first * 4);
            y = _mm512_add_ps(y, load(from.cast(), channels.mask));
        }
        let y = limited(y, &job.step.epilogue);
        store(
            job.output.add(places.output[p] + channels.first * 4).cast(),
            channels.mask,
            y,
        );
    }
}
