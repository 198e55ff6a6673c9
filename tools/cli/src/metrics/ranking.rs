//! Figures of the ranking by probability.

use super::Judged;

/// Area under the precision-recall steps of one label: `sum over thresholds of (R_k - R_(k-1)) P_k`, ties at one
/// threshold taken together, as `sklearn.metrics.average_precision_score`.
///
/// An item without an answer ranks last. `None` without a positive item.
pub fn average_precision(items: &[Judged], label: usize) -> Option<f64> {
    let mut ranked: Vec<(f64, bool)> = items
        .iter()
        .map(|item| {
            let score = item
                .answer
                .as_ref()
                .map_or(f64::NEG_INFINITY, |answer| answer.probabilities[label]);
            (score, item.truth.contains(&label))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count();
    if positives == 0 {
        return None;
    }
    let mut area = 0.0;
    let (mut seen, mut found) = (0_usize, 0_usize);
    let mut rest = ranked.as_slice();
    while let Some((score, _)) = rest.first() {
        let tied = rest.iter().take_while(|(other, _)| other == score).count();
        let (group, after) = rest.split_at(tied);
        let hits = group.iter().filter(|(_, positive)| *positive).count();
        seen += tied;
        found += hits;
        area += hits as f64 / positives as f64 * (found as f64 / seen as f64);
        rest = after;
    }
    Some(area)
}
