//! What layers compute, against their definitions and against other systems.

mod reference;
mod sampling;

use super::run;
use crate::graph::Rounding;
use crate::infer::{self, Known};
use crate::interpret::Call;
use crate::op::{Convolution, Op, Padding, Pool, PoolKind};
use crate::tensor::Tensor;
use crate::types::TensorType;

fn f32s(shape: &[usize], values: &[f32]) -> Tensor {
    Tensor::new(shape, values.to_vec()).unwrap()
}

/// Numbers that repeat only after a long while, from -1 to 1.
fn ramp(shape: &[usize], step: f32) -> Tensor {
    let n = shape.iter().product();
    let values = (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
    Tensor::new(shape, values).unwrap()
}

/// Runs an operation, and checks that shape inference says the same of every output.
fn apply(op: &Op, inputs: &[Option<&Tensor>], outputs: usize) -> Vec<Tensor> {
    let types: Vec<Option<(TensorType, &Tensor)>> =
        inputs.iter().map(|t| t.map(|t| (t.tensor_type(), t))).collect();
    let known: Vec<_> = types
        .iter()
        .map(|t| t.as_ref().map(|(ty, t)| (ty, Some(*t))))
        .collect();
    let found = infer::output_types(op, Known::new(&known), outputs).unwrap();
    let wanted: Vec<Option<&TensorType>> = found.iter().take(outputs).map(Some).collect();
    let made = run(Call {
        op,
        inputs,
        outputs: &wanted,
        rounding: Rounding::default(),
    })
    .unwrap();
    for (made, ty) in made.iter().zip(&found) {
        assert_eq!(made.dtype(), ty.dtype);
        if let Some(shape) = ty.shape() {
            assert_eq!(made.shape(), shape);
        }
    }
    made
}

fn close(found: &Tensor, shape: &[usize], expected: &[f32]) {
    assert_eq!(found.shape(), shape);
    for (n, (a, b)) in found.to_f32().iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= 1e-5 * b.abs().max(1.0),
            "element {n}: {a}, expected {b}"
        );
    }
    assert_eq!(found.len(), expected.len());
}

/// The definition of a convolution, loop by loop, over two spatial axes.
fn naive(c: &Convolution, x: &Tensor, w: &Tensor, pads: [usize; 2], out: [usize; 2]) -> Vec<f32> {
    let (xs, ws) = (x.shape(), w.shape());
    let (xv, wv) = (x.to_f32(), w.to_f32());
    let per_group = ws[0] / c.groups;
    let mut y = Vec::new();
    for n in 0..xs[0] {
        for m in 0..ws[0] {
            for oy in 0..out[0] {
                for ox in 0..out[1] {
                    let mut sum = 0.0f64;
                    for k in 0..ws[1] {
                        let channel = m / per_group * ws[1] + k;
                        for ky in 0..ws[2] {
                            for kx in 0..ws[3] {
                                let iy = (oy * c.strides[0] + ky * c.dilations[0]) as i64 - pads[0] as i64;
                                let ix = (ox * c.strides[1] + kx * c.dilations[1]) as i64 - pads[1] as i64;
                                if iy < 0 || ix < 0 || iy >= xs[2] as i64 || ix >= xs[3] as i64 {
                                    continue;
                                }
                                let x =
                                    xv[((n * xs[1] + channel) * xs[2] + iy as usize) * xs[3] + ix as usize];
                                let w = wv[((m * ws[1] + k) * ws[2] + ky) * ws[3] + kx];
                                sum += f64::from(x) * f64::from(w);
                            }
                        }
                    }
                    y.push(sum as f32);
                }
            }
        }
    }
    y
}

#[test]
fn convolution_equals_its_definition() {
    for (groups, channels, kernels) in [(1, 3, 5), (2, 4, 6), (4, 4, 4), (4, 4, 8), (3, 3, 30)] {
        for (stride, dilation, pad) in [(1, 1, 0), (2, 1, 1), (1, 2, 2), (3, 2, 1)] {
            let c = Convolution {
                strides: vec![stride, 1],
                dilations: vec![1, dilation],
                padding: Padding::Explicit(vec![pad, pad, 0, pad]),
                groups,
                ..Convolution::unit(2)
            };
            let x = ramp(&[2, channels, 9, 11], 0.37);
            let w = ramp(&[kernels, channels / groups, 3, 2], 0.83);
            let y = &apply(&Op::Conv(c.clone()), &[Some(&x), Some(&w)], 1)[0];
            let out = [(9 + pad - 3) / stride + 1, 11 + 2 * pad - dilation];
            close(
                y,
                &[2, kernels, out[0], out[1]],
                &naive(&c, &x, &w, [pad, pad], out),
            );
        }
    }
}

