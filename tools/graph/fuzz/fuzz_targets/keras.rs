//! Any configuration is answered without a panic, whatever shapes its weights have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limbic_graph::{Tensor, keras};

fuzz_target!(|config: &str| {
    let _ = keras::contents(config);
    let mut digits = config
        .bytes()
        .rev()
        .filter(u8::is_ascii_digit)
        .map(|digit| usize::from(digit - b'0'));
    let read = keras::read(config, &mut |_, _| {
        let rank = digits.next().unwrap_or(1).min(4);
        let shape: Vec<usize> = digits.by_ref().take(rank).collect();
        Tensor::new(&shape, vec![0.5f32; shape.iter().product()])
    });
    if let Ok(graph) = read {
        graph.check().expect("a graph that was read");
    }
});
