//! Numbers that ONNX Runtime and PyTorch give for the same inputs.

use super::{apply, close, ramp};
use crate::op::{Activation, Attention, Cell, Direction, Op, Recurrent, RotaryEmbedding};
use crate::tensor::Tensor;

/// A layer in both directions over sequences of 3 and 2 steps, with a bias, a first state and a limit of 0.8.
fn check_recurrent(cell: Cell, gates: usize, activations: &[Activation], rest: &[&Tensor], expected: &[f32]) {
    let op = Op::Recurrent(Recurrent {
        cell,
        hidden: 2,
        direction: Direction::Both,
        activations: [activations, activations].concat(),
        clip: Some(0.8),
        batch_first: false,
    });
    let inputs = [
        ramp(&[3, 2, 2], 0.7),
        ramp(&[2, gates * 2, 2], 0.9),
        ramp(&[2, gates * 2, 2], 1.1),
        ramp(&[2, gates * 4], 0.3),
        Tensor::vector(vec![3i32, 2]),
        ramp(&[2, 2, 2], 0.5),
    ];
    let inputs: Vec<Option<&Tensor>> = inputs.iter().chain(rest.iter().copied()).map(Some).collect();
    let made = apply(&op, &inputs, 2);
    close(&made[0], &[3, 2, 2, 2], expected);
    // The last state is the last that each sequence and direction made.
    let y = made[0].to_f32();
    let last = [&y[16..18], &y[10..12], &y[4..6], &y[6..8]].concat();
    close(&made[1], &[2, 2, 2], &last);
}

#[test]
fn long_short_term_memory_with_peepholes_is_that_of_onnx_runtime() {
    let rest = [ramp(&[2, 2, 2], 0.4), ramp(&[2, 6], 0.6)];
    check_recurrent(
        Cell::Lstm { input_forget: false },
        4,
        &[Activation::Sigmoid, Activation::Tanh, Activation::Tanh],
        &[&rest[0], &rest[1]],
        &[
            0.026030, 0.151657, 0.135258, 0.260310, 0.200885, 0.368772, 0.176325, 0.121566, 0.111464,
            -0.098495, 0.318766, -0.049314, 0.189014, 0.275786, 0.196716, -0.027747, 0.303239, -0.063414,
            0.0, 0.0, 0.230032, 0.243560, 0.0, 0.0,
        ],
    );
}

#[test]
fn gated_recurrent_units_are_those_of_onnx_runtime() {
    let functions = [Activation::Sigmoid, Activation::Tanh];
    let before = [
        0.205868, 0.447591, 0.786462, 0.773020, -0.443299, 0.059100, -0.421258, 0.070666, 0.347912, 0.514695,
        0.399837, 0.522205, -0.339835, -0.415197, 0.119057, -0.566920, 0.398999, 0.404360, 0.0, 0.0,
        0.381689, -0.272627, 0.0, 0.0,
    ];
    let behind = [
        0.205868, 0.460356, 0.786462, 0.691275, -0.505116, -0.255242, -0.463261, 0.083277, 0.347912,
        0.523502, 0.395490, 0.503379, -0.342888, -0.542690, -0.016427, -0.566920, 0.388113, 0.424499, 0.0,
        0.0, 0.371843, -0.272627, 0.0, 0.0,
    ];
    for (linear_before_reset, expected) in [(false, before), (true, behind)] {
        check_recurrent(Cell::Gru { linear_before_reset }, 3, &functions, &[], &expected);
    }
}

#[test]
fn plain_recurrent_layer_is_that_of_onnx_runtime() {
    let expected = [
        0.664037, 0.664037, 0.664037, 0.664037, 0.173954, 0.664037, -0.441757, 0.664037, 0.664037, 0.664037,
        0.368646, 0.237674, 0.664037, 0.664037, 0.664037, 0.664037, 0.664037, 0.664037, 0.0, 0.0, 0.664037,
        0.664037, 0.0, 0.0,
    ];
    check_recurrent(Cell::Plain, 1, &[Activation::Tanh], &[], &expected);
}

#[test]
fn batch_before_time_gives_the_same_states() {
    let op = |batch_first| {
        Op::Recurrent(Recurrent {
            cell: Cell::Plain,
            hidden: 3,
            direction: Direction::Both,
            activations: vec![Activation::Tanh; 2],
            clip: None,
            batch_first,
        })
    };
    let (w, r) = (ramp(&[2, 3, 2], 0.9), ramp(&[2, 3, 3], 1.1));
    let x = ramp(&[1, 4, 2], 0.7);
    let swapped = x.reshaped(&[4, 1, 2]).unwrap();
    let batch = apply(&op(true), &[Some(&x), Some(&w), Some(&r)], 2);
    let time = apply(&op(false), &[Some(&swapped), Some(&w), Some(&r)], 2);
    assert_eq!(batch[0].shape(), [1, 4, 2, 3]);
    assert_eq!(time[0].shape(), [4, 2, 1, 3]);
    assert_eq!(batch[0].storage(), time[0].storage());
    assert_eq!(batch[1].storage(), time[1].storage());
}

