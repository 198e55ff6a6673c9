//! Ranges chosen from a histogram.

use crate::calibrate::{Histogram, Range};

/// Thresholds that are tried, as equal parts of the whole range.
const STEPS: usize = 128;

/// The range that leaves out `1 - percentile / 100` of the values, half of them on each side; with `symmetric` the
/// magnitudes' percentile on both sides.
pub(super) fn percentile(histogram: &Histogram, seen: Range, percentile: f64, symmetric: bool) -> Range {
    let outside = 1.0 - percentile / 100.0;
    if symmetric {
        let folded = histogram.magnitudes();
        let limit = quantile(&folded, 1.0 - outside).min(magnitude(seen));
        return Range::new(-limit, limit);
    }
    let low = quantile(histogram, outside / 2.0).max(f64::from(seen.min));
    let high = quantile(histogram, 1.0 - outside / 2.0).min(f64::from(seen.max));
    Range::new(low, high.max(low))
}

/// The value below which a share of the counts lies, linear inside a bin.
fn quantile(histogram: &Histogram, share: f64) -> f64 {
    let wanted = share * histogram.total() as f64;
    let mut below = 0.0;
    for (n, &count) in histogram.counts().iter().enumerate() {
        let count = count as f64;
        if count > 0.0 && below + count >= wanted {
            let inside = ((wanted - below) / count).clamp(0.0, 1.0);
            return histogram.start() + (n as f64 + inside) * histogram.width();
        }
        below += count;
    }
    histogram.start() + histogram.counts().len() as f64 * histogram.width()
}

/// The range with the least expected squared error of rounding and clamping to `levels` steps.
///
/// Both ends are drawn in together, then by turns, each time to the best of equal steps.
pub(super) fn least_squares(histogram: &Histogram, seen: Range, levels: usize, symmetric: bool) -> Range {
    if symmetric {
        let limit = magnitude(seen);
        return best(STEPS, |share| {
            let range = Range::new(-limit * share, limit * share);
            (squared_error(histogram, range, levels), range)
        });
    }
    let whole = Range::new(f64::from(seen.min).min(0.0), f64::from(seen.max).max(0.0));
    let mut range = best(STEPS, |share| {
        let tried = Range::new(f64::from(whole.min) * share, f64::from(whole.max) * share);
        (squared_error(histogram, tried, levels), tried)
    });
    for _ in 0..2 {
        if whole.max > 0.0 {
            range = best(STEPS, |share| {
                let tried = Range::new(f64::from(range.min), f64::from(whole.max) * share);
                (squared_error(histogram, tried, levels), tried)
            });
        }
        if whole.min < 0.0 {
            range = best(STEPS, |share| {
                let tried = Range::new(f64::from(whole.min) * share, f64::from(range.max));
                (squared_error(histogram, tried, levels), tried)
            });
        }
    }
    range
}

/// The candidate of least cost among shares `1, (n-1)/n, ..., 1/n`; the widest of equals.
fn best(steps: usize, candidate: impl Fn(f64) -> (f64, Range)) -> Range {
    let mut found = candidate(1.0);
    for step in 1..steps {
        let tried = candidate((steps - step) as f64 / steps as f64);
        if tried.0 < found.0 {
            found = tried;
        }
    }
    found.1
}

fn squared_error(histogram: &Histogram, range: Range, levels: usize) -> f64 {
    let (low, high) = (f64::from(range.min).min(0.0), f64::from(range.max).max(0.0));
    let step = (high - low) / (levels.max(2) - 1) as f64;
    if step <= 0.0 {
        return f64::INFINITY;
    }
    let width = histogram.width();
    let mut error = 0.0;
    for (n, &count) in histogram.counts().iter().enumerate() {
        if count == 0 {
            continue;
        }
        let centre = histogram.start() + (n as f64 + 0.5) * width;
        // Zero is one of the steps.
        let rounded = (centre.clamp(low, high) / step).round() * step;
        // A bin wider than a step averages over the whole sawtooth, which its centre alone would miss.
        let inside = if centre >= low && centre <= high && width > step {
            step * step / 12.0
        } else {
            (centre - rounded).powi(2)
        };
        error += count as f64 * inside;
    }
    error
}

/// The range whose quantized distribution has the least Kullback-Leibler divergence from the values' own.
///
/// Thresholds on the magnitude are tried from the whole range down; values outside are added to the outermost bins of
/// the reference, and the reference without them is merged into `levels` steps and spread again over its occupied bins.
/// The method of Migacz, "8-bit inference with TensorRT" (2017), on a range of one or two sides.
pub(super) fn entropy(histogram: &Histogram, seen: Range, levels: usize, symmetric: bool) -> Range {
    let limit = magnitude(seen);
    let cut = |share: f64| {
        let threshold = limit * share;
        if symmetric {
            Range::new(-threshold, threshold)
        } else {
            Range::new(
                f64::from(seen.min).max(-threshold).min(0.0),
                f64::from(seen.max).min(threshold).max(0.0),
            )
        }
    };
    best(STEPS, |share| {
        let range = cut(share);
        (divergence(histogram, range, levels), range)
    })
}

fn divergence(histogram: &Histogram, range: Range, levels: usize) -> f64 {
    let width = histogram.width();
    let place = |value: f64| (value - histogram.start()) / width;
    let bins = histogram.counts().len();
    let first = (place(range.min.into()).floor().max(0.0) as usize).min(bins.saturating_sub(1));
    let last = (place(range.max.into()).ceil().max(1.0) as usize - 1).clamp(first, bins.saturating_sub(1));
    let Some(inside) = histogram.counts().get(first..=last) else {
        return f64::INFINITY;
    };
    let below: u64 = histogram.counts().iter().take(first).sum();
    let above: u64 = histogram.counts().iter().skip(last + 1).sum();
    let total = histogram.total() as f64;
    let kept: u64 = inside.iter().sum();
    if kept == 0 || total == 0.0 {
        return f64::INFINITY;
    }
    let steps = levels.min(inside.len());
    let mut divergence = 0.0;
    for step in 0..steps {
        let from = step * inside.len() / steps;
        let to = (step + 1) * inside.len() / steps;
        let part = inside.get(from..to).unwrap_or_default();
        let occupied = part.iter().filter(|&&count| count > 0).count();
        let mean = part.iter().sum::<u64>() as f64 / occupied.max(1) as f64 / kept as f64;
        for (n, &count) in part.iter().enumerate() {
            let bin = from + n;
            let outliers = if bin == 0 { below } else { 0 } + if bin + 1 == inside.len() { above } else { 0 };
            let p = (count + outliers) as f64 / total;
            if p > 0.0 {
                // An edge bin that only outliers fill has no mass in the quantized distribution.
                let q = if count > 0 { mean } else { 1e-12 };
                divergence += p * (p / q).ln();
            }
        }
    }
    divergence
}

fn magnitude(range: Range) -> f64 {
    f64::from(range.min.abs().max(range.max.abs()))
}
