//! The built-in label spaces hold what their sources say, and a bundle's own are checked.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use limbic_affect::{Emotion, ErrorKind, LabelSpace, LabelSpaces, Labelling, SpaceRole};

fn names(id: &str) -> Vec<String> {
    LabelSpaces::builtin()
        .by_id(id)
        .unwrap()
        .names()
        .map(str::to_owned)
        .collect()
}

fn space(json: &str) -> Result<LabelSpace, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// A space of two labels with this JSON in the middle of the first one.
fn with_first(label: &str) -> String {
    format!(
        r#"{{"id": "own", "source": "test", "labelling": "exclusive", "exhaustive": true, "labels": [{label},
            {{"label": "b", "emotions": {{"unmapped": 1.0}}, "valence": {{"unmapped": 1.0}}}}]}}"#
    )
}

#[test]
fn builtin_spaces_have_the_labels_of_their_data() {
    let ids: Vec<&str> = LabelSpaces::builtin().iter().map(LabelSpace::id).collect();
    let expected = [
        "ferplus8",
        "ravdess8",
        "ekman7",
        "goemotions28",
        "sentiment2",
        "sentiment3",
        "face_presence",
    ];
    assert_eq!(ids, expected);
    let ferplus = [
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
        "contempt",
    ];
    assert_eq!(names("ferplus8"), ferplus);
    let ravdess = [
        "neutral",
        "calm",
        "happy",
        "sad",
        "angry",
        "fearful",
        "disgust",
        "surprised",
    ];
    assert_eq!(names("ravdess8"), ravdess);
    assert_eq!(names("ekman7"), Emotion::ALL.map(Emotion::name));
    assert_eq!(names("sentiment2"), ["negative", "positive"]);
    assert_eq!(names("sentiment3"), ["negative", "neutral", "positive"]);
    assert_eq!(names("face_presence"), ["face"]);
    assert_eq!(names("goemotions28").len(), 28);
}

#[test]
fn goemotions_labels_stand_in_the_order_of_the_data() {
    let Some(shared) = limbic_tests::shared() else {
        return;
    };
    let text = std::fs::read_to_string(shared.join("text/goemotions/labels.txt")).unwrap();
    assert_eq!(names("goemotions28"), text.lines().collect::<Vec<_>>());
}

