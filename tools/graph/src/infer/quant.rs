use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{self, axis, ensure, typed};
use crate::op::Op;
use crate::types::{Dim, TensorType};

/// Types of the outputs.
pub(super) fn output_types(op: &Op, inputs: Known<'_>, _outputs: usize) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    Ok(match op {
        Op::Quantize(quantize) => {
            let dtype = extent::dtype(x);
            let fits = dtype.is_float() || dtype == Dtype::I32;
            ensure(fits, ErrorKind::Dtype, "real numbers", dtype)?;
            let small = quantize.dtype.bounds().is_some();
            ensure(
                small,
                ErrorKind::Dtype,
                "integers of at most 32 bits",
                quantize.dtype,
            )?;
            parameters(x, inputs, quantize.axis, quantize.block)?;
            vec![typed(quantize.dtype, x.dims.clone())]
        }
        Op::Dequantize(dequantize) => {
            let fits = x.dtype.is_integer();
            ensure(fits, ErrorKind::Dtype, "integers", x.dtype)?;
            parameters(x, inputs, dequantize.axis, dequantize.block)?;
            let dtype = dequantize.dtype.unwrap_or(inputs.ty(1)?.dtype);
            ensure(dtype.is_float(), ErrorKind::Dtype, "a floating-point type", dtype)?;
            vec![typed(dtype, x.dims.clone())]
        }
        Op::DynamicQuantize => {
            let dtype = extent::dtype(x);
            ensure(dtype == Dtype::F32, ErrorKind::Dtype, "f32", dtype)?;
            vec![
                typed(Dtype::U8, x.dims.clone()),
                typed(Dtype::F32, Some(Vec::new())),
                typed(Dtype::U8, Some(Vec::new())),
            ]
        }
        // The type that the graph states for the output says how it is quantized.
        Op::Requantize => vec![typed(Dtype::F32, x.dims.clone())],
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "an operation between real numbers and integers",
                format!("{other:?}"),
            ));
        }
    })
}

/// How scales lie along a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granularity {
    /// One for all.
    Tensor,
    /// One for each place along an axis.
    Axis(usize),
    /// One for each block along an axis, at each place of the others.
    Blocks(usize),
}

/// How scales of the given rank and number lie along a tensor.
pub(crate) fn granularity(
    rank: usize,
    scales: (usize, Option<usize>),
    number: i64,
    block: usize,
) -> Result<Granularity> {
    let (scale_rank, count) = scales;
    if block > 0 {
        return axis(number, rank).map(Granularity::Blocks);
    }
    match scale_rank {
        0 => Ok(Granularity::Tensor),
        1 if count == Some(1) => Ok(Granularity::Tensor),
        1 => axis(number, rank).map(Granularity::Axis),
        _ => Err(Error::new(
            ErrorKind::Shape,
            "scales",
            "a scalar or one axis",
            format!("{scale_rank} axes"),
        )),
    }
}

/// Checks that scales and zero points lie along a tensor.
fn parameters(x: &TensorType, inputs: Known<'_>, number: i64, block: usize) -> Result<()> {
    let scales = inputs.ty(1)?;
    ensure(
        scales.dtype.is_float(),
        ErrorKind::Dtype,
        "floating-point scales",
        scales,
    )?;
    let (Some(dims), Some(along)) = (&x.dims, &scales.dims) else {
        return Ok(());
    };
    let count = match along.as_slice() {
        [one] => one.known(),
        _ => None,
    };
    let expected: Vec<Dim> = match granularity(dims.len(), (along.len(), count), number, block)? {
        Granularity::Tensor => along.clone(),
        Granularity::Axis(place) => vec![dims[place]],
        Granularity::Blocks(place) => {
            let mut expected = dims.clone();
            if let Some(n) = dims[place].known() {
                expected[place] = Dim::Known(n.div_ceil(block));
            }
            expected
        }
    };
    let zero_points = inputs.optional(2).and_then(|ty| ty.dims.as_ref());
    for found in std::iter::once(along).chain(zero_points) {
        // A vector of one number is a scalar.
        let scalar = expected.len() <= 1 && expected.iter().all(|d| *d == Dim::Known(1));
        let scalars = scalar && found.len() <= 1 && found.iter().all(|d| *d == Dim::Known(1));
        let same = found.len() == expected.len()
            && found
                .iter()
                .zip(&expected)
                .all(|(a, b)| a == b || a.known().is_none() || b.known().is_none());
        if !same && !scalars {
            let (expected, found) = (extent::show(&expected), extent::show(found));
            return Err(Error::new(
                ErrorKind::Shape,
                "scales or zero points",
                expected,
                found,
            ));
        }
    }
    Ok(())
}
