use proptest::prelude::*;

use super::*;

fn observed(batches: &[Vec<f32>], calibrators: &Calibrators) -> Observer {
    let mut observer = Observer::new(calibrators);
    for batch in batches {
        observer.observe("x", batch, calibrators.momentum).unwrap();
    }
    observer
}

fn check(method: Method, batches: &[Vec<f32>], calibrators: &Calibrators) -> Option<Range> {
    observed(batches, calibrators).range(method, calibrators, 256)
}

/// A bell of 100,000 values within 4, and a few far outliers.
fn bell_with_outliers() -> Vec<f32> {
    let mut values: Vec<f32> = (0..100_000u32)
        .map(|n| {
            let part = |k: u32| (n.wrapping_mul(2_654_435_761).rotate_left(k) % 1000) as f32 / 1000.0;
            part(3) + part(9) + part(17) + part(25) - 2.0
        })
        .collect();
    values.extend([60.0, -80.0]);
    values
}

#[test]
fn nan_and_infinity_are_errors_that_name_the_tensor() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut observer = Observer::new(&Calibrators::default());
        let error = observer.observe("layer.3", &[1.0, bad], 0.9).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite);
        assert!(error.to_string().contains("layer.3") && error.to_string().contains("element 1"));
        assert_eq!(observer.seen(), None);
    }
}

#[test]
fn a_tensor_without_values_has_no_range() {
    for method in Method::ALL {
        assert_eq!(
            check(method, &[vec![], vec![]], &Calibrators::default()),
            None,
            "{method:?}"
        );
    }
}

#[test]
fn outliers_are_left_out_by_all_but_min_max() {
    let values = bell_with_outliers();
    let calibrators = Calibrators {
        percentile: 99.99,
        ..Calibrators::default()
    };
    let check = |method, batches: &[Vec<f32>], calibrators: &Calibrators| {
        observed(batches, calibrators).range(method, calibrators, 16)
    };
    let wide = check(Method::MinMax, std::slice::from_ref(&values), &calibrators).unwrap();
    assert_eq!((wide.min, wide.max), (-80.0, 60.0));
    for method in [Method::Percentile, Method::Entropy, Method::Mse] {
        let range = check(method, std::slice::from_ref(&values), &calibrators).unwrap();
        assert!(
            range.min > -40.0 && range.max < 40.0 && range.min < -0.7 && range.max > 0.7,
            "{method:?} {range:?}"
        );
    }
}

#[test]
fn least_squares_beats_min_max_on_its_own_measure() {
    let values = bell_with_outliers();
    let calibrators = Calibrators::default();
    let check = |method, batches: &[Vec<f32>], calibrators: &Calibrators| {
        observed(batches, calibrators).range(method, calibrators, 16)
    };
    let error = |range: Range| -> f64 {
        let step = f64::from(range.max - range.min) / 15.0;
        values
            .iter()
            .map(|&x| {
                let x = f64::from(x);
                let low = f64::from(range.min);
                let rounded = low + ((x.clamp(low, range.max.into()) - low) / step).round() * step;
                (x - rounded).powi(2)
            })
            .sum()
    };
    let narrow = check(Method::Mse, std::slice::from_ref(&values), &calibrators).unwrap();
    let wide = check(Method::MinMax, std::slice::from_ref(&values), &calibrators).unwrap();
    assert!(
        error(narrow) < 0.5 * error(wide),
        "{} {}",
        error(narrow),
        error(wide)
    );
}

#[test]
fn a_percentile_is_that_of_the_sorted_values() {
    let values: Vec<f32> = (0..10_000).map(|n| n as f32 / 100.0).collect();
    let calibrators = Calibrators {
        percentile: 90.0,
        ..Calibrators::default()
    };
    let range = check(Method::Percentile, &[values], &calibrators).unwrap();
    assert!(
        (range.min - 5.0).abs() < 0.1 && (range.max - 95.0).abs() < 0.1,
        "{range:?}"
    );
}

#[test]
fn a_moving_range_follows_the_inputs() {
    let calibrators = Calibrators {
        momentum: 0.5,
        ..Calibrators::default()
    };
    let range = check(
        Method::MovingMinMax,
        &[vec![0.0, 4.0], vec![-2.0, 8.0]],
        &calibrators,
    )
    .unwrap();
    assert_eq!((range.min, range.max), (-1.0, 6.0));
}

#[test]
fn parameters_outside_their_range_are_refused_by_name() {
    for (name, calibrators) in [
        (
            "bins",
            Calibrators {
                bins: 8,
                ..Calibrators::default()
            },
        ),
        (
            "percentile",
            Calibrators {
                percentile: f64::NAN,
                ..Calibrators::default()
            },
        ),
        (
            "momentum",
            Calibrators {
                momentum: 1.0,
                ..Calibrators::default()
            },
        ),
    ] {
        assert_eq!(calibrators.check().unwrap_err().place(), name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_range_is_finite_ordered_and_inside_what_was_seen(
        batches in prop::collection::vec(prop::collection::vec(-1e5f32..1e5, 0..60), 1..5),
        symmetric: bool,
    ) {
        let calibrators = Calibrators { symmetric, bins: 256, ..Calibrators::default() };
        let all: Vec<f32> = batches.concat();
        for method in Method::ALL {
            let range = check(method, &batches, &calibrators);
            prop_assert_eq!(range.is_none(), all.is_empty());
            let Some(range) = range else { continue };
            let limit = all.iter().fold(0f32, |m, x| m.max(x.abs()));
            prop_assert!(range.min <= range.max && range.min >= -limit && range.max <= limit);
            if symmetric {
                prop_assert_eq!(range.min, -range.max);
            }
        }
    }

    #[test]
    fn a_constant_tensor_keeps_its_value_in_range(value in -1e30f32..1e30, count in 1usize..50) {
        let calibrators = Calibrators { bins: 256, ..Calibrators::default() };
        for method in Method::ALL {
            let range = check(method, &[vec![value; count]], &calibrators).unwrap();
            let slack = value.abs() * 1e-2;
            prop_assert!(range.min.min(0.0) <= value + slack && range.max.max(0.0) >= value - slack,
                "{:?} {:?}", method, range);
        }
    }
}
