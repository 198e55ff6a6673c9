use crate::dtype::Dtype;
use crate::error::ErrorKind;
use crate::interpret::apply::{apply, apply_some, check, check_close, tensor};
use crate::op::{GatherMode, Op, PadMode, ScatterReduction};
use crate::tensor::Tensor;

/// 0, 1, 2, ... in the given extents.
pub(super) fn ramp(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>() as i32;
    tensor(shape, &(0..count).collect::<Vec<_>>())
}

pub(super) fn ints(values: &[i64]) -> Tensor {
    Tensor::vector(values.to_vec())
}

fn refused(op: &Op, inputs: &[&Tensor], kind: ErrorKind) {
    let error = apply(op, inputs, 1).unwrap_err();
    assert_eq!(error.kind(), kind, "{op:?}: {error}");
}

#[test]
fn reshapes_infer_copy_and_check() {
    let x = ramp(&[2, 3, 4]);
    let reshape = Op::Reshape { allow_zero: false };
    let shape = |list: &[i64]| {
        apply(&reshape, &[&x, &ints(list)], 1).unwrap()[0]
            .shape()
            .to_vec()
    };
    assert_eq!(shape(&[0, -1]), [2, 12]);
    assert_eq!(shape(&[4, -1, 2]), [4, 3, 2]);
    refused(&reshape, &[&x, &ints(&[5, -1])], ErrorKind::Shape);
    refused(&reshape, &[&x, &ints(&[-1, -1])], ErrorKind::Value);
    refused(&reshape, &[&x, &ints(&[1, 1, 1, 0])], ErrorKind::Shape);
    refused(&reshape, &[&x, &ints(&[-2])], ErrorKind::Value);
    let none = tensor::<i32>(&[0, 3], &[]);
    let zero = Op::Reshape { allow_zero: true };
    check(&zero, &[&none, &ints(&[3, 0])], &tensor::<i32>(&[3, 0], &[]));
    refused(&zero, &[&none, &ints(&[0, -1])], ErrorKind::Shape);
}

#[test]
fn axes_of_one_come_and_go() {
    let x = ramp(&[1, 3, 1, 2]);
    let shape = |op: &Op, inputs: &[&Tensor]| apply(op, inputs, 1).unwrap()[0].shape().to_vec();
    assert_eq!(shape(&Op::Squeeze, &[&x]), [3, 2]);
    assert_eq!(shape(&Op::Squeeze, &[&x, &ints(&[-2])]), [1, 3, 2]);
    refused(&Op::Squeeze, &[&x, &ints(&[1])], ErrorKind::Shape);
    assert_eq!(shape(&Op::Unsqueeze, &[&x, &ints(&[0, -1])]), [1, 1, 3, 1, 2, 1]);
    refused(&Op::Unsqueeze, &[&x, &ints(&[0, 0])], ErrorKind::Value);
    assert_eq!(shape(&Op::Flatten { axis: -1 }, &[&x]), [3, 2]);
    assert_eq!(shape(&Op::Flatten { axis: 4 }, &[&x]), [6, 1]);
    assert_eq!(shape(&Op::Flatten { axis: 0 }, &[&x]), [1, 6]);
}

#[test]
fn slices_are_those_of_numpy() {
    let x = ramp(&[3, 4]);
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        let inputs = [&x, &ints(starts), &ints(ends), &ints(axes), &ints(steps)];
        apply(&Op::Slice, &inputs, 1).unwrap().remove(0)
    };
    assert_eq!(
        slice(&[1], &[3], &[1], &[1]),
        tensor(&[3, 2], &[1, 2, 5, 6, 9, 10])
    );
    assert_eq!(
        slice(&[-1], &[i64::MIN], &[0], &[-2]),
        tensor(&[2, 4], &[8, 9, 10, 11, 0, 1, 2, 3])
    );
    assert_eq!(
        slice(&[0, 10], &[1, 0], &[0, -1], &[1, -3]),
        tensor(&[1, 1], &[3])
    );
    assert_eq!(slice(&[2], &[1], &[0], &[1]), tensor::<i32>(&[0, 4], &[]));
    assert_eq!(
        slice(&[0], &[i64::MAX], &[1], &[i64::MAX]),
        tensor(&[3, 1], &[0, 4, 8])
    );
    assert_eq!(
        slice(&[3], &[i64::MIN], &[1], &[i64::MIN]),
        tensor(&[3, 1], &[3, 7, 11])
    );
    let zero = [&x, &ints(&[0]), &ints(&[1]), &ints(&[0]), &ints(&[0])];
    refused(&Op::Slice, &zero, ErrorKind::Value);
    let outside = [&x, &ints(&[0]), &ints(&[1]), &ints(&[2])];
    refused(&Op::Slice, &outside, ErrorKind::Value);
}

