//! From a network's outputs to verdicts.

use anyhow::{Context, Result};
use limbic_affect::{Head, HeadKind, HeadSpec};
use limbic_graph::Graph;
use limbic_quantize::control::Set;
use limbic_quantize::verdict::{Class, Measure, Verdict, Windows, cosine};

use super::target::{Role, Target};
use super::{Data, Outputs};
use crate::cmd::quantize::sets::DataSet;
use crate::metrics::{self, Answer, Judged, Labelling};
use crate::network::Item;

impl Data {
    /// A verdict for each head and set that has labels of it.
    pub(super) fn verdicts(&self, graph: &Graph, set: Set) -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for set in self.sets(set) {
            let outputs = self.outputs(graph, set)?;
            for (n, target) in self.targets.iter().enumerate() {
                if let Some(measure) = target.measure(set) {
                    let vectors = of_target(&outputs, n);
                    let about = || format!("{} on {}", target.name, set.name);
                    let mut verdict = self.verdict(target, set, measure, &vectors).with_context(about)?;
                    if outputs.iter().any(|item| item.windows.len() > 1) {
                        verdict.windows = self
                            .windows(target, &windows_of(&outputs, n))
                            .with_context(about)?;
                    }
                    verdicts.push(verdict);
                }
            }
        }
        Ok(verdicts)
    }

    fn verdict(
        &self,
        target: &Target,
        set: &DataSet,
        measure: Measure,
        outputs: &[Option<&[f64]>],
    ) -> Result<Verdict> {
        let mut verdict = Verdict {
            head: target.name.clone(),
            data: set.name.clone(),
            measure,
            metric: None,
            answers: Vec::new(),
            vectors: Vec::new(),
            windows: None,
            classes: Vec::new(),
        };
        match &target.role {
            Role::Embedding => {
                verdict.answers = nearest(outputs);
                verdict.vectors = owned(outputs);
            }
            Role::Distribution => (verdict.answers, verdict.vectors) = tops(outputs),
            Role::Gate { spec, limits, .. } => {
                (verdict.answers, verdict.vectors) = passed(limits, self.answers(spec, outputs)?);
                if measure == Measure::Accuracy {
                    let right = |(item, passed): &(&Item, &Vec<usize>)| truth(target, item) == **passed;
                    let count = set.items.iter().zip(&verdict.answers).filter(right).count();
                    verdict.metric = Some(100.0 * count as f64 / set.items.len().max(1) as f64);
                }
            }
            Role::Head { spec, .. } => {
                let answers = self.answers(spec, outputs)?;
                if measure != Measure::Equality {
                    (verdict.metric, verdict.classes) = judged(target, spec, set, measure, &answers)?;
                }
                (verdict.answers, verdict.vectors) = selected(answers);
            }
        }
        Ok(verdict)
    }

    /// What a target says of single windows; nothing for an embedding, whose neighbours are whole items.
    fn windows(&self, target: &Target, outputs: &[Option<&[f64]>]) -> Result<Option<Windows>> {
        let (answers, vectors) = match &target.role {
            Role::Embedding => return Ok(None),
            Role::Distribution => tops(outputs),
            Role::Gate { spec, limits, .. } => passed(limits, self.answers(spec, outputs)?),
            Role::Head { spec, .. } => selected(self.answers(spec, outputs)?),
        };
        Ok(Some(Windows { answers, vectors }))
    }

    /// What a head answers to its logits; nothing where it abstains or there are none.
    pub(super) fn answers(&self, spec: &HeadSpec, logits: &[Option<&[f64]>]) -> Result<Vec<Option<Answer>>> {
        let head = Head::new(spec, &self.spaces, None)?;
        let answer = |logits: &[f64]| -> Result<Option<Answer>> {
            let prediction = head.predict(logits)?;
            Ok((!prediction.abstained()).then(|| Answer {
                probabilities: prediction.probabilities().to_vec(),
                selected: {
                    let mut selected = prediction.selected().to_vec();
                    selected.sort_unstable();
                    selected
                },
            }))
        };
        logits
            .iter()
            .map(|logits| logits.map_or(Ok(None), answer))
            .collect()
    }
}

/// One target's vector of each item.
pub(super) fn of_target(outputs: &[Outputs], n: usize) -> Vec<Option<&[f64]>> {
    outputs
        .iter()
        .map(|outputs| outputs.pooled.as_ref()?.get(n).map(Vec::as_slice))
        .collect()
}

/// One target's vector of each window, item after item.
fn windows_of(outputs: &[Outputs], n: usize) -> Vec<Option<&[f64]>> {
    let windows = outputs.iter().flat_map(|outputs| &outputs.windows);
    windows.map(|window| window.get(n).map(Vec::as_slice)).collect()
}

