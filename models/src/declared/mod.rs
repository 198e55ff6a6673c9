//! An architecture as data: layers in a TOML file, in the order in which they run.

mod flow;

use limbic_graph::{Dtype, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::{Family, Network, Settings};
use flow::Flow;

/// An architecture that a file describes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Name of the architecture.
    pub name: String,
    /// What it takes in.
    pub input: Input,
    /// Its layers, in the order in which they run.
    pub layers: Vec<Layer>,
}

/// What a declared architecture takes in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the tensor.
    pub name: String,
    /// Its extents, the batch first; pictures are `[1, channels, rows, columns]`.
    pub shape: Vec<usize>,
    /// Type of its elements.
    #[serde(default)]
    pub dtype: InputDtype,
}

/// Type of a declared input's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum InputDtype {
    #[default]
    F32,
    I64,
    I32,
}

/// One layer. `name` is the prefix of its parameters in the checkpoint: `name.weight`, `name.bias`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// A convolution over one or more spatial axes; its weight gives kernel and channels.
    Conv {
        /// Prefix of its parameters.
        name: String,
        /// Steps.
        #[serde(default = "ones")]
        stride: Extents,
        /// Elements added on each side: a number, one an axis, or `"same"` for half the kernel.
        #[serde(default)]
        padding: Border,
        /// Distances of the kernel's elements.
        #[serde(default = "ones")]
        dilation: Extents,
        /// Groups of channels that do not meet.
        #[serde(default = "one")]
        groups: usize,
    },
    /// Batch normalisation with running mean and variance.
    BatchNorm {
        /// Prefix of its parameters.
        name: String,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f32,
    },
    /// Layer normalisation over the last axis.
    LayerNorm {
        /// Prefix of its parameters.
        name: String,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f32,
    },
    /// A linear layer over the last axis.
    Linear {
        /// Prefix of its parameters.
        name: String,
    },
    /// Rows of a table by their number.
    Embedding {
        /// Prefix of its table.
        name: String,
    },
    /// A function of each element.
    Activation {
        /// Which one.
        function: Function,
        /// Slope or scale of those that have one.
        alpha: Option<f32>,
    },
    /// A pool over rows and columns.
    Pool {
        /// What it makes of its window.
        kind: Pooled,
        /// Side of the window.
        kernel: usize,
        /// Step; without it the side of the window.
        stride: Option<usize>,
        /// Elements added on each side.
        #[serde(default)]
        padding: usize,
    },
    /// A pool over all spatial axes, which then are gone.
    GlobalPool {
        /// What it makes of them.
        kind: Pooled,
    },
    /// The mean over axes, which then are gone.
    Mean {
        /// The axes; negative ones count from the end.
        axes: Vec<i64>,
    },
    /// All axes behind the batch as one.
    Flatten,
    /// Other extents; -1 infers one, 0 keeps one.
    Reshape {
        /// The extents.
        shape: Vec<i64>,
    },
    /// Permuted axes.
    Transpose {
        /// Axis of the input at each place of the output.
        permutation: Vec<usize>,
    },
    /// Softmax along an axis.
    Softmax {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// Nothing: dropout, a place in a list.
    Identity,
    /// The sum of what its layers and its shortcut make of the same input.
    Residual {
        /// The layers.
        layers: Vec<Layer>,
        /// Layers of the shortcut; none is the input itself.
        #[serde(default)]
        shortcut: Vec<Layer>,
    },
    /// Layers that run beside: what comes after starts again from their input.
    Branch {
        /// The layers, an `output` among them.
        layers: Vec<Layer>,
    },
    /// Makes what there is an output.
    Output {
        /// Name of the tensor.
        name: String,
    },
}

/// A number for every spatial axis, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a number or a list of one number an axis")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Extents {
    All(usize),
    Each(Vec<usize>),
}

/// Elements added around a picture.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "\"same\", a number or a list of one number an axis")]
pub enum Border {
    /// As many as keep the extents at a step of 1.
    Named(Same),
    /// A number.
    Given(Extents),
}

/// The word `same`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the name says it")]
pub enum Same {
    Same,
}

impl Default for Border {
    fn default() -> Self {
        Self::Given(Extents::All(0))
    }
}

/// A function of each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Function {
    Relu,
    Relu6,
    LeakyRelu,
    Elu,
    Gelu,
    GeluTanh,
    Silu,
    HardSwish,
    Sigmoid,
    Tanh,
}

/// What a pool makes of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Pooled {
    Max,
    Average,
}

fn one() -> usize {
    1
}

fn ones() -> Extents {
    Extents::All(1)
}

fn epsilon() -> f32 {
    1e-5
}

impl Declared {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] with line and column.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let found = error.to_string();
            Error::new(
                ErrorKind::Malformed,
                "",
                "an architecture: name, input, layers",
                found.trim_end(),
            )
        })
    }
}

impl Family for Declared {
    fn name(&self) -> &str {
        &self.name
    }

    fn anchors(&self) -> Vec<String> {
        let named = self.layers.iter().find_map(Layer::parameters);
        named.map(|name| format!("{name}.weight")).into_iter().collect()
    }

    fn build(&self, network: &mut Network<'_>, settings: &Settings) -> Result<()> {
        let shape = settings.input.as_ref().unwrap_or(&self.input.shape);
        let dtype = match self.input.dtype {
            InputDtype::F32 => Dtype::F32,
            InputDtype::I64 => Dtype::I64,
            InputDtype::I32 => Dtype::I32,
        };
        let x = network.input(&self.input.name, dtype, shape);
        let mut flow = Flow::into(network);
        let (x, _) = flow.run(&self.layers, x, shape.len())?;
        if !flow.has_output() {
            network.output("output", x);
        }
        Ok(())
    }
}

impl Layer {
    /// Prefix of the first parameters in it.
    fn parameters(&self) -> Option<&str> {
        match self {
            Self::Conv { name, .. }
            | Self::BatchNorm { name, .. }
            | Self::LayerNorm { name, .. }
            | Self::Linear { name }
            | Self::Embedding { name } => Some(name),
            Self::Residual { layers, shortcut } => layers.iter().chain(shortcut).find_map(Self::parameters),
            Self::Branch { layers } => layers.iter().find_map(Self::parameters),
            _ => None,
        }
    }
}
