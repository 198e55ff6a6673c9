//! The fusion equals numbers computed apart from it, and keeps its promises for any input.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use limbic_affect::{
    CommonDistribution, Emotion, ErrorKind, Evidence, FusionParams, Head, HeadKind, HeadSpec, LabelSpaces,
    Opinion, PROBABILITY_FLOOR, Sense, SenseWeights, Valence, ValenceGroup, fuse,
};
use proptest::prelude::*;

fn opinion(source: &str, sense: Sense, evidence: Evidence) -> Opinion {
    Opinion {
        source: source.into(),
        head: "head".into(),
        sense,
        evidence,
    }
}

fn valence([negative, neutral, positive, unmapped]: [f64; 4]) -> Valence {
    Valence {
        negative,
        neutral,
        positive,
        unmapped,
    }
}

fn emotions(emotions: [f64; 7], unmapped: f64, groups: [f64; 4]) -> Evidence {
    Evidence::Emotion(CommonDistribution {
        emotions,
        unmapped,
        valence: valence(groups),
    })
}

const UNKNOWN: [f64; 4] = [0.0, 0.0, 0.0, 1.0];

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance,
            "{found}, expected {expected}"
        );
    }
}

fn worked_example() -> Vec<Opinion> {
    let face = emotions([0.0, 0.0, 0.0, 0.6, 0.1, 0.0, 0.3], 0.0, [0.1, 0.3, 0.6, 0.0]);
    let voice = emotions([0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.3], 0.2, [0.5, 0.3, 0.0, 0.2]);
    let text = Evidence::Sentiment {
        valence: valence([0.1, 0.0, 0.9, 0.0]),
        covered: [true, false, true],
    };
    vec![
        opinion("face", Sense::Image, face),
        opinion("voice", Sense::Audio, voice),
        opinion("text", Sense::Text, text),
    ]
}

#[test]
fn worked_example_equals_the_numbers_of_another_program() {
    let fused = fuse(&worked_example(), FusionParams::builtin()).unwrap();
    let expected = [
        0.000_127_290_179_290_176_25,
        0.000_127_290_179_290_176_25,
        0.000_127_290_179_290_176_25,
        0.075_096_233_398_725_07,
        0.234_470_514_986_295_37,
        0.000_189_667_275_508_346_82,
        0.612_938_636_878_523_9,
    ];
    assert_near(&fused.common.emotions, &expected, 1e-12);
    assert_near(&[fused.common.unmapped], &[0.1 / 1.3], 1e-12);
    let groups = fused.common.valence;
    assert_near(
        &[groups.negative, groups.neutral, groups.positive, groups.unmapped],
        &[0.2, 0.195, 0.555, 0.05],
        1e-12,
    );
    assert_eq!(fused.top.unwrap().0, Emotion::Neutral);
    assert_eq!(fused.sentiment.unwrap().0, ValenceGroup::Positive);
    let exponents: Vec<f64> = fused.weights.iter().map(|weight| weight.emotion).collect();
    assert_near(&exponents, &[2.0 / 3.0, 1.0 / 3.0, 0.35], 1e-12);
    let shares: Vec<f64> = fused.weights.iter().map(|weight| weight.valence).collect();
    assert_near(&shares, &[0.4, 0.25, 0.35], 1e-12);
}

#[test]
fn two_faces_a_voice_and_a_text_with_two_heads_equal_the_numbers_of_another_program() {
    let text_sentiment = Evidence::Sentiment {
        valence: valence([0.2, 0.25, 0.5, 0.05]),
        covered: [true; 3],
    };
    let opinions = [
        opinion(
            "a",
            Sense::Image,
            emotions([0.05, 0.0, 0.1, 0.5, 0.05, 0.1, 0.1], 0.1, UNKNOWN),
        ),
        opinion(
            "b",
            Sense::Image,
            emotions([0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2], 0.0, UNKNOWN),
        ),
        opinion(
            "c",
            Sense::Audio,
            emotions([0.1, 0.1, 0.1, 0.1, 0.3, 0.1, 0.05], 0.15, UNKNOWN),
        ),
        opinion(
            "d",
            Sense::Text,
            emotions([0.02, 0.01, 0.02, 0.8, 0.05, 0.05, 0.05], 0.0, UNKNOWN),
        ),
        opinion("d", Sense::Text, text_sentiment),
    ];
    let fused = fuse(&opinions, FusionParams::builtin()).unwrap();
    let expected = [
        0.083_130_729_224_300_05,
        0.014_391_253_470_418_551,
        0.074_740_430_293_363_91,
        0.435_679_749_107_044_05,
        0.114_869_652_729_946_22,
        0.110_307_991_586_244_96,
        0.106_353_877_799_208_56,
    ];
    assert_near(&fused.common.emotions, &expected, 1e-12);
    assert_near(&[fused.common.unmapped], &[0.060_526_315_789_473_69], 1e-12);
    let exponents: Vec<f64> = fused.weights.iter().map(|weight| weight.emotion).collect();
    let expected = [
        0.201_680_672_268_907_57,
        0.224_089_635_854_341_72,
        0.238_095_238_095_238_08,
        0.336_134_453_781_512_6,
        0.269_230_769_230_769_2,
    ];
    assert_near(&exponents, &expected, 1e-12);
}

