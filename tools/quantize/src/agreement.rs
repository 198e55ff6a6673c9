//! Whether a quantized graph's answers are good enough beside the float graph's.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Limits;
use crate::verdict::{Class, Measure, Verdict, cosine};

/// A quantized graph's answers beside the float graph's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Name of the head, or of the output for an embedding.
    pub head: String,
    /// Name of the data set.
    pub data: String,
    /// What is judged.
    pub measure: Measure,
    /// Number of items.
    pub items: usize,
    /// The float graph's metric, in points; none where equal answers alone are judged.
    pub float_metric: Option<f64>,
    /// The quantized graph's metric, in points; for an embedding a hundred times the mean cosine.
    pub metric: Option<f64>,
    /// Points lost; negative where the quantized graph is better.
    pub drop: Option<f64>,
    /// Mean over the items, or their windows where they have several, of the greatest difference of a probability; for
    /// an embedding one less the mean cosine.
    pub distance: f64,
    /// Share of equal answers, in `0..=1`.
    pub equal: f64,
    /// The windows that items are cut into, where they are.
    pub windows: Option<WindowAgreement>,
    /// Each class.
    pub classes: Vec<ClassAgreement>,
    /// What is over a limit, in words; empty where everything is within.
    pub refused: Vec<String>,
}

/// What both graphs answer to single windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WindowAgreement {
    /// Number of windows.
    pub count: usize,
    /// Share of equal answers, in `0..=1`.
    pub equal: f64,
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

/// Items that may change whatever the limits where choices are made: there a share of a handful says little, and nearly
/// equal ways would be told apart by chance.
pub const SPARED_IN_CHOICE: usize = 2;

/// Items that may change whatever the limits where the last word is said: less than a hundred have no smaller share than
/// one of them.
pub const SPARED: usize = 1;

impl Agreement {
    /// Compares two verdicts of one head on the same items, of which `spared` may change whatever the limits.
    pub fn new(float: &Verdict, quantized: &Verdict, limits: &Limits, spared: usize) -> Self {
        let items = float.answers.len();
        let (same, equal) = same_answers(&float.answers, &quantized.answers);
        let windows = float.windows.as_ref().zip(quantized.windows.as_ref());
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
        let distance = match windows {
            Some((before, after)) => distance(float.measure, &before.vectors, &after.vectors),
            None => distance(float.measure, &float.vectors, &quantized.vectors),
        };
        let (float_metric, metric) = match float.measure {
            Measure::Embedding => (Some(100.0), Some(100.0 * (1.0 - distance))),
            _ => (float.metric, quantized.metric),
        };
        let drop = float_metric.zip(metric).map(|(before, after)| before - after);
        // The sum of two decimal fractions is off by less than this.
        const SLACK: f64 = 1e-9;
        if let Some(drop) = drop.filter(|drop| drop.is_nan() || *drop > limits.max_drop + SLACK) {
            refused.push(format!(
                "the metric drops by {drop:.2} points, allowed are {}",
                limits.max_drop
            ));
        }
        if items - same > spared && equal < limits.min_equal - SLACK {
            let (found, wanted) = (100.0 * equal, 100.0 * limits.min_equal);
            refused.push(format!(
                "{found:.2} % of the answers are equal, {wanted} % are wanted"
            ));
        }
        let windows = windows.map(|(before, after)| {
            let count = before.answers.len();
            let (same, equal) = same_answers(&before.answers, &after.answers);
            if count - same > spared && equal < limits.min_equal - SLACK {
                let (found, wanted) = (100.0 * equal, 100.0 * limits.min_equal);
                refused.push(format!(
                    "{found:.2} % of the answers to single windows are equal, {wanted} % are wanted"
                ));
            }
            WindowAgreement { count, equal }
        });
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
            if lost > spared && points > limits.max_recall_drop + SLACK {
                refused.push(format!(
                    "the recall of {} drops by {points:.1} points, allowed are {}",
                    class.label, limits.max_recall_drop
                ));
            }
            let moved = class.float_answers.abs_diff(class.answers);
            let points = 100.0 * moved as f64 / items.max(1) as f64;
            if moved > spared && points > limits.max_drift + SLACK {
                refused.push(format!(
                    "the share of {} among the answers moves by {points:.1} points, allowed are {}",
                    class.label, limits.max_drift
                ));
            }
            classes.push(class);
        }
        Self {
            head: float.head.clone(),
            data: float.data.clone(),
            measure: float.measure,
            items,
            float_metric,
            metric,
            drop,
            distance,
            equal,
            windows,
            classes,
            refused,
        }
    }

    /// Whether everything is within the limits.
    pub fn passed(&self) -> bool {
        self.refused.is_empty()
    }
}

/// Compares the verdicts of two graphs head by head and set by set.
///
/// # Errors
/// [`ErrorKind::Data`] where they are not of the same heads and sets.
pub fn agreements(
    float: &[Verdict],
    quantized: &[Verdict],
    limits: &Limits,
    spared: usize,
) -> Result<Vec<Agreement>> {
    let judged = |verdicts: &[Verdict]| -> Vec<String> {
        verdicts
            .iter()
            .map(|verdict| format!("{} on {}", verdict.head, verdict.data))
            .collect()
    };
    let (wanted, found) = (judged(float), judged(quantized));
    if wanted != found {
        return Err(Error::new(
            ErrorKind::Data,
            "verdicts",
            wanted.join(", "),
            found.join(", "),
        ));
    }
    let pairs = float.iter().zip(quantized);
    Ok(pairs
        .map(|(float, quantized)| Agreement::new(float, quantized, limits, spared))
        .collect())
}

