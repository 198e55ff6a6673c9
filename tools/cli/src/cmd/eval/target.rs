//! What is judged: a head of a model, or a part of the fused answer.

use anyhow::{Context, Result, anyhow, bail};
use limbic::Recognizer;
use limbic_affect::{
    Emotion, FusedEvent, LabelSpace, LabelSpaces, Labelling as SpaceLabelling, ValenceGroup,
};
use limbic_bundle::HeadKind;

use crate::dataset::Dataset;
use crate::metrics::Labelling;

/// The head that is judged and its labels.
#[derive(Debug)]
pub struct Target {
    /// Name of the head, or `emotion` or `sentiment` of a fused answer.
    pub head: String,
    /// Id of its label space.
    pub label_space: String,
    /// Its labels, in order.
    pub labels: Vec<String>,
    /// Whether one or several labels are right.
    pub labelling: Labelling,
    /// Least probability of each label, for a multi-label head.
    pub thresholds: Option<Vec<f64>>,
    /// For a fused answer whose data has labels of another space: what each is called in the common space.
    renamed: Vec<(String, String)>,
}

impl Target {
    /// Finds what the data's labels belong to.
    ///
    /// Without a name, the first head whose labels hold all labels of the data.
    pub fn choose(recognizer: &Recognizer, dataset: &Dataset, name: Option<&str>) -> Result<Self> {
        let wanted = dataset.labels();
        let candidates = if dataset.by_sense {
            fused_targets(&wanted)
        } else {
            head_targets(recognizer)?
        };
        let named: Vec<Self> = match name {
            None => candidates,
            Some(name) => {
                let has: Vec<String> = candidates.iter().map(|target| target.head.clone()).collect();
                let found: Vec<Self> = candidates
                    .into_iter()
                    .filter(|target| target.head == name)
                    .collect();
                if found.is_empty() {
                    bail!("no head `{name}`; there is {}", has.join(", "));
                }
                found
            }
        };
        let described: Vec<String> = named
            .iter()
            .map(|target| format!("{} ({})", target.head, target.labels.join(" ")))
            .collect();
        named
            .into_iter()
            .find(|target| wanted.iter().all(|label| target.index_of(label).is_some()))
            .with_context(|| {
                format!(
                    "no head has all labels of the data ({}); there is {}",
                    wanted.join(" "),
                    described.join(", ")
                )
            })
    }

    /// Indices of a row's labels, sorted.
    pub fn truth(&self, labels: &[String]) -> Result<Vec<usize>> {
        let mut indices = labels
            .iter()
            .map(|label| {
                self.index_of(label)
                    .ok_or_else(|| anyhow!("label `{label}` is not one of the head's"))
            })
            .collect::<Result<Vec<_>>>()?;
        indices.sort_unstable();
        indices.dedup();
        Ok(indices)
    }

    /// Indices of label names; a name that is not there has none.
    pub fn indices(&self, names: &[String]) -> Vec<usize> {
        names.iter().filter_map(|name| self.index_of(name)).collect()
    }

    /// Probabilities of a fused answer in the order of the labels; `None` when most of its mass is unmapped.
    pub fn of_fused(&self, fused: &FusedEvent) -> Option<(Vec<f64>, Vec<usize>)> {
        let (values, answered): (Vec<f64>, bool) = if self.head == "emotion" {
            let p = fused.common.emotions;
            (
                vec![
                    p.anger, p.disgust, p.fear, p.joy, p.sadness, p.surprise, p.neutral,
                ],
                fused.top.is_some(),
            )
        } else {
            let v = fused.common.valence;
            (vec![v.negative, v.neutral, v.positive], fused.sentiment.is_some())
        };
        answered.then(|| (values, Vec::new()))
    }

    fn index_of(&self, label: &str) -> Option<usize> {
        let name = self
            .renamed
            .iter()
            .find(|(from, _)| from == label)
            .map_or(label, |(_, to)| to.as_str());
        self.labels.iter().position(|own| own == name)
    }
}

/// Every head that answers; a head that only serves a gate is no answer.
fn head_targets(recognizer: &Recognizer) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for (_, manifest) in recognizer.manifests() {
        let spaces = LabelSpaces::with_own(&manifest.label_spaces)?;
        for head in manifest
            .heads
            .iter()
            .filter(|head| !manifest.head_is_gate(&head.name))
        {
            let space = spaces.by_id(&head.label_space)?;
            let multi_label = matches!(head.kind, HeadKind::MultiLabel);
            let thresholds = multi_label.then(|| {
                if head.thresholds.is_empty() {
                    vec![0.5; space.len()]
                } else {
                    head.thresholds.clone()
                }
            });
            targets.push(Target {
                head: head.name.clone(),
                label_space: head.label_space.clone(),
                labels: space.names().map(str::to_owned).collect(),
                labelling: if multi_label {
                    Labelling::MultiLabel
                } else {
                    Labelling::Exclusive
                },
                thresholds,
                renamed: Vec::new(),
            });
        }
    }
    Ok(targets)
}

/// The two parts of a fused answer; labels of a built-in space are judged by their likeliest counterpart.
fn fused_targets(wanted: &[String]) -> Vec<Target> {
    let emotions: Vec<String> = Emotion::ALL
        .iter()
        .map(|emotion| emotion.name().to_owned())
        .collect();
    let groups: Vec<String> = ValenceGroup::ALL
        .iter()
        .map(|group| group.name().to_owned())
        .collect();
    let target = |head: &str, labels: Vec<String>, renamed| Target {
        head: head.to_owned(),
        label_space: "common".to_owned(),
        labels,
        labelling: Labelling::Exclusive,
        thresholds: None,
        renamed,
    };
    let plain = target("emotion", emotions.clone(), Vec::new());
    let mut targets = Vec::new();
    if wanted.iter().any(|label| plain.index_of(label).is_none()) {
        let renamed = LabelSpaces::builtin()
            .iter()
            .filter(|space| space.labelling() != SpaceLabelling::Dimensional)
            .find(|space| wanted.iter().all(|label| space.index_of(label).is_some()))
            .map(renamed);
        if let Some(renamed) =
            renamed.filter(|renamed| wanted.iter().all(|l| renamed.iter().any(|(from, _)| from == l)))
        {
            targets.push(target("emotion", emotions.clone(), renamed));
        }
    }
    targets.insert(0, plain);
    targets.push(target("sentiment", groups, Vec::new()));
    targets
}

/// The likeliest emotion of each label that has one more likely than no counterpart.
fn renamed(space: &LabelSpace) -> Vec<(String, String)> {
    space
        .labels()
        .iter()
        .filter_map(|label| {
            let masses = label.emotions.emotions();
            let (emotion, mass) = Emotion::ALL
                .iter()
                .zip(masses)
                .max_by(|a, b| a.1.total_cmp(&b.1))?;
            (mass > label.emotions.unmapped).then(|| (label.name.clone(), emotion.name().to_owned()))
        })
        .collect()
}
