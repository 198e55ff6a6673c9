//! What follows a product and becomes part of its step.

use limbic_engine::step::{Epilogue, Residual};
use limbic_graph::op::{Binary, Unary};
use limbic_graph::{Op, Result, ValueId};

use super::convolution::pixels;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};

/// A product's output, what is done to it in the same step, and the value that the step stores.
#[derive(Debug)]
pub(super) struct Tail {
    pub value: ValueId,
    /// Before a second tensor is added.
    pub epilogue: Epilogue,
    /// Second tensor and its part of the step, without span and grid.
    pub residual: Option<(Placed, Residual)>,
    view: View,
}

/// How pixels are found in a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum View {
    /// `[N,C,H,W]` or `[N,C,L]`.
    Spatial,
    /// `[..., rows, channels]`.
    Matrix,
}

/// `[..., M, N]` as `[images, 1, M, N]`.
pub(super) fn matrix(placed: &Placed) -> Result<Placed> {
    let (rows, columns) = match placed.dims.as_slice() {
        [.., rows, columns] => (*rows, *columns),
        _ => return Err(unsupported("a matrix", format!("{:?}", placed.dims))),
    };
    let images = placed.dims[..placed.dims.len() - 2].iter().product();
    placed
        .reshape(&[images, 1, rows, columns])
        .ok_or_else(|| unsupported("rows at equal distances", format!("strides {:?}", placed.strides)))
}

impl Tail {
    /// Of `f32` that no value of the graph names: another matrix added, nothing limited.
    pub fn sum(other: Option<Placed>) -> Self {
        Self {
            value: ValueId(0),
            epilogue: unlimited(Kind::F32),
            residual: other.map(|other| (other, Residual::default())),
            view: View::Matrix,
        }
    }

    /// A product that is stored as it is.
    pub fn unlimited(value: ValueId, kind: Kind, view: View) -> Self {
        Self {
            value,
            epilogue: unlimited(kind),
            residual: None,
            view,
        }
    }

    /// A value as `[N,H,W,C]`.
    pub fn view(&self, placed: &Placed) -> Result<Placed> {
        match self.view {
            View::Spatial => Ok(pixels(placed)),
            View::Matrix => matrix(placed),
        }
    }
}

