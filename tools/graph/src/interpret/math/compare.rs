//! Comparisons, logic, choices and limits.

use crate::error::{Error, ErrorKind, Result};
use crate::for_each_storage;
use crate::interpret::arithmetic::Number;
use crate::interpret::strided::{Walk, broadcast_strides, zip};
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::op::{Compare, Logic};
use crate::tensor::{Element, Storage, Tensor};

/// The comparison of the elements of two tensors broadcast to `shape`.
pub(super) fn compare(function: Compare, a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Storage> {
    fn apply<T: Number>(
        function: Compare,
        a: (&[T], &[usize]),
        b: (&[T], &[usize]),
        shape: &[usize],
    ) -> Result<Vec<bool>> {
        match function {
            Compare::Equal => zip(a, b, shape, |a, b| a == b),
            Compare::NotEqual => zip(a, b, shape, |a, b| a != b),
            Compare::Less => zip(a, b, shape, |a, b| a < b),
            Compare::LessOrEqual => zip(a, b, shape, |a, b| a <= b),
            Compare::Greater => zip(a, b, shape, |a, b| a > b),
            Compare::GreaterOrEqual => zip(a, b, shape, |a, b| a >= b),
        }
    }
    let (s, t) = (a.shape(), b.shape());
    let flags = match (widen(a), widen(b)) {
        (Wide::F32(a), Wide::F32(b)) => apply(function, (&a, s), (&b, t), shape)?,
        (Wide::F64(a), Wide::F64(b)) => apply(function, (&a, s), (&b, t), shape)?,
        (Wide::I64(a), Wide::I64(b)) => apply(function, (&a, s), (&b, t), shape)?,
        (Wide::U64(a), Wide::U64(b)) => apply(function, (&a, s), (&b, t), shape)?,
        _ => return Err(Error::new(ErrorKind::Dtype, "", a.dtype(), b.dtype())),
    };
    Ok(flags.into())
}

/// The function of two tensors of `bool`s broadcast to `shape`.
pub(super) fn logic(function: Logic, a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Storage> {
    let (a, b) = (
        (a.elements::<bool>()?, a.shape()),
        (b.elements::<bool>()?, b.shape()),
    );
    Ok(match function {
        Logic::And => zip(a, b, shape, |a, b| a && b)?,
        Logic::Or => zip(a, b, shape, |a, b| a || b)?,
        Logic::Xor => zip(a, b, shape, |a: bool, b: bool| a != b)?,
    }
    .into())
}

/// Elements of `a` where the condition is true, else of `b`, all broadcast to `shape`.
pub(super) fn select(condition: &Tensor, a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Storage> {
    fn apply<T: Element>(
        (condition, c_shape): (&[bool], &[usize]),
        (a, a_shape): (&[T], &[usize]),
        (b, b_shape): (&[T], &[usize]),
        shape: &[usize],
    ) -> Vec<T> {
        let walk = Walk::new(
            shape,
            [
                &broadcast_strides(c_shape, shape),
                &broadcast_strides(a_shape, shape),
                &broadcast_strides(b_shape, shape),
            ],
        );
        let (length, [c_step, a_step, b_step]) = (walk.run_length() as isize, walk.run_steps());
        let mut out = Vec::with_capacity(shape.iter().product());
        walk.runs([0; 3], |[c, i, j]| {
            out.extend((0..length).map(|n| {
                if condition[(c + n * c_step) as usize] {
                    a[(i + n * a_step) as usize]
                } else {
                    b[(j + n * b_step) as usize]
                }
            }));
        });
        out
    }
    let flags = (condition.elements::<bool>()?, condition.shape());
    let (s, t) = (a.shape(), b.shape());
    Ok(for_each_storage!(a.storage(), a => {
        Storage::from(apply(flags, (a, s), (b.elements()?, t), shape))
    }))
}

/// Elements limited from below and above; the upper limit wins where the two cross.
pub(super) fn clip(x: &Tensor, min: Option<&Tensor>, max: Option<&Tensor>) -> Result<Storage> {
    fn apply<T: Number>(x: &[T], min: Option<T>, max: Option<T>) -> Vec<T> {
        x.iter()
            .map(|&x| {
                let x = min.map_or(x, |min| if x < min { min } else { x });
                max.map_or(x, |max| if x > max { max } else { x })
            })
            .collect()
    }
    let dtype = x.dtype();
    macro_rules! clip {
        ($($variant:ident $type:ident),*) => {
            match widen(x) {
                $(Wide::$variant(x) => {
                    let limit = |tensor: Option<&Tensor>| match tensor.map(widen) {
                        None => Ok(None),
                        Some(Wide::$variant(limit)) => Ok(limit.first().copied()),
                        Some(_) => Err(Error::new(ErrorKind::Dtype, "limit", dtype, "another type")),
                    };
                    $type::narrow(apply(&x, limit(min)?, limit(max)?), dtype)
                })*
            }
        };
    }
    clip!(F32 f32, F64 f64, I64 i64, U64 u64)
}
