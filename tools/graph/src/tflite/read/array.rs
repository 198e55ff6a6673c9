//! Operators that change extents or join and cut tensors.

use super::super::model::Kind;
use super::layer::extent;
use super::{Call, Importer};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Op, PadMode};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    match call.operator.code.as_str() {
        "RESHAPE" => reshape(g, call)?,
        "SQUEEZE" => squeeze(g, call)?,
        "EXPAND_DIMS" => {
            let (x, axes) = (g.operand(call, 0)?, g.axes(call, 1)?);
            g.simple(call, Op::Unsqueeze, &[x, axes])?;
        }
        "TRANSPOSE" => transpose(g, call)?,
        "CONCATENATION" => concat(g, call)?,
        "SPLIT" => split(g, call, 1, 0)?,
        "SPLIT_V" => split(g, call, 0, 2)?,
        "PACK" => pack(g, call)?,
        "UNPACK" => unpack(g, call)?,
        "PAD" | "PADV2" | "MIRROR_PAD" => pad(g, call)?,
        "TILE" => with_shape(g, call, Op::Tile)?,
        "BROADCAST_TO" => with_shape(g, call, Op::Expand)?,
        "SHAPE" => shape(g, call)?,
        "RANK" => {
            let rank = g.shape(call.input(0)?).len();
            let rank = i32::try_from(rank).map_err(|_| call.fault(ErrorKind::Limit, "a rank", rank))?;
            let value = g.fresh(call, "rank", Tensor::scalar(rank));
            g.define(call.output(0)?, value);
        }
        "FILL" => {
            let (shape, value) = (g.axes(call, 0)?, g.operand(call, 1)?);
            g.simple(call, Op::Expand, &[value, shape])?;
        }
        "ZEROS_LIKE" => zeros_like(g, call)?,
        "RANGE" => {
            let [start, limit, delta] = [0, 1, 2].map(|n| g.operand(call, n));
            g.simple(call, Op::Range, &[start?, limit?, delta?])?;
        }
        "ONE_HOT" => one_hot(g, call)?,
        _ => return Ok(false),
    }
    Ok(true)
}

impl<'a> Importer<'a> {
    /// An input that is a shape, axes or the like, as a vector of `i64`.
    pub(super) fn axes(&mut self, call: Call<'a>, n: usize) -> Result<ValueId> {
        let index = call.input(n)?;
        if let Some(numbers) = self.integers(index)? {
            return Ok(self.vector(call, "numbers", numbers));
        }
        let value = self.value(index)?;
        let ty = TensorType::unshaped(Dtype::I64);
        let to = Op::Cast {
            to: Dtype::I64,
            saturate: true,
        };
        let wide = self.emit(call, "numbers", to, &[value], ty.clone());
        let one = self.vector(call, "flat", vec![-1]);
        Ok(self.emit(
            call,
            "vector",
            Op::Reshape { allow_zero: false },
            &[wide, one],
            ty,
        ))
    }

    /// An axis that an option counts, or the end, as the graph counts it.
    pub(super) fn axis(&self, call: Call<'a>, axis: i32, rank: usize) -> Result<i64> {
        let from_start = if axis < 0 {
            i64::from(axis) + extent(call, rank)?
        } else {
            axis.into()
        };
        if from_start < 0 || from_start >= extent(call, rank)? {
            return Err(call.fault(ErrorKind::Value, format!("an axis of {rank}"), axis));
        }
        Ok(from_start)
    }
}

fn reshape<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    // A complex tensor has an axis more than the file says.
    let complex = g.file.tensors[call.input(0)?].kind == Kind::Complex64;
    let given = call.optional(1).map(|index| g.integers(index)).transpose()?;
    let numbers = match (given, call.operator.options) {
        (Some(numbers), _) => numbers,
        (None, Some(options)) => Some(options.numbers::<i32>(0)?.into_iter().map(i64::from).collect()),
        (None, None) => return Err(call.fault(ErrorKind::Malformed, "a shape", "none")),
    };
    let shape = match numbers {
        Some(mut numbers) => {
            numbers.extend(complex.then_some(2));
            g.vector(call, "shape", numbers)
        }
        None if complex => return Err(call.unsupported("complex numbers and a shape made at run time")),
        None => g.axes(call, 1)?,
    };
    g.simple(call, Op::Reshape { allow_zero: true }, &[x, shape])
}

fn squeeze<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let axes: Vec<i32> = call.operator.options.map_or(Ok(Vec::new()), |o| o.numbers(0))?;
    let mut inputs = vec![x];
    if !axes.is_empty() {
        inputs.push(g.vector(call, "axes", axes.into_iter().map(i64::from).collect()));
    }
    g.simple(call, Op::Squeeze, &inputs)
}

fn transpose<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let Some(order) = g.integers(call.input(1)?)? else {
        return Err(call.unsupported("a permutation that is no constant"));
    };
    let permutation: Vec<usize> = order
        .iter()
        .map(|&axis| {
            let axis = if axis < 0 {
                axis.saturating_add(extent(call, order.len())?)
            } else {
                axis
            };
            usize::try_from(axis)
                .ok()
                .filter(|&axis| axis < order.len())
                .ok_or_else(|| call.fault(ErrorKind::Value, "a permutation", format!("{order:?}")))
        })
        .collect::<Result<_>>()?;
    g.simple(call, Op::Transpose { permutation }, &[x])
}

fn concat<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let axis = call.int(0, 0)?;
    let axis = g.axis(call, axis, g.shape(call.input(0)?).len())?;
    let inputs = g.operands(call)?;
    let y = g.emit(call, "op", Op::Concat { axis }, &inputs, ty);
    let y = g.activate(call, 1, y)?;
    g.define(output, y);
    Ok(())
}

