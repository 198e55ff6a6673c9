//! Changes of the float graph that keep its answers and can make it easier to quantize.

mod bias;
mod equalise;
mod smooth;

use std::collections::BTreeMap;

use limbic_graph::{Graph, Op, ValueId, interpret};

use crate::control::Judge;
use crate::error::Result;
use crate::recipe::Remedy;
use crate::scheme::Choice;

/// Makes the changes, one after another, each with statistics of the calibration set on the graph as it then is.
///
/// # Errors
/// As the interpreter, or what the judge gives.
pub(crate) fn apply(
    graph: &mut Graph,
    remedies: &[Remedy],
    choice: &Choice,
    judge: &mut dyn Judge,
) -> Result<()> {
    for remedy in remedies {
        match remedy {
            Remedy::Equalise => equalise::equalise(graph, judge)?,
            Remedy::SmoothQuant => smooth::smooth_products(graph, choice, judge)?,
            Remedy::BiasCorrection => bias::correct(graph, choice, judge)?,
        }
        limbic_graph::passes::remove_dead(graph);
    }
    Ok(())
}

/// What the channels of a value take.
#[derive(Debug, Clone, Default)]
struct Channels {
    greatest: Vec<f64>,
    sums: Vec<f64>,
    count: f64,
}

impl Channels {
    fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count.max(1.0)).collect()
    }
}

/// Statistics of values over the calibration set, for the channel axis of each: 1, or the last.
fn observe(
    graph: &Graph,
    wanted: impl IntoIterator<Item = (ValueId, Axis)>,
    judge: &mut dyn Judge,
) -> Result<BTreeMap<ValueId, Channels>> {
    let mut found: BTreeMap<ValueId, (Axis, Channels)> = wanted
        .into_iter()
        .map(|(id, axis)| (id, (axis, Channels::default())))
        .collect();
    let mut n = 0;
    while let Some(input) = judge.calibration(n)? {
        interpret::run_observed(graph, &input, &mut |id, tensor| {
            let Some((axis, channels)) = found.get_mut(&id) else {
                return;
            };
            let axis = match axis {
                Axis::Second => 1,
                Axis::Last => tensor.rank().saturating_sub(1),
            };
            let count = tensor.shape().get(axis).copied().unwrap_or(1).max(1);
            let inner: usize = tensor.shape().iter().skip(axis + 1).product();
            channels.greatest.resize(count, 0.0);
            channels.sums.resize(count, 0.0);
            for (i, value) in tensor.to_f32().into_iter().enumerate() {
                let channel = i / inner.max(1) % count;
                channels.greatest[channel] = channels.greatest[channel].max(f64::from(value).abs());
                channels.sums[channel] += f64::from(value);
            }
            channels.count += (tensor.len() / count) as f64;
        })?;
        n += 1;
        judge.progress("measure channels", n, n + 1);
    }
    Ok(found
        .into_iter()
        .map(|(id, (_, channels))| (id, channels))
        .collect())
}

/// Where a value's channels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Second,
    Last,
}

/// Where the input channels of a product's operand and weights are.
fn input_axes(op: &Op) -> Option<(Axis, usize)> {
    match op {
        Op::Conv(_) => Some((Axis::Second, 1)),
        Op::MatMul => Some((Axis::Last, 0)),
        Op::Gemm { transpose_b, .. } => Some((Axis::Last, usize::from(*transpose_b))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
