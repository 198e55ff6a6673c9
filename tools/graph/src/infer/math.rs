use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, axis, broadcast_all, ensure, typed};
use crate::op::{Binary, Op, Unary};
use crate::types::{Dim, TensorType};

/// Types of the outputs.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, _outputs: usize) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    let dtype = extent::dtype(x);
    let same = typed(dtype, x.dims.clone());
    Ok(vec![match op {
        Op::Unary(function) => {
            check_unary(*function, dtype)?;
            match function {
                Unary::IsNan | Unary::IsInf { .. } => typed(Dtype::Bool, x.dims.clone()),
                _ => same,
            }
        }
        Op::Binary(function) => {
            let b = extent::dtype(inputs.ty(1)?);
            check_binary(*function, dtype, b)?;
            typed(dtype, broadcast_all([x, inputs.ty(1)?])?)
        }
        Op::Compare(_) => {
            equal_types(dtype, extent::dtype(inputs.ty(1)?))?;
            typed(Dtype::Bool, broadcast_all([x, inputs.ty(1)?])?)
        }
        Op::Logic(_) => {
            equal_types(Dtype::Bool, dtype)?;
            equal_types(Dtype::Bool, extent::dtype(inputs.ty(1)?))?;
            typed(Dtype::Bool, broadcast_all([x, inputs.ty(1)?])?)
        }
        Op::Variadic(_) => {
            number(dtype)?;
            let types = (0..inputs.count())
                .map(|n| inputs.ty(n))
                .collect::<Result<Vec<_>>>()?;
            for ty in &types {
                equal_types(dtype, extent::dtype(ty))?;
            }
            typed(dtype, broadcast_all(types)?)
        }
        Op::Where => {
            let (a, b) = (inputs.ty(1)?, inputs.ty(2)?);
            equal_types(Dtype::Bool, dtype)?;
            equal_types(extent::dtype(a), extent::dtype(b))?;
            typed(extent::dtype(a), broadcast_all([x, a, b])?)
        }
        Op::Clip => {
            number(dtype)?;
            for limit in [inputs.optional(1), inputs.optional(2)].into_iter().flatten() {
                equal_types(dtype, extent::dtype(limit))?;
                if let Some(shape) = limit.shape() {
                    let one = shape.iter().all(|&d| d == 1);
                    ensure(one, ErrorKind::Shape, "a limit of one element", limit)?;
                }
            }
            same
        }
        Op::Cast { to, .. } => typed(*to, x.dims.clone()),
        Op::BitCast { to } => {
            ensure(
                to.size() == dtype.size(),
                ErrorKind::Dtype,
                "a type of the same size",
                format!("{dtype} to {to}"),
            )?;
            typed(*to, x.dims.clone())
        }
        Op::Reduce {
            keep_dims,
            noop_with_empty_axes,
            ..
        } => typed(dtype, reduced(x, inputs, *keep_dims, *noop_with_empty_axes)?),
        Op::ArgExtreme {
            axis: number,
            keep_dims,
            ..
        } => {
            let dims = match &x.dims {
                Some(dims) => {
                    let place = axis(*number, dims.len())?;
                    ensure(
                        dims[place] != Dim::Known(0),
                        ErrorKind::Shape,
                        "an axis with elements",
                        x,
                    )?;
                    Some(without(dims, &[place], *keep_dims))
                }
                None => None,
            };
            typed(Dtype::I64, dims)
        }
        Op::Softmax { axis: number }
        | Op::LogSoftmax { axis: number }
        | Op::Hardmax { axis: number }
        | Op::LpNormalization { axis: number, .. } => {
            float(dtype)?;
            if let Some(rank) = x.rank() {
                axis(*number, rank)?;
            }
            same
        }
        Op::Cumulative { .. } => {
            self::number(dtype)?;
            if let (Some(number), Some(rank)) = (extent::int(inputs, 1)?, x.rank()) {
                axis(number, rank)?;
            }
            same
        }
        Op::TopK { axis: number, .. } => {
            let dims = match (&x.dims, extent::int(inputs, 1)?) {
                (Some(dims), Some(k)) => {
                    let place = axis(*number, dims.len())?;
                    let k = extent::extent(k)?;
                    if let Some(n) = dims[place].known() {
                        let expected = format!("k of at most {n}");
                        ensure(k <= n, ErrorKind::Value, &expected, k)?;
                    }
                    let mut dims = dims.clone();
                    dims[place] = Dim::Known(k);
                    Some(dims)
                }
                _ => None,
            };
            return Ok(vec![typed(dtype, dims.clone()), typed(Dtype::I64, dims)]);
        }
        other => {
            return Err(crate::error::Error::new(
                ErrorKind::Unsupported,
                "",
                "an elementwise operation or reduction",
                format!("{other:?}"),
            ));
        }
    }])
}

/// Extents without some axes, or with 1 in their place.
fn without(dims: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let mut found = Vec::with_capacity(dims.len());
    for (place, &dim) in dims.iter().enumerate() {
        if !axes.contains(&place) {
            found.push(dim);
        } else if keep {
            found.push(Dim::Known(1));
        }
    }
    found
}

/// The axes of a reduction: all where none are given, or none if `noop`.
pub(crate) fn reduced_axes(list: &[i64], rank: usize, noop: bool) -> Result<Vec<usize>> {
    if list.is_empty() {
        return Ok(if noop { Vec::new() } else { (0..rank).collect() });
    }
    extent::axes(list, rank)
}

fn reduced(x: &TensorType, inputs: Known<'_>, keep: bool, noop: bool) -> Result<Option<Vec<Dim>>> {
    let Some(dims) = &x.dims else { return Ok(None) };
    let list = match extent::ints(inputs, 1)? {
        Some(list) => list,
        None if inputs.has(1) => return Ok(None),
        None => Vec::new(),
    };
    let axes = reduced_axes(&list, dims.len(), noop)?;
    Ok(Some(without(dims, &axes, keep)))
}

fn equal_types(expected: Dtype, found: Dtype) -> Result<()> {
    ensure(expected == found, ErrorKind::Dtype, expected.name(), found)
}

fn float(dtype: Dtype) -> Result<()> {
    ensure(
        dtype.is_float(),
        ErrorKind::Dtype,
        "floating-point elements",
        dtype,
    )
}

fn number(dtype: Dtype) -> Result<()> {
    ensure(dtype != Dtype::Bool, ErrorKind::Dtype, "numbers", dtype)
}

fn integer(dtype: Dtype) -> Result<()> {
    ensure(dtype.is_integer(), ErrorKind::Dtype, "integers", dtype)
}

fn check_unary(function: Unary, dtype: Dtype) -> Result<()> {
    use Unary::*;
    match function {
        Not => equal_types(Dtype::Bool, dtype),
        BitwiseNot => integer(dtype),
        Abs | Neg | Sign | Relu | Relu6 | Ceil | Floor | Round | ThresholdedRelu { .. } | Shrink { .. } => {
            number(dtype)
        }
        _ => float(dtype),
    }
}

fn check_binary(function: Binary, a: Dtype, b: Dtype) -> Result<()> {
    use Binary::*;
    match function {
        // The exponent may be of any type.
        Pow => number(a).and_then(|()| number(b)),
        BitwiseAnd | BitwiseOr | BitwiseXor | ShiftLeft | ShiftRight => {
            integer(a)?;
            equal_types(a, b)
        }
        _ => {
            number(a)?;
            equal_types(a, b)
        }
    }
}