#[test]
fn convolution_gathers_columns_in_parts() {
    let c = Convolution {
        padding: Padding::SameUpper,
        ..Convolution::unit(2)
    };
    let x = ramp(&[1, 64, 40, 33], 0.011);
    let w = ramp(&[2, 64, 4, 4], 0.7);
    let y = &apply(&Op::Conv(c.clone()), &[Some(&x), Some(&w)], 1)[0];
    close(y, &[1, 2, 40, 33], &naive(&c, &x, &w, [1, 1], [40, 33]));
}

#[test]
fn pointwise_convolution_is_a_matrix_product() {
    let x = ramp(&[1, 6, 5, 7], 0.3);
    let w = ramp(&[4, 6, 1, 1], 0.9);
    let y = &apply(&Op::Conv(Convolution::unit(2)), &[Some(&x), Some(&w)], 1)[0];
    let product = &apply(
        &Op::MatMul,
        &[
            Some(&w.reshaped(&[4, 6]).unwrap()),
            Some(&x.reshaped(&[6, 35]).unwrap()),
        ],
        1,
    )[0];
    assert_eq!(y.reshaped(&[4, 35]).unwrap(), *product);
}

#[test]
fn average_pool_counts_padding_only_where_it_is_there() {
    // Numbers of ONNX Runtime for [[1..6]] with kernel 3, stride 2, padding 1 before and behind, rounded up.
    let x = f32s(&[1, 1, 6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let pool = |include_padding| Pool {
        kind: PoolKind::Average { include_padding },
        kernel: vec![3],
        strides: vec![2],
        dilations: vec![1],
        padding: Padding::Explicit(vec![1, 1]),
        ceil_mode: true,
        column_major: false,
    };
    let run = |include| apply(&Op::Pool(pool(include)), &[Some(&x)], 1).remove(0);
    close(&run(false), &[1, 1, 4], &[1.5, 3.0, 5.0, 6.0]);
    close(&run(true), &[1, 1, 4], &[1.0, 3.0, 5.0, 3.0]);
}

#[test]
fn maximum_pool_says_where_it_found_its_elements() {
    let x = f32s(&[1, 2, 2, 2], &[1.0, 4.0, 3.0, 2.0, -1.0, -5.0, -2.0, -7.0]);
    let pool = |column_major| Pool {
        kind: PoolKind::Max,
        kernel: vec![2, 2],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::Explicit(vec![0; 4]),
        ceil_mode: false,
        column_major,
    };
    let rows = apply(&Op::Pool(pool(false)), &[Some(&x)], 2);
    assert_eq!(rows[1].elements::<i64>().unwrap(), [1, 4]);
    let columns = apply(&Op::Pool(pool(true)), &[Some(&x)], 2);
    assert_eq!(columns[1].elements::<i64>().unwrap(), [2, 4]);
}

#[test]
fn product_broadcasts_batches() {
    let a = ramp(&[2, 1, 2, 3], 0.4);
    let b = ramp(&[4, 3, 5], 0.6);
    let y = &apply(&Op::MatMul, &[Some(&a), Some(&b)], 1)[0];
    assert_eq!(y.shape(), [2, 4, 2, 5]);
    let (av, bv, yv) = (a.to_f32(), b.to_f32(), y.to_f32());
    for (n, found) in yv.iter().enumerate() {
        let (i, j, r, c) = (n / 40, n / 10 % 4, n / 5 % 2, n % 5);
        let sum: f32 = (0..3)
            .map(|k| av[i * 6 + r * 3 + k] * bv[j * 15 + k * 5 + c])
            .sum();
        assert!((sum - found).abs() < 1e-6);
    }
}

#[test]
fn bad_parameters_are_refused() {
    let x = ramp(&[1, 4, 3, 3], 0.1);
    let w = ramp(&[4, 4, 5, 5], 0.1);
    let good = Convolution::unit(2);
    let wide = Convolution {
        padding: Padding::Explicit(vec![usize::MAX, 0, 0, 0]),
        ..good.clone()
    };
    let still = Convolution {
        strides: vec![0, 1],
        ..good.clone()
    };
    let grouped = Convolution {
        groups: 3,
        ..good.clone()
    };
    for c in [good, wide, still, grouped] {
        let call = Call {
            op: &Op::Conv(c),
            inputs: &[Some(&x), Some(&w)],
            outputs: &[],
            rounding: Rounding::default(),
        };
        assert!(run(call).is_err());
    }
}

#[test]
fn transposed_convolution_is_the_gradient_of_a_convolution() {
    // For every x and y the products <conv(x), y> and <x, transposed(y)> are equal.
    for (groups, stride, dilation, pads) in [(1, 2, 1, [0, 1, 1, 0]), (2, 1, 2, [1; 4]), (4, 3, 1, [0; 4])] {
        let c = Convolution {
            strides: vec![stride; 2],
            dilations: vec![dilation; 2],
            padding: Padding::Explicit(pads.to_vec()),
            groups,
            ..Convolution::unit(2)
        };
        let x = ramp(&[2, 4, 10, 10], 0.37);
        let w = ramp(&[8, 4 / groups, 3, 2], 0.83);
        let forward = apply(&Op::Conv(c.clone()), &[Some(&x), Some(&w)], 1).remove(0);
        let y = ramp(forward.shape(), 1.3);
        let reach = |n: usize| (w.shape()[2 + n] - 1) * dilation + 1;
        let lost = |n: usize| (10 + pads[n] + pads[2 + n] - reach(n)) % stride;
        let back = Convolution {
            output_padding: vec![lost(0), lost(1)],
            ..c
        };
        let made = apply(&Op::ConvTranspose(back), &[Some(&y), Some(&w)], 1).remove(0);
        let dot = |a: &Tensor, b: &Tensor| -> f64 {
            a.to_f32()
                .iter()
                .zip(b.to_f32())
                .map(|(&a, b)| f64::from(a) * f64::from(b))
                .sum()
        };
        let (left, right) = (dot(&forward, &y), dot(&x, &made));
        assert!((left - right).abs() < 1e-4, "{left} {right}");
    }
}

#[test]
fn columns_go_back_to_where_they_came_from() {
    // Overlapping 2x2 blocks of a 3x3 image of ones: each place counts its blocks.
    let x = f32s(&[1, 4, 4], &[1.0; 16]);
    let inputs = [Tensor::vector(vec![3i64, 3]), Tensor::vector(vec![2i64, 2])];
    let y = &apply(
        &Op::Col2Im(Convolution::unit(2)),
        &[Some(&x), Some(&inputs[0]), Some(&inputs[1])],
        1,
    )[0];
    close(y, &[1, 1, 3, 3], &[1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]);
}

#[test]
fn deformable_convolution_without_offsets_is_a_convolution() {
    let c = Convolution {
        padding: Padding::Explicit(vec![1; 4]),
        groups: 2,
        ..Convolution::unit(2)
    };
    let x = ramp(&[1, 4, 6, 5], 0.37);
    let w = ramp(&[6, 2, 3, 3], 0.83);
    let offset = f32s(&[1, 36, 6, 5], &[0.0; 1080]);
    let d = Op::DeformConv(crate::op::Deformable {
        convolution: c.clone(),
        offset_groups: 2,
    });
    let found = apply(&d, &[Some(&x), Some(&w), Some(&offset)], 1).remove(0);
    let expected = apply(&Op::Conv(c), &[Some(&x), Some(&w)], 1).remove(0);
    close(&found, expected.shape(), &expected.to_f32());
}

#[test]
fn normalizations_have_zero_mean_and_unit_variance() {
    let x = ramp(&[2, 6, 5], 0.7);
    let one = f32s(&[6], &[1.0; 6]);
    let zero = f32s(&[6], &[0.0; 6]);
    let group = Op::GroupNormalization {
        epsilon: 0.0,
        groups: 3,
    };
    let last = f32s(&[5], &[1.0; 5]);
    let all = [
        (
            apply(
                &Op::InstanceNormalization { epsilon: 0.0 },
                &[Some(&x), Some(&one), Some(&zero)],
                1,
            ),
            5,
        ),
        (apply(&group, &[Some(&x), Some(&one), Some(&zero)], 1), 10),
        (
            apply(
                &Op::LayerNormalization {
                    axis: -1,
                    epsilon: 0.0,
                },
                &[Some(&x), Some(&last)],
                3,
            ),
            5,
        ),
    ];
    for (made, size) in all {
        for part in made[0].to_f32().chunks(size) {
            let mean = part.iter().sum::<f32>() / size as f32;
            let square = part.iter().map(|x| x * x).sum::<f32>() / size as f32;
            assert!(
                mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5,
                "{mean} {square}"
            );
        }
    }
    let rms = apply(
        &Op::RmsNormalization {
            axis: 1,
            epsilon: 0.0,
        },
        &[Some(&x), Some(&last)],
        1,
    );
    for part in rms[0].to_f32().chunks(30) {
        assert!((part.iter().map(|x| x * x).sum::<f32>() / 30.0 - 1.0).abs() < 1e-5);
    }
}

#[test]
fn integer_convolution_takes_zero_points_away() {
    let x = Tensor::new(&[1, 1, 3, 3], (2u8..11).collect::<Vec<_>>()).unwrap();
    let w = Tensor::new(&[1, 1, 2, 2], vec![1u8; 4]).unwrap();
    let zero = Tensor::scalar(1u8);
    let y = apply(
        &Op::ConvInteger(Convolution::unit(2)),
        &[Some(&x), Some(&w), Some(&zero)],
        1,
    )
    .remove(0);
    assert_eq!(y.elements::<i32>().unwrap(), [12, 16, 24, 28]);
}
