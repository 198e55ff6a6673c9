//! Weights of recurrent layers, constant or made by the run, and their products.

use limbic_engine::step::Pair;
use limbic_engine::{Halo, Span};
use limbic_graph::op::{Cell, Recurrent};
use limbic_graph::{Node, Result};

use super::numbers::Numbers;
use super::product::{Product, Source, one_tap};
use super::recurrent::{Extents, columns};
use super::tail::{Tail, matrix};
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};

/// Weights of one direction.
pub(super) struct Weights {
    /// `[width][input]`.
    pub(super) input: Matrix,
    /// `[width][hidden]`; of a GRU without its hidden gate.
    pub(super) recurrent: Matrix,
    /// `[hidden][hidden]` of a GRU's hidden gate; of other cells nothing.
    pub(super) hidden: Matrix,
    /// Added to the product with the input.
    pub(super) bias: Bias,
    /// Added to the recurrent product of a hidden gate behind which the reset gate acts.
    pub(super) hidden_bias: Bias,
}

/// A matrix `[outputs][depth]`.
pub(super) enum Matrix {
    Constant(Vec<f32>),
    /// Packed by a step, with its outputs.
    Packed(Span, usize),
}

/// A number for each output.
pub(super) enum Bias {
    Constant(Vec<f32>),
    /// As `[1, outputs]`.
    Computed(Placed),
}

/// How many of the sums take both biases: a hidden bias that the reset gate scales belongs to the recurrent product.
fn joined(r: &Recurrent, e: Extents) -> usize {
    let linear = Cell::Gru {
        linear_before_reset: true,
    };
    if r.cell == linear { 2 * e.hidden } else { e.width }
}

/// How many rows of the recurrent matrix are multiplied at once.
fn outer(r: &Recurrent, e: Extents) -> usize {
    match r.cell {
        Cell::Gru { .. } => 2 * e.hidden,
        _ => e.width,
    }
}

/// One direction of a tensor `[directions, ..]`.
fn part(x: &Placed, direction: usize) -> Placed {
    Placed {
        start: x.start + direction * x.strides[0],
        dims: x.dims[1..].to_vec(),
        strides: x.strides[1..].to_vec(),
        border: [0; 4],
        ..x.clone()
    }
}

