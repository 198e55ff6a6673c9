//! Pools: 16 channels at a time.

use super::lanes::{Lanes, Work};
use super::store::limits;
use crate::kernels::scalar::{self, window};
use crate::step::{BLOCK, Epilogue, Pool, PoolKind};

/// Runs a pool that was checked.
pub(super) fn run<L: Lanes>(l: L, step: &Pool, input: &[u8], output: &mut [u8]) {
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
                // The step was checked, so that the channels of every place of the window lie in the input and those of
                // the pixel in the output.
                l.enter(Window {
                    lanes: l,
                    step,
                    input: input[step.input_grid.at(image, first[0], first[1])..].as_ptr(),
                    output: output[step.output_grid.at(image, row, column)..].as_mut_ptr(),
                    rows: rows.len(),
                    columns: columns.len(),
                    count: count as f64,
                });
            }
        }
    }
}

/// The part of a window that lies in the input, and its pixel: the channels of every place may be read, those of the
/// pixel written.
struct Window<'a, L> {
    lanes: L,
    step: &'a Pool,
    /// First place.
    input: *const u8,
    output: *mut u8,
    rows: usize,
    columns: usize,
    count: f64,
}

impl<L: Lanes> Window<'_, L> {
    /// First byte of each place.
    #[inline(always)]
    fn places(&self) -> impl Iterator<Item = *const u8> {
        let row_step = self.step.dilations[0] as usize * self.step.input_grid.row as usize;
        let column_step = self.step.dilations[1] as usize * self.step.input_grid.column as usize;
        let (input, columns) = (self.input, self.columns);
        (0..self.rows).flat_map(move |row| {
            let row = input.wrapping_add(row * row_step);
            (0..columns).map(move |column| row.wrapping_add(column * column_step))
        })
    }
}

impl<L: Lanes> Work for Window<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (l, output) = (self.lanes, self.output);
        let channels = self.step.channels as usize;
        for first in (0..channels).step_by(BLOCK) {
            let count = (channels - first).min(BLOCK);
            // SAFETY: as this says of itself; no more channels are read or written than there are.
            unsafe {
                match self.step.kind {
                    PoolKind::MaxU8 => {
                        let mut greatest = l.byte(0);
                        for at in self.places() {
                            greatest = l.max_bytes(greatest, l.load_bytes(at.add(first), count));
                        }
                        l.store_bytes(output.add(first), greatest, count);
                    }
                    PoolKind::MaxF32 => {
                        let mut greatest = l.real(f32::NEG_INFINITY);
                        for at in self.places() {
                            greatest = l.max(l.load(at.add(first * 4).cast(), count), greatest);
                        }
                        l.store(output.add(first * 4).cast(), greatest, count);
                    }
                    PoolKind::MeanU8 => {
                        let (from, to) = (&self.step.input_affine, &self.step.output_affine);
                        let (zero, scale) = (l.integer(from.zero), l.real(from.scale));
                        let mut sums = l.zeros();
                        for at in self.places() {
                            let x = l.widened(l.load_bytes(at.add(first), count));
                            sums = l.add_wide(sums, l.mul(l.to_reals(l.sub_integers(x, zero)), scale));
                        }
                        let limits = limits(
                            l,
                            &Epilogue {
                                zero_point: to.zero,
                                low: -to.zero as f32,
                                high: (255 - to.zero) as f32,
                            },
                        );
                        let y = l.div(l.over(sums, self.count), l.real(to.scale));
                        l.store_bytes(output.add(first), l.to_bytes(y, limits), count);
                    }
                    PoolKind::MeanF32 => {
                        let mut sums = l.zeros();
                        for at in self.places() {
                            sums = l.add_wide(sums, l.load(at.add(first * 4).cast(), count));
                        }
                        l.store(output.add(first * 4).cast(), l.over(sums, self.count), count);
                    }
                }
            }
        }
    }
}
