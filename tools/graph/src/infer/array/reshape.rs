//! Types of what keeps every element, or repeats all.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, axis_or_end, ensure, extent, ints, show};
use crate::types::{Dim, TensorType};

/// A product of extents: a number, and the symbols in it.
struct Product {
    number: usize,
    symbols: Vec<Dim>,
}

impl Product {
    fn of(dims: &[Dim]) -> Result<Self> {
        let (mut number, mut symbols) = (1usize, Vec::new());
        for &dim in dims {
            match dim {
                Dim::Known(n) => {
                    number = number.checked_mul(n).ok_or_else(|| {
                        Error::new(
                            ErrorKind::Limit,
                            "",
                            "a number of elements below 2^64",
                            show(dims),
                        )
                    })?;
                }
                Dim::Symbol(_) => symbols.push(dim),
            }
        }
        Ok(Self { number, symbols })
    }

    /// The product as one extent, where it is one.
    fn dim(&self) -> Option<Dim> {
        match (self.number, self.symbols.as_slice()) {
            (0, _) => Some(Dim::Known(0)),
            (n, []) => Some(Dim::Known(n)),
            (1, [one]) => Some(*one),
            _ => None,
        }
    }
}

pub(super) fn reshape(x: &TensorType, inputs: Known<'_>, allow_zero: bool) -> Result<Option<Vec<Dim>>> {
    let Some(list) = ints(inputs, 1)? else {
        return Ok(None);
    };
    let mut dims = Vec::with_capacity(list.len());
    let mut unknown = None;
    for (place, &n) in list.iter().enumerate() {
        dims.push(match n {
            -1 => {
                let first = unknown.replace(place).is_none();
                ensure(first, ErrorKind::Value, "one extent of -1", format!("{list:?}"))?;
                Dim::Known(1)
            }
            0 if !allow_zero => match &x.dims {
                Some(from) => *from.get(place).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Shape,
                        "",
                        format!("an extent at place {place} to copy"),
                        x,
                    )
                })?,
                None => return Ok(None),
            },
            n => Dim::Known(extent(n)?),
        });
    }
    let Some(from) = &x.dims else {
        return Ok(if unknown.is_none() { Some(dims) } else { None });
    };
    let (old, new) = (Product::of(from)?, Product::of(&dims)?);
    let mut left = old.symbols.clone();
    for symbol in &new.symbols {
        match left.iter().position(|s| s == symbol) {
            Some(place) => {
                left.remove(place);
            }
            None => return Ok(None),
        }
    }
    let mismatch = || {
        Error::new(
            ErrorKind::Shape,
            "",
            format!("the {} elements of {x}", old.number),
            format!("{list:?}"),
        )
    };
    let Some(place) = unknown else {
        if left.is_empty() && old.number != new.number {
            return Err(mismatch());
        }
        return Ok(Some(dims));
    };
    if new.number == 0 {
        return Err(mismatch());
    }
    if left.is_empty() && !old.number.is_multiple_of(new.number) {
        return Err(mismatch());
    }
    let rest = Product {
        number: old.number / new.number,
        symbols: left,
    };
    let exact = old.number.is_multiple_of(new.number);
    Ok(rest.dim().filter(|_| exact).map(|dim| {
        dims[place] = dim;
        dims
    }))
}

pub(super) fn flatten(x: &TensorType, axis: i64) -> Result<Option<Vec<Dim>>> {
    let Some(dims) = &x.dims else { return Ok(None) };
    let place = axis_or_end(axis, dims.len())?;
    let (rows, columns) = (Product::of(&dims[..place])?, Product::of(&dims[place..])?);
    Ok(rows.dim().zip(columns.dim()).map(|(a, b)| vec![a, b]))
}

pub(super) fn squeeze(x: &TensorType, inputs: Known<'_>) -> Result<Option<Vec<Dim>>> {
    let Some(dims) = &x.dims else { return Ok(None) };
    if !inputs.has(1) {
        // A symbol may yet be bound to 1.
        let known = dims.iter().all(|d| d.known().is_some());
        return Ok(known.then(|| dims.iter().copied().filter(|&d| d != Dim::Known(1)).collect()));
    }
    let Some(list) = ints(inputs, 1)? else {
        return Ok(None);
    };
    let axes = extent::axes(&list, dims.len())?;
    for &place in &axes {
        let one = dims[place].known().is_none_or(|n| n == 1);
        ensure(
            one,
            ErrorKind::Shape,
            "extents of 1 to drop",
            format!("{x}, axes {list:?}"),
        )?;
    }
    Ok(Some(
        dims.iter()
            .enumerate()
            .filter(|(place, _)| !axes.contains(place))
            .map(|(_, &dim)| dim)
            .collect(),
    ))
}

