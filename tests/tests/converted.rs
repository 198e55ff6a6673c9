//! Checkpoints that others trained, converted and run by the reference interpreter, answer as in their own framework;
//! the engine answers as the interpreter does.
//!
//! `tests/converted/reference.json` holds outputs keyed by the SHA-256 of their inputs; `make_reference.py` beside it
//! made them with ONNX Runtime, PyTorch and transformers. Inputs are generated here as there. The files are in
//! `../shared/data`; MiniLM's folder is named by `LIMBIC_MINILM`; the project's own models come from their bundles.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use limbic_compile::{Compiled, compile, host};
use limbic_engine::Cpu;
use limbic_graph::passes::{self, Binding};
use limbic_graph::{Dtype, Graph, Op, Storage, Tensor, interpret, onnx};
use limbic_models::{Checkpoints, Settings, Under, Weights, build, by_name, recognise};
use limbic_tests::{bundle, root, shared};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Largest difference as a share of the largest magnitude of the output.
const TOLERANCE: f64 = 1e-4;

#[test]
fn ultra_light_answers_as_onnx_runtime_does() {
    check("ultra-light ONNX");
}

#[test]
fn ultra_light_from_its_state_dict_answers_as_onnx_runtime_does() {
    check("ultra-light state dict");
}

#[test]
fn yunet_answers_as_onnx_runtime_does() {
    check("YuNet");
}

#[test]
fn silero_vad_keeps_its_state_as_onnx_runtime_does() {
    check("Silero VAD");
}

#[test]
fn cifar_resnet_answers_as_pytorch_does() {
    check("CIFAR ResNet-20");
}

#[test]
fn face_small_from_its_parameters_answers_as_pytorch_does() {
    check("face-small");
}

#[test]
fn speech_small_from_its_parameters_answers_as_pytorch_does() {
    check("speech-small");
}

#[test]
fn text_small_from_its_parameters_answers_as_pytorch_does() {
    check("text-small");
}

#[test]
fn silero_from_its_safetensors_answers_as_pytorch_does() {
    check("Silero VAD safetensors");
}

#[test]
fn a_llama_with_its_state_answers_as_one_that_sees_all_tokens_at_once() {
    check("stories260K");
}

#[test]
fn a_bit_resnet_answers_as_pytorch_does() {
    check("small BiT ResNet");
}

#[test]
fn minilm_answers_as_transformers_does() {
    check("MiniLM-L6");
}

/// The engine's answers beside the interpreter's: each element within [`TOLERANCE`] of the largest.
fn compare_engine(case: &str, graph: &Graph, compiled: &Compiled, given: &[Tensor], expected: &[Tensor]) {
    for cpu in Cpu::detect().tiers() {
        let found = host::run(compiled, cpu, given).unwrap();
        assert_eq!(found.len(), expected.len());
        for ((found, expected), id) in found.iter().zip(expected).zip(&graph.outputs) {
            assert_eq!(found.shape(), expected.shape());
            let (found, expected) = (found.to_f32(), expected.to_f32());
            let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let relative = f64::from(apart.fold(0f32, f32::max)) / f64::from(largest.max(f32::MIN_POSITIVE));
            let (output, tier) = (&graph.value(*id).name, cpu.tier().name());
            println!("{case}: {output} on {tier}: {relative:.2e} of the largest");
            assert!(
                relative <= TOLERANCE,
                "{case}: {output} on {tier}: {relative:e} of the largest"
            );
        }
    }
}

/// Converts a case's file and compares every run of it.
fn check(name: &str) {
    let bytes = std::fs::read(root().join("tests/converted/reference.json")).unwrap();
    let reference: Value = serde_json::from_slice(&bytes).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    let Some(mut graph) = open(case) else { return };
    bind(&mut graph, case);
    passes::simplify(&mut graph).unwrap();

    let compiled = compile(&graph).unwrap();
    let mut state: BTreeMap<String, Tensor> = BTreeMap::new();
    for (step, run) in case["runs"].as_array().unwrap().iter().enumerate() {
        let given: Vec<Tensor> = graph
            .inputs
            .iter()
            .map(|id| {
                let spec = input_spec(case, &graph.value(*id).name);
                match state.get(text(spec, "name")) {
                    Some(kept) => kept.clone(),
                    None => input(spec, step as u64, &run["digests"]),
                }
            })
            .collect();
        let found = interpret::run(&graph, &given).unwrap();
        compare_engine(name, &graph, &compiled, &given, &found);
        let named: BTreeMap<&str, &Tensor> = graph
            .outputs
            .iter()
            .zip(&found)
            .map(|(id, tensor)| (graph.value(*id).name.as_str(), tensor))
            .collect();
        for (output, expected) in run["outputs"].as_object().unwrap() {
            let found = named
                .get(output.as_str())
                .unwrap_or_else(|| panic!("no output {output}"));
            compare(name, output, expected, found);
        }
        for pair in case.get("states").and_then(Value::as_array).into_iter().flatten() {
            let (before, after) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            state.insert(before.to_owned(), named[after].clone());
        }
    }
}