#[test]
fn a_sentiment_head_alone_names_no_emotion() {
    let fused = fuse(&worked_example()[2..], FusionParams::builtin()).unwrap();
    assert_eq!(
        (fused.common.emotions, fused.common.unmapped, fused.top),
        ([0.0; 7], 1.0, None)
    );
    assert_eq!(fused.sentiment, Some((ValenceGroup::Positive, 0.9)));
}

#[test]
fn an_undecided_sentiment_changes_no_emotion() {
    let face = &worked_example()[0];
    let alone = fuse(std::slice::from_ref(face), FusionParams::builtin()).unwrap();
    for (masses, covered) in [
        ([0.5, 0.0, 0.5, 0.0], [true, false, true]),
        ([1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0], [true; 3]),
        ([0.0, 0.0, 0.0, 1.0], [true; 3]),
    ] {
        let text = Evidence::Sentiment {
            valence: valence(masses),
            covered,
        };
        let both = [face.clone(), opinion("text", Sense::Text, text)];
        let fused = fuse(&both, FusionParams::builtin()).unwrap();
        // The floor gives each of the four ruled-out emotions a little.
        assert_near(
            &fused.common.emotions,
            &alone.common.emotions,
            4.0 * PROBABILITY_FLOOR,
        );
    }
}

#[test]
fn a_wholly_unmapped_source_is_reported_and_does_not_decide() {
    let face = worked_example().remove(0);
    let contempt = opinion("b", Sense::Audio, emotions([0.0; 7], 1.0, [1.0, 0.0, 0.0, 0.0]));
    let fused = fuse(&[face, contempt.clone()], FusionParams::builtin()).unwrap();
    let unmapped = 0.5 / 1.3;
    assert_near(&[fused.common.unmapped], &[unmapped], 1e-12);
    assert_near(
        &fused.common.emotions[3..5],
        &[0.6 * (1.0 - unmapped), 0.1 * (1.0 - unmapped)],
        1e-12,
    );
    let alone = fuse(&[contempt], FusionParams::builtin()).unwrap();
    assert_eq!((alone.common.unmapped, alone.top), (1.0, None));
    assert_eq!(alone.sentiment, Some((ValenceGroup::Negative, 1.0)));
}

#[test]
fn ten_equal_faces_weigh_as_much_as_one() {
    let mut opinions = worked_example();
    let one = fuse(&opinions, FusionParams::builtin()).unwrap();
    for _ in 0..9 {
        opinions.push(opinions[0].clone());
    }
    let ten = fuse(&opinions, FusionParams::builtin()).unwrap();
    assert_near(&ten.common.emotions, &one.common.emotions, 1e-12);
    assert_near(&ten.common.valence.groups(), &one.common.valence.groups(), 1e-12);
}

#[test]
fn bad_input_is_an_error_with_numbers() {
    let params = FusionParams::builtin();
    assert_eq!(fuse(&[], params).unwrap_err().kind(), ErrorKind::Empty);
    for masses in [
        [0.5, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0],
        [2.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [f64::NAN; 7],
    ] {
        let error = fuse(
            &[opinion("a.png", Sense::Image, emotions(masses, 0.0, UNKNOWN))],
            params,
        )
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDistribution);
        assert!(error.to_string().contains("a.png (head)"), "{error}");
    }
    let mut silent = params.clone();
    silent.weights.image = SenseWeights {
        emotion: 0.0,
        sentiment: 0.0,
    };
    assert_eq!(
        fuse(&worked_example()[..1], &silent).unwrap_err().kind(),
        ErrorKind::Empty
    );
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        let mut bad = params.clone();
        bad.weights.text.emotion = weight;
        assert_eq!(
            fuse(&worked_example(), &bad).unwrap_err().kind(),
            ErrorKind::InvalidFusion
        );
    }
    let mut bad = params.clone();
    bad.valence_given_emotion.remove(&Emotion::Fear);
    assert!(
        fuse(&worked_example(), &bad)
            .unwrap_err()
            .to_string()
            .contains("no row for fear")
    );
    bad.valence_given_emotion
        .insert(Emotion::Fear, valence([0.5, 0.25, 0.125, 0.125]));
    assert!(
        bad.check()
            .unwrap_err()
            .to_string()
            .contains("the row of fear sums to 0.875")
    );
}

