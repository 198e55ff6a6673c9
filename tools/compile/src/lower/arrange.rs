//! Repeating, cutting and padding.

use limbic_engine::plan::Dtype;
use limbic_engine::step::Fill;
use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::op::PadMode;
use limbic_graph::{Node, Op, Result, Rounding, Tensor, TensorType, ValueId, quantize};

use super::axis::Picking;
use super::movement::axis_of;
use super::{Lowering, unsupported};
use crate::place::Placed;
use crate::strides::broadcast;

impl Lowering<'_> {
    /// The first input in the output's type.
    fn moved_input(&mut self, node: &Node) -> Result<(Placed, ValueId, Vec<usize>)> {
        let output = self.output_id(node)?;
        let (kind, dims) = (self.kind(output)?, self.shape(output)?);
        let input = self.operand(node, 0)?;
        Ok((self.as_kind(input, kind)?, output, dims))
    }

    /// Repeats extents of 1, without a copy.
    pub(super) fn expand(&mut self, node: &Node) -> Result<()> {
        let (input, output, dims) = self.moved_input(node)?;
        let view = repeated(&input, &dims);
        self.placed[output.0] = Some(view);
        Ok(())
    }

    pub(super) fn tile(&mut self, node: &Node) -> Result<()> {
        let (input, output, dims) = self.moved_input(node)?;
        // Each axis twice: as often as it is repeated, and as long as it was.
        let mut view = input.clone();
        view.border = [0; 4];
        view.dims.clear();
        view.strides.clear();
        for (axis, &dim) in dims.iter().enumerate() {
            view.dims
                .extend([dim / input.dims[axis].max(1), input.dims[axis]]);
            view.strides.extend([0, input.strides[axis]]);
        }
        let placed = self.reshaped(view, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// Cuts along an axis, without a copy.
    pub(super) fn split(&mut self, node: &Node, axis: i64) -> Result<()> {
        let input = self.operand(node, 0)?;
        let axis = axis_of(axis, input.dims.len())?;
        let mut start = input.start;
        for id in &node.outputs {
            let Some(id) = *id else {
                return Err(unsupported("all parts of a split", "one that nobody reads"));
            };
            let dims = self.shape(id)?;
            let part = Placed {
                start,
                border: [0; 4],
                ..input.clone()
            };
            start += dims[axis] * input.strides[axis];
            let kind = self.kind(id)?;
            let part = self.as_kind(Placed { dims, ..part }, kind)?;
            self.placed[id.0] = Some(part);
        }
        Ok(())
    }

    /// Blocks of channels to space, or back: `order` of the axes of `between`.
    fn regrouped(
        &mut self,
        node: &Node,
        between: impl Fn(&[usize]) -> Vec<usize>,
        order: &[usize],
    ) -> Result<()> {
        let (input, output, dims) = self.moved_input(node)?;
        if input.dims.len() != 4 {
            return Err(unsupported("[N,C,H,W]", format!("{:?}", input.dims)));
        }
        let parts = between(&input.dims);
        let view = self.reshaped(input, &parts)?.transpose(order);
        let placed = self.reshaped(view, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn depth_to_space(&mut self, node: &Node, b: usize, crd: bool) -> Result<()> {
        if crd {
            let between = |d: &[usize]| vec![d[0], d[1] / (b * b), b, b, d[2], d[3]];
            return self.regrouped(node, between, &[0, 1, 4, 2, 5, 3]);
        }
        let between = |d: &[usize]| vec![d[0], b, b, d[1] / (b * b), d[2], d[3]];
        self.regrouped(node, between, &[0, 3, 4, 1, 5, 2])
    }

    pub(super) fn space_to_depth(&mut self, node: &Node, b: usize, crd: bool) -> Result<()> {
        let between = |d: &[usize]| vec![d[0], d[1], d[2] / b, b, d[3] / b, b];
        let order: &[usize] = if crd {
            &[0, 1, 3, 5, 2, 4]
        } else {
            &[0, 3, 5, 1, 2, 4]
        };
        self.regrouped(node, between, order)
    }

    /// Elements on one side of a diagonal, zeros on the other.
    pub(super) fn triangle(&mut self, node: &Node, upper: bool) -> Result<()> {
        let k = match self.constant(node, 1)? {
            Some(k) => k.to_i64()?.first().copied().unwrap_or(0),
            None => 0,
        };
        let (input, output, dims) = self.moved_input(node)?;
        let [.., rows, columns] = dims[..] else {
            return Err(unsupported("a matrix", format!("{dims:?}")));
        };
        let inside = |n: usize| {
            let (row, column) = ((n / columns) as i64, (n % columns) as i64);
            let distance = column.saturating_sub(row.saturating_add(k));
            if upper { distance >= 0 } else { distance <= 0 }
        };
        let flags: Vec<bool> = (0..rows * columns).map(inside).collect();
        let flags = self.load(&Tensor::new(&[rows, columns], flags)?)?;
        let zero = self.zero(output)?;
        let placed = self.select(&flags, &input, &zero, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// One element that stands for 0 in a value's type.
    pub(super) fn zero(&mut self, id: ValueId) -> Result<Placed> {
        let zero = number_like(&Tensor::scalar(0f32), &self.graph.value(id).ty)?;
        self.load(&zero)
    }

    pub(super) fn pad(&mut self, node: &Node, mode: PadMode) -> Result<()> {
        let (input, output, dims) = self.moved_input(node)?;
        let numbers = |n: usize| self.constant(node, n)?.map(Tensor::to_i64).transpose();
        let list = numbers(1)?.ok_or_else(|| unsupported("constant pads", "none"))?;
        let rank = dims.len();
        let axes = match numbers(3)? {
            Some(axes) => axes,
            None => (0..rank as i64).collect(),
        };
        let mut pads = vec![(0, 0); rank];
        for (n, &axis) in axes.iter().enumerate() {
            pads[axis_of(axis, rank)?] = (list[n], list[n + axes.len()]);
        }
        let placed = if mode == PadMode::Constant {
            self.pad_constant(node, &input, output, &pads)?
        } else {
            self.pad_from_within(input, mode, &pads)?
        };
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    fn pad_constant(
        &mut self,
        node: &Node,
        input: &Placed,
        output: ValueId,
        pads: &[(i64, i64)],
    ) -> Result<Placed> {
        let dims = self.shape(output)?;
        let ty = self.graph.value(output).ty.clone();
        let number = match node.inputs.get(2).copied().flatten() {
            None => Some(number_like(&Tensor::scalar(0f32), &ty)?),
            Some(id) => match self.graph.constant(id) {
                Some(tensor) if tensor.is_empty() => Some(number_like(&Tensor::scalar(0f32), &ty)?),
                Some(tensor) => Some(number_like(tensor, &ty)?),
                None => None,
            },
        };
        let placed = self.place_like(output, input)?;
        let byte = number
            .as_ref()
            .map(|number| Self::bytes(number, placed.kind))
            .transpose()?;
        let byte = byte.as_deref().and_then(|bytes| match bytes {
            [first, rest @ ..] if rest.iter().all(|byte| byte == first) => Some(u32::from(*first)),
            _ => None,
        });
        match byte {
            // What lies between the elements and around them may be anything then.
            Some(value) if placed.border == [0; 4] => {
                let output = placed.span()?;
                self.step(Fill { value, output });
            }
            _ => {
                let value = match &number {
                    Some(number) => self.load(number)?,
                    None => {
                        let placed = self.operand(node, 2)?;
                        self.as_kind(placed, input.kind)?
                    }
                };
                let value = self.reshaped(value, &[])?;
                self.copy(&repeated(&value, &dims), &placed, 0)?;
            }
        }
        // What stays of the input, and where it goes.
        let (mut from, mut to) = (input.clone(), placed.clone());
        for (axis, &(before, _)) in pads.iter().enumerate() {
            let cut = (-before).max(0) as usize;
            let shift = before.max(0) as usize;
            let room = dims[axis].saturating_sub(shift);
            from.dims[axis] = input.dims[axis].saturating_sub(cut).min(room);
            from.start += cut * input.strides[axis];
            to.start += shift * placed.strides[axis];
        }
        to.dims.clone_from(&from.dims);
        if from.count() > 0 {
            self.copy(&from, &to, 0)?;
        }
        Ok(placed)
    }

    /// Pads with elements of the input, an axis at a time.
    fn pad_from_within(&mut self, input: Placed, mode: PadMode, pads: &[(i64, i64)]) -> Result<Placed> {
        let mut placed = input;
        for (axis, &(before, behind)) in pads.iter().enumerate() {
            if (before, behind) == (0, 0) {
                continue;
            }
            // The interpreter says which place each place is.
            let iota = Tensor::vector((0..placed.dims[axis] as i64).collect::<Vec<i64>>());
            let made = evaluate(Call {
                op: &Op::Pad { mode },
                inputs: &[Some(&iota), Some(&Tensor::vector(vec![before, behind]))],
                outputs: &[Some(&TensorType::unshaped(limbic_graph::Dtype::I64))],
                rounding: Rounding::default(),
            })?;
            let places = made
                .first()
                .ok_or_else(|| unsupported("places", "none"))?
                .to_i64()?;
            placed = self.pick(&placed, axis, places)?;
        }
        Ok(placed)
    }

    /// Places along an axis, by constant indices.
    pub(super) fn pick(&mut self, input: &Placed, axis: usize, places: Vec<i64>) -> Result<Placed> {
        let mut dims = input.dims.clone();
        dims[axis] = places.len();
        let indices = self.load(&Tensor::vector(places))?;
        let mut input_strides = input.strides.clone();
        input_strides[axis] = 0;
        let mut index_strides = vec![0; dims.len()];
        index_strides[axis] = 1;
        let picking = Picking {
            input,
            input_strides,
            indices: &indices,
            index: Dtype::I64,
            index_strides,
            next_index: 0,
            axes: vec![axis],
        };
        self.lookup(&picking, &dims)
    }
}

/// A constant number in a type.
fn number_like(number: &Tensor, ty: &TensorType) -> Result<Tensor> {
    let ty = &TensorType {
        dims: Some(Vec::new()),
        ..ty.clone()
    };
    Ok(match &ty.quantization {
        Some(quantization) => {
            let number = match number.quantization {
                Some(_) => limbic_graph::dequantize(number)?,
                None => number.clone(),
            };
            quantize(&number, ty.dtype, quantization)?
        }
        None => {
            let made = evaluate(Call {
                op: &Op::Cast {
                    to: ty.dtype,
                    saturate: true,
                },
                inputs: &[Some(number)],
                outputs: &[Some(&TensorType::new(ty.dtype, number.shape()))],
                rounding: Rounding::default(),
            })?;
            made.into_iter()
                .next()
                .ok_or_else(|| unsupported("a constant", "none"))?
        }
    })
}

/// The same elements under extents that they broadcast to.
pub(super) fn repeated(placed: &Placed, dims: &[usize]) -> Placed {
    Placed {
        strides: broadcast(&placed.dims, &placed.strides, dims),
        dims: dims.to_vec(),
        border: [0; 4],
        ..placed.clone()
    }
}
