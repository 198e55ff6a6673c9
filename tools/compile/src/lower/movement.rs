//! Operations that move elements: most of them only change how a value is seen.

use limbic_engine::step::{self, AXES};
use limbic_graph::op::GatherMode;
use limbic_graph::{Dtype, Node, Result, Storage};

use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::{number, row_major};

/// An axis that may count from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let place = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(place)
        .ok()
        .filter(|&place| place < rank)
        .ok_or_else(|| unsupported(format!("an axis of {rank}"), axis))
}

impl Lowering<'_> {
    /// The first input, in the output's type.
    fn moved(&mut self, node: &Node) -> Result<Placed> {
        let kind = self.kind(self.output_id(node)?)?;
        let input = self.operand(node, 0)?;
        if input.kind == kind {
            return Ok(input);
        }
        let to = self.row_major(kind, &input.dims);
        self.convert(&input, &to)?;
        Ok(to)
    }

    pub(super) fn reshape(&mut self, node: &Node) -> Result<()> {
        let input = self.moved(node)?;
        let output = self.output_id(node)?;
        let dims = self.shape(output)?;
        let view = match input.reshape(&dims) {
            Some(view) => view,
            None => {
                let to = self.row_major(input.kind, &input.dims);
                self.copy(&input, &to, 0)?;
                to.reshape(&dims)
                    .ok_or_else(|| unsupported(format!("{} elements", input.count()), format!("{dims:?}")))?
            }
        };
        self.placed[output.0] = Some(view);
        Ok(())
    }

    pub(super) fn transpose(&mut self, node: &Node, order: &[usize]) -> Result<()> {
        let input = self.moved(node)?;
        let output = self.output_id(node)?;
        self.placed[output.0] = Some(input.transpose(order));
        Ok(())
    }

    pub(super) fn concat(&mut self, node: &Node, axis: i64) -> Result<()> {
        let output = self.output_id(node)?;
        let first = self.operand(node, 0)?;
        let placed = self.place_like(output, &first)?;
        let axis = axis_of(axis, placed.dims.len())?;
        let mut at = 0;
        for n in 0..node.inputs.len() {
            let input = self.operand(node, n)?;
            if input.count() == 0 {
                continue;
            }
            let part = Placed {
                start: placed.start + at * placed.strides[axis],
                dims: input.dims.clone(),
                ..placed.clone()
            };
            self.convert(&input, &part)?;
            at += input.dims[axis];
        }
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn slice(&mut self, node: &Node) -> Result<()> {
        let input = self.moved(node)?;
        let output = self.output_id(node)?;
        let dims = self.shape(output)?;
        let numbers = |n: usize| {
            self.constant(node, n)?
                .map(limbic_graph::Tensor::to_i64)
                .transpose()
        };
        let starts = numbers(1)?.ok_or_else(|| unsupported("constant starts", "none"))?;
        let axes = numbers(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = numbers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if dims.len() > AXES {
            return Err(unsupported(format!("at most {AXES} axes"), format!("{dims:?}")));
        }
        let mut reversed = 0;
        let mut view = Placed {
            border: [0; 4],
            ..input.clone()
        };
        for ((&start, &axis), &step) in starts.iter().zip(&axes).zip(&steps) {
            let axis = axis_of(axis, input.dims.len())?;
            let length = input.dims[axis] as i64;
            let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
            let first = if start < 0 { start + length } else { start };
            if step < 0 {
                // The same elements forwards: from the last of them on, which lies where the steps end.
                let last = (first.min(length - 1) as usize).checked_sub((dims[axis] - 1) * stride);
                let last = last.ok_or_else(|| unsupported("a slice inside its input", start))?;
                view.start += last * input.strides[axis];
                reversed |= 1 << (AXES - dims.len() + axis);
            } else {
                view.start += first.clamp(0, length) as usize * input.strides[axis];
            }
            view.strides[axis] *= stride;
        }
        view.dims.clone_from(&dims);
        if reversed != 0 {
            view = self.turned(&view, reversed)?;
        }
        self.placed[output.0] = Some(view);
        Ok(())
    }

    /// Slices of a computed tensor at constant places that lie at equal distances along each axis of the indices:
    /// only another view. `false` for other places, for which nothing has been made.
    fn picked(&mut self, node: &Node, axis: i64) -> Result<bool> {
        let input = self.moved(node)?;
        let output = self.output_id(node)?;
        let axis = axis_of(axis, input.dims.len())?;
        let indices = self
            .constant(node, 1)?
            .ok_or_else(|| unsupported("constant indices", "none"))?;
        let length = input.dims[axis];
        let places = indices
            .to_i64()?
            .into_iter()
            .map(|place| axis_of(place, length))
            .collect::<Result<Vec<usize>>>()?;
        let shape = indices.shape();
        let Some(&first) = places.first() else {
            return Ok(false);
        };
        let along = row_major(shape);
        let mut steps = Vec::with_capacity(shape.len());
        for (&count, &apart) in shape.iter().zip(&along) {
            let step = if count > 1 {
                places[apart].checked_sub(first)
            } else {
                Some(0)
            };
            let Some(step) = step else { return Ok(false) };
            steps.push(step);
        }
        for (n, &place) in places.iter().enumerate() {
            let axes = shape.iter().zip(&along).zip(&steps);
            let expected: usize = axes.map(|((count, apart), step)| n / apart % count * step).sum();
            if place != first + expected {
                return Ok(false);
            }
        }
        let stride = input.strides[axis];
        let mut view = input.clone();
        view.border = [0; 4];
        view.start += first * stride;
        view.dims.splice(axis..=axis, shape.iter().copied());
        view.strides
            .splice(axis..=axis, steps.into_iter().map(|step| step * stride));
        self.placed[output.0] = Some(view);
        Ok(true)
    }

    /// A copy with some axes the other way round, counted from the end of a step's axes.
    fn turned(&mut self, view: &Placed, reversed: u32) -> Result<Placed> {
        let to = self.row_major(view.kind, &view.dims);
        let skipped = AXES - view.dims.len();
        let mut dims = [1; AXES];
        let mut strides = [[0; AXES]; 2];
        for axis in 0..view.dims.len() {
            dims[skipped + axis] = number(view.dims[axis])?;
            strides[0][skipped + axis] = number(view.strides[axis])?;
            strides[1][skipped + axis] = number(to.strides[axis])?;
        }
        self.step(step::Copy {
            size: number(view.kind.size())?,
            flip: 0,
            reversed,
            dims,
            input: view.strided(strides[0])?,
            output: to.strided(strides[1])?,
        });
        Ok(to)
    }

    pub(super) fn gather(&mut self, node: &Node, mode: GatherMode) -> Result<()> {
        let table = self.constant(node, 0).ok().flatten();
        let places = self.constant(node, 1).ok().flatten();
        if let (GatherMode::Slices { axis }, None, Some(_)) = (mode, table, places)
            && self.picked(node, axis)?
        {
            return Ok(());
        }
        let (GatherMode::Slices { axis }, Some(table)) = (mode, table) else {
            return self.gather_any(node, mode);
        };
        if axis_of(axis, table.rank())? != 0 || table.is_empty() {
            return self.gather_any(node, mode);
        }
        let kind = Kind::of(&table.tensor_type())?;
        let id = self.input_id(node, 1)?;
        let index = self.graph.value(id).ty.dtype;
        if !matches!(index, Dtype::I32 | Dtype::I64) {
            return Err(unsupported("indices of i32 or i64", index));
        }
        let indices = self.operand(node, 1)?;
        let indices = self.contiguous(indices)?;
        let output = self.output_id(node)?;
        let dims = self.shape(output)?;
        let placed = self.row_major(kind, &dims);
        let rows = table.shape()[0];
        // Weights that were stored in 16 bits stay so, where nothing is lost.
        let halves = match table.storage() {
            Storage::F32(elements) if kind == Kind::F32 => halves(elements),
            _ => None,
        };
        let widened = halves.is_some();
        let blob = match halves {
            Some(bytes) => self.pack.add(bytes)?,
            None => self.pack.add(Self::bytes(table, kind)?)?,
        };
        if indices.start != 0 {
            return Err(unsupported("indices at the front of their buffer", indices.start));
        }
        let step = step::Gather {
            rows: number(rows)?,
            row_bytes: number(table.len() / rows * if widened { 2 } else { kind.size() })?,
            widened: u32::from(widened),
            table: blob,
            indices: Self::exact(&indices)?,
            index_size: number(indices.kind.size())?,
            output: Self::exact(&placed)?,
        };
        self.step(step);
        let wanted = self.kind(output)?;
        let placed = self.as_kind(placed, wanted)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }
}

/// The numbers as `f16`, if all of them are finite and none changes.
fn halves(elements: &[f32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(elements.len() * 2);
    for x in elements {
        let half = half::f16::from_f32(*x);
        if !x.is_finite() || half.to_f32().to_bits() != x.to_bits() {
            return None;
        }
        bytes.extend(half.to_le_bytes());
    }
    Some(bytes)
}
