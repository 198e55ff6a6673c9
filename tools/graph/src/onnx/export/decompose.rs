//! Operations that opset 17 does not have, written as the operators they consist of.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::{Call, Exporter, array, layer, recurrent, unsupported};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::MAX_EXTENT;
use crate::op::{Binary, Compare, Op, Reduce, Unary};
use crate::tensor::{Tensor, element_count};

pub(super) fn write(x: &mut Exporter<'_>, call: &Call<'_>) -> Result<()> {
    match &call.node.op {
        Op::If { then, otherwise } => layer::branches(x, call, then, otherwise),
        Op::Unary(function) => unary(x, call, *function),
        Op::Binary(function) => binary(x, call, *function),
        Op::Compare(Compare::NotEqual) => {
            let equal = step(x, call, "equal", "Equal", &[call.input(0), call.input(1)]);
            finish(x, call, "Not", &[&equal])
        }
        Op::Reduce {
            function,
            keep_dims,
            noop_with_empty_axes,
        } => reduce(x, call, *function, *keep_dims, *noop_with_empty_axes),
        Op::Split { axis } => split(x, call, *axis),
        Op::Pad { mode } => {
            let pads = all_pads(x, call)?;
            let pads = constant(x, call, "pads", &Tensor::vector(pads));
            let inputs = [call.input(0).to_owned(), pads, call.input(2).to_owned()];
            x.call(
                "Pad",
                &inputs,
                call.outputs,
                vec![("mode", array::pad_mode(*mode)?.into())],
            );
            Ok(())
        }
        Op::GroupNormalization { epsilon, groups } => group_normalization(x, call, *epsilon, *groups),
        Op::Recurrent(r) => {
            recurrent::write(x, call, r);
            Ok(())
        }
        Op::RmsNormalization { axis, epsilon } => rms_normalization(x, call, *axis, *epsilon),
        Op::Quantize(q) if q.block == 0 && q.dtype == Dtype::I8 => {
            // Without a zero point the operator makes unsigned integers, and a zero point has the extents of the scale.
            let shape = x.input_type(call, 1).and_then(|ty| ty.shape());
            let shape = shape.ok_or_else(|| unsupported("QuantizeLinear with a scale of unknown extents"))?;
            let count = element_count(&shape).filter(|&count| count <= MAX_EXTENT);
            let count = count.ok_or_else(|| unsupported(format!("QuantizeLinear with {shape:?} scales")))?;
            let zeros = vec![0i8; count];
            let zero_point = constant(x, call, "zero_point", &Tensor::new(&shape, zeros)?);
            let inputs = [call.input(0).to_owned(), call.input(1).to_owned(), zero_point];
            x.call(
                "QuantizeLinear",
                &inputs,
                call.outputs,
                vec![("axis", q.axis.into())],
            );
            Ok(())
        }
        Op::Dft { inverse, onesided } => {
            let rank = x.input_type(call, 0).and_then(|ty| ty.rank());
            let rank = rank.ok_or_else(|| unsupported("DFT of unknown extents"))? as i64;
            let axis = x
                .integers(call, 2)?
                .and_then(|axis| axis.first().copied())
                .unwrap_or(-2);
            let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
            let attributes = vec![
                ("axis", axis.into()),
                ("inverse", (*inverse).into()),
                ("onesided", (*onesided).into()),
            ];
            let inputs = [call.input(0).to_owned(), call.input(1).to_owned()];
            x.call("DFT", &inputs, call.outputs, attributes);
            Ok(())
        }
        other => {
            let text = format!("{other:?}");
            let name = text
                .split(|c: char| !c.is_alphanumeric())
                .next()
                .unwrap_or_default();
            Err(unsupported(name))
        }
    }
}

fn step(x: &mut Exporter<'_>, call: &Call<'_>, what: &str, op_type: &str, inputs: &[&str]) -> String {
    x.step(&format!("{}.{what}", call.output()), op_type, inputs, vec![])
}

fn finish(x: &mut Exporter<'_>, call: &Call<'_>, op_type: &str, inputs: &[&str]) -> Result<()> {
    let inputs: Vec<String> = inputs.iter().map(|&name| name.to_owned()).collect();
    x.call(op_type, &inputs, call.outputs, vec![]);
    Ok(())
}

fn constant(x: &mut Exporter<'_>, call: &Call<'_>, what: &str, tensor: &Tensor) -> String {
    x.constant(&format!("{}.{what}", call.output()), tensor)
}

/// A scalar of the type that the operation computes on.
fn scalar(x: &mut Exporter<'_>, call: &Call<'_>, what: &str, value: f64) -> Result<String> {
    let dtype = x.dtype(call, 0);
    x.scalar(&format!("{}.{what}", call.output()), value, dtype)
}

