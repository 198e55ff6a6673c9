use half::f16;
use proptest::prelude::*;

use crate::dtype::Dtype;
use crate::interpret::apply::apply;
use crate::op::{Binary, Op, Reduce, Unary};
use crate::tensor::Tensor;

proptest! {
    #[test]
    fn softmax_sums_to_one_and_is_the_exponential_of_its_logarithm(
        elements in prop::collection::vec(-80f32..80.0, 12),
        axis in -3i64..3,
    ) {
        let x = Tensor::new(&[2, 3, 2], elements).unwrap();
        let y = apply(&Op::Softmax { axis }, &[&x], 1).unwrap().remove(0);
        let log = apply(&Op::LogSoftmax { axis }, &[&x], 1).unwrap().remove(0);
        let back = apply(&Op::Unary(Unary::Exp), &[&log], 1).unwrap().remove(0);
        for (a, b) in y.to_f32().iter().zip(back.to_f32()) {
            prop_assert!((a - b).abs() <= 2e-5 * b + 1e-30, "{a} {b}");
        }
        let sum = Op::Reduce { function: Reduce::Sum, keep_dims: false, noop_with_empty_axes: false };
        let axes = Tensor::vector(vec![axis]);
        for sum in apply(&sum, &[&y, &axes], 1).unwrap()[0].to_f32() {
            prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
    }

    #[test]
    fn casts_of_floats_to_halves_are_the_nearest(x in -1e5f64..1e5) {
        let cast = |to| Op::Cast { to, saturate: true };
        let found = apply(&cast(Dtype::F16), &[&Tensor::scalar(x)], 1).unwrap().remove(0);
        let found = found.elements::<f16>().unwrap()[0];
        if found.is_finite() {
            let bits = found.to_bits();
            for neighbour in [bits.wrapping_sub(1), bits + 1].map(f16::from_bits) {
                if neighbour.is_finite() {
                    prop_assert!((found.to_f64() - x).abs() <= (neighbour.to_f64() - x).abs());
                }
            }
        } else {
            prop_assert!(x.abs() >= 65520.0);
        }
    }

    #[test]
    fn broadcasting_is_the_same_as_expanding_first(
        masks in (0usize..16, 0usize..16),
        order in 0usize..4,
    ) {
        let full = [2usize, 3, 1 + order, 2];
        let shape = |mask: usize| -> Vec<usize> {
            full.iter().enumerate().map(|(n, &d)| if mask >> n & 1 == 1 { 1 } else { d }).collect()
        };
        let fill = |shape: &[usize], start: i32| {
            let count: usize = shape.iter().product();
            Tensor::new(shape, (start..start + count as i32).collect::<Vec<_>>()).unwrap()
        };
        let (a, b) = (fill(&shape(masks.0), 1), fill(&shape(masks.1), 1000));
        let sum = apply(&Op::Binary(Binary::Sub), &[&a, &b], 1).unwrap().remove(0);
        let to = Tensor::vector(sum.shape().iter().map(|&n| n as i64).collect::<Vec<_>>());
        let expand = |t: &Tensor| apply(&Op::Expand, &[t, &to], 1).unwrap().remove(0);
        let expanded = apply(&Op::Binary(Binary::Sub), &[&expand(&a), &expand(&b)], 1).unwrap().remove(0);
        prop_assert_eq!(&sum, &expanded);
        // Expanding itself, by the definition.
        let wide = expand(&a);
        let strides: Vec<usize> = (0..4).map(|n| sum.shape()[n + 1..].iter().product()).collect();
        let own: Vec<usize> = (0..4).map(|n| a.shape()[n + 1..].iter().product()).collect();
        for (n, &x) in wide.elements::<i32>().unwrap().iter().enumerate() {
            let place: usize = (0..4)
                .map(|k| (n / strides[k] % sum.shape()[k]) % a.shape()[k] * own[k])
                .sum();
            prop_assert_eq!(x, a.elements::<i32>().unwrap()[place]);
        }
    }
}