pub(super) fn unsqueeze(x: &TensorType, inputs: Known<'_>) -> Result<Option<Vec<Dim>>> {
    inputs.ty(1)?;
    let (Some(dims), Some(list)) = (&x.dims, ints(inputs, 1)?) else {
        return Ok(None);
    };
    let rank = dims.len() + list.len();
    let axes = extent::axes(&list, rank)?;
    let mut old = dims.iter().copied();
    Ok((0..rank)
        .map(|place| {
            if axes.contains(&place) {
                Some(Dim::Known(1))
            } else {
                old.next()
            }
        })
        .collect())
}

/// The permutation of `Transpose`, checked; an empty one turns the order around.
pub(crate) fn permutation(permutation: &[usize], rank: usize) -> Result<Vec<usize>> {
    if permutation.is_empty() {
        return Ok((0..rank).rev().collect());
    }
    let mut seen = vec![false; rank];
    for &place in permutation {
        if let Some(seen @ false) = seen.get_mut(place) {
            *seen = true;
        }
    }
    if permutation.len() != rank || seen.contains(&false) {
        return Err(Error::new(
            ErrorKind::Value,
            "permutation",
            format!("each of {rank} axes once"),
            format!("{permutation:?}"),
        ));
    }
    Ok(permutation.to_vec())
}

pub(super) fn transpose(x: &TensorType, order: &[usize]) -> Result<Option<Vec<Dim>>> {
    let Some(dims) = &x.dims else { return Ok(None) };
    let order = permutation(order, dims.len())?;
    Ok(Some(order.into_iter().map(|place| dims[place]).collect()))
}

pub(super) fn expand(x: &TensorType, inputs: Known<'_>) -> Result<Option<Vec<Dim>>> {
    let (Some(dims), Some(list)) = (&x.dims, ints(inputs, 1)?) else {
        return Ok(None);
    };
    let to = list
        .into_iter()
        .map(|n| extent(n).map(Dim::Known))
        .collect::<Result<Vec<_>>>()?;
    extent::broadcast(dims, &to)
}

pub(super) fn tile(x: &TensorType, inputs: Known<'_>) -> Result<Option<Vec<Dim>>> {
    let (Some(dims), Some(repeats)) = (&x.dims, ints(inputs, 1)?) else {
        return Ok(None);
    };
    let expected = format!("{} repeats", dims.len());
    ensure(
        repeats.len() == dims.len(),
        ErrorKind::Shape,
        &expected,
        repeats.len(),
    )?;
    let mut found = Vec::with_capacity(dims.len());
    for (&dim, &repeat) in dims.iter().zip(&repeats) {
        match (dim, extent(repeat)?) {
            (dim, 1) => found.push(dim),
            (_, 0) => found.push(Dim::Known(0)),
            (Dim::Known(n), repeat) => found.push(Dim::Known(n.checked_mul(repeat).ok_or_else(|| {
                Error::new(
                    ErrorKind::Limit,
                    "",
                    "an extent below 2^64",
                    format!("{n} * {repeat}"),
                )
            })?)),
            (Dim::Symbol(_), _) => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn image(x: &TensorType, block: usize) -> Result<Option<[Dim; 4]>> {
    ensure(block > 0, ErrorKind::Value, "a block of at least 1", block)?;
    let Some(dims) = &x.dims else { return Ok(None) };
    match dims.as_slice() {
        &[n, c, h, w] => Ok(Some([n, c, h, w])),
        _ => Err(Error::new(ErrorKind::Shape, "", "four axes", x)),
    }
}

fn times(dim: Dim, factor: usize) -> Option<Dim> {
    match dim {
        Dim::Known(n) => n.checked_mul(factor).map(Dim::Known),
        symbol => (factor == 1).then_some(symbol),
    }
}

fn divided(dim: Dim, divisor: usize, x: &TensorType) -> Result<Option<Dim>> {
    match dim {
        Dim::Known(n) if n.is_multiple_of(divisor) => Ok(Some(Dim::Known(n / divisor))),
        Dim::Known(_) => Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("extents that are multiples of {divisor}"),
            x,
        )),
        symbol => Ok((divisor == 1).then_some(symbol)),
    }
}

fn square(block: usize) -> Result<usize> {
    block
        .checked_mul(block)
        .ok_or_else(|| Error::new(ErrorKind::Value, "", "a block below 2^32", block))
}

pub(super) fn depth_to_space(x: &TensorType, block: usize) -> Result<Option<Vec<Dim>>> {
    let Some([n, c, h, w]) = image(x, block)? else {
        return Ok(None);
    };
    let channels = divided(c, square(block)?, x)?;
    Ok([Some(n), channels, times(h, block), times(w, block)]
        .into_iter()
        .collect())
}

pub(super) fn space_to_depth(x: &TensorType, block: usize) -> Result<Option<Vec<Dim>>> {
    let Some([n, c, h, w]) = image(x, block)? else {
        return Ok(None);
    };
    let (rows, columns) = (divided(h, block, x)?, divided(w, block, x)?);
    Ok([Some(n), times(c, square(block)?), rows, columns]
        .into_iter()
        .collect())
}