fn unary(x: &mut Exporter<'_>, call: &Call<'_>, function: Unary) -> Result<()> {
    let input = call.input(0);
    match function {
        Unary::Rsqrt => {
            let root = step(x, call, "root", "Sqrt", &[input]);
            finish(x, call, "Reciprocal", &[&root])
        }
        Unary::Relu6 => {
            let low = scalar(x, call, "low", 0.0)?;
            let high = scalar(x, call, "high", 6.0)?;
            finish(x, call, "Clip", &[input, &low, &high])
        }
        Unary::Mish => {
            let soft = step(x, call, "softplus", "Softplus", &[input]);
            let gate = step(x, call, "gate", "Tanh", &[&soft]);
            finish(x, call, "Mul", &[input, &gate])
        }
        Unary::Swish { alpha } => {
            let mut scaled = input.to_owned();
            if alpha != 1.0 {
                let factor = scalar(x, call, "alpha", alpha.into())?;
                scaled = step(x, call, "scaled", "Mul", &[input, &factor]);
            }
            let gate = step(x, call, "gate", "Sigmoid", &[&scaled]);
            finish(x, call, "Mul", &[input, &gate])
        }
        Unary::Gelu { tanh } => {
            let one = scalar(x, call, "one", 1.0)?;
            let half = scalar(x, call, "half", 0.5)?;
            let curve = if tanh {
                // tanh(sqrt(2 / pi) (x + 0.044715 x^3))
                let cubic = scalar(x, call, "cubic", 0.044_715)?;
                let factor = scalar(x, call, "factor", FRAC_2_SQRT_PI * FRAC_1_SQRT_2)?;
                let square = step(x, call, "square", "Mul", &[input, input]);
                let cube = step(x, call, "cube", "Mul", &[&square, input]);
                let part = step(x, call, "part", "Mul", &[&cube, &cubic]);
                let sum = step(x, call, "sum", "Add", &[input, &part]);
                let inner = step(x, call, "inner", "Mul", &[&sum, &factor]);
                step(x, call, "curve", "Tanh", &[&inner])
            } else {
                let factor = scalar(x, call, "factor", FRAC_1_SQRT_2)?;
                let inner = step(x, call, "inner", "Mul", &[input, &factor]);
                step(x, call, "curve", "Erf", &[&inner])
            };
            let raised = step(x, call, "raised", "Add", &[&curve, &one]);
            let doubled = step(x, call, "doubled", "Mul", &[input, &raised]);
            finish(x, call, "Mul", &[&doubled, &half])
        }
        other => Err(unsupported(format!("{other:?}"))),
    }
}

fn binary(x: &mut Exporter<'_>, call: &Call<'_>, function: Binary) -> Result<()> {
    let (a, b) = (call.input(0), call.input(1));
    let float = x.dtype(call, 0).is_float();
    match function {
        Binary::SquaredDifference => {
            let difference = step(x, call, "difference", "Sub", &[a, b]);
            finish(x, call, "Mul", &[&difference, &difference])
        }
        Binary::FloorDiv if float => {
            let quotient = step(x, call, "quotient", "Div", &[a, b]);
            finish(x, call, "Floor", &[&quotient])
        }
        Binary::Mod { fmod: false } if float => {
            let quotient = step(x, call, "quotient", "Div", &[a, b]);
            let whole = step(x, call, "whole", "Floor", &[&quotient]);
            let product = step(x, call, "product", "Mul", &[&whole, b]);
            finish(x, call, "Sub", &[a, &product])
        }
        Binary::Mod { fmod: false } => finish(x, call, "Mod", &[a, b]),
        other => Err(unsupported(format!("{other:?}"))),
    }
}

/// Axes are an attribute here, so they must be known.
fn reduce(
    x: &mut Exporter<'_>,
    call: &Call<'_>,
    function: Reduce,
    keep_dims: bool,
    noop_with_empty_axes: bool,
) -> Result<()> {
    let name = match function {
        Reduce::Sum => "ReduceSum",
        Reduce::Mean => "ReduceMean",
        Reduce::Max => "ReduceMax",
        Reduce::Min => "ReduceMin",
        Reduce::Prod => "ReduceProd",
        Reduce::L1 => "ReduceL1",
        Reduce::L2 => "ReduceL2",
        Reduce::LogSum => "ReduceLogSum",
        Reduce::LogSumExp => "ReduceLogSumExp",
        Reduce::SumSquare => "ReduceSumSquare",
    };
    let axes = x.integers(call, 1)?.filter(|axes| !axes.is_empty());
    let mut attributes = vec![("keepdims", keep_dims.into())];
    match axes {
        Some(axes) => attributes.push(("axes", axes.as_slice().into())),
        None if noop_with_empty_axes => return Err(unsupported(format!("{name}-18 over no axes"))),
        None => {}
    }
    x.call(name, &[call.input(0).to_owned()], call.outputs, attributes);
    Ok(())
}

