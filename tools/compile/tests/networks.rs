//! Random networks: the engine beside the interpreter, on every tier.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, Threads, bits, check, cpus, run};
use limbic_compile::compile;
use limbic_compile::host::run_with;
use limbic_engine::Tier;
use limbic_graph::infer::infer;
use limbic_graph::op::{Binary, Convolution, Padding, Pool, PoolKind, Reduce, Unary};
use limbic_graph::{Dtype, Graph, Op, Quantization, Tensor, TensorType, ValueId};
use proptest::prelude::*;

/// A graph in the making, of `i8` or `f32`.
struct Net {
    graph: Graph,
    random: Random,
    integers: bool,
    value: ValueId,
    dims: Vec<usize>,
}

impl Net {
    fn new(seed: u64, integers: bool, dims: &[usize]) -> Self {
        let mut net = Self {
            graph: Graph::new(format!("net {seed}")),
            random: Random(seed.wrapping_mul(2).wrapping_add(1)),
            integers,
            value: ValueId(0),
            dims: dims.to_vec(),
        };
        let ty = TensorType {
            dims: TensorType::new(Dtype::F32, dims).dims,
            ..net.ty(0.05)
        };
        net.value = net.graph.add_input("x", ty);
        net
    }

    fn ty(&mut self, scale: f32) -> TensorType {
        if !self.integers {
            return TensorType::unshaped(Dtype::F32);
        }
        TensorType {
            quantization: Some(Quantization::PerTensor {
                scale: scale * (1.0 + self.random.below(1000) as f32 / 2000.0),
                zero_point: self.random.below(40) as i32 - 20,
            }),
            ..TensorType::unshaped(Dtype::I8)
        }
    }

    fn scale(&self) -> f32 {
        match self.graph.value(self.value).ty.quantization {
            Some(Quantization::PerTensor { scale, .. }) => scale,
            _ => 1.0,
        }
    }

    fn add(&mut self, op: Op, inputs: &[ValueId], ty: TensorType) {
        let name = self.graph.unique_name("n");
        self.value = self.graph.add_node(name, op, inputs, ty);
        infer(&mut self.graph).unwrap();
        self.dims = self.graph.value(self.value).ty.shape().unwrap();
    }

    /// The type of the value at hand, without extents.
    fn same(&self) -> TensorType {
        TensorType {
            dims: None,
            ..self.graph.value(self.value).ty.clone()
        }
    }

    fn weights(&mut self, shape: &[usize], axis: usize) -> (ValueId, ValueId, f32) {
        let count = shape[axis];
        let name = self.graph.unique_name("w");
        if !self.integers {
            let (w, b) = (self.random.reals(shape), self.random.reals(&[count]));
            let w = self.graph.add_constant(name.clone(), w);
            return (w, self.graph.add_constant(format!("{name}.bias"), b), 1.0);
        }
        let scales: Vec<f32> = (0..count)
            .map(|_| 0.001 + self.random.below(1000) as f32 * 1e-5)
            .collect();
        let quantization = Quantization::PerAxis {
            axis,
            zero_points: vec![0; count],
            scales,
        };
        let w = self.random.int8s(shape).with_quantization(Some(quantization));
        let b: Vec<i32> = (0..count)
            .map(|_| self.random.below(20_000) as i32 - 10_000)
            .collect();
        let w = self.graph.add_constant(name.clone(), w);
        let size = (shape.iter().product::<usize>() / count) as f32;
        let scale = self.scale() * 0.005 * 5000.0 * size.sqrt() / 100.0;
        (
            w,
            self.graph.add_constant(format!("{name}.bias"), Tensor::vector(b)),
            scale,
        )
    }

    fn convolution(&mut self) {
        let channels = self.dims[1];
        let axes = self.dims.len() - 2;
        let depthwise = self.random.below(3) == 0;
        let outputs = if depthwise {
            channels
        } else {
            1 + self.random.below(40)
        };
        let kernel: Vec<usize> = (0..axes)
            .map(|n| 1 + self.random.below(self.dims[2 + n].min(4)))
            .collect();
        let mut c = Convolution::unit(axes);
        c.strides = (0..axes).map(|_| 1 + self.random.below(2)).collect();
        if kernel.iter().zip(&self.dims[2..]).all(|(&k, &n)| 2 * k <= n) && self.random.below(3) == 0 {
            c.dilations = vec![2; axes];
        }
        c.padding = match self.random.below(3) {
            0 => Padding::SameUpper,
            _ => Padding::Explicit(
                (0..2 * axes)
                    .map(|n| self.random.below(kernel[n % axes]))
                    .collect(),
            ),
        };
        c.groups = if depthwise { channels } else { 1 };
        let mut shape = vec![outputs, if depthwise { 1 } else { channels }];
        shape.extend(kernel);
        let (w, b, scale) = self.weights(&shape, 0);
        let ty = self.ty(scale);
        let inputs = if self.random.below(4) == 0 {
            vec![self.value, w]
        } else {
            vec![self.value, w, b]
        };
        self.add(Op::Conv(c), &inputs, ty);
    }

