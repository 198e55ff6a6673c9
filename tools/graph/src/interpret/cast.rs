//! Conversions between element types.

use half::{bf16, f16};

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::interpret::wide::{for_each_wide, to_odd, widen};
use crate::tensor::{Storage, Tensor};

/// The elements in another type: to a float rounded to nearest, ties to even; from a float to an integer towards zero
/// and limited to its range; between integers cut to the low bits; to `bool` whether it is not zero.
#[expect(
    clippy::unnecessary_cast,
    reason = "the macro writes one body for four wide types"
)]
pub(super) fn cast(x: &Tensor, to: Dtype) -> Storage {
    if x.dtype() == to {
        return x.storage().clone();
    }
    macro_rules! to {
        ($elements:ident, $f:expr) => {
            $elements.iter().map($f).collect::<Vec<_>>().into()
        };
    }
    for_each_wide!(widen(x), e => match to {
        Dtype::F32 => to!(e, |&x| x as f32),
        Dtype::F64 => to!(e, |&x| x as f64),
        Dtype::F16 => to!(e, |&x| f16::from_f32(to_odd(x as f64))),
        Dtype::Bf16 => to!(e, |&x| bf16::from_f32(to_odd(x as f64))),
        Dtype::I8 => to!(e, |&x| x as i8),
        Dtype::I16 => to!(e, |&x| x as i16),
        Dtype::I32 => to!(e, |&x| x as i32),
        Dtype::I64 => to!(e, |&x| x as i64),
        Dtype::U8 => to!(e, |&x| x as u8),
        Dtype::U16 => to!(e, |&x| x as u16),
        Dtype::U32 => to!(e, |&x| x as u32),
        Dtype::U64 => to!(e, |&x| x as u64),
        Dtype::Bool => to!(e, |&x| x as f64 != 0.0),
    })
}

/// The bits of the elements read as another type of the same size.
pub(super) fn bit_cast(x: &Tensor, to: Dtype) -> Result<Storage> {
    // Every type's bits as the unsigned integer of its size.
    macro_rules! read {
        ($bits:expr, $unsigned:ident, $signed:ident, $float:ident $(, $other:ident)?) => {{
            let bits: Vec<$unsigned> = $bits;
            match to {
                dtype if dtype == <$unsigned as crate::tensor::Element>::DTYPE => Some(bits.into()),
                dtype if dtype == <$signed as crate::tensor::Element>::DTYPE => {
                    Some(bits.into_iter().map(|x| x as $signed).collect::<Vec<_>>().into())
                }
                dtype if dtype == <$float as crate::tensor::Element>::DTYPE => {
                    Some(bits.into_iter().map($float::from_bits).collect::<Vec<_>>().into())
                }
                $(dtype if dtype == <$other as crate::tensor::Element>::DTYPE => {
                    Some(bits.into_iter().map($other::from_bits).collect::<Vec<_>>().into())
                })?
                _ => None,
            }
        }};
    }
    let read8 = |bits: Vec<u8>| -> Option<Storage> {
        match to {
            Dtype::U8 => Some(bits.into()),
            Dtype::I8 => Some(bits.into_iter().map(|x| x as i8).collect::<Vec<_>>().into()),
            Dtype::Bool => Some(bits.into_iter().map(|x| x != 0).collect::<Vec<_>>().into()),
            _ => None,
        }
    };
    let found = match x.storage() {
        Storage::U8(e) => read8(e.to_vec()),
        Storage::I8(e) => read8(e.iter().map(|&x| x as u8).collect()),
        Storage::Bool(e) => read8(e.iter().map(|&x| x.into()).collect()),
        Storage::U16(e) => read!(e.to_vec(), u16, i16, f16, bf16),
        Storage::I16(e) => read!(e.iter().map(|&x| x as u16).collect(), u16, i16, f16, bf16),
        Storage::F16(e) => read!(e.iter().map(|x| x.to_bits()).collect(), u16, i16, f16, bf16),
        Storage::Bf16(e) => read!(e.iter().map(|x| x.to_bits()).collect(), u16, i16, f16, bf16),
        Storage::U32(e) => read!(e.to_vec(), u32, i32, f32),
        Storage::I32(e) => read!(e.iter().map(|&x| x as u32).collect(), u32, i32, f32),
        Storage::F32(e) => read!(e.iter().map(|x| x.to_bits()).collect(), u32, i32, f32),
        Storage::U64(e) => read!(e.to_vec(), u64, i64, f64),
        Storage::I64(e) => read!(e.iter().map(|&x| x as u64).collect(), u64, i64, f64),
        Storage::F64(e) => read!(e.iter().map(|x| x.to_bits()).collect(), u64, i64, f64),
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Dtype,
            "",
            "a type of the same size",
            format!("{} to {to}", x.dtype()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret::apply::{apply, check, tensor};
    use crate::op::Op;

    #[test]
    fn casts_cut_saturate_and_round_once() {
        let cast = |to| Op::Cast { to, saturate: true };
        let x = tensor(&[5], &[-1.9f32, 2.9, 1e20, f32::NAN, -300.0]);
        check(
            &cast(Dtype::I32),
            &[&x],
            &tensor(&[5], &[-1i32, 2, i32::MAX, 0, -300]),
        );
        check(&cast(Dtype::U8), &[&x], &tensor(&[5], &[0u8, 2, 255, 0, 0]));
        check(&cast(Dtype::Bool), &[&x], &tensor(&[5], &[true; 5]));
        let wide = tensor(&[2], &[300i32, -1]);
        check(&cast(Dtype::U8), &[&wide], &tensor(&[2], &[44u8, 255]));
        check(&cast(Dtype::U64), &[&wide], &tensor(&[2], &[300, u64::MAX]));
        // Just above the middle of two halves: rounding to f32 on the way would fall on the middle, and go to even.
        let above = 1.0 + f64::powi(2.0, -11) + f64::powi(2.0, -40);
        let x = tensor(&[1], &[above]);
        check(
            &cast(Dtype::F16),
            &[&x],
            &tensor(&[1], &[f16::from_f32(1.0 + f32::powi(2.0, -10))]),
        );
        let above = 1.0 + f64::powi(2.0, -8) + f64::powi(2.0, -40);
        let x = tensor(&[1], &[above]);
        check(
            &cast(Dtype::Bf16),
            &[&x],
            &tensor(&[1], &[bf16::from_f32(1.0 + f32::powi(2.0, -7))]),
        );
    }

    #[test]
    fn bits_are_kept_when_read_as_another_type() {
        let x = tensor(&[2], &[1f32, -0.0]);
        let op = |to| Op::BitCast { to };
        check(
            &op(Dtype::U32),
            &[&x],
            &tensor(&[2], &[0x3f80_0000u32, 0x8000_0000]),
        );
        check(
            &op(Dtype::F32),
            &[&tensor(&[1], &[0x3f80_0000i32])],
            &tensor(&[1], &[1f32]),
        );
        check(
            &op(Dtype::Bf16),
            &[&tensor(&[1], &[f16::from_bits(0x3f80)])],
            &tensor(&[1], &[bf16::ONE]),
        );
        let refused = apply(&op(Dtype::F64), &[&x], 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Dtype);
    }
}
