//! Functions of two and of any number of elements.

use std::borrow::Cow;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::interpret::Call;
use crate::interpret::arithmetic::Number;
use crate::interpret::cast::cast;
use crate::interpret::strided::{broadcast_strides, collect, zip};
use crate::interpret::wide::{Narrow, Wide, for_each_wide, widen};
use crate::op::{Binary, Variadic};
use crate::tensor::{Storage, Tensor};

/// The function of the elements of two tensors broadcast to `shape`.
pub(super) fn binary(function: Binary, a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Storage> {
    let dtype = a.dtype();
    if function == Binary::Pow && dtype != b.dtype() {
        return mixed_power(a, b, shape);
    }
    if matches!(function, Binary::Div | Binary::FloorDiv | Binary::Mod { .. })
        && dtype.is_integer()
        && !a.is_empty()
        && b.to_i64().is_ok_and(|b| b.contains(&0))
    {
        return Err(Error::new(
            ErrorKind::Value,
            "",
            "integer divisors other than 0",
            0,
        ));
    }
    let (s, t) = (a.shape(), b.shape());
    match (widen(a), widen(b)) {
        (Wide::F32(a), Wide::F32(b)) => f32::narrow(apply(function, (&a, s), (&b, t), shape)?, dtype),
        (Wide::F64(a), Wide::F64(b)) => f64::narrow(apply(function, (&a, s), (&b, t), shape)?, dtype),
        (Wide::I64(a), Wide::I64(b)) => i64::narrow(apply(function, (&a, s), (&b, t), shape)?, dtype),
        (Wide::U64(a), Wide::U64(b)) => u64::narrow(apply(function, (&a, s), (&b, t), shape)?, dtype),
        _ => Err(Error::new(ErrorKind::Dtype, "", dtype, b.dtype())),
    }
}

fn apply<T: Number>(
    function: Binary,
    a: (&[T], &[usize]),
    b: (&[T], &[usize]),
    shape: &[usize],
) -> Result<Vec<T>> {
    if let Some(bits) = T::bits(function) {
        return zip(a, b, shape, bits);
    }
    match function {
        Binary::Add => zip(a, b, shape, T::add),
        Binary::Sub => zip(a, b, shape, T::sub),
        Binary::Mul => zip(a, b, shape, T::mul),
        Binary::Div => zip(a, b, shape, T::div),
        Binary::FloorDiv => zip(a, b, shape, T::floor_div),
        Binary::Pow => zip(a, b, shape, T::pow),
        Binary::Mod { fmod: true } => zip(a, b, shape, T::remainder),
        Binary::Mod { fmod: false } => zip(a, b, shape, T::modulo),
        Binary::Min => zip(a, b, shape, T::least),
        Binary::Max => zip(a, b, shape, T::greatest),
        Binary::PRelu => zip(
            a,
            b,
            shape,
            |x, slope| {
                if x < T::zero() { x.mul(slope) } else { x }
            },
        ),
        Binary::SquaredDifference => zip(a, b, shape, |x, y| {
            let difference = x.sub(y);
            difference.mul(difference)
        }),
        other => Err(Error::new(
            ErrorKind::Dtype,
            format!("{other:?}"),
            "integers",
            "floats",
        )),
    }
}

/// A power whose exponent is of another type: computed in `f64` if either is a float, else in `i64`.
fn mixed_power(a: &Tensor, b: &Tensor, shape: &[usize]) -> Result<Storage> {
    let dtype = a.dtype();
    let through = if dtype.is_float() || b.dtype().is_float() {
        Dtype::F64
    } else {
        Dtype::I64
    };
    let (x, y) = (
        Tensor::new(a.shape(), cast(a, through))?,
        Tensor::new(b.shape(), cast(b, through))?,
    );
    let power = Tensor::new(shape, binary(Binary::Pow, &x, &y, shape)?)?;
    Ok(cast(&power, dtype))
}

/// The function of the elements of any number of tensors.
pub(super) fn variadic(function: Variadic, call: Call<'_>) -> Result<Tensor> {
    let shape = call.shape(0)?;
    let dtype = call.input(0)?.dtype();
    let tensors = (0..call.inputs.len())
        .map(|n| call.input(n))
        .collect::<Result<Vec<_>>>()?;
    let storage = for_each_wide!(widen(call.input(0)?), first => {
        Narrow::narrow(fold(function, first, &tensors, &shape)?, dtype)?
    });
    Tensor::new(&shape, storage)
}

/// A type of [`Wide`].
trait Unwrap: Number {
    fn unwrap(wide: Wide<'_>) -> Option<Cow<'_, [Self]>>;
}

macro_rules! unwrap {
    ($($type:ident $variant:ident),*) => {$(
        impl Unwrap for $type {
            fn unwrap(wide: Wide<'_>) -> Option<Cow<'_, [Self]>> {
                match wide {
                    Wide::$variant(elements) => Some(elements),
                    _ => None,
                }
            }
        }
    )*};
}
unwrap!(f32 F32, f64 F64, i64 I64, u64 U64);

fn fold<T: Unwrap>(
    function: Variadic,
    first: Cow<'_, [T]>,
    tensors: &[&Tensor],
    shape: &[usize],
) -> Result<Vec<T>> {
    let own = tensors[0].shape();
    let mut total = collect(&first, shape, &broadcast_strides(own, shape), 0)?;
    for tensor in &tensors[1..] {
        let wide = T::unwrap(widen(tensor))
            .ok_or_else(|| Error::new(ErrorKind::Dtype, "", tensors[0].dtype(), tensor.dtype()))?;
        let (a, b) = ((&total[..], shape), (&wide[..], tensor.shape()));
        total = match function {
            Variadic::Sum | Variadic::Mean => zip(a, b, shape, T::add)?,
            Variadic::Min => zip(a, b, shape, T::least)?,
            Variadic::Max => zip(a, b, shape, T::greatest)?,
        };
    }
    if function == Variadic::Mean {
        let count = T::from_count(tensors.len());
        for x in &mut total {
            *x = x.div(count);
        }
    }
    Ok(total)
}
