//! Heads and pools against numbers computed with numpy, and what they refuse.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use limbic_affect::{
    ErrorKind, Head, HeadKind, HeadSpec, LabelSpace, LabelSpaces, Labelling, LogitPool, Pooling,
    PredictionKind,
};

fn spec(kind: HeadKind, label_space: &str) -> HeadSpec {
    HeadSpec {
        name: "emotion".into(),
        tensor: "logits".into(),
        kind,
        label_space: label_space.into(),
        thresholds: vec![],
        temperature: 1.0,
        abstain_below: 0.0,
    }
}

fn head(spec: &HeadSpec) -> Head {
    Head::new(spec, LabelSpaces::builtin(), None).unwrap()
}

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
    }
}

/// A space of two continuous quantities.
fn dimensional() -> LabelSpaces {
    let face = LabelSpaces::builtin().by_id("face_presence").unwrap().labels()[0].clone();
    let label = |name: &str| limbic_affect::Label {
        name: name.into(),
        ..face.clone()
    };
    let labels = vec![label("valence"), label("arousal")];
    let space = LabelSpace::new("affect2", "test", Labelling::Dimensional, false, labels).unwrap();
    LabelSpaces::with_own(&[space]).unwrap()
}

const FACE_LOGITS: [f32; 8] = [0.1, 4.0, 0.3, -1.0, -1.0, -2.0, -2.5, -2.0];

#[test]
fn softmax_divides_by_the_temperature() {
    let spec = HeadSpec {
        temperature: 1.5,
        ..spec(HeadKind::Softmax, "ferplus8")
    };
    let prediction = head(&spec).predict(&FACE_LOGITS).unwrap();
    let expected = [
        0.058_015_180_640_698_19,
        0.781_101_193_423_707_5,
        0.066_289_933_412_928_4,
        0.027_864_998_777_728_255,
        0.027_864_998_777_728_255,
        0.014_306_367_394_307_939,
        0.010_250_960_178_593_593,
        0.014_306_367_394_307_939,
    ];
    assert_near(prediction.probabilities(), &expected);
    assert_eq!(prediction.top_label(), Some("happiness"));
    assert_eq!(prediction.selected_labels().collect::<Vec<_>>(), ["happiness"]);
    let common = prediction.to_common().unwrap();
    assert_near(
        &common.emotions,
        &[3, 5, 6, 1, 3, 2, 0].map(|label: usize| expected[label]),
    );
    assert_near(&[common.unmapped], &[expected[7]]);
    assert_near(
        &[common.valence.unmapped, common.valence.positive],
        &[expected[2], expected[1]],
    );
}

#[test]
fn softmax_stands_the_largest_logits() {
    let softmax = head(&spec(HeadKind::Softmax, "sentiment2"));
    assert_near(
        softmax.predict(&[f32::MAX, f32::MIN]).unwrap().probabilities(),
        &[1.0, 0.0],
    );
    assert_near(
        softmax.predict(&[f64::MIN, f64::MAX]).unwrap().probabilities(),
        &[0.0, 1.0],
    );
    assert_near(
        softmax.predict(&[-1e300, -1e300]).unwrap().probabilities(),
        &[0.5, 0.5],
    );
}

