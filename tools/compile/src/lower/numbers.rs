//! Constant weights, bias and scales of products.

use limbic_engine::step::Arithmetic;
use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::{Dtype, Op, Quantization, Result, Tensor, TensorType};

use super::unsupported;
use crate::place::Kind;
use crate::strides::row_major;

/// Constant weights `[outputs][taps][channels]` with what belongs to each output.
#[derive(Debug)]
pub(super) enum Numbers {
    Float {
        weights: Vec<f32>,
        bias: Option<Vec<f32>>,
    },
    /// The zero point of the input is in the bias.
    Integer {
        weights: Vec<i8>,
        bias: Vec<i32>,
        scale: Vec<f32>,
    },
    /// For rows that are quantized as they come; their zero point is in the bias.
    Rows {
        weights: Vec<i8>,
        bias: Vec<i32>,
        scale: Vec<f32>,
        offset: Option<Vec<f32>>,
    },
}

/// Elements with axes in another order.
fn permuted<T: Copy>(elements: &[T], shape: &[usize], order: &[usize]) -> Vec<T> {
    let strides = row_major(shape);
    let mut place = vec![0usize; order.len()];
    let mut found = Vec::with_capacity(elements.len());
    for _ in 0..elements.len() {
        let at: usize = order
            .iter()
            .zip(&place)
            .map(|(&axis, &p)| strides[axis] * p)
            .sum();
        found.extend(elements.get(at));
        for n in (0..order.len()).rev() {
            place[n] += 1;
            if place[n] < shape[order[n]] {
                break;
            }
            place[n] = 0;
        }
    }
    found
}

impl Numbers {
    /// Of weights whose axis `outputs` counts outputs and whose axis behind the other of the first two comes last.
    pub fn new(x: Kind, y: Kind, weights: &Tensor, bias: Option<&Tensor>, outputs: usize) -> Result<Self> {
        let rank = weights.rank();
        let mut order = vec![outputs];
        order.extend(2..rank);
        order.push(1 - outputs);
        let count = weights.shape()[outputs];
        if bias.is_some_and(|bias| bias.len() != count && bias.len() != 1) {
            return Err(unsupported(
                format!("a bias of {count}"),
                format!("{:?}", bias.map(Tensor::shape)),
            ));
        }
        match (x, &weights.quantization) {
            (Kind::F32, Some(_)) => Self::new(x, y, &real(weights)?, bias, outputs),
            (Kind::F32, None) if y == Kind::F32 => Ok(Self::Float {
                weights: permuted(weights.elements::<f32>()?, weights.shape(), &order),
                bias: bias
                    .map(|bias| {
                        let bias = bias.elements::<f32>()?;
                        Ok((0..count).map(|n| bias[n % bias.len()]).collect())
                    })
                    .transpose()?,
            }),
            (Kind::U8(_), Some(quantization)) => {
                let weights = symmetric(weights, quantization)?;
                let weights = permuted(&weights.0, weights.1, &order);
                Self::integer(x, y, weights, quantization, bias, (outputs, count))
            }
            (x, quantization) => Err(unsupported(
                "weights of the input's kind: all f32, or all 8-bit integers",
                format!(
                    "{x:?} to {y:?} with weights {:?} {quantization:?}",
                    weights.dtype()
                ),
            )),
        }
    }

    fn integer(
        x: Kind,
        y: Kind,
        weights: Vec<i8>,
        quantization: &Quantization,
        bias: Option<&Tensor>,
        (axis, count): (usize, usize),
    ) -> Result<Self> {
        let Kind::U8(input) = x else {
            return Err(unsupported("integers", format!("{x:?}")));
        };
        let own: Vec<f32> = match quantization {
            Quantization::PerTensor { scale, .. } => vec![*scale; count],
            Quantization::PerAxis {
                axis: along, scales, ..
            } if *along == axis && scales.len() == count => scales.clone(),
            _ => return Err(unsupported("one scale, or one an output", "other scales")),
        };
        let given: Vec<i64> = match bias {
            None => vec![0; count],
            Some(bias) if bias.dtype() == Dtype::I32 => {
                let bias = bias.to_i64()?;
                (0..count).map(|n| bias[n % bias.len()]).collect()
            }
            Some(bias) => return Err(unsupported("an i32 bias", bias.dtype())),
        };
        let mut bias = Vec::with_capacity(count);
        for (weights, given) in weights.chunks_exact(weights.len() / count.max(1)).zip(given) {
            let sum: i64 = weights.iter().map(|&w| i64::from(w)).sum();
            let size: i64 = weights.iter().map(|&w| i64::from(w).abs()).sum();
            let folded = given - i64::from(input.zero) * sum;
            // Every partial sum fits if the greatest size does.
            if folded.abs() + 255 * size > i64::from(i32::MAX) {
                return Err(unsupported("sums of 32 bits", folded.abs() + 255 * size));
            }
            bias.push(i32::try_from(folded).unwrap_or_default());
        }
        let scale = own.iter().map(|&own| {
            let product = f64::from(input.scale) * f64::from(own);
            match y {
                Kind::U8(output) => (product / f64::from(output.scale)) as f32,
                Kind::F32 | Kind::Plain(_) => product as f32,
            }
        });
        Ok(Self::Integer {
            weights,
            bias,
            scale: scale.collect(),
        })
    }

    pub fn arithmetic(&self, y: Kind) -> Arithmetic {
        match (self, y) {
            (Self::Float { .. }, _) => Arithmetic::F32,
            (Self::Rows { .. }, _) => Arithmetic::RowsToF32,
            (Self::Integer { .. }, Kind::U8(_)) => Arithmetic::U8ToU8,
            (Self::Integer { .. }, _) => Arithmetic::U8ToF32,
        }
    }
}

/// The real numbers that constant integers stand for.
fn real(tensor: &Tensor) -> Result<Tensor> {
    let ty = TensorType::new(Dtype::F32, tensor.shape());
    let made = evaluate(Call {
        op: &Op::Requantize,
        inputs: &[Some(tensor)],
        outputs: &[Some(&ty)],
        rounding: limbic_graph::Rounding::default(),
    })?;
    made.into_iter()
        .next()
        .ok_or_else(|| unsupported("real numbers", "none"))
}

/// Weights as `i8` with zero point 0, and their extents.
fn symmetric<'a>(weights: &'a Tensor, quantization: &Quantization) -> Result<(Vec<i8>, &'a [usize])> {
    let zeros = match quantization {
        Quantization::PerTensor { zero_point, .. } => vec![*zero_point],
        Quantization::PerAxis { zero_points, .. } | Quantization::Blocks { zero_points, .. } => {
            zero_points.clone()
        }
    };
    let zero = match weights.dtype() {
        Dtype::I8 => 0,
        Dtype::U8 => 128,
        other => return Err(unsupported("weights of 8 bits", other)),
    };
    if zeros.iter().any(|&z| z != zero) {
        return Err(unsupported(
            format!("weights with zero point {zero}"),
            format!("{zeros:?}"),
        ));
    }
    let shifted = weights.to_i64()?.into_iter().map(|w| (w - i64::from(zero)) as i8);
    Ok((shifted.collect(), weights.shape()))
}
