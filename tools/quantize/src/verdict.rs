//! What a judge says of a graph's answers, and whether a quantized graph's are good enough.

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::recipe::Limits;

/// What a head's answers are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Share of right answers.
    Accuracy,
    /// Mean recall over the labels.
    UnweightedAverageRecall,
    /// Mean F1 over the labels.
    MacroF1,
    /// F1 over all label decisions.
    MicroF1,
    /// Equal answers alone: the data has no labels, or the head is a gate's.
    Equality,
    /// Cosine to the float network's vectors, and whether an item's nearest neighbour is the same.
    Embedding,
}

impl Measure {
    /// Name in a report for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::UnweightedAverageRecall => "unweighted average recall",
            Self::MacroF1 => "macro F1",
            Self::MicroF1 => "micro F1",
            Self::Equality => "equal answers alone",
            Self::Embedding => "cosine to float",
        }
    }
}

/// How a graph did with one head on one data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Name of the head, or of the output for an embedding.
    pub head: String,
    /// Name of the data set.
    pub data: String,
    /// What is judged.
    pub measure: Measure,
    /// The metric, in points of a hundred; none where [`Verdict::measure`] needs no truth.
    pub metric: Option<f64>,
    /// The labels answered for each item, by their numbers and in order; none for no answer. For an embedding the
    /// item's nearest neighbour among the others.
    pub answers: Vec<Vec<usize>>,
    /// Probabilities of each item, or its embedding; empty for an item without.
    pub vectors: Vec<Vec<f64>>,
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
    /// Mean over the items of the greatest difference of a probability; for an embedding one less the mean cosine.
    pub distance: f64,
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
        let distance = distance(float, quantized);
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

/// See [`Agreement::distance`]; an item that only one has a vector of is as far as can be.
fn distance(float: &Verdict, quantized: &Verdict) -> f64 {
    let mut sum = 0.0;
    let mut items = 0usize;
    for (a, b) in float.vectors.iter().zip(&quantized.vectors) {
        if a.is_empty() && b.is_empty() {
            continue;
        }
        items += 1;
        sum += if a.len() != b.len() {
            1.0
        } else if float.measure == Measure::Embedding {
            1.0 - cosine(a, b)
        } else {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
    }
    sum / items.max(1) as f64
}

/// Cosine of the angle between two vectors; 1 for two of length zero, 0 if only one has.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (aa, bb) = (dot(a, a), dot(b, b));
    if aa == 0.0 && bb == 0.0 {
        1.0
    } else if aa == 0.0 || bb == 0.0 {
        0.0
    } else {
        dot(a, b) / (aa * bb).sqrt()
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
            head: "emotion".to_owned(),
            data: "eval.csv".to_owned(),
            measure: Measure::Accuracy,
            metric: Some(metric),
            vectors: answers.iter().map(|&n| vec![n as f64]).collect(),
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
}
