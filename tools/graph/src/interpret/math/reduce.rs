//! Reductions along axes.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::extent;
use crate::interpret::arithmetic::Number;
use crate::interpret::strided::{Walk, around, strides};
use crate::interpret::wide::{Narrow, Wide, for_each_wide, widen};
use crate::op::Reduce;
use crate::tensor::{Storage, Tensor};

/// The reduction over the given axes, the others in their order.
pub(super) fn reduce(function: Reduce, x: &Tensor, axes: &[usize]) -> Result<Storage> {
    let places = Places::new(x.shape(), axes);
    let dtype = x.dtype();
    match widen(x) {
        Wide::F32(x) => {
            let found = floats(function, &x, &places, |&x| f64::from(x));
            f32::narrow(found.into_iter().map(|x| x as f32).collect(), dtype)
        }
        Wide::F64(x) => f64::narrow(floats(function, &x, &places, |&x| x), dtype),
        Wide::I64(x) => {
            let (least, greatest) = bounds(dtype);
            let found = integers(function, &x, &places, (least, greatest), i64::wrapping_abs)
                .unwrap_or_else(|| truncated(function, &x, &places, |&x| x as f64, |x| x as i64));
            i64::narrow(found, dtype)
        }
        Wide::U64(x) => {
            let found = integers(function, &x, &places, (0, u64::MAX), |x| x)
                .unwrap_or_else(|| truncated(function, &x, &places, |&x| x as f64, |x| x as u64));
            u64::narrow(found, dtype)
        }
    }
}

/// Least and greatest value of a type that is computed in `i64`.
fn bounds(dtype: Dtype) -> (i64, i64) {
    match dtype {
        Dtype::Bool => (0, 1),
        other => other.bounds().unwrap_or((i64::MIN, i64::MAX)),
    }
}

/// Where the elements of a tensor go when it is reduced.
struct Places {
    walk: Walk<2>,
    outputs: usize,
    reduced: usize,
}

impl Places {
    fn new(shape: &[usize], axes: &[usize]) -> Self {
        let mut to = vec![0isize; shape.len()];
        let (mut outputs, mut reduced) = (1usize, 1usize);
        for place in (0..shape.len()).rev() {
            if axes.contains(&place) {
                reduced *= shape[place];
            } else {
                to[place] = outputs as isize;
                outputs *= shape[place];
            }
        }
        Self {
            walk: Walk::new(shape, [&strides(shape), &to]),
            outputs,
            reduced,
        }
    }

    /// Puts every element together with what is there of its output.
    fn fold<T, A: Copy>(&self, x: &[T], first: A, f: impl Fn(A, &T) -> A) -> Vec<A> {
        let mut out = vec![first; self.outputs];
        let length = self.walk.run_length();
        let [_, step] = self.walk.run_steps();
        self.walk.runs([0, 0], |[from, to]| {
            let (run, to) = (&x[from as usize..from as usize + length], to as usize);
            if step == 0 {
                out[to] = run.iter().fold(out[to], &f);
            } else {
                for (x, out) in run.iter().zip(&mut out[to..to + length]) {
                    *out = f(*out, x);
                }
            }
        });
        out
    }

    /// As [`Places::fold`], with one number for each output.
    fn fold_with<T>(&self, x: &[T], with: &[f64], f: impl Fn(f64, &T, f64) -> f64) -> Vec<f64> {
        let mut out = vec![0.0; self.outputs];
        let length = self.walk.run_length();
        let [_, step] = self.walk.run_steps();
        self.walk.runs([0, 0], |[from, to]| {
            for (n, x) in x[from as usize..from as usize + length].iter().enumerate() {
                let place = to as usize + n * step as usize;
                out[place] = f(out[place], x, with[place]);
            }
        });
        out
    }
}

