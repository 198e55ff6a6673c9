//! Elementwise functions and what runs along axes.

mod axis;
mod binary;

mod compare;
#[cfg(test)]
mod properties;
mod reduce;
#[cfg(test)]
mod tests;
mod topk;
mod unary;

use crate::error::{Error, ErrorKind, Result};
use crate::interpret::{Call, cast};
use crate::op::Op;
use crate::tensor::Tensor;

/// The outputs, those at the end that are not wanted left out.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    let shape = call.shape(0)?;
    let x = call.input(0)?;
    let storage = match call.op {
        Op::Unary(function) => unary::unary(*function, x)?,
        Op::Binary(function) => binary::binary(*function, x, call.input(1)?, &shape)?,
        Op::Variadic(function) => return Ok(vec![binary::variadic(*function, call)?]),
        Op::Compare(function) => compare::compare(*function, x, call.input(1)?, &shape)?,
        Op::Logic(function) => compare::logic(*function, x, call.input(1)?, &shape)?,
        Op::Where => compare::select(x, call.input(1)?, call.input(2)?, &shape)?,
        Op::Clip => compare::clip(x, call.optional(1), call.optional(2))?,
        Op::Cast { to, .. } => cast::cast(x, *to),
        Op::BitCast { to } => cast::bit_cast(x, *to)?,
        Op::Reduce {
            function,
            noop_with_empty_axes,
            ..
        } => {
            let axes = call.reduced_axes(*noop_with_empty_axes)?;
            reduce::reduce(*function, x, &axes)?
        }
        Op::ArgExtreme {
            max,
            axis,
            select_last,
            ..
        } => reduce::arg_extreme(x, *axis, *max, *select_last)?,
        Op::Softmax { axis } => axis::softmax(x, *axis)?,
        Op::LogSoftmax { axis } => axis::log_softmax(x, *axis)?,
        Op::Hardmax { axis } => axis::hardmax(x, *axis)?,
        Op::LpNormalization { axis, p } => axis::lp_normalize(x, *axis, *p)?,
        Op::Cumulative {
            product,
            exclusive,
            reverse,
        } => {
            let axis = call.int(1)?;
            axis::cumulate(x, axis, *product, *exclusive, *reverse)?
        }
        Op::TopK {
            axis,
            largest,
            sorted: _,
        } => {
            let (values, places) = topk::top_k(x, *axis, &shape, *largest)?;
            return Ok(vec![Tensor::new(&shape, values)?, Tensor::new(&shape, places)?]);
        }
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "an elementwise operation or reduction",
                format!("{other:?}"),
            ));
        }
    };
    Ok(vec![Tensor::new(&shape, storage)?])
}
