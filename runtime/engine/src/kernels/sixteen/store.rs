//! Stores of sums: requantized, scaled or limited.

use super::conv::{Job, Places, Products};
use super::lanes::{Lanes, Work};
use crate::kernels::scalar::round;
use crate::step::{Arithmetic, BLOCK, Conv, Epilogue};

/// The channels of a block.
pub(super) struct Channels {
    /// Bytes before its bias and scale.
    pub table: usize,
    pub first: usize,
    pub count: usize,
}

/// 16 `f32` of a table with an entry for each channel of the blocks.
///
/// # Safety
/// The table has them from this byte on.
#[inline(always)]
pub(crate) unsafe fn table<L: Lanes>(l: L, bytes: &[u8], at: usize) -> L::Reals {
    // SAFETY: as for this function.
    unsafe { l.load(bytes.as_ptr().add(at).cast(), BLOCK) }
}

/// Limits and zero point of integer outputs of a step that was checked: the limits plus the zero point are inside `u8`.
#[inline(always)]
pub(crate) fn limits<L: Lanes>(l: L, epilogue: &Epilogue) -> L::Limits {
    // Rounding keeps the order: a rounded number inside rounded limits is the limited number rounded.
    // Those of other arithmetic, which are not used, may be anything.
    let limit = |x: f32| (round(x) as i32).wrapping_add(epilogue.zero_point) as u8;
    l.limits(
        epilogue.zero_point as u8,
        limit(epilogue.low),
        limit(epilogue.high),
    )
}

/// Runs a block for each pixel, written out: constant places keep the sums in registers.
macro_rules! for_each_pixel {
    ($p:ident < $pixels:ident, $body:block) => {
        for_each_pixel!(@ $p $pixels $body 0 1 2 3 4 5)
    };
    (@ $p:ident $pixels:ident $body:block $($number:literal)*) => {$(
        if $number < $pixels {
            let $p = $number % $pixels;
            $body
        }
    )*};
}

/// Requantizes the sums of a block at `P` pixels, the first `BEGIN` channels left out; nothing is added.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
pub(super) unsafe fn store_plain<T: Products, const P: usize, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    channels: &Channels,
    sums: [<T::Lanes as Lanes>::Integers; P],
) {
    let (l, limits) = (job.lanes, job.limits);
    // SAFETY: as for this function.
    unsafe {
        let scale = table(l, job.operands.scale, channels.table);
        for_each_pixel!(p < P, {
            let bytes = l.to_bytes(l.mul(l.to_reals(sums[p]), scale), limits);
            let to = job.output.add(places.output[p] + channels.first);
            store_bytes::<_, BEGIN>(l, to, bytes, channels.count);
        });
    }
}

/// Requantizes the sums of a block at `P` pixels from the first on, the first `BEGIN` channels left out, and a second
/// tensor added.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
unsafe fn store_added<T: Products, const P: usize, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    first: usize,
    channels: &Channels,
    sums: [<T::Lanes as Lanes>::Integers; P],
) {
    let (l, operands, limits) = (job.lanes, job.operands, job.limits);
    // SAFETY: as for this function.
    unsafe {
        let scale = table(l, operands.scale, channels.table);
        let add = Addition::new(l, job.step);
        for_each_pixel!(p < P, {
            let other = operands.other.as_ptr();
            let other = other.add(places.other[first + p] + channels.first);
            let other = l.load_bytes(other, channels.count);
            let sum = add.sum(l.mul(l.to_reals(sums[p]), scale), other);
            let to = job.output.add(places.output[first + p] + channels.first);
            store_bytes::<_, BEGIN>(l, to, l.to_bytes(sum, limits), channels.count);
        });
    }
}

/// Stores the sums of a block at `P` pixels from the first on, the first `BEGIN` channels left out, as the step says.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
pub(super) unsafe fn store<T: Products, const P: usize, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    first: usize,
    channels: &Channels,
    sums: [<T::Lanes as Lanes>::Integers; P],
) {
    // SAFETY: as for this function.
    unsafe {
        match job.step.arithmetic {
            _ if T::REALS => store_f32::<_, P, BEGIN>(job, places, first, channels, sums),
            // Where nothing is added, all sums are stored where they are made.
            Arithmetic::U8ToU8 if job.is_plain => store_plain::<_, P, BEGIN>(job, places, channels, sums),
            Arithmetic::U8ToU8 => store_added::<_, P, BEGIN>(job, places, first, channels, sums),
            Arithmetic::RowsToF32 => store_rows::<_, P, BEGIN>(job, places, first, channels, sums),
            Arithmetic::U8ToF32 | Arithmetic::F32 => {
                store_scaled::<_, P, BEGIN>(job, places, first, channels, sums);
            }
        }
    }
}

/// The sums of a block at some pixels, the channels from `begin` on, 0 or 8, stored one pixel after the other: one
/// function for all sizes of tiles.
///
/// Made only of a step that was checked, as `conv::Tile`.
pub(super) struct Stored<'a, T: Products> {
    pub job: &'a Job<'a, T>,
    pub places: &'a Places,
    pub channels: Channels,
    pub sums: &'a [<T::Lanes as Lanes>::Integers],
    pub begin: usize,
}