#[test]
fn pads_are_those_of_numpy() {
    let x = ramp(&[2, 3]);
    let pad = |mode, pads: &[i64], inner: &[i32], shape: &[usize]| {
        check(&Op::Pad { mode }, &[&x, &ints(pads)], &tensor(shape, inner));
    };
    pad(
        PadMode::Constant,
        &[0, 1, 1, 0],
        &[0, 0, 1, 2, 0, 3, 4, 5, 0, 0, 0, 0],
        &[3, 4],
    );
    pad(
        PadMode::Edge,
        &[0, 2, 0, 1],
        &[0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 5],
        &[2, 6],
    );
    pad(
        PadMode::Reflect,
        &[0, 2, 0, 1],
        &[2, 1, 0, 1, 2, 1, 5, 4, 3, 4, 5, 4],
        &[2, 6],
    );
    pad(
        PadMode::Wrap,
        &[0, 2, 0, 1],
        &[1, 2, 0, 1, 2, 0, 4, 5, 3, 4, 5, 3],
        &[2, 6],
    );
    pad(PadMode::Constant, &[0, -1, 0, 1], &[1, 2, 0, 4, 5, 0], &[2, 3]);
    let some = [
        Some(&x),
        Some(&ints(&[1, 1])),
        Some(&tensor(&[], &[9])),
        Some(&ints(&[1])),
    ];
    let found = apply_some(
        &Op::Pad {
            mode: PadMode::Constant,
        },
        &some,
        1,
    )
    .unwrap();
    assert_eq!(found[0], tensor(&[2, 5], &[9, 0, 1, 2, 9, 9, 3, 4, 5, 9]));
    let constant = Op::Pad {
        mode: PadMode::Constant,
    };
    refused(&constant, &[&x, &ints(&[0, -4, 0, 0])], ErrorKind::Value);
    refused(&constant, &[&x, &ints(&[0, i64::MAX, 0, 0])], ErrorKind::Value);
    refused(&constant, &[&x, &ints(&[0, 1 << 40, 0, 0])], ErrorKind::Limit);
    check(
        &Op::CenterCropPad { axes: vec![-1, 0] },
        &[&x, &ints(&[2, 3])],
        &tensor(&[3, 2], &[0, 1, 3, 4, 0, 0]),
    );
}

#[test]
fn repeats_are_limited() {
    let x = ramp(&[1, 2]);
    check(
        &Op::Tile,
        &[&x, &ints(&[2, 2])],
        &tensor(&[2, 4], &[0, 1, 0, 1, 0, 1, 0, 1]),
    );
    refused(&Op::Tile, &[&x, &ints(&[1 << 20, 1 << 20])], ErrorKind::Limit);
    refused(&Op::Tile, &[&x, &ints(&[1, i64::MAX])], ErrorKind::Limit);
    refused(&Op::Tile, &[&x, &ints(&[1, -1])], ErrorKind::Value);
    refused(&Op::Expand, &[&x, &ints(&[1 << 40, 1])], ErrorKind::Limit);
    let fill = Op::ConstantOfShape {
        value: tensor(&[1], &[7u8]),
    };
    check(&fill, &[&ints(&[2, 1])], &tensor(&[2, 1], &[7u8, 7]));
    refused(&fill, &[&ints(&[1 << 31, 2])], ErrorKind::Limit);
}