#[test]
fn goemotions_groups_are_those_of_its_authors() {
    let groups = [
        (Emotion::Anger, "anger annoyance disapproval"),
        (Emotion::Disgust, "disgust"),
        (Emotion::Fear, "fear nervousness"),
        (
            Emotion::Joy,
            "admiration amusement approval caring desire excitement gratitude joy love optimism pride relief",
        ),
        (
            Emotion::Sadness,
            "disappointment embarrassment grief remorse sadness",
        ),
        (Emotion::Surprise, "confusion curiosity realization surprise"),
        (Emotion::Neutral, "neutral"),
    ];
    let space = LabelSpaces::builtin().by_id("goemotions28").unwrap();
    let mut seen = 0;
    for (emotion, labels) in groups {
        for name in labels.split(' ') {
            let label = &space.labels()[space.index_of(name).unwrap()];
            assert_eq!(label.emotions.emotions()[emotion.index()], 1.0, "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 28);
}

#[test]
fn labels_without_a_counterpart_are_unmapped() {
    let spaces = LabelSpaces::builtin();
    let row = |id: &str, label: &str| {
        let space = spaces.by_id(id).unwrap();
        space.labels()[space.index_of(label).unwrap()].clone()
    };
    let contempt = row("ferplus8", "contempt");
    assert_eq!(
        (contempt.emotions.unmapped, contempt.valence.negative),
        (1.0, 1.0)
    );
    assert_eq!(row("ravdess8", "calm").emotions.neutral, 1.0);
    assert_eq!(row("ekman7", "surprise").valence.unmapped, 1.0);
    for id in ["sentiment2", "sentiment3"] {
        let space = spaces.by_id(id).unwrap();
        assert!(space.labels().iter().all(|label| label.emotions.unmapped == 1.0));
        assert_eq!(space.role(), SpaceRole::Sentiment);
    }
    assert_eq!(
        spaces.by_id("sentiment2").unwrap().covered_valence(),
        [true, false, true]
    );
    assert_eq!(spaces.by_id("face_presence").unwrap().role(), SpaceRole::Other);
    assert_eq!(spaces.by_id("ferplus8").unwrap().role(), SpaceRole::Emotion);
}

#[test]
fn an_unknown_id_is_an_error_that_lists_the_known_ones() {
    let error = LabelSpaces::builtin().by_id("ekman6").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownLabelSpace);
    assert!(
        error.to_string().contains("`ekman6`") && error.to_string().contains("ekman7"),
        "{error}"
    );
}

#[test]
fn a_space_of_its_own_is_checked_when_read() {
    let good = r#"{"label": "a", "emotions": {"joy": 0.25, "unmapped": 0.75}, "valence": {"positive": 1.0}}"#;
    let read = space(&with_first(good)).unwrap();
    assert_eq!(read.labels()[0].emotions.joy, 0.25);
    let again: LabelSpace = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(again, read);

    let rows = |emotions: &str| {
        with_first(&format!(
            r#"{{"label": "a", "emotions": {emotions}, "valence": {{"unmapped": 1.0}}}}"#
        ))
    };
    let name = |name: &str| {
        with_first(&format!(
            r#"{{"label": {name}, "emotions": {{"joy": 1}}, "valence": {{"unmapped": 1}}}}"#
        ))
    };
    let long = format!("\"{}\"", "x".repeat(65));
    for (json, problem) in [
        (
            rows(r#"{"joy": 0.5, "unmapped": 0.4}"#),
            "label `a`: the emotions row sums to 0.9",
        ),
        (rows(r#"{"joy": 1.5, "unmapped": -0.5}"#), "holds -0.5"),
        (rows(r#"{"happiness": 1.0}"#), "unknown field `happiness`"),
        (rows("{}"), "sums to 0"),
        (name(r#""b""#), "label `b` stands there twice"),
        (name(r#""""#), "label 0 is empty"),
        (name(r#""a|b""#), "a control character or `|`"),
        (name(r#"" a""#), "padded"),
        (name(&long), "has 65 bytes"),
        (
            with_first(good).replace("true", "false"),
            "exclusive labels are exhaustive",
        ),
        (
            with_first(good).replace("exclusive", "dimensional"),
            "dimensional labels are not exhaustive",
        ),
        (
            with_first(good).replace("\"test\"", "\"test\", \"extra\": 1"),
            "unknown field `extra`",
        ),
    ] {
        let error = space(&json).unwrap_err();
        assert!(error.contains(problem), "expected `{problem}` in `{error}`");
    }
}

#[test]
fn a_space_has_labels_but_not_too_many() {
    let label = LabelSpaces::builtin().by_id("face_presence").unwrap().labels()[0].clone();
    let new = |count: usize| {
        let labels = (0..count).map(|i| limbic_affect::Label {
            name: format!("l{i}"),
            ..label.clone()
        });
        LabelSpace::new("own", "test", Labelling::Exclusive, true, labels.collect())
    };
    assert_eq!(new(0).unwrap_err().kind(), ErrorKind::InvalidLabelSpace);
    assert_eq!(
        new(limbic_affect::MAX_LABELS).unwrap().len(),
        limbic_affect::MAX_LABELS
    );
    assert!(
        new(limbic_affect::MAX_LABELS + 1)
            .unwrap_err()
            .to_string()
            .contains("1025 labels")
    );
}

#[test]
fn an_own_space_may_repeat_a_builtin_one_but_not_change_it() {
    let builtin = LabelSpaces::builtin().by_id("sentiment2").unwrap();
    let own = |id: &str| {
        LabelSpace::new(id, "test", Labelling::Exclusive, true, builtin.labels().to_vec()).unwrap()
    };
    let all = LabelSpaces::with_own(&[LabelSpace::clone(builtin), own("mine")]).unwrap();
    assert_eq!(all.iter().count(), LabelSpaces::builtin().iter().count() + 1);
    assert_eq!(all.by_id("mine").unwrap().len(), 2);
    for twice in [vec![own("sentiment2")], vec![own("mine"), own("mine")]] {
        let error = LabelSpaces::with_own(&twice).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidLabelSpace);
    }
}