#[test]
fn multi_label_is_calibrated_and_enters_the_common_space_by_its_odds() {
    let spec = HeadSpec {
        temperature: 0.8,
        thresholds: vec![0.1, 0.05, 0.2, 0.9, 0.5, 0.5, 0.5],
        ..spec(HeadKind::MultiLabel, "ekman7")
    };
    let prediction = head(&spec)
        .predict(&[-3.0, -2.0, -1.5, 1.25, -0.5, 0.25, 0.75])
        .unwrap();
    let expected = [
        0.022_977_369_910_025_615,
        0.075_858_180_021_243_55,
        0.132_964_240_197_829_26,
        0.826_711_794_070_673_4,
        0.348_645_135_333_945_75,
        0.577_495_365_185_811_8,
        0.718_594_392_570_856_1,
    ];
    assert_near(prediction.probabilities(), &expected);
    // Joy is the likeliest but stays below its threshold of 0.9.
    assert_eq!(
        prediction.selected_labels().collect::<Vec<_>>(),
        ["disgust", "surprise", "neutral"]
    );
    assert_eq!(prediction.top_label(), Some("neutral"));
    let odds = [
        0.002_479_367_884_853_675_7,
        0.008_653_844_235_856_089,
        0.016_167_509_509_886_28,
        0.502_956_478_524_660_2,
        0.056_430_152_957_528_91,
        0.144_099_443_709_224_37,
        0.269_213_203_177_990_4,
    ];
    let common = prediction.to_common().unwrap();
    assert_near(&common.emotions, &odds);
    assert_eq!(common.unmapped, 0.0);
}

#[test]
fn a_multi_label_head_below_all_thresholds_selects_one_label_only_if_one_must_hold() {
    let thresholds = vec![0.9, 0.05, 0.9, 0.9, 0.9, 0.9, 0.9];
    let ekman = HeadSpec {
        thresholds,
        ..spec(HeadKind::MultiLabel, "ekman7")
    };
    // Disgust at 0.04 is the nearest to its own threshold of 0.05, though others are likelier.
    let disgust = (0.04_f64 / 0.96).ln();
    let prediction = head(&ekman)
        .predict(&[-1.0, disgust, -1.0, -1.0, -1.0, -1.0, 0.0])
        .unwrap();
    assert_eq!(prediction.selected_labels().collect::<Vec<_>>(), ["disgust"]);
    assert_eq!(prediction.top_label(), Some("disgust"));

    let face = head(&spec(HeadKind::MultiLabel, "face_presence"));
    let absent = face.predict(&[-2.0_f32]).unwrap();
    assert!(absent.selected().is_empty());
    assert_eq!(absent.top_label(), Some("face"));
    assert_eq!(face.predict(&[2.0_f32]).unwrap().selected(), [0]);
    assert_near(&[absent.to_common().unwrap().unmapped], &[1.0]);
}

#[test]
fn saturated_multi_label_probabilities_have_finite_odds() {
    let all = head(&spec(HeadKind::MultiLabel, "ekman7"))
        .predict(&[1e30_f64; 7])
        .unwrap();
    assert_near(&all.to_common().unwrap().emotions, &[1.0 / 7.0; 7]);
    let none = head(&spec(HeadKind::MultiLabel, "ekman7"))
        .predict(&[-1e30_f64; 7])
        .unwrap();
    assert_near(&none.to_common().unwrap().emotions, &[1.0 / 7.0; 7]);
}

#[test]
fn cosine_compares_directions() {
    let spec = HeadSpec {
        temperature: 2.0,
        ..spec(
            HeadKind::Cosine {
                matrix: "labels.f32".into(),
                scale: 10.0,
            },
            "sentiment2",
        )
    };
    let matrix = [3.0, 4.0, 0.0, 0.0, 0.0, 2.0];
    let head = Head::new(&spec, LabelSpaces::builtin(), Some(&matrix)).unwrap();
    assert_eq!(head.width(), 3);
    let expected = [0.582_570_206_462_314_7, 0.417_429_793_537_685_3];
    assert_near(head.predict(&[1.0, 2.0, 2.0]).unwrap().probabilities(), &expected);
    assert_near(
        head.predict(&[1e200, 2e200, 2e200]).unwrap().probabilities(),
        &expected,
    );
    assert_eq!(
        head.predict(&[0.0, 0.0, 0.0]).unwrap_err().kind(),
        ErrorKind::ZeroNorm
    );

    let kind = |matrix: Option<&[f32]>| {
        Head::new(&spec, LabelSpaces::builtin(), matrix)
            .unwrap_err()
            .kind()
    };
    assert_eq!(kind(None), ErrorKind::InvalidHead);
    assert_eq!(kind(Some(&[1.0; 5])), ErrorKind::Shape);
    assert_eq!(kind(Some(&[])), ErrorKind::Shape);
    assert_eq!(kind(Some(&[1.0, 0.0])), ErrorKind::ZeroNorm);
    assert_eq!(kind(Some(&[1.0, f32::NAN])), ErrorKind::NonFinite);
}

