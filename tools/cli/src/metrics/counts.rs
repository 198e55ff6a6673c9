//! True and false positives and negatives of each label.

use super::{Judged, mean};

/// Counts over a choice of items.
#[derive(Debug, Clone)]
pub struct Counts {
    items: usize,
    right: usize,
    labels: Vec<LabelCounts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct LabelCounts {
    true_positive: usize,
    false_positive: usize,
    false_negative: usize,
}

impl Counts {
    /// Counts the items at `chosen`, where an index may occur several times.
    pub fn of(items: &[Judged], chosen: &[usize], labels: usize) -> Self {
        let mut counts = Self {
            items: chosen.len(),
            right: 0,
            labels: vec![LabelCounts::default(); labels],
        };
        for item in chosen.iter().map(|&index| &items[index]) {
            let selected: &[usize] = item.answer.as_ref().map_or(&[], |answer| &answer.selected);
            for label in selected {
                if item.truth.contains(label) {
                    counts.labels[*label].true_positive += 1;
                } else {
                    counts.labels[*label].false_positive += 1;
                }
            }
            for label in item.truth.iter().filter(|label| !selected.contains(label)) {
                counts.labels[*label].false_negative += 1;
            }
            counts.right += usize::from(item.answer.is_some() && selected == item.truth);
        }
        counts
    }

    /// Share of items answered exactly.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.right, self.items)
    }

    /// Items that have the label.
    pub fn support(&self, label: usize) -> usize {
        self.labels[label].true_positive + self.labels[label].false_negative
    }

    /// `tp / (tp + fp)`.
    pub fn precision(&self, label: usize) -> Option<f64> {
        let counts = self.labels[label];
        ratio(counts.true_positive, counts.true_positive + counts.false_positive)
    }

    /// `tp / (tp + fn)`.
    pub fn recall(&self, label: usize) -> Option<f64> {
        ratio(self.labels[label].true_positive, self.support(label))
    }

    /// `2 tp / (2 tp + fp + fn)`.
    pub fn f1(&self, label: usize) -> Option<f64> {
        let counts = self.labels[label];
        let positive = 2 * counts.true_positive;
        ratio(positive, positive + counts.false_positive + counts.false_negative)
    }

    /// Mean recall over the labels that occur.
    pub fn unweighted_average_recall(&self) -> Option<f64> {
        mean(
            &(0..self.labels.len())
                .filter_map(|label| self.recall(label))
                .collect::<Vec<_>>(),
        )
    }

    /// Mean F1 over the labels that occur in truth or answers.
    pub fn macro_f1(&self) -> Option<f64> {
        mean(
            &(0..self.labels.len())
                .filter_map(|label| self.f1(label))
                .collect::<Vec<_>>(),
        )
    }

    /// F1 of all label decisions pooled.
    pub fn micro_f1(&self) -> Option<f64> {
        let sum = |field: fn(&LabelCounts) -> usize| self.labels.iter().map(field).sum::<usize>();
        let positive = 2 * sum(|counts| counts.true_positive);
        ratio(
            positive,
            positive + sum(|counts| counts.false_positive) + sum(|counts| counts.false_negative),
        )
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
