//! Input that is broken, hostile or empty: one clear message a file, the right exit code, and the rest still runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Ran, limbic, ran, root, wav, wav_of};

const GOOD_TEXT: &str = "I am so happy about this, it is wonderful.";

/// Runs `infer --json` on a bad file and a good text together; the good one must be answered all the same.
#[track_caller]
fn refused(option: &str, path: &Path, words: &[&str]) -> Ran {
    let path = path.to_str().unwrap();
    let run = limbic(&["infer", "--json", option, path, "--text", GOOD_TEXT]).expect(2);
    let answered: Vec<_> = run.events().iter().map(|event| event["kind"].clone()).collect();
    assert!(
        answered.contains(&"observation".into()),
        "the good text was not answered: {answered:?}"
    );
    let errors = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("error:"))
        .count();
    assert_eq!(errors, 1, "{}", run.stderr);
    run.says(&[path]).says(words)
}

#[test]
fn files_that_are_missing_empty_or_another_kind_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere.wav");
    refused("--audio", &missing, &["error:"]);
    let empty = folder.path().join("empty.bin");
    fs::write(&empty, "").unwrap();
    for option in ["--audio", "--image"] {
        refused(option, &empty, &["empty"]);
    }
    refused("--audio", &root().join("samples/portrait.jpg"), &["JPEG"]);
    refused("--image", &root().join("samples/good-news.wav"), &["WAV"]);
}

#[test]
fn a_cut_wav_is_answered_for_its_good_part_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(root().join("samples/good-news.wav")).unwrap();
    let path = folder.path().join("cut.wav");
    fs::write(&path, &whole[..whole.len() - 20_001]).unwrap();
    let run = limbic(&["infer", "--json", "--audio", path.to_str().unwrap()])
        .expect(2)
        .says(&["cut.wav", "runcated"]);
    assert_eq!(run.events().len(), 1, "{}", run.stdout);
}

#[test]
fn a_flac_with_a_wrong_header_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(root().join("samples/by-the-door.flac")).unwrap();
    // The metadata block type of the stream description.
    bytes[4] = 0x7e;
    let path = folder.path().join("wrong.flac");
    fs::write(&path, bytes).unwrap();
    refused("--audio", &path, &["wrong.flac"]);
}

#[test]
fn sound_without_samples_and_too_short_sound_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none.wav");
    fs::write(&none, wav(16_000, &[])).unwrap();
    refused("--audio", &none, &["none.wav"]);
    let short = folder.path().join("short.wav");
    fs::write(&short, wav(16_000, &[100; 800])).unwrap();
    let run = limbic(&["infer", "--json", "--audio", short.to_str().unwrap()]).expect(0);
    assert_eq!(run.events()[0]["reason"], "too_short", "{}", run.stdout);
}

#[test]
fn sample_formats_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let source = fs::read(root().join("samples/good-news.wav")).unwrap();
    let samples: Vec<i16> = source[44..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let as_float: Vec<u8> = samples
        .iter()
        .flat_map(|sample| (f32::from(*sample) / 32768.0).to_le_bytes())
        .collect();
    let as_24_bit: Vec<u8> = samples
        .iter()
        .flat_map(|sample| (i32::from(*sample) << 8).to_le_bytes()[..3].to_vec())
        .collect();
    let twice: Vec<u8> = samples
        .iter()
        .flat_map(|sample| [sample.to_le_bytes(), sample.to_le_bytes()].concat())
        .collect();
    let mut answers = Vec::new();
    for (name, bytes) in [
        ("16.wav", wav(22_050, &samples)),
        ("float.wav", wav_of(3, 1, 32, 22_050, &as_float)),
        ("24.wav", wav_of(1, 1, 24, 22_050, &as_24_bit)),
        ("stereo.wav", wav_of(1, 2, 16, 22_050, &twice)),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let run = limbic(&["infer", "--json", "--audio", path.to_str().unwrap()]).expect(0);
        let event = run.events().remove(0);
        assert_eq!(event["resampled_from_hz"], 22_050, "{name}");
        answers.push(event["heads"].clone());
    }
    assert!(answers[0].is_array());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[test]
fn an_hour_of_sound_stays_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hour.wav");
    let bytes: u32 = 16_000 * 4 * 4 * 3600;
    let mut header = wav_of(3, 4, 32, 16_000, &[]);
    header[40..44].copy_from_slice(&bytes.to_le_bytes());
    header[4..8].copy_from_slice(&(bytes + 36).to_le_bytes());
    fs::write(&path, header).unwrap();
    // A hole reads as zeros and takes no disk.
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(u64::from(bytes) + 44)
        .unwrap();
    // 400 MB of address space, for a file of 921 MB.
    let run = ran(Command::new("sh").current_dir(root()).args([
        "-c",
        "ulimit -v 400000; exec \"$0\" infer --json --audio \"$1\"",
        env!("CARGO_BIN_EXE_limbic"),
        path.to_str().unwrap(),
    ]))
    .expect(0);
    let event = &run.events()[0];
    assert_eq!(
        (event["reason"].as_str(), event["end_ms"].as_u64()),
        (Some("no_speech"), Some(3_600_000))
    );
}

