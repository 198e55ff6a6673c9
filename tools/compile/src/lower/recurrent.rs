//! Recurrent layers, written out step by step in time.

use limbic_engine::step::{self, Function, Pair};
use limbic_graph::op::{Activation, Cell, Direction, Recurrent};
use limbic_graph::{Node, Result, Tensor, ValueId};

use super::recurrent_weights::Weights;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};

/// Most steps in time of all directions: a plan holds each of them.
const MOST_STEPS: usize = 1024;

/// Extents of a layer.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    time: usize,
    batch: usize,
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) directions: usize,
    /// Sums of a step in time.
    pub(super) width: usize,
}

fn function(activation: Activation) -> Result<(Function, f32, f32)> {
    Ok(match activation {
        Activation::Sigmoid => (Function::Sigmoid, 0.0, 0.0),
        Activation::Tanh => (Function::Tanh, 0.0, 0.0),
        Activation::Relu => (Function::Relu, 0.0, 0.0),
        Activation::HardSigmoid { alpha, beta } => (Function::HardSigmoid, alpha, beta),
        Activation::LeakyRelu { alpha } => (Function::LeakyRelu, alpha, 0.0),
        other => return Err(unsupported("a function with a kernel", format!("{other:?}"))),
    })
}

/// Some columns of a matrix.
pub(super) fn columns(matrix: &Placed, first: usize, count: usize) -> Placed {
    let mut view = matrix.clone();
    view.start += first * view.strides[1];
    view.dims[1] = count;
    view
}

/// Some rows of a matrix.
fn rows(matrix: &Placed, first: usize, count: usize) -> Placed {
    let mut view = matrix.clone();
    view.start += first * view.strides[0];
    view.dims[0] = count;
    view
}