    fn relu(&mut self) {
        let ty = if self.random.below(3) == 0 {
            self.ty(0.1)
        } else {
            self.same()
        };
        self.add(Op::Unary(Unary::Relu), &[self.value], ty);
    }

    /// A 1x1 convolution whose output is added to its input.
    fn residual(&mut self) {
        let before = self.value;
        let channels = self.dims[1];
        let mut shape = vec![channels, channels];
        shape.resize(self.dims.len(), 1);
        let (w, b, scale) = self.weights(&shape, 0);
        let ty = self.ty(scale);
        self.add(
            Op::Conv(Convolution::unit(self.dims.len() - 2)),
            &[self.value, w, b],
            ty,
        );
        if self.random.below(2) == 0 {
            let ty = self.same();
            self.add(Op::Unary(Unary::Relu), &[self.value], ty);
        }
        let scale = self.scale() * 1.5;
        let ty = self.ty(scale);
        self.add(Op::Binary(Binary::Add), &[before, self.value], ty);
        if self.random.below(2) == 0 {
            let ty = self.same();
            self.add(Op::Unary(Unary::Relu), &[self.value], ty);
        }
    }

    fn pool(&mut self) {
        let axes = self.dims.len() - 2;
        let kernel: Vec<usize> = (0..axes)
            .map(|n| 1 + self.random.below(self.dims[2 + n].min(3)))
            .collect();
        let average = self.random.below(2) == 0;
        let kind = if average {
            PoolKind::Average {
                include_padding: self.random.below(2) == 0,
            }
        } else {
            PoolKind::Max
        };
        let pool = Pool {
            kind,
            strides: (0..axes).map(|_| 1 + self.random.below(2)).collect(),
            dilations: vec![1; axes],
            padding: Padding::Explicit(
                (0..2 * axes)
                    .map(|n| self.random.below(kernel[n % axes]))
                    .collect(),
            ),
            kernel,
            ceil_mode: false,
            column_major: false,
        };
        let ty = if average { self.ty(0.06) } else { self.same() };
        self.add(Op::Pool(pool), &[self.value], ty);
    }

    fn function(&mut self) {
        let function = [
            Unary::Sigmoid,
            Unary::Tanh,
            Unary::HardSwish,
            Unary::Gelu { tanh: false },
        ];
        let function = function[self.random.below(4)];
        let ty = self.ty(0.02);
        self.add(Op::Unary(function), &[self.value], ty);
    }

    fn join(&mut self) {
        let before = self.value;
        let ty = self.same();
        self.add(Op::Unary(Unary::Relu), &[self.value], ty);
        let ty = self.same();
        self.add(Op::Concat { axis: 1 }, &[before, self.value], ty);
    }

    fn finish(&mut self) {
        match self.random.below(4) {
            0 => {}
            1 => {
                let axes = Tensor::vector((2..self.dims.len() as i64).collect::<Vec<i64>>());
                let axes = self.graph.add_constant("axes", axes);
                let ty = self.ty(0.02);
                let op = Op::Reduce {
                    function: Reduce::Mean,
                    keep_dims: false,
                    noop_with_empty_axes: false,
                };
                self.add(op, &[self.value, axes], ty);
            }
            _ => {
                let average = PoolKind::Average {
                    include_padding: false,
                };
                let ty = self.ty(0.02);
                self.add(Op::GlobalPool(average), &[self.value], ty);
                let ty = self.same();
                self.add(Op::Flatten { axis: 1 }, &[self.value], ty);
                let transpose_b = self.random.below(2) == 0;
                let (k, n) = (self.dims[1], 1 + self.random.below(20));
                let (shape, axis) = if transpose_b { ([n, k], 0) } else { ([k, n], 1) };
                let (w, b, scale) = self.weights(&shape, axis);
                let ty = self.ty(scale);
                let gemm = Op::Gemm {
                    alpha: 1.0,
                    beta: 1.0,
                    transpose_a: false,
                    transpose_b,
                };
                self.add(gemm, &[self.value, w, b], ty);
            }
        }
        self.graph.outputs.push(self.value);
    }
}