#[test]
fn gathers_pick_slices_elements_and_places() {
    let x = ramp(&[3, 2]);
    let slices = |axis| Op::Gather(GatherMode::Slices { axis });
    check(
        &slices(0),
        &[&x, &tensor(&[2], &[2i32, -3])],
        &tensor(&[2, 2], &[4, 5, 0, 1]),
    );
    check(
        &slices(1),
        &[&x, &tensor(&[], &[1i64])],
        &tensor(&[3], &[1, 3, 5]),
    );
    refused(&slices(0), &[&x, &ints(&[3])], ErrorKind::Value);
    refused(&slices(0), &[&x, &ints(&[-4])], ErrorKind::Value);
    let elements = Op::Gather(GatherMode::Elements { axis: 0 });
    check(
        &elements,
        &[&x, &tensor(&[2, 2], &[0i64, 2, -1, 0])],
        &tensor(&[2, 2], &[0, 5, 4, 1]),
    );
    refused(&elements, &[&x, &tensor(&[1, 3], &[0i64; 3])], ErrorKind::Shape);
    let nd = |batch_dims| Op::Gather(GatherMode::Nd { batch_dims });
    check(
        &nd(0),
        &[&x, &tensor(&[2, 2], &[0i64, 1, 2, -2])],
        &tensor(&[2], &[1, 4]),
    );
    check(
        &nd(0),
        &[&x, &tensor(&[1, 1], &[1i64])],
        &tensor(&[1, 2], &[2, 3]),
    );
    check(
        &nd(1),
        &[&x, &tensor(&[3, 1], &[0i64, 1, 0])],
        &tensor(&[3], &[0, 3, 4]),
    );
    refused(&nd(1), &[&x, &tensor(&[2, 1], &[0i64; 2])], ErrorKind::Shape);
    refused(&nd(0), &[&x, &tensor(&[1, 3], &[0i64; 3])], ErrorKind::Shape);
}

#[test]
fn scatters_replace_and_combine() {
    let x = ramp(&[3, 2]);
    let indices = tensor(&[2, 2], &[0i64, 2, 0, -1]);
    let updates = tensor(&[2, 2], &[10, 20, 30, 40]);
    let op = |reduction| Op::ScatterElements { axis: 0, reduction };
    let each = |reduction, expected: [i32; 6]| {
        check(
            &op(reduction),
            &[&x, &indices, &updates],
            &tensor(&[3, 2], &expected),
        );
    };
    each(ScatterReduction::Replace, [30, 1, 2, 3, 4, 40]);
    each(ScatterReduction::Add, [40, 1, 2, 3, 4, 65]);
    each(ScatterReduction::Mul, [0, 1, 2, 3, 4, 4000]);
    each(ScatterReduction::Min, [0, 1, 2, 3, 4, 5]);
    each(ScatterReduction::Max, [30, 1, 2, 3, 4, 40]);
    let nd = Op::ScatterNd {
        reduction: ScatterReduction::Add,
    };
    let rows = tensor(&[2, 2], &[1, 1, 5, 5]);
    check(
        &nd,
        &[&x, &tensor(&[2, 1], &[2i64, 2]), &rows],
        &tensor(&[3, 2], &[0, 1, 2, 3, 10, 11]),
    );
    refused(&nd, &[&x, &tensor(&[2, 1], &[2i64, 3]), &rows], ErrorKind::Value);
    refused(&nd, &[&x, &tensor(&[1, 1], &[2i64]), &rows], ErrorKind::Shape);
    let cache = ramp(&[2, 3, 1]);
    let update = tensor(&[2, 2, 1], &[10, 11, 12, 13]);
    let write = |circular| Op::TensorScatter { axis: -2, circular };
    let places = ints(&[1, 2]);
    let expected = tensor(&[2, 3, 1], &[0, 10, 11, 13, 4, 12]);
    check(&write(true), &[&cache, &update, &places], &expected);
    refused(&write(false), &[&cache, &update, &places], ErrorKind::Value);
}

