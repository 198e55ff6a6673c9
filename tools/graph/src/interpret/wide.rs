//! The four types that arithmetic is done in: `f32` (for 16-bit floats too), `f64`, and `i64` or `u64` for integers.
//!
//! Sums, differences and products that wrap in 64 bits and are then cut to fewer are what they would be had they
//! wrapped in the narrow type.

use std::borrow::Cow;

use half::{bf16, f16};

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{Storage, Tensor};

/// Elements widened to the type that arithmetic is done in.
#[derive(Debug)]
pub(super) enum Wide<'a> {
    F32(Cow<'a, [f32]>),
    F64(Cow<'a, [f64]>),
    I64(Cow<'a, [i64]>),
    U64(Cow<'a, [u64]>),
}

/// The elements of a tensor, widened; `bool` gives 0 and 1.
pub(super) fn widen(tensor: &Tensor) -> Wide<'_> {
    fn signed<T: Copy + Into<i64>>(elements: &[T]) -> Wide<'_> {
        Wide::I64(elements.iter().map(|&x| x.into()).collect())
    }
    match tensor.storage() {
        Storage::F32(e) => Wide::F32(Cow::Borrowed(e)),
        Storage::F16(e) => Wide::F32(e.iter().map(|x| x.to_f32()).collect()),
        Storage::Bf16(e) => Wide::F32(e.iter().map(|x| x.to_f32()).collect()),
        Storage::F64(e) => Wide::F64(Cow::Borrowed(e)),
        Storage::I8(e) => signed(e),
        Storage::I16(e) => signed(e),
        Storage::I32(e) => signed(e),
        Storage::I64(e) => Wide::I64(Cow::Borrowed(e)),
        Storage::U8(e) => signed(e),
        Storage::U16(e) => signed(e),
        Storage::U32(e) => signed(e),
        Storage::U64(e) => Wide::U64(Cow::Borrowed(e)),
        Storage::Bool(e) => signed(e),
    }
}

/// Runs the same expression on the widened elements, whatever their type.
macro_rules! for_each_wide {
    ($wide:expr, $elements:ident => $body:expr) => {
        match $wide {
            $crate::interpret::wide::Wide::F32($elements) => $body,
            $crate::interpret::wide::Wide::F64($elements) => $body,
            $crate::interpret::wide::Wide::I64($elements) => $body,
            $crate::interpret::wide::Wide::U64($elements) => $body,
        }
    };
}
pub(super) use for_each_wide;

/// A type that arithmetic is done in.
pub(super) trait Narrow: Sized {
    /// The values as elements of a type whose widened form this is: rounded to nearest, or cut to the low bits.
    fn narrow(values: Vec<Self>, dtype: Dtype) -> Result<Storage>;
}

fn wrong(dtype: Dtype, wide: Dtype) -> Error {
    Error::new(
        ErrorKind::Dtype,
        "",
        format!("a type that is computed in {wide}"),
        dtype,
    )
}

impl Narrow for f32 {
    fn narrow(values: Vec<Self>, dtype: Dtype) -> Result<Storage> {
        Ok(match dtype {
            Dtype::F32 => values.into(),
            Dtype::F16 => values.into_iter().map(f16::from_f32).collect::<Vec<_>>().into(),
            Dtype::Bf16 => values.into_iter().map(bf16::from_f32).collect::<Vec<_>>().into(),
            other => return Err(wrong(other, Dtype::F32)),
        })
    }
}

impl Narrow for f64 {
    fn narrow(values: Vec<Self>, dtype: Dtype) -> Result<Storage> {
        match dtype {
            Dtype::F64 => Ok(values.into()),
            other => Err(wrong(other, Dtype::F64)),
        }
    }
}

impl Narrow for u64 {
    fn narrow(values: Vec<Self>, dtype: Dtype) -> Result<Storage> {
        match dtype {
            Dtype::U64 => Ok(values.into()),
            other => Err(wrong(other, Dtype::U64)),
        }
    }
}

impl Narrow for i64 {
    fn narrow(values: Vec<Self>, dtype: Dtype) -> Result<Storage> {
        fn cut<T>(values: Vec<i64>, f: impl Fn(i64) -> T) -> Storage
        where
            Storage: From<Vec<T>>,
        {
            values.into_iter().map(f).collect::<Vec<_>>().into()
        }
        Ok(match dtype {
            Dtype::I64 => values.into(),
            Dtype::I32 => cut(values, |x| x as i32),
            Dtype::I16 => cut(values, |x| x as i16),
            Dtype::I8 => cut(values, |x| x as i8),
            Dtype::U32 => cut(values, |x| x as u32),
            Dtype::U16 => cut(values, |x| x as u16),
            Dtype::U8 => cut(values, |x| x as u8),
            Dtype::Bool => cut(values, |x| x != 0),
            other => return Err(wrong(other, Dtype::I64)),
        })
    }
}

/// Rounds to `f32` so that rounding once more, to a float of at most 22 bits, gives what one rounding gives: towards
/// zero, the last bit set if anything was lost (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums").
pub(super) fn to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    let back = f64::from(nearest);
    if back == x || !x.is_finite() {
        return nearest;
    }
    let bits = if back.abs() > x.abs() {
        nearest.to_bits() - 1
    } else {
        nearest.to_bits()
    };
    f32::from_bits(bits | 1)
}
