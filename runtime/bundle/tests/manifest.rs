//! The manifest: what holds together is read, from JSON and from a model folder.

mod fixture;

use std::collections::BTreeMap;
use std::fs;

use fixture::{AUDIO, IMAGE, TEXT, bundle, folder};
use limbic_bundle::{Bundle, Dim, ErrorKind, Gate, Manifest, NoAnswerReason, Pooling, Source, Stage, Step};

#[test]
fn a_manifest_is_read_as_written() {
    let image = Manifest::from_toml(IMAGE).unwrap();
    let steps: Vec<_> = image.inputs[0].steps.iter().map(Step::id).collect();
    assert_eq!(steps, ["crop@1", "grey@1", "resize@1", "scale@1", "layout@1"]);
    assert!(
        matches!(&image.stages[1], Stage::Program { program, signature, .. } if program == "net" && signature == "main")
    );
    assert_eq!(image.head("emotion").unwrap().temperature, 1.5);
    assert!(image.head_is_gate("face") && !image.head_is_gate("emotion"));
    assert!(matches!(
        image.gates[0],
        Gate::HeadProbability {
            reason: NoAnswerReason::NoFace,
            ..
        }
    ));
    assert_eq!((image.pooling, image.pooling.rule()), (Pooling::None, None));
    let files: Vec<_> = image.files();
    assert_eq!(
        files,
        [
            ("card.md", false),
            ("LICENSE", false),
            ("graph.onnx", false),
            ("metrics.json", true)
        ]
    );

    let text = Manifest::from_toml(TEXT).unwrap();
    let signatures = text.programs[0].concrete();
    let names: Vec<_> = signatures
        .iter()
        .map(|signature| (signature.name.as_str(), signature.base.as_str()))
        .collect();
    assert_eq!(names, [("encode@16", "encode"), ("encode@64", "encode")]);
    assert_eq!(signatures[1].tensors[0].fixed_dims(), Some(vec![1, 64]));
    assert_eq!(signatures[1].bindings, BTreeMap::from([("L".to_owned(), 64)]));
    assert!(matches!(signatures[1].symbolic[0].dims[1], Dim::Symbol(_)));
    assert_eq!(text.programs[0].signatures[0].symbol("L").unwrap().max, 128);
}

#[test]
fn json_gives_back_the_very_same_manifest() {
    for toml in [IMAGE, AUDIO, TEXT] {
        let manifest = Manifest::from_toml(toml).unwrap();
        let json = manifest.to_json().unwrap();
        let again = Manifest::from_json(&json).unwrap();
        assert_eq!(again, manifest);
        assert_eq!(again.to_json().unwrap(), json);
    }
}

#[test]
fn a_cosine_head_brings_its_matrix() {
    let cosine = "kind = { cosine = { matrix = \"vocab.txt\", scale = 10.0 } }";
    let toml =
        IMAGE
            .replacen("kind = \"softmax\"", cosine, 1)
            .replacen("dims = [1, 8]", "dims = [1, 384]", 1);
    let manifest = Manifest::from_toml(&toml).unwrap();
    assert!(manifest.files().contains(&("vocab.txt", false)));
    let (folder, path) = folder(&toml);
    let source = Source::open(&path).unwrap();
    let output = folder.path().join("cosine.limbic");
    let error = source.pack(&output).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    assert!(error.to_string().contains("[8, 384]"), "{error}");
    fs::write(folder.path().join("vocab.txt"), vec![0; 8 * 384 * 4]).unwrap();
    source.pack(&output).unwrap();
    Bundle::open(&output).unwrap();
}

#[test]
fn calibration_takes_the_place_of_what_the_model_says() {
    let (folder, path) = folder(IMAGE);
    let calibration = folder.path().join("calibration.json");
    let text = r#"{"heads": {"emotion": {"temperature": 1.23, "abstain_below": 0.25}, "face": {"thresholds": [0.625]}}}"#;
    fs::write(&calibration, text).unwrap();
    let source = Source::open(&path).unwrap();
    let (emotion, face) = (
        source.manifest().head("emotion").unwrap(),
        source.manifest().head("face").unwrap(),
    );
    assert_eq!((emotion.temperature, emotion.abstain_below), (1.23, 0.25));
    assert_eq!(
        (face.thresholds.as_slice(), face.temperature),
        ([0.625].as_slice(), 1.0)
    );
    let output = folder.path().join("model.limbic");
    source.pack(&output).unwrap();
    assert_eq!(
        Bundle::open(&output)
            .unwrap()
            .manifest()
            .head("emotion")
            .unwrap()
            .temperature,
        1.23
    );

    let refused = |text: &str, kind: ErrorKind, word: &str| {
        fs::write(&calibration, text).unwrap();
        let error = Source::open(&path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains("calibration.json") && error.to_string().contains(word),
            "{error}"
        );
    };
    refused(
        r#"{"heads": {"mood": {"temperature": 1.0}}}"#,
        ErrorKind::Reference,
        "mood",
    );
    refused(
        r#"{"heads": {"emotion": {"temper": 1.0}}}"#,
        ErrorKind::Syntax,
        "temper",
    );
    refused(
        r#"{"heads": {"emotion": {"temperature": -1.0}}}"#,
        ErrorKind::Parameter,
        "-1",
    );
    refused("{", ErrorKind::Syntax, "EOF");
}

#[test]
fn a_folder_names_its_wrong_file() {
    let (folder, path) = folder(IMAGE);
    assert_eq!(Source::open(folder.path()).unwrap().manifest().name, "tiny-face");
    assert_eq!(
        Source::open(&path)
            .unwrap()
            .entry("../secret")
            .unwrap_err()
            .kind(),
        ErrorKind::EntryName
    );
    fs::write(&path, IMAGE.replacen("grey@1", "gray@1", 1)).unwrap();
    let error = Source::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownStep);
    assert!(
        error.to_string().contains(&folder.path().display().to_string()),
        "{error}"
    );
    assert!(
        error.to_string().contains("model.toml") && error.to_string().contains("gray@1"),
        "{error}"
    );
    fs::write(&path, [b'#', 0xFF]).unwrap();
    assert_eq!(Source::open(&path).unwrap_err().kind(), ErrorKind::Syntax);
    fs::remove_file(&path).unwrap();
    assert_eq!(Source::open(&path).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_changed_manifest_is_another_bundle() {
    let (_, first) = bundle(IMAGE);
    let (_, second) = bundle(&IMAGE.replacen("0.001", "0.002", 1));
    assert_ne!(first, second);
}

#[test]
fn programs_may_stand_alone_but_not_half_of_a_pipeline() {
    let mut bare = Manifest::from_toml(IMAGE).unwrap();
    bare.gates.clear();
    bare.inputs.clear();
    bare.stages.clear();
    let half = bare.to_json().unwrap();
    assert_eq!(
        Manifest::from_json(&half).unwrap_err().kind(),
        ErrorKind::Parameter
    );
    bare.heads.clear();
    let json = bare.to_json().unwrap();
    assert_eq!(Manifest::from_json(&json).unwrap(), bare);
}
