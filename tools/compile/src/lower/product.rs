//! Products with packed matrices: what convolutions, dense layers and matrix products share.

use limbic_engine::step::{Arithmetic, Conv, Taps};
use limbic_engine::{Blob, Halo, Span};
use limbic_graph::{Dtype, Node, Op, Result, Tensor, ValueId};

use super::convolution::{extent, grid};
use super::numbers::Numbers;
use super::tail::{Tail, View, matrix};
use super::{Lowering, unsupported};
use crate::pack::Kernel;
use crate::place::{Kind, NONE, Placed};
use crate::strides::number;
use crate::tile;

/// Where the matrix of a product comes from.
pub(super) enum Source<'a> {
    Constant(&'a Numbers),
    /// Packed by a step: span and bytes from an image's to the next.
    Packed(Span, usize),
}

/// A product of windows with a matrix.
pub(super) struct Product<'a, T> {
    /// `[N,H,W,C]`, its first element the first of the first window.
    pub input: Placed,
    /// Elements from an image, row and column of the output to the next, in the input.
    pub input_steps: [usize; 3],
    /// Rows and columns of taps, and channels.
    pub kernel: [usize; 3],
    /// Where taps lie, given the groups of a run.
    pub taps: T,
    /// Elements from a tap to its right neighbour.
    pub pixel: usize,
    /// Whether a run holds a row of taps.
    pub whole: bool,
    pub first_output: usize,
    pub outputs: usize,
    pub source: Source<'a>,
    /// Of rows that were quantized as they came: first byte of their scales in the input.
    pub row_scales: usize,
    pub output: &'a Placed,
    /// The output as `[N,H,W,C]`.
    pub output_view: Placed,
    pub halo: Halo,
}

