//! Reductions, softmax and normalizations.

use limbic_engine::step::{Normalize, Reduce, Reduction, Softmax};
use limbic_graph::op;
use limbic_graph::{Dtype, Node, Op, Result, ValueId};

use super::compose::reduction;
use super::movement::axis_of;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::{loops, number};

impl Lowering<'_> {
    /// An input as real numbers.
    pub(super) fn real(&mut self, node: &Node, n: usize) -> Result<Placed> {
        let input = self.operand(node, n)?;
        match input.kind {
            Kind::F32 => Ok(input),
            Kind::U8(_) => self.dequantized(&input),
            Kind::Plain(_) => Err(unsupported(
                "f32 or 8-bit integers with a scale",
                "other elements",
            )),
        }
    }

    pub(super) fn reduce(&mut self, node: &Node, function: op::Reduce) -> Result<()> {
        let function = reduction(function);
        let operand = self.operand(node, 0)?;
        let output = self.output_id(node)?;
        let rank = operand.dims.len();
        let axes = match (&node.op, self.constant(node, 1)?) {
            (_, Some(axes)) if !axes.is_empty() => axes.to_i64()?,
            (
                Op::Reduce {
                    noop_with_empty_axes: true,
                    ..
                },
                _,
            ) => {
                return self.identity(node);
            }
            _ => (0..rank as i64).collect(),
        };
        let axes = axes
            .into_iter()
            .map(|axis| axis_of(axis, rank))
            .collect::<Result<Vec<usize>>>()?;
        let mut operand = operand;
        let mut spatial = matches!(rank, 3 | 4) && axes.iter().all(|&axis| axis > 1);
        if spatial && function == Reduction::Mean && self.is_fixed(operand.kind, output)? {
            operand = self.spatial(operand, [0; 4])?;
        }
        spatial = spatial && operand.strides[1] == 1;
        let same = matches!(
            (operand.kind, self.kind(output)?),
            (Kind::F32, Kind::F32) | (Kind::U8(_), Kind::U8(_))
        );
        if function == Reduction::Mean && spatial && same {
            return self.mean_of_pixels(operand, &axes, output);
        }
        if function == Reduction::Mean
            && self.is_fixed(operand.kind, output)?
            && self.graph.value(output).ty.dtype == Dtype::I8
        {
            return Err(unsupported(
                "a fixed-point mean over rows and columns",
                format!("{axes:?}"),
            ));
        }
        let input = self.real(node, 0)?;
        let (inner, outer): (Vec<usize>, Vec<usize>) = (0..rank).partition(|axis| axes.contains(axis));
        let pick = |axes: &[usize], from: &[usize]| -> Vec<usize> { axes.iter().map(|&a| from[a]).collect() };
        let dims = self.shape(output)?;
        let placed = self.row_major(Kind::F32, &dims);
        let outer_dims = pick(&outer, &input.dims);
        let view = placed
            .reshape(&outer_dims)
            .ok_or_else(|| unsupported(format!("{outer_dims:?}"), format!("{dims:?}")))?;
        let kept = loops(&outer_dims, [&pick(&outer, &input.strides), &view.strides])?;
        let reduced = loops(&pick(&inner, &input.dims), [&pick(&inner, &input.strides)])?;
        self.step(Reduce {
            function,
            dims: kept.dims,
            input: input.strided(kept.strides[0])?,
            inner: reduced.dims,
            inner_strides: reduced.strides[0],
            output: placed.strided(kept.strides[1])?,
        });
        self.quantized(placed, output)
    }

    pub(super) fn softmax(&mut self, node: &Node, axis: i64) -> Result<()> {
        let input = self.real(node, 0)?;
        let output = self.output_id(node)?;
        let axis = axis_of(axis, input.dims.len())?;
        let placed = self.row_major(Kind::F32, &input.dims);
        let without = |numbers: &[usize]| -> Vec<usize> {
            let mut numbers = numbers.to_vec();
            numbers.remove(axis);
            numbers
        };
        let found = loops(
            &without(&input.dims),
            [&without(&input.strides), &without(&placed.strides)],
        )?;
        self.step(Softmax {
            dims: found.dims,
            input: input.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
            length: number(input.dims[axis])?,
            input_step: number(input.strides[axis])?,
            output_step: number(placed.strides[axis])?,
        });
        self.quantized(placed, output)
    }

    pub(super) fn normalize(&mut self, node: &Node, axis: i64, epsilon: f32, centre: bool) -> Result<()> {
        let input = self.real(node, 0)?;
        let output = self.output_id(node)?;
        let rank = input.dims.len();
        let first = axis_of(axis, rank)?;
        let length: usize = input.dims[first..].iter().product();
        let known = |id: &ValueId| self.graph.constant(*id).is_some_and(|t| t.len() == length);
        if node.outputs.iter().skip(1).flatten().next().is_some()
            || !node.inputs.iter().skip(1).flatten().all(known)
        {
            return self.normalize_by_parts(node, axis, epsilon, centre);
        }
        let mut flat = input.dims[..first].to_vec();
        flat.push(length);
        let input = match input
            .reshape(&flat)
            .filter(|view| view.strides[first] == 1 || length == 1)
        {
            Some(view) => view,
            None => {
                let to = self.row_major(Kind::F32, &input.dims);
                self.copy(&input, &to, 0)?;
                to.reshape(&flat).ok_or_else(|| unsupported("runs", "none"))?
            }
        };
        let mut table = |n: usize| -> Result<_> {
            let Some(tensor) = self.constant(node, n)? else {
                return Ok(crate::place::NONE);
            };
            if tensor.len() != length {
                return Err(unsupported(
                    format!("{length} numbers"),
                    format!("{:?}", tensor.shape()),
                ));
            }
            self.pack.add(
                tensor
                    .elements::<f32>()?
                    .iter()
                    .flat_map(|x| x.to_le_bytes())
                    .collect(),
            )
        };
        let (scale, bias) = (table(1)?, table(2)?);
        let placed = self.row_major(Kind::F32, &flat);
        let found = loops(
            &flat[..first],
            [&input.strides[..first], &placed.strides[..first]],
        )?;
        self.step(Normalize {
            epsilon,
            centre: u32::from(centre),
            dims: found.dims,
            input: input.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
            length: number(length)?,
            scale,
            bias,
        });
        let dims = self.shape(output)?;
        let placed = placed
            .reshape(&dims)
            .ok_or_else(|| unsupported(format!("{flat:?}"), format!("{dims:?}")))?;
        self.quantized(placed, output)
    }
}
