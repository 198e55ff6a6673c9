//! Replayed files, lines of text and input URIs, on a clock that jumps instead of sleeping.
#![allow(clippy::unwrap_used)]

mod fixtures;

use fixtures::{path, sound};
use limbic_capture::files::audio::AudioReader;
use limbic_capture::source::{
    AudioReplay, Captured, Clock, ClockKind, Content, LineSource, MAX_LINE_BYTES, Pace, Source, Step,
    open_replay,
};
use limbic_capture::{ErrorKind, INPUT_URI_GRAMMAR, InputUri, Sense};
use std::cell::Cell;
use std::path::PathBuf;

/// Time passes only when somebody waits.
#[derive(Default)]
struct JumpClock {
    now_ms: Cell<u64>,
}

impl Clock for JumpClock {
    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    fn sleep_until(&self, ms: u64) {
        self.now_ms.set(self.now_ms.get().max(ms));
    }
}

/// All pieces of a source: start, end and samples, with the time at which each was given.
fn pieces(source: &mut dyn Source, clock: &JumpClock, wait_ms: u64) -> Vec<(u64, u64, Vec<f32>, u64)> {
    let (mut all, mut captured) = (Vec::new(), Captured::default());
    loop {
        match source.next(clock, wait_ms, &mut captured).unwrap() {
            Step::Got => {
                let Content::Audio { samples, .. } = &captured.content else {
                    panic!("no sound")
                };
                assert_eq!(captured.clock, ClockKind::Media);
                all.push((
                    captured.start_ms,
                    captured.end_ms,
                    samples.clone(),
                    clock.now_ms(),
                ));
            }
            Step::Idle => {}
            Step::End => return all,
        }
    }
}

fn replay(name: &str, pace: Pace) -> Box<dyn Source> {
    open_replay(&path(name), pace).unwrap()
}

#[test]
fn a_paced_replay_gives_each_piece_when_it_was_heard() {
    let clock = JumpClock {
        now_ms: Cell::new(5000),
    };
    let paced = pieces(replay("mono16.flac", Pace::RealTime).as_mut(), &clock, 7);
    for (start, end, _, given) in &paced {
        assert!(
            *given >= 5000 + end,
            "a piece that ends at {end} ms was given at {given}"
        );
        assert!(*given <= 5000 + end + 7 && end > start);
    }
    assert_eq!(paced[0].1, 20);
    assert_eq!(paced.last().unwrap().1, 9000 * 1000 / 16_000);
    let unpaced = pieces(
        replay("mono16.flac", Pace::Unpaced).as_mut(),
        &JumpClock::default(),
        0,
    );
    assert_eq!(paced.len(), unpaced.len());
    for (a, b) in paced.iter().zip(&unpaced) {
        assert_eq!((a.0, a.1, &a.2), (b.0, b.1, &b.2), "pace changes no piece");
    }
    assert!(
        unpaced.iter().all(|piece| piece.3 == 0),
        "an unpaced replay does not wait"
    );
}

#[test]
fn a_replay_gives_every_sample_of_the_file_once() {
    for (name, frames, channels, bits) in [
        ("mono16.flac", 9000, 1, 16),
        ("s24.wav", 500, 2, 24),
        ("six16.flac", 600, 6, 16),
    ] {
        let all = pieces(replay(name, Pace::Unpaced).as_mut(), &JumpClock::default(), 0);
        let samples: Vec<f32> = all.iter().flat_map(|piece| piece.2.iter().copied()).collect();
        assert_eq!(samples, sound(frames, channels, bits), "{name}");
        assert!(
            all.windows(2).all(|pair| pair[0].1 == pair[1].0),
            "{name}: pieces join"
        );
    }
}

#[test]
fn a_cut_file_replays_its_samples_and_then_says_so() {
    let mut bytes = fixtures::bytes("s16.wav");
    bytes.truncate(1044);
    let reader = AudioReader::from_bytes("cut.wav", bytes).unwrap();
    let mut source = AudioReplay::new("replay:cut.wav", reader, Pace::Unpaced);
    let (clock, mut captured) = (JumpClock::default(), Captured::default());
    let mut frames = 0;
    let error = loop {
        match source.next(&clock, 0, &mut captured) {
            Ok(Step::Got) => {
                let Content::Audio {
                    samples, channels, ..
                } = &captured.content
                else {
                    panic!("no sound")
                };
                frames += samples.len() / channels;
            }
            Ok(step) => panic!("{step:?} before the error"),
            Err(error) => break error,
        }
    };
    assert_eq!((frames, error.kind()), (250, ErrorKind::Truncated));
    assert_eq!(source.next(&clock, 0, &mut captured).unwrap(), Step::End);
}

