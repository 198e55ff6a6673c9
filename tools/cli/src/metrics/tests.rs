//! Figures against values that scikit-learn gave for the same answers.

use super::*;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("label{index}")).collect()
}

fn exclusive(truth: &[usize], probabilities: &[&[f64]]) -> Vec<Judged> {
    truth
        .iter()
        .zip(probabilities)
        .map(|(truth, probabilities)| {
            let mut answer = Answer {
                probabilities: probabilities.to_vec(),
                selected: Vec::new(),
            };
            answer.selected = vec![answer.top()];
            Judged {
                truth: vec![*truth],
                answer: Some(answer),
            }
        })
        .collect()
}

fn ten_items() -> Vec<Judged> {
    exclusive(
        &[0, 1, 2, 2, 1, 0, 0, 2, 1, 1],
        &[
            &[0.7, 0.2, 0.1],
            &[0.1, 0.6, 0.3],
            &[0.2, 0.2, 0.6],
            &[0.4, 0.3, 0.3],
            &[0.3, 0.5, 0.2],
            &[0.2, 0.5, 0.3],
            &[0.6, 0.3, 0.1],
            &[0.1, 0.1, 0.8],
            &[0.5, 0.3, 0.2],
            &[0.25, 0.5, 0.25],
        ],
    )
}

#[track_caller]
fn close(value: Option<f64>, expected: f64) {
    let value = value.expect("a figure");
    assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
}

#[test]
fn exclusive_figures_equal_scikit_learn() {
    let metrics = evaluate(&ten_items(), &names(3), Labelling::Exclusive);
    close(metrics.accuracy, 0.7);
    close(metrics.unweighted_average_recall, 0.694_444_444_444_444_3);
    close(metrics.macro_f1, 0.707_142_857_142_857_2);
    close(metrics.micro_f1, 0.7);
    close(metrics.average_precision, 0.808_730_158_730_158_6);
    close(metrics.expected_calibration_error, 0.21);
    close(metrics.per_class[1].average_precision, 0.767_857_142_857_142_8);
    let Confusion::Exclusive { matrix, answers, .. } = metrics.confusion else {
        panic!("exclusive")
    };
    assert_eq!(matrix, [[2, 1, 0, 0], [1, 3, 0, 0], [1, 0, 2, 0]]);
    assert_eq!(answers.last().map(String::as_str), Some("no_answer"));
}

#[test]
fn multi_label_figures_equal_scikit_learn() {
    let truth = [vec![0, 2], vec![1], vec![0, 1], vec![2], vec![0]];
    let probabilities = [
        [0.9, 0.4, 0.2],
        [0.1, 0.8, 0.3],
        [0.6, 0.4, 0.1],
        [0.2, 0.7, 0.9],
        [0.55, 0.1, 0.6],
    ];
    let items: Vec<Judged> = truth
        .into_iter()
        .zip(probabilities)
        .map(|(truth, probabilities)| Judged {
            truth,
            answer: Some(Answer {
                probabilities: probabilities.to_vec(),
                selected: (0..3).filter(|&label| probabilities[label] >= 0.5).collect(),
            }),
        })
        .collect();
    let metrics = evaluate(&items, &names(3), Labelling::MultiLabel);
    close(metrics.accuracy, 0.2);
    close(metrics.unweighted_average_recall, 2.0 / 3.0);
    close(metrics.macro_f1, 2.0 / 3.0);
    close(metrics.micro_f1, 0.714_285_714_285_714_3);
    close(metrics.average_precision, 0.833_333_333_333_333_4);
    let Confusion::MultiLabel { matrices, .. } = metrics.confusion else {
        panic!("multi-label")
    };
    assert_eq!(matrices, [[[2, 0], [0, 3]], [[2, 1], [1, 1]], [[2, 1], [1, 1]]]);
}

#[test]
fn a_no_answer_counts_as_wrong() {
    let mut items = ten_items();
    items[0].answer = None;
    let metrics = evaluate(&items, &names(3), Labelling::Exclusive);
    assert_eq!((metrics.n, metrics.no_answer), (10, 1));
    close(metrics.accuracy, 0.6);
    close(metrics.per_class[0].recall, 1.0 / 3.0);
    let Confusion::Exclusive { matrix, .. } = metrics.confusion else {
        panic!("exclusive")
    };
    assert_eq!(matrix[0], [1, 1, 0, 1]);
}

#[test]
fn several_right_labels_are_judged_by_the_answered_one() {
    let mut items = ten_items();
    items[5].truth = vec![0, 1];
    close(evaluate(&items, &names(3), Labelling::Exclusive).accuracy, 0.8);
}

#[test]
fn the_interval_holds_the_figure_and_repeats() {
    let items: Vec<Judged> = (0..20).flat_map(|_| ten_items()).collect();
    let first = evaluate(&items, &names(3), Labelling::Exclusive);
    let [low, high] = first.interval.accuracy.expect("an interval");
    // The normal approximation's standard error is sqrt(0.7 * 0.3 / 200) = 0.0324, so the width is near 0.127.
    assert!(
        low < 0.7 && 0.7 < high && (high - low - 0.127).abs() < 0.02,
        "{low} {high}"
    );
    let again = evaluate(&items, &names(3), Labelling::Exclusive);
    assert_eq!(first.interval.macro_f1, again.interval.macro_f1);
}

#[test]
fn nothing_to_judge_gives_no_figures() {
    let metrics = evaluate(&[], &names(3), Labelling::Exclusive);
    assert_eq!(metrics.n, 0);
    assert!(metrics.accuracy.is_none() && metrics.interval.accuracy.is_none());
    assert!(metrics.expected_calibration_error.is_none());
}