/// Equal parts that do not divide the extent need their sizes said.
fn split(x: &mut Exporter<'_>, call: &Call<'_>, axis: i64) -> Result<()> {
    let parts = call.outputs.len();
    let extent = x.input_type(call, 0).and_then(|ty| {
        let dims = ty.dims.as_ref()?;
        let place = if axis < 0 {
            axis.saturating_add(dims.len() as i64)
        } else {
            axis
        };
        dims.get(usize::try_from(place).ok()?)?.known()
    });
    let mut inputs = vec![call.input(0).to_owned()];
    match extent {
        Some(extent) if parts > 0 && extent % parts != 0 => {
            let size = extent.div_ceil(parts);
            let sizes = (0..parts)
                .map(|n| extent.saturating_sub(n * size).min(size) as i64)
                .collect();
            inputs.push(constant(x, call, "sizes", &Tensor::vector::<i64>(sizes)));
        }
        Some(_) => {}
        None => return Err(unsupported("Split-18 of an unknown extent")),
    }
    x.call("Split", &inputs, call.outputs, vec![("axis", axis.into())]);
    Ok(())
}

/// Pads of all axes, from those of some.
fn all_pads(x: &Exporter<'_>, call: &Call<'_>) -> Result<Vec<i64>> {
    let rank = x.input_type(call, 0).and_then(|ty| ty.rank());
    let rank = rank.ok_or_else(|| unsupported("Pad-18 with axes on unknown extents"))?;
    let pads = x.integers(call, 1)?.unwrap_or_default();
    let axes = x.integers(call, 3)?.unwrap_or_default();
    let mut all = vec![0; 2 * rank];
    for (n, axis) in axes.iter().enumerate() {
        let place = usize::try_from(if *axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            *axis
        })
        .ok();
        let place = place.filter(|&place| place < rank);
        let (Some(place), Some(&before), Some(&behind)) = (place, pads.get(n), pads.get(axes.len() + n))
        else {
            return Err(unsupported(format!(
                "Pad-18 with axes {axes:?} and pads {pads:?}"
            )));
        };
        all[place] = before;
        all[rank + place] = behind;
    }
    Ok(all)
}

/// Groups as channels of an instance normalisation, then scale and bias.
fn group_normalization(x: &mut Exporter<'_>, call: &Call<'_>, epsilon: f32, groups: usize) -> Result<()> {
    let ty = x.input_type(call, 0).cloned();
    let dims = ty
        .and_then(|ty| ty.dims)
        .ok_or_else(|| unsupported("GroupNormalization of unknown extents"))?;
    let channels = dims.get(1).and_then(|dim| dim.known());
    let channels = channels.ok_or_else(|| unsupported("GroupNormalization of unknown channels"))?;
    if groups == 0 || channels % groups != 0 {
        let expected = format!("groups that divide {channels} channels");
        return Err(Error::new(ErrorKind::Value, "groups", expected, groups));
    }
    let dtype = x.dtype(call, 0);
    if dtype != Dtype::F32 {
        return Err(unsupported(format!("GroupNormalization of {dtype}")));
    }
    let name = call.output().to_owned();
    let shape = step(x, call, "shape", "Shape", &[call.input(0)]);
    let grouped = constant(x, call, "groups", &Tensor::vector(vec![0i64, groups as i64, -1]));
    let ones = constant(x, call, "ones", &Tensor::vector(vec![1f32; groups]));
    let zeros = constant(x, call, "zeros", &Tensor::vector(vec![0f32; groups]));
    let mut column = vec![1i64; dims.len() - 1];
    column[0] = channels as i64;
    let column = constant(x, call, "column", &Tensor::vector(column));
    let flat = step(x, call, "flat", "Reshape", &[call.input(0), &grouped]);
    let normal = x.step(
        &format!("{name}.normal"),
        "InstanceNormalization",
        &[&flat, &ones, &zeros],
        vec![("epsilon", epsilon.into())],
    );
    let back = step(x, call, "back", "Reshape", &[&normal, &shape]);
    let scale = step(x, call, "scale", "Reshape", &[call.input(1), &column]);
    let bias = step(x, call, "bias", "Reshape", &[call.input(2), &column]);
    let scaled = step(x, call, "scaled", "Mul", &[&back, &scale]);
    finish(x, call, "Add", &[&scaled, &bias])
}

/// `x / sqrt(mean(x^2) + epsilon) * scale`, the mean over the axes from one on.
fn rms_normalization(x: &mut Exporter<'_>, call: &Call<'_>, axis: i64, epsilon: f32) -> Result<()> {
    let rank = x.input_type(call, 0).and_then(|ty| ty.rank());
    let rank = rank.ok_or_else(|| unsupported("RMSNormalization of unknown extents"))? as i64;
    let first = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if !(0..rank).contains(&first) {
        let expected = format!("an axis of {rank}");
        return Err(Error::new(ErrorKind::Value, "axis", expected, axis));
    }
    let axes: Vec<i64> = (first..rank).collect();
    let name = call.output().to_owned();
    let input = call.input(0);
    let square = step(x, call, "square", "Mul", &[input, input]);
    let mean = x.step(
        &format!("{name}.mean"),
        "ReduceMean",
        &[&square],
        vec![("axes", axes.as_slice().into())],
    );
    let epsilon = scalar(x, call, "epsilon", epsilon.into())?;
    let raised = step(x, call, "raised", "Add", &[&mean, &epsilon]);
    let root = step(x, call, "root", "Sqrt", &[&raised]);
    let normal = step(x, call, "normal", "Div", &[input, &root]);
    finish(x, call, "Mul", &[&normal, call.input(1)])
}
