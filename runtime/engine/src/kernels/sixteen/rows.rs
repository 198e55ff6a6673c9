//! Rows that are quantized as they come.

use super::LANES;
use super::functions::function_run;
use super::lanes::{Lanes, Work};
use crate::kernels::{floats, floats_mut, for_each_run, is_vectorised};
use crate::step::{Function, QuantizeRows, ROW_ZERO};

/// Least scale whose reciprocal is as precise as any.
const LEAST_SCALE: f32 = 1e-30;
/// From this distance to the nearest integer on, a product with the reciprocal may round to another integer than the
/// quotient: both differ by less than 3e-5 for quotients up to 127.
const NEAR_TIE: f32 = 0.4999;

/// Quantizes rows of a step that was checked; `false` where there is no code for the function, and nothing has run.
pub(super) fn quantize<L: Lanes>(l: L, step: &QuantizeRows, input: &[u8], output: &mut [u8]) -> bool {
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
                function_run(l, step.function, [step.alpha, step.beta], x, made);
                made
            };
            scales[row] = l.enter(Row { l, x, integers });
            row += 1;
        }
    });
    true
}

/// A row, and as many integers as elements at least.
struct Row<'a, L> {
    l: L,
    x: &'a [f32],
    integers: &'a mut [u8],
}

impl<L: Lanes> Work for Row<'_, L> {
    /// The scale.
    type Output = f32;

    #[inline(always)]
    fn run(self) -> f32 {
        let Self { l, x, integers } = self;
        let scale = greatest(l, x) / 127.0;
        let (used, padding) = integers.split_at_mut(x.len());
        padding.fill(ROW_ZERO as u8);
        if scale == 0.0 {
            used.fill(ROW_ZERO as u8);
            return scale;
        }
        let divisor = Divisor {
            scale,
            factor: 1.0 / scale,
            exact: scale < LEAST_SCALE,
        };
        let limits = l.limits(ROW_ZERO as u8, 0, 255);
        let (whole, rest) = x.as_chunks::<LANES>();
        let (to, to_rest) = used.as_chunks_mut::<LANES>();
        // SAFETY: both have as many elements.
        unsafe {
            for (x, to) in whole.iter().zip(to) {
                let quotient = divisor.over(l, l.load(x.as_ptr(), LANES));
                l.store_bytes(to.as_mut_ptr(), l.to_bytes(quotient, limits), LANES);
            }
            let quotient = divisor.over(l, l.load(rest.as_ptr(), rest.len()));
            l.store_bytes(to_rest.as_mut_ptr(), l.to_bytes(quotient, limits), rest.len());
        }
        scale
    }
}

/// The greatest magnitude; what is no number is passed over.
#[inline(always)]
fn greatest<L: Lanes>(l: L, x: &[f32]) -> f32 {
    let (whole, rest) = x.as_chunks::<LANES>();
    let mut most = l.real(0.0);
    for x in whole {
        // SAFETY: as many elements are there.
        most = l.max(l.abs(unsafe { l.load(x.as_ptr(), LANES) }), most);
    }
    rest.iter().fold(l.greatest(most), |most, x| most.max(x.abs()))
}

/// The scale of a row.
struct Divisor {
    scale: f32,
    factor: f32,
    /// Whether only the quotient will do.
    exact: bool,
}

impl Divisor {
    /// Numbers whose nearest integers are those of the quotients; 0 for what is no number.
    #[inline(always)]
    fn over<L: Lanes>(&self, l: L, x: L::Reals) -> L::Reals {
        let product = l.mul(x, l.real(self.factor));
        let distance = l.abs(l.sub(product, l.round(product)));
        // What is no number takes the exact way too.
        if l.all_at_most(distance, NEAR_TIE) && !self.exact {
            return product;
        }
        let quotient = l.within(l.div(x, l.real(self.scale)), l.real(-127.0), l.real(127.0));
        l.or_zero(quotient)
    }
}