#[test]
fn pictures_that_are_too_large_or_broken_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let huge = folder.path().join("huge.png");
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(30_000_u32.to_be_bytes());
    png.extend(30_000_u32.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    png.extend(crc32(&png[12..]).to_be_bytes());
    png.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
    fs::write(&huge, png).unwrap();
    refused("--image", &huge, &["30000"]);

    let mut jpeg = fs::read(root().join("samples/portrait.jpg")).unwrap();
    let middle = jpeg.len() / 2;
    jpeg.truncate(middle);
    let cut = folder.path().join("cut.jpg");
    fs::write(&cut, &jpeg).unwrap();
    refused("--image", &cut, &["cut.jpg"]);
}

#[test]
fn text_with_nul_and_lone_surrogates_is_read_and_the_replacements_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.txt");
    let mut bytes = b"I love this\0 film, ".to_vec();
    // U+D800 as three bytes, which UTF-8 does not allow.
    bytes.extend([0xed, 0xa0, 0x80]);
    bytes.extend(b" it is wonderful");
    fs::write(&path, bytes).unwrap();
    let run = limbic(&["infer", "--json", "--text-file", path.to_str().unwrap()]).expect(0);
    assert_eq!(run.events()[0]["replaced"], 3, "{}", run.stdout);
}

#[test]
fn a_region_outside_the_picture_is_refused_with_both_sizes() {
    let portrait = root().join("samples/portrait.jpg");
    let path = portrait.to_str().unwrap();
    let run = limbic(&["infer", "--image", path, "--region", "500,0,10,10"]).expect(2);
    run.says(&["500,0,10,10", "122x122"]);
    limbic(&["infer", "--image", path, "--region", "1,2,3"])
        .expect(2)
        .says(&["1,2,3"]);
}

#[test]
fn bundles_that_are_damaged_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(root().join("models/face-small/face-small.limbic")).unwrap();
    let flipped = folder.path().join("flipped.limbic");
    for at in [10, whole.len() / 2, whole.len() - 30] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&flipped, &bytes).unwrap();
        let run = limbic(&[
            "infer",
            "--bundle",
            flipped.to_str().unwrap(),
            "--image",
            "samples/portrait.jpg",
        ]);
        run.expect(2).says(&["flipped.limbic", "help:"]);
    }
    let no_bundle = root().join("README.md");
    limbic(&["inspect", no_bundle.to_str().unwrap()])
        .expect(2)
        .says(&["README.md"]);
}

#[test]
fn model_folders_that_lie_are_refused_by_name() {
    let source = fs::read_to_string(root().join("models/face-small/model.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for file in ["card.md", "LICENSE", "calibration.json"] {
        fs::copy(
            root().join("models/face-small").join(file),
            folder.path().join(file),
        )
        .unwrap();
    }
    let packed = folder.path().join("out.limbic");
    for (from, to, words) in [
        ("grey@1", "sepia@1", &["sepia@1"][..]),
        ("[1, 1, 48, 48]", "[1, 1, 64, 64]", &["48", "64"]),
        ("format = 1", "format = 7", &["7"]),
        ("ferplus8", "ferplus9", &["ferplus9"]),
    ] {
        assert!(source.contains(from), "{from}");
        let model = folder.path().join("model.toml");
        fs::write(&model, source.replace(from, to)).unwrap();
        let run = limbic(&["pack", model.to_str().unwrap(), "-o", packed.to_str().unwrap()]).expect(2);
        run.says(&["model.toml"]).says(words);
        assert!(!packed.exists(), "a refused model folder left a bundle");
    }
}

#[test]
fn unknown_backends_and_missing_models_say_what_there_is() {
    limbic(&["infer", "--text", GOOD_TEXT, "--backend", "warp"])
        .expect(2)
        .says(&["warp", "engine"]);
    let face = "models/face-small/face-small.limbic";
    limbic(&["infer", "--text", GOOD_TEXT, "--bundle", face])
        .expect(2)
        .says(&["text"]);
    limbic(&["infer", "--text", GOOD_TEXT, "--bundle", face, "--bundle", face])
        .expect(2)
        .says(&["face-small"]);
    limbic(&["infer"]).expect(2).says(&["--text"]);
}

/// CRC-32 of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}
