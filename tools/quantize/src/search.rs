//! The calibrator of each tensor by itself, chosen by the error that it leaves in the outputs.

use limbic_graph::{Graph, Tensor, interpret};

use crate::calibrate::{Entry, Table};
use crate::error::Result;
use crate::scheme::{self, Choice};
use crate::sensitivity::SignalToNoise;

/// Name of a table that was searched, in reports.
pub(crate) const NAME: &str = "search";

/// A table whose ranges are taken from `tables`, tensor by tensor.
///
/// Begins with the table that leaves the least error in the outputs on `inputs`, and goes over the tensors once in the
/// order of their names: each gets the range of the table under which the error is least, the others' ranges as found so
/// far. Error is the sum over the outputs of noise by signal. Nothing if there are no tables or no inputs.
///
/// # Errors
/// As [`scheme::apply`] and the interpreter.
pub fn search(
    graph: &Graph,
    tables: &[Table],
    choice: &Choice,
    inputs: &[Vec<Tensor>],
    mut step: impl FnMut(usize, usize),
) -> Result<Option<Table>> {
    let expected = inputs
        .iter()
        .map(|input| Ok(interpret::run(graph, input)?))
        .collect::<Result<Vec<_>>>()?;
    let error = |quantized: &Graph| -> Result<f64> {
        let mut ratios = vec![SignalToNoise::default(); graph.outputs.len()];
        for (input, expected) in inputs.iter().zip(&expected) {
            let found = interpret::run(quantized, input)?;
            for ((ratio, made), expected) in ratios.iter_mut().zip(&found).zip(expected) {
                ratio.add(&made.to_f32(), &expected.to_f32());
            }
        }
        Ok(ratios.iter().map(SignalToNoise::noise_share).sum())
    };
    let quantized = |table: &Table| -> Result<Graph> { Ok(scheme::apply(graph, Some(table), choice)?.graph) };
    let mut best: Option<(f64, Table, Graph)> = None;
    for table in tables.iter().filter(|_| !inputs.is_empty()) {
        let made = quantized(table)?;
        let found = error(&made)?;
        if best.as_ref().is_none_or(|(least, ..)| found < *least) {
            best = Some((found, table.clone(), made));
        }
    }
    let Some((mut least, mut table, mut current)) = best else {
        return Ok(None);
    };
    let names: Vec<String> = table.entries().map(|(name, _)| name.to_owned()).collect();
    for (n, name) in names.iter().enumerate() {
        step(n, names.len());
        let mut tried: Vec<Entry> = table.get(name).cloned().into_iter().collect();
        for other in tables.iter().filter_map(|other| other.get(name)) {
            // Two calibrators may well choose one range.
            if tried.iter().any(|entry| entry.range == other.range) {
                continue;
            }
            tried.push(other.clone());
            let mut changed = table.clone();
            changed.insert(name, other.clone());
            let made = quantized(&changed)?;
            // A range that a clamp cuts, or that no integer arithmetic reads, changes nothing.
            if made == current {
                continue;
            }
            let found = error(&made)?;
            if found < least {
                (least, table, current) = (found, changed, made);
            }
        }
    }
    Ok(Some(table))
}
