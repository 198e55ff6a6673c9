//! What a judge says of a graph's answers, and whether a quantized graph's are good enough.

use serde::Serialize;

use crate::recipe::Limits;

/// How a graph did on a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The task's metric, in points of a hundred.
    pub metric: f64,
    /// The labels answered for each item, by their numbers and in order; none for no answer.
    pub answers: Vec<Vec<usize>>,
    /// Each class.
    pub classes: Vec<Class>,
}

/// How a graph did on a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The label.
    pub label: String,
    /// Items that truly have it.
    pub support: usize,
    /// Items among them that were answered with it.
    pub right: usize,
}

/// A quantized graph's answers beside the float graph's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Number of items.
    pub items: usize,
    /// The float graph's metric, in points.
    pub float_metric: f64,
    /// The quantized graph's metric, in points.
    pub metric: f64,
    /// Points lost; negative where the quantized graph is better.
    pub drop: f64,
    /// Share of equal answers, in `0..=1`.
    pub equal: f64,
    /// Each class.
    pub classes: Vec<ClassAgreement>,
    /// What is over a limit, in words; empty where everything is within.
    pub refused: Vec<String>,
}

/// A class in both graphs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassAgreement {
    /// The label.
    pub label: String,
    /// Items that truly have it.
    pub support: usize,
    /// The float graph's recall, in points; nothing without items.
    pub float_recall: Option<f64>,
    /// The quantized graph's recall, in points.
    pub recall: Option<f64>,
    /// Items answered with it by the float graph.
    pub float_answers: usize,
    /// Items answered with it by the quantized graph.
    pub answers: usize,
}

/// Items of a class that may change whatever the limits: shares of a handful of items say nothing.
const SPARED: usize = 2;

impl Agreement {
    /// Compares two verdicts on the same items.
    pub fn new(float: &Verdict, quantized: &Verdict, limits: &Limits) -> Self {
        let items = float.answers.len();
        let same = float
            .answers
            .iter()
            .zip(&quantized.answers)
            .filter(|(a, b)| a == b)
            .count();
        let equal = if items == 0 {
            0.0
        } else {
            same as f64 / items as f64
        };
        let answered = |verdict: &Verdict, n: usize| {
            verdict
                .answers
                .iter()
                .filter(|answer| answer.contains(&n))
                .count()
        };
        let recall =
            |class: &Class| (class.support > 0).then(|| 100.0 * class.right as f64 / class.support as f64);
        let mut refused = Vec::new();
        let drop = float.metric - quantized.metric;
        // The sum of two decimal fractions is off by less than this.
        const SLACK: f64 = 1e-9;
        if drop.is_nan() || drop > limits.max_drop + SLACK {
            refused.push(format!(
                "the metric drops by {drop:.2} points, allowed are {}",
                limits.max_drop
            ));
        }
        if equal < limits.min_equal - SLACK {
            let (found, wanted) = (100.0 * equal, 100.0 * limits.min_equal);
            refused.push(format!(
                "{found:.2} % of the answers are equal, {wanted} % are wanted"
            ));
        }
        let mut classes = Vec::new();
        for (n, (before, after)) in float.classes.iter().zip(&quantized.classes).enumerate() {
            let class = ClassAgreement {
                label: before.label.clone(),
                support: before.support,
                float_recall: recall(before),
                recall: recall(after),
                float_answers: answered(float, n),
                answers: answered(quantized, n),
            };
            let lost = before.right.saturating_sub(after.right);
            let points = 100.0 * lost as f64 / before.support.max(1) as f64;
            if lost > SPARED && points > limits.max_recall_drop + SLACK {
                refused.push(format!(
                    "the recall of {} drops by {points:.1} points, allowed are {}",
                    class.label, limits.max_recall_drop
                ));
            }
            let moved = class.float_answers.abs_diff(class.answers);
            let points = 100.0 * moved as f64 / items.max(1) as f64;
            if moved > SPARED && points > limits.max_drift + SLACK {
                refused.push(format!(
                    "the share of {} among the answers moves by {points:.1} points, allowed are {}",
                    class.label, limits.max_drift
                ));
            }
            classes.push(class);
        }
        Self {
            items,
            float_metric: float.metric,
            metric: quantized.metric,
            drop,
            equal,
            classes,
            refused,
        }
    }

    /// Whether everything is within the limits.
    pub fn passed(&self) -> bool {
        self.refused.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(metric: f64, answers: &[usize], right: [usize; 2]) -> Verdict {
        let class = |label: &str, right| Class {
            label: label.to_owned(),
            support: 50,
            right,
        };
        Verdict {
            metric,
            answers: answers.iter().map(|&n| vec![n]).collect(),
            classes: vec![class("joy", right[0]), class("fear", right[1])],
        }
    }

    fn check(after: Verdict, refused: &[&str]) {
        let answers: Vec<usize> = (0..100).map(|n| n % 2).collect();
        let before = verdict(80.0, &answers, [40, 40]);
        let agreement = Agreement::new(&before, &after, &Limits::default());
        assert_eq!(agreement.refused.len(), refused.len(), "{:?}", agreement.refused);
        for (found, wanted) in agreement.refused.iter().zip(refused) {
            assert!(found.contains(wanted), "{found}");
        }
    }

    #[test]
    fn each_limit_is_named_when_it_is_passed() {
        let answers: Vec<usize> = (0..100).map(|n| n % 2).collect();
        check(verdict(79.5, &answers, [40, 40]), &[]);
        check(verdict(79.4, &answers, [40, 40]), &["metric"]);
        let mut swapped = answers.clone();
        swapped.swap(0, 1);
        check(verdict(80.0, &swapped, [40, 40]), &["98.00 %"]);
        check(verdict(80.0, &answers, [37, 43]), &["recall of joy"]);
        let drifted: Vec<usize> = (0..100).map(|n| if n < 6 { 0 } else { n % 2 }).collect();
        check(
            verdict(80.0, &drifted, [40, 40]),
            &["97.00 %", "share of joy", "share of fear"],
        );
        check(verdict(f64::NAN, &answers, [40, 40]), &["metric"]);
    }
}
