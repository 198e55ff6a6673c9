//! A histogram of fixed size over a range that is not known beforehand.

/// Counts of values in bins of equal width, the width a power of two and bin borders at its multiples.
///
/// A value outside the bins doubles the width until all fit: each pair of neighbours becomes one bin, which is exact
/// as borders stay borders. The counts therefore depend on the values only, not on their order or on how they were
/// cut into tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Binary exponent of the width.
    exponent: i32,
    /// Place of the first bin: it begins at `first * width`.
    first: i64,
    counts: Vec<u64>,
    limit: usize,
}

/// Least binary exponent of a width.
const LEAST_EXPONENT: i32 = -126;

/// Bits of a bin's place at most: keeps places exact in `f64` for a tensor far from zero with a narrow range.
const PLACE_BITS: i32 = 40;

impl Histogram {
    /// An empty histogram of at most `limit` bins, at least 2.
    pub fn new(limit: usize) -> Self {
        Self {
            exponent: LEAST_EXPONENT,
            first: 0,
            counts: Vec::new(),
            limit: limit.max(2),
        }
    }

    /// Counts values, whose least and greatest are given; all must be finite.
    pub fn add(&mut self, values: &[f32], min: f32, max: f32) {
        if values.is_empty() {
            return;
        }
        self.make_room(min, max);
        let inverse = power_of_two(-self.exponent);
        for &value in values {
            let place = (f64::from(value) * inverse).floor() as i64;
            if let Some(count) = self.counts.get_mut((place - self.first) as usize) {
                *count += 1;
            }
        }
    }

    /// Width of a bin.
    pub fn width(&self) -> f64 {
        power_of_two(self.exponent)
    }

    /// Lower border of the first bin.
    pub fn start(&self) -> f64 {
        self.first as f64 * self.width()
    }

    /// Number of values in each bin, from the lowest on.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Number of values.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The histogram of the values' magnitudes.
    ///
    /// A border at zero makes it exact but for values on a border, which a mirrored bin counts on its other side.
    pub fn magnitudes(&self) -> Self {
        let mirrored = |place: i64| if place < 0 { -place - 1 } else { place };
        let last = self.first + self.counts.len() as i64 - 1;
        let greatest = mirrored(self.first).max(mirrored(last)).max(0);
        // Bins from zero on may be more than the limit where all values are far from zero.
        let shift = (0..63)
            .find(|&shift| greatest >> shift < self.limit as i64)
            .unwrap_or(63);
        let mut counts = vec![0; (greatest >> shift) as usize + 1];
        for (n, &count) in self.counts.iter().enumerate() {
            let place = mirrored(self.first + n as i64) >> shift;
            if let Some(slot) = counts.get_mut(place as usize) {
                *slot += count;
            }
        }
        Self {
            exponent: self.exponent + shift,
            first: 0,
            counts,
            limit: self.limit,
        }
    }

    fn make_room(&mut self, min: f32, max: f32) {
        let place = |value: f32, exponent: i32| (f64::from(value) * power_of_two(-exponent)).floor() as i64;
        let magnitude = min.abs().max(max.abs());
        // An exponent above the value's own: 2^exponent exceeds the magnitude.
        let top = if magnitude > 0.0 {
            f64::from(magnitude).log2().floor() as i32 + 1
        } else {
            LEAST_EXPONENT
        };
        let mut exponent = self.exponent.max(top - PLACE_BITS);
        let (mut low, mut high);
        loop {
            low = place(min, exponent);
            high = place(max, exponent);
            if !self.counts.is_empty() {
                let shift = exponent - self.exponent;
                low = low.min(shifted(self.first, shift));
                high = high.max(shifted(self.first + self.counts.len() as i64 - 1, shift));
            }
            if high - low < self.limit as i64 {
                break;
            }
            exponent += 1;
        }
        let shift = exponent - self.exponent;
        let mut counts = vec![0; (high - low + 1) as usize];
        for (n, &count) in self.counts.iter().enumerate() {
            let place = shifted(self.first + n as i64, shift);
            if let Some(slot) = counts.get_mut((place - low) as usize) {
                *slot += count;
            }
        }
        (self.exponent, self.first, self.counts) = (exponent, low, counts);
    }
}

/// The place after the width was doubled `shift` times.
fn shifted(place: i64, shift: i32) -> i64 {
    place >> shift.clamp(0, 63)
}

fn power_of_two(exponent: i32) -> f64 {
    2f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(histogram: &mut Histogram, values: &[f32]) {
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        histogram.add(values, min, max);
    }

    fn of(values: &[f32], limit: usize) -> Histogram {
        let mut histogram = Histogram::new(limit);
        add(&mut histogram, values);
        histogram
    }

    #[test]
    fn a_range_that_grows_keeps_every_count() {
        let mut histogram = of(&[0.25, 0.5], 8);
        add(&mut histogram, &[100.0, -3.0]);
        assert_eq!(histogram.total(), 4);
        assert_eq!(histogram.width(), 16.0);
        assert_eq!(histogram.start(), -16.0);
        assert_eq!(histogram.counts(), [1, 2, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn constants_zeros_and_the_largest_floats_have_bins() {
        for value in [0.0, 1.0, -7.5, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-40] {
            let histogram = of(&[value; 5], 16);
            assert_eq!(histogram.total(), 5, "{value}");
        }
        assert_eq!(of(&[f32::MIN, f32::MAX], 16).total(), 2);
        assert_eq!(of(&[], 16).total(), 0);
    }

    #[test]
    fn magnitudes_fold_the_negative_side_over() {
        let folded = of(&[-3.5, -1.5, 0.5, 1.5], 8).magnitudes();
        assert_eq!((folded.start(), folded.total()), (0.0, 4));
        let width = folded.width();
        assert_eq!(folded.counts()[(1.5 / width) as usize], 2);
        assert!(of(&[1e6, 1e6 + 1.0], 8).magnitudes().counts().len() <= 8);
    }

    proptest! {
        #[test]
        fn counts_do_not_depend_on_order_or_on_how_the_values_are_cut(
            values in prop::collection::vec(-1e6f32..1e6, 1..200),
            cut in 0usize..200,
            limit in 2usize..64,
        ) {
            let whole = of(&values, limit);
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut parts = of(right, limit);
            if !left.is_empty() {
                add(&mut parts, left);
            }
            prop_assert_eq!(whole.total(), values.len() as u64);
            prop_assert!(whole.counts().len() <= limit);
            prop_assert_eq!(parts, whole);
        }
    }
}
