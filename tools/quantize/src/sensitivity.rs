//! How much each operation alone costs when it is quantized.

use limbic_graph::{Graph, Tensor, interpret};
use serde::Serialize;

use crate::calibrate::Table;
use crate::error::Result;
use crate::scheme::{self, Choice};

/// What quantizing one operation alone does to the outputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// Name of the node.
    pub node: String,
    /// Signal-to-noise ratio of the outputs, in decibels; the lower, the more it costs.
    pub snr_db: f64,
}

/// Ratio of a signal's power to that of its error, in decibels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SignalToNoise {
    signal: f64,
    noise: f64,
}

impl SignalToNoise {
    /// Takes in values and what they should be.
    pub fn add(&mut self, values: &[f32], expected: &[f32]) {
        for (&value, &expected) in values.iter().zip(expected) {
            self.signal += f64::from(expected).powi(2);
            self.noise += (f64::from(value) - f64::from(expected)).powi(2);
        }
    }

    /// Power of the error by that of the signal; the power itself of an error without a signal.
    pub fn noise_share(&self) -> f64 {
        if self.signal > 0.0 {
            self.noise / self.signal
        } else {
            self.noise
        }
    }

    /// The ratio; infinite without an error.
    pub fn db(&self) -> f64 {
        if self.noise == 0.0 {
            return f64::INFINITY;
        }
        10.0 * (self.signal / self.noise).log10()
    }
}

/// Ranks the nodes that a scheme makes integer arithmetic, the most sensitive first; equal ones in the graph's order.
///
/// Each node is quantized alone and the outputs on `inputs` are compared with the float graph's; inputs are run one
/// after another.
///
/// # Errors
/// As [`scheme::apply`] and the interpreter.
pub fn rank(
    graph: &Graph,
    table: Option<&Table>,
    choice: &Choice,
    inputs: &[Vec<Tensor>],
    mut step: impl FnMut(usize, usize),
) -> Result<Vec<Sensitivity>> {
    let nodes = scheme::integer_nodes(graph, choice);
    let expected = inputs
        .iter()
        .map(|input| Ok(interpret::run(graph, input)?))
        .collect::<Result<Vec<_>>>()?;
    let mut found = Vec::with_capacity(nodes.len());
    for (n, name) in nodes.iter().enumerate() {
        let mut alone = choice.clone();
        for other in nodes.iter().filter(|other| *other != name) {
            alone.float.insert(other.clone(), String::new());
        }
        let quantized = scheme::apply(graph, table, &alone)?;
        let mut ratio = SignalToNoise::default();
        for (input, expected) in inputs.iter().zip(&expected) {
            for (made, expected) in interpret::run(&quantized.graph, input)?.iter().zip(expected) {
                ratio.add(&made.to_f32(), &expected.to_f32());
            }
        }
        found.push(Sensitivity {
            node: name.clone(),
            snr_db: ratio.db(),
        });
        step(n + 1, nodes.len());
    }
    found.sort_by(|a, b| a.snr_db.total_cmp(&b.snr_db));
    Ok(found)
}