impl Lowering<'_> {
    /// Weights of a direction.
    pub(super) fn recurrent_weights(
        &mut self,
        node: &Node,
        r: &Recurrent,
        e: Extents,
        direction: usize,
    ) -> Result<Weights> {
        for n in 1..4 {
            if node.inputs.get(n).copied().flatten().is_some() && self.constant(node, n).is_err() {
                return self.computed_weights(node, r, e, direction);
            }
        }
        let part = |n: usize, each: usize| -> Result<Vec<f32>> {
            let Some(tensor) = self.constant(node, n)? else {
                return Ok(vec![0.0; each]);
            };
            if tensor.quantization.is_some() || tensor.len() != each * e.directions {
                return Err(unsupported(
                    format!("{} plain numbers", each * e.directions),
                    format!("{:?}", tensor.shape()),
                ));
            }
            Ok(tensor.elements::<f32>()?[direction * each..][..each].to_vec())
        };
        let both = part(3, 2 * e.width)?;
        let (forward, back) = both.split_at(e.width);
        let joined = joined(r, e);
        let bias = forward.iter().enumerate();
        let bias = bias.map(|(n, &x)| if n < joined { x + back[n] } else { x });
        let mut recurrent = part(2, e.width * e.hidden)?;
        let hidden = recurrent.split_off(outer(r, e) * e.hidden);
        Ok(Weights {
            input: Matrix::Constant(part(1, e.width * e.input)?),
            recurrent: Matrix::Constant(recurrent),
            hidden: Matrix::Constant(hidden),
            bias: Bias::Constant(bias.collect()),
            hidden_bias: Bias::Constant(back[joined..].to_vec()),
        })
    }

    /// Weights of a direction that a run makes.
    fn computed_weights(
        &mut self,
        node: &Node,
        r: &Recurrent,
        e: Extents,
        direction: usize,
    ) -> Result<Weights> {
        let all = [
            (1, vec![e.directions, e.width, e.input]),
            (2, vec![e.directions, e.width, e.hidden]),
            (3, vec![e.directions, 2 * e.width]),
        ];
        let mut found = Vec::new();
        for (n, dims) in all {
            if node.inputs.get(n).copied().flatten().is_none() {
                continue;
            }
            let tensor = self.real(node, n)?;
            if tensor.dims != dims {
                return Err(unsupported(format!("{dims:?}"), format!("{:?}", tensor.dims)));
            }
            found.push(part(&tensor, direction));
        }
        let mut found = found.into_iter();
        let (Some(input), Some(recurrent)) = (found.next(), found.next()) else {
            return Err(unsupported("weights", "none"));
        };
        let (bias, hidden_bias) = match found.next() {
            Some(both) => self.joined_bias(&both, joined(r, e), e)?,
            None => {
                let none = |count: usize| Bias::Constant(vec![0.0; count]);
                (none(e.width), none(e.width - joined(r, e)))
            }
        };
        let outer = outer(r, e);
        Ok(Weights {
            input: self.packed_rows(&input, 0, e.width)?,
            recurrent: self.packed_rows(&recurrent, 0, outer)?,
            hidden: if outer < e.width {
                self.packed_rows(&recurrent, outer, e.width - outer)?
            } else {
                Matrix::Constant(Vec::new())
            },
            bias,
            hidden_bias,
        })
    }

    /// Both biases `[2 * width]` where they are added at once, and those of the recurrent product alone.
    fn joined_bias(&mut self, both: &Placed, joined: usize, e: Extents) -> Result<(Bias, Bias)> {
        let mut both = both.clone();
        both.dims.insert(0, 1);
        both.strides.insert(0, 0);
        let bias = self.row_major(Kind::F32, &[1, e.width]);
        let (front, behind) = (columns(&both, 0, joined), columns(&both, e.width, joined));
        self.pair(Pair::Add, [&front, &behind], &columns(&bias, 0, joined))?;
        let rest = e.width - joined;
        if rest > 0 {
            self.copy(&columns(&both, joined, rest), &columns(&bias, joined, rest), 0)?;
        }
        let hidden = columns(&both, e.width + joined, rest);
        Ok((Bias::Computed(bias), Bias::Computed(hidden)))
    }

    /// Some rows of a matrix `[outputs][depth]`, packed.
    fn packed_rows(&mut self, rows: &Placed, first: usize, count: usize) -> Result<Matrix> {
        let view = Placed {
            start: rows.start + first * rows.strides[0],
            dims: vec![1, rows.dims[1], count],
            strides: vec![0, rows.strides[1], rows.strides[0]],
            ..rows.clone()
        };
        let (span, _) = self.packed(&view)?;
        Ok(Matrix::Packed(span, count))
    }

    /// Rows times the transpose of `[outputs][depth]`, a bias and another matrix added.
    pub(super) fn dense_rows(
        &mut self,
        x: &Placed,
        weights: &Matrix,
        bias: Option<&Bias>,
        added: Option<Placed>,
    ) -> Result<Placed> {
        let depth = x.dims[1];
        let (constant, computed) = match (weights, bias) {
            (Matrix::Constant(_), Some(Bias::Constant(bias))) => (Some(bias.clone()), None),
            (_, Some(Bias::Computed(bias))) => (None, Some(bias)),
            // No bias is computed where it is left out: it is zeros.
            (Matrix::Packed(..), Some(Bias::Constant(_))) | (_, None) => (None, None),
        };
        let numbers = match weights {
            Matrix::Constant(weights) => Numbers::Float {
                weights: weights.clone(),
                bias: constant,
            },
            Matrix::Packed(..) => Numbers::Float {
                weights: Vec::new(),
                bias: None,
            },
        };
        let (outputs, source) = match weights {
            Matrix::Constant(weights) => (weights.len() / depth.max(1), Source::Constant(&numbers)),
            Matrix::Packed(span, outputs) => (*outputs, Source::Packed(*span, 0)),
        };
        let input = self.rows(x.clone(), depth)?;
        let placed = self.row_major(Kind::F32, &[x.dims[0], outputs]);
        let tail = Tail::sum(added);
        let product = Product {
            input_steps: [input.strides[0], 0, input.strides[2]],
            input,
            kernel: [1, 1, depth],
            taps: one_tap,
            pixel: depth,
            whole: true,
            first_output: 0,
            outputs,
            source,
            row_scales: 0,
            output: &placed,
            output_view: matrix(&placed)?,
            halo: Halo::default(),
        };
        self.product(&tail, product)?;
        match computed {
            Some(bias) => self.pairwise(Pair::Add, &placed, bias),
            None => Ok(placed),
        }
    }
}
