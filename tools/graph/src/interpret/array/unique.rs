//! Distinct elements or slices.

use std::cmp::Ordering;

use crate::error::Result;
use crate::for_each_storage;
use crate::infer::extent;
use crate::interpret::strided::{around, pick};
use crate::tensor::{Storage, Tensor};

/// The distinct elements (or slices along an axis), where each comes first, which one each input is, and how often
/// each is there.
pub(super) fn unique(x: &Tensor, axis: Option<i64>, sorted: bool) -> Result<Vec<Tensor>> {
    let (along, shape) = match axis {
        Some(axis) => (extent::axis(axis, x.rank())?, x.shape().to_vec()),
        None => (0, vec![x.len()]),
    };
    let parts @ (outer, length, inner) = around(&shape, along);
    let mut groups = for_each_storage!(x.storage(), x => groups(x, parts));
    if !sorted {
        groups.sort_by_key(|group| group[0]);
    }
    let mut inverse = vec![0i64; length];
    for (n, group) in groups.iter().enumerate() {
        for &place in group {
            inverse[place] = n as i64;
        }
    }
    let maps = [
        (0..outer).map(Some).collect(),
        groups.iter().map(|group| Some(group[0])).collect(),
        (0..inner).map(Some).collect(),
    ];
    let elements = for_each_storage!(x.storage(), x => {
        Storage::from(pick(x, &[outer, length, inner], &maps, Default::default())?)
    });
    let mut out = shape;
    out[along] = groups.len();
    let first = groups.iter().map(|group| group[0] as i64).collect();
    let counts = groups.iter().map(|group| group.len() as i64).collect();
    Ok(vec![
        Tensor::new(&out, elements)?,
        Tensor::vector(first),
        Tensor::vector(inverse),
        Tensor::vector(counts),
    ])
}

/// Places along the axis whose slices are equal, in ascending order of slices.
fn groups<T: Copy + PartialOrd>(x: &[T], (outer, length, inner): (usize, usize, usize)) -> Vec<Vec<usize>> {
    let is_nan = |x: &T| x.partial_cmp(x).is_none();
    let order = |a: usize, b: usize| {
        for o in 0..outer {
            let at = |n: usize| (o * length + n) * inner;
            for (a, b) in x[at(a)..at(a) + inner].iter().zip(&x[at(b)..at(b) + inner]) {
                let order = a.partial_cmp(b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)));
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
        Ordering::Equal
    };
    let mut places: Vec<usize> = (0..length).collect();
    places.sort_by(|&a, &b| order(a, b));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for place in places {
        match groups.last_mut() {
            Some(group) if order(group[0], place) == Ordering::Equal => group.push(place),
            _ => groups.push(vec![place]),
        }
    }
    groups
}
