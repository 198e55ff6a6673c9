//! Recurrent layers: plain cells, gated recurrent units and long short-term memories, as ONNX has them.

use ndarray::ArrayViewMut2;
use ndarray::linalg::general_mat_mul;

use super::cell::{Step, functions, gates};
use super::convolution::{matrix, mismatch};
use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::interpret::Call;
use crate::op::{Cell, Direction, Recurrent};
use crate::tensor::Tensor;

/// Extents of a layer.
#[derive(Debug, Clone, Copy)]
struct Extents {
    time: usize,
    batch: usize,
    input: usize,
    hidden: usize,
    directions: usize,
    gates: usize,
}

/// An input of a certain shape; zeros where it is left out.
fn parameter(call: &Call<'_>, n: usize, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
    match call.optional(n) {
        None => real::zeros(shape),
        Some(tensor) if tensor.shape() == shape => real::floats(tensor),
        Some(tensor) => Err(Error::new(
            ErrorKind::Shape,
            name,
            format!("{shape:?}"),
            format!("{:?}", tensor.shape()),
        )),
    }
}

/// Swaps the first two axes of `[a, b, size]`.
fn swapped(values: &[f64], [a, b, size]: [usize; 3]) -> Vec<f64> {
    let mut sorted = Vec::with_capacity(values.len());
    for n in 0..a * b {
        let (second, first) = (n / a, n % a);
        sorted.extend_from_slice(&values[(first * b + second) * size..][..size]);
    }
    sorted
}

/// `a [rows, depth]` times the transpose of `b [columns, depth]`.
fn product(a: &[f64], b: &[f64], [rows, columns, depth]: [usize; 3]) -> Result<Vec<f64>> {
    let mut y = real::zeros(&[rows, columns])?;
    if depth > 0 && !y.is_empty() {
        let (a, b) = (matrix(rows, depth, a)?, matrix(columns, depth, b)?);
        let mut view = ArrayViewMut2::from_shape((rows, columns), &mut y[..]).map_err(mismatch)?;
        general_mat_mul(1.0, &a, &b.t(), 0.0, &mut view);
    }
    Ok(y)
}

/// One way through time.
struct Pass<'a> {
    extents: Extents,
    cell: Cell,
    step: Step<'a>,
    reverse: bool,
    lengths: &'a [usize],
    /// `[time, batch, gates * hidden]`: what the input and the bias give to each sum.
    given: Vec<f64>,
    /// `[gates * hidden, hidden]`.
    recurrent: &'a [f64],
    /// `[hidden]`: the recurrent bias of a hidden gate behind which the reset gate acts; else empty.
    hidden_bias: &'a [f64],
}

impl Pass<'_> {
    /// Runs through time, giving each state to `output` with its time and place in the batch.
    fn run(
        &self,
        state: &mut [f64],
        memory: &mut [f64],
        mut output: impl FnMut(usize, usize, &[f64]),
    ) -> Result<()> {
        let Extents {
            time,
            batch,
            hidden,
            gates,
            ..
        } = self.extents;
        let width = gates * hidden;
        for n in 0..time {
            let recurrent = product(state, self.recurrent, [batch, width, hidden])?;
            for b in 0..batch {
                if n >= self.lengths[b] {
                    continue;
                }
                let t = if self.reverse { self.lengths[b] - 1 - n } else { n };
                let mut sums = self.given[(t * batch + b) * width..][..width].to_vec();
                let recurrent = &recurrent[b * width..][..width];
                let state = &mut state[b * hidden..][..hidden];
                match self.cell {
                    Cell::Plain => {
                        add(&mut sums, recurrent);
                        self.step.plain(&sums, state);
                    }
                    Cell::Lstm { input_forget } => {
                        add(&mut sums, recurrent);
                        let memory = &mut memory[b * hidden..][..hidden];
                        self.step.lstm(input_forget, &sums, state, memory);
                    }
                    Cell::Gru { linear_before_reset } => {
                        self.gru(linear_before_reset, &mut sums, recurrent, state)?;
                    }
                }
                output(t, b, state);
            }
        }
        Ok(())
    }

    fn gru(&self, linear: bool, sums: &mut [f64], recurrent: &[f64], state: &mut [f64]) -> Result<()> {
        let hidden = self.extents.hidden;
        let (outer, inner) = sums.split_at_mut(2 * hidden);
        add(outer, &recurrent[..2 * hidden]);
        self.step.gru_gates(outer);
        let (update, reset) = outer.split_at(hidden);
        if linear {
            let terms = recurrent[2 * hidden..].iter().zip(self.hidden_bias);
            for ((sum, r), (x, bias)) in inner.iter_mut().zip(reset).zip(terms) {
                *sum += r * (x + bias);
            }
        } else {
            let scaled: Vec<f64> = state.iter().zip(reset).map(|(h, r)| h * r).collect();
            let weights = &self.recurrent[2 * hidden * hidden..];
            add(inner, &product(&scaled, weights, [1, hidden, hidden])?);
        }
        self.step.gru(update, inner, state);
        Ok(())
    }
}

