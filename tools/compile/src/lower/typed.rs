//! Arithmetic on integers and truth values, comparisons, choices and changes of type.

use limbic_engine::plan::Dtype;
use limbic_engine::step::{Calculate, Cast, Compare, Function, IntegerPair, Pair, Relation, Select};
use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::op::{Binary, Compare as Comparison, Logic, Unary, Variadic};
use limbic_graph::{Node, Op, Result, Rounding, Tensor, TensorType, ValueId};

use super::compose::joint;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::{broadcast, loops, number};
use crate::write::port_dtype;

/// The kernel's function of two integers.
fn integer_pair(function: Binary) -> Result<IntegerPair> {
    Ok(match function {
        Binary::Add => IntegerPair::Add,
        Binary::Sub => IntegerPair::Sub,
        Binary::Mul => IntegerPair::Mul,
        Binary::Div => IntegerPair::Div,
        Binary::FloorDiv => IntegerPair::FloorDiv,
        Binary::Pow => IntegerPair::Pow,
        Binary::Mod { fmod: true } => IntegerPair::Remainder,
        Binary::Mod { fmod: false } => IntegerPair::Modulo,
        Binary::Min => IntegerPair::Min,
        Binary::Max => IntegerPair::Max,
        Binary::BitwiseAnd => IntegerPair::And,
        Binary::BitwiseOr => IntegerPair::Or,
        Binary::BitwiseXor => IntegerPair::Xor,
        Binary::ShiftLeft => IntegerPair::ShiftLeft,
        Binary::ShiftRight => IntegerPair::ShiftRight,
        other => {
            return Err(unsupported(
                "a function of integers with a kernel",
                format!("{other:?}"),
            ));
        }
    })
}

fn relation(function: Comparison) -> Relation {
    match function {
        Comparison::Equal => Relation::Equal,
        Comparison::NotEqual => Relation::NotEqual,
        Comparison::Less => Relation::Less,
        Comparison::LessOrEqual => Relation::LessOrEqual,
        Comparison::Greater => Relation::Greater,
        Comparison::GreaterOrEqual => Relation::GreaterOrEqual,
    }
}