/// The graph of a case, or nothing and a word of why where its file is not there.
fn open(case: &Value) -> Option<Graph> {
    if let Some(name) = case.get("bundle").and_then(Value::as_str) {
        let weights = of_bundle(name);
        return Some(converted(case, &weights, Path::new("")));
    }
    if let Some(tensors) = case.get("weights").and_then(Value::as_array) {
        let weights: BTreeMap<String, Tensor> = tensors
            .iter()
            .map(|spec| (text(spec, "name").to_owned(), generated(spec, 0)))
            .collect();
        return Some(converted(case, &weights, Path::new("")));
    }
    if let Some(file) = case.get("minilm").and_then(Value::as_str) {
        let Some(folder) = std::env::var_os("LIMBIC_MINILM").map(PathBuf::from) else {
            println!("skipped: no LIMBIC_MINILM");
            return None;
        };
        let path = folder.join(file);
        return Some(converted(case, &Checkpoints::open(&[&path]).unwrap(), &path));
    }
    let path = shared()?.join(text(case, "file"));
    if path.extension().is_some_and(|extension| extension == "onnx") {
        return Some(onnx::read(&std::fs::read(&path).unwrap(), path.parent()).unwrap());
    }
    Some(converted(case, &Checkpoints::open(&[&path]).unwrap(), &path))
}

/// The graph of a state dict, whose architecture must be found and be the case's.
fn converted(case: &Value, weights: &dyn Weights, path: &Path) -> Graph {
    let found = recognise(weights);
    let best = &found[0];
    assert!(best.fits(), "{best:?}");
    assert_eq!(best.architecture, text(case, "architecture"));
    let settings = Settings::beside(path, None).unwrap();
    let under = Under::new(weights, &best.prefix);
    build(by_name(&best.architecture).unwrap(), &under, &settings).unwrap()
}

/// The parameters that a bundle's graph holds, under the names that PyTorch had for them.
fn of_bundle(name: &str) -> BTreeMap<String, Tensor> {
    let opened = limbic::Bundle::open(&bundle(name)).unwrap();
    let graph = onnx::read(opened.entry("graph.onnx").unwrap(), None).unwrap();
    let mut parameters = BTreeMap::new();
    for value in &graph.values {
        if let Some(constant) = &value.constant {
            let name = value.name.trim_end_matches(".f16").trim_end_matches("_f16");
            let is_parameter = name.ends_with(".weight") || name.ends_with(".bias");
            if is_parameter && constant.dtype().is_float() {
                parameters.insert(name.to_owned(), constant.clone());
            }
        }
    }
    // The exporter transposed the weights of matrix products and gave them names of its own.
    let producers = graph.producers();
    for node in graph.nodes.iter().filter(|node| node.op == Op::MatMul) {
        let Some(mut id) = node.inputs[1] else { continue };
        if let Some(maker) = producers.get(&id) {
            let cast = &graph.nodes[maker.0];
            if !matches!(cast.op, Op::Cast { .. }) {
                continue;
            }
            id = cast.inputs[0].unwrap();
        }
        if let Some(constant) = graph.constant(id) {
            let path = node.name.trim_start_matches('/').rsplit_once('/').unwrap().0;
            let mut module = path.replace('/', ".");
            // The exporter leaves out the names of a module's containers that it iterates over.
            if name == "text-small" && !module.starts_with("encoder.") {
                module.insert_str(0, "heads.");
            }
            parameters.insert(format!("{module}.weight"), transposed(constant));
        }
    }
    parameters
}

fn transposed(matrix: &Tensor) -> Tensor {
    let [rows, columns] = matrix.shape() else {
        panic!("{:?}", matrix.shape())
    };
    let from = matrix.to_f32();
    let to: Vec<f32> = (0..rows * columns)
        .map(|i| from[(i % rows) * columns + i / rows])
        .collect();
    Tensor::new(&[*columns, *rows], to).unwrap()
}

fn bind(graph: &mut Graph, case: &Value) {
    for (name, value) in case
        .get("constants")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let constant = Tensor::scalar(value.as_i64().unwrap());
        passes::bind(graph, name, Binding::Constant(constant)).unwrap();
    }
    let names: Vec<String> = graph
        .inputs
        .iter()
        .map(|id| graph.value(*id).name.clone())
        .collect();
    for name in names {
        let shape = shape(input_spec(case, &name));
        passes::bind(graph, &name, Binding::Shape(shape)).unwrap();
    }
}

