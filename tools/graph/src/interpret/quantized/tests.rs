use crate::dtype::Dtype;
use crate::graph::Rounding;
use crate::interpret::{Call, evaluate};
use crate::op::{Convolution, Op, PadMode, Padding, Unary};
use crate::quantization::dequantize;
use crate::tensor::Tensor;
use crate::types::{Quantization, TensorType};

fn per_tensor(scale: f32, zero_point: i32) -> Option<Quantization> {
    Some(Quantization::PerTensor { scale, zero_point })
}

fn int8s(shape: &[usize], step: i64, quantization: Option<Quantization>) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<i8> = (0..count as i64).map(|n| (n * step % 251 - 125) as i8).collect();
    Tensor::new(shape, values)
        .unwrap()
        .with_quantization(quantization)
}

fn output(dtype: Dtype, quantization: Option<Quantization>) -> TensorType {
    TensorType {
        quantization,
        ..TensorType::unshaped(dtype)
    }
}

fn apply(op: &Op, inputs: &[Option<&Tensor>], ty: &TensorType, rounding: Rounding) -> Tensor {
    let outputs = [Some(ty)];
    let call = Call {
        op,
        inputs,
        outputs: &outputs,
        rounding,
    };
    evaluate(call).unwrap().remove(0)
}

#[test]
fn convolution_sums_integers_exactly() {
    let scales = vec![0.003f32, 0.011, 0.000_7];
    let x = int8s(&[1, 4, 6, 6], 37, per_tensor(0.05, -3));
    let weights = Quantization::PerAxis {
        axis: 0,
        scales: scales.clone(),
        zero_points: vec![0; 3],
    };
    let w = int8s(&[3, 4, 3, 3], 91, Some(weights));
    let bias = Tensor::vector(vec![1000i32, -20_000, 7]);
    let ty = output(Dtype::I8, per_tensor(0.4, 5));
    let c = Convolution {
        padding: Padding::Explicit(vec![1; 4]),
        ..Convolution::unit(2)
    };
    let inputs = [Some(&x), Some(&w), Some(&bias)];
    let y = apply(&Op::Conv(c), &inputs, &ty, Rounding::TiesToEven);
    assert_eq!(y.quantization, per_tensor(0.4, 5));
    let (xs, ws) = (x.to_i64().unwrap(), w.to_i64().unwrap());
    for (n, &found) in y.elements::<i8>().unwrap().iter().enumerate() {
        let (m, oy, ox) = (n / 36, n / 6 % 6, n % 6);
        let mut sum = i64::from(bias.elements::<i32>().unwrap()[m]);
        for k in 0..36 {
            let (c, ky, kx) = (k / 9, k / 3 % 3, k % 3);
            let (iy, ix) = ((oy + ky).wrapping_sub(1), (ox + kx).wrapping_sub(1));
            if iy < 6 && ix < 6 {
                sum += (xs[(c * 6 + iy) * 6 + ix] + 3) * ws[m * 36 + k];
            }
        }
        let factor = (f64::from(0.05f32) * f64::from(scales[m]) / f64::from(0.4f32)) as f32;
        let expected = ((sum as f32 * factor).round_ties_even() as i64 + 5).clamp(-128, 127);
        assert_eq!(i64::from(found), expected);
    }
}

#[test]
fn products_follow_the_real_product_within_a_step() {
    for rounding in [Rounding::TiesToEven, Rounding::Gemmlowp] {
        for transpose_b in [false, true] {
            let a = int8s(&[3, 40], 17, per_tensor(0.02, 11));
            let shape = if transpose_b { [5, 40] } else { [40, 5] };
            let b = int8s(&shape, 53, per_tensor(0.01, 0));
            let op = Op::Gemm {
                alpha: 1.0,
                beta: 1.0,
                transpose_a: false,
                transpose_b,
            };
            let ty = output(Dtype::I8, per_tensor(0.25, -7));
            let y = dequantize(&apply(&op, &[Some(&a), Some(&b)], &ty, rounding)).unwrap();
            let (a, b) = (dequantize(&a).unwrap(), dequantize(&b).unwrap());
            let real = apply(
                &op,
                &[Some(&a), Some(&b)],
                &TensorType::unshaped(Dtype::F32),
                rounding,
            );
            for (y, x) in y.to_f32().iter().zip(real.to_f32()) {
                let clamped = x.clamp(-121.0 * 0.25, 134.0 * 0.25);
                assert!((y - clamped).abs() <= 0.126, "{y} {x}");
            }
        }
    }
}

#[test]
fn padding_is_the_zero_point() {
    let x = int8s(&[2], 9, per_tensor(0.5, -4));
    let pads = Tensor::vector(vec![1i64, 1]);
    let op = Op::Pad {
        mode: PadMode::Constant,
    };
    let ty = output(Dtype::I8, per_tensor(0.5, -4));
    let y = apply(&op, &[Some(&x), Some(&pads)], &ty, Rounding::TiesToEven);
    assert_eq!(y.elements::<i8>().unwrap(), [-4, -125, -116, -4]);
    let value = Tensor::scalar(3.0f32);
    let y = apply(
        &op,
        &[Some(&x), Some(&pads), Some(&value)],
        &ty,
        Rounding::TiesToEven,
    );
    assert_eq!(y.elements::<i8>().unwrap(), [2, -125, -116, 2]);
}

#[test]
fn rectifier_with_equal_parameters_clamps_integers() {
    let x = int8s(&[9], 31, per_tensor(0.1, 20));
    let ty = output(Dtype::I8, per_tensor(0.1, 20));
    let y = apply(&Op::Unary(Unary::Relu), &[Some(&x)], &ty, Rounding::Gemmlowp);
    let expected: Vec<i8> = x.elements::<i8>().unwrap().iter().map(|&q| q.max(20)).collect();
    assert_eq!(y.elements::<i8>().unwrap(), expected);
}

#[test]
fn quantized_weights_meet_real_activations_as_real_numbers() {
    let x = Tensor::new(&[1, 2], vec![1.0f32, -2.0]).unwrap();
    let weights = Quantization::PerAxis {
        axis: 1,
        scales: vec![0.5, 0.25],
        zero_points: vec![0, 1],
    };
    let w = Tensor::new(&[2, 2], vec![2i8, 5, 4, 9])
        .unwrap()
        .with_quantization(Some(weights));
    let ty = TensorType::unshaped(Dtype::F32);
    let y = apply(&Op::MatMul, &[Some(&x), Some(&w)], &ty, Rounding::TiesToEven);
    assert_eq!(y.elements::<f32>().unwrap(), [-3.0, -3.0]);
}

#[test]
fn a_bias_of_real_numbers_is_refused_where_sums_are_integers() {
    let x = int8s(&[1, 2], 3, per_tensor(1.0, 0));
    let w = int8s(&[2, 2], 3, per_tensor(1.0, 0));
    let bias = Tensor::vector(vec![0.5f32, 0.5]);
    let ty = output(Dtype::I8, per_tensor(1.0, 0));
    let op = Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b: false,
    };
    let call = Call {
        op: &op,
        inputs: &[Some(&x), Some(&w), Some(&bias)],
        outputs: &[Some(&ty)],
        rounding: Rounding::TiesToEven,
    };
    assert!(evaluate(call).is_err());
}