#[test]
fn numbers_and_places_fill_tensors() {
    let scalar = |x: f32| tensor(&[], &[x]);
    check(
        &Op::Range,
        &[&scalar(1.0), &scalar(5.0), &scalar(2.0)],
        &tensor(&[2], &[1f32, 3.0]),
    );
    let int = |x: i64| tensor(&[], &[x]);
    check(&Op::Range, &[&int(10), &int(6), &int(-3)], &ints(&[10, 7]));
    check(&Op::Range, &[&int(1), &int(1), &int(1)], &ints(&[]));
    refused(&Op::Range, &[&int(0), &int(1), &int(0)], ErrorKind::Value);
    refused(
        &Op::Range,
        &[&int(i64::MIN), &int(i64::MAX), &int(1)],
        ErrorKind::Limit,
    );
    refused(
        &Op::Range,
        &[&scalar(0.0), &scalar(1.0), &scalar(0.0)],
        ErrorKind::Value,
    );
    let eye = Op::EyeLike {
        dtype: Dtype::F32,
        k: -1,
    };
    check(
        &eye,
        &[&ramp(&[2, 3])],
        &tensor(&[2, 3], &[0f32, 0.0, 0.0, 1.0, 0.0, 0.0]),
    );
    let x = ramp(&[1, 2, 3]);
    let triangle = |upper, k: i64| apply(&Op::Trilu { upper }, &[&x, &int(k)], 1).unwrap().remove(0);
    assert_eq!(triangle(true, 1), tensor(&[1, 2, 3], &[0, 1, 2, 0, 0, 5]));
    assert_eq!(triangle(false, 0), tensor(&[1, 2, 3], &[0, 0, 0, 3, 4, 0]));
    assert_eq!(triangle(true, i64::MIN), x);
    assert_eq!(triangle(false, i64::MAX), x);
    let values = tensor(&[2], &[5i8, 9]);
    check(
        &Op::OneHot { axis: 0 },
        &[&ints(&[1, -1, 7]), &int(3), &values],
        &tensor(&[3, 3], &[5i8, 5, 5, 9, 5, 5, 5, 9, 5]),
    );
    check(
        &Op::NonZero,
        &[&tensor(&[2, 2], &[0f32, 1.0, -1.0, 0.0])],
        &tensor(&[2, 2], &[0i64, 1, 1, 0]),
    );
    check(
        &Op::Shape {
            start: 1,
            end: Some(-1),
        },
        &[&x],
        &ints(&[2]),
    );
    check(&Op::Shape { start: 0, end: None }, &[&x], &ints(&[1, 2, 3]));
    check(&Op::Size, &[&x], &int(6));
}

#[test]
fn blocks_sequences_and_choices_move_whole_slices() {
    let x = ramp(&[1, 4, 1, 2]);
    let depth = |crd| Op::DepthToSpace { block: 2, crd };
    check(
        &depth(false),
        &[&x],
        &tensor(&[1, 1, 2, 4], &[0, 2, 1, 3, 4, 6, 5, 7]),
    );
    check(
        &depth(true),
        &[&x],
        &tensor(&[1, 1, 2, 4], &[0, 2, 1, 3, 4, 6, 5, 7]),
    );
    refused(
        &Op::DepthToSpace { block: 3, crd: false },
        &[&x],
        ErrorKind::Shape,
    );
    refused(
        &Op::DepthToSpace { block: 0, crd: false },
        &[&x],
        ErrorKind::Value,
    );
    let time_first = ramp(&[3, 2]);
    check(
        &Op::ReverseSequence {
            batch_axis: 1,
            time_axis: 0,
        },
        &[&time_first, &ints(&[2, 3])],
        &tensor(&[3, 2], &[2, 5, 0, 3, 4, 1]),
    );
    check(
        &Op::Compress { axis: Some(1) },
        &[&time_first, &tensor(&[2], &[false, true])],
        &tensor(&[3, 1], &[1, 3, 5]),
    );
    check(
        &Op::Compress { axis: None },
        &[&time_first, &tensor(&[4], &[false, true, false, true])],
        &tensor(&[2], &[1, 3]),
    );
}

