//! Every command as a user types it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{limbic, root, wav};

#[test]
fn the_demo_answers_for_three_senses_and_fuses_them() {
    let run = limbic(&["demo", "--json"]).expect(0);
    let events = run.events();
    let senses: Vec<&str> = events
        .iter()
        .filter_map(|event| event["sense"].as_str())
        .collect();
    assert_eq!(senses, ["text", "audio", "audio", "image"]);
    let fused = events.last().unwrap();
    assert_eq!(fused["kind"], "fused");
    let weights: f64 = fused["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["emotion_weight"].as_f64().unwrap())
        .sum();
    assert!(weights > 0.99, "{weights}");
    assert_eq!(
        events
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );

    let table = limbic(&["demo"]).expect(0);
    for word in [
        "sense",
        "answer",
        "sentiment",
        "time",
        "samples/review.txt",
        "samples/portrait.jpg",
        "fused",
    ] {
        assert!(table.stdout.contains(word), "no {word} in\n{}", table.stdout);
    }
}

#[test]
fn a_happy_and_an_angry_text_are_told_apart() {
    let run = limbic(&[
        "infer",
        "--json",
        "--text",
        "What a wonderful day, I love it, this is the best thing ever!",
        "--text",
        "This is terrible, I hate it. What a disgusting waste of my time.",
    ])
    .expect(0);
    let events = run.events();
    assert_eq!(events[0]["sentiment"]["label"], "positive");
    assert_eq!(events[1]["sentiment"]["label"], "negative");
    assert_eq!(
        (events[0]["source"].as_str(), events[1]["source"].as_str()),
        (Some("text:1"), Some("text:2"))
    );
    assert!(
        !run.stdout.contains("wonderful"),
        "an event must not hold the text"
    );
}

#[test]
fn what_no_model_should_answer_gets_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1_u32;
    let noise: Vec<i16> = (0..64_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8192
        })
        .collect();
    for (name, samples) in [("silence.wav", vec![0; 64_000]), ("noise.wav", noise)] {
        let path = folder.path().join(name);
        fs::write(&path, wav(16_000, &samples)).unwrap();
        let run = limbic(&["infer", "--json", "--audio", path.to_str().unwrap()]).expect(0);
        assert_eq!(run.events()[0]["reason"], "no_speech", "{name}: {}", run.stdout);
    }
    for text in [
        "これはとても素晴らしい映画でした",
        "هذا الفيلم رائع جدا وأحببته كثيرا",
        "Это был очень хороший фильм",
    ] {
        let run = limbic(&["infer", "--json", "--text", text]).expect(0);
        assert_eq!(
            run.events()[0]["reason"],
            "unsupported_language",
            "{}",
            run.stdout
        );
    }
    for text in ["", "  \n", "?!"] {
        let run = limbic(&["infer", "--json", "--text", text]).expect(0);
        assert_eq!(run.events()[0]["reason"], "too_short", "{}", run.stdout);
    }
}

#[test]
fn long_text_is_pooled_and_its_cut_end_counted() {
    let sentence = "The film was good and the actors were fine. ";
    let run = limbic(&["infer", "--json", "--text", &sentence.repeat(30)]).expect(0);
    let event = &run.events()[0];
    assert!(
        event["windows"].as_u64().unwrap() > 1 && event.get("truncated").is_none(),
        "{event}"
    );
    let run = limbic(&["infer", "--json", "--text", &sentence.repeat(300)]).expect(0);
    assert!(
        run.events()[0]["truncated"]["tokens"].as_u64().unwrap() > 500,
        "{}",
        run.stdout
    );
    let table = limbic(&["infer", "--text", &sentence.repeat(300)]).expect(0);
    assert!(table.stdout.contains("truncated:"), "{}", table.stdout);
}

#[test]
fn a_timeline_has_an_event_a_window_before_the_summary() {
    let run = limbic(&[
        "infer",
        "--json",
        "--timeline",
        "--audio",
        "samples/good-news.wav",
    ])
    .expect(0);
    let scopes: Vec<String> = run
        .events()
        .iter()
        .map(|e| e["scope"].as_str().unwrap().to_owned())
        .collect();
    assert!(scopes.len() > 2, "{scopes:?}");
    assert_eq!(scopes.last().map(String::as_str), Some("file"));
    assert!(scopes[..scopes.len() - 1].iter().all(|scope| scope == "window"));
}

#[test]
fn stdin_serves_one_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_limbic"))
        .args(["infer", "--json", "--text-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"I am very happy today, thank you!")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (event["source"].as_str(), event["kind"].as_str()),
        (Some("stdin"), Some("observation"))
    );
    limbic(&["infer", "--text-file", "-", "--audio", "-"])
        .expect(2)
        .says(&["stdin"]);
}

