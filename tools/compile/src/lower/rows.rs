//! Products with rows quantized as they come.

use limbic_engine::Halo;
use limbic_engine::step::{Function, QuantizeRows, ROW_ZERO};
use limbic_graph::{Dtype, Node, Op, Quantization, Result, Tensor};

use super::elementwise::function;
use super::numbers::Numbers;
use super::product::{Product, Source, one_tap};
use super::tail::{View, matrix};
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::{loops, number};

/// Rows of integers and where their scales begin in the buffer.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// `[images, 1, rows, depth]`.
    view: Placed,
    scales: usize,
}

impl Numbers {
    /// Of `[K,N]` integers for rows with zero point [`ROW_ZERO`], and an `f32` bias.
    fn rows(weights: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let &[depth, columns] = weights.shape() else {
            return Err(unsupported("weights [K,N]", format!("{:?}", weights.shape())));
        };
        let scale = match &weights.quantization {
            Some(Quantization::PerTensor { scale, zero_point: 0 }) => vec![*scale; columns],
            Some(Quantization::PerAxis {
                axis: 1,
                scales,
                zero_points,
            }) if zero_points.iter().all(|&zero| zero == 0) => scales.clone(),
            other => return Err(unsupported("symmetric weights", format!("{other:?}"))),
        };
        let elements = weights.elements::<i8>()?;
        let turned: Vec<i8> = (0..columns)
            .flat_map(|column| (0..depth).map(move |row| elements[row * columns + column]))
            .collect();
        let folded = turned.chunks_exact(depth.max(1)).map(|column| {
            let sum: i64 = column.iter().map(|&w| i64::from(w)).sum();
            let size: i64 = column.iter().map(|&w| i64::from(w).abs()).sum();
            // Every partial sum fits if the greatest size does.
            let greatest = 255 * size + i64::from(ROW_ZERO) * sum.abs();
            if greatest > i64::from(i32::MAX) {
                return Err(unsupported("sums of 32 bits", greatest));
            }
            i32::try_from(-i64::from(ROW_ZERO) * sum).map_err(|_| unsupported("sums of 32 bits", sum))
        });
        Ok(Self::Rows {
            bias: folded.collect::<Result<_>>()?,
            weights: turned,
            scale,
            offset: bias
                .map(|bias| bias.elements::<f32>().map(<[f32]>::to_vec))
                .transpose()?,
        })
    }
}

impl Lowering<'_> {
    pub(super) fn dynamic_product(&mut self, node: &Node) -> Result<()> {
        let weights = self
            .constant(node, 1)?
            .ok_or_else(|| unsupported("constant weights", "none"))?;
        let numbers = Numbers::rows(weights, self.constant(node, 2)?)?;
        let &[depth, columns] = weights.shape() else {
            return Err(unsupported("weights [K,N]", format!("{:?}", weights.shape())));
        };
        let rows = self.quantized_rows(node, depth)?;
        let value = self.output_id(node)?;
        let tail = self.follow(value, Some(View::Matrix))?;
        let dims = self.shape(tail.value)?;
        let placed = self.row_major(Kind::F32, &dims);
        let output_view = matrix(&placed)?;
        let product = Product {
            input_steps: [rows.view.strides[0], 0, rows.view.strides[2]],
            input: rows.view,
            kernel: [1, 1, depth],
            taps: one_tap,
            pixel: depth,
            whole: true,
            first_output: 0,
            outputs: columns,
            source: Source::Constant(&numbers),
            row_scales: rows.scales,
            output: &placed,
            output_view,
            halo: Halo::default(),
        };
        self.product(&tail, product)?;
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    /// Leaves a function to the steps that quantize its rows, if nothing else reads it.
    pub(super) fn postpone(&mut self, node: &Node) -> Result<bool> {
        let Op::Unary(unary) = node.op else {
            return Ok(false);
        };
        let output = self.output_id(node)?;
        let readers = self.consumers.get(&output).map(Vec::as_slice).unwrap_or_default();
        let rows = !readers.is_empty()
            && readers
                .iter()
                .all(|n| self.graph.nodes[n.0].op == Op::DynamicMatMul)
            && !self.graph.outputs.contains(&output);
        let input = self.operand(node, 0)?;
        if !rows || input.kind != Kind::F32 || self.kind(output)? != Kind::F32 {
            return Ok(false);
        }
        let id = self.input_id(node, 0)?;
        if self.postponed.contains_key(&id) {
            return Ok(false);
        }
        self.postponed.insert(output, function(unary)?);
        self.placed[output.0] = Some(input);
        Ok(true)
    }

    /// The rows of the first input as integers; made once for all products that read them.
    fn quantized_rows(&mut self, node: &Node, depth: usize) -> Result<Rows> {
        let id = self.input_id(node, 0)?;
        if let Some(rows) = self.rows.get(&id) {
            return Ok(rows.clone());
        }
        if self.graph.value(id).ty.dtype != Dtype::F32 {
            return Err(unsupported("rows of f32", &self.graph.value(id).ty));
        }
        let mut input = self.operand(node, 0)?;
        let rank = input.dims.len();
        if rank < 2 || depth == 0 {
            return Err(unsupported("a matrix", format!("{:?}", input.dims)));
        }
        if depth > 1 && input.strides[rank - 1] != 1 {
            let to = self.row_major(Kind::F32, &input.dims);
            self.copy(&input, &to, 0)?;
            input = to;
        }
        let outer = &input.dims[..rank - 1];
        let count: usize = outer.iter().product();
        let row_bytes = depth.next_multiple_of(4);
        let scales = (count * row_bytes).next_multiple_of(64);
        let (function, alpha, beta) = match self.postponed.get(&id) {
            Some(postponed) => *postponed,
            None => (Function::Identity, 0.0, 0.0),
        };
        let mut step = QuantizeRows {
            length: number(depth)?,
            row_bytes: number(row_bytes)?,
            function,
            alpha,
            beta,
            scales: number(scales)?,
            scratch: number(scales + count * 4)?,
            ..QuantizeRows::default()
        };
        let bytes = scales + count * 4 + step.scratch_bytes() as usize;
        let mut view = self.row_major(Kind::Plain(1), &[bytes]);
        let found = loops(
            outer,
            [&input.strides[..rank - 1], &crate::strides::row_major(outer)],
        )?;
        step.dims = found.dims;
        step.input = input.strided(found.strides[0])?;
        step.output = Self::exact(&view)?;
        self.step(step);
        let rows = outer[rank - 2];
        view.dims = vec![count / rows.max(1), 1, rows, depth];
        view.strides = vec![rows * row_bytes, 0, row_bytes, 1];
        let made = Rows { view, scales };
        self.rows.insert(id, made.clone());
        Ok(made)
    }
}