fn add(sums: &mut [f64], terms: &[f64]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}

/// Extents, checked against the parameters of the operation.
fn extents(r: &Recurrent, x: &Tensor) -> Result<Extents> {
    let &[first, second, input] = x.shape() else {
        return Err(Error::new(
            ErrorKind::Shape,
            "X",
            "[time,batch,input], or [batch,time,input]",
            format!("{:?}", x.shape()),
        ));
    };
    let directions = if r.direction == Direction::Both { 2 } else { 1 };
    if r.activations.len() != directions * functions(r.cell) {
        return Err(Error::new(
            ErrorKind::Value,
            "activations",
            directions * functions(r.cell),
            r.activations.len(),
        ));
    }
    let (time, batch) = if r.batch_first {
        (second, first)
    } else {
        (first, second)
    };
    Ok(Extents {
        time,
        batch,
        input,
        hidden: r.hidden,
        directions,
        gates: gates(r.cell),
    })
}

/// Steps of each sequence.
fn lengths(tensor: Option<&Tensor>, e: Extents) -> Result<Vec<usize>> {
    let Some(tensor) = tensor else {
        return Ok(vec![e.time; e.batch]);
    };
    let found = crate::spatial::extents(tensor)?;
    if found.len() != e.batch || found.iter().any(|&n| n > e.time) {
        return Err(Error::new(
            ErrorKind::Value,
            "lengths",
            format!("{} of at most {}", e.batch, e.time),
            format!("{found:?}"),
        ));
    }
    Ok(found)
}

/// `(X, W, R, B?, lengths?, initial_h?, initial_c?, peepholes?) -> (Y, Y_h, Y_c)`.
pub(super) fn run(r: &Recurrent, call: Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    let e = extents(r, x)?;
    let Extents {
        time,
        batch,
        input,
        hidden,
        directions,
        gates,
    } = e;
    let width = gates.saturating_mul(hidden);
    call.input(1)?;
    call.input(2)?;
    let w = parameter(&call, 1, "W", &[directions, width, input])?;
    let recurrent = parameter(&call, 2, "R", &[directions, width, hidden])?;
    let bias = parameter(&call, 3, "B", &[directions, 2 * width])?;
    let lengths = lengths(call.optional(4), e)?;
    let first = if r.batch_first {
        [batch, directions, hidden]
    } else {
        [directions, batch, hidden]
    };
    let mut states = parameter(&call, 5, "initial state", &first)?;
    let mut memories = parameter(&call, 6, "initial memory", &first)?;
    let peepholes = match call.optional(7) {
        Some(_) => parameter(&call, 7, "peepholes", &[directions, 3 * hidden])?,
        None => Vec::new(),
    };
    let mut values = real::floats(x)?;
    if r.batch_first {
        values = swapped(&values, [batch, time, input]);
        states = swapped(&states, first);
        memories = swapped(&memories, first);
    }
    let mut y = real::zeros(&[time, directions, batch, hidden])?;
    let linear = Cell::Gru {
        linear_before_reset: true,
    };
    for d in 0..directions {
        let mut given = product(
            &values,
            &w[d * width * input..][..width * input],
            [time * batch, width, input],
        )?;
        let (forward, back) = bias[d * 2 * width..][..2 * width].split_at(width);
        let hidden_bias = if r.cell == linear {
            &back[2 * hidden..]
        } else {
            &[]
        };
        for sums in given.chunks_exact_mut(width.max(1)) {
            add(sums, forward);
            // A hidden bias that the reset gate scales is added behind it.
            add(sums, &back[..width - hidden_bias.len()]);
        }
        let pass = Pass {
            extents: e,
            cell: r.cell,
            step: Step {
                functions: &r.activations[d * functions(r.cell)..][..functions(r.cell)],
                clip: r.clip,
                peepholes: peepholes.get(d * 3 * hidden..(d + 1) * 3 * hidden).unwrap_or(&[]),
            },
            reverse: r.direction == Direction::Reverse || d == 1,
            lengths: &lengths,
            given,
            recurrent: &recurrent[d * width * hidden..][..width * hidden],
            hidden_bias,
        };
        let size = batch * hidden;
        pass.run(
            &mut states[d * size..][..size],
            &mut memories[d * size..][..size],
            |t, b, state| {
                y[((t * directions + d) * batch + b) * hidden..][..hidden].copy_from_slice(state);
            },
        )?;
    }
    let mut shape = vec![time, directions, batch, hidden];
    if r.batch_first {
        y = swapped(&y, [time * directions, batch, hidden]);
        shape = vec![batch, time, directions, hidden];
        states = swapped(&states, [directions, batch, hidden]);
        memories = swapped(&memories, [directions, batch, hidden]);
    }
    let mut made = vec![
        real::tensor(&shape, x.dtype(), y)?,
        real::tensor(&first, x.dtype(), states)?,
    ];
    if matches!(r.cell, Cell::Lstm { .. }) {
        made.push(real::tensor(&first, x.dtype(), memories)?);
    }
    Ok(made)
}