/// Answers, then probabilities, of each.
type Said = (Vec<Vec<usize>>, Vec<Vec<f64>>);

/// The most probable of each.
fn tops(outputs: &[Option<&[f64]>]) -> Said {
    let answers = outputs.iter().map(|vector| top(vector.unwrap_or_default()));
    (answers.collect(), owned(outputs))
}

/// The labels of gates that let each through.
fn passed(limits: &[(usize, f64)], answers: Vec<Option<Answer>>) -> Said {
    let passes = |answer: &Option<Answer>| -> Vec<usize> {
        let probabilities = answer.as_ref().map_or(&[][..], |answer| &answer.probabilities);
        let passed = limits
            .iter()
            .filter(|(label, least)| probabilities.get(*label).is_some_and(|p| p >= least));
        passed.map(|(label, _)| *label).collect()
    };
    (
        answers.iter().map(passes).collect(),
        answers.into_iter().map(probabilities).collect(),
    )
}

/// What a head answers to each.
fn selected(answers: Vec<Option<Answer>>) -> Said {
    let labels = |answer: &Option<Answer>| {
        answer
            .as_ref()
            .map_or_else(Vec::new, |answer| answer.selected.clone())
    };
    (
        answers.iter().map(labels).collect(),
        answers.into_iter().map(probabilities).collect(),
    )
}

/// Numbers of an item's true labels, sorted.
pub(super) fn truth(target: &Target, item: &Item) -> Vec<usize> {
    let mut truth: Vec<usize> = item
        .labels
        .iter()
        .filter_map(|label| target.labels.iter().position(|own| own == label))
        .collect();
    truth.sort_unstable();
    truth.dedup();
    truth
}

fn probabilities(answer: Option<Answer>) -> Vec<f64> {
    answer.map_or_else(Vec::new, |answer| answer.probabilities)
}

fn owned(vectors: &[Option<&[f64]>]) -> Vec<Vec<f64>> {
    vectors
        .iter()
        .map(|vector| vector.map_or_else(Vec::new, <[f64]>::to_vec))
        .collect()
}

/// Place of the greatest element, the first of equals; nothing for an empty vector.
fn top(vector: &[f64]) -> Vec<usize> {
    let better = |best: Option<usize>, (n, value): (usize, &f64)| match best {
        Some(best) if vector[best] >= *value => Some(best),
        _ => Some(n),
    };
    vector.iter().enumerate().fold(None, better).into_iter().collect()
}

/// For each vector the number of the one among the others with the greatest cosine to it, the first of equals.
fn nearest(vectors: &[Option<&[f64]>]) -> Vec<Vec<usize>> {
    let neighbour = |n: usize, own: &[f64]| {
        let mut best: Option<(usize, f64)> = None;
        for (m, other) in vectors.iter().enumerate() {
            let Some(other) = other.filter(|_| m != n) else {
                continue;
            };
            let near = cosine(own, other);
            if best.is_none_or(|(_, most)| near > most) {
                best = Some((m, near));
            }
        }
        best.map(|(m, _)| m)
    };
    let answer = |(n, own): (usize, &Option<&[f64]>)| -> Vec<usize> {
        own.and_then(|own| neighbour(n, own)).into_iter().collect()
    };
    vectors.iter().enumerate().map(answer).collect()
}

/// A head's metric, in points, and what became of each label.
fn judged(
    target: &Target,
    spec: &HeadSpec,
    set: &DataSet,
    measure: Measure,
    answers: &[Option<Answer>],
) -> Result<(Option<f64>, Vec<Class>)> {
    let judged: Vec<Judged> = set
        .items
        .iter()
        .zip(answers)
        .map(|(item, answer)| Judged {
            truth: truth(target, item),
            answer: answer.clone(),
        })
        .collect();
    let labelling = match spec.kind {
        HeadKind::MultiLabel => Labelling::MultiLabel,
        _ => Labelling::Exclusive,
    };
    let found = metrics::evaluate(&judged, &target.labels, labelling);
    let metric = match measure {
        Measure::Accuracy => found.accuracy,
        Measure::UnweightedAverageRecall => found.unweighted_average_recall,
        Measure::MacroF1 => found.macro_f1,
        Measure::MicroF1 => found.micro_f1,
        Measure::Equality | Measure::Embedding => None,
    };
    let metric = metric.context("the data has no items that the metric can be stated on")?;
    let classes = target.labels.iter().enumerate().map(|(n, label)| {
        let with = judged.iter().filter(|item| item.truth.contains(&n));
        let right = |item: &&Judged| {
            item.answer
                .as_ref()
                .is_some_and(|answer| answer.selected.contains(&n))
        };
        Class {
            label: label.clone(),
            support: with.clone().count(),
            right: with.filter(right).count(),
        }
    });
    Ok((Some(100.0 * metric), classes.collect()))
}
