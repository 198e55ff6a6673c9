//! What is computed along one axis and keeps it: softmax and its kin, running sums, norms.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::extent;
use crate::interpret::arithmetic::Number;
use crate::interpret::strided::around;
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::tensor::{Storage, Tensor};

/// Gives `f` each line along an axis as `f64`, to be changed in place.
fn lines(x: &Tensor, axis: i64, f: impl Fn(&mut [f64])) -> Result<Storage> {
    fn apply<T: Copy>(
        x: &[T],
        (outer, length, inner): (usize, usize, usize),
        real: impl Fn(T) -> f64,
        back: impl Fn(f64) -> T,
        f: impl Fn(&mut [f64]),
    ) -> Vec<T> {
        let mut out = x.to_vec();
        let mut line = vec![0.0; length];
        for o in 0..outer {
            for i in 0..inner {
                let start = o * length * inner + i;
                for (n, place) in line.iter_mut().enumerate() {
                    *place = real(x[start + n * inner]);
                }
                f(&mut line);
                for (n, &value) in line.iter().enumerate() {
                    out[start + n * inner] = back(value);
                }
            }
        }
        out
    }
    let parts = around(x.shape(), extent::axis(axis, x.rank())?);
    let dtype = x.dtype();
    if x.is_empty() {
        return Ok(x.storage().clone());
    }
    match widen(x) {
        Wide::F32(x) => f32::narrow(apply(&x, parts, f64::from, |x| x as f32, f), dtype),
        Wide::F64(x) => f64::narrow(apply(&x, parts, |x| x, |x| x, f), dtype),
        _ => Err(Error::new(ErrorKind::Dtype, "", "floating-point elements", dtype)),
    }
}

fn greatest(line: &[f64]) -> f64 {
    line.iter().fold(f64::NEG_INFINITY, |a, &b| a.greatest(b))
}

/// `exp(x - max) / sum` along an axis.
pub(super) fn softmax(x: &Tensor, axis: i64) -> Result<Storage> {
    lines(x, axis, |line| {
        let max = greatest(line);
        let mut sum = 0.0;
        for x in line.iter_mut() {
            *x = (*x - max).exp();
            sum += *x;
        }
        for x in line {
            *x /= sum;
        }
    })
}

/// `x - max - ln(sum exp(x - max))` along an axis.
pub(super) fn log_softmax(x: &Tensor, axis: i64) -> Result<Storage> {
    lines(x, axis, |line| {
        let max = greatest(line);
        let sum: f64 = line.iter().map(|x| (x - max).exp()).sum();
        let shift = max + sum.ln();
        for x in line {
            *x -= shift;
        }
    })
}

/// 1 at the first greatest element along an axis, else 0.
pub(super) fn hardmax(x: &Tensor, axis: i64) -> Result<Storage> {
    lines(x, axis, |line| {
        let mut best = 0;
        for n in 1..line.len() {
            if line[n] > line[best] {
                best = n;
            }
        }
        line.fill(0.0);
        line[best] = 1.0;
    })
}

/// Division by the 1-norm or 2-norm along an axis; a line of zeros stays.
pub(super) fn lp_normalize(x: &Tensor, axis: i64, p: i64) -> Result<Storage> {
    if p != 1 && p != 2 {
        return Err(Error::new(ErrorKind::Value, "p", "1 or 2", p));
    }
    lines(x, axis, |line| {
        let norm = if p == 1 {
            line.iter().map(|x| x.abs()).sum::<f64>()
        } else {
            line.iter().map(|x| x * x).sum::<f64>().sqrt()
        };
        if norm != 0.0 {
            for x in line {
                *x /= norm;
            }
        }
    })
}

/// Running sum or product along an axis; floats in `f64`.
pub(super) fn cumulate(
    x: &Tensor,
    axis: i64,
    product: bool,
    exclusive: bool,
    reverse: bool,
) -> Result<Storage> {
    fn apply<T: Number, A: Number>(
        x: &[T],
        (outer, length, inner): (usize, usize, usize),
        (product, exclusive, reverse): (bool, bool, bool),
        wide: impl Fn(T) -> A,
        back: impl Fn(A) -> T,
    ) -> Vec<T> {
        let mut out = x.to_vec();
        for o in 0..outer {
            for i in 0..inner {
                let mut total = if product { A::one() } else { A::zero() };
                for n in 0..length {
                    let n = if reverse { length - 1 - n } else { n };
                    let place = (o * length + n) * inner + i;
                    let value = wide(x[place]);
                    let next = if product {
                        total.mul(value)
                    } else {
                        total.add(value)
                    };
                    out[place] = back(if exclusive { total } else { next });
                    total = next;
                }
            }
        }
        out
    }
    let parts = around(x.shape(), extent::axis(axis, x.rank())?);
    let how = (product, exclusive, reverse);
    let dtype = x.dtype();
    match widen(x) {
        Wide::F32(x) => f32::narrow(apply(&x, parts, how, f64::from, |x| x as f32), dtype),
        Wide::F64(x) => f64::narrow(apply(&x, parts, how, |x| x, |x: f64| x), dtype),
        Wide::I64(x) => i64::narrow(apply(&x, parts, how, |x| x, |x: i64| x), dtype),
        Wide::U64(x) => u64::narrow(apply(&x, parts, how, |x| x, |x: u64| x), dtype),
    }
}
