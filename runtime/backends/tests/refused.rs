//! What every backend must refuse, with the names and numbers of what is wrong.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod driver;

use driver::{
    backends, encode, files, has_library, load, load_made_for, runs_plans, step, takes_free_extents,
    two_inputs,
};
#[cfg(any(feature = "tract", feature = "ort"))]
use driver::{fixed, load_with, signature};
use limbic_backends::{ErrorKind, ProgramFile, ProgramSource, TensorView, TensorViewMut, by_name, compiled};
#[cfg(any(feature = "tract", feature = "ort"))]
use limbic_bundle::Role;
use limbic_bundle::{Bytes, Dim, Dtype, SignatureSpec, TensorSpec};

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
fn tensors_of_one_symbol_must_agree() {
    for backend in backends()
        .iter()
        .filter(|backend| takes_free_extents(&***backend))
    {
        let mut session = load(&**backend, "encode", &encode(&[])).session().unwrap();
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
fn a_plan_is_not_loaded_for_a_free_length() {
    for backend in backends().iter().filter(|backend| runs_plans(&***backend)) {
        let error = load_made_for(&**backend, "encode", &encode(&[8]), &encode(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownSignature, "{error}");
        assert!(error.to_string().contains("encode@8"), "{error}");
    }
}

#[test]
fn a_plan_with_weights_of_another_is_not_loaded() {
    for backend in backends().iter().filter(|backend| runs_plans(&***backend)) {
        let (format, mut files) = files(&**backend, "two_inputs", &two_inputs());
        files[0].packs[0].sha256 = Some("0".repeat(64));
        let error = backend.load(&ProgramSource {
            name: "two_inputs",
            format,
            files: &files,
            signatures: &two_inputs()[0].concrete(),
        });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.to_string().contains("weight pack 0"), "{error}");
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
            let error = load_made_for(&*backend, "two_inputs", &two_inputs(), specs).unwrap_err();
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
            &["total", "sum", "squashed"],
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

// What the engine lacks is found when a plan is compiled.
#[test]
#[cfg(any(feature = "tract", feature = "ort"))]
fn missing_operators_are_named() {
    let spec = signature(
        "main",
        vec![
            fixed(Role::Input, "x", Dtype::F32, &[1, 4]),
            fixed(Role::Output, "y", Dtype::F32, &[1, 4]),
        ],
    );
    for backend in backends()
        .iter()
        .filter(|backend| takes_free_extents(&***backend))
    {
        let error = load_with(&**backend, "missing_operator", std::slice::from_ref(&spec)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedOperator, "{error}");
        // ONNX Runtime stops at the first; tract names all, with their nodes.
        let all = ["FancyActivation", "first_fancy", "OtherFancy", "second_fancy"];
        let words = if backend.name() == "tract" {
            &all[..]
        } else {
            &all[..1]
        };
        for word in words {
            assert!(error.to_string().contains(word), "{error} does not say {word}");
        }
    }
}

#[test]
fn damaged_files_are_errors() {
    let signatures = two_inputs()[0].concrete();
    // TensorFlow Lite believes what it reads but for the mark; the bundle's digests are what stands before it.
    for backend in backends().iter().filter(|backend| backend.name() != "tflite") {
        let (format, files) = files(&**backend, "two_inputs", &two_inputs());
        let load = |bytes: &[u8]| {
            backend.load(&ProgramSource {
                name: "damaged",
                format,
                files: &[ProgramFile {
                    content: Bytes::from(bytes.to_vec()),
                    ..files[0].clone()
                }],
                signatures: &signatures,
            })
        };
        let whole = files[0].content.to_vec();
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
#[cfg(feature = "ort")]
fn weights_in_another_file_are_not_looked_for() {
    let mut onnx = driver::model("two_inputs");
    // A second part of the graph, which readers join with the first: a constant `far` that lies elsewhere.
    let constant = [&[0x42, 3][..], b"far", &[0x70, 1]].concat();
    let graph = [&[0x2a, u8::try_from(constant.len()).unwrap()][..], &constant].concat();
    onnx.extend([0x3a, u8::try_from(graph.len()).unwrap()]);
    onnx.extend(graph);
    for backend in backends().iter().filter(|backend| backend.name() == "ort") {
        let error = backend
            .load(&ProgramSource {
                name: "outside",
                format: limbic_bundle::GraphFormat::Onnx,
                files: &[ProgramFile::whole(onnx.clone())],
                signatures: &two_inputs()[0].concrete(),
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsupportedFormat, "{error}");
        assert!(error.to_string().contains("far"), "{error}");
    }
}

#[test]
fn an_unknown_backend_is_refused_with_those_there_are() {
    let error = by_name("abacus").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownBackend);
    assert!(error.to_string().contains("abacus"), "{error}");
    for name in compiled() {
        assert!(error.to_string().contains(name), "{error}");
        if has_library(name) {
            assert_eq!(by_name(name).unwrap().name(), name);
        }
    }
}