/// A random network of some layers, and an input for it.
fn network(seed: u64, integers: bool, dims: &[usize], layers: &[u8]) -> (Graph, Tensor) {
    let mut net = Net::new(seed, integers, dims);
    let x = if integers {
        net.random.int8s(dims)
    } else {
        net.random.reals(dims)
    };
    for layer in layers {
        match layer {
            0..=4 => net.convolution(),
            5 | 6 => net.relu(),
            7 => net.residual(),
            8 => net.pool(),
            9 => net.function(),
            _ => net.join(),
        }
    }
    net.finish();
    let x = x.with_quantization(net.graph.value(net.graph.inputs[0]).ty.quantization.clone());
    (net.graph, x)
}

fn check_network(seed: u64, integers: bool, dims: &[usize], layers: &[u8]) {
    let (graph, x) = network(seed, integers, dims, layers);
    check(&graph, &[x], 1e-4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn int8_networks_give_the_interpreters_integers(
        seed in any::<u64>(),
        extents in (1..3usize, 1..20usize, 4..12usize, 4..12usize),
        flat in prop::bool::weighted(0.2),
        layers in prop::collection::vec(0..11u8, 1..6),
    ) {
        let (n, c, h, w) = extents;
        let dims = if flat { vec![n, c, w] } else { vec![n, c, h, w] };
        check_network(seed, true, &dims, &layers);
    }

    #[test]
    fn f32_networks_give_the_interpreters_numbers(
        seed in any::<u64>(),
        extents in (1..3usize, 1..20usize, 4..12usize, 4..12usize),
        flat in prop::bool::weighted(0.2),
        layers in prop::collection::vec(0..11u8, 1..6),
    ) {
        let (n, c, h, w) = extents;
        let dims = if flat { vec![n, c, w] } else { vec![n, c, h, w] };
        check_network(seed, false, &dims, &layers);
    }
}

#[test]
fn threads_side_by_side_give_the_bits_of_one() {
    for seed in 0..12 {
        let layers = [0, 7, 8, 0, 9, 10, 3, 5];
        let (graph, x) = network(seed, seed % 2 == 0, &[1, 1 + seed as usize, 9, 11], &layers);
        let compiled = compile(&graph).unwrap();
        for cpu in cpus() {
            let alone = run(&compiled, cpu, std::slice::from_ref(&x)).unwrap();
            for count in [2, 4] {
                let shared = run_with(&compiled, cpu, &Threads(count), std::slice::from_ref(&x)).unwrap();
                assert_eq!(
                    bits(&shared),
                    bits(&alone),
                    "{count} threads\n{}",
                    compiled.report
                );
            }
        }
    }
}

#[test]
fn slices_go_both_ways() {
    for (starts, ends, steps) in [
        ([-1i64, 0], [i64::MIN, 5], [-1i64, 2]),
        ([3, 6], [0, -100], [-2, -3]),
        ([1, -2], [4, 0], [1, -1]),
    ] {
        let mut random = Random(3);
        let mut graph = Graph::new("slice");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[2, 5, 7]));
        let mut inputs = vec![x];
        for (name, numbers) in [
            ("starts", starts),
            ("ends", ends),
            ("axes", [1, 2]),
            ("steps", steps),
        ] {
            inputs.push(graph.add_constant(name, Tensor::vector(numbers.to_vec())));
        }
        let y = graph.add_node("y", Op::Slice, &inputs, TensorType::unshaped(Dtype::F32));
        graph.outputs.push(y);
        infer(&mut graph).unwrap();
        check(&graph, &[random.reals(&[2, 5, 7])], 0.0);
    }
}

/// Comparisons of tiers, the kernels' own included, leave out one whose instructions the processor lacks.
#[test]
fn the_kernels_of_each_tier_are_compared_or_counted_as_skipped() {
    for (tier, instructions) in [
        (Tier::Avx2, "AVX2"),
        (Tier::AvxVnni, "AVX-VNNI"),
        (Tier::Avx512Vnni, "AVX-512 VNNI"),
    ] {
        if engine::cpus().iter().all(|cpu| cpu.tier() != tier) {
            println!("skipped: no {instructions}");
        }
    }
}
