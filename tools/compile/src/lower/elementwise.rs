//! Functions of one or two elements, and changes of type.

use limbic_engine::step::{self, Affine, BinaryU8, Dequantize, Function, Load, Pair, Quantize, Step, Table};
use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::op::{Binary, Unary};
use limbic_graph::{Dtype, Node, Op, Quantization, Result, Rounding, Storage, Tensor, TensorType, ValueId};

use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::loops;

/// The kernel's function with its parameters.
pub(super) fn function(unary: Unary) -> Result<(Function, f32, f32)> {
    Ok(match unary {
        Unary::Relu => (Function::Relu, 0.0, 0.0),
        Unary::Relu6 => (Function::Clip, 0.0, 6.0),
        Unary::Sigmoid => (Function::Sigmoid, 0.0, 0.0),
        Unary::Tanh => (Function::Tanh, 0.0, 0.0),
        Unary::Erf => (Function::Erf, 0.0, 0.0),
        Unary::Gelu { tanh: false } => (Function::Gelu, 0.0, 0.0),
        Unary::Gelu { tanh: true } => (Function::GeluTanh, 0.0, 0.0),
        Unary::Swish { alpha } => (Function::Swish, alpha, 0.0),
        Unary::HardSwish => (Function::HardSwish, 0.0, 0.0),
        Unary::HardSigmoid { alpha, beta } => (Function::HardSigmoid, alpha, beta),
        Unary::LeakyRelu { alpha } => (Function::LeakyRelu, alpha, 0.0),
        Unary::Exp => (Function::Exp, 0.0, 0.0),
        Unary::Log => (Function::Log, 0.0, 0.0),
        Unary::Sqrt => (Function::Sqrt, 0.0, 0.0),
        Unary::Neg => (Function::Neg, 0.0, 0.0),
        Unary::Abs => (Function::Abs, 0.0, 0.0),
        Unary::Reciprocal => (Function::Reciprocal, 0.0, 0.0),
        Unary::Sign => (Function::Sign, 0.0, 0.0),
        Unary::Rsqrt => (Function::Rsqrt, 0.0, 0.0),
        Unary::Ceil => (Function::Ceil, 0.0, 0.0),
        Unary::Floor => (Function::Floor, 0.0, 0.0),
        Unary::Round => (Function::Round, 0.0, 0.0),
        Unary::Sin => (Function::Sin, 0.0, 0.0),
        Unary::Cos => (Function::Cos, 0.0, 0.0),
        Unary::Tan => (Function::Tan, 0.0, 0.0),
        Unary::Asin => (Function::Asin, 0.0, 0.0),
        Unary::Acos => (Function::Acos, 0.0, 0.0),
        Unary::Atan => (Function::Atan, 0.0, 0.0),
        Unary::Sinh => (Function::Sinh, 0.0, 0.0),
        Unary::Cosh => (Function::Cosh, 0.0, 0.0),
        Unary::Asinh => (Function::Asinh, 0.0, 0.0),
        Unary::Acosh => (Function::Acosh, 0.0, 0.0),
        Unary::Atanh => (Function::Atanh, 0.0, 0.0),
        Unary::Elu { alpha } => (Function::Elu, alpha, 0.0),
        Unary::Celu { alpha } => (Function::Celu, alpha, 0.0),
        Unary::Selu { alpha, gamma } => (Function::Selu, alpha, gamma),
        Unary::Mish => (Function::Mish, 0.0, 0.0),
        Unary::Softplus => (Function::Softplus, 0.0, 0.0),
        Unary::Softsign => (Function::Softsign, 0.0, 0.0),
        Unary::ThresholdedRelu { alpha } => (Function::ThresholdedRelu, alpha, 0.0),
        Unary::Shrink { bias, lambd } => (Function::Shrink, bias, lambd),
        other => return Err(unsupported("a function with a kernel", format!("{other:?}"))),
    })
}