fn attention() -> Attention {
    Attention {
        causal: false,
        query_heads: None,
        key_heads: None,
        scale: None,
        softcap: 0.0,
        score_output: 0,
    }
}

#[test]
fn attention_of_grouped_heads_is_that_of_pytorch() {
    let (q, k, v) = (
        ramp(&[1, 2, 2, 4], 0.7),
        ramp(&[1, 1, 3, 4], 0.9),
        ramp(&[1, 1, 3, 2], 1.3),
    );
    let mask = Tensor::new(&[2, 3], vec![true, true, false, true, true, true]).unwrap();
    let inputs = [Some(&q), Some(&k), Some(&v), Some(&mask)];
    let expected = [
        0.086236, 0.687316, -0.033778, -0.130173, 0.176610, 0.397816, -0.354453, 0.173611,
    ];
    let made = apply(&Op::Attention(attention()), &inputs, 4);
    close(&made[0], &[1, 2, 2, 2], &expected);
    // A mask that ends before the keys hides the rest.
    let short = Tensor::new(&[1, 2], vec![true, true]).unwrap();
    let long = Tensor::new(&[1, 3], vec![true, true, false]).unwrap();
    let run = |mask| {
        apply(
            &Op::Attention(attention()),
            &[Some(&q), Some(&k), Some(&v), Some(mask)],
            1,
        )
    };
    assert_eq!(run(&short), run(&long));
}

#[test]
fn attention_continues_from_a_cache() {
    let causal = Op::Attention(Attention {
        causal: true,
        ..attention()
    });
    let (q, k, v) = (
        ramp(&[1, 1, 5, 4], 0.7),
        ramp(&[1, 1, 5, 4], 0.9),
        ramp(&[1, 1, 5, 4], 1.3),
    );
    let whole = apply(&causal, &[Some(&q), Some(&k), Some(&v)], 1).remove(0);
    let part = |t: &Tensor, from: usize, to: usize| {
        Tensor::new(&[1, 1, to - from, 4], t.to_f32()[from * 4..to * 4].to_vec()).unwrap()
    };
    let (past_k, past_v) = (part(&k, 0, 3), part(&v, 0, 3));
    let (q2, k2, v2) = (part(&q, 3, 5), part(&k, 3, 5), part(&v, 3, 5));
    let inputs = [
        Some(&q2),
        Some(&k2),
        Some(&v2),
        None,
        Some(&past_k),
        Some(&past_v),
    ];
    let made = apply(&causal, &inputs, 3);
    close(&made[0], &[1, 1, 2, 4], &whole.to_f32()[12..]);
    assert_eq!(made[1], k);
    assert_eq!(made[2], v);
}

#[test]
fn a_query_that_sees_no_key_gives_zero() {
    let q = ramp(&[1, 1, 2, 4], 0.7);
    let mask = Tensor::new(&[2, 2], vec![false, false, true, true]).unwrap();
    let y = apply(
        &Op::Attention(attention()),
        &[Some(&q), Some(&q), Some(&q), Some(&mask)],
        1,
    )
    .remove(0);
    assert_eq!(y.to_f32()[..4], [0.0; 4]);
    assert!(y.to_f32()[4..].iter().all(|x| x.is_finite()));
}

#[test]
fn rotary_embedding_turns_pairs() {
    let x = ramp(&[1, 1, 2, 4], 0.7);
    let angles = [0.0f32, 0.0, 1.0, 2.0];
    let cos = Tensor::new(&[2, 2], angles.map(f32::cos).to_vec()).unwrap();
    let sin = Tensor::new(&[2, 2], angles.map(f32::sin).to_vec()).unwrap();
    let positions = Tensor::new(&[1, 2], vec![0i64, 1]).unwrap();
    for interleaved in [false, true] {
        let op = Op::RotaryEmbedding(RotaryEmbedding {
            interleaved,
            dim: 0,
            heads: 0,
        });
        let y = apply(&op, &[Some(&x), Some(&cos), Some(&sin), Some(&positions)], 1).remove(0);
        let (x, y) = (x.to_f32(), y.to_f32());
        assert_eq!(x[..4], y[..4]);
        let pairs = if interleaved {
            [(4, 5), (6, 7)]
        } else {
            [(4, 6), (5, 7)]
        };
        for ((a, b), angle) in pairs.into_iter().zip([1.0f32, 2.0]) {
            let expected = (
                x[a] * angle.cos() - x[b] * angle.sin(),
                x[a] * angle.sin() + x[b] * angle.cos(),
            );
            assert!((y[a] - expected.0).abs() < 1e-6 && (y[b] - expected.1).abs() < 1e-6);
        }
    }
}

#[test]
fn local_response_normalization_is_that_of_onnx_runtime() {
    let op = Op::LocalResponseNormalization {
        alpha: 0.5,
        beta: 0.75,
        bias: 1.5,
        size: 3,
    };
    let y = apply(&op, &[Some(&ramp(&[1, 4, 1, 2], 0.7))], 1).remove(0);
    let expected = [
        0.0, 0.433981, 0.667644, 0.576280, 0.214922, -0.225205, -0.599956, -0.665369,
    ];
    close(&y, &[1, 4, 1, 2], &expected);
}