impl Lowering<'_> {
    /// Follows a value for as long as it is read once, by something that a product can do; a second tensor is taken
    /// in only where a view is given.
    pub(super) fn follow(&mut self, value: ValueId, view: Option<View>) -> Result<Tail> {
        let mut tail = Tail {
            value,
            epilogue: unlimited(self.kind(value)?),
            residual: None,
            view: view.unwrap_or(View::Spatial),
        };
        while let Some(n) = self.only_reader(tail.value) {
            let node = &self.graph.nodes[n];
            let Some(next) = node.outputs.first().copied().flatten() else {
                break;
            };
            let joined = match &node.op {
                Op::Unary(_) | Op::Clip => self.limit(&mut tail, n, next)?,
                Op::Binary(Binary::Add) if view.is_some() => self.add(&mut tail, n, next)?,
                _ => false,
            };
            if !joined {
                break;
            }
            self.fused[n] = true;
            tail.value = next;
        }
        Ok(tail)
    }

    /// The node that alone reads a value, once.
    pub(super) fn only_reader(&self, value: ValueId) -> Option<usize> {
        if self.graph.outputs.contains(&value) {
            return None;
        }
        match self.consumers.get(&value).map(Vec::as_slice) {
            Some([one]) => Some(one.0),
            _ => None,
        }
    }

    /// Real limits of a node that only limits.
    fn limits(&self, n: usize) -> Option<(f32, f32)> {
        let node = &self.graph.nodes[n];
        let scalar = |at: usize, missing: f32| match node.inputs.get(at).copied().flatten() {
            None => Some(missing),
            Some(id) => self
                .graph
                .constant(id)
                .filter(|t| t.len() == 1 && t.quantization.is_none())
                .map(|t| t.to_f32()[0]),
        };
        match node.op {
            Op::Unary(Unary::Relu) => Some((0.0, f32::INFINITY)),
            Op::Unary(Unary::Relu6) => Some((0.0, 6.0)),
            Op::Clip => Some((scalar(1, f32::NEG_INFINITY)?, scalar(2, f32::INFINITY)?)),
            _ => None,
        }
    }

    /// Takes a limit in, if it can be one on the stored numbers.
    fn limit(&self, tail: &mut Tail, n: usize, next: ValueId) -> Result<bool> {
        let Some((low, high)) = self.limits(n) else {
            return Ok(false);
        };
        let (Ok(kind), Ok(next)) = (self.kind(tail.value), self.kind(next)) else {
            return Ok(false);
        };
        if kind != next {
            return Ok(false);
        }
        let (low, high) = match kind {
            Kind::F32 => (low, high),
            // A limit between two integers gives a number that is rounded anew.
            Kind::U8(affine) => {
                let at = |x: f32| x / affine.scale;
                if [low, high]
                    .iter()
                    .any(|x| x.is_finite() && at(*x) != at(*x).round_ties_even())
                {
                    return Ok(false);
                }
                (at(low), at(high))
            }
            Kind::Plain(_) => return Ok(false),
        };
        let epilogue = match (&mut tail.residual, kind) {
            (Some((_, residual)), Kind::U8(_)) => &mut residual.epilogue,
            _ => &mut tail.epilogue,
        };
        epilogue.low = epilogue.low.max(low);
        epilogue.high = epilogue.high.min(high);
        Ok(epilogue.low <= epilogue.high)
    }

    /// Takes a second tensor in, if it is there already.
    fn add(&self, tail: &mut Tail, n: usize, next: ValueId) -> Result<bool> {
        let node = &self.graph.nodes[n];
        let (Some(a), Some(b)) = (
            node.inputs.first().copied().flatten(),
            node.inputs.get(1).copied().flatten(),
        ) else {
            return Ok(false);
        };
        let other = if a == tail.value { b } else { a };
        let Some(placed) = self.placed[other.0].clone() else {
            return Ok(false);
        };
        if tail.residual.is_some()
            || placed.dims != self.shape(tail.value)?
            || placed.dims != self.shape(next)?
        {
            return Ok(false);
        }
        let dense = tail
            .view(&placed)
            .is_ok_and(|view| view.dims[3] == 1 || view.strides[3] == 1);
        let (true, Ok(kind), Ok(next)) = (dense, self.kind(tail.value), self.kind(next)) else {
            return Ok(false);
        };
        let residual = match (kind, placed.kind, next) {
            // The limits of a sum of f32 come behind the second tensor.
            (Kind::F32, Kind::F32, Kind::F32) if tail.epilogue == unlimited(Kind::F32) => Residual::default(),
            (Kind::U8(own), Kind::U8(others), Kind::U8(sum)) => {
                let mut residual = Residual {
                    scale: own.scale,
                    other_scale: others.scale,
                    other_zero: others.zero,
                    factor: sum.scale,
                    divide: 1,
                    epilogue: unlimited(next),
                    ..Residual::default()
                };
                multiply_instead(&mut residual, own.zero);
                residual
            }
            _ => return Ok(false),
        };
        tail.residual = Some((placed, residual));
        Ok(true)
    }
}

/// No limits but those of the type.
fn unlimited(kind: Kind) -> Epilogue {
    match kind {
        Kind::U8(affine) => Epilogue {
            zero_point: affine.zero,
            low: -affine.zero as f32,
            high: (255 - affine.zero) as f32,
        },
        Kind::F32 | Kind::Plain(_) => Epilogue {
            zero_point: 0,
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        },
    }
}

/// Puts a product in place of the division, if a factor is found with which all pairs of integers give the same.
fn multiply_instead(residual: &mut Residual, own_zero: i32) {
    let limits = residual.epilogue;
    let rounded = |x: f32| x.max(limits.low).min(limits.high).round_ties_even();
    let sum = |q: i32, other: i32| {
        (q - own_zero) as f32 * residual.scale + (other - residual.other_zero) as f32 * residual.other_scale
    };
    let inverse = 1.0 / residual.factor;
    let near = [inverse, inverse.next_up(), inverse.next_down()];
    let found = near.into_iter().find(|factor| {
        (0..256).all(|q| {
            (0..256).all(|other| {
                let sum = sum(q, other);
                rounded(sum / residual.factor) == rounded(sum * factor)
            })
        })
    });
    if let Some(factor) = found {
        residual.factor = factor;
        residual.divide = 0;
    }
}
