//! Fourier transforms written out as products with a constant matrix.

use std::f64::consts::PI;

use super::written::{Written, write_out};
use crate::Dtype;
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::op::{GatherMode, Op};
use crate::tensor::Tensor;

/// Most elements of a matrix: 16 MiB of `f32`.
const MOST_ELEMENTS: usize = 1 << 22;

/// Writes each [`Op::Dft`] and [`Op::Stft`] of `f32` whose lengths are numbers out as a product with the matrix of its
/// turns. One whose matrix would have more than 4,194,304 elements stays. Returns whether there was one.
///
/// # Errors
/// As [`crate::infer::infer`].
pub fn expand_transforms(graph: &mut Graph) -> Result<bool> {
    write_out(graph, |graph, nodes, node| {
        let Some((x, output)) = ends(node) else {
            return Ok(false);
        };
        let known = |id: ValueId| {
            let ty = &graph.value(id).ty;
            (ty.dtype == Dtype::F32 && ty.quantization.is_none()).then(|| ty.shape())?
        };
        let (Some(from), Some(to)) = (known(x), known(output)) else {
            return Ok(false);
        };
        match node.op {
            Op::Dft { inverse, onesided } => {
                let Some(dft) = Dft::new(graph, node, [&from, &to], inverse, onesided) else {
                    return Ok(false);
                };
                dft.write(
                    &mut Written::new(graph, nodes, &node.name),
                    [&from, &to],
                    x,
                    output,
                )?;
            }
            Op::Stft { .. } => {
                let Some(frames) = Frames::new(graph, node, [&from, &to]) else {
                    return Ok(false);
                };
                frames.write(&mut Written::new(graph, nodes, &node.name), &to, x, output)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })
}

/// The signal and the spectrum of a node.
fn ends(node: &Node) -> Option<(ValueId, ValueId)> {
    Some((node.inputs.first().copied()??, node.outputs.first().copied()??))
}

/// A number that an input holds; `Some(None)` without the input.
fn number(graph: &Graph, node: &Node, n: usize) -> Option<Option<i64>> {
    let Some(id) = node.inputs.get(n).copied().flatten() else {
        return Some(None);
    };
    let values = graph.constant(id)?.to_i64().ok()?;
    values.first().copied().map(Some)
}

/// The matrix of a transform, from places and parts to places and parts: `[places * parts, kept * out_parts]`.
#[derive(Debug, Clone, Copy)]
struct Turns {
    /// Places of the signal, which may be fewer or more than its length.
    places: usize,
    /// 1 for real numbers, 2 for complex ones.
    parts: usize,
    /// Length of the transform.
    length: usize,
    kept: usize,
    out_parts: usize,
    inverse: bool,
    /// Whether the signal is the first half of a spectrum, whose other half mirrors it.
    mirrored: bool,
}

impl Turns {
    fn extents(&self) -> [usize; 2] {
        [self.places * self.parts, self.kept * self.out_parts]
    }

    fn fits(&self) -> bool {
        let [rows, columns] = self.extents();
        rows.checked_mul(columns)
            .is_some_and(|count| (1..=MOST_ELEMENTS).contains(&count))
    }

    fn matrix(&self) -> Result<Tensor> {
        let [rows, columns] = self.extents();
        let mut elements = vec![0f32; rows * columns];
        let used = if self.mirrored {
            self.length / 2 + 1
        } else {
            self.length
        };
        for place in 0..self.places.min(used) {
            let alone = place == 0 || 2 * place == self.length;
            for bin in 0..self.kept {
                let angle = 2.0 * PI * (place * bin % self.length) as f64 / self.length as f64;
                let (sin, cos) = angle.sin_cos();
                let (sin, factor) = if self.inverse {
                    (sin, 1.0 / self.length as f64)
                } else {
                    (-sin, 1.0)
                };
                // (re + i im) (cos + i sin), each part of the signal to each part of the spectrum.
                let mut turn = [[cos, sin], [-sin, cos]];
                if self.mirrored {
                    // A number and its mirrored conjugate: the imaginary parts meet at the end.
                    let both = if alone { 1.0 } else { 2.0 };
                    turn = [[both * cos, 0.0], [if alone { 0.0 } else { -both * sin }, 0.0]];
                }
                for (part, turn) in turn.iter().enumerate().take(self.parts) {
                    for (out, turn) in turn.iter().enumerate().take(self.out_parts) {
                        let at = (place * self.parts + part) * columns + bin * self.out_parts + out;
                        elements[at] = (turn * factor) as f32;
                    }
                }
            }
        }
        Tensor::new(&[rows, columns], elements)
    }
}

/// A transform along an axis.
struct Dft {
    axis: usize,
    turns: Turns,
}

impl Dft {
    fn new(
        graph: &Graph,
        node: &Node,
        [from, to]: [&[usize]; 2],
        inverse: bool,
        onesided: bool,
    ) -> Option<Self> {
        let rank = from.len();
        let axis = number(graph, node, 2)?.unwrap_or(-2);
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
        if axis + 1 >= rank || to.len() != rank {
            return None;
        }
        let mirrored = inverse && onesided;
        let length = match number(graph, node, 1)? {
            Some(length) => usize::try_from(length).ok()?,
            None if mirrored => to[axis],
            None => from[axis],
        };
        let turns = Turns {
            places: from[axis],
            parts: from[rank - 1],
            length,
            kept: to[axis],
            out_parts: to[rank - 1],
            inverse,
            mirrored,
        };
        (turns.fits() && length > 0).then_some(Self { axis, turns })
    }

    fn write(
        &self,
        out: &mut Written<'_>,
        [from, to]: [&[usize]; 2],
        x: ValueId,
        output: ValueId,
    ) -> Result<()> {
        let rank = from.len();
        // The axis next to the parts of its numbers.
        let mut order: Vec<usize> = (0..rank - 1).filter(|&axis| axis != self.axis).collect();
        order.extend([self.axis, rank - 1]);
        let mut lines: Vec<usize> = order[..rank - 2].iter().map(|&axis| from[axis]).collect();
        let turned: Vec<usize> = order.iter().map(|&axis| to[axis]).collect();
        let mut back = vec![0; rank];
        order
            .iter()
            .enumerate()
            .for_each(|(place, &axis)| back[axis] = place);
        let sorted = out.transpose("sorted", x, &order);
        lines.push(from[self.axis] * from[rank - 1]);
        let rows = out.reshape("rows", sorted, &lines);
        let matrix = out.constant("turns", self.turns.matrix()?);
        let sums = out.push("sums", Op::MatMul, &[rows, matrix]);
        let sums = out.reshape("spectra", sums, &turned);
        out.finish("back", Op::Transpose { permutation: back }, &[sums], output);
        Ok(())
    }
}

/// Transforms of frames of a signal.
struct Frames {
    step: usize,
    window: Option<ValueId>,
    turns: Turns,
}

impl Frames {
    fn new(graph: &Graph, node: &Node, [from, to]: [&[usize]; 2]) -> Option<Self> {
        let window = node.inputs.get(2).copied().flatten();
        let length = match (number(graph, node, 3)?, window) {
            (Some(length), _) => usize::try_from(length).ok()?,
            (None, Some(window)) => *graph.value(window).ty.shape()?.first()?,
            (None, None) => *from.get(1)?,
        };
        let (&[_, _, bins, out_parts], parts) = (to, from.get(2).copied().unwrap_or(1)) else {
            return None;
        };
        let turns = Turns {
            places: length,
            parts,
            length,
            kept: bins,
            out_parts,
            inverse: false,
            mirrored: false,
        };
        let step = usize::try_from(number(graph, node, 1)??).ok()?;
        (turns.fits() && parts == 1).then_some(Self { step, window, turns })
    }

    fn write(&self, out: &mut Written<'_>, to: &[usize], x: ValueId, output: ValueId) -> Result<()> {
        let (batch, frames, length) = (to[0], to[1], self.turns.length);
        let places = (0..frames * length).map(|n| (n / length * self.step + n % length) as i64);
        let places = Tensor::new(&[frames, length], places.collect::<Vec<_>>())?;
        let places = out.constant("places", places);
        let gather = Op::Gather(GatherMode::Slices { axis: 1 });
        let cut = out.push("cut", gather, &[x, places]);
        let mut rows = out.reshape("frames", cut, &[batch, frames, length]);
        if let Some(window) = self.window {
            rows = out.binary("weighted", crate::op::Binary::Mul, rows, window);
        }
        let matrix = out.constant("turns", self.turns.matrix()?);
        let sums = out.push("sums", Op::MatMul, &[rows, matrix]);
        let shape = to.iter().map(|&extent| extent as i64).collect::<Vec<_>>();
        let shape = out.constant("shape", Tensor::vector(shape));
        out.finish(
            "spectra",
            Op::Reshape { allow_zero: true },
            &[sums, shape],
            output,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret;
    use crate::types::TensorType;

    fn check(op: Op, shape: &[usize], more: &[Option<Tensor>]) {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|n| ((n * 7) % 23) as f32 / 8.0 - 1.4).collect();
        let signal = Tensor::new(shape, values).unwrap();
        let mut graph = Graph::new("spectrum");
        let x = graph.add_input("x", signal.tensor_type());
        let mut inputs = vec![Some(x)];
        for (n, tensor) in more.iter().enumerate() {
            let constant = |tensor: &Tensor| graph.add_constant(format!("c{n}"), tensor.clone());
            inputs.push(tensor.as_ref().map(constant));
        }
        let y = graph.add_node("y", op, &[], TensorType::unshaped(Dtype::F32));
        graph.nodes[0].inputs = inputs;
        graph.outputs.push(y);
        crate::infer::infer(&mut graph).unwrap();
        let expected = interpret::run(&graph, std::slice::from_ref(&signal)).unwrap();
        assert!(expand_transforms(&mut graph).unwrap());
        graph.check().unwrap();
        assert!(graph.nodes.iter().any(|node| matches!(node.op, Op::MatMul)));
        let found = interpret::run(&graph, &[signal]).unwrap();
        assert_eq!(expected[0].shape(), found[0].shape());
        for (a, b) in expected[0].to_f32().iter().zip(found[0].to_f32()) {
            assert!((a - b).abs() <= 2e-5, "{a} {b}");
        }
    }

    fn scalar(x: i64) -> Option<Tensor> {
        Some(Tensor::scalar(x))
    }

    #[test]
    fn every_kind_of_transform_is_a_product() {
        for length in [None, scalar(5), scalar(8), scalar(12)] {
            for (inverse, onesided, parts) in [
                (false, false, 1),
                (false, false, 2),
                (false, true, 1),
                (true, false, 1),
                (true, false, 2),
                (true, true, 2),
            ] {
                let op = Op::Dft { inverse, onesided };
                check(op, &[2, 7, parts], std::slice::from_ref(&length));
            }
        }
    }

    #[test]
    fn any_axis_but_the_last_is_transformed() {
        for axis in [0, 1, 2, -3] {
            let op = Op::Dft {
                inverse: false,
                onesided: false,
            };
            check(op, &[4, 6, 3, 2], &[None, scalar(axis)]);
        }
    }

    #[test]
    fn frames_are_weighted_and_transformed() {
        let window = Tensor::vector(vec![0.1f32, 0.5, 1.0, 0.5, 0.25, 0.1]);
        for onesided in [false, true] {
            let more = [scalar(3), Some(window.clone())];
            check(Op::Stft { onesided }, &[2, 20, 1], &more);
            check(Op::Stft { onesided }, &[2, 20, 1], &[scalar(4), None, scalar(8)]);
        }
    }

    #[test]
    fn a_matrix_that_would_be_too_large_is_left() {
        let mut graph = Graph::new("spectrum");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 1 << 16, 1]));
        let op = Op::Dft {
            inverse: false,
            onesided: true,
        };
        let y = graph.add_node("y", op, &[x], TensorType::unshaped(Dtype::F32));
        graph.outputs.push(y);
        crate::infer::infer(&mut graph).unwrap();
        assert!(!expand_transforms(&mut graph).unwrap());
    }
}
