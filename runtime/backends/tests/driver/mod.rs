//! Loading and running the tiny models through the trait, for every backend that is compiled in.
//!
//! The models and ONNX Runtime's answers on them were written by `models/make_models.py`.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::collections::BTreeMap;
use std::sync::Arc;

use limbic_backends::{
    Backend, Program, ProgramFile, ProgramSource, Session, TensorView, TensorViewMut, WeightPack, by_name,
    compiled,
};
use limbic_bundle::{Bytes, Dim, Dtype, GraphFormat, Role, Signature, SignatureSpec, Symbol, TensorSpec};
use limbic_graph::Graph;
use limbic_graph::passes::{self, Binding};
use serde_json::Value;

/// Largest difference from ONNX Runtime: both add in 32 bits, in another order.
const TOLERANCE: f32 = 1e-6;

pub fn model(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/models/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn answers(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../models/answers.json")).unwrap();
    all[name].as_array().unwrap().clone()
}

pub fn floats(case: &Value, key: &str) -> Vec<f32> {
    case[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

pub fn integers(case: &Value, key: &str) -> Vec<i64> {
    case[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_i64().unwrap())
        .collect()
}

pub fn fixed(role: Role, name: &str, dtype: Dtype, dims: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        role,
        dtype,
        dims: dims.iter().copied().map(Dim::Fixed).collect(),
        layout: None,
        quantization: None,
        next: None,
    }
}

pub fn signature(name: &str, tensors: Vec<TensorSpec>) -> SignatureSpec {
    SignatureSpec {
        name: name.into(),
        tensors,
        buckets: vec![],
    }
}

pub fn load_with(
    backend: &dyn Backend,
    name: &str,
    specs: &[SignatureSpec],
) -> limbic_backends::Result<Arc<dyn Program>> {
    load_made_for(backend, name, specs, specs)
}

/// Loads a model whose file was made for some signatures as if it were made for others.
pub fn load_made_for(
    backend: &dyn Backend,
    name: &str,
    made_for: &[SignatureSpec],
    specs: &[SignatureSpec],
) -> limbic_backends::Result<Arc<dyn Program>> {
    let signatures: Vec<_> = specs.iter().flat_map(SignatureSpec::concrete).collect();
    let (format, files) = files(backend, name, made_for);
    backend.load(&ProgramSource {
        name,
        format,
        files: &files,
        signatures: &signatures,
    })
}

/// Whether a signature may keep symbols; plans and flatbuffers are made for numbers.
pub fn takes_free_extents(backend: &dyn Backend) -> bool {
    reads_onnx(backend)
}

/// Whether the backend reads the models as they lie there.
pub fn reads_onnx(backend: &dyn Backend) -> bool {
    matches!(backend.name(), "tract" | "ort")
}

/// Whether the backend runs plans.
pub fn runs_plans(backend: &dyn Backend) -> bool {
    backend.name() == "engine"
}

/// A model as a backend reads it.
pub fn files(backend: &dyn Backend, name: &str, specs: &[SignatureSpec]) -> (GraphFormat, Vec<ProgramFile>) {
    let signatures: Vec<_> = specs.iter().flat_map(SignatureSpec::concrete).collect();
    if reads_onnx(backend) {
        return (GraphFormat::Onnx, vec![ProgramFile::whole(model(name))]);
    }
    let graph = limbic_graph::onnx::read(&model(name), None).unwrap();
    if backend.name() == "tflite" {
        let files = signatures.iter().map(|signature| ProgramFile {
            signature: Some(signature.name.clone()),
            ..ProgramFile::whole(flatbuffer(&graph, signature))
        });
        return (GraphFormat::Tflite, files.collect());
    }
    let shared = limbic_compile::compile_program(&graph, &signatures).unwrap_or_else(|e| panic!("{e}"));
    let packs = shared.packs.into_iter().map(|pack| WeightPack {
        content: Bytes::from(pack),
        sha256: None,
    });
    let packs: Vec<WeightPack> = packs.collect();
    let files = shared.plans.into_iter().zip(signatures);
    let files = files.map(|((plan, _), signature)| ProgramFile {
        signature: Some(signature.name.clone()),
        content: Bytes::from(plan),
        packs: packs.clone(),
    });
    (GraphFormat::Plan, files.collect())
}

/// The graph with the sizes of a signature, as TensorFlow Lite reads it.
fn flatbuffer(graph: &Graph, signature: &Signature) -> Vec<u8> {
    let mut bound = graph.clone();
    for tensor in signature
        .tensors
        .iter()
        .filter(|tensor| tensor.role != Role::Output)
    {
        let shape = tensor.fixed_dims().unwrap();
        passes::bind(&mut bound, &tensor.name, Binding::Shape(shape)).unwrap_or_else(|e| panic!("{e}"));
    }
    passes::simplify(&mut bound).unwrap_or_else(|e| panic!("{e}"));
    limbic_graph::tflite::write(&bound).unwrap_or_else(|e| panic!("{e}"))
}

pub fn load(backend: &dyn Backend, name: &str, specs: &[SignatureSpec]) -> Arc<dyn Program> {
    load_with(backend, name, specs).unwrap_or_else(|error| panic!("{error}"))
}

/// The backends that can run here; says which native library is not there.
pub fn backends() -> Vec<Box<dyn Backend>> {
    let backends: Vec<_> = compiled()
        .into_iter()
        .filter(|name| has_library(name))
        .map(|name| by_name(name).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    assert!(
        !backends.is_empty(),
        "no backend is compiled in, so nothing would be tested"
    );
    backends
}

/// Whether a backend needs no native library, or the user named it.
pub fn has_library(backend: &str) -> bool {
    let (variable, name) = match backend {
        "ort" => ("ORT_DYLIB_PATH", "ONNX Runtime"),
        "tflite" => ("TFLITE_DYLIB_PATH", "TensorFlow Lite"),
        _ => return true,
    };
    let is_named = std::env::var_os(variable).is_some_and(|path| !path.is_empty());
    if !is_named {
        println!("skipped: no {name}, {variable} is not set");
    }
    is_named
}

pub fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "element {i}: {found}, expected {expected}"
        );
    }
}

