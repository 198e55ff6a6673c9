//! Events read back as they were written, have the fields of the design, and hold labels only.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use limbic_affect::{
    BundleRef, Clock, CommonAnswer, Dropped, Event, FusedEvent, FusedSource, FusionParams, Head, HeadAnswer,
    HeadKind, HeadSpec, LabelSpaces, MissingSense, NoAnswer, NoAnswerReason, Observation, Opinion,
    Prediction, Region, SchemaVersion, Scope, Sense, SentimentAnswer, Truncated, fuse, observed_common,
};
use serde_json::Value;

fn predict(name: &str, kind: HeadKind, space: &str, logits: &[f32]) -> Prediction {
    let spec = HeadSpec {
        name: name.into(),
        tensor: "t".into(),
        kind,
        label_space: space.into(),
        thresholds: vec![],
        temperature: 1.3,
        abstain_below: 0.0,
    };
    Head::new(&spec, LabelSpaces::builtin(), None)
        .unwrap()
        .predict(logits)
        .unwrap()
}

fn text_predictions() -> [Prediction; 2] {
    [
        predict("sentiment", HeadKind::Softmax, "sentiment2", &[-1.5, 2.0]),
        predict(
            "emotion",
            HeadKind::MultiLabel,
            "ekman7",
            &[-4.0, -5.0, -4.5, 1.1, -3.0, -2.0, -0.7],
        ),
    ]
}

/// An observation with every field set.
fn observation() -> Observation {
    let predictions = text_predictions();
    let common = observed_common(&predictions).unwrap();
    Observation {
        schema: SchemaVersion,
        seq: 7,
        start_ms: Some(1500),
        end_ms: Some(4500),
        clock: Clock::Stream,
        scope: Scope::Window,
        windows: Some(2),
        sense: Sense::Text,
        source: "diary.txt:3".into(),
        bundle: BundleRef {
            name: "text-small".into(),
            identity: "9f".repeat(32),
        },
        backend: "tract".into(),
        region: Some(Region::Box {
            x: 1,
            y: 2,
            w: 30,
            h: 40,
        }),
        heads: predictions.iter().map(HeadAnswer::from).collect(),
        common: Some(CommonAnswer::from(common)),
        sentiment: SentimentAnswer::from_valence(&common.valence),
        truncated: Some(Truncated { tokens: 12 }),
        dropped: Some(Dropped {
            samples: 480,
            frames: 1,
        }),
        replaced: Some(3),
        resampled_from_hz: Some(44_100),
        elapsed_ms: Some(12.25),
    }
}

fn fused() -> FusedEvent {
    let opinions: Vec<Opinion> = text_predictions()
        .iter()
        .filter_map(|prediction| Opinion::from_prediction("diary.txt:3", Sense::Text, prediction))
        .collect();
    let fused = fuse(&opinions, FusionParams::builtin()).unwrap();
    FusedEvent {
        schema: SchemaVersion,
        seq: 8,
        start_ms: None,
        end_ms: None,
        clock: Clock::None,
        observations: vec![7],
        sources: FusedSource::list(&fused),
        missing: vec![MissingSense {
            source: "hall.wav".into(),
            sense: Sense::Audio,
            reason: NoAnswerReason::NoSpeech,
            detail: "0 of 300 frames voiced".into(),
        }],
        common: CommonAnswer::from(fused.common),
        top: fused.top.map(|top| top.0),
        probability: fused.top.map(|top| top.1),
        sentiment: SentimentAnswer::from_valence(&fused.common.valence),
        elapsed_ms: Some(0.02),
    }
}

fn no_answer() -> NoAnswer {
    NoAnswer {
        schema: SchemaVersion,
        seq: 9,
        start_ms: Some(0),
        end_ms: Some(3000),
        clock: Clock::Monotonic,
        scope: Scope::File,
        sense: Sense::Audio,
        source: "mic:default".into(),
        bundle: BundleRef {
            name: "speech-small".into(),
            identity: "00".repeat(32),
        },
        backend: Some("tract".into()),
        region: Some(Region::Whole { assumed: true }),
        reason: NoAnswerReason::NoSpeech,
        detail: "0 of 300 frames voiced".into(),
        truncated: Some(Truncated { tokens: 1 }),
        dropped: Some(Dropped {
            samples: 0,
            frames: 0,
        }),
        replaced: Some(1),
        resampled_from_hz: Some(8000),
        elapsed_ms: Some(1.5),
    }
}

