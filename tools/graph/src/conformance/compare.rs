//! How far two tensors may differ.

use crate::dtype::Dtype;
use crate::tensor::{Storage, Tensor};

/// Differences that count as none: `|a - b| <= absolute + relative * |b|`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// In units of the elements.
    pub absolute: f64,
    /// Share of the expected element.
    pub relative: f64,
}

/// Tolerance of an element type: none for integers and `bool`; that of the ONNX project's own runner for `f32` and
/// `f64`; about two units in the last place for `f16` and `bf16`, whose expected results were rounded in other places.
pub fn tolerance(dtype: Dtype) -> Tolerance {
    let (absolute, relative) = match dtype {
        Dtype::F32 | Dtype::F64 => (1e-7, 1e-3),
        Dtype::F16 => (1e-3, 2e-3),
        Dtype::Bf16 => (1e-2, 1.6e-2),
        _ => (0.0, 0.0),
    };
    Tolerance { absolute, relative }
}

/// A difference that is too large.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which output, from 0 on.
    pub output: usize,
    /// Largest absolute difference; infinite where types, extents or special numbers differ.
    pub amount: f64,
    /// What differs.
    pub what: String,
}

/// The largest difference of two tensors, if one is too large.
pub fn compare(expected: &Tensor, found: &Tensor, output: usize) -> Option<Difference> {
    let differs = |amount: f64, what: String| Some(Difference { output, amount, what });
    if expected.dtype() != found.dtype() || expected.shape() != found.shape() {
        let what = format!("{} instead of {}", found.tensor_type(), expected.tensor_type());
        return differs(f64::INFINITY, what);
    }
    let tolerance = tolerance(expected.dtype());
    let mut worst: Option<(f64, usize, f64, f64)> = None;
    let (wanted, got) = (wide(expected), wide(found));
    for (n, (&b, &a)) in wanted.iter().zip(&got).enumerate() {
        if a == b || a.is_nan() && b.is_nan() {
            continue;
        }
        let amount = (a - b).abs();
        let amount = if amount.is_nan() { f64::INFINITY } else { amount };
        let close = amount.is_finite() && amount <= tolerance.absolute + tolerance.relative * b.abs();
        if !close && worst.is_none_or(|(w, ..)| amount > w) {
            worst = Some((amount, n, a, b));
        }
    }
    // 64-bit integers do not all fit the wide type.
    if worst.is_none() && expected.dtype().is_integer() && expected.storage() != found.storage() {
        return differs(1.0, "64-bit integers".to_owned());
    }
    let (amount, n, a, b) = worst?;
    differs(amount, format!("{a} instead of {b} at {n} of {}", wanted.len()))
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    match tensor.storage() {
        Storage::F64(e) => e.to_vec(),
        Storage::I32(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::U32(e) => e.iter().map(|&x| x.into()).collect(),
        Storage::I64(e) => e.iter().map(|&x| x as f64).collect(),
        Storage::U64(e) => e.iter().map(|&x| x as f64).collect(),
        _ => tensor.to_f32().into_iter().map(f64::from).collect(),
    }
}
