//! What every backend must do, driven through the trait alone.
//!
//! The models and ONNX Runtime's answers on them were written by `models/make_models.py`.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::collections::BTreeMap;
use std::sync::Arc;

use limbic_backends::{
    Backend, ErrorKind, Program, ProgramSource, Session, TensorView, TensorViewMut, by_name, compiled,
};
use limbic_bundle::{Dim, Dtype, GraphFormat, Role, SignatureSpec, Symbol, TensorSpec};
use serde_json::Value;

/// Largest difference from ONNX Runtime: both add in 32 bits, in another order.
const TOLERANCE: f32 = 1e-6;

fn model(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/models/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn answers(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("models/answers.json")).unwrap();
    all[name].as_array().unwrap().clone()
}

fn floats(case: &Value, key: &str) -> Vec<f32> {
    case[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

fn integers(case: &Value, key: &str) -> Vec<i64> {
    case[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_i64().unwrap())
        .collect()
}

fn fixed(role: Role, name: &str, dtype: Dtype, dims: &[usize]) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        role,
        dtype,
        dims: dims.iter().copied().map(Dim::Fixed).collect(),
        layout: None,
        quantization: None,
        next: None,
    }
}

fn signature(name: &str, tensors: Vec<TensorSpec>) -> SignatureSpec {
    SignatureSpec {
        name: name.into(),
        tensors,
        buckets: vec![],
    }
}

fn load_with(
    backend: &dyn Backend,
    name: &str,
    specs: &[SignatureSpec],
) -> limbic_backends::Result<Arc<dyn Program>> {
    let signatures: Vec<_> = specs.iter().flat_map(SignatureSpec::concrete).collect();
    backend.load(&ProgramSource {
        name,
        format: GraphFormat::Onnx,
        bytes: &model(name),
        signatures: &signatures,
    })
}

fn load(backend: &dyn Backend, name: &str, specs: &[SignatureSpec]) -> Arc<dyn Program> {
    load_with(backend, name, specs).unwrap_or_else(|error| panic!("{error}"))
}

fn backends() -> Vec<Box<dyn Backend>> {
    let backends: Vec<_> = compiled()
        .into_iter()
        .map(|name| by_name(name).unwrap())
        .collect();
    assert!(
        !backends.is_empty(),
        "no backend is compiled in, so nothing would be tested"
    );
    backends
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= TOLERANCE,
            "element {i}: {found}, expected {expected}"
        );
    }
}

fn two_inputs() -> Vec<SignatureSpec> {
    vec![signature(
        "main",
        vec![
            fixed(Role::Input, "ids", Dtype::I64, &[1, 3]),
            fixed(Role::Input, "x", Dtype::F32, &[1, 4]),
            fixed(Role::Output, "squashed", Dtype::F32, &[1, 6]),
            fixed(Role::Output, "sum", Dtype::F32, &[1, 6]),
        ],
    )]
}

/// A state `h` shared by two signatures that look at it in different ways.
fn step() -> Vec<SignatureSpec> {
    let state = TensorSpec {
        next: Some("h_next".into()),
        ..fixed(Role::State, "h", Dtype::F32, &[1, 5])
    };
    let x = fixed(Role::Input, "x", Dtype::F32, &[1, 3]);
    vec![
        signature(
            "step",
            vec![
                x.clone(),
                state.clone(),
                fixed(Role::Output, "y", Dtype::F32, &[1, 2]),
            ],
        ),
        signature(
            "sum",
            vec![x, state, fixed(Role::Output, "total", Dtype::F32, &[1, 1])],
        ),
    ]
}

fn encode(buckets: &[usize]) -> Vec<SignatureSpec> {
    let length = || {
        Dim::Symbol(Symbol {
            symbol: "L".into(),
            min: 2,
            max: 8,
        })
    };
    let ids = |name: &str| TensorSpec {
        dims: vec![Dim::Fixed(1), length()],
        ..fixed(Role::Input, name, Dtype::I64, &[])
    };
    vec![SignatureSpec {
        name: "encode".into(),
        tensors: vec![
            ids("token_ids"),
            ids("attention_mask"),
            fixed(Role::Output, "logits", Dtype::F32, &[1, 2]),
        ],
        buckets: buckets
            .iter()
            .map(|size| BTreeMap::from([("L".to_owned(), *size)]))
            .collect(),
    }]
}

