//! Rotary position embedding.

use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::op::RotaryEmbedding;
use crate::tensor::Tensor;

/// `(X, cos, sin, positions?)`: X `[batch, heads, length, size]` or `[batch, length, heads * size]`.
pub(super) fn run(
    r: &RotaryEmbedding,
    x: &Tensor,
    cos: &Tensor,
    sin: &Tensor,
    positions: Option<&Tensor>,
) -> Result<Tensor> {
    let refused = || {
        Error::new(
            ErrorKind::Shape,
            "",
            format!(
                "X [batch,heads,length,size], or [batch,length,heads*size] with {} heads, of which {} are turned",
                r.heads, r.dim
            ),
            format!("{:?}", x.shape()),
        )
    };
    // How far apart neighbours along batch, head and place are.
    let (batch, heads, length, size, steps) = match *x.shape() {
        [b, h, l, s] => (b, h, l, s, [h * l * s, l * s, s]),
        [b, l, w] if r.heads > 0 && w % r.heads == 0 => {
            let s = w / r.heads;
            (b, r.heads, l, s, [l * w, s, w])
        }
        _ => return Err(refused()),
    };
    let turned = if r.dim == 0 { size } else { r.dim };
    if turned > size || turned % 2 != 0 {
        return Err(refused());
    }
    let half = turned / 2;
    let rows = angle_rows(positions, [batch, length], [cos, sin], half)?;
    let (cos, sin) = (real::floats(cos)?, real::floats(sin)?);
    let mut values = real::floats(x)?;
    for n in 0..batch * heads * length {
        let (b, h, place) = (n / length / heads, n / length % heads, n % length);
        let head = &mut values[b * steps[0] + h * steps[1] + place * steps[2]..][..size];
        let row = rows[b * length + place] * half;
        for pair in 0..half {
            let (first, second) = if r.interleaved {
                (2 * pair, 2 * pair + 1)
            } else {
                (pair, half + pair)
            };
            let (c, s) = (cos[row + pair], sin[row + pair]);
            let (real, imaginary) = (head[first], head[second]);
            head[first] = c * real - s * imaginary;
            head[second] = s * real + c * imaginary;
        }
    }
    real::tensor(x.shape(), x.dtype(), values)
}

/// The row of cosines and sines for each batch and place.
fn angle_rows(
    positions: Option<&Tensor>,
    [batch, length]: [usize; 2],
    angles: [&Tensor; 2],
    half: usize,
) -> Result<Vec<usize>> {
    let refused = |expected: String| {
        let found = format!("{:?} and {:?}", angles[0].shape(), angles[1].shape());
        Error::new(ErrorKind::Shape, "cosines and sines", expected, found)
    };
    let shape = angles[0].shape();
    if angles[1].shape() != shape {
        return Err(refused("equal shapes".to_owned()));
    }
    let Some(positions) = positions else {
        if shape != [batch, length, half] {
            return Err(refused(format!("[{batch},{length},{half}]")));
        }
        return Ok((0..batch * length).collect());
    };
    let &[count, width] = shape else {
        return Err(refused(format!("[positions,{half}]")));
    };
    if width != half || positions.shape() != [batch, length] {
        return Err(refused(format!(
            "[positions,{half}], with positions [{batch},{length}] and not {:?}",
            positions.shape()
        )));
    }
    positions
        .to_i64()?
        .into_iter()
        .map(|p| {
            usize::try_from(p)
                .ok()
                .filter(|&p| p < count)
                .ok_or_else(|| Error::new(ErrorKind::Value, "positions", format!("0 to below {count}"), p))
        })
        .collect()
}
