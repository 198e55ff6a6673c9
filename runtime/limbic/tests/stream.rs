//! Answers about sound do not depend on how it was cut into chunks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::cell::RefCell;
use std::path::Path;

use limbic::{Answer, Clock, Origin, Recognizer};
use proptest::prelude::*;

const RATE_HZ: u32 = 24_000;

/// A voice-like sound: a buzz whose pitch, level and timbre move, in stereo.
fn sound(seconds: f32) -> Vec<f32> {
    let mut samples = Vec::new();
    let mut phase = 0.0_f32;
    for index in 0..(seconds * RATE_HZ as f32) as usize {
        let t = index as f32 / RATE_HZ as f32;
        phase = (phase + (140.0 + 40.0 * (t * 5.0).sin()) / RATE_HZ as f32).fract();
        let level = 0.15 * (1.0 + (t * 19.0).sin()).max(0.0);
        let timbre = 1.0 + 3.0 * (1.0 + (t * 11.0).sin());
        let sample = level * (-timbre * phase).exp();
        samples.extend([sample, sample * 0.5]);
    }
    samples
}

fn answers(recognizer: &mut Recognizer, chunks: &[&[f32]]) -> Vec<String> {
    let origin = Origin::named("stream").on(Clock::Stream);
    let mut session = recognizer.audio_stream(&origin, RATE_HZ, 2).unwrap();
    let mut answers: Vec<Answer> = Vec::new();
    for chunk in chunks {
        answers.extend(recognizer.push(&mut session, chunk).unwrap());
    }
    let (rest, summary) = recognizer.finish(session).unwrap();
    answers.extend(rest);
    answers.push(summary);
    answers
        .into_iter()
        .map(|mut answer| {
            answer.event.set_seq(0);
            format!("{:?}", answer.event.without_elapsed())
        })
        .collect()
}

#[test]
fn answers_do_not_depend_on_the_chunks() {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/speech-small/speech-small.limbic");
    let recognizer = RefCell::new(Recognizer::open(bundle).unwrap());
    let sound = sound(5.3);
    let whole = answers(&mut recognizer.borrow_mut(), &[&sound]);
    assert!(whole.len() >= 3, "{whole:#?}");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(12));
    runner
        .run(&proptest::collection::vec(1_usize..20_000, 1..40), |frames| {
            let mut chunks: Vec<&[f32]> = Vec::new();
            let mut rest = sound.as_slice();
            for frames in frames {
                let (chunk, after) = rest.split_at((frames * 2).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(&answers(&mut recognizer.borrow_mut(), &chunks), &whole);
            Ok(())
        })
        .unwrap();
}
