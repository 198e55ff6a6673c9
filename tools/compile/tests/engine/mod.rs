//! Running compiled graphs beside the interpreter.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::path::Path;

use limbic_bundle::Bundle;
use limbic_compile::Compiled;
use limbic_engine::plan::Dtype as PortDtype;
use limbic_engine::{Cpu, Plan, Role, Tier};
use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Dtype, Graph, Storage, Tensor, onnx};

/// Bytes at an address that is a multiple of 64.
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub fn new(content: &[u8]) -> Self {
        let mut bytes = vec![0u8; content.len() + 64];
        let start = bytes.as_ptr().align_offset(64);
        bytes[start..start + content.len()].copy_from_slice(content);
        Self {
            bytes,
            start,
            length: content.len(),
        }
    }

    pub fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }

    pub fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

/// The processors to run on, best first; the scalar one is always there.
pub fn cpus() -> Vec<Cpu> {
    let best = Cpu::detect();
    let mut cpus = vec![best];
    if best.tier() != Tier::Scalar {
        cpus.push(best.at_most(Tier::Scalar));
    }
    cpus
}

fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    match tensor.storage() {
        Storage::F32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::I8(e) => e.iter().map(|x| x.cast_unsigned()).collect(),
        Storage::U8(e) => e.to_vec(),
        Storage::I64(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::I32(e) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
        other => panic!("no input of {}", other.dtype()),
    }
}

fn tensor_of(bytes: &[u8], dtype: PortDtype, dims: &[u32]) -> Tensor {
    let shape: Vec<usize> = dims.iter().map(|&n| n as usize).collect();
    let storage: Storage = match dtype {
        PortDtype::F32 => {
            let elements = bytes.chunks_exact(4);
            elements
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect::<Vec<f32>>()
                .into()
        }
        PortDtype::I8 => bytes.iter().map(|b| b.cast_signed()).collect::<Vec<i8>>().into(),
        PortDtype::U8 => bytes.to_vec().into(),
        other => panic!("no output of {}", other.name()),
    };
    Tensor::new(&shape, storage).unwrap()
}

/// Runs a plan on inputs in the graph's order; the arena begins with arbitrary bytes.
pub fn run(compiled: &Compiled, cpu: Cpu, inputs: &[Tensor]) -> Vec<Tensor> {
    let plan_bytes = Aligned::new(&compiled.plan);
    let packs: Vec<Aligned> = compiled.packs.iter().map(|pack| Aligned::new(pack)).collect();
    let packs: Vec<&[u8]> = packs.iter().map(Aligned::get).collect();
    let plan = Plan::check(plan_bytes.get(), &packs, cpu).unwrap();
    let mut arena = Aligned::new(&vec![0xa5; plan.arena_bytes()]);
    plan.reset(arena.get_mut()).unwrap();
    let ports: Vec<_> = (0..plan.ports()).map(|n| plan.port(n).unwrap()).collect();
    let given = ports.iter().filter(|port| port.role() != Role::Output);
    for (port, tensor) in given.zip(inputs) {
        let (begin, bytes) = (port.span().offset as usize, bytes_of(tensor));
        assert_eq!(bytes.len(), port.span().bytes as usize, "input {}", port.name);
        arena.get_mut()[begin..begin + bytes.len()].copy_from_slice(&bytes);
    }
    plan.run(arena.get_mut()).unwrap();
    let wanted = ports.iter().filter(|port| port.role() == Role::Output);
    wanted
        .map(|port| {
            let (begin, count) = (port.span().offset as usize, port.span().bytes as usize);
            tensor_of(&arena.get()[begin..begin + count], port.dtype(), port.dims())
        })
        .collect()
}

/// Compares every tier with the interpreter: integers exactly, floats within `tolerance` of the greatest.
pub fn check(graph: &Graph, inputs: &[Tensor], tolerance: f32) {
    let compiled = limbic_compile::compile(graph).unwrap();
    let expected = limbic_graph::interpret::run(graph, inputs).unwrap();
    for cpu in cpus() {
        let found = run(&compiled, cpu, inputs);
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
