//! Temperatures and thresholds of the quantized network's heads.

use anyhow::Result;
use limbic_affect::{HeadKind, HeadSpec};
use limbic_graph::Graph;
use limbic_quantize::heads;
use limbic_quantize::verdict::Measure;

use super::target::{Role, Target};
use super::verdict::{of_target, truth};
use super::{Data, Outputs};
use crate::metrics::Answer;

impl Data {
    /// Fits every judged head on the tune sets that have its labels.
    pub(super) fn fit(&mut self, float: &Graph, quantized: &Graph) -> Result<()> {
        let mut outputs = Vec::new();
        for set in &self.sets.tune {
            outputs.push((self.outputs(float, set)?, self.outputs(quantized, set)?));
        }
        let mut fitted = Vec::new();
        for (n, target) in self.targets.iter().enumerate() {
            if let Role::Head { spec, .. } = &target.role {
                fitted.push((n, self.fit_head(n, target, spec, &outputs)?));
            }
        }
        for (n, (new, difference)) in fitted {
            self.difference = self.difference.max(difference);
            if let Role::Head { spec, .. } = &mut self.targets[n].role {
                if new.thresholds != spec.thresholds {
                    self.fitted
                        .push(format!("thresholds of {}: {:?}", new.name, new.thresholds));
                }
                if new.temperature != spec.temperature {
                    self.fitted
                        .push(format!("temperature of {}: {:.4}", new.name, new.temperature));
                }
                *spec = new;
            }
        }
        Ok(())
    }

    /// The head as fitted, and the greatest difference of a probability before.
    fn fit_head(
        &self,
        n: usize,
        target: &Target,
        spec: &HeadSpec,
        outputs: &[(Vec<Outputs>, Vec<Outputs>)],
    ) -> Result<(HeadSpec, f64)> {
        let mut pairs: Vec<(Answer, Answer)> = Vec::new();
        let (mut logits, mut labels): (Vec<Vec<f64>>, Vec<usize>) = (Vec::new(), Vec::new());
        for (set, (before, after)) in self.sets.tune.iter().zip(outputs) {
            let Some(measure) = target.measure(set) else {
                continue;
            };
            let (before, after) = (of_target(before, n), of_target(after, n));
            let (old, new) = (self.answers(spec, &before)?, self.answers(spec, &after)?);
            pairs.extend(old.into_iter().zip(new).filter_map(|(a, b)| Some((a?, b?))));
            if measure == Measure::Equality {
                continue;
            }
            for (item, vector) in set.items.iter().zip(after) {
                if let (Some(vector), Some(&label)) = (vector, truth(target, item).first()) {
                    logits.push(vector.to_vec());
                    labels.push(label);
                }
            }
        }
        let mut fitted = spec.clone();
        if spec.kind == HeadKind::MultiLabel {
            fitted.thresholds = thresholds(spec, target.labels.len(), &pairs);
        } else if let Some(temperature) = heads::fit_temperature(&logits, &labels) {
            fitted.temperature = temperature;
        }
        let difference = pairs
            .iter()
            .flat_map(|(a, b)| a.probabilities.iter().zip(&b.probabilities))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        Ok((fitted, difference))
    }
}

/// Thresholds under which the quantized network decides most like the float one with its own.
fn thresholds(spec: &HeadSpec, labels: usize, pairs: &[(Answer, Answer)]) -> Vec<f64> {
    if pairs.is_empty() {
        return spec.thresholds.clone();
    }
    let old = |n: usize| spec.thresholds.get(n).copied().unwrap_or(0.5);
    (0..labels)
        .map(|n| {
            let probabilities: Vec<f64> = pairs.iter().map(|(_, b)| b.probabilities[n]).collect();
            let decisions: Vec<bool> = pairs.iter().map(|(a, _)| a.probabilities[n] >= old(n)).collect();
            heads::fit_threshold(&probabilities, &decisions, old(n))
        })
        .collect()
}