#[test]
fn regression_clamps_and_counts() {
    let spec = spec(HeadKind::Regression { range: [-1.0, 1.0] }, "affect2");
    let head = Head::new(&spec, &dimensional(), None).unwrap();
    let prediction = head.predict(&[0.25_f32, 1.5]).unwrap();
    assert_eq!(prediction.values(), [0.25, 1.0]);
    assert_eq!(prediction.kind(), &PredictionKind::Regression { clamped: 1 });
    assert!(prediction.probabilities().is_empty());
    assert_eq!((prediction.top(), prediction.to_common()), (None, None));
}

#[test]
fn a_head_abstains_below_its_least_probability() {
    for (least, abstained) in [(0.0, false), (0.6, false), (0.7, true)] {
        let spec = HeadSpec {
            abstain_below: least,
            ..spec(HeadKind::Softmax, "sentiment2")
        };
        // A softmax of ln 2 against 0 is 2/3.
        let prediction = head(&spec).predict(&[2.0_f64.ln(), 0.0]).unwrap();
        assert_eq!(prediction.abstained(), abstained);
    }
}

#[test]
fn bad_logits_are_named() {
    let head = head(&spec(HeadKind::Softmax, "sentiment2"));
    for (value, name) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let error = head.predict(&[0.0, value]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NonFinite);
        assert_eq!(error.to_string(), format!("head `emotion`: value 1 is {name}"));
    }
    let error = head.predict(&[0.0_f32; 3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert_eq!(error.to_string(), "head `emotion`: 3 values, expected 2");
}

#[test]
fn specifications_that_do_not_fit_are_refused() {
    let softmax = || spec(HeadKind::Softmax, "sentiment2");
    let multi = |thresholds| HeadSpec {
        thresholds,
        ..spec(HeadKind::MultiLabel, "ekman7")
    };
    let regression = |range| spec(HeadKind::Regression { range }, "affect2");
    let verbaliser = HeadKind::Verbaliser {
        token_ids: vec![1, 2],
    };
    for (spec, kind, problem) in [
        (
            spec(verbaliser, "sentiment2"),
            ErrorKind::UnsupportedHead,
            "`verbaliser`",
        ),
        (
            spec(HeadKind::Embedding, "sentiment2"),
            ErrorKind::UnsupportedHead,
            "`embedding`",
        ),
        (
            spec(HeadKind::Softmax, "none"),
            ErrorKind::UnknownLabelSpace,
            "`none`",
        ),
        (
            HeadSpec {
                name: String::new(),
                ..softmax()
            },
            ErrorKind::InvalidHead,
            "both are needed",
        ),
        (
            HeadSpec {
                temperature: 0.0,
                ..softmax()
            },
            ErrorKind::InvalidHead,
            "temperature 0",
        ),
        (
            HeadSpec {
                temperature: f64::NAN,
                ..softmax()
            },
            ErrorKind::InvalidHead,
            "temperature NaN",
        ),
        (
            HeadSpec {
                abstain_below: 1.5,
                ..softmax()
            },
            ErrorKind::InvalidHead,
            "abstain_below 1.5",
        ),
        (
            HeadSpec {
                thresholds: vec![0.5; 2],
                ..softmax()
            },
            ErrorKind::InvalidHead,
            "belong to multi_label",
        ),
        (
            multi(vec![0.5; 6]),
            ErrorKind::InvalidHead,
            "6 thresholds, expected 7",
        ),
        (multi(vec![1.0; 7]), ErrorKind::InvalidHead, "threshold 1"),
        (
            spec(HeadKind::MultiLabel, "ferplus8"),
            ErrorKind::InvalidHead,
            "does not fit",
        ),
        (
            spec(HeadKind::Softmax, "affect2"),
            ErrorKind::InvalidHead,
            "does not fit",
        ),
        (regression([1.0, -1.0]), ErrorKind::InvalidHead, "range 1 to -1"),
        (
            regression([0.0, f64::INFINITY]),
            ErrorKind::InvalidHead,
            "range 0 to inf",
        ),
    ] {
        let error = Head::new(&spec, &dimensional(), None).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains(problem),
            "expected `{problem}` in `{error}`"
        );
    }
    let error = Head::new(&softmax(), LabelSpaces::builtin(), Some(&[1.0, 1.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidHead);
}

#[test]
fn a_specification_reads_as_a_manifest_writes_it() {
    let read = |kind: &str| {
        let json = format!(r#"{{"name": "a", "tensor": "t", "label_space": "ekman7", "kind": {kind}}}"#);
        serde_json::from_str::<HeadSpec>(&json).map_err(|error| error.to_string())
    };
    let softmax = read(r#""softmax""#).unwrap();
    assert_eq!(
        (softmax.kind, softmax.temperature, softmax.abstain_below),
        (HeadKind::Softmax, 1.0, 0.0)
    );
    let cosine = read(r#"{"cosine": {"matrix": "m", "scale": 2.0}}"#).unwrap();
    assert_eq!(
        cosine.kind,
        HeadKind::Cosine {
            matrix: "m".into(),
            scale: 2.0
        }
    );
    assert!(
        read(r#""argmax""#)
            .unwrap_err()
            .contains("unknown variant `argmax`")
    );
    assert!(
        read(r#"{"cosine": {"matrix": "m", "scale": 2.0, "x": 1}}"#)
            .unwrap_err()
            .contains("`x`")
    );
    assert!(read(r#""softmax", "bias": 1"#).unwrap_err().contains("`bias`"));
}

#[test]
fn pools_are_means_over_windows() {
    let mut plain = LogitPool::new(Pooling::MeanLogits, 2);
    let mut by_tokens = LogitPool::new(Pooling::MeanLogitsByTokens, 2);
    for (logits, tokens) in [([1.0, -2.0], 126), ([4.0, 1.0], 42)] {
        plain.push(&logits, tokens).unwrap();
        by_tokens.push(&logits, tokens).unwrap();
    }
    assert_near(&plain.mean().unwrap(), &[2.5, -0.5]);
    // (126 * 1 + 42 * 4) / 168 and (126 * -2 + 42 * 1) / 168.
    assert_near(&by_tokens.mean().unwrap(), &[1.75, -1.25]);
    assert_eq!(by_tokens.windows(), 2);
}

#[test]
fn a_pool_refuses_bad_windows_and_stays_as_it_was() {
    let mut pool = LogitPool::new(Pooling::MeanLogits, 2);
    assert_eq!(pool.mean().unwrap_err().kind(), ErrorKind::Empty);
    pool.push(&[1.0, 2.0], 0).unwrap();
    assert_eq!(pool.push(&[1.0], 0).unwrap_err().kind(), ErrorKind::Shape);
    let error = pool.push(&[1.0, f32::NAN], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonFinite);
    assert!(
        error.to_string().contains("window 1") && error.to_string().contains("logit 1 is NaN"),
        "{error}"
    );
    assert_near(&pool.mean().unwrap(), &[1.0, 2.0]);

    let mut unweighted = LogitPool::new(Pooling::MeanLogitsByTokens, 1);
    unweighted.push(&[1.0], 0).unwrap();
    assert_eq!(unweighted.mean().unwrap_err().kind(), ErrorKind::Empty);
}