#[test]
fn an_assumed_region_is_said_and_a_given_one_is_not_assumed() {
    let table = limbic(&["infer", "--image", "samples/portrait.jpg"]).expect(0);
    assert!(
        table.stdout.contains("region: whole (assumed)"),
        "{}",
        table.stdout
    );
    let run = limbic(&[
        "infer",
        "--json",
        "--image",
        "samples/portrait.jpg",
        "--region",
        "whole",
    ])
    .expect(0);
    assert_eq!(run.events()[0]["region"]["assumed"], false);
    let run = limbic(&[
        "infer",
        "--json",
        "--image",
        "samples/portrait.jpg",
        "--region",
        "4,6,110,110",
    ])
    .expect(0);
    assert_eq!(run.events()[0]["region"]["w"], 110, "{}", run.stdout);
}

#[test]
fn eval_judges_texts_and_lists_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data.csv");
    let mut csv = "label,input\n".to_owned();
    for _ in 0..10 {
        csv.push_str("positive,\"I love it, wonderful\"\nnegative,I hate it; terrible and boring\n");
    }
    csv.push_str("positive,これはとても素晴らしい\nsunny,a label that no head has\n");
    fs::write(&data, &csv).unwrap();
    let bundle = "models/text-small/text-small.limbic";
    let path = data.to_str().unwrap();
    limbic(&["eval", "--bundle", bundle, "--data", path, "--json"])
        .expect(2)
        .says(&["sunny"]);

    let csv = csv.replace("sunny,a label that no head has\n", "positive\n");
    fs::write(&data, csv).unwrap();
    let run = limbic(&["eval", "--bundle", bundle, "--data", path, "--json"])
        .expect(1)
        .says(&["line 23"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (
            report["n"].as_u64(),
            report["no_answer"].as_u64(),
            report["unreadable"].as_u64()
        ),
        (Some(21), Some(1), Some(1))
    );
    assert!(
        (report["accuracy"].as_f64().unwrap() - 20.0 / 21.0).abs() < 1e-9,
        "{report}"
    );
    for key in [
        "unweighted_average_recall",
        "macro_f1",
        "micro_f1",
        "average_precision",
        "per_class",
        "confusion",
        "expected_calibration_error",
        "interval",
        "thresholds",
    ] {
        assert!(report.get(key).is_some(), "no {key}");
    }
    limbic(&["eval", "--bundle", bundle, "--data", path, "--skip-unreadable"]).expect(0);
    limbic(&["eval", "--bundle", bundle, "--data", path, "--head", "mood"])
        .expect(2)
        .says(&["mood", "sentiment"]);
}

#[test]
fn eval_judges_fused_rows_with_missing_senses() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        root().join("samples/portrait.jpg"),
        folder.path().join("face.jpg"),
    )
    .unwrap();
    fs::copy(
        root().join("samples/good-news.wav"),
        folder.path().join("news.wav"),
    )
    .unwrap();
    let data = folder.path().join("data.csv");
    fs::write(
        &data,
        "text,audio,image,label\nI love it!,news.wav,face.jpg,joy\nI am so happy,,face.jpg,joy\n,,face.jpg,joy\n",
    )
    .unwrap();
    let run = limbic(&["eval", "--data", data.to_str().unwrap(), "--json"]).expect(0);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (report["head"].as_str(), report["n"].as_u64()),
        (Some("emotion"), Some(3))
    );
    assert_eq!(report["labels"].as_array().unwrap().len(), 7);
}

#[test]
fn preprocess_writes_the_tensors_and_lists_broken_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.npz");
    let target = out.to_str().unwrap();
    let model = "models/face-small/model.toml";
    let run = limbic(&[
        "preprocess",
        "--bundle",
        model,
        "samples/portrait.jpg",
        "samples/review.txt",
        "-o",
        target,
    ]);
    run.expect(1).says(&["review.txt"]);
    let mut archive = zip::ZipArchive::new(fs::File::open(&out).unwrap()).unwrap();
    let shape = npyz::NpyFile::new(archive.by_name("pixels.npy").unwrap())
        .unwrap()
        .shape()
        .to_vec();
    assert_eq!(shape, [1, 1, 48, 48]);
    let row = npyz::NpyFile::new(archive.by_name("row.npy").unwrap()).unwrap();
    assert_eq!(row.into_vec::<i64>().unwrap(), [0]);
}

