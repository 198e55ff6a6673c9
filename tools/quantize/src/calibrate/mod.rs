//! What values the tensors of a graph take, seen one input at a time, and the ranges chosen from that.

mod choose;
mod histogram;
mod table;

use std::collections::BTreeMap;

use limbic_graph::{Graph, Tensor, ValueId, interpret};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

pub use histogram::Histogram;
pub use table::{Entry, Table};

/// Least and greatest real number that a quantized tensor is to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least.
    pub min: f32,
    /// The greatest.
    pub max: f32,
}

impl Range {
    fn new(min: f64, max: f64) -> Self {
        Self {
            min: min as f32,
            max: max as f32,
        }
    }
}

/// How a range is chosen from the values seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Least and greatest value.
    MinMax,
    /// Moving average of each input's least and greatest value.
    MovingMinMax,
    /// Leaves out a share of the values at the ends.
    Percentile,
    /// Least Kullback-Leibler divergence.
    Entropy,
    /// Least mean squared error.
    Mse,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 5] = [
        Self::MinMax,
        Self::MovingMinMax,
        Self::Percentile,
        Self::Entropy,
        Self::Mse,
    ];

    /// Name as tables, recipes and reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::MovingMinMax => "moving-min-max",
            Self::Percentile => "percentile",
            Self::Entropy => "entropy",
            Self::Mse => "mse",
        }
    }
}

/// Parameters of the calibrators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calibrators {
    /// Bins of a tensor's histogram at most.
    pub bins: usize,
    /// Share of the values that a percentile range holds, in percent.
    pub percentile: f64,
    /// Weight of what was seen before in a moving range.
    pub momentum: f64,
    /// Whether ranges are as wide on both sides of zero.
    pub symmetric: bool,
}

impl Default for Calibrators {
    fn default() -> Self {
        Self {
            bins: 2048,
            percentile: 99.999,
            momentum: 0.9,
            symmetric: false,
        }
    }
}

impl Calibrators {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] naming the one outside its range.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, expected: &str, found: f64| {
            Err(Error::new(ErrorKind::Parameter, name, expected, found))
        };
        if !(256..=1 << 20).contains(&self.bins) {
            return refuse("bins", "256 to 1048576", self.bins as f64);
        }
        if !(self.percentile > 50.0 && self.percentile <= 100.0) {
            return refuse("percentile", "more than 50, at most 100", self.percentile);
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return refuse("momentum", "0 to less than 1", self.momentum);
        }
        Ok(())
    }
}

/// What was seen of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Observer {
    seen: Option<Range>,
    moving: Option<(f64, f64)>,
    histogram: Histogram,
}

impl Observer {
    /// One that has seen nothing.
    pub fn new(calibrators: &Calibrators) -> Self {
        Self {
            seen: None,
            moving: None,
            histogram: Histogram::new(calibrators.bins),
        }
    }

    /// Takes in the values of a tensor for one input; an empty one changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinite`] naming the tensor; what was seen is then as before.
    pub fn observe(&mut self, name: &str, values: &[f32], momentum: f64) -> Result<()> {
        let Some(&first) = values.first() else {
            return Ok(());
        };
        let (mut min, mut max) = (first, first);
        for (n, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::new(
                    ErrorKind::NotFinite,
                    format!("tensor {name}"),
                    "finite values",
                    format!("{value} at element {n}"),
                ));
            }
            min = min.min(value);
            max = max.max(value);
        }
        self.seen = Some(self.seen.map_or(Range { min, max }, |seen| Range {
            min: seen.min.min(min),
            max: seen.max.max(max),
        }));
        let (min64, max64) = (f64::from(min), f64::from(max));
        self.moving = Some(self.moving.map_or((min64, max64), |(low, high)| {
            (
                momentum * low + (1.0 - momentum) * min64,
                momentum * high + (1.0 - momentum) * max64,
            )
        }));
        self.histogram.add(values, min, max);
        Ok(())
    }

    /// Least and greatest value seen.
    pub fn seen(&self) -> Option<Range> {
        self.seen
    }

    /// The range that a method chooses for `levels` integers; `None` if no value was seen.
    pub fn range(&self, method: Method, calibrators: &Calibrators, levels: usize) -> Option<Range> {
        let seen = self.seen?;
        let symmetric = calibrators.symmetric;
        let range = match method {
            Method::MinMax => seen,
            Method::MovingMinMax => self.moving.map(|(low, high)| Range::new(low, high))?,
            Method::Percentile => {
                choose::percentile(&self.histogram, seen, calibrators.percentile, symmetric)
            }
            Method::Entropy => choose::entropy(&self.histogram, seen, levels, symmetric),
            Method::Mse => choose::least_squares(&self.histogram, seen, levels, symmetric),
        };
        Some(if symmetric {
            let limit = range.min.abs().max(range.max.abs());
            Range {
                min: -limit,
                max: limit,
            }
        } else {
            range
        })
    }
}

