use half::f16;

use crate::error::ErrorKind;
use crate::interpret::apply::{apply, apply_some, check, check_close, tensor};
use crate::op::{Binary, Compare, Logic, Op, Reduce, Unary, Variadic};

const X: [f64; 7] = [-3.5, -1.0, -0.25, 0.0, 0.5, 2.0, 20.0];

/// Expected numbers are PyTorch's in `f64`.
fn check_unary(function: Unary, expected: [f64; 7]) {
    let op = Op::Unary(function);
    check_close(&op, &[&tensor(&[7], &X)], &[7], &expected, 1e-7);
    let narrow = X.map(|x| x as f32);
    // What is left of 1 + erf near -1 has lost digits in f32.
    check_close(&op, &[&tensor(&[7], &narrow)], &[7], &expected, 3e-4);
    let half = X.map(f16::from_f64);
    check_close(&op, &[&tensor(&[7], &half)], &[7], &expected, 2e-3);
}

#[test]
fn activations_are_those_of_pytorch() {
    check_unary(
        Unary::Erf,
        [
            -0.999999257,
            -0.842700793,
            -0.27632639,
            0.0,
            0.520499878,
            0.995322265,
            1.0,
        ],
    );
    check_unary(
        Unary::Gelu { tanh: false },
        [
            -0.000814201777,
            -0.158655254,
            -0.100323419,
            0.0,
            0.345731231,
            1.95449974,
            20.0,
        ],
    );
    check_unary(
        Unary::Gelu { tanh: true },
        [
            -0.000616197655,
            -0.158808009,
            -0.100324649,
            0.0,
            0.34571401,
            1.95459769,
            20.0,
        ],
    );
    check_unary(
        Unary::Mish,
        [
            -0.104095754,
            -0.303401461,
            -0.129926964,
            0.0,
            0.375245211,
            1.94395896,
            20.0,
        ],
    );
    check_unary(
        Unary::Softplus,
        [
            0.0297504183,
            0.313261688,
            0.57593942,
            std::f64::consts::LN_2 as _,
            0.974076984,
            2.12692801,
            20.000000002,
        ],
    );
    check_unary(
        Unary::Sigmoid,
        [
            0.0293122308,
            0.268941421,
            0.437823499,
            0.5,
            0.622459331,
            0.880797078,
            0.999999998,
        ],
    );
    check_unary(
        Unary::Selu {
            alpha: 1.673_263_2,
            gamma: 1.050_701,
        },
        [
            -1.70500934,
            -1.11133074,
            -0.388890197,
            0.0,
            0.525350494,
            2.10140197,
            21.0140197,
        ]
        .map(|x| x),
    );
    check_unary(
        Unary::Elu { alpha: 0.5 },
        [-0.484901308, -0.316060279, -0.110599608, 0.0, 0.5, 2.0, 20.0],
    );
    check_unary(
        Unary::Celu { alpha: 2.0 },
        [-1.65245211, -0.786938681, -0.235006195, 0.0, 0.5, 2.0, 20.0],
    );
    check_unary(
        Unary::HardSwish,
        [
            0.0,
            -0.333333333,
            -0.114583333,
            0.0,
            0.291666667,
            1.66666667,
            20.0,
        ],
    );
    check_unary(
        Unary::Swish { alpha: 1.0 },
        [
            -0.102592808,
            -0.268941421,
            -0.109455875,
            0.0,
            0.311229666,
            1.76159416,
            20.0,
        ],
    );
    check_unary(
        Unary::Softsign,
        [
            -0.777777778,
            -0.5,
            -0.2,
            0.0,
            0.333333333,
            0.666666667,
            0.952380952,
        ],
    );
}