/// `x` and `axis` are places in the operator's inputs; sizes, if any, are the second.
fn split<'a>(g: &mut Importer<'a>, call: Call<'a>, x: usize, axis: usize) -> Result<()> {
    let Some(&[axis]) = g.integers(call.input(axis)?)?.as_deref() else {
        return Err(call.unsupported("an axis that is no constant"));
    };
    let mut inputs = vec![Some(g.operand(call, x)?)];
    if x == 0 {
        inputs.push(Some(g.axes(call, 1)?));
    }
    let outputs = &call.operator.outputs;
    let types = outputs.iter().map(|&index| g.ty(index)).collect::<Result<_>>()?;
    let parts = g.emit_many(call, "op", Op::Split { axis }, &inputs, types);
    for (&index, part) in outputs.iter().zip(parts) {
        g.define(index, part);
    }
    Ok(())
}

fn pack<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let axis = call.int(1, 0)?;
    let axis = g.axis(call, axis, g.shape(call.input(0)?).len() + 1)?;
    let axes = g.vector(call, "axis", vec![axis]);
    let mut slices = Vec::new();
    for x in g.operands(call)? {
        let ty = TensorType {
            dims: None,
            ..g.graph.value(x).ty.clone()
        };
        slices.push(g.emit(call, "slice", Op::Unsqueeze, &[x, axes], ty));
    }
    g.simple(call, Op::Concat { axis }, &slices)
}

fn unpack<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let axis = call.int(1, 0)?;
    let axis = g.axis(call, axis, g.shape(call.input(0)?).len())?;
    let axes = g.vector(call, "axis", vec![axis]);
    let outputs = &call.operator.outputs;
    let types: Vec<TensorType> = outputs.iter().map(|&index| g.ty(index)).collect::<Result<_>>()?;
    let sizes = g.vector(call, "sizes", vec![1; outputs.len()]);
    let slices = g.emit_many(
        call,
        "op",
        Op::Split { axis },
        &[Some(x), Some(sizes)],
        types.clone(),
    );
    for ((&index, slice), ty) in outputs.iter().zip(slices).zip(types) {
        let part = g.emit(call, "squeezed", Op::Squeeze, &[slice, axes], ty);
        g.define(index, part);
    }
    Ok(())
}

fn pad<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let mode = match (call.operator.code.as_str(), call.choice(0)?) {
        ("MIRROR_PAD", 0) => PadMode::Reflect,
        ("MIRROR_PAD", _) => return Err(call.unsupported("a mirror that repeats the border")),
        _ => PadMode::Constant,
    };
    let Some(pairs) = g.integers(call.input(1)?)? else {
        return Err(call.unsupported("pads that are no constants"));
    };
    let before = pairs.iter().step_by(2);
    let behind = pairs.iter().skip(1).step_by(2);
    let pads: Vec<i64> = before.chain(behind).copied().collect();
    if pads.len() != 2 * g.shape(call.input(0)?).len() || pads.iter().any(|&n| n < 0) {
        return Err(call.fault(ErrorKind::Value, "a pair for each axis", format!("{pairs:?}")));
    }
    let mut inputs = vec![x, g.vector(call, "pads", pads)];
    if call.operator.code == "PADV2" {
        let value = g.operand(call, 2)?;
        inputs.push(value);
    }
    g.simple(call, Op::Pad { mode }, &inputs)
}

/// An operation of a tensor and a shape.
fn with_shape<'a>(g: &mut Importer<'a>, call: Call<'a>, op: Op) -> Result<()> {
    let (x, shape) = (g.operand(call, 0)?, g.axes(call, 1)?);
    g.simple(call, op, &[x, shape])
}

fn shape<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let output = call.output(0)?;
    let to = g.ty(output)?.dtype;
    let op = Op::Shape { start: 0, end: None };
    let mut y = g.emit(call, "op", op, &[x], TensorType::unshaped(Dtype::I64));
    if to != Dtype::I64 {
        y = g.emit(
            call,
            "cast",
            Op::Cast { to, saturate: true },
            &[y],
            TensorType::unshaped(to),
        );
    }
    g.define(output, y);
    Ok(())
}

fn zeros_like<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let value = match g.ty(call.output(0)?)?.dtype {
        Dtype::F32 => Tensor::vector(vec![0f32]),
        Dtype::I32 => Tensor::vector(vec![0i32]),
        Dtype::I64 => Tensor::vector(vec![0i64]),
        other => return Err(call.unsupported(format!("elements of {other}"))),
    };
    let op = Op::Shape { start: 0, end: None };
    let shape = g.emit(call, "shape", op, &[x], TensorType::unshaped(Dtype::I64));
    g.simple(call, Op::ConstantOfShape { value }, &[shape])
}

/// The operator takes the values on and off apart; the graph takes off and on together.
fn one_hot<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let (indices, depth) = (g.operand(call, 0)?, g.operand(call, 1)?);
    let ty = g.ty(call.output(0)?)?;
    let first = g.vector(call, "axis", vec![0]);
    let mut values = Vec::with_capacity(2);
    for n in [3, 2] {
        let value = g.operand(call, n)?;
        values.push(g.emit(call, "value", Op::Unsqueeze, &[value, first], ty.clone()));
    }
    let values = g.emit(call, "values", Op::Concat { axis: 0 }, &values, ty);
    let axis = call.int(0, 0)?;
    g.simple(call, Op::OneHot { axis: axis.into() }, &[indices, depth, values])
}
