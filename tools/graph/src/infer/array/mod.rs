//! Types of what moves, picks and fills.

mod cut;
mod pick;
mod reshape;

pub(crate) use cut::{crop_or_pad, cuts, pads, split_sizes};
pub(crate) use reshape::permutation;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::array::cut::Cut;
use crate::infer::einsum::Equation;
use crate::infer::extent::{self, axis, ensure, typed};
use crate::op::Op;
use crate::types::{Dim, TensorType};

/// Types of the outputs.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, outputs: usize) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    let dtype = extent::dtype(x);
    let same = || typed(dtype, x.dims.clone());
    Ok(vec![match op {
        Op::Identity => same(),
        Op::Reshape { allow_zero } => typed(dtype, reshape::reshape(x, inputs, *allow_zero)?),
        Op::Flatten { axis } => typed(dtype, reshape::flatten(x, *axis)?),
        Op::Squeeze => typed(dtype, reshape::squeeze(x, inputs)?),
        Op::Unsqueeze => typed(dtype, reshape::unsqueeze(x, inputs)?),
        Op::Transpose { permutation } => typed(dtype, reshape::transpose(x, permutation)?),
        Op::Expand => typed(dtype, reshape::expand(x, inputs)?),
        Op::Tile => typed(dtype, reshape::tile(x, inputs)?),
        Op::DepthToSpace { block, .. } => typed(dtype, reshape::depth_to_space(x, *block)?),
        Op::SpaceToDepth { block, .. } => typed(dtype, reshape::space_to_depth(x, *block)?),
        Op::Concat { axis } => typed(dtype, cut::concat(inputs, *axis)?),
        Op::Split { axis } => return cut::split(x, inputs, *axis, outputs),
        Op::Slice => typed(dtype, cut::slice(x, inputs)?),
        Op::Pad { .. } => typed(dtype, cut::pad(x, inputs)?),
        Op::CenterCropPad { axes } => typed(dtype, cut::center_crop_pad(x, inputs, axes)?),
        Op::Compress { axis } => typed(dtype, cut::compress(x, inputs, *axis)?),
        Op::Gather(mode) => typed(dtype, pick::gather(x, inputs, *mode)?),
        Op::ScatterElements { axis, .. } => {
            pick::scatter_elements(x, inputs, *axis)?;
            same()
        }
        Op::ScatterNd { .. } => {
            pick::scatter_nd(x, inputs)?;
            same()
        }
        Op::TensorScatter { axis, .. } => {
            pick::tensor_scatter(x, inputs, *axis)?;
            same()
        }
        Op::OneHot { axis } => pick::one_hot(x, inputs, *axis)?,
        Op::Shape { start, end } => {
            let count = x
                .rank()
                .map(|rank| Dim::Known(shape_range(rank, *start, *end).len()));
            typed(Dtype::I64, count.map(|n| vec![n]))
        }
        Op::Size => typed(Dtype::I64, Some(Vec::new())),
        Op::ConstantOfShape { value } => {
            let one = value.len() == 1;
            ensure(one, ErrorKind::Shape, "a value of one element", value.len())?;
            let dims = extent::ints(inputs, 0)?
                .map(|shape| {
                    shape
                        .into_iter()
                        .map(|n| extent::extent(n).map(Dim::Known))
                        .collect()
                })
                .transpose()?;
            typed(value.dtype(), dims)
        }
        Op::Range => {
            let known = (inputs.constant(0), inputs.constant(1), inputs.constant(2));
            let dims = match known {
                (Some(start), Some(limit), Some(delta)) => {
                    Some(vec![Dim::Known(range_length(start, limit, delta)?)])
                }
                _ => None,
            };
            typed(dtype, dims)
        }
        Op::EyeLike { dtype, .. } => {
            let rank = x.rank();
            ensure(rank.is_none_or(|r| r == 2), ErrorKind::Shape, "a matrix", x)?;
            typed(*dtype, x.dims.clone())
        }
        Op::Trilu { .. } => {
            let matrices = x.rank().is_none_or(|r| r >= 2);
            ensure(matrices, ErrorKind::Shape, "two axes or more", x)?;
            same()
        }
        Op::NonZero => typed(Dtype::I64, None),
        Op::Unique { axis: along, .. } => {
            if let (Some(number), Some(rank)) = (along, x.rank()) {
                axis(*number, rank)?;
            }
            let places = typed(Dtype::I64, None);
            return Ok(vec![typed(dtype, None), places.clone(), places.clone(), places]);
        }
        Op::ReverseSequence {
            batch_axis,
            time_axis,
        } => {
            if let Some(rank) = x.rank() {
                let (batch, time) = (axis(*batch_axis, rank)?, axis(*time_axis, rank)?);
                ensure(batch != time, ErrorKind::Value, "two different axes", batch)?;
            }
            same()
        }
        Op::Einsum { equation } => {
            let types = (0..inputs.count())
                .map(|n| inputs.ty(n))
                .collect::<Result<Vec<_>>>()?;
            for ty in &types {
                let found = extent::dtype(ty);
                ensure(found == dtype, ErrorKind::Dtype, dtype.name(), found)?;
            }
            let dims: Option<Vec<_>> = types.iter().map(|ty| ty.dims.as_deref()).collect();
            let dims = match dims {
                Some(dims) => Equation::new(equation, &dims)?.output_dims(),
                None => None,
            };
            typed(dtype, dims)
        }
        Op::Det => {
            ensure(
                dtype.is_float(),
                ErrorKind::Dtype,
                "floating-point elements",
                dtype,
            )?;
            let dims = match &x.dims {
                Some(dims) => {
                    let [outer @ .., a, b] = dims.as_slice() else {
                        return Err(Error::new(ErrorKind::Shape, "", "two axes or more", x));
                    };
                    let square = a == b || a.known().is_none() || b.known().is_none();
                    ensure(square, ErrorKind::Shape, "square matrices", x)?;
                    Some(outer.to_vec())
                }
                None => None,
            };
            typed(dtype, dims)
        }
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "an operation with a known shape",
                format!("{other:?}"),
            ));
        }
    }])
}