#[test]
fn distinct_elements_are_those_of_numpy() {
    let x = tensor(&[6], &[2f32, 1.0, 1.0, 3.0, 4.0, 3.0]);
    let found = apply(
        &Op::Unique {
            axis: None,
            sorted: true,
        },
        &[&x],
        4,
    )
    .unwrap();
    assert_eq!(found[0], tensor(&[4], &[1f32, 2.0, 3.0, 4.0]));
    assert_eq!(found[1], ints(&[1, 0, 3, 4]));
    assert_eq!(found[2], ints(&[1, 0, 0, 2, 3, 2]));
    assert_eq!(found[3], ints(&[2, 1, 2, 1]));
    let found = apply(
        &Op::Unique {
            axis: None,
            sorted: false,
        },
        &[&x],
        4,
    )
    .unwrap();
    assert_eq!(found[0], tensor(&[4], &[2f32, 1.0, 3.0, 4.0]));
    assert_eq!(found[2], ints(&[0, 1, 1, 2, 3, 2]));
    let rows = tensor(&[3, 2], &[1, 0, 0, 5, 1, 0]);
    let found = apply(
        &Op::Unique {
            axis: Some(0),
            sorted: true,
        },
        &[&rows],
        4,
    )
    .unwrap();
    assert_eq!(found[0], tensor(&[2, 2], &[0, 5, 1, 0]));
    assert_eq!(found[2], ints(&[1, 0, 1]));
}

#[test]
fn equations_sum_over_missing_letters() {
    let (a, b) = (ramp(&[2, 3]), ramp(&[3, 2]));
    let op = |equation: &str| Op::Einsum {
        equation: equation.to_owned(),
    };
    check(&op("ij,jk->ik"), &[&a, &b], &tensor(&[2, 2], &[10, 13, 28, 40]));
    check(&op("ij, jk"), &[&a, &b], &tensor(&[2, 2], &[10, 13, 28, 40]));
    check(&op("ij->ji"), &[&a], &tensor(&[3, 2], &[0, 3, 1, 4, 2, 5]));
    check(&op("ij->"), &[&a], &tensor(&[], &[15]));
    check(&op("ii->i"), &[&ramp(&[2, 2])], &tensor(&[2], &[0, 3]));
    let batch = ramp(&[2, 1, 2]);
    check(
        &op("...ij,...jk->...ik"),
        &[&batch, &ramp(&[2, 1])],
        &tensor(&[2, 1, 1], &[1, 3]),
    );
    refused(&op("ij,jk->iz"), &[&a, &b], ErrorKind::Value);
    refused(&op("ij->ij"), &[&a, &b], ErrorKind::Value);
    refused(&op("ijk->i"), &[&a], ErrorKind::Shape);
    refused(&op("ij,jk->ik"), &[&a, &a], ErrorKind::Shape);
    let long = tensor(&[1 << 14], &vec![1f32; 1 << 14]);
    refused(&op("a,b->"), &[&long, &long], ErrorKind::Limit);
}

#[test]
fn determinants_are_those_of_numpy() {
    let x = tensor(&[2, 2, 2], &[1f32, 2.0, 3.0, 4.0, 0.0, 1.0, 1.0, 0.0]);
    check_close(&Op::Det, &[&x], &[2], &[-2.0, -1.0], 1e-6);
    let x = tensor(&[3, 3], &[2f64, -1.0, 0.0, 1.0, 3.0, 2.0, 0.0, 5.0, -4.0]);
    check_close(&Op::Det, &[&x], &[], &[-48.0], 1e-12);
    refused(&Op::Det, &[&tensor(&[1, 2], &[1f32, 2.0])], ErrorKind::Shape);
}
