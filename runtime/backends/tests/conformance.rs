//! What every backend must do, driven through the trait alone.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod driver;

use driver::{
    answers, backends, close, encode, fixed, floats, integers, load, run_encode, run_step, signature, step,
    takes_free_extents, two_inputs,
};
use limbic_backends::{ErrorKind, Session, TensorView, TensorViewMut};
use limbic_bundle::{Dtype, Role};
use serde_json::Value;

#[test]
fn two_inputs_are_matched_by_name_in_any_order() {
    for backend in backends() {
        let program = load(&*backend, "two_inputs", &two_inputs());
        let mut session = program.session().unwrap();
        for case in answers("two_inputs") {
            let (x, ids) = (floats(&case, "x"), integers(&case, "ids"));
            let (mut sum, mut squashed) = ([0.0; 6], [0.0; 6]);
            let (ids, x) = (
                TensorView::i64("ids", &[1, 3], &ids),
                TensorView::f32("x", &[1, 4], &x),
            );
            for inputs in [[x, ids], [ids, x]] {
                session
                    .run(
                        "main",
                        &inputs,
                        &mut [
                            TensorViewMut::f32("sum", &[1, 6], &mut sum),
                            TensorViewMut::f32("squashed", &[1, 6], &mut squashed),
                        ],
                    )
                    .unwrap();
                close(&sum, &floats(&case, "sum"));
                close(&squashed, &floats(&case, "squashed"));
            }
            let mut alone = [0.0; 6];
            session
                .run(
                    "main",
                    &[x, ids],
                    &mut [TensorViewMut::f32("sum", &[1, 6], &mut alone)],
                )
                .unwrap();
            assert_eq!(alone, sum, "one output asked for alone");
        }
    }
}

#[test]
fn state_moves_on_and_can_be_reset_saved_and_restored() {
    for backend in backends() {
        let program = load(&*backend, "step", &step());
        let mut session = program.session().unwrap();
        let steps = answers("step");
        let walk = |session: &mut dyn Session, steps: &[Value]| {
            steps
                .iter()
                .map(|step| run_step(session, &floats(step, "x")))
                .collect::<Vec<_>>()
        };
        let whole = walk(&mut *session, &steps);
        for (found, step) in whole.iter().zip(&steps) {
            close(found, &floats(step, "y"));
        }

        session.reset();
        assert_eq!(walk(&mut *session, &steps), whole, "after a reset");

        session.reset();
        walk(&mut *session, &steps[..3]);
        let saved = session.save().unwrap();
        let rest = walk(&mut *session, &steps[3..]);
        assert_eq!(rest, whole[3..]);
        session.restore(&saved).unwrap();
        assert_eq!(walk(&mut *session, &steps[3..]), rest, "after going back");

        let mut other = program.session().unwrap();
        assert_ne!(
            walk(&mut *other, &steps[3..]),
            rest,
            "the steps must depend on the state"
        );
        other.restore(&saved).unwrap();
        assert_eq!(walk(&mut *other, &steps[3..]), rest, "in another session");
    }
}

#[test]
fn signatures_of_one_program_share_its_state() {
    for backend in backends() {
        let program = load(&*backend, "step", &step());
        let names: Vec<_> = program
            .signatures()
            .iter()
            .map(|signature| signature.name.as_str())
            .collect();
        assert_eq!(names, ["step", "sum"]);
        let mut session = program.session().unwrap();
        for (i, step) in answers("step").iter().enumerate() {
            let x = floats(step, "x");
            if i % 2 == 0 {
                close(&run_step(&mut *session, &x), &floats(step, "y"));
            } else {
                let mut total = [0.0];
                let x = [TensorView::f32("x", &[1, 3], &x)];
                session
                    .run("sum", &x, &mut [TensorViewMut::f32("total", &[1, 1], &mut total)])
                    .unwrap();
                close(&total, &floats(step, "total"));
            }
        }
    }
}

