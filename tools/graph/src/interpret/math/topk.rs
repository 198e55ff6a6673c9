//! The greatest or least elements along an axis.

use std::cmp::Ordering;

use crate::error::Result;
use crate::infer::extent;
use crate::interpret::strided::around;
use crate::interpret::wide::{Narrow, for_each_wide, widen};
use crate::tensor::{Storage, Tensor};

/// Values and places of the `shape[axis]` greatest or least elements along an axis, in order; of equal ones the first
/// comes first, and NaN is greater than all.
pub(super) fn top_k(x: &Tensor, axis: i64, shape: &[usize], largest: bool) -> Result<(Storage, Storage)> {
    fn order<T: PartialOrd>(a: &T, b: &T) -> Ordering {
        let is_nan = |x: &T| x.partial_cmp(x).is_none();
        a.partial_cmp(b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
    }
    fn apply<T: Copy + PartialOrd>(
        x: &[T],
        (outer, length, inner): (usize, usize, usize),
        k: usize,
        largest: bool,
    ) -> (Vec<T>, Vec<i64>) {
        let count = outer * inner * k;
        let (mut values, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for o in 0..outer {
            let mut lines = Vec::with_capacity(inner);
            for i in 0..inner {
                let at = |n: usize| x[(o * length + n) * inner + i];
                let mut line: Vec<usize> = (0..length).collect();
                line.sort_by(|&a, &b| {
                    let order = order(&at(a), &at(b));
                    if largest { order.reverse() } else { order }
                });
                line.truncate(k);
                lines.push(line);
            }
            for rank in 0..k {
                for (i, line) in lines.iter().enumerate() {
                    values.push(x[(o * length + line[rank]) * inner + i]);
                    places.push(line[rank] as i64);
                }
            }
        }
        (values, places)
    }
    let place = extent::axis(axis, x.rank())?;
    let parts = around(x.shape(), place);
    let dtype = x.dtype();
    for_each_wide!(widen(x), x => {
        let (values, places) = apply(&x, parts, shape[place], largest);
        Ok((Narrow::narrow(values, dtype)?, places.into()))
    })
}