impl Lowering<'_> {
    /// A tail of limits alone.
    pub(super) fn limits_only(&mut self, value: ValueId) -> Result<Tail> {
        self.follow(value, None)
    }

    /// The place of what a product stores: channels last where the value is spatial.
    pub(super) fn place_product(&mut self, tail: &Tail) -> Result<Placed> {
        let (dims, kind) = (self.shape(tail.value)?, self.kind(tail.value)?);
        Ok(self.channels_last(kind, &dims, self.borders[tail.value.0]))
    }

    /// Packed bias and scale of some outputs.
    pub(super) fn tables(&mut self, numbers: &Numbers, first: usize, count: usize) -> Result<(Blob, Blob)> {
        match numbers {
            Numbers::Float { bias: None, .. } => Ok((NONE, NONE)),
            Numbers::Float { bias: Some(bias), .. } => {
                Ok((self.pack.add_f32(&bias[first..first + count])?, NONE))
            }
            Numbers::Integer { bias, scale, .. } | Numbers::Rows { bias, scale, .. } => Ok((
                self.pack.add_i32(&bias[first..first + count])?,
                self.pack.add_f32(&scale[first..first + count])?,
            )),
        }
    }

    /// Packed weights of some outputs, and the groups of a run of taps.
    fn weights<T>(&mut self, product: &Product<'_, T>, numbers: &Numbers) -> Result<(Blob, usize)> {
        let [rows, columns, channels] = product.kernel;
        let each = rows * columns * channels;
        let (from, to) = (
            product.first_output * each,
            (product.first_output + product.outputs) * each,
        );
        macro_rules! packed {
            ($elements:expr, $size:literal) => {{
                let kernel = Kernel {
                    elements: &$elements[from..to],
                    outputs: product.outputs,
                    rows,
                    columns,
                    channels,
                    pixel: product.pixel,
                    whole: product.whole,
                };
                let groups = kernel.groups($size);
                (self.pack.add(kernel.packed(|w| w.to_le_bytes()))?, groups)
            }};
        }
        Ok(match numbers {
            Numbers::Float { weights, .. } => packed!(weights, 4),
            Numbers::Integer { weights, .. } | Numbers::Rows { weights, .. } => packed!(weights, 1),
        })
    }

    /// The step of a product and its tail.
    pub(super) fn product<T: Fn(usize) -> Result<Taps>>(
        &mut self,
        tail: &Tail,
        product: Product<'_, T>,
    ) -> Result<()> {
        let (input, output) = (&product.input, product.output);
        let offset = match product.source {
            Source::Constant(Numbers::Rows {
                offset: Some(offset), ..
            }) => self.pack.add_f32(offset)?,
            _ => NONE,
        };
        let (weights, groups, tables, matrix, matrix_image, arithmetic) = match product.source {
            Source::Constant(numbers) => {
                let (weights, groups) = self.weights(&product, numbers)?;
                let tables = self.tables(numbers, product.first_output, product.outputs)?;
                (
                    weights,
                    groups,
                    tables,
                    Span::default(),
                    0,
                    numbers.arithmetic(output.kind),
                )
            }
            Source::Packed(span, image) => {
                let [_, columns, channels] = product.kernel;
                let groups = if product.whole {
                    columns * channels
                } else {
                    channels
                };
                (NONE, groups, (NONE, NONE), span, image, Arithmetic::F32)
            }
        };
        let taps = (product.taps)(groups)?;
        let pixels = product.output_view.dims[..3].iter().product();
        let depth = taps.depth().unwrap_or(u32::MAX) as usize;
        let (tile_pixels, tile_blocks) = tile::choose(pixels, product.outputs.div_ceil(16), depth);
        let size = input.kind.size();
        let mut input_grid = grid(input)?;
        input_grid.image = number(product.input_steps[0] * size)?;
        input_grid.row = number(product.input_steps[1] * size)?;
        input_grid.column = number(product.input_steps[2] * size)?;
        let first = number(product.first_output * output.kind.size())?;
        let mut output_grid = grid(&product.output_view)?;
        output_grid.start += first;
        let mut step = Conv {
            arithmetic,
            extent: extent(&product.output_view)?,
            channels: number(product.outputs)?,
            input: input.span()?,
            input_grid,
            taps,
            weights,
            matrix,
            matrix_image: number(matrix_image)?,
            bias: tables.0,
            scale: tables.1,
            offset,
            row_scales: number(product.row_scales)?,
            epilogue: tail.epilogue,
            output: output.span()?,
            output_grid,
            halo: product.halo,
            tile_pixels: number(tile_pixels)?,
            tile_blocks: number(tile_blocks)?,
            ..Conv::default()
        };
        // Repeated pixels of an extent of 1 need no step.
        for (count, step) in [
            (step.extent.images, &mut step.output_grid.image),
            (step.extent.rows, &mut step.output_grid.row),
            (step.extent.columns, &mut step.output_grid.column),
        ] {
            if count == 1 {
                *step = 0;
            }
        }
        if let Some((other, residual)) = &tail.residual {
            let view = tail.view(other)?;
            step.residual = *residual;
            step.residual.other = other.span()?;
            step.residual.grid = grid(&view)?;
            step.residual.grid.start += first;
        }
        self.step(step);
        Ok(())
    }

    /// `[..., M, K] x [K, N]` with constant weights, or a computed matrix.
    pub(super) fn matmul(&mut self, node: &Node) -> Result<()> {
        let (a, b) = (self.input_id(node, 0)?, self.input_id(node, 1)?);
        let (a_dims, b_dims) = (self.shape(a)?, self.shape(b)?);
        if a_dims.len() < 2 || b_dims.len() < 2 {
            return self.matmul_by_parts(node);
        }
        if let (Some(weights), 2) = (self.graph.constant(b), b_dims.len()) {
            let weights = weights.clone();
            return self.dense(node, &weights, None, 1);
        }
        let images = |dims: &[usize]| dims[..dims.len() - 2].to_vec();
        if images(&a_dims).iter().product::<usize>() != images(&b_dims).iter().product::<usize>()
            || images(&self.shape(self.output_id(node)?)?)
                .iter()
                .product::<usize>()
                != images(&a_dims).iter().product::<usize>()
        {
            return self.matmul_by_parts(node);
        }
        self.matrices(node)
    }

    pub(super) fn gemm(&mut self, node: &Node, factors: [f32; 2], transposed: [bool; 2]) -> Result<()> {
        let known = |n: usize| match node.inputs.get(n).copied().flatten() {
            Some(id) => self.graph.constant(id).is_some(),
            None => true,
        };
        let (x, y) = (self.input_id(node, 0)?, self.output_id(node)?);
        let real = self.kind(x)? == Kind::F32 && self.kind(y)? == Kind::F32;
        let bias = node.inputs.get(2).copied().flatten();
        let rows = bias
            .map(|id| self.shape(id))
            .transpose()?
            .is_some_and(|shape| shape.len() == 2 && shape[0] != 1);
        if real && (!known(1) || !known(2) || transposed[0] || rows) {
            return self.gemm_computed(node, factors, transposed);
        }
        let weights = self
            .constant(node, 1)?
            .ok_or_else(|| unsupported("a constant matrix", "none"))?;
        let bias = self.constant(node, 2)?;
        if transposed[0] {
            return Err(unsupported("an input that is not transposed", "a transposed one"));
        }
        let scaled = |tensor: &Tensor, factor: f32| -> Result<Tensor> {
            if factor == 1.0 {
                return Ok(tensor.clone());
            }
            if tensor.quantization.is_some() || tensor.dtype() != Dtype::F32 {
                return Err(unsupported("a factor of 1 for integers", factor));
            }
            let elements: Vec<f32> = tensor.elements::<f32>()?.iter().map(|x| x * factor).collect();
            Tensor::new(tensor.shape(), elements)
        };
        let weights = scaled(weights, factors[0])?;
        let bias = bias.map(|bias| scaled(bias, factors[1])).transpose()?;
        if bias.as_ref().is_some_and(|b| b.rank() == 2 && b.shape()[0] != 1) {
            return Err(unsupported("one bias for all rows", "a bias for each row"));
        }
        self.dense(node, &weights, bias.as_ref(), usize::from(!transposed[1]))
    }

    /// A product of rows with constant weights, `outputs` being the weights' axis of outputs.
    fn dense(&mut self, node: &Node, weights: &Tensor, bias: Option<&Tensor>, outputs: usize) -> Result<()> {
        let input = self.operand(node, 0)?;
        let mut value = self.output_id(node)?;
        let joined = if bias.is_none() && input.kind == Kind::F32 {
            self.bias_behind(value)?
        } else {
            None
        };
        let bias = match &joined {
            Some((bias, next)) => {
                value = *next;
                Some(bias)
            }
            None => bias,
        };
        let depth = weights.shape()[1 - outputs];
        if self.is_fixed(input.kind, value)? {
            let kind = input.kind;
            let input = self.rows(input, depth)?;
            let sums = self.row_major(Kind::F32, &self.shape(value)?);
            let tail = Tail::unlimited(value, Kind::F32, View::Matrix);
            let factors = self.factors(kind, weights, value, false)?;
            let make = |lowering: &mut Self, numbers: &Numbers, placed: &Placed| {
                lowering.dense_to(&input, depth, numbers, &tail, placed)
            };
            let sums = self.fixed_sums(kind, weights, outputs, sums, make)?;
            return self.rescale(&sums, value, &factors, bias);
        }
        let kind = self.kind(value)?;
        let numbers = Numbers::new(input.kind, kind, weights, bias, outputs)?;
        let input = self.rows(input, depth)?;
        let tail = self.follow(value, Some(View::Matrix))?;
        let placed = self.row_major(self.kind(tail.value)?, &self.shape(tail.value)?);
        self.dense_to(&input, depth, &numbers, &tail, &placed)?;
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    /// The step of a product of rows with constant weights.
    fn dense_to(
        &mut self,
        input: &Placed,
        depth: usize,
        numbers: &Numbers,
        tail: &Tail,
        placed: &Placed,
    ) -> Result<()> {
        let output_view = matrix(placed)?;
        let product = Product {
            input_steps: [input.strides[0], 0, input.strides[2]],
            input: input.clone(),
            kernel: [1, 1, depth],
            taps: one_tap,
            pixel: depth,
            whole: true,
            first_output: 0,
            outputs: output_view.dims[3],
            source: Source::Constant(numbers),
            row_scales: 0,
            output: placed,
            output_view,
            halo: Halo::default(),
        };
        self.product(tail, product)
    }

    /// Rows of a matrix as `[images, 1, rows, depth]`, their elements next to each other and readable in fours.
    pub(super) fn rows(&mut self, input: Placed, depth: usize) -> Result<Placed> {
        let rows = input.dims[..input.dims.len() - 1].iter().product::<usize>();
        let images: usize = input.dims[..input.dims.len() - 2].iter().product();
        let flat = [images, 1, rows / images.max(1), depth];
        let dense = |placed: &Placed| placed.strides[3] == 1 || depth == 1;
        if let Some(view) = input.reshape(&flat).filter(dense) {
            return Ok(view);
        }
        let to = self.row_major(input.kind, &input.dims);
        self.copy(&input, &to, 0)?;
        to.reshape(&flat).ok_or_else(|| unsupported("rows", "none"))
    }

    /// A constant vector that the only reader adds to each row, and what it makes.
    fn bias_behind(&mut self, value: ValueId) -> Result<Option<(Tensor, ValueId)>> {
        let Some(n) = self.only_reader(value) else {
            return Ok(None);
        };
        let node = &self.graph.nodes[n];
        if node.op != Op::Binary(limbic_graph::op::Binary::Add) || self.kind(value)? != Kind::F32 {
            return Ok(None);
        }
        let Some(next) = node.outputs.first().copied().flatten() else {
            return Ok(None);
        };
        let dims = self.shape(value)?;
        let others = node.inputs.iter().flatten().filter(|&&id| id != value);
        for &id in others {
            let Some(tensor) = self.graph.constant(id) else {
                continue;
            };
            let row =
                tensor.shape().last().copied() == dims.last().copied() && Some(&tensor.len()) == dims.last();
            if row && tensor.dtype() == Dtype::F32 && self.shape(next)? == dims {
                self.fused[n] = true;
                return Ok(Some((tensor.reshaped(&[tensor.len()])?, next)));
            }
        }
        Ok(None)
    }

    /// Products of computed matrices, `[..., M, K] x [..., K, N]`.
    fn matrices(&mut self, node: &Node) -> Result<()> {
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let value = self.output_id(node)?;
        if (a.kind, b.kind, self.kind(value)?) != (Kind::F32, Kind::F32, Kind::F32) {
            return Err(unsupported(
                "f32 matrices",
                format!("{:?} and {:?}", a.kind, b.kind),
            ));
        }
        let tail = self.follow(value, Some(View::Matrix))?;
        let dims = self.shape(tail.value)?;
        let placed = self.row_major(Kind::F32, &dims);
        self.matrices_to(a, b, &tail, &placed)?;
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    /// The product of as many matrices on both sides, in a place of its own.
    pub(super) fn matrix_product(&mut self, a: Placed, b: Placed) -> Result<Placed> {
        let (&[.., rows, _], &[.., columns]) = (&a.dims[..], &b.dims[..]) else {
            return Err(unsupported("matrices", format!("{:?} and {:?}", a.dims, b.dims)));
        };
        let mut dims = a.dims[..a.dims.len() - 2].to_vec();
        dims.extend([rows, columns]);
        let placed = self.row_major(Kind::F32, &dims);
        let value = limbic_graph::ValueId(0);
        let tail = Tail::unlimited(value, Kind::F32, View::Matrix);
        self.matrices_to(a, b, &tail, &placed)?;
        Ok(placed)
    }

    fn matrices_to(&mut self, a: Placed, b: Placed, tail: &Tail, placed: &Placed) -> Result<()> {
        let images = a.dims[..a.dims.len() - 2].iter().product::<usize>();
        let depth = a.dims[a.dims.len() - 1];
        let columns = b.dims[b.dims.len() - 1];
        let b = self.reshaped(b, &[images, depth, columns])?;
        let (packed, each) = self.packed(&b)?;
        let input = self.rows(a, depth)?;
        let output_view = matrix(placed)?;
        let product = Product {
            input_steps: [input.strides[0], 0, input.strides[2]],
            input,
            kernel: [1, 1, depth],
            taps: one_tap,
            pixel: depth,
            whole: true,
            first_output: 0,
            outputs: columns,
            source: Source::Packed(packed, each),
            row_scales: 0,
            output: placed,
            output_view,
            halo: Halo::default(),
        };
        self.product(tail, product)
    }
}

/// One run of taps.
pub(super) fn one_tap(groups: usize) -> Result<Taps> {
    Ok(Taps {
        rows: 1,
        row_step: 0,
        columns: 1,
        column_step: 0,
        groups: number(groups)?,
    })
}
