//! Pools: 16 channels at a time.

use core::arch::x86_64::*;

use super::lanes::{load, load_bytes, store, store_bytes};
use super::maximum;
use crate::kernels::scalar::window;
use crate::step::{BLOCK, Pool, PoolKind};

/// Channels of `u8` of a register.
const WIDE: usize = 64;

/// Runs a pool that was checked, on a processor with the instructions.
pub(super) fn run(step: &Pool, input: &[u8], output: &mut [u8]) {
    step.halo.fill(output);
    if maximum::run(step, input, output) {
        return;
    }
    for row in 0..step.extent.rows {
        let (rows, padded_rows) = window(step, 0, row, step.input_rows);
        for column in 0..step.extent.columns {
            let (columns, padded_columns) = window(step, 1, column, step.input_columns);
            let count = if step.include_padding == 0 {
                rows.len() as u64 * columns.len() as u64
            } else {
                u64::from(padded_rows) * u64::from(padded_columns)
            };
            if rows.is_empty() || columns.is_empty() {
                super::scalar::pool_pixel(step, input, output, [row, column]);
                continue;
            }
            let first = [
                row * step.strides[0] + rows.start * step.dilations[0] - step.before[0],
                column * step.strides[1] + columns.start * step.dilations[1] - step.before[1],
            ];
            for image in 0..step.extent.images {
                let job = Window {
                    step,
                    input: &input[step.input_grid.at(image, first[0], first[1])..],
                    rows: rows.len(),
                    columns: columns.len(),
                    count: count as f64,
                };
                let out = step.output_grid.at(image, row, column);
                // SAFETY: the tier is chosen only for a `Cpu` that has the instructions; the step was checked, so that
                // the channels of every place of the window lie in the input and those of the pixel in the output.
                unsafe { job.run(output[out..].as_mut_ptr()) };
            }
        }
    }
}

/// The part of a window that lies in the input.
struct Window<'a> {
    step: &'a Pool,
    /// From the first place on.
    input: &'a [u8],
    rows: usize,
    columns: usize,
    count: f64,
}

impl Window<'_> {
    /// Calls `visit` with the first channel of each place.
    #[inline(always)]
    fn places(&self, mut visit: impl FnMut(*const u8)) {
        let row_step = self.step.dilations[0] as usize * self.step.input_grid.row as usize;
        let column_step = self.step.dilations[1] as usize * self.step.input_grid.column as usize;
        for row in 0..self.rows {
            for column in 0..self.columns {
                visit(self.input[row * row_step + column * column_step..].as_ptr());
            }
        }
    }

    /// All channels.
    ///
    /// # Safety
    /// The processor has the instructions; the channels of every place lie in the input, those of the pixel in the
    /// output.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    unsafe fn run(&self, output: *mut u8) {
        let channels = self.step.channels as usize;
        let mut whole = 0;
        if self.step.kind == PoolKind::MaxU8 {
            whole = channels / WIDE * WIDE;
            for first in (0..whole).step_by(WIDE) {
                let mut greatest = _mm512_setzero_si512();
                // SAFETY: the channels of each place lie in the input, those of the pixel in the output.
                unsafe {
                    self.places(|at| {
                        greatest = _mm512_max_epu8(greatest, _mm512_loadu_si512(at.add(first).cast()));
                    });
                    _mm512_storeu_si512(output.add(first).cast(), greatest);
                }
            }
        }
        for first in (whole..channels).step_by(BLOCK) {
            let mask = (0xffff_u32 >> (BLOCK - (channels - first).min(BLOCK))) as u16;
            // SAFETY: the mask leaves out channels that are not there.
            unsafe {
                match self.step.kind {
                    PoolKind::MaxU8 => {
                        let mut greatest = _mm_setzero_si128();
                        self.places(|at| {
                            let x = load_bytes(at.add(first), mask);
                            greatest = _mm_max_epu8(greatest, x);
                        });
                        store_bytes(output.add(first), greatest, mask.count_ones() as usize);
                    }
                    PoolKind::MaxF32 => {
                        let mut greatest = _mm512_set1_ps(f32::NEG_INFINITY);
                        self.places(|at| {
                            let x = load(at.add(first * 4).cast(), mask);
                            greatest = _mm512_max_ps(x, greatest);
                        });
                        store(output.add(first * 4).cast(), mask, greatest);
                    }
                    PoolKind::MeanU8 => {
                        let affine = &self.step.input_affine;
                        let (zero, scale) = (_mm512_set1_epi32(affine.zero), _mm512_set1_ps(affine.scale));
                        let mut sums = [_mm512_setzero_pd(); 2];
                        self.places(|at| {
                            let x = _mm512_cvtepu8_epi32(load_bytes(at.add(first), mask));
                            let x = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(x, zero)), scale);
                            add(&mut sums, x);
                        });
                        let y = self.mean(&sums);
                        let affine = &self.step.output_affine;
                        let y = _mm512_div_ps(y, _mm512_set1_ps(affine.scale));
                        let low = _mm512_set1_ps(-affine.zero as f32);
                        let high = _mm512_set1_ps((255 - affine.zero) as f32);
                        let y = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(y, low), high));
                        let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(y, _mm512_set1_epi32(affine.zero)));
                        store_bytes(output.add(first), bytes, mask.count_ones() as usize);
                    }
                    PoolKind::MeanF32 => {
                        let mut sums = [_mm512_setzero_pd(); 2];
                        self.places(|at| add(&mut sums, load(at.add(first * 4).cast(), mask)));
                        store(output.add(first * 4).cast(), mask, self.mean(&sums));
                    }
                }
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
    fn mean(&self, sums: &[__m512d; 2]) -> __m512 {
        let count = _mm512_set1_pd(self.count);
        let [low, high] = sums.map(|sum| _mm512_cvtpd_ps(_mm512_div_pd(sum, count)));
        let both = _mm512_insertf64x4::<1>(
            _mm512_castps_pd(_mm512_castps256_ps512(low)),
            _mm256_castps_pd(high),
        );
        _mm512_castpd_ps(both)
    }
}

/// Adds 16 numbers to sums of twice their width.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni,fma")]
fn add(sums: &mut [__m512d; 2], x: __m512) {
    let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
    sums[0] = _mm512_add_pd(sums[0], _mm512_cvtps_pd(_mm512_castps512_ps256(x)));
    sums[1] = _mm512_add_pd(sums[1], _mm512_cvtps_pd(high));
}