impl Lowering<'_> {
    /// The type of a value that is neither `f32` nor stands for real numbers, if a plan has it.
    pub(super) fn plain(&self, id: ValueId) -> Option<Dtype> {
        let ty = &self.graph.value(id).ty;
        let plain = ty.quantization.is_none() && ty.dtype != limbic_graph::Dtype::F32;
        plain.then(|| port_dtype(ty.dtype)).flatten()
    }

    /// The type of an input that is neither `f32` nor stands for real numbers.
    pub(super) fn plain_input(&self, node: &Node, n: usize) -> Option<Dtype> {
        node.inputs
            .get(n)
            .copied()
            .flatten()
            .and_then(|id| self.plain(id))
    }

    /// A constant of a value's type.
    fn constant_like(&mut self, like: ValueId, x: i64) -> Result<Placed> {
        let to = self.graph.value(like).ty.dtype;
        let made = evaluate(Call {
            op: &Op::Cast { to, saturate: true },
            inputs: &[Some(&Tensor::scalar(x))],
            outputs: &[Some(&TensorType::new(to, &[]))],
            rounding: Rounding::default(),
        })?;
        let made = made.first().ok_or_else(|| unsupported("a constant", "none"))?;
        self.load(made)
    }

    fn calculate(&mut self, function: IntegerPair, dtype: Dtype, a: &Placed, b: &Placed) -> Result<Placed> {
        let dims = joint(&a.dims, &b.dims);
        let placed = self.row_major(Kind::Plain(dtype.size()), &dims);
        let found = placed.pairs(a, b)?;
        let [at, bt, to] = found.strides;
        self.step(Calculate {
            function,
            dtype,
            dims: found.dims,
            a: a.strided(at)?,
            b: b.strided(bt)?,
            output: placed.strided(to)?,
        });
        Ok(placed)
    }

    pub(super) fn compared(
        &mut self,
        relation: Relation,
        dtype: Dtype,
        a: &Placed,
        b: &Placed,
    ) -> Result<Placed> {
        let dims = joint(&a.dims, &b.dims);
        let placed = self.row_major(Kind::Plain(1), &dims);
        let found = placed.pairs(a, b)?;
        let [at, bt, to] = found.strides;
        self.step(Compare {
            relation,
            dtype,
            dims: found.dims,
            a: a.strided(at)?,
            b: b.strided(bt)?,
            output: placed.strided(to)?,
        });
        Ok(placed)
    }

    /// The bits of an input under another type of the same size.
    pub(super) fn bit_cast(&mut self, node: &Node) -> Result<()> {
        let output = self.output_id(node)?;
        let (input, kind) = (self.operand(node, 0)?, self.kind(output)?);
        if kind.size() != input.kind.size() || matches!(input.kind, Kind::U8(_)) {
            return Err(unsupported(
                "a type of the same size",
                format!("{:?} to {kind:?}", input.kind),
            ));
        }
        self.placed[output.0] = Some(Placed { kind, ..input });
        Ok(())
    }

    pub(super) fn binary_integers(&mut self, node: &Node, function: Binary, dtype: Dtype) -> Result<()> {
        let output = self.output_id(node)?;
        if self.plain_input(node, 1) != Some(dtype) {
            return Err(unsupported("operands of one type", "two types"));
        }
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let placed = self.calculate(integer_pair(function)?, dtype, &a, &b)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn variadic_integers(&mut self, node: &Node, function: Variadic, dtype: Dtype) -> Result<()> {
        let output = self.output_id(node)?;
        let pair = match function {
            Variadic::Sum => IntegerPair::Add,
            Variadic::Min => IntegerPair::Min,
            Variadic::Max => IntegerPair::Max,
            Variadic::Mean => return Err(unsupported("a mean of real numbers", "of integers")),
        };
        let mut total = self.operand(node, 0)?;
        for n in 1..node.inputs.len() {
            let next = self.operand(node, n)?;
            total = self.calculate(pair, dtype, &total, &next)?;
        }
        self.placed[output.0] = Some(total);
        Ok(())
    }

    pub(super) fn logic(&mut self, node: &Node, function: Logic) -> Result<()> {
        let output = self.output_id(node)?;
        let pair = match function {
            Logic::And => IntegerPair::And,
            Logic::Or => IntegerPair::Or,
            Logic::Xor => IntegerPair::Xor,
        };
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        let placed = self.calculate(pair, Dtype::Bool, &a, &b)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// A function of integers or truth values, or one of `f32` to truth values.
    pub(super) fn unary_plain(&mut self, node: &Node, function: Unary) -> Result<()> {
        let (id, output) = (self.input_id(node, 0)?, self.output_id(node)?);
        let x = self.operand(node, 0)?;
        let Some(dtype) = self.plain(id) else {
            let placed = self.flags(function, &x)?;
            self.placed[output.0] = Some(placed);
            return Ok(());
        };
        let mut with = |pair: IntegerPair, number: i64, x: &Placed| -> Result<Placed> {
            let constant = self.constant_like(id, number)?;
            self.calculate(pair, dtype, x, &constant)
        };
        let placed = match function {
            Unary::Ceil | Unary::Floor | Unary::Round => x,
            Unary::Neg => with(IntegerPair::Mul, -1, &x)?,
            Unary::Abs => {
                let negative = with(IntegerPair::Mul, -1, &x)?;
                match dtype {
                    Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::Bool => x,
                    _ => self.calculate(IntegerPair::Max, dtype, &x, &negative)?,
                }
            }
            Unary::Sign => {
                let below = with(IntegerPair::Min, 1, &x)?;
                match dtype {
                    Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::Bool => below,
                    _ => with(IntegerPair::Max, -1, &below)?,
                }
            }
            Unary::Relu => with(IntegerPair::Max, 0, &x)?,
            Unary::Relu6 => {
                let below = with(IntegerPair::Min, 6, &x)?;
                with(IntegerPair::Max, 0, &below)?
            }
            Unary::Not => with(IntegerPair::Xor, 1, &x)?,
            Unary::BitwiseNot => with(IntegerPair::Xor, -1, &x)?,
            other => {
                return Err(unsupported(
                    "a function of integers with a kernel",
                    format!("{other:?}"),
                ));
            }
        };
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// Whether numbers are NaN or infinite.
    fn flags(&mut self, function: Unary, x: &Placed) -> Result<Placed> {
        match (function, x.kind) {
            (Unary::IsNan, Kind::F32) => self.compared(Relation::NotEqual, Dtype::F32, x, x),
            (Unary::IsInf { positive, negative }, Kind::F32) if positive || negative => {
                let size = if positive && negative {
                    self.each(Function::Abs, x)?
                } else {
                    x.clone()
                };
                let infinite = self.scalar(if positive {
                    f32::INFINITY
                } else {
                    f32::NEG_INFINITY
                })?;
                self.compared(Relation::Equal, Dtype::F32, &size, &infinite)
            }
            (other, kind) => Err(unsupported(
                "a function with a kernel",
                format!("{other:?} of {kind:?}"),
            )),
        }
    }

    /// Limits that are computed, or of integers.
    pub(super) fn clip_by_parts(&mut self, node: &Node) -> Result<()> {
        let (id, output) = (self.input_id(node, 0)?, self.output_id(node)?);
        let given = |n: usize| node.inputs.get(n).copied().flatten().is_some();
        if let Some(dtype) = self.plain(id) {
            let mut x = self.operand(node, 0)?;
            for (n, pair) in [(1, IntegerPair::Max), (2, IntegerPair::Min)] {
                if given(n) {
                    let limit = self.operand(node, n)?;
                    x = self.calculate(pair, dtype, &x, &limit)?;
                }
            }
            self.placed[output.0] = Some(x);
            return Ok(());
        }
        let mut x = self.real(node, 0)?;
        for (n, pair) in [(1, Pair::Max), (2, Pair::Min)] {
            if given(n) {
                let limit = self.real(node, n)?;
                x = self.pairwise(pair, &x, &limit)?;
            }
        }
        self.finish(x, output)
    }

    pub(super) fn compare(&mut self, node: &Node, function: Comparison) -> Result<()> {
        let output = self.output_id(node)?;
        let dtype = self.plain_input(node, 0);
        let (a, b, dtype) = match dtype {
            Some(dtype) => (self.operand(node, 0)?, self.operand(node, 1)?, dtype),
            None => (self.real(node, 0)?, self.real(node, 1)?, Dtype::F32),
        };
        let placed = self.compared(relation(function), dtype, &a, &b)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn choose(&mut self, node: &Node) -> Result<()> {
        let output = self.output_id(node)?;
        let (dims, kind) = (self.shape(output)?, self.kind(output)?);
        let condition = self.operand(node, 0)?;
        let [a, b] = [self.operand(node, 1)?, self.operand(node, 2)?];
        let [a, b] = [self.as_kind(a, kind)?, self.as_kind(b, kind)?];
        let placed = self.select(&condition, &a, &b, &dims)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// In a type, in a place of its own where it is another.
    pub(super) fn as_kind(&mut self, placed: Placed, kind: Kind) -> Result<Placed> {
        if placed.kind == kind {
            return Ok(placed);
        }
        let to = self.row_major(kind, &placed.dims);
        self.convert(&placed, &to)?;
        Ok(to)
    }

    pub(super) fn select(
        &mut self,
        condition: &Placed,
        a: &Placed,
        b: &Placed,
        dims: &[usize],
    ) -> Result<Placed> {
        let placed = self.row_major(a.kind, dims);
        let strides = [
            broadcast(&condition.dims, &condition.strides, dims),
            broadcast(&a.dims, &a.strides, dims),
            broadcast(&b.dims, &b.strides, dims),
            placed.strides.clone(),
        ];
        let found = loops(dims, strides.each_ref().map(Vec::as_slice))?;
        let [ct, at, bt, to] = found.strides;
        self.step(Select {
            size: number(a.kind.size())?,
            dims: found.dims,
            condition: condition.strided(ct)?,
            a: a.strided(at)?,
            b: b.strided(bt)?,
            output: placed.strided(to)?,
        });
        Ok(placed)
    }

    /// To another type of elements.
    pub(super) fn cast(&mut self, node: &Node) -> Result<()> {
        let (id, output) = (self.input_id(node, 0)?, self.output_id(node)?);
        let (from, to) = (self.graph.value(id).ty.dtype, self.graph.value(output).ty.dtype);
        let input = self.operand(node, 0)?;
        if from == to {
            self.placed[output.0] = Some(input);
            return Ok(());
        }
        let placed = self.cast_to(&input, from, to)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn cast_to(
        &mut self,
        input: &Placed,
        from: limbic_graph::Dtype,
        to: limbic_graph::Dtype,
    ) -> Result<Placed> {
        if matches!(input.kind, Kind::U8(_)) {
            return Err(unsupported(
                "elements that stand for themselves",
                "quantized ones",
            ));
        }
        let known = |dtype| port_dtype(dtype).ok_or_else(|| unsupported("a type of the engine", dtype));
        let (from, to) = (known(from)?, known(to)?);
        let kind = match to {
            Dtype::F32 => Kind::F32,
            other => Kind::Plain(other.size()),
        };
        let placed = self.row_major(kind, &input.dims);
        let found = loops(&input.dims, [&input.strides, &placed.strides])?;
        self.step(Cast {
            from,
            to,
            dims: found.dims,
            input: input.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
        });
        Ok(placed)
    }

    /// Real numbers of an input that is quantized, `f32` or of plain integers.
    pub(super) fn any_real(&mut self, node: &Node, n: usize) -> Result<Placed> {
        let id = self.input_id(node, n)?;
        if self.plain(id).is_none() {
            return self.real(node, n);
        }
        let placed = self.operand(node, n)?;
        self.cast_to(&placed, self.graph.value(id).ty.dtype, limbic_graph::Dtype::F32)
    }

    /// Scales or zero points along the axis that they are for.
    pub(super) fn along(&mut self, placed: Placed, rank: usize, axis: i64, block: usize) -> Result<Placed> {
        if block != 0 {
            return Err(unsupported("a scale for a tensor or an axis", "blocks"));
        }
        let count = placed.count();
        let mut dims = vec![1; if count == 1 { 0 } else { rank }];
        if count > 1 {
            dims[super::movement::axis_of(axis, rank)?] = count;
        }
        self.reshaped(placed, &dims)
    }

    /// `clamp(round(x / scale) + zero_point)`, scale and zero point being inputs.
    pub(super) fn quantize_linear(&mut self, node: &Node, axis: i64, block: usize) -> Result<()> {
        let (id, output) = (self.input_id(node, 0)?, self.output_id(node)?);
        let to = self.graph.value(output).ty.dtype;
        let Some((low, high)) = to.bounds().filter(|&(low, high)| high - low < 1 << 24) else {
            return Err(unsupported("integers of 8 or 16 bits", to));
        };
        if self.graph.value(id).ty.dtype != limbic_graph::Dtype::F32 {
            return Err(unsupported("an input of f32", self.graph.value(id).ty.dtype));
        }
        let x = self.real(node, 0)?;
        let scale = self.real(node, 1)?;
        let scale = self.along(scale, x.dims.len(), axis, block)?;
        let quotient = self.pairwise(Pair::Div, &x, &scale)?;
        let mut q = self.each(Function::Round, &quotient)?;
        if node.inputs.get(2).copied().flatten().is_some() {
            let zero = self.any_real(node, 2)?;
            let zero = self.along(zero, x.dims.len(), axis, block)?;
            q = self.pairwise(Pair::Add, &q, &zero)?;
        }
        let low = self.scalar(low as f32)?;
        let high = self.scalar(high as f32)?;
        q = self.pairwise(Pair::Max, &q, &low)?;
        q = self.pairwise(Pair::Min, &q, &high)?;
        let placed = self.cast_to(&q, limbic_graph::Dtype::F32, to)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// `(x - zero_point) * scale`, scale and zero point being inputs.
    pub(super) fn dequantize_linear(&mut self, node: &Node, axis: i64, block: usize) -> Result<()> {
        let (id, output) = (self.input_id(node, 0)?, self.output_id(node)?);
        let ty = self.graph.value(output).ty.dtype;
        if ty != limbic_graph::Dtype::F32 {
            return Err(unsupported("an output of f32", ty));
        }
        let exact = self
            .graph
            .value(id)
            .ty
            .dtype
            .bounds()
            .is_some_and(|(low, high)| high - low < 1 << 24);
        let has_zero = node.inputs.get(2).copied().flatten().is_some();
        if has_zero && !exact {
            return Err(unsupported(
                "integers of 8 or 16 bits",
                self.graph.value(id).ty.dtype,
            ));
        }
        let mut x = self.any_real(node, 0)?;
        let rank = x.dims.len();
        if has_zero {
            let zero = self.any_real(node, 2)?;
            let zero = self.along(zero, rank, axis, block)?;
            x = self.pairwise(Pair::Sub, &x, &zero)?;
        }
        let scale = self.real(node, 1)?;
        let scale = self.along(scale, rank, axis, block)?;
        let y = self.pairwise(Pair::Mul, &x, &scale)?;
        self.finish(y, output)
    }
}
