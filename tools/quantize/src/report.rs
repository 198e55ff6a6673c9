//! What is told about a quantization, as JSON and as text.

use std::fmt::Write as _;

use serde::Serialize;

use crate::agreement::{Agreement, WindowAgreement};
use crate::calibrate::Table;
use crate::recipe::Recipe;
use crate::scheme::{Arithmetic, Choice, Placement, Quantized};
use crate::sensitivity::Sensitivity;

/// Everything that is told about a quantization.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this report.
    pub format: u32,
    /// The scheme.
    pub scheme: &'static str,
    /// Share of the multiply-accumulates that are of integers, in `0..=1`.
    pub integer_share: f64,
    /// Multiply-accumulates of one run; 0 where extents are not known.
    pub macs: u64,
    /// The ways that were tried on the tune set; one is kept.
    pub tried: Vec<Tried>,
    /// The result on the tune sets, on which choices were made, for each head and set.
    pub tune: Vec<Agreement>,
    /// The result on the eval sets, which were used for nothing else.
    pub eval: Vec<Agreement>,
    /// Operations with products that are left in float.
    pub left_in_float: Vec<Left>,
    /// Every operation with products.
    pub placements: Vec<Placement>,
    /// Sensitivities, the lowest first; empty where nothing had to be returned to float.
    pub sensitivities: Vec<Sensitivity>,
    /// Range of each quantized tensor.
    pub ranges: Vec<TensorRange>,
    /// Inputs of the calibration.
    pub calibration_inputs: usize,
    /// The recipe, every parameter written out.
    pub recipe: Recipe,
}

/// A way that was tried on the tune set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// What chose the ranges.
    pub calibrator: String,
    /// Options that were used.
    pub options: Vec<&'static str>,
    /// Mean of [`Agreement::distance`] over heads and data sets; the least of those within the limits is kept.
    pub distance: f64,
    /// Each head and data set.
    pub heads: Vec<TriedHead>,
    /// Whether it is the one that was kept.
    pub kept: bool,
}

/// How a head did on a tune set in one of the ways that were tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriedHead {
    /// Name of the head.
    pub head: String,
    /// Name of the data set.
    pub data: String,
    /// The metric, in points.
    pub metric: Option<f64>,
    /// Share of equal answers, in `0..=1`.
    pub equal: f64,
    /// The windows that items are cut into, where they are.
    pub windows: Option<WindowAgreement>,
}

impl TriedHead {
    pub(crate) fn new(agreement: &Agreement) -> Self {
        Self {
            head: agreement.head.clone(),
            data: agreement.data.clone(),
            metric: agreement.metric,
            equal: agreement.equal,
            windows: agreement.windows,
        }
    }
}

/// An operation that is left in float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Left {
    /// Name of the node.
    pub node: String,
    /// Why.
    pub reason: String,
    /// What it costs, in multiply-accumulates.
    pub macs: u64,
}

/// The range of a quantized tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorRange {
    /// Name of the tensor.
    pub tensor: String,
    /// Least value that is held.
    pub min: f32,
    /// Greatest value that is held.
    pub max: f32,
    /// What chose it.
    pub method: String,
    /// Least value seen.
    pub seen_min: f32,
    /// Greatest value seen.
    pub seen_max: f32,
}

impl Report {
    /// Of a quantization that is done.
    pub(crate) fn new(
        recipe: &Recipe,
        choice: &Choice,
        quantized: &Quantized,
        table: Option<&Table>,
        tune: Vec<Agreement>,
        eval: Vec<Agreement>,
    ) -> Self {
        let left_in_float = quantized
            .placements
            .iter()
            .filter(|placement| placement.arithmetic == Arithmetic::F32)
            .map(|placement| Left {
                node: placement.node.clone(),
                reason: placement.reason.clone().unwrap_or_default(),
                macs: placement.macs,
            })
            .collect();
        let ranges = table.map_or_else(Vec::new, |table| {
            table
                .entries()
                .map(|(name, entry)| TensorRange {
                    tensor: name.to_owned(),
                    min: entry.range.min,
                    max: entry.range.max,
                    method: entry.method.clone(),
                    seen_min: entry.seen.min,
                    seen_max: entry.seen.max,
                })
                .collect()
        });
        Self {
            format: 3,
            scheme: choice.scheme.name(),
            integer_share: quantized.integer_share(),
            macs: quantized.placements.iter().map(|placement| placement.macs).sum(),
            tried: Vec::new(),
            tune,
            eval,
            left_in_float,
            placements: quantized.placements.clone(),
            sensitivities: Vec::new(),
            ranges,
            calibration_inputs: table.map_or(0, Table::inputs),
            recipe: recipe.clone(),
        }
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let mut line = |words: String| {
            let _ = writeln!(text, "{words}");
        };
        line(format!(
            "scheme {}, {:.1} % of {} multiply-accumulates in int8",
            self.scheme,
            100.0 * self.integer_share,
            self.macs
        ));
        for tried in &self.tried {
            let options = if tried.options.is_empty() {
                String::new()
            } else {
                format!(" with {}", tried.options.join(", "))
            };
            let heads: Vec<String> = tried
                .heads
                .iter()
                .map(|head| {
                    let windows = of_windows(head.windows);
                    format!("{} {:.2} %{windows}", head.head, 100.0 * head.equal)
                })
                .collect();
            line(format!(
                "  tune, {}{options}: distance {:.5}, equal {}{}",
                tried.calibrator,
                tried.distance,
                heads.join(", "),
                if tried.kept { "  <- kept" } else { "" }
            ));
        }
        for (name, agreements) in [("tune", &self.tune), ("eval", &self.eval)] {
            for agreement in agreements {
                let metric = match (agreement.float_metric, agreement.metric, agreement.drop) {
                    (Some(before), Some(after), Some(drop)) => format!(
                        "{} {before:.2} -> {after:.2} (drop {drop:.2}), ",
                        agreement.measure.name()
                    ),
                    _ => String::new(),
                };
                line(format!(
                    "{name}, {} on {}: {} items, {metric}{:.2} % of the answers equal{}",
                    agreement.head,
                    agreement.data,
                    agreement.items,
                    100.0 * agreement.equal,
                    of_windows(agreement.windows)
                ));
                for refused in &agreement.refused {
                    line(format!("  refused: {refused}"));
                }
            }
        }
        if !self.left_in_float.is_empty() {
            line("left in float:".to_owned());
            for left in &self.left_in_float {
                line(format!(
                    "  {}: {} multiply-accumulates, {}",
                    left.node, left.macs, left.reason
                ));
            }
        }
        text
    }
}

/// The windows' share of equal answers, in brackets; nothing where there are none.
fn of_windows(windows: Option<WindowAgreement>) -> String {
    windows.map_or_else(String::new, |windows| {
        format!(" ({:.2} % of {} windows)", 100.0 * windows.equal, windows.count)
    })
}