#[test]
fn a_failed_run_leaves_the_state_as_it_was() {
    for backend in backends() {
        let program = load(&*backend, "step", &step());
        let mut session = program.session().unwrap();
        let steps = answers("step");
        run_step(&mut *session, &floats(&steps[0], "x"));
        let before = session.save().unwrap();
        let mut y = [0.0; 2];
        let wrong = [0.0; 4];
        let error = session
            .run(
                "step",
                &[TensorView::f32("x", &[1, 4], &wrong)],
                &mut [TensorViewMut::f32("y", &[1, 2], &mut y)],
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert_eq!(session.save().unwrap(), before);
        close(
            &run_step(&mut *session, &floats(&steps[1], "x")),
            &floats(&steps[1], "y"),
        );
    }
}

#[test]
fn buckets_answer_as_the_exact_length_does() {
    for backend in backends() {
        let program = load(&*backend, "encode", &encode(&[4, 8]));
        let names: Vec<_> = program
            .signatures()
            .iter()
            .map(|signature| signature.name.as_str())
            .collect();
        assert_eq!(names, ["encode@4", "encode@8"]);
        let mut session = program.session().unwrap();
        for case in answers("encode") {
            let (ids, expected) = (integers(&case, "token_ids"), floats(&case, "logits"));
            for bucket in [4, 8].into_iter().filter(|bucket| *bucket >= ids.len()) {
                close(&run_encode(&mut *session, &ids, Some(bucket)).unwrap(), &expected);
            }
        }
    }
}

#[test]
fn a_free_length_answers_within_its_bounds() {
    for backend in backends()
        .iter()
        .filter(|backend| takes_free_extents(&***backend))
    {
        let mut free = load(&**backend, "encode", &encode(&[])).session().unwrap();
        for case in answers("encode") {
            let (ids, expected) = (integers(&case, "token_ids"), floats(&case, "logits"));
            close(&run_encode(&mut *free, &ids, None).unwrap(), &expected);
        }
        let error = run_encode(&mut *free, &[1; 9], None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(
            error.to_string().contains("[1, L (2..=8)]") && error.to_string().contains("[1, 9]"),
            "{error}"
        );
    }
}

#[test]
fn two_threads_use_one_program_with_a_session_each() {
    for backend in backends() {
        let program = load(&*backend, "step", &step());
        let steps = answers("step");
        let walk = || {
            let mut session = program.session().unwrap();
            for _ in 0..200 {
                session.reset();
                for step in &steps {
                    close(&run_step(&mut *session, &floats(step, "x")), &floats(step, "y"));
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(walk);
            scope.spawn(walk);
        });
    }
}

#[test]
fn nothing_of_a_recurrence_inside_the_graph_stays_for_the_next_run() {
    let spec = signature(
        "main",
        vec![
            fixed(Role::Input, "x", Dtype::F32, &[4, 1, 2]),
            fixed(Role::Output, "last", Dtype::F32, &[1, 1, 3]),
        ],
    );
    // The engine has no recurrence yet; compiling one names it.
    for backend in backends()
        .iter()
        .filter(|backend| takes_free_extents(&***backend))
    {
        for name in ["gru", "gru_linear"] {
            let mut session = load(&**backend, name, std::slice::from_ref(&spec))
                .session()
                .unwrap();
            let case = &answers(name)[0];
            for _ in 0..3 {
                let mut last = [0.0; 3];
                let x = floats(case, "x");
                let x = [TensorView::f32("x", &[4, 1, 2], &x)];
                session
                    .run(
                        "main",
                        &x,
                        &mut [TensorViewMut::f32("last", &[1, 1, 3], &mut last)],
                    )
                    .unwrap();
                close(&last, &floats(case, "last"));
            }
        }
    }
}

#[test]
#[cfg(feature = "tract")]
fn the_version_is_the_one_the_workspace_pins() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
    let version = limbic_backends::by_name("tract").unwrap().version();
    let number = version.strip_prefix("tract ").unwrap();
    let pinned = manifest
        .lines()
        .find(|line| line.starts_with("tract-onnx = "))
        .unwrap();
    assert!(
        pinned.contains(&format!("\"={number}\"")),
        "{version} is reported, {pinned} is built"
    );
}