#[test]
fn a_picture_and_a_text_are_replayed_once() {
    let (clock, mut captured) = (JumpClock::default(), Captured::default());
    let mut picture = replay("rgb.png", Pace::RealTime);
    assert_eq!(picture.sense(), Sense::Image);
    assert_eq!(picture.next(&clock, 0, &mut captured).unwrap(), Step::Got);
    assert!(matches!(&captured.content, Content::Image(picture) if picture.width() == 7));
    assert_eq!(picture.next(&clock, 0, &mut captured).unwrap(), Step::End);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("note.txt");
    std::fs::write(&file, b"two\nlines \xFF").unwrap();
    let mut text = open_replay(&file, Pace::RealTime).unwrap();
    assert_eq!(
        (text.sense(), text.next(&clock, 0, &mut captured).unwrap()),
        (Sense::Text, Step::Got)
    );
    assert!(matches!(&captured.content, Content::Text(text) if text == "two\nlines \u{FFFD}"));
    assert_eq!(captured.dropped.invalid_text, 1);
    let foreign = folder.path().join("a.bin");
    std::fs::write(&foreign, [0_u8; 40]).unwrap();
    assert_eq!(
        open_replay(&foreign, Pace::RealTime).err().unwrap().kind(),
        ErrorKind::WrongType
    );
}

fn lines(input: &[u8]) -> (Vec<String>, limbic_capture::Dropped) {
    // A small buffer, so that lines lie across its edges.
    let mut source = LineSource::new("text:-", std::io::BufReader::with_capacity(7, input));
    let (clock, mut captured, mut all) = (JumpClock::default(), Captured::default(), Vec::new());
    while source.next(&clock, 0, &mut captured).unwrap() == Step::Got {
        let Content::Text(text) = &captured.content else {
            panic!("no text")
        };
        all.push(text.clone());
    }
    assert_eq!(source.next(&clock, 0, &mut captured).unwrap(), Step::End);
    (all, source.dropped())
}

#[test]
fn lines_lose_their_ends_and_blank_ones_are_left_out() {
    let (all, dropped) = lines("first\r\n\n  \r\nsecond line, longer\nGrüße\nlast".as_bytes());
    assert_eq!(all, ["first", "second line, longer", "Grüße", "last"]);
    assert_eq!(dropped, limbic_capture::Dropped::default());
    assert_eq!(lines(b"").0, Vec::<String>::new());
    assert_eq!(
        lines(b"a\rb\r\n").0,
        ["a\rb"],
        "a carriage return inside a line stays"
    );
}

#[test]
fn a_line_too_long_is_cut_and_counted() {
    let long = [vec![b'x'; MAX_LINE_BYTES + 1000], b"\nnext\n".to_vec()].concat();
    let (all, dropped) = lines(&long);
    assert_eq!((all[0].len(), all[1].as_str()), (MAX_LINE_BYTES, "next"));
    assert_eq!(dropped.text_bytes, 1000);
    assert_eq!(lines(b"a\xFFb\xED\xA0\x80\n").1.invalid_text, 4);
}

#[test]
fn uris_are_read_and_written_alike() {
    for (text, uri) in [
        ("replay:/a b/c.wav", InputUri::Replay("/a b/c.wav".into())),
        ("replay:with:colon.wav", InputUri::Replay("with:colon.wav".into())),
        ("text:-", InputUri::StandardInput),
        ("mic:default", InputUri::DefaultMicrophone),
        (
            "mic:hw:CARD=1,DEV=0",
            InputUri::Microphone("hw:CARD=1,DEV=0".into()),
        ),
        ("v4l2:/dev/video0", InputUri::Camera("/dev/video0".into())),
    ] {
        assert_eq!(InputUri::parse(text).unwrap(), uri);
        assert_eq!(uri.to_string(), text);
    }
}

#[test]
fn a_wrong_uri_shows_the_grammar() {
    for text in [
        "",
        "clip.wav",
        "replay:",
        "mic:",
        "text:file",
        "v4l2:video0",
        "v4l2:",
        "http://example.org",
        ":x",
    ] {
        let error = InputUri::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUri, "{text}");
        assert!(error.to_string().contains(INPUT_URI_GRAMMAR), "{error}");
    }
}

#[test]
fn a_missing_feature_is_named() {
    let inputs = [
        (InputUri::DefaultMicrophone, "mic", cfg!(feature = "mic")),
        (
            InputUri::Camera(PathBuf::from("/dev/no-such-camera")),
            "camera",
            cfg!(feature = "camera"),
        ),
    ];
    for (uri, feature, present) in inputs {
        if present {
            continue;
        }
        let error = uri.open(Pace::RealTime).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::MissingFeature);
        assert!(
            error.to_string().contains(&format!("--features {feature}")),
            "{error}"
        );
    }
}

#[test]
fn opening_a_missing_file_names_it() {
    let error = InputUri::parse("replay:no/such.wav")
        .unwrap()
        .open(Pace::RealTime)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "no/such.wav: no such file");
}