#[test]
fn opinions_come_from_predictions_that_say_something() {
    let predict = |kind, space: &str, abstain_below, logits: &[f64]| {
        let spec = HeadSpec {
            name: "h".into(),
            tensor: "t".into(),
            kind,
            label_space: space.into(),
            thresholds: vec![],
            temperature: 1.0,
            abstain_below,
        };
        Head::new(&spec, LabelSpaces::builtin(), None)
            .unwrap()
            .predict(logits)
            .unwrap()
    };
    let from = |prediction| Opinion::from_prediction("a", Sense::Text, &prediction).map(|o| o.evidence);
    let sentiment = from(predict(HeadKind::Softmax, "sentiment2", 0.0, &[0.0, 0.0]));
    assert!(matches!(
        sentiment,
        Some(Evidence::Sentiment {
            covered: [true, false, true],
            ..
        })
    ));
    let emotion = from(predict(HeadKind::MultiLabel, "ekman7", 0.0, &[0.0; 7]));
    assert!(matches!(emotion, Some(Evidence::Emotion(_))));
    assert_eq!(
        from(predict(HeadKind::Softmax, "sentiment2", 0.6, &[0.0, 0.0])),
        None
    );
    assert_eq!(
        from(predict(HeadKind::MultiLabel, "face_presence", 0.0, &[3.0])),
        None
    );
}

/// Masses that sum to one, some of them zero.
fn masses<const N: usize>() -> impl Strategy<Value = [f64; N]> {
    prop::array::uniform::<_, N>(prop_oneof![1 => Just(0.0), 4 => 0.0..1.0_f64]).prop_map(|mut masses| {
        masses[0] += 1e-9;
        let sum: f64 = masses.iter().sum();
        masses.map(|mass| mass / sum)
    })
}

fn any_opinion() -> impl Strategy<Value = Opinion> {
    let sense = prop::sample::select(Sense::ALL.to_vec());
    (sense, any::<bool>(), masses::<8>(), masses::<4>()).prop_map(|(sense, is_emotion, all, groups)| {
        let evidence = if is_emotion {
            let mut inside = [0.0; 7];
            inside.copy_from_slice(&all[..7]);
            emotions(inside, all[7], groups)
        } else {
            Evidence::Sentiment {
                valence: valence(groups),
                covered: [true; 3],
            }
        };
        opinion("source", sense, evidence)
    })
}

proptest! {
    #[test]
    fn fused_masses_sum_to_one(opinions in prop::collection::vec(any_opinion(), 1..6)) {
        let fused = fuse(&opinions, FusionParams::builtin()).unwrap();
        let common = fused.common;
        let all = common.emotions.iter().chain([&common.unmapped]);
        prop_assert!(all.clone().all(|mass| (0.0..=1.0 + 1e-9).contains(mass)));
        prop_assert!((all.sum::<f64>() - 1.0).abs() < 1e-9);
        let groups: f64 = common.valence.groups().iter().sum();
        prop_assert!((groups + common.valence.unmapped - 1.0).abs() < 1e-9);
        let exponents: f64 = fused.weights.iter().zip(&opinions)
            .filter(|(_, opinion)| matches!(opinion.evidence, Evidence::Emotion(_)))
            .map(|(weight, _)| weight.emotion)
            .sum();
        prop_assert!(exponents == 0.0 || (exponents - 1.0).abs() < 1e-9);
    }

    #[test]
    fn order_does_not_matter(
        (opinions, shuffled) in prop::collection::vec(any_opinion(), 1..6)
            .prop_flat_map(|opinions| (Just(opinions.clone()), Just(opinions).prop_shuffle()))
    ) {
        let one = fuse(&opinions, FusionParams::builtin()).unwrap();
        let other = fuse(&shuffled, FusionParams::builtin()).unwrap();
        prop_assert_eq!(one.common, other.common);
    }

    #[test]
    fn one_emotion_source_alone_gives_itself(all in masses::<8>(), groups in masses::<4>()) {
        let mut inside = [0.0; 7];
        inside.copy_from_slice(&all[..7]);
        let alone = [opinion("a", Sense::Audio, emotions(inside, all[7], groups))];
        let common = fuse(&alone, FusionParams::builtin()).unwrap().common;
        for (found, given) in common.emotions.iter().zip(inside) {
            prop_assert!((found - given).abs() < 1e-12);
        }
        prop_assert!((common.unmapped - all[7]).abs() < 1e-12);
        prop_assert!((common.valence.positive - groups[2]).abs() < 1e-12);
    }

    #[test]
    fn the_weight_of_a_missing_sense_changes_nothing(
        opinions in prop::collection::vec(any_opinion(), 1..6),
        weight in 0.0..10.0_f64,
    ) {
        let present: Vec<Opinion> = opinions.into_iter().filter(|o| o.sense != Sense::Audio).collect();
        prop_assume!(!present.is_empty());
        let mut other = FusionParams::builtin().clone();
        other.weights.audio = SenseWeights { emotion: weight, sentiment: weight };
        prop_assert_eq!(fuse(&present, FusionParams::builtin()).unwrap(), fuse(&present, &other).unwrap());
    }
}
