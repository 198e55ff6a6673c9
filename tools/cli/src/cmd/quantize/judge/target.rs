//! What of a network is judged, and on which data sets.

use anyhow::{Result, bail};
use limbic_affect::{HeadKind, HeadSpec, LabelSpaces};
use limbic_bundle::{Gate, Manifest};
use limbic_graph::{Dtype, Graph, Op};
use limbic_quantize::verdict::Measure;

use crate::args::QuantizeMetric;
use crate::cmd::quantize::sets::DataSet;

/// One output that is judged.
#[derive(Debug)]
pub struct Target {
    /// Name of the head, or of the output where no head reads it.
    pub name: String,
    /// Output of the graph.
    pub output: usize,
    pub role: Role,
    /// Labels of the head's space.
    pub labels: Vec<String>,
}

/// What an output is for.
#[derive(Debug)]
pub enum Role {
    /// A head answers with it.
    Head { spec: HeadSpec, metric: Measure },
    /// Gates decide by probabilities of it: each a label and the least probability.
    Gate {
        spec: HeadSpec,
        limits: Vec<(usize, f64)>,
        /// What the gates answer instead: a set may be labelled with it.
        reasons: Vec<&'static str>,
    },
    /// It is probabilities that no head reads.
    Distribution,
    /// It is a vector by itself.
    Embedding,
}

impl Target {
    /// What a data set says about it; nothing where it has labels of something else.
    pub fn measure(&self, set: &DataSet) -> Option<Measure> {
        match &self.role {
            Role::Embedding => Some(Measure::Embedding),
            Role::Distribution => Some(Measure::Equality),
            Role::Gate { reasons, .. } => {
                let known = |label: &String| self.labels.contains(label) || reasons.contains(&label.as_str());
                let labelled = !set.labels.is_empty() && set.labels.iter().all(known);
                Some(if labelled {
                    Measure::Accuracy
                } else {
                    Measure::Equality
                })
            }
            Role::Head { .. } if set.labels.is_empty() => Some(Measure::Equality),
            Role::Head { metric, .. } => {
                let known = |label: &String| self.labels.contains(label);
                set.labels.iter().all(known).then_some(*metric)
            }
        }
    }
}

/// Every head that a set has labels of, every gate's head, and the outputs themselves where there is no head; then the
/// names of those that are left, each with the reason.
pub fn targets(
    manifest: &Manifest,
    graph: &Graph,
    values: &[String],
    eval: &[DataSet],
    wanted: Option<&str>,
    metric: Option<QuantizeMetric>,
) -> Result<(Vec<Target>, Vec<String>)> {
    let spaces = LabelSpaces::with_own(&manifest.label_spaces)?;
    let mut all = Vec::new();
    let mut left = Vec::new();
    for spec in &manifest.heads {
        let labels: Vec<String> = spaces
            .by_id(&spec.label_space)?
            .names()
            .map(str::to_owned)
            .collect();
        let Some(output) = values.iter().position(|name| *name == spec.tensor) else {
            left.push(format!(
                "{}: no output of the network is {}",
                spec.name, spec.tensor
            ));
            continue;
        };
        if !matches!(spec.kind, HeadKind::Softmax | HeadKind::MultiLabel) {
            left.push(format!(
                "{}: it is {}; softmax and multi_label are judged",
                spec.name,
                spec.kind.name()
            ));
            continue;
        }
        let role = if manifest.head_is_gate(&spec.name) {
            gate(manifest, spec, &labels)
        } else {
            Role::Head {
                metric: measure(metric, &spec.kind),
                spec: spec.clone(),
            }
        };
        all.push(Target {
            name: spec.name.clone(),
            output,
            role,
            labels,
        });
    }
    if manifest.heads.is_empty() {
        let producers = graph.producers();
        for (output, (id, name)) in graph.outputs.iter().zip(values).enumerate() {
            if graph.value(*id).ty.dtype == Dtype::F32 {
                let maker = producers.get(id).and_then(|node| graph.nodes.get(node.0));
                let softmax = maker.is_some_and(|node| matches!(node.op, Op::Softmax { .. }));
                all.push(Target {
                    name: name.clone(),
                    output,
                    role: if softmax {
                        Role::Distribution
                    } else {
                        Role::Embedding
                    },
                    labels: Vec::new(),
                });
            }
        }
    }
    for set in eval.iter().filter(|set| !set.labels.is_empty()) {
        let fits = |target: &Target| !matches!(target.measure(set), None | Some(Measure::Equality));
        if !all.iter().any(fits) {
            let heads: Vec<String> = all
                .iter()
                .map(|target| format!("{} ({})", target.name, target.labels.join(" ")))
                .collect();
            bail!(
                "no head has all labels of {}; there is {}",
                set.name,
                heads.join(", ")
            );
        }
    }
    let (judged, others): (Vec<Target>, Vec<Target>) = all.into_iter().partition(|target| {
        wanted.is_none_or(|name| name == target.name) && eval.iter().any(|set| target.measure(set).is_some())
    });
    if judged.is_empty() {
        let heads: Vec<&str> = others.iter().map(|target| target.name.as_str()).collect();
        match wanted {
            Some(name) => bail!(
                "no set has labels of a head {name}; there is {}",
                heads.join(", ")
            ),
            None => bail!("the network has no head and no output of floats to judge"),
        }
    }
    left.extend(others.iter().map(|target| match wanted {
        Some(name) if name != target.name => format!("{}: --head names {name} alone", target.name),
        _ => format!("{}: no eval set has labels of it", target.name),
    }));
    Ok((judged, left))
}

fn measure(metric: Option<QuantizeMetric>, kind: &HeadKind) -> Measure {
    match metric {
        Some(QuantizeMetric::Accuracy) => Measure::Accuracy,
        Some(QuantizeMetric::Uar) => Measure::UnweightedAverageRecall,
        Some(QuantizeMetric::MacroF1) => Measure::MacroF1,
        Some(QuantizeMetric::MicroF1) => Measure::MicroF1,
        None if *kind == HeadKind::MultiLabel => Measure::MacroF1,
        None => Measure::Accuracy,
    }
}

fn gate(manifest: &Manifest, spec: &HeadSpec, labels: &[String]) -> Role {
    let (mut limits, mut reasons) = (Vec::new(), Vec::new());
    for gate in &manifest.gates {
        if let Gate::HeadProbability {
            head,
            label,
            min_probability,
            reason,
        } = gate
            && *head == spec.name
        {
            let place = labels.iter().position(|own| own == label);
            limits.extend(place.map(|place| (place, f64::from(*min_probability))));
            reasons.push(reason.name());
        }
    }
    Role::Gate {
        spec: spec.clone(),
        limits,
        reasons,
    }
}