#[test]
fn rounding_goes_to_even_and_integers_wrap() {
    let halves = tensor(&[6], &[-2.5f32, -1.5, -0.5, 0.5, 1.5, 2.5]);
    check(
        &Op::Unary(Unary::Round),
        &[&halves],
        &tensor(&[6], &[-2f32, -2.0, -0.0, 0.0, 2.0, 2.0]),
    );
    let least = tensor(&[2], &[i8::MIN, 5]);
    check(&Op::Unary(Unary::Neg), &[&least], &tensor(&[2], &[i8::MIN, -5]));
    check(&Op::Unary(Unary::Abs), &[&least], &tensor(&[2], &[i8::MIN, 5]));
    let (a, b) = (tensor(&[2], &[250u8, 3]), tensor(&[2], &[10u8, 5]));
    check(&Op::Binary(Binary::Add), &[&a, &b], &tensor(&[2], &[4u8, 8]));
    check(&Op::Binary(Binary::Sub), &[&a, &b], &tensor(&[2], &[240u8, 254]));
    check(&Op::Binary(Binary::Mul), &[&a, &b], &tensor(&[2], &[196u8, 15]));
    check(&Op::Unary(Unary::BitwiseNot), &[&b], &tensor(&[2], &[245u8, 250]));
    let big = tensor(&[1], &[u64::MAX]);
    check(
        &Op::Binary(Binary::Add),
        &[&big, &big],
        &tensor(&[1], &[u64::MAX - 1]),
    );
}

#[test]
fn divisions_and_remainders_take_the_stated_signs() {
    let (a, b) = (tensor(&[4], &[7i32, -7, 7, -7]), tensor(&[4], &[3i32, 3, -3, -3]));
    let each = |function, expected: [i32; 4]| {
        check(&Op::Binary(function), &[&a, &b], &tensor(&[4], &expected));
        let (a, b) = (a.to_f32(), b.to_f32());
        let expected = expected.map(|x| x as f32);
        if function != Binary::Div {
            let (a, b) = (tensor(&[4], &a), tensor(&[4], &b));
            check(&Op::Binary(function), &[&a, &b], &tensor(&[4], &expected));
        }
    };
    each(Binary::Div, [2, -2, -2, 2]);
    each(Binary::FloorDiv, [2, -3, -3, 2]);
    each(Binary::Mod { fmod: true }, [1, -1, 1, -1]);
    each(Binary::Mod { fmod: false }, [1, 2, -2, -1]);
    let zero = tensor(&[1], &[0i32]);
    let refused = apply(&Op::Binary(Binary::Div), &[&a, &zero], 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Value);
    let least = tensor(&[1], &[i64::MIN]);
    let minus = tensor(&[1], &[-1i64]);
    check(&Op::Binary(Binary::Div), &[&least, &minus], &least);
}

#[test]
fn powers_keep_the_type_of_the_base() {
    let base = tensor(&[4], &[2i32, -3, 1, 10]);
    check(
        &Op::Binary(Binary::Pow),
        &[&base, &tensor(&[], &[3i32])],
        &tensor(&[4], &[8i32, -27, 1, 1000]),
    );
    check(
        &Op::Binary(Binary::Pow),
        &[&base, &tensor(&[], &[2f32])],
        &tensor(&[4], &[4i32, 9, 1, 100]),
    );
    check(
        &Op::Binary(Binary::Pow),
        &[&tensor(&[2], &[4f32, 9.0]), &tensor(&[], &[2i64])],
        &tensor(&[2], &[16f32, 81.0]),
    );
}

#[test]
fn extents_broadcast_as_in_numpy() {
    let a = tensor(&[2, 1, 2], &[1f32, 2.0, 3.0, 4.0]);
    let b = tensor(&[3, 1], &[10f32, 20.0, 30.0]);
    let expected = [
        11f32, 12.0, 21.0, 22.0, 31.0, 32.0, 13.0, 14.0, 23.0, 24.0, 33.0, 34.0,
    ];
    check(
        &Op::Binary(Binary::Add),
        &[&a, &b],
        &tensor(&[2, 3, 2], &expected),
    );
    check(
        &Op::Variadic(Variadic::Sum),
        &[&b, &a],
        &tensor(&[2, 3, 2], &expected),
    );
    let none = tensor::<f32>(&[0, 2], &[]);
    check(
        &Op::Binary(Binary::Add),
        &[&none, &tensor(&[1, 2], &[1f32, 2.0])],
        &none,
    );
    let wrong = apply(&Op::Binary(Binary::Add), &[&a, &tensor(&[3], &[1f32; 3])], 1).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Shape);
    assert!(wrong.to_string().contains("[2,1,2] and [3]"), "{wrong}");
}

