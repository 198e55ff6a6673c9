//! The speech gate refuses noises and keeps voices.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use limbic_signal::audio::{GateReason, ShortRule, SpeechGate, Window, WindowParams, Windower, rms_dbfs};

mod noises;

use noises::{NOISES, noise, recommended_gate, voice_like};

/// Sounds of each kind.
const SEEDS: u64 = 12;

/// Largest share of noises taken for speech.
const FALSE_ACCEPTANCE: f64 = 0.01;

/// Least share of voice-like sounds taken for speech.
const VOICES_KEPT: f64 = 0.95;

#[test]
fn noises_are_not_speech() {
    let mut gate = SpeechGate::new(&recommended_gate()).unwrap();
    let mut accepted = Vec::new();
    for name in NOISES {
        for seed in 0..SEEDS {
            let decision = gate.decide(&noise(name, seed)).unwrap();
            assert_eq!(decision.speech, decision.reason == GateReason::Speech);
            if decision.speech {
                accepted.push(format!("{name} {seed}: {decision:?}"));
            }
        }
    }
    let most = FALSE_ACCEPTANCE * (NOISES.len() as u64 * SEEDS) as f64;
    assert!(accepted.len() as f64 <= most, "taken for speech: {accepted:#?}");
}

#[test]
fn voices_are_speech_at_every_level() {
    let mut gate = SpeechGate::new(&recommended_gate()).unwrap();
    let sounds = 4 * SEEDS;
    let refused: Vec<String> = (0..sounds)
        .filter_map(|seed| {
            let decision = gate.decide(&voice_like(seed, 40_000)).unwrap();
            (!decision.speech).then(|| format!("{seed}: {decision:?}"))
        })
        .collect();
    let kept = (sounds as usize - refused.len()) as f64 / sounds as f64;
    assert!(kept >= VOICES_KEPT, "refused: {refused:#?}");
}

#[test]
fn the_decision_names_its_reason() {
    let mut gate = SpeechGate::new(&recommended_gate()).unwrap();
    let mut reason = |samples: &[f32]| gate.decide(samples).unwrap().reason;
    assert_eq!(reason(&[]), GateReason::TooShort);
    assert_eq!(reason(&[0.5]), GateReason::TooShort);
    assert_eq!(reason(&[0.0; 16_000]), GateReason::Silent);
    let tone: Vec<f32> = (0..32_000).map(|at| 0.3 * (at as f32 * 0.1).sin()).collect();
    assert_eq!(reason(&tone), GateReason::Tonal);
    assert_eq!(reason(&noise("white", 1)), GateReason::NotVoiced);
    let buzz: Vec<f32> = (0..32_000)
        .map(|at| if at % 160 < 20 { 0.3 } else { 0.0 })
        .collect();
    assert_eq!(reason(&buzz), GateReason::SteadySpectrum);
}

#[test]
fn the_decision_holds_at_any_gain_above_the_least_level() {
    let mut gate = SpeechGate::new(&recommended_gate()).unwrap();
    let voice = voice_like(3, 40_000);
    let level = rms_dbfs(&voice);
    for target in [-40.0, -20.0, -3.0f32] {
        let gain = 10f32.powf((target - level) / 20.0);
        let louder: Vec<f32> = voice.iter().map(|sample| sample * gain).collect();
        let decision = gate.decide(&louder).unwrap();
        assert!(decision.speech, "{target} dBFS: {decision:?}");
        assert!(
            (decision.level_dbfs - target).abs() < 0.01,
            "{target} dBFS: {decision:?}"
        );
    }
}

/// Ordinary speech with pauses, 16-bit WAV.
#[test]
fn most_windows_of_ordinary_speech_are_speech() {
    let Some(shared) = limbic_tests::shared() else {
        return;
    };
    let folder = std::fs::read_dir(shared.join("speech/ordinary")).unwrap();
    let mut gate = SpeechGate::new(&recommended_gate()).unwrap();
    let params = WindowParams {
        length_ms: 3000,
        hop_ms: 1500,
        short: ShortRule::PadZero,
        min_ms: 500,
    };
    let (mut windows, mut speech) = (0, 0);
    for entry in folder {
        let path = entry.unwrap().path();
        let (rate_hz, samples) = read_wav(&std::fs::read(&path).unwrap());
        assert_eq!(rate_hz, 16_000, "{}", path.display());
        let mut windower = Windower::new(&params, rate_hz).unwrap();
        let mut sink = |window: Window<'_>| -> limbic_signal::Result<()> {
            let real = &window.samples[..window.samples.len() - window.padding];
            windows += 1;
            speech += u32::from(gate.decide(real)?.speech);
            Ok(())
        };
        windower.push(&samples, &mut sink).unwrap();
        windower.finish(&mut sink).unwrap();
    }
    println!("{speech} of {windows} windows are speech");
    assert!(
        windows > 40 && f64::from(speech) >= 0.9 * f64::from(windows),
        "{speech} of {windows}"
    );
}

/// Rate and samples of a mono 16-bit PCM WAV file.
fn read_wav(bytes: &[u8]) -> (u32, Vec<f32>) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(
        (&bytes[..4], &bytes[8..12]),
        (b"RIFF".as_slice(), b"WAVE".as_slice())
    );
    let (mut at, mut rate_hz) = (12, 0);
    loop {
        let size = word(at + 4) as usize;
        match &bytes[at..at + 4] {
            b"fmt " => {
                assert_eq!(bytes[at + 8..at + 12], [1, 0, 1, 0], "PCM, one channel");
                assert_eq!(bytes[at + 22..at + 24], [16, 0], "16 bit");
                rate_hz = word(at + 12);
            }
            b"data" => {
                let end = (at + 8 + size).min(bytes.len());
                let samples = bytes[at + 8..end].as_chunks().0.iter();
                return (
                    rate_hz,
                    samples
                        .map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32768.0)
                        .collect(),
                );
            }
            _ => {}
        }
        at += 8 + size + size % 2;
    }
}
