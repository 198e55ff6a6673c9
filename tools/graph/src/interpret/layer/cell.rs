//! Cells of recurrent layers: from the sums of a step to the next state.

use crate::op::{Activation, Cell};

/// The value of a function inside a cell.
fn activate(function: Activation, x: f64) -> f64 {
    let wide = f64::from;
    match function {
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Relu => x.max(0.0),
        Activation::HardSigmoid { alpha, beta } => (wide(alpha) * x + wide(beta)).clamp(0.0, 1.0),
        Activation::Affine { alpha, beta } => wide(alpha) * x + wide(beta),
        Activation::LeakyRelu { alpha } => {
            if x < 0.0 {
                wide(alpha) * x
            } else {
                x
            }
        }
        Activation::ThresholdedRelu { alpha } => {
            if x > wide(alpha) {
                x
            } else {
                0.0
            }
        }
        Activation::ScaledTanh { alpha, beta } => wide(alpha) * (wide(beta) * x).tanh(),
        Activation::Elu { alpha } => {
            if x < 0.0 {
                wide(alpha) * x.exp_m1()
            } else {
                x
            }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Softplus => x.exp().ln_1p(),
    }
}

/// How many gates a cell has.
pub(super) fn gates(cell: Cell) -> usize {
    match cell {
        Cell::Plain => 1,
        Cell::Gru { .. } => 3,
        Cell::Lstm { .. } => 4,
    }
}

/// How many functions a cell has.
pub(super) fn functions(cell: Cell) -> usize {
    match cell {
        Cell::Plain => 1,
        Cell::Gru { .. } => 2,
        Cell::Lstm { .. } => 3,
    }
}

/// A cell with its functions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub functions: &'a [Activation],
    pub clip: Option<f32>,
    /// Input, output and forget gate, or empty.
    pub peepholes: &'a [f64],
}

impl Step<'_> {
    fn function(&self, n: usize, x: f64) -> f64 {
        let x = match self.clip {
            Some(limit) => x.clamp(-f64::from(limit.abs()), limit.abs().into()),
            None => x,
        };
        self.functions.get(n).map_or(x, |&f| activate(f, x))
    }

    /// A plain cell: the sum of input, recurrent and bias terms becomes the state.
    pub fn plain(&self, sums: &[f64], state: &mut [f64]) {
        for (h, &sum) in state.iter_mut().zip(sums) {
            *h = self.function(0, sum);
        }
    }

    /// A long short-term memory: `sums` of the input, output, forget and cell gate, each as long as the state.
    pub fn lstm(&self, input_forget: bool, sums: &[f64], state: &mut [f64], memory: &mut [f64]) {
        let hidden = state.len();
        let peephole = |gate: usize, n: usize| self.peepholes.get(gate * hidden + n).copied().unwrap_or(0.0);
        for n in 0..hidden {
            let gate = |g: usize| sums[g * hidden + n];
            let old = memory[n];
            let input = self.function(0, gate(0) + peephole(0, n) * old);
            let forget = if input_forget {
                1.0 - input
            } else {
                self.function(0, gate(2) + peephole(2, n) * old)
            };
            let new = forget * old + input * self.function(1, gate(3));
            let output = self.function(0, gate(1) + peephole(1, n) * new);
            memory[n] = new;
            // ONNX Runtime does not limit the memory, and neither is it limited here.
            state[n] = output * self.functions.get(2).map_or(new, |&f| activate(f, new));
        }
    }

    /// The update and the reset gate of a gated recurrent unit, in place.
    pub fn gru_gates(&self, sums: &mut [f64]) {
        for sum in sums {
            *sum = self.function(0, *sum);
        }
    }

    /// The next state of a gated recurrent unit from its update gate and the sum of its hidden gate.
    pub fn gru(&self, update: &[f64], hidden: &[f64], state: &mut [f64]) {
        for ((h, &z), &sum) in state.iter_mut().zip(update).zip(hidden) {
            *h = (1.0 - z) * self.function(1, sum) + z * *h;
        }
    }
}
