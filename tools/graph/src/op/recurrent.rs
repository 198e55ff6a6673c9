//! Parameters of recurrent layers.

/// Function inside a recurrent cell.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "as in ONNX")]
pub enum Activation {
    Sigmoid,
    Tanh,
    Relu,
    HardSigmoid { alpha: f32, beta: f32 },
    Affine { alpha: f32, beta: f32 },
    LeakyRelu { alpha: f32 },
    ThresholdedRelu { alpha: f32 },
    ScaledTanh { alpha: f32, beta: f32 },
    Elu { alpha: f32 },
    Softsign,
    Softplus,
}

/// Kind of cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// One gate.
    Plain,
    /// Gates in the order update, reset, hidden.
    Gru {
        /// Whether the reset gate acts behind the recurrent product.
        linear_before_reset: bool,
    },
    /// Gates in the order input, output, forget, cell.
    Lstm {
        /// Whether input and forget gate are coupled.
        input_forget: bool,
    },
}

/// Way through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Direction {
    Forward,
    Reverse,
    Both,
}

/// Parameters of a recurrent layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrent {
    /// Kind of cell.
    pub cell: Cell,
    /// Size of the state.
    pub hidden: usize,
    /// Way through time.
    pub direction: Direction,
    /// Functions of a cell, direction by direction: one for a plain cell, two for a GRU, three for an LSTM.
    pub activations: Vec<Activation>,
    /// Limit of what enters the functions.
    pub clip: Option<f32>,
    /// Batch before time in X and Y.
    pub batch_first: bool,
}
