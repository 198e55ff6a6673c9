//! Rotary position embedding, written out as products.

use limbic_engine::plan::Dtype;
use limbic_engine::step::Pair;
use limbic_graph::op::RotaryEmbedding;
use limbic_graph::{Node, Result};

use super::axis::Picking;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::write::port_dtype;

/// `count` elements of each head from `first` on, `step` apart.
fn elements(heads: &Placed, first: usize, count: usize, step: usize) -> Placed {
    let mut view = heads.clone();
    let last = view.dims.len() - 1;
    view.start += first * view.strides[last];
    view.strides[last] *= step;
    view.dims[last] = count;
    view
}

impl Lowering<'_> {
    /// Turns pairs of elements of each head by the angles of its place.
    pub(super) fn rotary(&mut self, node: &Node, r: &RotaryEmbedding) -> Result<()> {
        let output = self.output_id(node)?;
        let x = self.real(node, 0)?;
        let dims = self.shape(output)?;
        let whole = self.row_major(Kind::F32, &dims);
        // As [batch, heads, length, size].
        let [input, made] = match dims[..] {
            [_, _, _, _] => [x, whole.clone()],
            [batch, length, width] if r.heads > 0 && width.is_multiple_of(r.heads) => {
                let split = [batch, length, r.heads, width / r.heads];
                let heads = |all: Placed| all.reshape(&split).map(|heads| heads.transpose(&[0, 2, 1, 3]));
                let x = self.reshaped(x, &split)?.transpose(&[0, 2, 1, 3]);
                let made = heads(whole.clone()).ok_or_else(|| unsupported("rows of heads", "others"))?;
                [x, made]
            }
            _ => return Err(unsupported("heads", format!("{dims:?}"))),
        };
        let &[batch, _, length, size] = &input.dims[..] else {
            return Err(unsupported("heads", format!("{:?}", input.dims)));
        };
        let turned = if r.dim == 0 { size } else { r.dim };
        if turned > size || !turned.is_multiple_of(2) {
            return Err(unsupported(format!("an even part of {size} elements"), turned));
        }
        let half = turned / 2;
        let angles = [batch, length, half];
        let (cos, sin) = (self.angles(node, 1, angles)?, self.angles(node, 2, angles)?);
        let parts = |heads: &Placed| {
            if r.interleaved {
                [elements(heads, 0, half, 2), elements(heads, 1, half, 2)]
            } else {
                [elements(heads, 0, half, 1), elements(heads, half, half, 1)]
            }
        };
        let ([real, imaginary], [to_real, to_imaginary]) = (parts(&input), parts(&made));
        let (a, b) = (
            self.pairwise(Pair::Mul, &real, &cos)?,
            self.pairwise(Pair::Mul, &imaginary, &sin)?,
        );
        self.pair(Pair::Sub, [&a, &b], &to_real)?;
        let (a, b) = (
            self.pairwise(Pair::Mul, &real, &sin)?,
            self.pairwise(Pair::Mul, &imaginary, &cos)?,
        );
        self.pair(Pair::Add, [&a, &b], &to_imaginary)?;
        if turned < size {
            let rest = size - turned;
            self.copy(
                &elements(&input, turned, rest, 1),
                &elements(&made, turned, rest, 1),
                0,
            )?;
        }
        self.quantized(whole, output)
    }

    /// Cosines or sines of each place, `[batch, 1, length, half]`: rows of a table where there are positions.
    fn angles(&mut self, node: &Node, n: usize, [batch, length, half]: [usize; 3]) -> Result<Placed> {
        let table = self.real(node, n)?;
        let found = match node.inputs.get(3).copied().flatten() {
            None => table,
            Some(id) => {
                let dtype = self.graph.value(id).ty.dtype;
                let index = port_dtype(dtype)
                    .filter(|index| matches!(index, Dtype::I32 | Dtype::I64))
                    .ok_or_else(|| unsupported("positions of i32 or i64", dtype))?;
                let indices = self.operand(node, 3)?;
                if indices.dims != [batch, length] || table.dims.len() != 2 || table.dims[1] != half {
                    return Err(unsupported(
                        format!("[positions,{half}] and [{batch},{length}]"),
                        format!("{:?} and {:?}", table.dims, indices.dims),
                    ));
                }
                let picking = Picking {
                    input: &table,
                    input_strides: vec![0, 0, table.strides[1]],
                    indices: &indices,
                    index,
                    index_strides: [&indices.strides[..], &[0]].concat(),
                    next_index: 0,
                    axes: vec![0],
                };
                self.lookup(&picking, &[batch, length, half])?
            }
        };
        if found.dims != [batch, length, half] {
            return Err(unsupported(
                format!("[{batch},{length},{half}]"),
                format!("{:?}", found.dims),
            ));
        }
        self.reshaped(found, &[batch, 1, length, half])
    }
}