impl Lowering<'_> {
    /// The elements of a constant as they are kept.
    pub(super) fn bytes(tensor: &Tensor, kind: Kind) -> Result<Vec<u8>> {
        Ok(match tensor.storage() {
            Storage::F32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Storage::I8(e) if matches!(kind, Kind::U8(_)) => {
                e.iter().map(|x| x.cast_unsigned() ^ 0x80).collect()
            }
            Storage::I8(e) => e.iter().map(|x| x.cast_unsigned()).collect(),
            Storage::U8(e) => e.to_vec(),
            Storage::I32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Storage::I64(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Storage::Bool(e) => e.iter().map(|&x| u8::from(x)).collect(),
            Storage::I16(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Storage::U16(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Storage::U32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            other => return Err(unsupported("a constant of a type with a kernel", other.dtype())),
        })
    }

    /// A constant, put into the arena by a step.
    pub(super) fn load(&mut self, tensor: &Tensor) -> Result<Placed> {
        let kind = Kind::of(&tensor.tensor_type())?;
        let bytes = Self::bytes(tensor, kind)?;
        let placed = self.row_major(kind, tensor.shape());
        let input = self.pack.add(bytes)?;
        let output = Self::exact(&placed)?;
        self.step(Load { input, output });
        Ok(placed)
    }

    /// A step from one operand to a new place.
    pub(super) fn map(
        &mut self,
        from: &Placed,
        to: &Placed,
        make: impl FnOnce([u32; 6], step::Strided, step::Strided) -> Step,
    ) -> Result<()> {
        let found = loops(&from.dims, [&from.strides, &to.strides])?;
        let [input, output] = [from.strided(found.strides[0])?, to.strided(found.strides[1])?];
        self.step(make(found.dims, input, output));
        Ok(())
    }

    pub(super) fn unary(&mut self, node: &Node) -> Result<()> {
        if self.postpone(node)? {
            return Ok(());
        }
        let output = self.output_id(node)?;
        match node.op {
            Op::Unary(unary) if self.plain(output).is_some() => return self.unary_plain(node, unary),
            Op::Clip => {
                let known = |id: &ValueId| self.graph.constant(*id).is_some();
                if self.plain(output).is_some() || !node.inputs.iter().skip(1).flatten().all(known) {
                    return self.clip_by_parts(node);
                }
            }
            _ => {}
        }
        let input = self.operand(node, 0)?;
        match (input.kind, self.kind(output)?) {
            (Kind::F32, Kind::F32) => {
                let (function, alpha, beta) = match &node.op {
                    Op::Unary(unary) => function(*unary)?,
                    _ => {
                        let limit = |n: usize, missing: f32| -> Result<f32> {
                            Ok(self
                                .constant(node, n)?
                                .and_then(|t| t.to_f32().first().copied())
                                .unwrap_or(missing))
                        };
                        let limits = (limit(1, f32::NEG_INFINITY)?, limit(2, f32::INFINITY)?);
                        (Function::Clip, limits.0, limits.1)
                    }
                };
                let placed = self.place_like(output, &input)?;
                self.map(&input, &placed, |dims, input, output| {
                    step::Unary {
                        function,
                        alpha,
                        beta,
                        dims,
                        input,
                        output,
                    }
                    .into()
                })?;
                self.placed[output.0] = Some(placed);
                Ok(())
            }
            (Kind::U8(_), Kind::U8(_)) => self.table(node, input, output),
            (from, to) => Err(unsupported("one type", format!("{from:?} to {to:?}"))),
        }
    }

    /// A function of integers: the interpreter's answers for all of them.
    fn table(&mut self, node: &Node, input: Placed, output: ValueId) -> Result<()> {
        let id = self.input_id(node, 0)?;
        let (from, to) = (&self.graph.value(id).ty, &self.graph.value(output).ty);
        let all: Storage = match from.dtype {
            Dtype::I8 => (0..=255u8)
                .map(|x| (x ^ 0x80).cast_signed())
                .collect::<Vec<i8>>()
                .into(),
            _ => (0..=255u8).collect::<Vec<u8>>().into(),
        };
        let all = Tensor::new(&[256], all)?.with_quantization(from.quantization.clone());
        let ty = TensorType {
            quantization: to.quantization.clone(),
            ..TensorType::new(to.dtype, &[256])
        };
        let mut inputs = vec![Some(&all)];
        for n in 1..node.inputs.len() {
            inputs.push(self.constant(node, n)?);
        }
        let answers = evaluate(Call {
            op: &node.op,
            inputs: &inputs,
            outputs: &[Some(&ty)],
            rounding: self.graph.rounding,
        })?;
        let answers = answers.first().ok_or_else(|| unsupported("an answer", "none"))?;
        let bytes: Vec<u8> = match answers.storage() {
            Storage::I8(e) => e.iter().map(|x| x.cast_unsigned() ^ 0x80).collect(),
            Storage::U8(e) => e.to_vec(),
            other => return Err(unsupported("integers of 8 bits", other.dtype())),
        };
        let table = self.pack.add(bytes)?;
        let placed = self.place_like(output, &input)?;
        self.map(&input, &placed, |dims, input, output| {
            Table {
                table,
                dims,
                input,
                output,
            }
            .into()
        })?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn requantize(&mut self, node: &Node) -> Result<()> {
        let input = self.operand(node, 0)?;
        let output = self.output_id(node)?;
        if input.kind == self.kind(output)? {
            self.placed[output.0] = Some(input);
            return Ok(());
        }
        let placed = self.place_like(output, &input)?;
        self.convert(&input, &placed)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// Writes elements to another place of equal extents, in its type.
    pub(super) fn convert(&mut self, from: &Placed, to: &Placed) -> Result<()> {
        match (from.kind, to.kind) {
            (a, b) if a == b => self.copy(from, to, 0),
            (Kind::F32, Kind::U8(affine)) => self.map(from, to, |dims, input, output| {
                Quantize {
                    affine,
                    dims,
                    input,
                    output,
                }
                .into()
            }),
            (Kind::U8(affine), Kind::F32) => self.map(from, to, |dims, input, output| {
                Dequantize {
                    affine,
                    dims,
                    input,
                    output,
                }
                .into()
            }),
            (Kind::U8(a), Kind::U8(b)) => {
                let ty = |affine: Affine| TensorType {
                    quantization: Some(Quantization::PerTensor {
                        scale: affine.scale,
                        zero_point: affine.zero,
                    }),
                    ..TensorType::new(Dtype::U8, &[256])
                };
                let all = Tensor::new(&[256], (0..=255u8).collect::<Vec<u8>>())?
                    .with_quantization(ty(a).quantization);
                let answers = evaluate(Call {
                    op: &Op::Requantize,
                    inputs: &[Some(&all)],
                    outputs: &[Some(&ty(b))],
                    rounding: self.graph.rounding,
                })?;
                let answers = answers.first().ok_or_else(|| unsupported("an answer", "none"))?;
                let table = self.pack.add(answers.elements::<u8>()?.to_vec())?;
                self.map(from, to, |dims, input, output| {
                    Table {
                        table,
                        dims,
                        input,
                        output,
                    }
                    .into()
                })
            }
            (a, b) => Err(unsupported(
                "f32 or integers of 8 bits",
                format!("{a:?} to {b:?}"),
            )),
        }
    }

    /// The real numbers that integers stand for, in a place of their own.
    pub(super) fn dequantized(&mut self, input: &Placed) -> Result<Placed> {
        let placed = self.row_major(Kind::F32, &input.dims);
        self.convert(input, &placed)?;
        Ok(placed)
    }

    /// Quantizes what a step of `f32` made for a value.
    pub(super) fn quantized(&mut self, real: Placed, output: ValueId) -> Result<()> {
        let mut placed = real;
        if placed.kind != self.kind(output)? {
            let to = self.place_like(output, &placed)?;
            self.convert(&placed, &to)?;
            placed = to;
        }
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    pub(super) fn identity(&mut self, node: &Node) -> Result<()> {
        let (id, output) = (self.input_id(node, 0)?, self.output_id(node)?);
        if self.graph.value(id).ty.quantization != self.graph.value(output).ty.quantization {
            return self.requantize(node);
        }
        let input = self.operand(node, 0)?;
        self.placed[output.0] = Some(input);
        Ok(())
    }

    pub(super) fn binary(&mut self, node: &Node, function: Binary) -> Result<()> {
        if let Some(dtype) = self.plain_input(node, 0) {
            return self.binary_integers(node, function, dtype);
        }
        let pair = match function {
            Binary::Add => Pair::Add,
            Binary::Sub => Pair::Sub,
            Binary::Mul => Pair::Mul,
            Binary::Div => Pair::Div,
            Binary::Min => Pair::Min,
            Binary::Max => Pair::Max,
            Binary::PRelu => Pair::PRelu,
            Binary::Pow => Pair::Pow,
            Binary::Mod { fmod: true } => Pair::Remainder,
            Binary::Mod { fmod: false } => Pair::Modulo,
            Binary::FloorDiv => Pair::FloorDiv,
            Binary::SquaredDifference => Pair::SquaredDifference,
            other => return Err(unsupported("a function with a kernel", format!("{other:?}"))),
        };
        if function == Binary::Pow && self.power(node)? {
            return Ok(());
        }
        let (a, mut b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        if function == Binary::Pow && self.plain_input(node, 1).is_some() {
            b = self.any_real(node, 1)?;
        }
        let output = self.output_id(node)?;
        let like = if a.count() >= b.count() { &a } else { &b };
        let kind = self.kind(output)?;
        let supported = matches!(
            (a.kind, b.kind, kind),
            (Kind::F32, Kind::F32, Kind::F32) | (Kind::U8(_), Kind::U8(_), Kind::U8(_))
        );
        if !supported {
            return Err(unsupported(
                "operands and output all f32, or all 8-bit integers with one scale",
                format!("{:?} and {:?} to {kind:?}", a.kind, b.kind),
            ));
        }
        if self.graph.rounding == Rounding::Gemmlowp
            && self.binary_fixed(function, [&a, &b], output, &like.clone())?
        {
            return Ok(());
        }
        let placed = self.place_like(output, like)?;
        self.pair(pair, [&a, &b], &placed)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// A square, a square root or the number itself; `false` for another power, of which nothing has been made.
    fn power(&mut self, node: &Node) -> Result<bool> {
        let exponent = self.constant(node, 1).ok().flatten();
        let exponent = exponent.map(Tensor::to_f32).unwrap_or_default();
        let first = exponent.first().copied().unwrap_or_default();
        let output = self.output_id(node)?;
        let base = self.operand(node, 0)?;
        let real = base.kind == Kind::F32 && self.kind(output)? == Kind::F32;
        if !real || exponent.iter().any(|&e| e != first) || base.dims != self.shape(output)? {
            return Ok(false);
        }
        if ![2.0, 1.0, 0.5].contains(&first) {
            return Ok(false);
        }
        let placed = self.place_like(output, &base)?;
        if first == 2.0 {
            self.pair(Pair::Mul, [&base, &base], &placed)?;
        } else {
            let function = if first == 1.0 {
                Function::Identity
            } else {
                Function::Sqrt
            };
            self.map(&base, &placed, |dims, input, output| {
                step::Unary {
                    function,
                    alpha: 0.0,
                    beta: 0.0,
                    dims,
                    input,
                    output,
                }
                .into()
            })?;
        }
        self.placed[output.0] = Some(placed);
        Ok(true)
    }

    /// A function of two tensors that broadcast to a place.
    pub(super) fn pair(&mut self, pair: Pair, [a, b]: [&Placed; 2], placed: &Placed) -> Result<()> {
        let found = placed.pairs(a, b)?;
        let [at, bt, to] = found.strides;
        let (x, y, z) = (a.strided(at)?, b.strided(bt)?, placed.strided(to)?);
        match (a.kind, b.kind, placed.kind) {
            (Kind::U8(a_affine), Kind::U8(b_affine), Kind::U8(output_affine)) => self.step(BinaryU8 {
                function: pair,
                dims: found.dims,
                a: x,
                a_affine,
                b: y,
                b_affine,
                output: z,
                output_affine,
                low: 0,
                high: 255,
            }),
            _ => self.step(step::Binary {
                function: pair,
                dims: found.dims,
                a: x,
                b: y,
                output: z,
            }),
        }
        Ok(())
    }
}
