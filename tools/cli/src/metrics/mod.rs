//! What `limbic eval` reports about a set of answers.

mod bootstrap;
mod counts;
mod ranking;

use serde::Serialize;

use counts::Counts;

/// Bins of the expected calibration error, equal in width over `0..=1`.
const CALIBRATION_BINS: usize = 15;

/// Resamples of the bootstrap interval.
const RESAMPLES: usize = 1000;

/// Whether one label or any number of labels is right for an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelling {
    /// Exactly one answer: the most probable label.
    Exclusive,
    /// Any number of answers: the labels above their thresholds.
    MultiLabel,
}

/// One judged item: what is true and what was answered.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Indices of the true labels, sorted, at least one.
    pub truth: Vec<usize>,
    /// The answer; `None` for a `no_answer`, which counts as wrong.
    pub answer: Option<Answer>,
}

/// An answer of a head.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Probability of each label, in the order of the label space.
    pub probabilities: Vec<f64>,
    /// Indices of the labels given as the answer; one for an exclusive head.
    pub selected: Vec<usize>,
}

impl Answer {
    /// Index of the most probable label; the first of equals.
    pub fn top(&self) -> usize {
        let mut best = 0;
        for (index, p) in self.probabilities.iter().enumerate() {
            if *p > self.probabilities[best] {
                best = index;
            }
        }
        best
    }
}

/// The figures of one evaluation; `None` where the data cannot say (no items, no positives).
#[derive(Debug, Clone, Serialize)]
pub struct Metrics {
    /// Items judged: answered ones and `no_answer`.
    pub n: usize,
    /// Items without an answer; each counts as wrong.
    pub no_answer: usize,
    /// Share of items whose answer is right; for a multi-label head the whole set of labels must be equal.
    pub accuracy: Option<f64>,
    /// Mean recall over the labels that occur in the data.
    pub unweighted_average_recall: Option<f64>,
    /// Mean F1 over the labels that occur in the data or in the answers.
    pub macro_f1: Option<f64>,
    /// F1 over all label decisions pooled.
    pub micro_f1: Option<f64>,
    /// Mean over the labels that occur of the area under the precision-recall steps.
    pub average_precision: Option<f64>,
    /// Mean distance between confidence and correctness over fifteen equal bins, weighted by their items.
    pub expected_calibration_error: Option<f64>,
    /// 95 % percentile bootstrap over items, fixed seed.
    pub interval: Intervals,
    /// Figures of each label.
    pub per_class: Vec<ClassMetrics>,
    /// Who was taken for whom.
    pub confusion: Confusion,
}

/// Bootstrap intervals, each `[low, high]`.
#[derive(Debug, Clone, Serialize)]
pub struct Intervals {
    /// Confidence level of the intervals.
    pub level: f64,
    /// Number of resamples.
    pub resamples: usize,
    /// Of the accuracy.
    pub accuracy: Option<[f64; 2]>,
    /// Of the unweighted average recall.
    pub unweighted_average_recall: Option<[f64; 2]>,
    /// Of the macro F1.
    pub macro_f1: Option<[f64; 2]>,
}

/// Figures of one label.
#[derive(Debug, Clone, Serialize)]
pub struct ClassMetrics {
    /// The label.
    pub label: String,
    /// Items that truly have it.
    pub support: usize,
    /// Right answers among the answers with this label.
    pub precision: Option<f64>,
    /// Right answers among the items with this label.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Area under its precision-recall steps.
    pub average_precision: Option<f64>,
}

/// Counts of truth against answer.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Confusion {
    /// One row a true label, one column an answered label and a last column for `no_answer`.
    Exclusive {
        /// Names of the rows.
        labels: Vec<String>,
        /// Names of the columns.
        answers: Vec<String>,
        /// Counts.
        matrix: Vec<Vec<usize>>,
    },
    /// For each label `[[true negative, false positive], [false negative, true positive]]`.
    MultiLabel {
        /// Names, in the order of the matrices.
        labels: Vec<String>,
        /// Counts.
        matrices: Vec<[[usize; 2]; 2]>,
    },
}

