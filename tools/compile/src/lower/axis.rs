//! Operations along one axis: picking, places of extremes, running sums.

use limbic_engine::plan::Dtype;
use limbic_engine::step::{Cumulate, Extreme, Lookup};
use limbic_graph::op::GatherMode;
use limbic_graph::{Node, Result};

use super::movement::axis_of;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::{loops, number};
use crate::write::port_dtype;

/// Indices of each element: their strides along the output, and the axes of the input that they walk.
pub(super) struct Picking<'a> {
    pub input: &'a Placed,
    /// Elements of the input along each axis of the output.
    pub input_strides: Vec<usize>,
    pub indices: &'a Placed,
    pub index: Dtype,
    pub index_strides: Vec<usize>,
    /// Elements from an index of an element to the next.
    pub next_index: usize,
    /// Axes of the input that the indices of an element walk.
    pub axes: Vec<usize>,
}

impl Lowering<'_> {
    pub(super) fn lookup(&mut self, picking: &Picking<'_>, dims: &[usize]) -> Result<Placed> {
        let input = picking.input;
        let placed = self.row_major(input.kind, dims);
        if placed.count() == 0 {
            return Ok(placed);
        }
        let found = loops(
            dims,
            [&picking.input_strides, &picking.index_strides, &placed.strides],
        )?;
        let [from, index, to] = found.strides;
        let mut step = Lookup {
            size: number(input.kind.size())?,
            dims: found.dims,
            input: input.strided(from)?,
            indices: picking.indices.strided(index)?,
            index: picking.index,
            next_index: number(picking.next_index)?,
            count: number(picking.axes.len())?,
            output: placed.strided(to)?,
            ..Lookup::default()
        };
        if picking.axes.len() > step.length.len() {
            return Err(unsupported("at most 6 indices an element", picking.axes.len()));
        }
        let terms = step.length.iter_mut().zip(&mut step.index_step);
        for ((length, index_step), &axis) in terms.zip(&picking.axes) {
            *length = number(input.dims[axis])?;
            *index_step = number(input.strides[axis])?;
        }
        self.step(step);
        Ok(placed)
    }

    /// Picks by indices that a run gives, or from a tensor that it makes.
    pub(super) fn gather_any(&mut self, node: &Node, mode: GatherMode) -> Result<()> {
        let (id, output) = (self.input_id(node, 1)?, self.output_id(node)?);
        let index = port_dtype(self.graph.value(id).ty.dtype)
            .filter(|index| matches!(index, Dtype::I32 | Dtype::I64))
            .ok_or_else(|| unsupported("indices of i32 or i64", self.graph.value(id).ty.dtype))?;
        let (input, indices) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let (dims, kind) = (self.shape(output)?, self.kind(output)?);
        let rank = input.dims.len();
        let zeros = |count: usize| vec![0; count];
        let picking = match mode {
            GatherMode::Slices { axis } => {
                let axis = axis_of(axis, rank)?;
                let behind = rank - axis - 1;
                Picking {
                    input: &input,
                    input_strides: [
                        &input.strides[..axis],
                        &zeros(indices.dims.len()),
                        &input.strides[axis + 1..],
                    ]
                    .concat(),
                    indices: &indices,
                    index,
                    index_strides: [&zeros(axis)[..], &indices.strides, &zeros(behind)].concat(),
                    next_index: 0,
                    axes: vec![axis],
                }
            }
            GatherMode::Elements { axis } => {
                let axis = axis_of(axis, rank)?;
                let mut input_strides = input.strides.clone();
                input_strides[axis] = 0;
                Picking {
                    input: &input,
                    input_strides,
                    indices: &indices,
                    index,
                    index_strides: indices.strides.clone(),
                    next_index: 0,
                    axes: vec![axis],
                }
            }
            GatherMode::Nd { batch_dims } => {
                let (&depth, outer) = indices
                    .dims
                    .split_last()
                    .ok_or_else(|| unsupported("indices of one axis or more", "a scalar"))?;
                let behind = &input.strides[batch_dims + depth..];
                Picking {
                    input: &input,
                    input_strides: [
                        &input.strides[..batch_dims],
                        &zeros(outer.len() - batch_dims),
                        behind,
                    ]
                    .concat(),
                    indices: &indices,
                    index,
                    index_strides: [&indices.strides[..outer.len()], &zeros(behind.len())].concat(),
                    next_index: indices.strides[outer.len()],
                    axes: (batch_dims..batch_dims + depth).collect(),
                }
            }
        };
        let placed = self.lookup(&picking, &dims)?;
        let placed = self.as_kind(placed, kind)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// The type of what an input holds: integers that stand for real numbers as the `u8` that they are kept as.
    fn stored(&self, node: &Node, placed: &Placed) -> Result<Dtype> {
        match placed.kind {
            Kind::F32 => Ok(Dtype::F32),
            Kind::U8(_) => Ok(Dtype::U8),
            Kind::Plain(_) => self
                .plain_input(node, 0)
                .ok_or_else(|| unsupported("elements of the engine's types", "others")),
        }
    }

    pub(super) fn arg_extreme(&mut self, node: &Node, max: bool, axis: i64, last: bool) -> Result<()> {
        let input = self.operand(node, 0)?;
        let output = self.output_id(node)?;
        let axis = axis_of(axis, input.dims.len())?;
        let dtype = self.stored(node, &input)?;
        let dims = without(&input.dims, axis);
        let placed = self.row_major(Kind::Plain(8), &dims);
        let found = loops(&dims, [&without(&input.strides, axis), &placed.strides])?;
        self.step(Extreme {
            dtype,
            greatest: u32::from(max),
            last: u32::from(last),
            dims: found.dims,
            input: input.strided(found.strides[0])?,
            length: number(input.dims[axis])?,
            input_step: number(input.strides[axis])?,
            output: placed.strided(found.strides[1])?,
        });
        let dims = self.shape(output)?;
        let placed = self.reshaped(placed, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn cumulative(&mut self, node: &Node, how: [bool; 3]) -> Result<()> {
        let [product, exclusive, reverse] = how;
        let axis = self
            .constant(node, 1)?
            .ok_or_else(|| unsupported("a constant axis", "none"))?
            .to_i64()?;
        let input = match self.plain_input(node, 0) {
            Some(_) => self.operand(node, 0)?,
            None => self.real(node, 0)?,
        };
        let output = self.output_id(node)?;
        let axis = axis_of(axis.first().copied().unwrap_or(0), input.dims.len())?;
        let dtype = self.stored(node, &input)?;
        let placed = self.row_major(input.kind, &input.dims);
        let dims = without(&input.dims, axis);
        let found = loops(
            &dims,
            [&without(&input.strides, axis), &without(&placed.strides, axis)],
        )?;
        self.step(Cumulate {
            dtype,
            product: u32::from(product),
            exclusive: u32::from(exclusive),
            reverse: u32::from(reverse),
            dims: found.dims,
            input: input.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
            length: number(input.dims[axis])?,
            input_step: number(input.strides[axis])?,
            output_step: number(placed.strides[axis])?,
        });
        let kind = self.kind(output)?;
        let placed = self.as_kind(placed, kind)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }
}

/// Numbers of the other axes.
pub(super) fn without(numbers: &[usize], axis: usize) -> Vec<usize> {
    let mut numbers = numbers.to_vec();
    numbers.remove(axis);
    numbers
}
