//! The audio steps equal torchaudio and librosa on the golden files that `golden/make_audio.py` writes.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::PathBuf;

use limbic_signal::audio::{LogMel, LogMelParams, ResampleParams, Resampler};

/// Largest difference of a resampled sample, full scale being 1.0.
const RESAMPLE_TOLERANCE: f32 = 1e-6;

/// Largest difference of a log-mel value in units of the natural logarithm, against a reference in double precision.
const LOG_MEL_TOLERANCE: f32 = 1e-6;

/// The same against a reference in single precision, which has rounding of its own in quiet bands.
const LOG_MEL_SINGLE_TOLERANCE: f32 = 1e-4;

/// Natural-log units in one dB of power.
const LN_PER_DB: f32 = std::f32::consts::LN_10 / 10.0;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/audio")
}

/// Reads a little-endian float32 array, whatever its shape, in row-major order.
fn read_npy(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder().join(format!("{name}.npy"))).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{name}: version 1.0");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..data]).unwrap();
    assert!(
        header.contains("'<f4'") && header.contains("'fortran_order': False"),
        "{name}: {header}"
    );
    bytes[data..]
        .as_chunks()
        .0
        .iter()
        .map(|&word| f32::from_le_bytes(word))
        .collect()
}

fn cases(step: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all[step].as_array().unwrap().clone()
}

fn largest_difference(name: &str, found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len(), "{name}: length");
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn resampling_equals_torchaudio() {
    let cases = cases("resample");
    assert_eq!(cases.len(), 14);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let params: ResampleParams = serde_json::from_value(case["params"].clone()).unwrap();
        let input_hz = case["input_hz"].as_u64().unwrap() as u32;
        let mut resampler = Resampler::new(&params, input_hz).unwrap();
        let mut output = Vec::new();
        resampler
            .push(&read_npy(&format!("{name}_in")), &mut output)
            .unwrap();
        resampler.finish(&mut output);
        let difference = largest_difference(name, &output, &read_npy(&format!("{name}_out")));
        println!("{name}: {difference:e}");
        assert!(difference <= RESAMPLE_TOLERANCE, "{name}: {difference}");
    }
}

#[test]
fn log_mel_equals_torchaudio_and_librosa() {
    let cases = cases("log_mel");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let params: LogMelParams = serde_json::from_value(case["params"].clone()).unwrap();
        let samples = read_npy(&format!("voice_{}", case["voice"]));
        let mut log_mel = LogMel::new(&params).unwrap();
        let mut output = Vec::new();
        let frames = log_mel.compute(&samples, &mut output).unwrap();
        assert_eq!(frames, log_mel.frames(samples.len()), "{name}");
        assert_eq!(output.len(), frames * log_mel.bands(), "{name}");
        let unit = if case["params"]["log"] == "log10_db" {
            LN_PER_DB
        } else {
            1.0
        };
        let difference = unit * largest_difference(name, &output, &read_npy(&format!("{name}_out")));
        println!(
            "{name}: {difference:e}, {} empty bands",
            log_mel.empty_bands().len()
        );
        let tolerance = if name.ends_with("f32") {
            LOG_MEL_SINGLE_TOLERANCE
        } else {
            LOG_MEL_TOLERANCE
        };
        assert!(difference <= tolerance, "{name}: {difference}");
    }
}