/// The axes `start..end` of `Shape`, both limited to those that there are.
pub(crate) fn shape_range(rank: usize, start: i64, end: Option<i64>) -> std::ops::Range<usize> {
    let place = |n: i64| {
        let n = if n < 0 { n.saturating_add(rank as i64) } else { n };
        n.clamp(0, rank as i64) as usize
    };
    let (start, end) = (place(start), end.map_or(rank, place));
    start..end.max(start)
}

/// Number of elements of `Range`.
fn range_length(
    start: &crate::tensor::Tensor,
    limit: &crate::tensor::Tensor,
    delta: &crate::tensor::Tensor,
) -> Result<usize> {
    for tensor in [start, limit, delta] {
        let one = tensor.len() == 1;
        ensure(one, ErrorKind::Shape, "one element", tensor.len())?;
    }
    let count = if start.dtype().is_integer() {
        let (start, limit, delta) = (start.to_i64()?[0], limit.to_i64()?[0], delta.to_i64()?[0]);
        ensure(delta != 0, ErrorKind::Value, "a step other than 0", delta)?;
        Cut::new(start, limit, delta).length
    } else {
        let (start, limit, delta) = (real(start)?, real(limit)?, real(delta)?);
        let count = ((limit - start) / delta).ceil().max(0.0);
        ensure(count.is_finite(), ErrorKind::Value, "a finite range", count)?;
        count as usize
    };
    extent::checked_count(&[count])
}

/// The only element of a tensor of floats.
fn real(tensor: &crate::tensor::Tensor) -> Result<f64> {
    if tensor.dtype() == Dtype::F64 {
        return Ok(tensor.elements::<f64>()?[0]);
    }
    Ok(f64::from(tensor.to_f32()[0]))
}
