//! Running compiled graphs beside the interpreter.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::path::Path;

use limbic_bundle::Bundle;
pub use limbic_compile::host::run;
use limbic_compile::host::run_with;
use limbic_engine::{Cpu, Workers};
use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Dtype, Graph, Tensor, onnx};

/// The processors to run on, best first; the scalar one is always there.
pub fn cpus() -> Vec<Cpu> {
    Cpu::detect().tiers().collect()
}

/// Workers that make every part there can be, the last one first, and leave out the first.
pub struct Backwards(pub usize);

impl Workers for Backwards {
    fn count(&self) -> usize {
        self.0
    }

    fn least_nanoseconds(&self) -> u64 {
        0
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (1..parts).rev().for_each(job);
    }
}

/// Workers that are threads of their own for each step, and make each part twice.
pub struct Threads(pub usize);

impl Workers for Threads {
    fn count(&self) -> usize {
        self.0
    }

    fn least_nanoseconds(&self) -> u64 {
        0
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for part in (0..parts).chain(0..parts) {
                scope.spawn(move || job(part));
            }
        });
    }
}

/// Elements by their bits.
pub fn bits(tensors: &[Tensor]) -> Vec<Vec<u32>> {
    let reals = tensors.iter().map(Tensor::to_f32);
    reals
        .map(|reals| reals.iter().map(|x| x.to_bits()).collect())
        .collect()
}

/// Compares every tier with the interpreter: integers exactly, floats within `tolerance` of the greatest. Any number of
/// workers must give the same bits.
pub fn check(graph: &Graph, inputs: &[Tensor], tolerance: f32) {
    let compiled = limbic_compile::compile(graph).unwrap();
    let expected = limbic_graph::interpret::run(graph, inputs).unwrap();
    for cpu in cpus() {
        let found = run(&compiled, cpu, inputs).unwrap();
        for workers in 2..5 {
            let shared = run_with(&compiled, cpu, &Backwards(workers), inputs).unwrap();
            let place = format!("{} on {} by {workers}", graph.name, cpu.tier().name());
            assert_eq!(bits(&shared), bits(&found), "{place}\n{}", compiled.report);
        }
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let place = format!("{} on {}\n{}", graph.name, cpu.tier().name(), compiled.report);
            assert_eq!(found.shape(), expected.shape(), "{place}");
            if expected.dtype() != Dtype::F32 {
                assert_eq!(found.storage(), expected.storage(), "{place}");
                continue;
            }
            let (found, expected) = (found.to_f32(), expected.to_f32());
            let most = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
            for (n, (a, b)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (a - b).abs() <= tolerance * most.max(1e-3),
                    "{n}: {a} for {b}: {place}"
                );
            }
        }
    }
}

/// The graph of a model's bundle, inputs of free extents bound.
pub fn model(model: &str, shapes: &[(&str, &[usize])]) -> Graph {
    let path = format!(
        "{}/../../models/{model}/{model}.limbic",
        env!("CARGO_MANIFEST_DIR")
    );
    let bundle = Bundle::open(Path::new(&path)).unwrap();
    let mut graph = onnx::read(bundle.entry("graph.onnx").unwrap(), None).unwrap();
    for (name, shape) in shapes {
        bind(&mut graph, name, Binding::Shape(shape.to_vec())).unwrap();
    }
    simplify(&mut graph).unwrap();
    graph
}

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn real(&mut self) -> f32 {
        self.below(20_001) as f32 / 10_000.0 - 1.0
    }

    pub fn reals(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let elements: Vec<f32> = (0..count).map(|_| self.real()).collect();
        Tensor::new(shape, elements).unwrap()
    }

    pub fn int8s(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let elements: Vec<i8> = (0..count).map(|_| self.next() as i8).collect();
        Tensor::new(shape, elements).unwrap()
    }
}