#[test]
fn comparisons_logic_and_choices_broadcast() {
    let (a, b) = (tensor(&[3], &[1u64, 5, u64::MAX]), tensor(&[1], &[5u64]));
    check(
        &Op::Compare(Compare::Less),
        &[&a, &b],
        &tensor(&[3], &[true, false, false]),
    );
    check(
        &Op::Compare(Compare::GreaterOrEqual),
        &[&a, &b],
        &tensor(&[3], &[false, true, true]),
    );
    let nan = tensor(&[1], &[f32::NAN]);
    check(
        &Op::Compare(Compare::Equal),
        &[&nan, &nan],
        &tensor(&[1], &[false]),
    );
    check(
        &Op::Compare(Compare::NotEqual),
        &[&nan, &nan],
        &tensor(&[1], &[true]),
    );
    let (p, q) = (tensor(&[2, 1], &[true, false]), tensor(&[2], &[true, false]));
    check(
        &Op::Logic(Logic::Xor),
        &[&p, &q],
        &tensor(&[2, 2], &[false, true, true, false]),
    );
    check(
        &Op::Where,
        &[&p, &tensor(&[], &[7i16]), &tensor(&[2], &[1i16, 2])],
        &tensor(&[2, 2], &[7i16, 7, 1, 2]),
    );
}

#[test]
fn clip_takes_either_limit() {
    let x = tensor(&[3], &[-5i8, 0, 5]);
    let (low, high) = (tensor(&[], &[-1i8]), tensor(&[], &[2i8]));
    check(&Op::Clip, &[&x, &low, &high], &tensor(&[3], &[-1i8, 0, 2]));
    let found = apply_some(&Op::Clip, &[Some(&x), None, Some(&high)], 1).unwrap();
    assert_eq!(found[0], tensor(&[3], &[-5i8, 0, 2]));
}

#[test]
fn reductions_are_those_of_numpy() {
    let x = tensor(&[2, 3], &[1f32, 2.0, -3.0, 4.5, 0.0, -1.0]);
    let reduce = |function, keep_dims| Op::Reduce {
        function,
        keep_dims,
        noop_with_empty_axes: false,
    };
    let rows = |function, expected: [f64; 2]| {
        let axes = tensor(&[1], &[-1i64]);
        check_close(&reduce(function, true), &[&x, &axes], &[2, 1], &expected, 1e-6);
    };
    let columns = |function, expected: [f64; 3]| {
        let axes = tensor(&[1], &[0i64]);
        check_close(&reduce(function, false), &[&x, &axes], &[3], &expected, 1e-6);
    };
    rows(Reduce::Sum, [0.0, 3.5]);
    columns(Reduce::Mean, [2.75, 1.0, -2.0]);
    rows(Reduce::L1, [6.0, 5.5]);
    rows(Reduce::L2, [3.7416573867739413, 4.6097722286464435]);
    rows(Reduce::LogSumExp, [2.318175429247454, 4.515081468749686]);
    columns(
        Reduce::LogSumExp,
        [4.529750418272621, 2.1269280110429727, -0.8730719889570274],
    );
    columns(Reduce::SumSquare, [21.25, 4.0, 10.0]);
    columns(Reduce::Prod, [4.5, 0.0, 3.0]);
    columns(Reduce::Max, [4.5, 2.0, -1.0]);
    rows(Reduce::Min, [-3.0, -1.0]);
    check_close(&reduce(Reduce::Sum, false), &[&x], &[], &[3.5], 1e-6);
    let all_infinite = tensor(&[2], &[f32::NEG_INFINITY; 2]);
    check(
        &reduce(Reduce::LogSumExp, false),
        &[&all_infinite],
        &tensor(&[], &[f32::NEG_INFINITY]),
    );
    let none = tensor::<f32>(&[2, 0], &[]);
    let axes = tensor(&[1], &[1i64]);
    check(
        &reduce(Reduce::Sum, false),
        &[&none, &axes],
        &tensor(&[2], &[0f32; 2]),
    );
    check(
        &reduce(Reduce::Prod, false),
        &[&none, &axes],
        &tensor(&[2], &[1f32; 2]),
    );
    let integers = tensor(&[3], &[100i8, 100, -7]);
    check(&reduce(Reduce::Sum, false), &[&integers], &tensor(&[], &[-63i8]));
    check(&reduce(Reduce::Max, false), &[&integers], &tensor(&[], &[100i8]));
    let noop = Op::Reduce {
        function: Reduce::SumSquare,
        keep_dims: true,
        noop_with_empty_axes: true,
    };
    check(
        &noop,
        &[&tensor(&[2], &[3f32, 4.0])],
        &tensor(&[2], &[9f32, 16.0]),
    );
    let wrong = apply(&reduce(Reduce::Sum, false), &[&x, &tensor(&[1], &[2i64])], 1).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Value);
}

