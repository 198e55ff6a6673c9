//! The models of this project: the engine beside the interpreter.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod engine;

use engine::{Random, check, model};
use limbic_graph::passes::simplify;
use limbic_graph::{Graph, Tensor, onnx};
use limbic_quantize::calibrate::{Calibration, Calibrators, Method};
use limbic_quantize::scheme::{self, Choice, Scheme};

fn quantized(graph: &Graph, input: &Tensor) -> Graph {
    let choice = Choice::new(Scheme::Int8);
    let wanted = scheme::wanted(graph, &choice);
    let wanted = wanted.iter().map(String::as_str);
    let inputs = [Ok(vec![input.clone()])];
    let calibration = Calibration::collect(graph, wanted, inputs, &Calibrators::default()).unwrap();
    let table = calibration.table(Method::MinMax, 256).unwrap();
    scheme::apply(graph, Some(&table), &choice).unwrap().graph
}

/// The same graph behind a way through an ONNX file, where integers stand between nodes that quantize and dequantize.
fn through_onnx(graph: &Graph) -> Graph {
    let lowered = limbic_quantize::lower(graph).unwrap();
    let mut graph = onnx::read(&onnx::write(&lowered).unwrap(), None).unwrap();
    simplify(&mut graph).unwrap();
    graph
}

/// Quantizes, and compares the engine on the graph itself and on what an ONNX file keeps of it.
fn check_quantized(graph: &Graph, input: &Tensor, tolerance: f32) {
    let quantized = quantized(graph, input);
    check(&quantized, std::slice::from_ref(input), tolerance);
    let read = through_onnx(&quantized);
    let (a, b) = (
        limbic_compile::compile(&quantized).unwrap(),
        limbic_compile::compile(&read).unwrap(),
    );
    let macs = |report: &limbic_compile::Report| -> Vec<(&str, u64)> {
        let steps = report.steps.iter().filter(|step| step.macs > 0);
        steps.map(|step| (step.kernel, step.macs)).collect()
    };
    assert_eq!(macs(&a.report), macs(&b.report), "{}\n{}", a.report, b.report);
    for cpu in engine::cpus() {
        let of = |compiled| limbic_compile::host::run(compiled, cpu, std::slice::from_ref(input)).unwrap();
        assert_eq!(of(&a), of(&b), "{}", cpu.tier().name());
    }
}

#[test]
fn the_face_model_gives_the_interpreters_answers() {
    let graph = model("face-small", &[]);
    let input = Random(5).reals(&[1, 1, 48, 48]);
    check_quantized(&graph, &input, 1e-5);
    check(&graph, &[input], 1e-4);
}

#[test]
fn the_speech_model_gives_the_interpreters_answers() {
    let graph = model("speech-small", &[]);
    let input = Random(7).reals(&[1, 1, 149, 64]);
    check_quantized(&graph, &input, 1e-5);
    check(&graph, &[input], 1e-4);
}

#[test]
fn the_text_model_gives_the_interpreters_answers() {
    let shape = [1, 16];
    let graph = model("text-small", &[("token_ids", &shape), ("attention_mask", &shape)]);
    let mut random = Random(9);
    let ids: Vec<i64> = (0..16).map(|_| random.below(12_000) as i64).collect();
    let mask: Vec<i64> = (0..16).map(|n| i64::from(n < 11)).collect();
    let inputs = [
        Tensor::new(&shape, ids).unwrap(),
        Tensor::new(&shape, mask).unwrap(),
    ];
    check(&graph, &inputs, 1e-4);
}
