//! Percentile bootstrap over items.

use super::{Counts, Intervals, Judged};

const SEED: u64 = 0x4c69_6d62_6963;
const LEVEL: f64 = 0.95;

/// Intervals of the main figures from `resamples` resamples with replacement; the seed is fixed, so the same answers
/// give the same interval.
pub fn intervals(items: &[Judged], labels: usize, resamples: usize) -> Intervals {
    let mut random = SplitMix64(SEED);
    let (mut accuracy, mut recall, mut f1) = (Vec::new(), Vec::new(), Vec::new());
    if !items.is_empty() {
        let mut chosen = vec![0; items.len()];
        for _ in 0..resamples {
            for slot in &mut chosen {
                *slot = random.below(items.len());
            }
            let counts = Counts::of(items, &chosen, labels);
            accuracy.extend(counts.accuracy());
            recall.extend(counts.unweighted_average_recall());
            f1.extend(counts.macro_f1());
        }
    }
    Intervals {
        level: LEVEL,
        resamples,
        accuracy: percentiles(accuracy),
        unweighted_average_recall: percentiles(recall),
        macro_f1: percentiles(f1),
    }
}

fn percentiles(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    Some([quantile(&values, tail)?, quantile(&values, 1.0 - tail)?])
}

/// Linear interpolation between order statistics, as `numpy.quantile`.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "position lies in 0..=last"
    )]
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

/// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform index below `bound` by the high half of a 128-bit product.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high half is below a usize bound"
    )]
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}
