//! What moves, picks and fills.

mod cut;
mod det;
mod einsum;
mod fill;
mod gather;
mod movement;
#[cfg(test)]
mod properties;
mod scatter;
#[cfg(test)]
mod tests;
mod unique;

use crate::error::{Error, ErrorKind, Result};
use crate::infer::shape_range;
use crate::interpret::Call;
use crate::op::Op;
use crate::tensor::Tensor;

/// The outputs, those at the end that are not wanted left out.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.input(0)?;
    // The extents of these depend on elements that they look at.
    match call.op {
        Op::NonZero => return Ok(vec![fill::non_zero(x)?]),
        Op::Unique { axis, sorted } => return unique::unique(x, *axis, *sorted),
        Op::Split { axis } => return cut::split(call, x, *axis),
        _ => {}
    }
    let shape = call.shape(0)?;
    let storage = match call.op {
        Op::Identity | Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze | Op::Unsqueeze => {
            x.storage().clone()
        }
        Op::Transpose { permutation } => movement::transpose(x, permutation)?,
        Op::Expand => movement::expand(x, &shape)?,
        Op::Tile => movement::tile(x, &call.ints(1)?)?,
        Op::DepthToSpace { block, crd } => movement::depth_to_space(x, *block, *crd)?,
        Op::SpaceToDepth { block, crd } => movement::space_to_depth(x, *block, *crd)?,
        Op::ReverseSequence {
            batch_axis,
            time_axis,
        } => movement::reverse_sequence(x, &call.ints(1)?, *batch_axis, *time_axis)?,
        Op::Concat { axis } => cut::concat(call, *axis, &shape)?,
        Op::Slice => cut::slice(call, x, &shape)?,
        Op::Pad { mode } => cut::pad(call, x, *mode, &shape)?,
        Op::CenterCropPad { .. } => cut::center_crop_pad(x, &shape)?,
        Op::Compress { axis } => cut::compress(x, call.input(1)?, *axis)?,
        Op::Gather(mode) => gather::gather(x, call.input(1)?, *mode, &shape)?,
        Op::ScatterElements { axis, reduction } => {
            scatter::elements(x, call.input(1)?, call.input(2)?, *axis, *reduction)?
        }
        Op::ScatterNd { reduction } => scatter::nd(x, call.input(1)?, call.input(2)?, *reduction)?,
        Op::TensorScatter { axis, circular } => {
            scatter::cache(x, call.input(1)?, call.optional(2), *axis, *circular)?
        }
        Op::Shape { start, end } => {
            let extents = &x.shape()[shape_range(x.rank(), *start, *end)];
            extents.iter().map(|&n| n as i64).collect::<Vec<_>>().into()
        }
        Op::Size => vec![x.len() as i64].into(),
        Op::ConstantOfShape { value } => movement::expand(&value.reshaped(&[])?, &shape)?,
        Op::Range => fill::range(x, call.input(2)?, &shape)?,
        Op::EyeLike { dtype, k } => fill::eye(&shape, *dtype, *k)?,
        Op::Trilu { upper } => {
            let k = if call.optional(1).is_some() {
                call.int(1)?
            } else {
                0
            };
            fill::triangle(x, k, *upper)
        }
        Op::OneHot { axis } => fill::one_hot(x, call.input(2)?, *axis, &shape)?,
        Op::Einsum { equation } => einsum::einsum(call, equation)?,
        Op::Det => det::det(x)?,
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "an operation that is implemented",
                format!("{other:?}"),
            ));
        }
    };
    Ok(vec![Tensor::new(&shape, storage)?])
}
