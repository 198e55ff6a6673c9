//! Temperatures and thresholds for the answers of a quantized graph.

/// The temperature under which the true labels are most likely: least mean of `-log softmax(z / T)[truth]`, searched
/// from 0.05 to 20 by golden section on `ln T`, in which it has one minimum.
///
/// `None` without items, or where an item's truth is not one of its logits.
pub fn fit_temperature(logits: &[Vec<f64>], truth: &[usize]) -> Option<f64> {
    let pairs: Vec<(&[f64], usize)> = logits
        .iter()
        .map(Vec::as_slice)
        .zip(truth.iter().copied())
        .collect();
    if pairs.is_empty() || pairs.iter().any(|(logits, truth)| *truth >= logits.len()) {
        return None;
    }
    let cost = |ln_t: f64| {
        let t = ln_t.exp();
        let each = pairs.iter().map(|(logits, truth)| {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|z| ((z - most) / t).exp()).sum();
            sum.ln() - (logits[*truth] - most) / t
        });
        each.sum::<f64>()
    };
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05f64.ln(), 20f64.ln());
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut cost_a, mut cost_b) = (cost(a), cost(b));
    for _ in 0..60 {
        if cost_a <= cost_b {
            (high, b, cost_b) = (b, a, cost_a);
            a = high - ratio * (high - low);
            cost_a = cost(a);
        } else {
            (low, a, cost_a) = (a, b, cost_b);
            b = low + ratio * (high - low);
            cost_b = cost(b);
        }
    }
    Some(((low + high) / 2.0).exp())
}

/// The threshold under which most decisions `p >= threshold` are those of the float graph; of as many, the one nearest
/// to the old threshold, which therefore stays where nothing is gained.
pub fn fit_threshold(probabilities: &[f64], decisions: &[bool], old: f64) -> f64 {
    let mut items: Vec<(f64, bool)> = probabilities
        .iter()
        .copied()
        .zip(decisions.iter().copied())
        .collect();
    items.sort_by(|a, b| a.0.total_cmp(&b.0));
    let right = |threshold: f64| items.iter().filter(|(p, yes)| (*p >= threshold) == *yes).count();
    let mut best = (right(old), old);
    // Between two neighbours every threshold decides alike: the middle stands for all.
    let middles = items.windows(2).map(|pair| (pair[0].0 + pair[1].0) / 2.0);
    // Decisions below a threshold, counted on from one middle to the next.
    let yes = items.iter().filter(|(_, yes)| *yes).count();
    let mut count = yes;
    for ((_, decision), middle) in items.iter().zip(middles) {
        if *decision {
            count -= 1;
        } else {
            count += 1;
        }
        let nearer = (middle - old).abs() < (best.1 - old).abs();
        if middle > 0.0 && middle < 1.0 && (count > best.0 || count == best.0 && nearer && best.1 != old) {
            best = (count, middle);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_undoes_a_factor_of_the_logits() {
        let items: Vec<(Vec<f64>, usize)> = (0..300)
            .map(|n| {
                let a = f64::from(n % 17) / 4.0 - 2.0;
                (vec![a, 0.0], usize::from((n * 7) % 10 >= 5 + n % 17 / 4))
            })
            .collect();
        let truth: Vec<usize> = items.iter().map(|(_, t)| *t).collect();
        let plain: Vec<Vec<f64>> = items.iter().map(|(z, _)| z.clone()).collect();
        let tripled: Vec<Vec<f64>> = plain
            .iter()
            .map(|z| z.iter().map(|z| z * 3.0).collect())
            .collect();
        let (one, three) = (
            fit_temperature(&plain, &truth).unwrap(),
            fit_temperature(&tripled, &truth).unwrap(),
        );
        assert!((three / one - 3.0).abs() < 1e-3, "{one} {three}");
        assert_eq!(fit_temperature(&[], &[]), None);
        assert_eq!(fit_temperature(&[vec![0.0]], &[1]), None);
    }

    #[test]
    fn a_threshold_moves_only_where_that_keeps_more_decisions() {
        let decisions = [false, false, true, true];
        assert_eq!(fit_threshold(&[0.1, 0.4, 0.6, 0.9], &decisions, 0.5), 0.5);
        let moved = fit_threshold(&[0.05, 0.2, 0.4, 0.8], &decisions, 0.5);
        assert!(moved > 0.2 && moved <= 0.4, "{moved}");
        assert_eq!(fit_threshold(&[], &[], 0.3), 0.3);
    }
}
