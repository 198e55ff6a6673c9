//! One operation at a time, for tests.

use crate::error::Result;
use crate::graph::Rounding;
use crate::interpret::{Call, evaluate};
use crate::op::Op;
use crate::tensor::{Element, Storage, Tensor};
use crate::types::TensorType;

/// Applies an operation, and checks that shape inference says the same of every output.
pub(super) fn apply(op: &Op, inputs: &[&Tensor], outputs: usize) -> Result<Vec<Tensor>> {
    let inputs: Vec<Option<&Tensor>> = inputs.iter().copied().map(Some).collect();
    apply_some(op, &inputs, outputs)
}

/// As [`apply`], with inputs left out.
pub(super) fn apply_some(op: &Op, inputs: &[Option<&Tensor>], outputs: usize) -> Result<Vec<Tensor>> {
    let probe = TensorType::unshaped(crate::Dtype::F32);
    let wanted = vec![Some(&probe); outputs];
    let call = Call {
        op,
        inputs,
        outputs: &wanted,
        rounding: Rounding::default(),
    };
    let types = call.inferred()?;
    let made = evaluate(call)?;
    assert!(made.len() >= outputs, "{op:?} made {} outputs", made.len());
    for (made, ty) in made.iter().zip(&types) {
        assert_eq!(made.dtype(), ty.dtype, "{op:?}");
        if let Some(shape) = ty.shape() {
            assert_eq!(made.shape(), shape, "{op:?}");
        }
    }
    Ok(made)
}

/// A tensor of the given elements.
pub(super) fn tensor<T: Element>(shape: &[usize], elements: &[T]) -> Tensor
where
    Storage: From<Vec<T>>,
{
    Tensor::new(shape, elements.to_vec()).unwrap()
}

/// Checks an operation's only output.
pub(super) fn check(op: &Op, inputs: &[&Tensor], expected: &Tensor) {
    let found = apply(op, inputs, 1).unwrap();
    assert_eq!(&found[0], expected, "{op:?}");
}

/// Checks an operation's only output within a relative tolerance.
pub(super) fn check_close(op: &Op, inputs: &[&Tensor], shape: &[usize], expected: &[f64], tolerance: f64) {
    let found = apply(op, inputs, 1).unwrap();
    assert_eq!(found[0].shape(), shape, "{op:?}");
    let reals = match found[0].elements::<f64>() {
        Ok(elements) => elements.to_vec(),
        Err(_) => found[0].to_f32().iter().map(|&x| f64::from(x)).collect(),
    };
    assert_eq!(reals.len(), expected.len());
    for (n, (a, b)) in reals.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1e-3),
            "{op:?}, element {n}: {a}, expected {b}"
        );
    }
}