/// Judges answers against the truth; indices in `items` must be below `labels.len()`.
///
/// For an exclusive head, an item with several right labels is judged by the one that was answered, or by the first.
pub fn evaluate(items: &[Judged], labels: &[String], labelling: Labelling) -> Metrics {
    let narrowed: Vec<Judged>;
    let items = match labelling {
        Labelling::MultiLabel => items,
        Labelling::Exclusive => {
            narrowed = items.iter().map(with_one_truth).collect();
            &narrowed
        }
    };
    let all: Vec<usize> = (0..items.len()).collect();
    let counts = Counts::of(items, &all, labels.len());
    let average_precisions: Vec<Option<f64>> = (0..labels.len())
        .map(|label| ranking::average_precision(items, label))
        .collect();
    let present: Vec<f64> = average_precisions.iter().flatten().copied().collect();
    Metrics {
        n: items.len(),
        no_answer: items.iter().filter(|item| item.answer.is_none()).count(),
        accuracy: counts.accuracy(),
        unweighted_average_recall: counts.unweighted_average_recall(),
        macro_f1: counts.macro_f1(),
        micro_f1: counts.micro_f1(),
        average_precision: mean(&present),
        expected_calibration_error: calibration_error(items, labelling),
        interval: bootstrap::intervals(items, labels.len(), RESAMPLES),
        per_class: labels
            .iter()
            .enumerate()
            .map(|(index, label)| ClassMetrics {
                label: label.clone(),
                support: counts.support(index),
                precision: counts.precision(index),
                recall: counts.recall(index),
                f1: counts.f1(index),
                average_precision: average_precisions[index],
            })
            .collect(),
        confusion: confusion(items, labels, labelling),
    }
}

fn with_one_truth(item: &Judged) -> Judged {
    let answered = item
        .answer
        .as_ref()
        .map(Answer::top)
        .filter(|top| item.truth.contains(top));
    Judged {
        truth: vec![answered.unwrap_or(item.truth[0])],
        answer: item.answer.clone(),
    }
}

fn confusion(items: &[Judged], labels: &[String], labelling: Labelling) -> Confusion {
    match labelling {
        Labelling::Exclusive => {
            let mut matrix = vec![vec![0; labels.len() + 1]; labels.len()];
            for item in items {
                let column = item.answer.as_ref().map_or(labels.len(), Answer::top);
                matrix[item.truth[0]][column] += 1;
            }
            let mut answers = labels.to_vec();
            answers.push("no_answer".to_owned());
            Confusion::Exclusive {
                labels: labels.to_vec(),
                answers,
                matrix,
            }
        }
        Labelling::MultiLabel => {
            let mut matrices = vec![[[0; 2]; 2]; labels.len()];
            for item in items {
                for (label, matrix) in matrices.iter_mut().enumerate() {
                    let truth = usize::from(item.truth.contains(&label));
                    let answer = item
                        .answer
                        .as_ref()
                        .is_some_and(|answer| answer.selected.contains(&label));
                    matrix[truth][usize::from(answer)] += 1;
                }
            }
            Confusion::MultiLabel {
                labels: labels.to_vec(),
                matrices,
            }
        }
    }
}

/// Guo et al. 2017, "On Calibration of Modern Neural Networks": top-label confidence for exclusive heads; for
/// multi-label heads every (item, label) probability is one confidence.
fn calibration_error(items: &[Judged], labelling: Labelling) -> Option<f64> {
    let mut bins = [(0.0_f64, 0.0_f64, 0_usize); CALIBRATION_BINS];
    let mut total = 0;
    let mut add = |confidence: f64, right: bool| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "confidence lies in 0..=1"
        )]
        let bin = ((confidence * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        bins[bin].0 += confidence;
        bins[bin].1 += f64::from(u8::from(right));
        bins[bin].2 += 1;
        total += 1;
    };
    for item in items {
        let Some(answer) = &item.answer else { continue };
        match labelling {
            Labelling::Exclusive => {
                let top = answer.top();
                add(answer.probabilities[top], item.truth.contains(&top));
            }
            Labelling::MultiLabel => {
                for (label, p) in answer.probabilities.iter().enumerate() {
                    add(*p, item.truth.contains(&label));
                }
            }
        }
    }
    (total > 0).then(|| {
        let gap: f64 = bins
            .iter()
            .map(|(confidence, right, _)| (confidence - right).abs())
            .sum();
        gap / f64::from(u32::try_from(total).unwrap_or(u32::MAX))
    })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests;
