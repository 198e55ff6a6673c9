//! Products whose weights a run makes.

use limbic_engine::Span;
use limbic_engine::plan::Dtype as PlanDtype;
use limbic_engine::step::{Function, Pack, Pair, Reduction, Relation};
use limbic_graph::op::Convolution;
use limbic_graph::{Dtype, Node, Result, ValueId};

use super::arrange::repeated;
use super::compose::joint;
use super::product::Source;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::number;

impl Lowering<'_> {
    /// Packs matrices `[images, depth, columns]` of `f32`; the span, and the bytes of one.
    pub(super) fn packed(&mut self, matrices: &Placed) -> Result<(Span, usize)> {
        let [images, depth, columns] = matrices.dims[..] else {
            return Err(unsupported("matrices", format!("{:?}", matrices.dims)));
        };
        let each = depth * columns.div_ceil(16) * 64;
        let packed = self.row_major(Kind::Plain(1), &[images * each]);
        let output = Self::exact(&packed)?;
        let mut strides = [0; 6];
        for (to, from) in strides.iter_mut().zip(&matrices.strides) {
            *to = number(*from)?;
        }
        self.step(Pack {
            images: number(images)?,
            depth: number(depth)?,
            columns: number(columns)?,
            input: matrices.strided(strides)?,
            output,
        });
        Ok((output, each))
    }

    /// The weights of a convolution, `[rows, columns, channels, outputs]`, as one packed matrix.
    pub(super) fn packed_kernel(&mut self, kernel: &Placed) -> Result<Source<'static>> {
        let [rows, columns, channels, outputs] = kernel.dims[..] else {
            return Err(unsupported("a kernel", format!("{:?}", kernel.dims)));
        };
        let matrix = self.reshaped(kernel.clone(), &[1, rows * columns * channels, outputs])?;
        let (span, _) = self.packed(&matrix)?;
        // All images meet the same one.
        Ok(Source::Packed(span, 0))
    }

    /// Adds a bias for each channel, and stores the value.
    pub(super) fn add_channels(
        &mut self,
        placed: Placed,
        node: &Node,
        n: usize,
        value: ValueId,
    ) -> Result<()> {
        if node.inputs.get(n).copied().flatten().is_none() {
            self.placed[value.0] = Some(placed);
            return Ok(());
        }
        let bias = self.real(node, n)?;
        let mut along = vec![1; placed.dims.len() - 1];
        along[0] = bias.count();
        let bias = self.reshaped(bias, &along)?;
        let sum = self.pairwise(Pair::Add, &placed, &bias)?;
        self.placed[value.0] = Some(sum);
        Ok(())
    }

    /// `alpha A B + beta C` of `f32` matrices that a run makes.
    pub(super) fn gemm_computed(
        &mut self,
        node: &Node,
        factors: [f32; 2],
        transposed: [bool; 2],
    ) -> Result<()> {
        let output = self.output_id(node)?;
        let mut operands = [self.real(node, 0)?, self.real(node, 1)?];
        for (operand, transposed) in operands.iter_mut().zip(transposed) {
            if transposed {
                *operand = operand.transpose(&[1, 0]);
            }
        }
        let [a, b] = operands;
        let mut y = self.matrix_product(a, b)?;
        if factors[0] != 1.0 {
            let factor = self.scalar(factors[0])?;
            y = self.pairwise(Pair::Mul, &y, &factor)?;
        }
        if node.inputs.get(2).copied().flatten().is_some() {
            let mut bias = self.real(node, 2)?;
            if factors[1] != 1.0 {
                let factor = self.scalar(factors[1])?;
                bias = self.pairwise(Pair::Mul, &bias, &factor)?;
            }
            y = self.pairwise(Pair::Add, &y, &bias)?;
        }
        self.finish(y, output)
    }

    /// A product of `f32` as NumPy has it: vectors become matrices, and matrices are repeated.
    pub(super) fn matmul_by_parts(&mut self, node: &Node) -> Result<()> {
        let output = self.output_id(node)?;
        for id in node.inputs.iter().flatten().chain([&output]) {
            let kind = self.kind(*id)?;
            if kind != Kind::F32 {
                return Err(unsupported("f32 matrices", format!("{kind:?}")));
            }
        }
        let (mut a, mut b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        if a.dims.len() == 1 {
            a = self.reshaped(a.clone(), &[1, a.count()])?;
        }
        if b.dims.len() == 1 {
            b = self.reshaped(b.clone(), &[b.count(), 1])?;
        }
        let y = self.spread_product(a, b)?;
        self.finish(y, output)
    }

    /// The product of matrices of `f32` that are repeated where there are less on one side.
    fn spread_product(&mut self, a: Placed, b: Placed) -> Result<Placed> {
        let outer = |m: &Placed| m.dims[..m.dims.len() - 2].to_vec();
        if a.dims.len() < 2 || b.dims.len() < 2 {
            return Err(unsupported("matrices", format!("{:?} and {:?}", a.dims, b.dims)));
        }
        let shared = joint(&outer(&a), &outer(&b));
        let spread = |m: &Placed| {
            let inner = &m.dims[m.dims.len() - 2..];
            repeated(m, &[&shared[..], inner].concat())
        };
        self.matrix_product(spread(&a), spread(&b))
    }

    /// The integers of an input less their zero point, as `f32`; a zero point lies along an axis.
    fn centred(&mut self, node: &Node, [n, zero]: [usize; 2], axis: i64) -> Result<Placed> {
        let x = self.any_real(node, n)?;
        if node.inputs.get(zero).copied().flatten().is_none() {
            return Ok(x);
        }
        let zero = self.any_real(node, zero)?;
        let zero = self.along(zero, x.dims.len(), axis, 0)?;
        self.pairwise(Pair::Sub, &x, &zero)
    }

    /// Refuses sums of products of 8-bit integers that `f32` might not hold exactly.
    fn exact_sums(&self, node: &Node, inputs: [usize; 2], depth: usize) -> Result<()> {
        for n in inputs {
            let dtype = self.graph.value(self.input_id(node, n)?).ty.dtype;
            if !matches!(dtype, Dtype::I8 | Dtype::U8) {
                return Err(unsupported("integers of 8 bits", dtype));
            }
        }
        if depth * 255 * 255 >= 1 << 24 {
            return Err(unsupported("sums of at most 258 products", depth));
        }
        Ok(())
    }

    /// Products of integers whose zero points are inputs, to `i32`.
    pub(super) fn matmul_integer(&mut self, node: &Node) -> Result<()> {
        let output = self.output_id(node)?;
        let sums = self.integer_product(node, [[0, 2], [1, 3]])?;
        let placed = self.cast_to(&sums, Dtype::F32, Dtype::I32)?;
        let dims = self.shape(output)?;
        let placed = self.reshaped(placed, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// The sums of products of two inputs, each with its zero point.
    fn integer_product(&mut self, node: &Node, inputs: [[usize; 2]; 2]) -> Result<Placed> {
        let [a, b] = inputs;
        let depth = self
            .shape(self.input_id(node, a[0])?)?
            .last()
            .copied()
            .unwrap_or(1);
        self.exact_sums(node, [a[0], b[0]], depth)?;
        let (a, b) = (self.centred(node, a, -2)?, self.centred(node, b, -1)?);
        self.spread_product(a, b)
    }

    /// As [`Op::QLinearMatMul`] has it.
    pub(super) fn matmul_quantized(&mut self, node: &Node) -> Result<()> {
        let output = self.output_id(node)?;
        let to = self.graph.value(output).ty.dtype;
        let Some((low, high)) = to.bounds().filter(|_| matches!(to, Dtype::I8 | Dtype::U8)) else {
            return Err(unsupported("an output of 8 bits", to));
        };
        let sums = self.integer_product(node, [[0, 2], [3, 5]])?;
        let mut factor = self.real(node, 1)?;
        factor = self.along(factor, sums.dims.len(), -2, 0)?;
        let mut other = self.real(node, 4)?;
        other = self.along(other, sums.dims.len(), -1, 0)?;
        factor = self.pairwise(Pair::Mul, &factor, &other)?;
        let scale = self.real(node, 6)?;
        let scale = self.reshaped(scale, &[])?;
        factor = self.pairwise(Pair::Div, &factor, &scale)?;
        let mut q = self.pairwise(Pair::Mul, &sums, &factor)?;
        q = self.each(Function::Round, &q)?;
        let zero = self.any_real(node, 7)?;
        let zero = self.reshaped(zero, &[])?;
        q = self.pairwise(Pair::Add, &q, &zero)?;
        for (pair, limit) in [(Pair::Max, low), (Pair::Min, high)] {
            let limit = self.scalar(limit as f32)?;
            q = self.pairwise(pair, &q, &limit)?;
        }
        let placed = self.cast_to(&q, Dtype::F32, to)?;
        let dims = self.shape(output)?;
        let placed = self.reshaped(placed, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// A convolution of integers whose zero points are inputs, to `i32`.
    pub(super) fn convolution_integer(&mut self, node: &Node, c: &Convolution) -> Result<()> {
        let output = self.output_id(node)?;
        let kernel = self.shape(self.input_id(node, 1)?)?;
        self.exact_sums(node, [0, 1], kernel[1..].iter().product())?;
        let x = self.centred(node, [0, 2], 0)?;
        let w = self.centred(node, [1, 3], 0)?;
        let sums = self.convolved(node, c, x, w)?;
        let placed = self.cast_to(&sums, Dtype::F32, Dtype::I32)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// `u8` with a scale and zero point of the tensor's own range, and these.
    pub(super) fn dynamic_quantize(&mut self, node: &Node) -> Result<()> {
        let x = self.real(node, 0)?;
        let all: Vec<usize> = (0..x.dims.len()).collect();
        let (zero, levels, one) = (self.scalar(0.0)?, self.scalar(255.0)?, self.scalar(1.0)?);
        let limit = |lowering: &mut Self, reduction, pair| -> Result<Placed> {
            let found = lowering.reduced(reduction, &x, &all)?;
            let found = lowering.reshaped(found, &[])?;
            lowering.pairwise(pair, &found, &zero)
        };
        let least = limit(self, Reduction::Min, Pair::Min)?;
        let greatest = limit(self, Reduction::Max, Pair::Max)?;
        let range = self.pairwise(Pair::Sub, &greatest, &least)?;
        let step = self.pairwise(Pair::Div, &range, &levels)?;
        // Where all elements are 0 any scale stands for them.
        let wide = self.compared(Relation::Greater, PlanDtype::F32, &greatest, &least)?;
        let scale = self.select(&wide, &step, &one, &[])?;
        let mut zero_point = self.each(Function::Neg, &least)?;
        zero_point = self.pairwise(Pair::Div, &zero_point, &scale)?;
        zero_point = self.pairwise(Pair::Min, &zero_point, &levels)?;
        zero_point = self.each(Function::Round, &zero_point)?;
        let mut q = self.pairwise(Pair::Div, &x, &scale)?;
        q = self.each(Function::Round, &q)?;
        q = self.pairwise(Pair::Add, &q, &zero_point)?;
        q = self.pairwise(Pair::Max, &q, &zero)?;
        q = self.pairwise(Pair::Min, &q, &levels)?;
        let q = self.cast_to(&q, Dtype::F32, Dtype::U8)?;
        let zero_point = self.cast_to(&zero_point, Dtype::F32, Dtype::U8)?;
        for (id, placed) in node.outputs.iter().zip([q, scale, zero_point]) {
            if let Some(id) = *id {
                self.placed[id.0] = Some(placed);
            }
        }
        Ok(())
    }
}