fn all() -> [Event; 3] {
    [
        Event::Observation(Box::new(observation())),
        Event::Fused(Box::new(fused())),
        Event::NoAnswer(Box::new(no_answer())),
    ]
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    for event in all() {
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
    let sparse = Observation {
        windows: None,
        region: None,
        common: None,
        sentiment: None,
        truncated: None,
        dropped: None,
        replaced: None,
        resampled_from_hz: None,
        elapsed_ms: None,
        ..observation()
    };
    let event = Event::Observation(Box::new(sparse));
    let line = serde_json::to_string(&event).unwrap();
    assert!(!line.contains("truncated") && !line.contains("region"), "{line}");
    assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
}

#[test]
fn an_event_has_the_fields_of_its_kind() {
    let [observation, fused, no_answer] = all().map(|event| serde_json::to_value(event).unwrap());
    for (event, kind) in [
        (&observation, "observation"),
        (&fused, "fused"),
        (&no_answer, "no_answer"),
    ] {
        assert_eq!(event["kind"], kind);
        assert_eq!(event["schema"], 1);
    }
    assert_eq!(observation["clock"], "stream");
    assert_eq!(observation["scope"], "window");
    assert_eq!(observation["region"]["x"], 1);
    assert_eq!(observation["heads"][0]["labels"][1]["label"], "positive");
    assert_eq!(observation["heads"][0]["top"], "positive");
    assert_eq!(observation["heads"][1]["selected"], serde_json::json!(["joy"]));
    assert_eq!(observation["sentiment"]["label"], "positive");
    assert_eq!(observation["truncated"]["tokens"], 12);
    assert_eq!(no_answer["reason"], "no_speech");
    assert_eq!(
        no_answer["region"],
        serde_json::json!({"type": "whole", "assumed": true})
    );
    assert_eq!(fused["top"], "joy");
    assert_eq!(fused["observations"], serde_json::json!([7]));
    assert_eq!(fused["missing"][0]["reason"], "no_speech");
    assert_eq!(fused["start_ms"], Value::Null);
}

#[test]
fn the_common_answer_takes_emotions_and_valence_from_their_own_heads() {
    let [sentiment, emotion] = text_predictions();
    let both = observed_common(&[sentiment.clone(), emotion.clone()]).unwrap();
    assert_eq!(both.emotions, emotion.to_common().unwrap().emotions);
    assert_eq!(both.valence, sentiment.to_common().unwrap().valence);
    let alone = observed_common(std::slice::from_ref(&sentiment)).unwrap();
    assert_eq!((alone.emotions, alone.unmapped), ([0.0; 7], 1.0));
    assert_eq!(
        observed_common(&[predict("face", HeadKind::MultiLabel, "face_presence", &[2.0])]),
        None
    );
}

#[test]
fn reasons_are_named_as_in_events() {
    for (reason, name) in [
        (NoAnswerReason::NoSpeech, "no_speech"),
        (NoAnswerReason::NoFace, "no_face"),
        (NoAnswerReason::UnsupportedLanguage, "unsupported_language"),
        (NoAnswerReason::TooShort, "too_short"),
        (NoAnswerReason::BelowThreshold, "below_threshold"),
    ] {
        assert_eq!(reason.name(), name);
        assert_eq!(serde_json::to_value(reason).unwrap(), name);
    }
}

#[test]
fn an_event_of_another_schema_is_refused() {
    let line = serde_json::to_string(&all()[2])
        .unwrap()
        .replace("\"schema\":1", "\"schema\":2");
    let error = serde_json::from_str::<Event>(&line).unwrap_err().to_string();
    assert!(error.contains("event schema 2, this version reads 1"), "{error}");
}

#[test]
fn measured_time_is_left_out_of_comparisons() {
    for mut event in all() {
        event.set_seq(41);
        assert_eq!(event.seq(), 41);
        let plain = event.clone().without_elapsed();
        assert_ne!(plain, event);
        assert!(!serde_json::to_string(&plain).unwrap().contains("elapsed_ms"));
    }
}

/// Paths of all strings in a JSON value, array positions as `[]`.
fn strings(value: &Value, path: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::String(_) => drop(found.insert(path.to_owned())),
        Value::Array(items) => items
            .iter()
            .for_each(|item| strings(item, &format!("{path}[]"), found)),
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, field)| strings(field, &format!("{path}.{name}"), found));
        }
        _ => {}
    }
}

/// Whoever adds a string here has to show that it cannot carry what someone said or wrote.
#[test]
fn events_hold_labels_and_names_but_no_text() {
    let mut found = std::collections::BTreeSet::new();
    for event in all() {
        strings(&serde_json::to_value(event).unwrap(), "", &mut found);
    }
    let names = [
        ".backend",
        ".bundle.identity",
        ".bundle.name",
        ".clock",
        ".detail",
        ".heads[].head",
        ".heads[].label_space",
        ".heads[].labels[].label",
        ".heads[].selected[]",
        ".heads[].top",
        ".kind",
        ".missing[].detail",
        ".missing[].reason",
        ".missing[].sense",
        ".missing[].source",
        ".reason",
        ".region.type",
        ".scope",
        ".sense",
        ".sentiment.label",
        ".source",
        ".sources[].head",
        ".sources[].sense",
        ".sources[].source",
        ".top",
    ];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), names);
}