impl Lowering<'_> {
    pub(super) fn recurrent(&mut self, node: &Node, r: &Recurrent) -> Result<()> {
        let given = |n: usize| node.inputs.get(n).copied().flatten().is_some();
        let refused = [
            (given(4), "sequences of one length", "lengths"),
            (given(7), "no peepholes", "peepholes"),
            (r.clip.is_some(), "no limit of the sums", "a limit"),
            (
                matches!(r.cell, Cell::Lstm { input_forget: true }),
                "gates of their own",
                "coupled gates",
            ),
        ];
        if let Some((_, expected, found)) = refused.iter().find(|(wrong, ..)| *wrong) {
            return Err(unsupported(expected, found));
        }
        let x = self.operand(node, 0)?;
        if x.kind != Kind::F32 || x.dims.len() != 3 {
            return Err(unsupported(
                "f32 [time,batch,input]",
                format!("{:?} {:?}", x.kind, x.dims),
            ));
        }
        let x = if r.batch_first { x.transpose(&[1, 0, 2]) } else { x };
        let gates = match r.cell {
            Cell::Plain => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm { .. } => 4,
        };
        let e = Extents {
            time: x.dims[0],
            batch: x.dims[1],
            input: x.dims[2],
            hidden: r.hidden,
            directions: if r.direction == Direction::Both { 2 } else { 1 },
            width: gates * r.hidden,
        };
        if e.time * e.directions > MOST_STEPS || e.time == 0 {
            return Err(unsupported(
                format!("1 to {MOST_STEPS} steps in time"),
                e.time * e.directions,
            ));
        }
        let all_rows = self.contiguous(x)?;
        let all_rows = all_rows
            .reshape(&[e.time * e.batch, e.input])
            .ok_or_else(|| unsupported("rows", "none"))?;
        let mut made = Vec::new();
        for direction in 0..e.directions {
            let weights = self.recurrent_weights(node, r, e, direction)?;
            let functions = r.activations.len() / e.directions;
            let functions = r.activations[direction * functions..][..functions]
                .iter()
                .map(|&activation| function(activation))
                .collect::<Result<Vec<_>>>()?;
            let state = self.initial(node, 5, r, e, direction)?;
            let memory = match r.cell {
                Cell::Lstm { .. } => Some(self.initial(node, 6, r, e, direction)?),
                _ => None,
            };
            let sums = self.dense_rows(&all_rows, &weights.input, Some(&weights.bias), None)?;
            let reverse = r.direction == Direction::Reverse || direction == 1;
            made.push(self.through_time(r.cell, e, &sums, &weights, &functions, (state, memory), reverse)?);
        }
        self.recurrent_outputs(node, r, e, &made)
    }

    /// The state `[batch, hidden]` before the first step.
    fn initial(
        &mut self,
        node: &Node,
        n: usize,
        r: &Recurrent,
        e: Extents,
        direction: usize,
    ) -> Result<Placed> {
        if node.inputs.get(n).copied().flatten().is_none() {
            let zeros = Tensor::new(&[e.batch, e.hidden], vec![0f32; e.batch * e.hidden])?;
            return self.load(&zeros);
        }
        let state = self.operand(node, n)?;
        let expected = if r.batch_first {
            [e.batch, e.directions, e.hidden]
        } else {
            [e.directions, e.batch, e.hidden]
        };
        if state.kind != Kind::F32 || state.dims != expected {
            return Err(unsupported(
                format!("f32 {expected:?}"),
                format!("{:?} {:?}", state.kind, state.dims),
            ));
        }
        let state = if r.batch_first {
            state.transpose(&[1, 0, 2])
        } else {
            state
        };
        Ok(Placed {
            start: state.start + direction * state.strides[0],
            dims: state.dims[1..].to_vec(),
            strides: state.strides[1..].to_vec(),
            border: [0; 4],
            ..state
        })
    }

    /// The states of all times, in their order, and the memory behind the last step.
    #[allow(clippy::too_many_arguments, reason = "each is one part of a cell")]
    fn through_time(
        &mut self,
        cell: Cell,
        e: Extents,
        sums: &Placed,
        weights: &Weights,
        functions: &[(Function, f32, f32)],
        (mut state, mut memory): (Placed, Option<Placed>),
        reverse: bool,
    ) -> Result<(Vec<Placed>, Option<Placed>)> {
        let mut states = Vec::with_capacity(e.time);
        for n in 0..e.time {
            let time = if reverse { e.time - 1 - n } else { n };
            let given = rows(sums, time * e.batch, e.batch);
            match (cell, &memory) {
                (Cell::Lstm { .. }, Some(old)) => {
                    let (new, kept) = self.lstm(e, given, weights, functions, &state, old)?;
                    state = new;
                    memory = Some(kept);
                }
                (Cell::Gru { linear_before_reset }, _) => {
                    state = self.gru(e, given, weights, functions, &state, linear_before_reset)?;
                }
                _ => {
                    let all = self.dense_rows(&state, &weights.recurrent, None, Some(given))?;
                    state = self.apply(functions[0], &all)?;
                }
            }
            states.push(state.clone());
        }
        if reverse {
            states.reverse();
        }
        Ok((states, memory))
    }

    /// The next state and memory.
    fn lstm(
        &mut self,
        e: Extents,
        given: Placed,
        weights: &Weights,
        functions: &[(Function, f32, f32)],
        state: &Placed,
        memory: &Placed,
    ) -> Result<(Placed, Placed)> {
        let sums = self.dense_rows(state, &weights.recurrent, None, Some(given))?;
        let size = e.hidden;
        // Input, output and forget gate are next to each other.
        let gates = self.apply(functions[0], &columns(&sums, 0, 3 * size))?;
        let new = self.apply(functions[1], &columns(&sums, 3 * size, size))?;
        let added = self.combined(Pair::Mul, [&columns(&gates, 0, size), &new])?;
        let kept = self.combined(Pair::Mul, [&columns(&gates, 2 * size, size), memory])?;
        let memory = self.combined(Pair::Add, [&kept, &added])?;
        let shown = self.apply(functions[2], &memory)?;
        let state = self.combined(Pair::Mul, [&columns(&gates, size, size), &shown])?;
        Ok((state, memory))
    }

    /// The next state.
    fn gru(
        &mut self,
        e: Extents,
        given: Placed,
        weights: &Weights,
        functions: &[(Function, f32, f32)],
        state: &Placed,
        linear: bool,
    ) -> Result<Placed> {
        let size = e.hidden;
        let given_gates = Some(columns(&given, 0, 2 * size));
        let sums = self.dense_rows(state, &weights.recurrent, None, given_gates)?;
        let gates = self.apply(functions[0], &sums)?;
        let (update, reset) = (columns(&gates, 0, size), columns(&gates, size, size));
        let given = columns(&given, 2 * size, size);
        let sums = if linear {
            let bias = Some(&weights.hidden_bias);
            let product = self.dense_rows(state, &weights.hidden, bias, None)?;
            let scaled = self.combined(Pair::Mul, [&reset, &product])?;
            self.combined(Pair::Add, [&scaled, &given])?
        } else {
            let scaled = self.combined(Pair::Mul, [&reset, state])?;
            self.dense_rows(&scaled, &weights.hidden, None, Some(given))?
        };
        let new = self.apply(functions[1], &sums)?;
        // (1 - update) * new + update * state
        let difference = self.combined(Pair::Sub, [state, &new])?;
        let moved = self.combined(Pair::Mul, [&update, &difference])?;
        self.combined(Pair::Add, [&new, &moved])
    }

    /// A function of a matrix, in a place of its own.
    fn apply(&mut self, (function, alpha, beta): (Function, f32, f32), x: &Placed) -> Result<Placed> {
        let placed = self.row_major(Kind::F32, &x.dims);
        self.map(x, &placed, |dims, input, output| {
            step::Unary {
                function,
                alpha,
                beta,
                dims,
                input,
                output,
            }
            .into()
        })?;
        Ok(placed)
    }

    /// A function of two matrices, in a place of its own.
    fn combined(&mut self, pair: Pair, operands: [&Placed; 2]) -> Result<Placed> {
        let placed = self.row_major(Kind::F32, &operands[0].dims);
        self.pair(pair, operands, &placed)?;
        Ok(placed)
    }

    /// Places all states, the last states and the last memories, direction by direction.
    fn recurrent_outputs(
        &mut self,
        node: &Node,
        r: &Recurrent,
        e: Extents,
        made: &[(Vec<Placed>, Option<Placed>)],
    ) -> Result<()> {
        let output = |n: usize| node.outputs.get(n).copied().flatten();
        if let Some(id) = output(0) {
            let place = self.row_major(Kind::F32, &self.shape(id)?);
            // As [time, directions, batch, hidden].
            let view = if r.batch_first {
                place.transpose(&[1, 2, 0, 3])
            } else {
                place.clone()
            };
            for (direction, (states, _)) in made.iter().enumerate() {
                for (time, state) in states.iter().enumerate() {
                    let to = Placed {
                        start: view.start + time * view.strides[0] + direction * view.strides[1],
                        dims: view.dims[2..].to_vec(),
                        strides: view.strides[2..].to_vec(),
                        ..view.clone()
                    };
                    self.copy(state, &to, 0)?;
                }
            }
            self.placed[id.0] = Some(place);
        }
        let last = |direction: usize, states: &[Placed]| {
            let backwards = r.direction == Direction::Reverse || direction == 1;
            let state = if backwards { states.first() } else { states.last() };
            state.cloned()
        };
        let states = made
            .iter()
            .enumerate()
            .map(|(n, (states, _))| last(n, states))
            .collect();
        self.last_states(r, e, output(1), states)?;
        let memories = made.iter().map(|(_, memory)| memory.clone()).collect();
        self.last_states(r, e, output(2), memories)
    }

    fn last_states(
        &mut self,
        r: &Recurrent,
        e: Extents,
        output: Option<ValueId>,
        states: Option<Vec<Placed>>,
    ) -> Result<()> {
        let (Some(id), Some(states)) = (output, states) else {
            return Ok(());
        };
        let place = self.row_major(Kind::F32, &self.shape(id)?);
        let axis = if r.batch_first { 1 } else { 0 };
        for (direction, state) in states.iter().enumerate() {
            let mut to = place.clone();
            to.start += direction * to.strides[axis];
            to.dims.remove(axis);
            to.strides.remove(axis);
            self.copy(state, &to, 0)?;
        }
        debug_assert_eq!(states.len(), e.directions);
        self.placed[id.0] = Some(place);
        Ok(())
    }
}
