//! What a user can decide about a quantization: read from TOML, stored beside the result.

use std::collections::BTreeMap;

use limbic_graph::Graph;
use serde::{Deserialize, Serialize};

use crate::calibrate::{Calibrators, Method};
use crate::error::{Error, ErrorKind, Result};
use crate::scheme::{Choice, Scheme};

/// Everything that decides a quantization beside graph and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// The scheme; chosen by the architecture where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Calibrators to try; the best on the tune set is kept.
    pub methods: Vec<Method>,
    /// Elements of a block of weights, for the schemes that have blocks.
    pub block: usize,
    /// Options that are tried beside plain quantization and kept where they give more equal answers on the tune set.
    pub options: Vec<Remedy>,
    /// How weights become integers.
    pub rounding: Rounding,
    /// Most inputs of the calibration set that [`Rounding::Calibrated`] looks at.
    pub rounding_inputs: usize,
    /// Names of nodes that stay in float.
    pub float: Vec<String>,
    /// Inputs of the calibration set on which each tensor's calibrator is searched by itself; 0 for no search.
    pub search_inputs: usize,
    /// Most inputs of the calibration set that a sensitivity is measured on.
    pub sensitivity_inputs: usize,
    /// Limits of what quantization may change.
    pub limits: Limits,
    /// Parameters of the calibrators.
    pub calibrators: Calibrators,
}

/// A change of the float graph that keeps its answers and can make it easier to quantize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Ranges of channels made equal between two layers.
    Equalise,
    /// Biases moved by the mean error of the rounded weights.
    BiasCorrection,
    /// Large channels of activations moved into the weights behind them.
    SmoothQuant,
}

impl Remedy {
    /// Name as recipes and reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equalise => "equalise",
            Self::BiasCorrection => "bias-correction",
            Self::SmoothQuant => "smooth-quant",
        }
    }
}

/// How weights become integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Each to the nearest.
    #[default]
    Nearest,
    /// Each so that the layer's outputs on the calibration set change least, where that is better on the tune set.
    Calibrated,
}

/// What quantization may change at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Points of the metric, of a hundred, that may be lost.
    pub max_drop: f64,
    /// Share of answers that must stay equal, in `0..=1`; a change of one item is never refused.
    pub min_equal: f64,
    /// Points of a class's recall that may be lost; a loss of one item is never refused.
    pub max_recall_drop: f64,
    /// Change of a class's share among the answers, in points; a change of one item is never refused.
    pub max_drift: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_drop: 0.5,
            min_equal: 0.99,
            max_recall_drop: 3.0,
            max_drift: 1.0,
        }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            scheme: None,
            methods: vec![Method::MinMax, Method::Percentile, Method::Entropy, Method::Mse],
            block: 32,
            options: Vec::new(),
            rounding: Rounding::Nearest,
            rounding_inputs: 64,
            float: Vec::new(),
            search_inputs: 0,
            sensitivity_inputs: 16,
            limits: Limits::default(),
            calibrators: Calibrators::default(),
        }
    }
}

impl Recipe {
    /// Reads a recipe; what it leaves out has its default.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] saying where, [`ErrorKind::Parameter`] naming a parameter outside its range.
    pub fn from_toml(text: &str) -> Result<Self> {
        let recipe: Self = toml::from_str(text).map_err(|error| {
            Error::new(
                ErrorKind::Syntax,
                "recipe",
                "a recipe in TOML",
                error.to_string().trim_end(),
            )
        })?;
        recipe.check()?;
        Ok(recipe)
    }

    /// The recipe as TOML, every parameter written out.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] never, for a recipe that passes [`Recipe::check`].
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|error| Error::new(ErrorKind::Syntax, "recipe", "what TOML can write", error))
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] naming the one outside its range.
    pub fn check(&self) -> Result<()> {
        let refuse = |name: &str, expected: &str, found: String| {
            Err(Error::new(ErrorKind::Parameter, name, expected, found))
        };
        if self.methods.is_empty() {
            return refuse("methods", "at least one calibrator", "none".to_owned());
        }
        if self.block == 0 {
            return refuse("block", "at least 1", "0".to_owned());
        }
        if self.rounding_inputs == 0 {
            return refuse("rounding_inputs", "at least 1", "0".to_owned());
        }
        if self.sensitivity_inputs == 0 {
            return refuse("sensitivity_inputs", "at least 1", "0".to_owned());
        }
        let limits = &self.limits;
        for (name, value, most) in [
            ("limits.max_drop", limits.max_drop, 100.0),
            ("limits.min_equal", limits.min_equal, 1.0),
            ("limits.max_recall_drop", limits.max_recall_drop, 100.0),
            ("limits.max_drift", limits.max_drift, 100.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return refuse(name, &format!("0 to {most}"), value.to_string());
            }
        }
        self.calibrators.check()
    }

    /// The scheme for a graph, with what the recipe keeps in float.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] naming a node that the graph does not have.
    pub fn choice(&self, graph: &Graph) -> Result<Choice> {
        let mut float = BTreeMap::new();
        for name in &self.float {
            if !graph.nodes.iter().any(|node| node.name == *name) {
                return Err(Error::new(
                    ErrorKind::Parameter,
                    "float",
                    "names of nodes of the folded graph",
                    name,
                ));
            }
            float.insert(name.clone(), "kept in float by the recipe".to_owned());
        }
        let scheme = self.scheme.unwrap_or_else(|| Scheme::of_architecture(graph));
        if self.rounding == Rounding::Calibrated && !scheme.has_integer_products() {
            return Err(Error::new(
                ErrorKind::Parameter,
                "rounding",
                "nearest, for a scheme without products of integers",
                format!("calibrated for {}", scheme.name()),
            ));
        }
        Ok(Choice {
            float,
            block: self.block,
            ..Choice::new(scheme)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_comes_back_as_it_was_written() {
        let recipe = Recipe {
            scheme: Some(Scheme::Int8Symmetric),
            options: vec![Remedy::BiasCorrection],
            float: vec!["/conv/Conv".to_owned()],
            ..Recipe::default()
        };
        assert_eq!(Recipe::from_toml(&recipe.to_toml().unwrap()).unwrap(), recipe);
        assert_eq!(Recipe::from_toml("").unwrap(), Recipe::default());
    }

    #[test]
    fn unknown_keys_and_values_outside_their_range_are_refused_by_name() {
        for (text, name) in [
            ("colour = 1", "colour"),
            ("methods = []", "methods"),
            ("methods = [\"guess\"]", "guess"),
            ("block = 0", "block"),
            ("rounding = \"up\"", "up"),
            ("rounding_inputs = 0", "rounding_inputs"),
            ("[limits]\nmin_equal = 1.5", "min_equal"),
            ("[calibrators]\nbins = 1", "bins"),
            ("scheme = \"int3\"", "int3"),
        ] {
            let error = Recipe::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