/// What was seen of the tensors of a graph.
#[derive(Debug, Clone)]
pub struct Calibration {
    calibrators: Calibrators,
    observers: BTreeMap<String, Observer>,
    inputs: usize,
}

impl Calibration {
    /// Runs a float graph on each input in turn and takes in the tensors whose names are wanted.
    ///
    /// Holds one input and its live tensors at a time, and a histogram for each wanted tensor.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinite`] naming a tensor, [`ErrorKind::Data`] without inputs, [`ErrorKind::Graph`] where the graph
    /// does not run, [`ErrorKind::Parameter`]; or what the inputs' iterator gives.
    pub fn collect<'n>(
        graph: &Graph,
        wanted: impl IntoIterator<Item = &'n str>,
        inputs: impl IntoIterator<Item = Result<Vec<Tensor>>>,
        calibrators: &Calibrators,
    ) -> Result<Self> {
        calibrators.check()?;
        let observers = wanted
            .into_iter()
            .map(|name| (name.to_owned(), Observer::new(calibrators)))
            .collect();
        let mut calibration = Self {
            calibrators: calibrators.clone(),
            observers,
            inputs: 0,
        };
        for input in inputs {
            calibration.take(graph, &input?)?;
        }
        if calibration.inputs == 0 {
            return Err(Error::new(
                ErrorKind::Data,
                "calibration data",
                "at least one input",
                "none",
            ));
        }
        Ok(calibration)
    }

    fn take(&mut self, graph: &Graph, input: &[Tensor]) -> Result<()> {
        let mut broken = None;
        let (observers, momentum) = (&mut self.observers, self.calibrators.momentum);
        interpret::run_observed(graph, input, &mut |id: ValueId, tensor: &Tensor| {
            let name = &graph.value(id).name;
            let Some(observer) = observers.get_mut(name) else {
                return;
            };
            let outcome = match tensor.elements::<f32>() {
                Ok(values) => observer.observe(name, values, momentum),
                Err(_) => observer.observe(name, &tensor.to_f32(), momentum),
            };
            if let (Err(error), None) = (outcome, &broken) {
                broken = Some(error);
            }
        })?;
        self.inputs += 1;
        broken.map_or(Ok(()), Err)
    }

    /// The ranges that a method chooses for `levels` integers.
    ///
    /// # Errors
    /// [`ErrorKind::NoRange`] naming a tensor that no value was seen of.
    pub fn table(&self, method: Method, levels: usize) -> Result<Table> {
        let mut table = Table::new(self.calibrators.clone(), self.inputs);
        for (name, observer) in &self.observers {
            let (range, seen) = observer
                .range(method, &self.calibrators, levels)
                .zip(observer.seen())
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::NoRange,
                        format!("tensor {name}"),
                        "values in the calibration data",
                        format!("none in {} inputs", self.inputs),
                    )
                })?;
            table.insert(
                name,
                Entry {
                    range,
                    method: method.name().to_owned(),
                    seen,
                },
            );
        }
        Ok(table)
    }

    /// Number of inputs taken in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
}

#[cfg(test)]
mod tests;