/// Reductions of real numbers, in `f64`.
fn floats<T>(function: Reduce, x: &[T], places: &Places, real: impl Fn(&T) -> f64) -> Vec<f64> {
    let sum = |f: fn(f64) -> f64| places.fold(x, 0.0, |sum, x| sum + f(real(x)));
    let each = |mut out: Vec<f64>, f: &dyn Fn(f64) -> f64| {
        for x in &mut out {
            *x = f(*x);
        }
        out
    };
    match function {
        Reduce::Sum => sum(|x| x),
        Reduce::Mean => each(sum(|x| x), &|x| x / places.reduced as f64),
        Reduce::Max => places.fold(x, f64::NEG_INFINITY, |a, x| a.greatest(real(x))),
        Reduce::Min => places.fold(x, f64::INFINITY, |a, x| a.least(real(x))),
        Reduce::Prod => places.fold(x, 1.0, |product, x| product * real(x)),
        Reduce::L1 => sum(f64::abs),
        Reduce::L2 => each(sum(|x| x * x), &f64::sqrt),
        Reduce::LogSum => each(sum(|x| x), &f64::ln),
        Reduce::SumSquare => sum(|x| x * x),
        Reduce::LogSumExp => {
            let greatest = places.fold(x, f64::NEG_INFINITY, |a, x| a.greatest(real(x)));
            // An infinite maximum is the answer, and would make NaN of the differences.
            let shift: Vec<f64> = greatest
                .iter()
                .map(|&x| if x.is_finite() { x } else { 0.0 })
                .collect();
            let sums = places.fold_with(x, &shift, |sum, x, shift| sum + (real(x) - shift).exp());
            sums.iter()
                .zip(&shift)
                .map(|(sum, shift)| sum.ln() + shift)
                .collect()
        }
    }
}

/// Reductions that stay in the integers; `None` for the others.
fn integers<T: Number>(
    function: Reduce,
    x: &[T],
    places: &Places,
    (least, greatest): (T, T),
    abs: impl Fn(T) -> T,
) -> Option<Vec<T>> {
    Some(match function {
        Reduce::Sum => places.fold(x, T::zero(), |sum, &x| sum.add(x)),
        Reduce::Max => places.fold(x, least, |a, &x| a.greatest(x)),
        Reduce::Min => places.fold(x, greatest, |a, &x| a.least(x)),
        Reduce::Prod => places.fold(x, T::one(), |product, &x| product.mul(x)),
        Reduce::L1 => places.fold(x, T::zero(), |sum, &x| sum.add(abs(x))),
        Reduce::SumSquare => places.fold(x, T::zero(), |sum, &x| sum.add(x.mul(x))),
        Reduce::Mean => {
            let mut sums = places.fold(x, T::zero(), |sum, &x| sum.add(x));
            for sum in &mut sums {
                *sum = sum.div(T::from_count(places.reduced));
            }
            sums
        }
        Reduce::L2 | Reduce::LogSum | Reduce::LogSumExp => return None,
    })
}

/// Reductions of integers that leave them, cut towards zero.
fn truncated<T, R>(
    function: Reduce,
    x: &[T],
    places: &Places,
    real: impl Fn(&T) -> f64,
    back: impl Fn(f64) -> R,
) -> Vec<R> {
    floats(function, x, places, real).into_iter().map(back).collect()
}

/// Places of the greatest or least elements along an axis; a NaN is greater and less than all.
pub(super) fn arg_extreme(x: &Tensor, axis: i64, max: bool, select_last: bool) -> Result<Storage> {
    fn apply<T: Number>(
        x: &[T],
        (outer, length, inner): (usize, usize, usize),
        max: bool,
        last: bool,
    ) -> Vec<i64> {
        let is_nan = |x: T| x.partial_cmp(&x).is_none();
        let mut out = Vec::with_capacity(outer * inner);
        for o in 0..outer {
            for i in 0..inner {
                let at = |n: usize| x[(o * length + n) * inner + i];
                let mut best = 0;
                for n in 1..length {
                    let (old, new) = (at(best), at(n));
                    let better = if max { new > old } else { new < old };
                    if better || (is_nan(new) && !is_nan(old)) || (last && new == old) {
                        best = n;
                    }
                }
                out.push(best as i64);
            }
        }
        out
    }
    let place = extent::axis(axis, x.rank())?;
    let parts = around(x.shape(), place);
    if parts.1 == 0 {
        return Err(Error::new(ErrorKind::Shape, "", "an axis with elements", 0));
    }
    Ok(for_each_wide!(widen(x), x => apply(&x, parts, max, select_last)).into())
}
