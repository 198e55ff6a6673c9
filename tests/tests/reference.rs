//! The bundled models answer on real inputs as PyTorch does with the same weights and preprocessing of its own.
//!
//! `models/<name>/reference.json` holds probabilities keyed by the SHA-256 of each input; `golden.py` beside it made
//! them with Pillow, librosa or the HF tokenizers. The inputs are in `../shared/data`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use limbic::{Answer, Clock, Event, Face, Origin, Recognizer, Region};
use limbic_capture::files::{audio::AudioReader, image};
use limbic_tests::{bundle, root, shared};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Largest difference of a probability on inputs that need no lossy decoder and no resampling.
const EXACT_TOLERANCE: f64 = 1e-3;

/// Least number of real inputs a model is compared on.
const LEAST_EXACT: usize = 200;

/// Differences seen in one set of inputs.
#[derive(Default)]
struct Seen {
    items: usize,
    /// Inputs of which at least one answer was compared; a region without a face has none.
    compared: usize,
    largest: f64,
    tops_differ: Vec<String>,
    /// Windows that the speech gate refuses; the reference has no gate.
    gated: usize,
}

#[test]
fn face_small_answers_as_pytorch_does() {
    check("face-small", |recognizer, folder, item| {
        let path = folder.join(text(item, "source"));
        let bytes = std::fs::read(&path).unwrap();
        assert_digest(item, &bytes);
        let picture = image::open(&path).unwrap();
        let numbers: Vec<i32> = match item.get("region").and_then(Value::as_str) {
            Some("whole") | None => Vec::new(),
            Some(region) => region.split(',').map(|n| n.parse().unwrap()).collect(),
        };
        let face = match numbers.as_slice() {
            [x, y, w, h] => Face::At(Region {
                x: *x,
                y: *y,
                w: *w as u32,
                h: *h as u32,
            }),
            _ => Face::Whole,
        };
        vec![recognizer.image(picture.view(), face).unwrap()]
    });
}

#[test]
fn text_small_answers_as_pytorch_does() {
    let mut files: HashMap<String, Vec<String>> = HashMap::new();
    check("text-small", |recognizer, folder, item| {
        let (file, line) = text(item, "source").split_once('#').unwrap();
        let lines = files.entry(file.to_owned()).or_insert_with(|| {
            let mut content = String::new();
            let packed = std::fs::File::open(folder.join(file)).unwrap();
            flate2::read::GzDecoder::new(packed)
                .read_to_string(&mut content)
                .unwrap();
            content.split('\n').map(str::to_owned).collect()
        });
        let columns: Vec<&str> = lines[line.parse::<usize>().unwrap()].split('\t').collect();
        let content = if file.contains("imdb") {
            columns[columns.len() - 1]
        } else {
            columns[0]
        };
        assert_digest(item, content.as_bytes());
        vec![recognizer.text(content).unwrap()]
    });
}

#[test]
fn speech_small_answers_as_pytorch_does() {
    check("speech-small", |recognizer, folder, item| {
        let source = text(item, "source");
        let path = if source.starts_with("samples/") {
            root().join(source)
        } else {
            folder.join(source)
        };
        assert_digest(item, &std::fs::read(&path).unwrap());
        let mut reader = AudioReader::open(&path).unwrap();
        let origin = Origin::named("reference").on(Clock::Stream);
        let mut session = recognizer
            .audio_stream(&origin, reader.sample_rate_hz(), reader.channels())
            .unwrap();
        let (mut samples, mut answers) = (Vec::new(), Vec::new());
        while reader.next_chunk(&mut samples).unwrap().is_some() {
            answers.extend(recognizer.push(&mut session, &samples).unwrap());
        }
        let (rest, summary) = recognizer.finish(session).unwrap();
        answers.extend(rest);
        answers.push(summary);
        answers
    });
}

/// Compares every item of a model's reference with what `answer` gives for it: one answer for the whole item, or one
/// a window and then one for the whole.
fn check(name: &str, mut answer: impl FnMut(&mut Recognizer, &Path, &Value) -> Vec<Answer>) {
    let Some(folder) = shared() else { return };
    let reference: Value = serde_json::from_slice(
        &std::fs::read(root().join("models").join(name).join("reference.json")).unwrap(),
    )
    .unwrap();
    let opened = limbic::Bundle::open(&bundle(name)).unwrap();
    let graph = opened.entry("graph.onnx").unwrap();
    let digest = hex(&Sha256::digest(graph));
    assert_eq!(
        text(&reference, "weights_sha256"),
        digest,
        "the reference was made with other weights"
    );
    // The weights in 32 bits: what quantization changes is measured when a bundle is quantized.
    let builder = Recognizer::builder().bundle(bundle(name)).unwrap();
    let mut recognizer = builder.backend("tract").build().unwrap();
    let mut sets: HashMap<String, Seen> = HashMap::new();
    for item in reference["items"].as_array().unwrap() {
        let seen = sets.entry(text(item, "set").to_owned()).or_default();
        seen.items += 1;
        let mut compared = false;
        let mut answers = answer(&mut recognizer, &folder, item);
        let whole = answers.pop().unwrap();
        let refused = answers
            .iter()
            .filter(|answer| matches!(answer.event, Event::NoAnswer(_)))
            .count();
        seen.gated += refused;
        if let Some(windows) = item.get("windows").and_then(Value::as_array) {
            assert_eq!(
                windows.len(),
                answers.len(),
                "{}: number of windows",
                text(item, "source")
            );
            for (window, answer) in windows.iter().zip(&answers) {
                compared |= compare(seen, item, window, &answer.event);
            }
        }
        // A summary that leaves refused windows out has no counterpart in the reference.
        if refused == 0 {
            compared |= compare(seen, item, &item["outputs"], &whole.event);
        }
        seen.compared += usize::from(compared);
    }
    for (set, seen) in &sets {
        println!(
            "{name} {set}: {} of {} inputs compared, largest difference {:.2e}, {} windows refused by the speech gate, top labels differ: {:?}",
            seen.compared, seen.items, seen.largest, seen.gated, seen.tops_differ
        );
    }
    let exact = &sets["exact"];
    assert!(
        exact.compared >= LEAST_EXACT,
        "{} exact inputs compared",
        exact.compared
    );
    assert!(
        exact.gated * 10 <= exact.items,
        "{} windows of {} inputs were refused",
        exact.gated,
        exact.items
    );
    assert!(
        exact.largest <= EXACT_TOLERANCE,
        "largest difference {}",
        exact.largest
    );
    assert!(exact.tops_differ.is_empty(), "{:?}", exact.tops_differ);
}

/// Whether there was an answer to compare.
fn compare(seen: &mut Seen, item: &Value, outputs: &Value, event: &Event) -> bool {
    let Event::Observation(event) = event else {
        return false;
    };
    for head in &event.heads {
        let expected: Vec<f64> = outputs[&head.head]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        let found: Vec<f64> = head.labels.iter().map(|label| label.probability).collect();
        assert_eq!(expected.len(), found.len(), "{}", head.head);
        for (expected, found) in expected.iter().zip(&found) {
            seen.largest = seen.largest.max((expected - found).abs());
        }
        if top(&expected) != top(&found) {
            seen.tops_differ
                .push(format!("{} {}", text(item, "source"), head.head));
        }
    }
    true
}

fn top(values: &[f64]) -> usize {
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().position(|value| *value == best).unwrap()
}

fn assert_digest(item: &Value, bytes: &[u8]) {
    assert_eq!(
        text(item, "sha256"),
        hex(&Sha256::digest(bytes)),
        "{}",
        text(item, "source")
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key} in {value}"))
}
