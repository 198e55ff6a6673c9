//! Steps on real numbers that larger operations are put together from.

use limbic_engine::step::{self, Function, Pair, Reduce, Reduction};
use limbic_graph::op::{Reduce as Reduced, Variadic};
use limbic_graph::{Node, Result, Tensor, ValueId};

use super::movement::axis_of;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::loops;

/// The kernel's reduction.
pub(super) fn reduction(function: Reduced) -> Reduction {
    match function {
        Reduced::Sum => Reduction::Sum,
        Reduced::Mean => Reduction::Mean,
        Reduced::Max => Reduction::Max,
        Reduced::Min => Reduction::Min,
        Reduced::Prod => Reduction::Product,
        Reduced::L1 => Reduction::L1,
        Reduced::L2 => Reduction::L2,
        Reduced::LogSum => Reduction::LogSum,
        Reduced::LogSumExp => Reduction::LogSumExp,
        Reduced::SumSquare => Reduction::SumSquare,
    }
}

/// Extents that two operands broadcast to.
pub(super) fn joint(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], n: usize| (n + dims.len()).checked_sub(rank).map_or(1, |n| dims[n]);
    (0..rank)
        .map(|n| if at(a, n) == 1 { at(b, n) } else { at(a, n) })
        .collect()
}

impl Lowering<'_> {
    /// A number.
    pub(super) fn scalar(&mut self, x: f32) -> Result<Placed> {
        self.load(&Tensor::scalar(x))
    }

    /// A function of two operands of `f32`, extents broadcast.
    pub(super) fn pairwise(&mut self, function: Pair, a: &Placed, b: &Placed) -> Result<Placed> {
        let dims = joint(&a.dims, &b.dims);
        let placed = self.row_major(Kind::F32, &dims);
        self.pair(function, [a, b], &placed)?;
        Ok(placed)
    }

    /// A function of each element of `f32`.
    pub(super) fn each(&mut self, function: Function, x: &Placed) -> Result<Placed> {
        let placed = self.row_major(Kind::F32, &x.dims);
        let found = loops(&x.dims, [&x.strides, &placed.strides])?;
        self.step(step::Unary {
            function,
            alpha: 0.0,
            beta: 0.0,
            dims: found.dims,
            input: x.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
        });
        Ok(placed)
    }

    /// A reduction of `f32` over axes, which stay with extent 1.
    pub(super) fn reduced(&mut self, function: Reduction, x: &Placed, axes: &[usize]) -> Result<Placed> {
        let (inner, outer): (Vec<usize>, Vec<usize>) =
            (0..x.dims.len()).partition(|axis| axes.contains(axis));
        let pick = |axes: &[usize], from: &[usize]| -> Vec<usize> { axes.iter().map(|&a| from[a]).collect() };
        let mut dims = x.dims.clone();
        inner.iter().for_each(|&axis| dims[axis] = 1);
        let placed = self.row_major(Kind::F32, &dims);
        let kept = loops(
            &pick(&outer, &x.dims),
            [&pick(&outer, &x.strides), &pick(&outer, &placed.strides)],
        )?;
        let reduced = loops(&pick(&inner, &x.dims), [&pick(&inner, &x.strides)])?;
        self.step(Reduce {
            function,
            dims: kept.dims,
            input: x.strided(kept.strides[0])?,
            inner: reduced.dims,
            inner_strides: reduced.strides[0],
            output: placed.strided(kept.strides[1])?,
        });
        Ok(placed)
    }

    /// The same elements under other extents, copied where they do not lie so.
    pub(super) fn reshaped(&mut self, placed: Placed, dims: &[usize]) -> Result<Placed> {
        if let Some(view) = placed.reshape(dims) {
            return Ok(view);
        }
        let to = self.row_major(placed.kind, &placed.dims);
        self.copy(&placed, &to, 0)?;
        to.reshape(dims)
            .ok_or_else(|| unsupported(format!("{} elements", placed.count()), format!("{dims:?}")))
    }

    /// What steps of `f32` made for a value, under its extents and in its type.
    pub(super) fn finish(&mut self, placed: Placed, output: ValueId) -> Result<()> {
        let dims = self.shape(output)?;
        let placed = self.reshaped(placed, &dims)?;
        self.quantized(placed, output)
    }

    /// A sum, mean or extreme of any number of operands.
    pub(super) fn variadic(&mut self, node: &Node, function: Variadic) -> Result<()> {
        let output = self.output_id(node)?;
        if let Some(dtype) = self.plain(output) {
            return self.variadic_integers(node, function, dtype);
        }
        let pair = match function {
            Variadic::Sum | Variadic::Mean => Pair::Add,
            Variadic::Min => Pair::Min,
            Variadic::Max => Pair::Max,
        };
        let mut total = self.real(node, 0)?;
        for n in 1..node.inputs.len() {
            let next = self.real(node, n)?;
            total = self.pairwise(pair, &total, &next)?;
        }
        if function == Variadic::Mean {
            let count = self.scalar(node.inputs.len() as f32)?;
            total = self.pairwise(Pair::Div, &total, &count)?;
        }
        self.finish(total, output)
    }

    /// Division by the norm along an axis; a line of zeros stays.
    pub(super) fn lp_normalize(&mut self, node: &Node, axis: i64, p: i64) -> Result<()> {
        let x = self.real(node, 0)?;
        let output = self.output_id(node)?;
        let axis = axis_of(axis, x.dims.len())?;
        let function = match p {
            1 => Reduction::L1,
            2 => Reduction::L2,
            other => return Err(unsupported("p of 1 or 2", other)),
        };
        let norm = self.reduced(function, &x, &[axis])?;
        // Where all elements are 0, the quotient by the least positive number is too.
        let least = self.scalar(f32::from_bits(1))?;
        let norm = self.pairwise(Pair::Max, &norm, &least)?;
        let quotient = self.pairwise(Pair::Div, &x, &norm)?;
        self.finish(quotient, output)
    }

    /// `x - log(sum(exp(x)))` along an axis.
    pub(super) fn log_softmax(&mut self, node: &Node, axis: i64) -> Result<()> {
        let x = self.real(node, 0)?;
        let output = self.output_id(node)?;
        let axis = axis_of(axis, x.dims.len())?;
        let sum = self.reduced(Reduction::LogSumExp, &x, &[axis])?;
        let difference = self.pairwise(Pair::Sub, &x, &sum)?;
        self.finish(difference, output)
    }

    /// `(x - mean) / sqrt(variance + epsilon) * scale + bias` a channel, with computed parameters.
    pub(super) fn batch_normalize(&mut self, node: &Node, epsilon: f32) -> Result<()> {
        let x = self.real(node, 0)?;
        let output = self.output_id(node)?;
        let mut along = vec![1; x.dims.len().saturating_sub(1)];
        if let (Some(first), Some(&channels)) = (along.first_mut(), x.dims.get(1)) {
            *first = channels;
        }
        let mut parameter = |n: usize| -> Result<Placed> {
            let placed = self.real(node, n)?;
            self.reshaped(placed, &along)
        };
        let [scale, bias, mean, variance] = [parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?];
        let epsilon = self.scalar(epsilon)?;
        let variance = self.pairwise(Pair::Add, &variance, &epsilon)?;
        let deviation = self.each(Function::Sqrt, &variance)?;
        let factor = self.pairwise(Pair::Div, &scale, &deviation)?;
        let centred = self.pairwise(Pair::Sub, &x, &mean)?;
        let product = self.pairwise(Pair::Mul, &centred, &factor)?;
        let sum = self.pairwise(Pair::Add, &product, &bias)?;
        self.finish(sum, output)
    }

    /// A layer normalization whose scale or bias is computed or broadcast, or whose statistics are wanted.
    pub(super) fn normalize_by_parts(
        &mut self,
        node: &Node,
        axis: i64,
        epsilon: f32,
        centre: bool,
    ) -> Result<()> {
        let x = self.real(node, 0)?;
        let first = axis_of(axis, x.dims.len())?;
        let axes: Vec<usize> = (first..x.dims.len()).collect();
        let mut centred = x.clone();
        let mut statistics = Vec::new();
        if centre {
            let mean = self.reduced(Reduction::Mean, &x, &axes)?;
            centred = self.pairwise(Pair::Sub, &x, &mean)?;
            statistics.push(mean);
        }
        let square = self.pairwise(Pair::Mul, &centred, &centred)?;
        let variance = self.reduced(Reduction::Mean, &square, &axes)?;
        let epsilon = self.scalar(epsilon)?;
        let variance = self.pairwise(Pair::Add, &variance, &epsilon)?;
        let deviation = self.each(Function::Sqrt, &variance)?;
        let inverse = self.each(Function::Reciprocal, &deviation)?;
        let mut y = self.pairwise(Pair::Mul, &centred, &inverse)?;
        statistics.push(inverse);
        let scale = self.real(node, 1)?;
        y = self.pairwise(Pair::Mul, &y, &scale)?;
        if node.inputs.get(2).copied().flatten().is_some() {
            let bias = self.real(node, 2)?;
            y = self.pairwise(Pair::Add, &y, &bias)?;
        }
        let output = self.output_id(node)?;
        self.finish(y, output)?;
        for (id, placed) in node.outputs.iter().skip(1).zip(statistics) {
            if let Some(id) = *id {
                self.finish(placed, id)?;
            }
        }
        Ok(())
    }
}
