//! Parts of steps on strided operands: the outermost axis is cut.

use super::{Cuts, between};
use crate::span::Span;
use crate::step::{AXES, BLOCK, GROUP_BYTES, Pack, Step, Strided};

/// Elements next to each other that stay together: whole registers, and whole lines of the cache.
const TOGETHER: u32 = 64;

/// The outermost axis with more than one place.
fn axis(dims: &[u32; AXES]) -> Option<usize> {
    dims.iter().position(|&dim| dim > 1)
}

/// An output of elements of `size` bytes, a run of `reach` elements behind each place, that is written place by place
/// of its outermost axis.
fn outer_cuts(dims: &[u32; AXES], output: &Strided, reach: u64) -> Option<Cuts> {
    let axis = axis(dims)?;
    let inner = (axis + 1..AXES)
        .map(|n| u64::from(dims[n].saturating_sub(1)) * u64::from(output.strides[n]))
        .fold(reach, u64::saturating_add);
    let stride = u64::from(output.strides[axis]);
    // All places of an axis without a stride are one, which can't be cut.
    (inner < stride).then(|| Cuts {
        count: dims[axis],
        grain: TOGETHER.div_ceil(output.strides[axis]),
    })
}

/// Elements from the first of a run to its last.
fn reach(length: u32, step: u32) -> u64 {
    u64::from(length.saturating_sub(1)) * u64::from(step)
}

/// Cuts the outermost axis of a step's operands.
struct Cut {
    axis: usize,
    cuts: Cuts,
    places: [u32; 2],
}

impl Cut {
    fn dims(&self, dims: &mut [u32; AXES]) {
        dims[self.axis] = self.places[1] - self.places[0];
    }

    fn input(&self, operand: &mut Strided) {
        operand.start += self.places[0] * operand.strides[self.axis];
    }

    fn output(&self, operand: &mut Strided, size: u32) {
        let byte = |place| (operand.start + place * operand.strides[self.axis]) * size;
        let span = between(&operand.span, self.cuts, self.places, byte);
        if self.places[0] > 0 {
            operand.start = 0;
        }
        operand.span = span;
    }
}

/// Calls a macro for each kind of step whose outermost axis can be cut: its inputs, its output with the bytes of an
/// element, and the elements behind each place.
macro_rules! strided {
    ($step:expr, $found:ident, $or:expr) => {
        match $step {
            Step::Unary(s) => $found!(s, [input], 4, 0),
            Step::Binary(s) => $found!(s, [a, b], 4, 0),
            Step::BinaryU8(s) => $found!(s, [a, b], 1, 0),
            Step::Copy(s) if s.reversed == 0 => $found!(s, [input], s.size, 0),
            Step::Table(s) => $found!(s, [input], 1, 0),
            Step::Quantize(s) => $found!(s, [input], 1, 0),
            Step::Dequantize(s) => $found!(s, [input], 4, 0),
            Step::Softmax(s) => $found!(s, [input], 4, reach(s.length, s.output_step)),
            Step::Normalize(s) => $found!(s, [input], 4, reach(s.length, 1)),
            _ => $or,
        }
    };
}

/// Where a step on strided operands can be cut.
pub(super) fn cuts(step: &Step) -> Option<Cuts> {
    macro_rules! found {
        ($s:ident, $inputs:tt, $size:expr, $reach:expr) => {
            outer_cuts(&$s.dims, &$s.output, $reach)
        };
    }
    strided!(step, found, None)
}

/// A part of a step on strided operands.
pub(super) fn part(step: &Step, cuts: Cuts, places: [u32; 2]) -> Option<Step> {
    macro_rules! found {
        ($s:ident, [$($input:ident),*], $size:expr, $reach:expr) => {{
            let mut part = *$s;
            let cut = Cut { axis: axis(&part.dims)?, cuts, places };
            cut.dims(&mut part.dims);
            $(cut.input(&mut part.$input);)*
            cut.output(&mut part.output, $size);
            Some(part.into())
        }};
    }
    strided!(step, found, None)
}

/// Matrices are packed one by one.
pub(super) fn pack_cuts(step: &Pack) -> Option<Cuts> {
    (step.images > 1).then_some(Cuts {
        count: step.images,
        grain: 1,
    })
}

pub(super) fn pack(step: &Pack, cuts: Cuts, places: [u32; 2]) -> Pack {
    let blocks = step.columns.div_ceil(BLOCK as u32);
    let matrix = blocks * step.depth * GROUP_BYTES as u32;
    let output: Span = between(&step.output, cuts, places, |place| place * matrix);
    let mut part = *step;
    part.images = places[1] - places[0];
    part.input.start += places[0] * step.input.strides[0];
    part.output = output;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_axes_whose_places_lie_apart_are_cut() {
        let grain = |stride: u32, reach: u64| {
            let output = Strided {
                span: Span { offset: 0, bytes: 0 },
                start: 0,
                strides: [0, 0, 0, 0, stride, 1],
            };
            outer_cuts(&[1, 1, 1, 1, 4, 8], &output, reach).map(|cuts| (cuts.count, cuts.grain))
        };
        assert_eq!(grain(8, 0), Some((4, 8)));
        assert_eq!(grain(7, 0), None);
        assert_eq!(grain(8, 1), None);
        assert_eq!(grain(0, 0), None);
    }
}
