//! Any bytes are answered without a panic, and a graph that is accepted holds together and can be offered to the writer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limbic_graph::onnx;

fuzz_target!(|bytes: &[u8]| {
    let _ = onnx::interface(bytes);
    let _ = onnx::contents(bytes);
    let _ = onnx::read_tensor(bytes);
    if let Ok(graph) = onnx::read(bytes, None) {
        graph.check().expect("a graph that was read");
        let _ = onnx::write(&graph);
    }
});
