//! Damaged plans: refused, or run inside their buffers.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, cpus};
use limbic_compile::host::Aligned;
use limbic_compile::{Compiled, compile};
use limbic_engine::{Plan, Tier};
use limbic_graph::infer::infer;
use limbic_graph::op::{Binary, Convolution, Padding, PoolKind, Unary};
use limbic_graph::{Dtype, Graph, Op, Quantization, Tensor, TensorType, ValueId};
use proptest::prelude::*;

fn quantized(scale: f32) -> TensorType {
    TensorType {
        quantization: Some(Quantization::PerTensor { scale, zero_point: 3 }),
        ..TensorType::unshaped(Dtype::I8)
    }
}

/// A network with one step of nearly every kernel.
fn network() -> Compiled {
    let mut random = Random(7);
    let mut graph = Graph::new("all kernels");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 3, 8, 8]));
    let q = graph.add_node("quantize", Op::Requantize, &[x], quantized(0.02));
    let convolution = |graph: &mut Graph, random: &mut Random, name: &str, from: ValueId, shape: &[usize]| {
        let groups = if shape[1] == 1 { shape[0] } else { 1 };
        let weights = random
            .int8s(shape)
            .with_quantization(Some(Quantization::PerTensor {
                scale: 0.01,
                zero_point: 0,
            }));
        let w = graph.add_constant(format!("{name}.w"), weights);
        let bias = graph.add_constant(format!("{name}.b"), Tensor::vector(vec![5i32; shape[0]]));
        let c = Convolution {
            padding: Padding::Explicit(vec![shape[2] / 2; 4]),
            groups,
            ..Convolution::unit(2)
        };
        graph.add_node(name, Op::Conv(c), &[from, w, bias], quantized(0.3))
    };
    let a = convolution(&mut graph, &mut random, "first", q, &[20, 3, 3, 3]);
    let b = convolution(&mut graph, &mut random, "depthwise", a, &[20, 1, 3, 3]);
    let c = convolution(&mut graph, &mut random, "pointwise", b, &[20, 20, 1, 1]);
    let sum = graph.add_node("sum", Op::Binary(Binary::Add), &[a, c], quantized(0.5));
    let table = graph.add_node("table", Op::Unary(Unary::HardSwish), &[sum], quantized(0.5));
    let sub = graph.add_node("sub", Op::Binary(Binary::Sub), &[table, a], quantized(0.4));
    let mean = PoolKind::Average {
        include_padding: false,
    };
    let pooled = graph.add_node("mean", Op::GlobalPool(mean), &[sub], quantized(0.2));
    let flat = graph.add_node("flat", Op::Flatten { axis: 1 }, &[pooled], quantized(0.2));
    let real = graph.add_node("real", Op::Requantize, &[flat], TensorType::unshaped(Dtype::F32));
    let soft = graph.add_node(
        "soft",
        Op::Softmax { axis: 1 },
        &[real],
        TensorType::unshaped(Dtype::F32),
    );
    let w = graph.add_constant("dense.w", random.reals(&[20, 20]));
    let dense = graph.add_node("dense", Op::MatMul, &[soft, w], TensorType::unshaped(Dtype::F32));
    let gelu = Op::Unary(Unary::Gelu { tanh: false });
    let gelu = graph.add_node("gelu", gelu, &[dense], TensorType::unshaped(Dtype::F32));
    let weights = random
        .int8s(&[20, 20])
        .with_quantization(Some(Quantization::PerTensor {
            scale: 0.01,
            zero_point: 0,
        }));
    let w = graph.add_constant("rows.w", weights);
    let bias = graph.add_constant("rows.b", random.reals(&[20]));
    let rows = graph.add_node(
        "rows",
        Op::DynamicMatMul,
        &[gelu, w, bias],
        TensorType::unshaped(Dtype::F32),
    );
    let scale = graph.add_constant("scale", random.reals(&[20]));
    let norm = Op::LayerNormalization {
        axis: -1,
        epsilon: 1e-5,
    };
    let norm = graph.add_node("norm", norm, &[rows, scale], TensorType::unshaped(Dtype::F32));
    let turned = Op::Transpose {
        permutation: vec![1, 0],
    };
    let turned = graph.add_node("turned", turned, &[norm], TensorType::unshaped(Dtype::F32));
    let product = graph.add_node(
        "product",
        Op::MatMul,
        &[turned, norm],
        TensorType::unshaped(Dtype::F32),
    );
    graph.outputs.push(product);
    infer(&mut graph).unwrap();
    compile(&graph).unwrap()
}

