//! `limbicd run` as a device builder starts it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use limbic::{Clock, Event, Origin, Recognizer};
use limbic_capture::files::audio::AudioReader;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn limbicd(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbicd"));
    command.arg("run").args(args).current_dir(root());
    command
}

fn events(stdout: &[u8]) -> Vec<Event> {
    let text = std::str::from_utf8(stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What an event says, without where and when it was made.
fn said(event: &Event) -> String {
    match event {
        Event::Observation(seen) => {
            format!(
                "{:?} {:?} {:?} {:?} {:?}",
                seen.scope, seen.start_ms, seen.end_ms, seen.heads, seen.resampled_from_hz
            )
        }
        Event::NoAnswer(none) => {
            format!(
                "{:?} {:?} {:?} {:?} {}",
                none.scope, none.start_ms, none.end_ms, none.reason, none.detail
            )
        }
        Event::Fused(_) => "fused".to_owned(),
    }
}

#[test]
fn a_replayed_sound_gives_the_answers_of_the_whole_file() {
    for sample in ["samples/good-news.wav", "samples/by-the-door.flac"] {
        let output = limbicd(&["--pace", "fast", "--input", &format!("replay:{sample}")])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let live: Vec<String> = events(&output.stdout).iter().map(said).collect();

        let mut recognizer =
            Recognizer::open(root().join("models/speech-small/speech-small.limbic")).unwrap();
        let mut reader = AudioReader::open(&root().join(sample)).unwrap();
        let origin = Origin::named("file").on(Clock::Stream);
        let mut session = recognizer
            .audio_stream(&origin, reader.sample_rate_hz(), reader.channels())
            .unwrap();
        let (mut all, mut chunk) = (Vec::new(), Vec::new());
        while reader.next_chunk(&mut chunk).unwrap().is_some() {
            all.extend_from_slice(&chunk);
        }
        // One push of everything, where the replay pushed pieces of 20 ms.
        let mut answers = recognizer.push(&mut session, &all).unwrap();
        let (rest, summary) = recognizer.finish(session).unwrap();
        answers.extend(rest);
        answers.push(summary);
        let whole: Vec<String> = answers.iter().map(|answer| said(&answer.event)).collect();
        assert_eq!(live, whole, "{sample}");
        assert!(live.len() > 1, "{live:?}");
    }
}

#[test]
fn lines_of_stdin_are_answered_until_it_ends() {
    let mut child = limbicd(&["--input", "text:-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(b"I love this, it is wonderful!\nThis is terrible and I hate it.\r\n")
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let events = events(&output.stdout);
    let sentiments: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Observation(seen) => seen.sentiment.unwrap().label.name(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sentiments, ["positive", "negative"]);
    assert_eq!(events.iter().map(Event::seq).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn answers_of_two_senses_are_fused() {
    let args = [
        "--input",
        "replay:samples/review.txt",
        "--input",
        "replay:samples/portrait.jpg",
    ];
    let output = limbicd(&args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let events = events(&output.stdout);
    let Some(Event::Fused(fused)) = events.last() else {
        panic!("{events:?}")
    };
    let mut observations = fused.observations.clone();
    observations.sort_unstable();
    assert_eq!(observations, [0, 1]);

    let output = limbicd(&["--fuse-ms", "0", args[0], args[1], args[2], args[3]])
        .output()
        .unwrap();
    assert_eq!(self::events(&output.stdout).len(), 2);
}

#[test]
fn sigterm_ends_a_stream_with_its_summary() {
    // Real pace: the sound takes almost five seconds, the signal comes after the first window.
    let mut child = limbicd(&["--input", "replay:samples/good-news.wav", "--input", "text:-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("\"scope\":\"window\""), "{first}");
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    drop(stdin);
    assert_eq!(status.code(), Some(0));
    let Some(Ok(last)) = rest.last().map(|line| serde_json::from_str::<Event>(line)) else {
        panic!("{rest:?}")
    };
    let end = match &last {
        Event::Observation(seen) => seen.end_ms,
        Event::NoAnswer(none) => none.end_ms,
        Event::Fused(_) => None,
    };
    assert!(said(&last).starts_with("File") && end < Some(4_700), "{last:?}");
}

#[test]
fn what_cannot_be_opened_is_named_before_anything_runs() {
    for (args, word) in [
        (&["--input", "replay:nowhere.wav"][..], "nowhere.wav"),
        (&["--input", "radio:1"], "radio"),
        (&["--bundle", "README.md"], "README.md"),
        (&["--backend", "warp"], "warp"),
        (
            &[
                "--bundle",
                "models/face-small/face-small.limbic",
                "--input",
                "text:-",
            ],
            "text",
        ),
    ] {
        let output = limbicd(args).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(
            stderr.contains(word) && !stderr.contains("panicked"),
            "{args:?}: {stderr}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_real_replay_takes_the_time_of_the_sound() {
    let begin = std::time::Instant::now();
    let output = limbicd(&["--input", "replay:samples/good-news.wav"])
        .output()
        .unwrap();
    assert!(output.status.success());
    // 104,489 frames at 22,050 Hz.
    assert!(
        begin.elapsed() >= Duration::from_millis(4_700),
        "{:?}",
        begin.elapsed()
    );
}
