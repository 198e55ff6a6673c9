//! Extents of attention and recurrent layers.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{dtype, typed};
use crate::op::{Attention, Cell, Direction, Recurrent};
use crate::types::{Dim, TensorType};

/// Dims `[batch, heads, length, size]` of queries, keys or values; `None` while they are unknown.
fn heads(ty: &TensorType, heads: Option<usize>) -> Result<Option<[Dim; 4]>> {
    match ty.dims.as_deref() {
        None => Ok(None),
        Some(&[batch, heads, length, size]) => Ok(Some([batch, heads, length, size])),
        Some(&[batch, length, width]) => {
            let size = match (width.known(), heads) {
                (Some(width), Some(heads)) if heads > 0 && width % heads == 0 => width / heads,
                (None, Some(_)) => return Ok(None),
                _ => {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        "",
                        format!("[batch,length,heads*size] with heads ({heads:?})"),
                        ty,
                    ));
                }
            };
            Ok(heads.map(|heads| [batch, Dim::Known(heads), length, Dim::Known(size)]))
        }
        Some(_) => Err(Error::new(
            ErrorKind::Shape,
            "",
            "[batch,heads,length,size] or [batch,length,heads*size]",
            ty,
        )),
    }
}

/// `(Q, K, V, mask?, past_key?, past_value?, nonpad?)` of [`crate::Op::Attention`].
pub(super) fn attention(a: &Attention, inputs: Known<'_>) -> Result<Vec<TensorType>> {
    let (q, k, v) = (inputs.ty(0)?, inputs.ty(1)?, inputs.ty(2)?);
    let types = [q, k, v, q].map(dtype);
    let unknown = || types.map(TensorType::unshaped).to_vec();
    let (Some(query), Some(key), Some(value)) = (
        heads(q, a.query_heads)?,
        heads(k, a.key_heads)?,
        heads(v, a.key_heads)?,
    ) else {
        return Ok(unknown());
    };
    // Keys before those that are given; unknown where they are symbols.
    let past = match inputs.optional(4).map(|past| past.dims.as_deref()) {
        None => Some(0),
        Some(Some(&[_, _, Dim::Known(past), _])) => Some(past),
        Some(_) => None,
    };
    let total = match (past, key[2]) {
        (Some(0), length) => length,
        (Some(past), Dim::Known(length)) => Dim::Known(past.saturating_add(length)),
        _ => return Ok(unknown()),
    };
    let y = match (q.rank(), query[1], value[3]) {
        (Some(3), Dim::Known(heads), Dim::Known(size)) => {
            vec![query[0], query[2], Dim::Known(heads.saturating_mul(size))]
        }
        (Some(3), ..) => return Ok(unknown()),
        _ => vec![query[0], query[1], query[2], value[3]],
    };
    let dims = [
        y,
        vec![key[0], key[1], total, key[3]],
        vec![value[0], value[1], total, value[3]],
        vec![query[0], query[1], query[2], total],
    ];
    Ok(types
        .into_iter()
        .zip(dims)
        .map(|(ty, dims)| typed(ty, Some(dims)))
        .collect())
}

/// `(X, W, R, ...)` of [`crate::Op::Recurrent`].
pub(super) fn recurrent(r: &Recurrent, inputs: Known<'_>) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    let directions = Dim::Known(if r.direction == Direction::Both { 2 } else { 1 });
    let hidden = Dim::Known(r.hidden);
    let shapes = match x.dims.as_deref() {
        None => None,
        Some(&[time, batch, _]) if !r.batch_first => Some((
            vec![time, directions, batch, hidden],
            vec![directions, batch, hidden],
        )),
        Some(&[batch, time, _]) => Some((
            vec![batch, time, directions, hidden],
            vec![batch, directions, hidden],
        )),
        Some(_) => {
            return Err(Error::new(
                ErrorKind::Shape,
                "X",
                "[time,batch,input], or [batch,time,input]",
                x,
            ));
        }
    };
    let (all, last) = shapes.unzip();
    let mut types = vec![typed(dtype(x), all), typed(dtype(x), last.clone())];
    if matches!(r.cell, Cell::Lstm { .. }) {
        types.push(typed(dtype(x), last));
    }
    Ok(types)
}