fn input_spec<'a>(case: &'a Value, name: &str) -> &'a Value {
    let specs = case["inputs"].as_array().unwrap();
    specs
        .iter()
        .find(|spec| spec["name"] == name)
        .unwrap_or_else(|| panic!("no input {name}"))
}

fn shape(spec: &Value) -> Vec<usize> {
    let dims = spec["shape"].as_array().unwrap().iter();
    dims.map(|n| usize::try_from(n.as_u64().unwrap()).unwrap())
        .collect()
}

/// An input as `make_reference.py` makes it; its digest must be the one of the reference.
fn input(spec: &Value, step: u64, digests: &Value) -> Tensor {
    if spec.get("zeros").is_some() {
        let shape = shape(spec);
        return Tensor::new(&shape, vec![0.0f32; shape.iter().product()]).unwrap();
    }
    let tensor = generated(spec, step);
    assert_eq!(
        digests[text(spec, "name")].as_str().unwrap(),
        digest(&tensor),
        "input {spec}"
    );
    tensor
}

/// The tensor of a description, in the given run.
fn generated(spec: &Value, step: u64) -> Tensor {
    let shape = shape(spec);
    let count: usize = shape.iter().product();
    let range = |at: usize| spec["range"][at].as_f64().unwrap();
    let mut generator = spec["seed"].as_u64().unwrap_or(0) + 1000 * step;
    let mut next = || {
        generator = generator
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        generator >> 40
    };
    if spec.get("step").is_some() {
        Tensor::new(&shape, vec![step as i64; count]).unwrap()
    } else if let Some(ones) = spec.get("ones").and_then(Value::as_u64) {
        let values: Vec<i64> = (0..count as u64).map(|i| i64::from(i < ones)).collect();
        Tensor::new(&shape, values).unwrap()
    } else if spec["dtype"] == "i64" {
        let (low, high) = (range(0) as i64, range(1) as i64);
        let values: Vec<i64> = (0..count).map(|_| low + next() as i64 % (high - low)).collect();
        Tensor::new(&shape, values).unwrap()
    } else if let Some(block) = spec.get("block").and_then(Value::as_u64) {
        let [_, _, rows, columns] = shape[..] else {
            panic!("{shape:?}")
        };
        let block = usize::try_from(block).unwrap();
        let (low, high) = (range(0), range(1));
        let unit = f64::from(1 << 24);
        let squares: Vec<f32> = (0..rows / block * (columns / block))
            .map(|_| (low + (high - low) * (next() as f64 / unit)) as f32)
            .collect();
        let square = |i: usize| (i / columns % rows) / block * (columns / block) + i % columns / block;
        let values: Vec<f32> = (0..count).map(|i| squares[square(i)]).collect();
        Tensor::new(&shape, values).unwrap()
    } else {
        let (low, high) = (range(0), range(1));
        let unit = f64::from(1 << 24);
        let values: Vec<f32> = (0..count)
            .map(|_| (low + (high - low) * (next() as f64 / unit)) as f32)
            .collect();
        Tensor::new(&shape, values).unwrap()
    }
}

fn digest(tensor: &Tensor) -> String {
    let bytes: Vec<u8> = match tensor.storage() {
        Storage::F32(elements) => elements.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Storage::I64(elements) => elements.iter().flat_map(|x| x.to_le_bytes()).collect(),
        other => panic!("{:?}", other.dtype()),
    };
    Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn compare(case: &str, output: &str, expected: &Value, found: &Tensor) {
    assert_eq!(shape(expected), found.shape(), "{case}: {output}");
    assert_eq!(found.dtype(), Dtype::F32, "{case}: {output}");
    let every = usize::try_from(expected["every"].as_u64().unwrap()).unwrap();
    let values = expected["values"].as_array().unwrap();
    let elements = found.to_f32();
    let picked: Vec<f32> = elements.iter().copied().step_by(every).collect();
    assert_eq!(values.len(), picked.len(), "{case}: {output}");
    let largest = expected["largest"].as_f64().unwrap();
    let mut most = (f64::from(elements.iter().fold(0.0f32, |most, x| most.max(x.abs()))) - largest).abs();
    for (value, found) in values.iter().zip(&picked) {
        most = most.max((value.as_f64().unwrap() - f64::from(*found)).abs());
    }
    let relative = most / largest;
    println!(
        "{case}: {output}: {} of {} elements, {relative:.2e} of the largest",
        picked.len(),
        elements.len()
    );
    assert!(
        relative <= TOLERANCE,
        "{case}: {output}: {relative:e} of the largest, {most} apart"
    );
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key} in {value}"))
}
