//! Pools: 16 channels at a time.

use core::arch::aarch64::*;

use super::lanes::{four, load_bytes, load_floats, store_bytes, store_floats};
use super::store::{Limits, integers};
use crate::kernels::scalar::{self, window};
use crate::step::{BLOCK, Epilogue, Pool, PoolKind};

/// Runs a pool that was checked.
pub(super) fn run(step: &Pool, input: &[u8], output: &mut [u8]) {
    step.halo.fill(output);
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
                scalar::pool_pixel(step, input, output, [row, column]);
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
                // SAFETY: the step was checked, so that the channels of every place of the window lie in the input and
                // those of the pixel in the output.
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

/// 16 sums of `f32`.
type Wide = [[float64x2_t; 2]; 4];

impl Window<'_> {
    /// Calls `visit` with the first channel of each place.
    #[inline(always)]
    fn places(&self, mut visit: impl FnMut(*const u8)) {
        let row_step = self.step.dilations[0] as usize * self.step.input_grid.row as usize;
        let column_step = self.step.dilations[1] as usize * self.step.input_grid.column as usize;
        for row in 0..self.rows {
            for column in 0..self.columns {
                visit(
                    self.input
                        .as_ptr()
                        .wrapping_add(row * row_step + column * column_step),
                );
            }
        }
    }

    /// All channels.
    ///
    /// # Safety
    /// The channels of every place lie in the input, those of the pixel in the output.
    unsafe fn run(&self, output: *mut u8) {
        let channels = self.step.channels as usize;
        for first in (0..channels).step_by(BLOCK) {
            let count = (channels - first).min(BLOCK);
            // SAFETY: no more channels are read or written than there are.
            unsafe {
                match self.step.kind {
                    PoolKind::MaxU8 => {
                        let mut greatest = vdupq_n_u8(0);
                        self.places(|at| greatest = vmaxq_u8(greatest, load_bytes(at.add(first), count)));
                        store_bytes(output.add(first), greatest, count);
                    }
                    PoolKind::MaxF32 => {
                        let mut greatest = [vdupq_n_f32(f32::NEG_INFINITY); 4];
                        self.places(|at| {
                            let x = load_floats(at.add(first * 4).cast(), count);
                            greatest = four(|n| vmaxnmq_f32(greatest[n], x[n]));
                        });
                        store_floats(output.add(first * 4).cast(), greatest, count);
                    }
                    PoolKind::MeanU8 => {
                        let (from, to) = (&self.step.input_affine, &self.step.output_affine);
                        let zero = vdupq_n_s32(from.zero);
                        let mut sums: Wide = [[vdupq_n_f64(0.0); 2]; 4];
                        self.places(|at| {
                            let x = integers(load_bytes(at.add(first), count));
                            add(
                                &mut sums,
                                four(|n| vmulq_n_f32(vcvtq_f32_s32(vsubq_s32(x[n], zero)), from.scale)),
                            );
                        });
                        let y = self.mean(&sums);
                        let limits = Limits::new(&Epilogue {
                            zero_point: to.zero,
                            low: -to.zero as f32,
                            high: (255 - to.zero) as f32,
                        });
                        let y = four(|n| vdivq_f32(y[n], vdupq_n_f32(to.scale)));
                        store_bytes(output.add(first), limits.bytes(y), count);
                    }
                    PoolKind::MeanF32 => {
                        let mut sums: Wide = [[vdupq_n_f64(0.0); 2]; 4];
                        self.places(|at| add(&mut sums, load_floats(at.add(first * 4).cast(), count)));
                        store_floats(output.add(first * 4).cast(), self.mean(&sums), count);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn mean(&self, sums: &Wide) -> [float32x4_t; 4] {
        // SAFETY: every 64-bit Arm processor has the instructions.
        unsafe {
            let count = vdupq_n_f64(self.count);
            four(|n| {
                let low = vcvt_f32_f64(vdivq_f64(sums[n][0], count));
                vcvt_high_f32_f64(low, vdivq_f64(sums[n][1], count))
            })
        }
    }
}

/// Adds 16 numbers to sums of twice their width.
#[inline(always)]
fn add(sums: &mut Wide, x: [float32x4_t; 4]) {
    // SAFETY: every 64-bit Arm processor has the instructions.
    unsafe {
        for (sums, x) in sums.iter_mut().zip(x) {
            sums[0] = vaddq_f64(sums[0], vcvt_f64_f32(vget_low_f32(x)));
            sums[1] = vaddq_f64(sums[1], vcvt_high_f64_f32(x));
        }
    }
}