fn run_step(session: &mut dyn Session, x: &[f32]) -> [f32; 2] {
    let mut y = [0.0; 2];
    session
        .run(
            "step",
            &[TensorView::f32("x", &[1, 3], x)],
            &mut [TensorViewMut::f32("y", &[1, 2], &mut y)],
        )
        .unwrap_or_else(|error| panic!("{error}"));
    y
}

fn run_encode(
    session: &mut dyn Session,
    ids: &[i64],
    bucket: Option<usize>,
) -> limbic_backends::Result<[f32; 2]> {
    let length = bucket.unwrap_or(ids.len());
    let mut padded = ids.to_vec();
    padded.resize(length, 0);
    let mask: Vec<i64> = (0..length).map(|at| i64::from(at < ids.len())).collect();
    let mut logits = [0.0; 2];
    let name = bucket.map_or_else(|| "encode".to_owned(), |size| format!("encode@{size}"));
    session.run(
        &name,
        &[
            TensorView::i64("attention_mask", &[1, length], &mask),
            TensorView::i64("token_ids", &[1, length], &padded),
        ],
        &mut [TensorViewMut::f32("logits", &[1, 2], &mut logits)],
    )?;
    Ok(logits)
}

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
fn a_state_of_another_program_is_refused() {
    for backend in backends() {
        let stateless = load(&*backend, "two_inputs", &two_inputs())
            .session()
            .unwrap()
            .save()
            .unwrap();
        let mut session = load(&*backend, "step", &step()).session().unwrap();
        let error = session.restore(&stateless).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert!(error.to_string().contains("h f32 [1, 5]"), "{error}");
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
        let free = load(&*backend, "encode", &encode(&[]));
        let (mut session, mut free) = (program.session().unwrap(), free.session().unwrap());
        for case in answers("encode") {
            let (ids, expected) = (integers(&case, "token_ids"), floats(&case, "logits"));
            for bucket in [4, 8].into_iter().filter(|bucket| *bucket >= ids.len()) {
                close(&run_encode(&mut *session, &ids, Some(bucket)).unwrap(), &expected);
            }
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
fn tensors_of_one_symbol_must_agree() {
    for backend in backends() {
        let mut session = load(&*backend, "encode", &encode(&[])).session().unwrap();
        let (ids, mask, mut logits) = ([1; 4], [1; 3], [0.0; 2]);
        let inputs = [
            TensorView::i64("token_ids", &[1, 4], &ids),
            TensorView::i64("attention_mask", &[1, 3], &mask),
        ];
        let error = session
            .run(
                "encode",
                &inputs,
                &mut [TensorViewMut::f32("logits", &[1, 2], &mut logits)],
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(
            error.to_string().contains("attention_mask") && error.to_string().contains("L = 4"),
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
    for backend in backends() {
        for name in ["gru", "gru_linear"] {
            let mut session = load(&*backend, name, std::slice::from_ref(&spec))
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
fn wrong_tensors_are_errors_that_name_them() {
    for backend in backends() {
        let mut session = load(&*backend, "two_inputs", &two_inputs()).session().unwrap();
        let (x, ids, mut sum, mut second) = ([0.5; 4], [1; 3], [0.0; 6], [0.0; 6]);
        let good_x = TensorView::f32("x", &[1, 4], &x);
        let good_ids = TensorView::i64("ids", &[1, 3], &ids);
        let short = [1i32; 3];
        let mut check = |inputs: &[TensorView<'_>], kind: ErrorKind, words: &[&str]| {
            let error = session
                .run(
                    "main",
                    inputs,
                    &mut [TensorViewMut::f32("sum", &[1, 6], &mut sum)],
                )
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            for word in words {
                assert!(error.to_string().contains(word), "{error} does not say {word}");
            }
        };
        let moved = TensorView::f32("x", &[4, 1], &x);
        check(
            &[moved, good_ids],
            ErrorKind::Shape,
            &["two_inputs/main: x", "[1, 4]", "[4, 1]"],
        );
        let lying = TensorView::f32("x", &[1, 4], &x[..3]);
        check(
            &[lying, good_ids],
            ErrorKind::Shape,
            &["x", "[1, 4]", "3 elements"],
        );
        let other_type = TensorView::i32("ids", &[1, 3], &short);
        check(&[good_x, other_type], ErrorKind::Dtype, &["ids", "i64", "i32"]);
        check(&[good_x], ErrorKind::MissingTensor, &["ids", "i64 [1, 3]"]);
        let stray = TensorView::f32("z", &[1, 4], &x);
        check(
            &[good_x, good_ids, stray],
            ErrorKind::UnknownTensor,
            &["z", "ids, x"],
        );
        check(&[good_x, good_ids, good_x], ErrorKind::DuplicateTensor, &["x"]);

        let good = [good_x, good_ids];
        let error = session
            .run("main", &good, &mut [TensorViewMut::f32("sum", &[6], &mut second)])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        let error = session
            .run(
                "main",
                &good,
                &mut [TensorViewMut::f32("nothing", &[6], &mut second)],
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTensor, "{error}");
        let error = session.run("prefill", &good, &mut []).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownSignature);
        assert!(
            error.to_string().contains("one of main") && error.to_string().contains("prefill"),
            "{error}"
        );
        assert_eq!(second, [0.0; 6], "a refused run writes nothing");
    }
}

#[test]
fn a_graph_unlike_its_signature_is_not_loaded() {
    for backend in backends() {
        let check = |specs: &[SignatureSpec], kind: ErrorKind, words: &[&str]| {
            let error = load_with(&*backend, "two_inputs", specs).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            for word in words {
                assert!(error.to_string().contains(word), "{error} does not say {word}");
            }
        };
        let change = |at: usize, change: &dyn Fn(&mut TensorSpec)| {
            let mut specs = two_inputs();
            change(&mut specs[0].tensors[at]);
            specs
        };
        let specs = change(1, &|x| x.dims[1] = Dim::Fixed(5));
        check(
            &specs,
            ErrorKind::Shape,
            &["two_inputs/main: x", "[1, 5]", "[1, 4]"],
        );
        check(
            &change(0, &|ids| ids.dtype = Dtype::F32),
            ErrorKind::Dtype,
            &["ids", "f32", "i64"],
        );
        check(
            &change(0, &|ids| ids.name = "tokens".into()),
            ErrorKind::UnknownTensor,
            &["tokens", "x, ids"],
        );
        check(
            &change(3, &|sum| sum.name = "total".into()),
            ErrorKind::UnknownTensor,
            &["total", "sum, squashed"],
        );
        check(
            &change(3, &|sum| sum.dims = vec![Dim::Fixed(6)]),
            ErrorKind::Shape,
            &["sum", "[6]"],
        );
        check(
            &change(3, &|sum| sum.dtype = Dtype::F16),
            ErrorKind::Dtype,
            &["sum", "f16", "f32"],
        );
        let mut specs = two_inputs();
        specs[0].tensors.remove(0);
        check(&specs, ErrorKind::MissingTensor, &["ids"]);
    }
}

#[test]
fn missing_operators_are_named_with_their_nodes() {
    let spec = signature(
        "main",
        vec![
            fixed(Role::Input, "x", Dtype::F32, &[1, 4]),
            fixed(Role::Output, "y", Dtype::F32, &[1, 4]),
        ],
    );
    for backend in backends() {
        let error = load_with(&*backend, "missing_operator", std::slice::from_ref(&spec)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedOperator);
        let text = error.to_string();
        for word in ["FancyActivation", "first_fancy", "OtherFancy", "second_fancy"] {
            assert!(text.contains(word), "{text} does not say {word}");
        }
    }
}

#[test]
fn damaged_files_are_errors() {
    let whole = model("two_inputs");
    let signatures = two_inputs()[0].concrete();
    for backend in backends() {
        let load = |bytes: &[u8]| {
            backend.load(&ProgramSource {
                name: "damaged",
                format: GraphFormat::Onnx,
                bytes,
                signatures: &signatures,
            })
        };
        assert!(load(&whole).is_ok());
        assert_eq!(load(b"").unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(load(b"no graph").unwrap_err().kind(), ErrorKind::Malformed);
        for length in (0..whole.len()).step_by(7) {
            assert!(
                load(&whole[..length]).is_err(),
                "the first {length} bytes were loaded"
            );
        }
        // A changed weight or name may still make a program; it must only never end in a panic.
        for at in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            drop(load(&bytes));
        }
    }
}

#[test]
fn an_unknown_backend_is_refused_with_those_there_are() {
    let error = by_name("abacus").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownBackend);
    assert!(error.to_string().contains("abacus"), "{error}");
    for name in compiled() {
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(by_name(name).unwrap().name(), name);
    }
}

#[test]
#[cfg(feature = "tract")]
fn the_version_is_the_one_the_workspace_pins() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
    let version = by_name("tract").unwrap().version();
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