pub fn two_inputs() -> Vec<SignatureSpec> {
    vec![signature(
        "main",
        vec![
            fixed(Role::Input, "ids", Dtype::I64, &[1, 3]),
            fixed(Role::Input, "x", Dtype::F32, &[1, 4]),
            fixed(Role::Output, "squashed", Dtype::F32, &[1, 6]),
            fixed(Role::Output, "sum", Dtype::F32, &[1, 6]),
        ],
    )]
}

/// A state `h` shared by two signatures that look at it in different ways.
pub fn step() -> Vec<SignatureSpec> {
    let state = TensorSpec {
        next: Some("h_next".into()),
        ..fixed(Role::State, "h", Dtype::F32, &[1, 5])
    };
    let x = fixed(Role::Input, "x", Dtype::F32, &[1, 3]);
    vec![
        signature(
            "step",
            vec![
                x.clone(),
                state.clone(),
                fixed(Role::Output, "y", Dtype::F32, &[1, 2]),
            ],
        ),
        signature(
            "sum",
            vec![x, state, fixed(Role::Output, "total", Dtype::F32, &[1, 1])],
        ),
    ]
}

pub fn encode(buckets: &[usize]) -> Vec<SignatureSpec> {
    let length = || {
        Dim::Symbol(Symbol {
            symbol: "L".into(),
            min: 2,
            max: 8,
        })
    };
    let ids = |name: &str| TensorSpec {
        dims: vec![Dim::Fixed(1), length()],
        ..fixed(Role::Input, name, Dtype::I64, &[])
    };
    vec![SignatureSpec {
        name: "encode".into(),
        tensors: vec![
            ids("token_ids"),
            ids("attention_mask"),
            fixed(Role::Output, "logits", Dtype::F32, &[1, 2]),
        ],
        buckets: buckets
            .iter()
            .map(|size| BTreeMap::from([("L".to_owned(), *size)]))
            .collect(),
    }]
}

pub fn run_step(session: &mut dyn Session, x: &[f32]) -> [f32; 2] {
    let mut y = [0.0; 2];
    session
        .run(
            "step",
            &[TensorView::f32("x", &[1, 3], x)],
            &mut [TensorViewMut::f32("y", &[1, 2], &mut y)],
        )
        .unwrap_or_else(|error| panic!("{error}"));
    y
}

pub fn run_encode(
    session: &mut dyn Session,
    ids: &[i64],
    bucket: Option<usize>,
) -> limbic_backends::Result<[f32; 2]> {
    let length = bucket.unwrap_or(ids.len());
    let mut padded = ids.to_vec();
    padded.resize(length, 0);
    let mask: Vec<i64> = (0..length).map(|at| i64::from(at < ids.len())).collect();
    let mut logits = [0.0; 2];
    let name = bucket.map_or_else(|| "encode".to_owned(), |size| format!("encode@{size}"));
    session.run(
        &name,
        &[
            TensorView::i64("attention_mask", &[1, length], &mask),
            TensorView::i64("token_ids", &[1, length], &padded),
        ],
        &mut [TensorViewMut::f32("logits", &[1, 2], &mut logits)],
    )?;
    Ok(logits)
}
