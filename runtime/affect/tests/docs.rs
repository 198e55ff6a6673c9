//! The examples in the user documentation are what the code reads and computes.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use limbic_affect::{
    CommonDistribution, Emotion, Event, Evidence, FusionParams, Opinion, Sense, Valence, fuse,
};
use serde_json::Value;

const EVENTS: &str = include_str!("../../../docs/events.md");
const FUSION: &str = include_str!("../../../docs/fusion.md");

#[test]
fn documented_events_are_events_with_no_field_more() {
    let mut kinds = Vec::new();
    for block in EVENTS.split("```json\n").skip(1) {
        let json = block.split("```").next().unwrap();
        let event: Event = serde_json::from_str(json).unwrap();
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), value);
        kinds.push(value["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        kinds,
        ["observation", "observation", "observation", "fused", "no_answer"]
    );
}

#[test]
fn documented_fusion_example_is_what_fuse_computes() {
    let valence = |negative, neutral, positive, unmapped| Valence {
        negative,
        neutral,
        positive,
        unmapped,
    };
    let emotion = |emotions, unmapped, valence| {
        Evidence::Emotion(CommonDistribution {
            emotions,
            unmapped,
            valence,
        })
    };
    let face = emotion(
        [0.0, 0.0, 0.0, 0.6, 0.1, 0.0, 0.3],
        0.0,
        valence(0.1, 0.3, 0.6, 0.0),
    );
    let voice = emotion(
        [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.3],
        0.2,
        valence(0.5, 0.3, 0.0, 0.2),
    );
    let text = Evidence::Sentiment {
        valence: valence(0.1, 0.0, 0.9, 0.0),
        covered: [true, false, true],
    };
    let opinion = |sense, evidence| Opinion {
        source: "s".into(),
        head: "h".into(),
        sense,
        evidence,
    };
    let opinions = [
        opinion(Sense::Image, face),
        opinion(Sense::Audio, voice),
        opinion(Sense::Text, text),
    ];
    let common = fuse(&opinions, FusionParams::builtin()).unwrap().common;

    for emotion in [Emotion::Joy, Emotion::Neutral, Emotion::Sadness] {
        let row = FUSION
            .lines()
            .find(|line| line.starts_with(&format!("| {} |", emotion.name())))
            .unwrap();
        let fused = format!("| {:.4} |", common.emotions[emotion.index()]);
        assert!(row.ends_with(&fused), "{row}, expected {fused}");
    }
    let Valence {
        negative,
        neutral,
        positive,
        unmapped,
    } = common.valence;
    let groups = format!(
        "negative {negative:.4}, neutral {neutral:.4}, positive {positive:.4}, unmapped {unmapped:.4}"
    );
    assert!(FUSION.contains(&groups), "{groups}");
    assert!(FUSION.contains(&format!("`unmapped` {:.4}", common.unmapped)));
}