/// Reads a plan with changed bytes, and runs it where it is accepted, on every tier, in memory with known bytes around.
fn read_and_run(compiled: &Compiled, plan: &[u8]) -> bool {
    let plan = Aligned::new(plan);
    let pack = Aligned::new(&compiled.packs[0]);
    let packs = [pack.get()];
    let mut accepted = false;
    for cpu in cpus() {
        let Ok(plan) = Plan::check(plan.get(), &packs, cpu) else {
            continue;
        };
        accepted = true;
        // Larger arenas are only time.
        if plan.arena_bytes() > 1 << 22 {
            continue;
        }
        let mut arena = Aligned::new(&vec![0x5a; plan.arena_bytes() + 4096]);
        let (lent, behind) = arena.get_mut().split_at_mut(plan.arena_bytes());
        plan.run(lent).unwrap();
        assert!(
            behind.iter().all(|&b| b == 0x5a),
            "wrote behind the arena on {}",
            Tier::name(cpu.tier())
        );
    }
    accepted
}

#[test]
fn an_intact_plan_is_accepted() {
    let compiled = network();
    assert!(read_and_run(&compiled, &compiled.plan));
}

#[test]
fn a_plan_cut_short_is_refused() {
    let compiled = network();
    for length in 0..compiled.plan.len() {
        assert!(
            !read_and_run(&compiled, &compiled.plan[..length]),
            "{length} bytes"
        );
    }
}

#[test]
fn another_pack_is_refused() {
    let compiled = network();
    let plan = Aligned::new(&compiled.plan);
    let pack = Aligned::new(&compiled.packs[0][1..]);
    assert!(Plan::check(plan.get(), &[pack.get()], cpus()[0]).is_err());
    assert!(Plan::check(plan.get(), &[], cpus()[0]).is_err());
}

#[test]
fn memory_that_does_not_fit_is_refused() {
    let compiled = network();
    let (plan, pack) = (Aligned::new(&compiled.plan), Aligned::new(&compiled.packs[0]));
    let packs = [pack.get()];
    let plan = Plan::check(plan.get(), &packs, cpus()[0]).unwrap();
    let mut arena = Aligned::new(&vec![0; plan.arena_bytes() + 64]);
    assert!(plan.run(&mut arena.get_mut()[..plan.arena_bytes() - 1]).is_err());
    assert!(plan.run(&mut arena.get_mut()[1..]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_changed_plan_is_refused_or_stays_inside_its_buffers(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4),
    ) {
        thread_local!(static NETWORK: Compiled = network());
        NETWORK.with(|compiled| {
            let mut plan = compiled.plan.clone();
            for (at, byte, how) in &changes {
                let at = at.index(plan.len());
                match how {
                    0 => plan[at] = *byte,
                    1 => plan[at] ^= 1 << (byte % 8),
                    2 => plan[at] = plan[at].wrapping_add(1),
                    _ => {
                        let word = (at / 4 * 4).min(plan.len() - 4);
                        let numbers = [0u32, 1, 63, 64, u32::MAX, 1 << 31, 255];
                        let number = numbers[usize::from(*byte) % numbers.len()];
                        plan[word..word + 4].copy_from_slice(&number.to_le_bytes());
                    }
                }
            }
            read_and_run(compiled, &plan);
        });
    }
}