#[test]
fn inspect_shows_everything_a_bundle_holds() {
    for name in ["face-small", "speech-small", "text-small"] {
        let bundle = format!("models/{name}/{name}.limbic");
        let table = limbic(&["inspect", &bundle]).expect(0);
        for word in [
            "identity",
            "licence",
            "intended use",
            "preprocessing",
            "heads",
            "parameters",
            "MACs",
            "operators",
            "card.md",
        ] {
            assert!(
                table.stdout.contains(word),
                "{name}: no {word} in\n{}",
                table.stdout
            );
        }
        let run = limbic(&["inspect", &bundle, "--json"]).expect(0);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        // A plan does not tell its weights from its tables; the graph beside it does.
        let mut counts = report["programs"].as_array().unwrap().iter();
        let parameters = counts.find_map(|program| program["parameters"].as_u64()).unwrap();
        assert!((10_000..5_000_000).contains(&parameters), "{name}: {parameters}");
        assert!(
            report["programs"][0]["macs"][0]["macs"].as_u64().unwrap() > 100_000,
            "{name}"
        );
    }
}

#[test]
fn help_version_and_completions_print() {
    let help = limbic(&["--help"]).expect(0);
    for command in [
        "demo",
        "infer",
        "eval",
        "preprocess",
        "inspect",
        "pack",
        "completions",
    ] {
        assert!(help.stdout.contains(command), "{command}");
        assert!(
            limbic(&[command, "--help"]).expect(0).stdout.contains("Usage"),
            "{command}"
        );
    }
    assert!(
        limbic(&["--version"])
            .expect(0)
            .stdout
            .contains("backends: engine")
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            limbic(&["completions", shell])
                .expect(0)
                .stdout
                .contains("preprocess"),
            "{shell}"
        );
    }
    limbic(&["fly"]).expect(2).says(&["fly"]);
}

#[test]
fn plans_are_profiled_and_timed_on_every_tier() {
    let bundle = "models/speech-small/speech-small.limbic";
    let run = limbic(&["profile", bundle, "--tier", "scalar", "--runs", "1", "--json"]).expect(0);
    let lines: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (whole, steps) = lines.split_last().unwrap();
    let sum: u64 = steps.iter().map(|step| step["macs"].as_u64().unwrap()).sum();
    assert!(sum > 1_000_000, "{sum}");
    assert_eq!(whole["macs"].as_u64(), Some(sum));
    assert_eq!(whole["tier"], "scalar");

    let times = ["--rounds", "2", "--runs", "1", "--json"];
    let backends = ["bench", "--bundle", bundle, "--backend", "engine,engine@scalar"];
    let run = limbic(&[&backends[..], &times[..]].concat()).expect(0);
    let records: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["tier"], "scalar");
    for record in &records {
        assert_eq!(record["runs"], 2);
        assert_eq!(record["precision"], "int8");
        assert!(record["p50_ms"].as_f64().unwrap() > 0.0, "{record}");
    }
    limbic(&["bench", "--bundle", bundle, "--backend", "engine@abacus"])
        .expect(2)
        .says(&["abacus", "scalar"]);
    limbic(&["profile", bundle, "--signature", "encode@99"])
        .expect(2)
        .says(&["encode@99", "main"]);
    // Committed bundles are thin: what their plans were made of is elsewhere.
    limbic(&["compile", bundle]).expect(2).says(&["quantized.onnx"]);
}

#[test]
fn a_bundle_is_warmed_signature_by_signature() {
    let bundle = "models/text-small/text-small.limbic";
    let run = limbic(&["warm", bundle, "--json"]).expect(0);
    let lines = run.events();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["signature"].as_str())
        .collect();
    assert_eq!(names, ["encode@16", "encode@32", "encode@64", "encode@128"]);
    for line in &lines {
        assert_eq!(line["variant"], "engine-int8");
        assert!(line["load_ms"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["first_ms"].as_f64().unwrap() > 0.0, "{line}");
    }
    let named = limbic(&["warm", bundle, "--backend", "engine@scalar#engine-int8"]).expect(0);
    assert!(named.stdout.contains("scalar"), "{}", named.stdout);
    limbic(&["warm", bundle, "--backend", "engine#onnx-f16w"])
        .expect(2)
        .says(&[
            "engine#onnx-f16w",
            "engine-int8 for engine",
            "onnx-f16w for tract",
        ]);
}

#[test]
fn boards_are_listed_and_this_machine_is_at_most_one() {
    let run = limbic(&["boards", "--json"]).expect(0);
    let lines = run.events();
    assert!(lines.iter().any(|line| line["name"] == "raspberry-pi-5"));
    let here = lines.iter().filter(|line| !line["this_machine"].is_null());
    assert!(here.count() <= 1, "{}", run.stdout);
    let table = limbic(&["boards"]).expect(0).stdout;
    assert!(
        table.contains("jetson-orin-nano") && table.contains("this machine"),
        "{table}"
    );
}
