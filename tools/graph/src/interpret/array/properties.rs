use proptest::prelude::*;

use super::tests::{ints, ramp};
use crate::interpret::apply::{apply, tensor};
use crate::op::{GatherMode, Op, PadMode, ScatterReduction};
use crate::tensor::Tensor;

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..5, 1..5)
}

proptest! {
    #[test]
    fn a_transposition_and_its_inverse_leave_the_tensor(
        shape in shapes(),
        keys in prop::collection::vec(any::<u32>(), 4),
    ) {
        let x = ramp(&shape);
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.sort_by_key(|&n| keys[n]);
        let mut inverse = vec![0; order.len()];
        for (to, &from) in order.iter().enumerate() {
            inverse[from] = to;
        }
        let there = apply(&Op::Transpose { permutation: order.clone() }, &[&x], 1).unwrap().remove(0);
        let back = apply(&Op::Transpose { permutation: inverse }, &[&there], 1).unwrap().remove(0);
        prop_assert_eq!(&back, &x);
        // By the definition: place k of the output is place order[k] of the input.
        let stride = |shape: &[usize], axis: usize| shape[axis + 1..].iter().product::<usize>();
        for (n, &value) in there.elements::<i32>().unwrap().iter().enumerate() {
            let place: usize = order
                .iter()
                .enumerate()
                .map(|(k, &from)| n / stride(there.shape(), k) % there.shape()[k] * stride(&shape, from))
                .sum();
            prop_assert_eq!(value as usize, place);
        }
    }

    #[test]
    fn parts_joined_again_are_the_whole(shape in shapes(), axis in 0usize..4, count in 1usize..4) {
        let axis = axis % shape.len();
        let x = ramp(&shape);
        let parts = apply(&Op::Split { axis: axis as i64 }, &[&x], count).unwrap();
        let parts: Vec<&Tensor> = parts.iter().collect();
        let joined = apply(&Op::Concat { axis: axis as i64 - shape.len() as i64 }, &parts, 1).unwrap();
        prop_assert_eq!(&joined[0], &x);
    }

    #[test]
    fn what_was_added_around_a_tensor_can_be_cut_away(
        shape in shapes(),
        pads in prop::collection::vec(0i64..4, 8),
        mode in prop::sample::select(vec![PadMode::Constant, PadMode::Edge, PadMode::Reflect, PadMode::Wrap]),
    ) {
        let x = ramp(&shape);
        let list = ints(&pads[..2 * shape.len()]);
        let wide = apply(&Op::Pad { mode }, &[&x, &list], 1).unwrap().remove(0);
        let starts = ints(&pads[..shape.len()]);
        let ends: Vec<i64> = shape.iter().zip(&pads).map(|(&n, &before)| n as i64 + before).collect();
        let back = apply(&Op::Slice, &[&wide, &starts, &ints(&ends)], 1).unwrap();
        prop_assert_eq!(&back[0], &x);
        let negative: Vec<i64> = pads[..2 * shape.len()].iter().map(|n| -n).collect();
        let back = apply(&Op::Pad { mode }, &[&wide, &ints(&negative)], 1).unwrap();
        prop_assert_eq!(&back[0], &x);
    }

    #[test]
    fn space_and_depth_are_inverse(block in 1usize..4, crd: bool, sides in (1usize..3, 1usize..3, 1usize..3)) {
        let x = ramp(&[2, sides.0, sides.1 * block, sides.2 * block]);
        let depth = apply(&Op::SpaceToDepth { block, crd }, &[&x], 1).unwrap().remove(0);
        let back = apply(&Op::DepthToSpace { block, crd }, &[&depth], 1).unwrap();
        prop_assert_eq!(&back[0], &x);
    }

    #[test]
    fn what_is_gathered_can_be_scattered_back(shape in shapes(), axis in 0usize..4) {
        let axis = (axis % shape.len()) as i64;
        let x = ramp(&shape);
        let extent = shape[axis as usize] as i64;
        let places: Vec<i64> = (0..x.len() as i64).map(|n| (n * 7) % extent).collect();
        let indices = tensor(&shape, &places);
        let gather = Op::Gather(GatherMode::Elements { axis });
        let picked = apply(&gather, &[&x, &indices], 1).unwrap().remove(0);
        let scatter = Op::ScatterElements { axis, reduction: ScatterReduction::Replace };
        let back = apply(&scatter, &[&x, &indices, &picked], 1).unwrap();
        prop_assert_eq!(&back[0], &x);
    }
}