impl<T: Products> Work for Stored<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (p, &sum) in self.sums.iter().enumerate() {
            // SAFETY: as this says of itself.
            unsafe {
                if self.begin == 0 {
                    store::<_, 1, 0>(self.job, self.places, p, &self.channels, [sum]);
                } else {
                    store::<_, 1, 8>(self.job, self.places, p, &self.channels, [sum]);
                }
            }
        }
    }
}

/// How a second tensor is added, as a step says.
struct Addition<L: Lanes> {
    lanes: L,
    low: L::Reals,
    high: L::Reals,
    scale: L::Reals,
    other_zero: L::Integers,
    other_scale: L::Reals,
    factor: L::Reals,
    divide: bool,
}

impl<L: Lanes> Addition<L> {
    #[inline(always)]
    fn new(l: L, step: &Conv) -> Self {
        let residual = &step.residual;
        Self {
            lanes: l,
            low: l.real(step.epilogue.low),
            high: l.real(step.epilogue.high),
            scale: l.real(residual.scale),
            other_zero: l.integer(residual.other_zero),
            other_scale: l.real(residual.other_scale),
            factor: l.real(residual.factor),
            divide: residual.divide != 0,
        }
    }

    /// The sum over the scale of the output.
    #[inline(always)]
    fn sum(&self, own: L::Reals, other: L::Bytes) -> L::Reals {
        let l = self.lanes;
        let other = l.to_reals(l.sub_integers(l.widened(other), self.other_zero));
        let own = l.round(l.min(l.max(own, self.low), self.high));
        let sum = l.add(l.mul(own, self.scale), l.mul(other, self.other_scale));
        if self.divide {
            l.div(sum, self.factor)
        } else {
            l.mul(sum, self.factor)
        }
    }
}

/// Scales the integer sums of 16 channels to `f32`, a second tensor added where there is one.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
unsafe fn store_scaled<T: Products, const P: usize, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    first: usize,
    channels: &Channels,
    sums: [<T::Lanes as Lanes>::Integers; P],
) {
    let l = job.lanes;
    // SAFETY: as for this function.
    unsafe {
        let scale = table(l, job.operands.scale, channels.table);
        for_each_pixel!(p < P, {
            let y = l.mul(l.to_reals(sums[p]), scale);
            store_sum::<_, BEGIN>(job, places, first + p, channels, y);
        });
    }
}

/// Limits the sums of 16 channels, a second tensor added where there is one.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
unsafe fn store_f32<T: Products, const P: usize, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    first: usize,
    channels: &Channels,
    sums: [<T::Lanes as Lanes>::Integers; P],
) {
    // SAFETY: as for this function.
    unsafe {
        for_each_pixel!(p < P, {
            store_sum::<_, BEGIN>(job, places, first + p, channels, job.lanes.of_bits(sums[p]));
        });
    }
}

/// Scales the integer sums of 16 channels by the scales of channels and pixels, and limits them.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
unsafe fn store_rows<T: Products, const P: usize, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    first: usize,
    channels: &Channels,
    sums: [<T::Lanes as Lanes>::Integers; P],
) {
    let (l, operands) = (job.lanes, job.operands);
    // SAFETY: as for this function; there is a scale for each pixel.
    unsafe {
        let scale = table(l, operands.scale, channels.table);
        let offset = if operands.offset.is_empty() {
            l.real(-0.0)
        } else {
            table(l, operands.offset, channels.table)
        };
        for_each_pixel!(p < P, {
            let row = operands.input.as_ptr().add(places.scales + (first + p) * 4);
            let row = l.real(row.cast::<f32>().read_unaligned());
            let y = l.mul(l.to_reals(sums[p]), l.mul(scale, row));
            store_sum::<_, BEGIN>(job, places, first + p, channels, l.add(y, offset));
        });
    }
}

/// Limits and stores 16 channels of a pixel, a second tensor added where there is one.
///
/// # Safety
/// As `conv::Tile`.
#[inline(always)]
unsafe fn store_sum<T: Products, const BEGIN: usize>(
    job: &Job<'_, T>,
    places: &Places,
    p: usize,
    channels: &Channels,
    mut y: <T::Lanes as Lanes>::Reals,
) {
    let l = job.lanes;
    let Epilogue { low, high, .. } = job.step.epilogue;
    // SAFETY: as for this function; no more channels are read or written than there are.
    unsafe {
        if !job.operands.other.is_empty() {
            let other = job
                .operands
                .other
                .as_ptr()
                .add(places.other[p] + channels.first * 4);
            y = l.add(y, l.load(other.cast(), channels.count));
        }
        if low != f32::NEG_INFINITY || high != f32::INFINITY {
            y = l.min(l.max(y, l.real(low)), l.real(high));
        }
        let to = job.output.add(places.output[p] + channels.first * 4).cast();
        if BEGIN == 0 {
            l.store(to, y, channels.count);
        } else {
            l.store_last(to, y);
        }
    }
}

/// Stores the first `count` of 16 bytes, or all of them without the first half.
///
/// # Safety
/// As many bytes may be written.
#[inline(always)]
unsafe fn store_bytes<L: Lanes, const BEGIN: usize>(l: L, to: *mut u8, bytes: L::Bytes, count: usize) {
    // SAFETY: as for this function.
    unsafe {
        if BEGIN == 0 {
            l.store_bytes(to, bytes, count);
        } else {
            l.store_last_bytes(to, bytes);
        }
    }
}
