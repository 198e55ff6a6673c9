//! A network whose steps are long enough for several threads.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::sync::Arc;

use limbic_backends::{
    Backend, Program, ProgramFile, ProgramSource, Session, TensorView, TensorViewMut, WeightPack,
};
use limbic_bundle::{Bytes, Dim, Dtype, GraphFormat, Role, Signature, SignatureSpec, TensorSpec};
use limbic_graph::infer::infer;
use limbic_graph::op::{Convolution, Padding, Unary};
use limbic_graph::{Dtype as ElementType, Graph, Op, Tensor, TensorType};

const CHANNELS: usize = 32;
const SIDE: usize = 40;
/// Elements of the input, and of the output.
pub const PIXELS: usize = CHANNELS * SIDE * SIDE;

/// Two convolutions with a function between them.
fn graph() -> Graph {
    let mut graph = Graph::new("wide");
    let mut value = graph.add_input("x", TensorType::new(ElementType::F32, &[1, CHANNELS, SIDE, SIDE]));
    for n in 0..2 {
        let count = CHANNELS * CHANNELS * 9;
        let weights: Vec<f32> = (0..count)
            .map(|k| ((k * 7 + n) % 13) as f32 / 100.0 - 0.06)
            .collect();
        let weights = Tensor::new(&[CHANNELS, CHANNELS, 3, 3], weights).unwrap();
        let weights = graph.add_constant(format!("w{n}"), weights);
        let mut convolution = Convolution::unit(2);
        convolution.padding = Padding::SameUpper;
        let ty = TensorType::unshaped(ElementType::F32);
        value = graph.add_node(
            format!("conv{n}"),
            Op::Conv(convolution),
            &[value, weights],
            ty.clone(),
        );
        value = graph.add_node(format!("tanh{n}"), Op::Unary(Unary::Tanh), &[value], ty);
    }
    graph.outputs.push(value);
    infer(&mut graph).unwrap();
    graph
}

fn signatures(output: &str) -> Vec<Signature> {
    let tensor = |role, name: &str| TensorSpec {
        name: name.into(),
        role,
        dtype: Dtype::F32,
        dims: [1, CHANNELS, SIDE, SIDE].map(Dim::Fixed).to_vec(),
        layout: None,
        quantization: None,
        next: None,
    };
    let spec = SignatureSpec {
        name: "main".into(),
        tensors: vec![tensor(Role::Input, "x"), tensor(Role::Output, output)],
        buckets: vec![],
    };
    spec.concrete()
}

/// The network on a backend that runs plans.
pub fn load_wide(backend: &dyn Backend) -> Arc<dyn Program> {
    let signatures = signatures("tanh1");
    let shared = limbic_compile::compile_program(&graph(), &signatures).unwrap_or_else(|e| panic!("{e}"));
    let pack = |content| WeightPack {
        content: Bytes::from(content),
        sha256: None,
    };
    let packs: Vec<WeightPack> = shared.packs.into_iter().map(pack).collect();
    let files: Vec<ProgramFile> = shared
        .plans
        .into_iter()
        .map(|(plan, _)| ProgramFile {
            signature: Some("main".into()),
            content: Bytes::from(plan),
            packs: packs.clone(),
        })
        .collect();
    let source = ProgramSource {
        name: "wide",
        format: GraphFormat::Plan,
        files: &files,
        signatures: &signatures,
    };
    backend.load(&source).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs it into memory of the caller.
pub fn run_into(session: &mut dyn Session, x: &[f32], y: &mut [f32]) {
    let dims = [1, CHANNELS, SIDE, SIDE];
    session
        .run(
            "main",
            &[TensorView::f32("x", &dims, x)],
            &mut [TensorViewMut::f32("tanh1", &dims, y)],
        )
        .unwrap();
}

/// Runs it.
pub fn run_wide(session: &mut dyn Session, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; PIXELS];
    run_into(session, x, &mut y);
    y
}
