//! Any bytes are answered without a panic; the types of what is accepted are found or refused without one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limbic_graph::{infer, tflite};

fuzz_target!(|bytes: &[u8]| {
    let _ = tflite::contents(bytes);
    if let Ok(mut graph) = tflite::read(bytes) {
        graph.check().expect("a graph that was read");
        let _ = infer::infer(&mut graph);
    }
});