#[test]
fn a_sum_of_many_small_numbers_keeps_them() {
    let mut elements = vec![1e-4f32; 1 << 20];
    elements[0] = 1e4;
    let x = tensor(&[1 << 20], &elements);
    let sum = Op::Reduce {
        function: Reduce::Sum,
        keep_dims: false,
        noop_with_empty_axes: false,
    };
    check_close(&sum, &[&x], &[], &[1e4 + 1e-4 * f64::from((1 << 20) - 1)], 1e-7);
}

#[test]
fn extremes_are_the_first_or_last_of_equals() {
    let x = tensor(&[2, 3], &[2f32, 7.0, 7.0, -1.0, -1.0, 4.0]);
    let op = |max, select_last| Op::ArgExtreme {
        max,
        axis: 1,
        keep_dims: false,
        select_last,
    };
    check(&op(true, false), &[&x], &tensor(&[2], &[1i64, 2]));
    check(&op(true, true), &[&x], &tensor(&[2], &[2i64, 2]));
    check(&op(false, false), &[&x], &tensor(&[2], &[0i64, 0]));
    check(&op(false, true), &[&x], &tensor(&[2], &[0i64, 1]));
    let top = Op::TopK {
        axis: -1,
        largest: true,
        sorted: true,
    };
    let found = apply(&top, &[&x, &tensor(&[1], &[2i64])], 2).unwrap();
    assert_eq!(found[0], tensor(&[2, 2], &[7f32, 7.0, 4.0, -1.0]));
    assert_eq!(found[1], tensor(&[2, 2], &[1i64, 2, 2, 0]));
    let refused = apply(&top, &[&x, &tensor(&[1], &[4i64])], 2).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Value);
}

#[test]
fn running_sums_go_both_ways() {
    let x = tensor(&[2, 3], &[1i32, 2, 3, 4, 5, 6]);
    let op = |product, exclusive, reverse| Op::Cumulative {
        product,
        exclusive,
        reverse,
    };
    let (zero, one) = (tensor(&[], &[0i32]), tensor(&[], &[-1i32]));
    let each = |op, axis, expected: [i32; 6]| check(&op, &[&x, axis], &tensor(&[2, 3], &expected));
    each(op(false, false, false), &one, [1, 3, 6, 4, 9, 15]);
    each(op(false, true, false), &one, [0, 1, 3, 0, 4, 9]);
    each(op(false, true, true), &one, [5, 3, 0, 11, 6, 0]);
    each(op(true, false, false), &zero, [1, 2, 3, 4, 10, 18]);
}

#[test]
fn norms_and_hardmax_run_along_their_axis() {
    let x = tensor(&[2, 2], &[3f32, -1.0, 4.0, 0.0]);
    let norm = |p| Op::LpNormalization { axis: 0, p };
    check_close(&norm(2), &[&x], &[2, 2], &[0.6, -1.0, 0.8, 0.0], 1e-6);
    check_close(&norm(1), &[&x], &[2, 2], &[3.0 / 7.0, -1.0, 4.0 / 7.0, 0.0], 1e-6);
    check(
        &Op::Hardmax { axis: 1 },
        &[&tensor(&[2, 2], &[3f32, 3.0, -4.0, 0.0])],
        &tensor(&[2, 2], &[1f32, 0.0, 0.0, 1.0]),
    );
}

#[test]
fn functions_refuse_elements_they_are_not_defined_for() {
    let flags = tensor(&[1], &[true]);
    for op in [
        Op::Unary(Unary::Exp),
        Op::Unary(Unary::Neg),
        Op::Softmax { axis: 0 },
    ] {
        assert_eq!(
            apply(&op, &[&flags], 1).unwrap_err().kind(),
            ErrorKind::Dtype,
            "{op:?}"
        );
    }
    let (a, b) = (tensor(&[1], &[1f32]), tensor(&[1], &[1i32]));
    let mixed = apply(&Op::Binary(Binary::Add), &[&a, &b], 1).unwrap_err();
    assert_eq!(mixed.kind(), ErrorKind::Dtype);
    let far = apply(&Op::Softmax { axis: 1 }, &[&a], 1).unwrap_err();
    assert_eq!(far.kind(), ErrorKind::Value);
}
