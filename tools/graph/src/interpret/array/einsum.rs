//! Einstein summation.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::einsum::{Equation, Label};
use crate::interpret::Call;
use crate::interpret::arithmetic::Number;
use crate::interpret::strided::{Walk, strides};
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::tensor::{Storage, Tensor, element_count};
use crate::types::Dim;

/// Greatest number of results, and of terms of one result; their places are held in memory.
const MAX_PLACES: usize = 1 << 26;

/// The sum over labels that the output lacks of the products of the operands; floats in `f64`.
pub(super) fn einsum(call: Call<'_>, equation: &str) -> Result<Storage> {
    let tensors = (0..call.inputs.len())
        .map(|n| call.input(n))
        .collect::<Result<Vec<_>>>()?;
    let dims: Vec<Vec<Dim>> = tensors
        .iter()
        .map(|t| t.shape().iter().map(|&n| Dim::Known(n)).collect())
        .collect();
    let equation = Equation::new(equation, &dims.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let summed: Vec<Label> = equation
        .labels
        .iter()
        .map(|&(label, _)| label)
        .filter(|label| !equation.output.contains(label))
        .collect();
    let outer = offsets(&equation, &tensors, &equation.output)?;
    let inner = offsets(&equation, &tensors, &summed)?;
    let dtype = tensors[0].dtype();
    macro_rules! sum {
        ($($variant:ident $type:ident $in:expr, $out:expr);*) => {
            match widen(tensors[0]) {
                $(Wide::$variant(_) => {
                    let mut operands = Vec::with_capacity(tensors.len());
                    for &tensor in &tensors {
                        match widen(tensor) {
                            Wide::$variant(elements) => operands.push(elements),
                            _ => return Err(Error::new(ErrorKind::Dtype, "", dtype, tensor.dtype())),
                        }
                    }
                    let read = |operand: usize, place: usize| $in(operands[operand][place]);
                    let sums = sums(&outer, &inner, read);
                    $type::narrow(sums.into_iter().map($out).collect(), dtype)
                })*
            }
        };
    }
    sum!(
        F32 f32 f64::from, |x: f64| x as f32;
        F64 f64 |x: f64| x, |x: f64| x;
        I64 i64 |x: i64| x, |x: i64| x;
        U64 u64 |x: u64| x, |x: u64| x
    )
}

/// For each place of the labels' extents the offset in each operand, an operand a list.
fn offsets(equation: &Equation, tensors: &[&Tensor], labels: &[Label]) -> Result<Vec<Vec<usize>>> {
    let shape = labels
        .iter()
        .map(|&label| equation.extent(label).and_then(Dim::known))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| Error::new(ErrorKind::Shape, "", "known extents", "none"))?;
    let count = element_count(&shape)
        .filter(|&n| n <= MAX_PLACES)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Limit,
                "",
                format!("at most {MAX_PLACES} terms and results"),
                format!("{shape:?}"),
            )
        })?;
    let mut found = Vec::with_capacity(tensors.len());
    for (tensor, term) in tensors.iter().zip(&equation.operands) {
        let own = strides(tensor.shape());
        // A label that stands twice steps along a diagonal; an extent of 1 is broadcast.
        let steps: Vec<isize> = labels
            .iter()
            .map(|label| {
                term.iter()
                    .zip(tensor.shape().iter().zip(&own))
                    .filter(|&(l, (&extent, _))| l == label && extent != 1)
                    .map(|(_, (_, &step))| step)
                    .sum()
            })
            .collect();
        let walk = Walk::new(&shape, [&steps]);
        let (length, [step]) = (walk.run_length(), walk.run_steps());
        let mut list = Vec::with_capacity(count);
        walk.runs([0], |[start]| {
            list.extend((0..length).map(|n| start as usize + n * step as usize));
        });
        found.push(list);
    }
    Ok(found)
}

fn sums<A: Number>(outer: &[Vec<usize>], inner: &[Vec<usize>], read: impl Fn(usize, usize) -> A) -> Vec<A> {
    let places = outer.first().map_or(0, Vec::len);
    let summed = inner.first().map_or(0, Vec::len);
    let mut out = Vec::with_capacity(places);
    for place in 0..places {
        let mut sum = A::zero();
        for n in 0..summed {
            let mut product = A::one();
            for (operand, (outer, inner)) in outer.iter().zip(inner).enumerate() {
                product = product.mul(read(operand, outer[place] + inner[n]));
            }
            sum = sum.add(product);
        }
        out.push(sum);
    }
    out
}
