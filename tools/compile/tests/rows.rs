//! Products with rows quantized as they come: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check, model};
use limbic_graph::op::{Binary, Unary};
use limbic_graph::passes::{fuse_dynamic_products, remove_dead, simplify};
use limbic_graph::{Dtype, Graph, Op, Quantization, Tensor, TensorType, ValueId, onnx};
use limbic_quantize::lower;
use limbic_quantize::scheme::{self, Choice, Scheme};
use proptest::prelude::*;

/// Adds a product with `columns` outputs and random weights.
fn product(graph: &mut Graph, random: &mut Random, x: ValueId, columns: usize, bias: bool) -> ValueId {
    let n = graph.values.len();
    let shape = graph.value(x).ty.shape().unwrap();
    let depth = *shape.last().unwrap();
    let scales: Vec<f32> = (0..columns)
        .map(|_| 0.001 + random.below(100) as f32 * 1e-4)
        .collect();
    let weights = random
        .int8s(&[depth, columns])
        .with_quantization(Some(Quantization::PerAxis {
            axis: 1,
            zero_points: vec![0; columns],
            scales,
        }));
    let w = graph.add_constant(format!("w{n}"), weights);
    let mut inputs = vec![x, w];
    if bias {
        let b = random.reals(&[columns]);
        inputs.push(graph.add_constant(format!("b{n}"), b));
    }
    let mut dims = shape;
    *dims.last_mut().unwrap() = columns;
    graph.add_node(
        format!("y{n}"),
        Op::DynamicMatMul,
        &inputs,
        TensorType::new(Dtype::F32, &dims),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn products_of_rows_give_the_interpreters_numbers(
        seed in 1..u64::MAX,
        outer in prop::collection::vec(1..6usize, 1..4),
        depth in 1..90usize,
        columns in prop::collection::vec(1..70usize, 1..4),
        bias in any::<bool>(),
        behind in 0..4u8,
    ) {
        let mut random = Random(seed);
        let mut dims = outer;
        dims.push(depth);
        let mut graph = Graph::new("rows");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &dims));
        for &columns in &columns {
            let y = product(&mut graph, &mut random, x, columns, bias);
            let ty = graph.value(y).ty.clone();
            let last = match behind {
                1 => graph.add_node("relu", Op::Unary(Unary::Relu), &[y], ty),
                2 => {
                    let other = product(&mut graph, &mut random, x, columns, !bias);
                    graph.add_node("sum", Op::Binary(Binary::Add), &[other, y], ty)
                }
                _ => y,
            };
            graph.outputs.push(last);
        }
        let mut input = random.reals(&dims);
        if behind == 3 {
            // A row of zeros and ties.
            let mut elements = input.elements::<f32>().unwrap().to_vec();
            for (n, x) in elements.iter_mut().enumerate() {
                *x = if n < depth { 0.0 } else { (random.below(509) as f32 - 254.0) / 2.0 };
            }
            input = Tensor::new(&dims, elements).unwrap();
        }
        check(&graph, &[input], 1e-6);
    }
}

/// The text model with rows quantized as they come, and its inputs.
fn text(length: usize) -> (Graph, Vec<Tensor>) {
    let shape = [1, length];
    let mut graph = model("text-small", &[("token_ids", &shape), ("attention_mask", &shape)]);
    graph = scheme::apply(&graph, None, &Choice::new(Scheme::Dynamic))
        .unwrap()
        .graph;
    let mut random = Random(9);
    let ids: Vec<i64> = (0..length).map(|_| random.below(12_000) as i64).collect();
    let mask: Vec<i64> = (0..length).map(|n| i64::from(n < length * 2 / 3)).collect();
    let inputs = vec![
        Tensor::new(&shape, ids).unwrap(),
        Tensor::new(&shape, mask).unwrap(),
    ];
    (graph, inputs)
}

#[test]
fn the_text_model_with_quantized_rows_gives_the_interpreters_answers() {
    let (graph, inputs) = text(16);
    // A difference in the last place of a float moves an integer now and then.
    check(&graph, &inputs, 5e-3);
}

#[test]
fn an_exported_text_model_compiles_to_products_of_integers_for_every_length() {
    for length in [16, 32, 64, 128] {
        let (graph, _) = text(length);
        let products = |graph: &Graph| {
            let nodes = graph.nodes.iter();
            nodes.filter(|node| node.op == Op::DynamicMatMul).count()
        };
        let exported = onnx::write(&lower(&graph).unwrap()).unwrap();
        let mut read = onnx::read(&exported, None).unwrap();
        simplify(&mut read).unwrap();
        assert_eq!(products(&read), 0);
        assert!(fuse_dynamic_products(&mut read).unwrap());
        remove_dead(&mut read);
        assert_eq!(products(&read), products(&graph));
        let steps = limbic_compile::compile(&read).unwrap().report.steps;
        let integers = steps.iter().filter(|step| step.detail.starts_with("rows"));
        assert_eq!(integers.count(), products(&graph), "{length} tokens");
    }
}