/// Number and share of equal answers; nothing is equal in nothing.
fn same_answers(a: &[Vec<usize>], b: &[Vec<usize>]) -> (usize, f64) {
    let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
    (same, same as f64 / a.len().max(1) as f64)
}

/// See [`Agreement::distance`]; what only one has a vector of is as far as can be.
fn distance(measure: Measure, float: &[Vec<f64>], quantized: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    let mut vectors = 0usize;
    for (a, b) in float.iter().zip(quantized) {
        if a.is_empty() && b.is_empty() {
            continue;
        }
        vectors += 1;
        sum += if a.len() != b.len() {
            1.0
        } else if measure == Measure::Embedding {
            1.0 - cosine(a, b)
        } else {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
    }
    sum / vectors.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Windows;

    fn verdict(metric: f64, answers: &[usize], right: [usize; 2]) -> Verdict {
        let class = |label: &str, right| Class {
            label: label.to_owned(),
            support: 50,
            right,
        };
        Verdict {
            head: "emotion".to_owned(),
            data: "eval.csv".to_owned(),
            measure: Measure::Accuracy,
            metric: Some(metric),
            vectors: answers.iter().map(|&n| vec![n as f64]).collect(),
            windows: None,
            answers: answers.iter().map(|&n| vec![n]).collect(),
            classes: vec![class("joy", right[0]), class("fear", right[1])],
        }
    }

    fn check(after: Verdict, refused: &[&str]) {
        let answers: Vec<usize> = (0..100).map(|n| n % 2).collect();
        let before = verdict(80.0, &answers, [40, 40]);
        let agreement = Agreement::new(&before, &after, &Limits::default(), SPARED);
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
        let one = |n: usize| if n == 0 { 1 } else { n % 2 };
        check(
            verdict(80.0, &(0..100).map(one).collect::<Vec<usize>>(), [40, 40]),
            &[],
        );
        let mut swapped = answers.clone();
        swapped.swap(0, 1);
        check(verdict(80.0, &swapped, [40, 40]), &["98.00 %"]);
        // One item of fifty is 2 points of recall, two are 4.
        check(verdict(80.0, &answers, [39, 41]), &[]);
        check(verdict(80.0, &answers, [38, 42]), &["recall of joy"]);
        let drifted: Vec<usize> = (0..100).map(|n| if n < 6 { 0 } else { n % 2 }).collect();
        check(
            verdict(80.0, &drifted, [40, 40]),
            &["97.00 %", "share of joy", "share of fear"],
        );
        check(verdict(f64::NAN, &answers, [40, 40]), &["metric"]);
    }

    #[test]
    fn an_embedding_is_judged_by_its_cosine_and_its_neighbours() {
        let embedding = |vectors: &[[f64; 2]], nearest: &[usize]| Verdict {
            measure: Measure::Embedding,
            metric: None,
            vectors: vectors.iter().map(|v| v.to_vec()).collect(),
            answers: nearest.iter().map(|&n| vec![n]).collect(),
            classes: Vec::new(),
            ..verdict(0.0, &[], [0, 0])
        };
        let before = embedding(&[[1.0, 0.0], [0.0, 2.0]], &[1, 0]);
        let limits = Limits::default();
        let same = Agreement::new(
            &before,
            &embedding(&[[3.0, 0.0], [0.0, 1.0]], &[1, 0]),
            &limits,
            SPARED,
        );
        assert!(same.passed() && same.drop == Some(0.0) && same.distance == 0.0);
        let turned = Agreement::new(
            &before,
            &embedding(&[[1.0, 1.0], [0.0, 1.0]], &[1, 1]),
            &limits,
            SPARED,
        );
        let expected = 50.0 * (1.0 - 0.5f64.sqrt());
        assert!((turned.drop.unwrap() - expected).abs() < 1e-9);
        assert_eq!((turned.equal, turned.refused.len()), (0.5, 1));
    }

    #[test]
    fn verdicts_of_other_heads_are_refused() {
        let a = verdict(80.0, &[0], [40, 40]);
        let b = Verdict {
            head: "face".to_owned(),
            ..a.clone()
        };
        let limits = Limits::default();
        assert_eq!(
            agreements(
                std::slice::from_ref(&a),
                std::slice::from_ref(&a),
                &limits,
                SPARED
            )
            .unwrap()
            .len(),
            1
        );
        assert_eq!(
            agreements(&[a], &[b], &limits, SPARED).unwrap_err().place(),
            "verdicts"
        );
    }

    #[test]
    fn windows_are_judged_by_themselves_where_items_have_several() {
        let answers: Vec<usize> = (0..100).map(|n| n % 2).collect();
        let with = |windows: Vec<usize>| Verdict {
            windows: Some(Windows {
                vectors: windows.iter().map(|&n| vec![n as f64]).collect(),
                answers: windows.iter().map(|&n| vec![n]).collect(),
            }),
            ..verdict(80.0, &answers, [40, 40])
        };
        let before = with(vec![0; 300]);
        let judged = |differ: usize| {
            let after = with((0..300).map(|n| usize::from(n < differ)).collect());
            Agreement::new(&before, &after, &Limits::default(), SPARED)
        };
        let near = judged(3);
        assert!(near.passed() && near.equal == 1.0, "{:?}", near.refused);
        assert_eq!(
            (near.windows, near.distance),
            (
                Some(WindowAgreement {
                    count: 300,
                    equal: 0.99
                }),
                0.01
            )
        );
        let far = judged(4);
        assert!(
            far.refused.len() == 1 && far.refused[0].contains("98.67 % of the answers to single windows")
        );
    }
}
