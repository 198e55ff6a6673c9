//! Names and shapes are enough to tell architectures apart, and to say what is wrong with a checkpoint.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use limbic_graph::{ErrorKind, Tensor};
use limbic_models::declared::Declared;
use limbic_models::{Settings, Under, Weights, build, by_name, recognise, recognise_as};

/// A checkpoint of zeros.
fn zeros(tensors: &[(String, Vec<usize>)]) -> BTreeMap<String, Tensor> {
    tensors
        .iter()
        .map(|(name, shape)| {
            let tensor = Tensor::new(shape, vec![0.0f32; shape.iter().product()]).unwrap();
            (name.clone(), tensor)
        })
        .collect()
}

fn norm(prefix: &str, channels: usize) -> Vec<(String, Vec<usize>)> {
    let parts = ["weight", "bias", "running_mean", "running_var"];
    let mut all: Vec<_> = parts
        .iter()
        .map(|part| (format!("{prefix}.{part}"), vec![channels]))
        .collect();
    all.push((format!("{prefix}.num_batches_tracked"), vec![]));
    all
}

/// A CIFAR ResNet of one block a stage, four channels wide.
fn small_resnet(prefix: &str) -> Vec<(String, Vec<usize>)> {
    let mut all = vec![(format!("{prefix}conv1.weight"), vec![4, 3, 3, 3])];
    all.extend(norm(&format!("{prefix}bn1"), 4));
    for (stage, (inputs, outputs)) in [(1, (4, 4)), (2, (4, 8)), (3, (8, 16))] {
        let block = format!("{prefix}layer{stage}.0");
        all.push((format!("{block}.conv1.weight"), vec![outputs, inputs, 3, 3]));
        all.push((format!("{block}.conv2.weight"), vec![outputs, outputs, 3, 3]));
        all.extend(norm(&format!("{block}.bn1"), outputs));
        all.extend(norm(&format!("{block}.bn2"), outputs));
    }
    all.push((format!("{prefix}linear.weight"), vec![10, 16]));
    all.push((format!("{prefix}linear.bias"), vec![10]));
    all
}

#[test]
fn a_state_dict_is_recognised_under_any_prefix() {
    for prefix in ["", "module.", "state_dict.module."] {
        let found = recognise(&zeros(&small_resnet(prefix)));
        let best = &found[0];
        assert!(best.fits(), "{best:?}");
        assert_eq!(
            (best.architecture.as_str(), best.prefix.as_str()),
            ("resnet-cifar", prefix)
        );
        assert!(!found[1].fits(), "{:?}", found[1]);
    }
}

#[test]
fn two_state_dicts_in_one_file_are_two_fits() {
    let mut both = small_resnet("model.");
    both.extend(small_resnet("best.state."));
    let found = recognise(&zeros(&both));
    let fits: Vec<&str> = found
        .iter()
        .filter(|m| m.fits())
        .map(|m| m.prefix.as_str())
        .collect();
    assert_eq!(fits, ["best.state.", "model."]);
}

#[test]
fn missing_unexpected_and_misshapen_parameters_are_named() {
    let mut tensors = small_resnet("");
    tensors.retain(|(name, _)| name != "layer2.0.bn2.running_var");
    tensors.push(("extra.weight".to_owned(), vec![3]));
    for (name, shape) in &mut tensors {
        if name == "layer3.0.conv1.weight" {
            *shape = vec![16, 8, 5, 5];
        }
    }
    let found = recognise_as(by_name("resnet-cifar").unwrap(), &zeros(&tensors));
    let best = &found[0];
    assert_eq!(best.unexpected, ["extra.weight"]);
    let missing = best.missing.join("; ");
    assert!(missing.contains("layer2.0.bn2.running_var"), "{missing}");
    assert!(
        missing.contains("layer3.0.conv1.weight [?, ?, 3, 3], found [16, 8, 5, 5]"),
        "{missing}"
    );
    assert!(best.score() > 0.8 && best.score() < 1.0);

    let error = build(
        by_name("resnet-cifar").unwrap(),
        &zeros(&tensors),
        &Settings::default(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Name);
    assert!(error.to_string().contains("layer2.0.bn2.running_var"), "{error}");
}

#[test]
fn an_unknown_state_dict_fits_nothing_and_the_nearest_comes_first() {
    let mut tensors = small_resnet("");
    tensors.retain(|(name, _)| !name.starts_with("linear."));
    tensors.push(("head.weight".to_owned(), vec![10, 16]));
    let found = recognise(&zeros(&tensors));
    assert!(found.iter().all(|m| !m.fits()));
    assert_eq!(found[0].architecture, "resnet-cifar");
    assert_eq!(found[0].missing, ["linear.weight [?, ?]"]);
    assert_eq!(found[0].unexpected, ["head.weight"]);
}

#[test]
fn an_empty_checkpoint_fits_nothing() {
    assert!(recognise(&zeros(&[])).iter().all(|m| !m.fits()));
}

#[test]
fn bert_asks_for_the_number_of_heads() {
    let mut tensors = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![11, 4]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![6, 4]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, 4]),
    ];
    let mut pair = |name: &str, outputs: usize, inputs: Option<usize>| {
        let shape = inputs.map_or_else(|| vec![outputs], |inputs| vec![outputs, inputs]);
        tensors.push((format!("{name}.weight"), shape));
        tensors.push((format!("{name}.bias"), vec![outputs]));
    };
    pair("embeddings.LayerNorm", 4, None);
    for part in ["self.query", "self.key", "self.value", "output.dense"] {
        pair(&format!("encoder.layer.0.attention.{part}"), 4, Some(4));
    }
    pair("encoder.layer.0.attention.output.LayerNorm", 4, None);
    pair("encoder.layer.0.intermediate.dense", 8, Some(4));
    pair("encoder.layer.0.output.dense", 4, Some(8));
    pair("encoder.layer.0.output.LayerNorm", 4, None);
    for prefix in ["", "bert."] {
        let prefixed: Vec<_> = tensors
            .iter()
            .map(|(name, shape)| (format!("{prefix}{name}"), shape.clone()))
            .collect();
        let weights = zeros(&prefixed);
        let found = recognise(&weights);
        assert!(found[0].fits(), "{:?}", found[0]);
        assert_eq!(
            (found[0].architecture.as_str(), found[0].prefix.as_str()),
            ("bert", "")
        );
        let error = build(by_name("bert").unwrap(), &weights, &Settings::default()).unwrap_err();
        assert!(error.to_string().contains("num_attention_heads"), "{error}");
    }
}

const DECLARED: &str = r#"
name = "tiny"
input = { name = "pixels", shape = [1, 1, 8, 8] }
layers = [
    { layer = "conv", name = "stem", stride = 2, padding = "same" },
    { layer = "batch_norm", name = "stem_norm" },
    { layer = "activation", function = "relu" },
    { layer = "residual", layers = [{ layer = "conv", name = "inner", padding = 1 }] },
    { layer = "branch", layers = [
        { layer = "global_pool", kind = "max" },
        { layer = "linear", name = "side" },
        { layer = "output", name = "side_logits" },
    ] },
    { layer = "global_pool", kind = "average" },
    { layer = "linear", name = "main" },
    { layer = "output", name = "logits" },
]
"#;

fn declared_tensors() -> Vec<(String, Vec<usize>)> {
    let mut all = vec![
        ("stem.weight".to_owned(), vec![4, 1, 3, 3]),
        ("inner.weight".to_owned(), vec![4, 4, 3, 3]),
        ("inner.bias".to_owned(), vec![4]),
        ("side.weight".to_owned(), vec![2, 4]),
        ("side.bias".to_owned(), vec![2]),
        ("main.weight".to_owned(), vec![3, 4]),
        ("main.bias".to_owned(), vec![3]),
    ];
    all.extend(norm("stem_norm", 4));
    all
}

#[test]
fn a_declared_architecture_needs_no_code() {
    let declared = Declared::parse(DECLARED).unwrap();
    let weights = zeros(&declared_tensors());
    let found = recognise_as(&declared, &weights);
    assert!(found[0].fits(), "{:?}", found[0]);
    let graph = build(&declared, &weights, &Settings::default()).unwrap();
    let outputs: Vec<_> = graph
        .outputs
        .iter()
        .map(|id| (graph.value(*id).name.as_str(), graph.value(*id).ty.shape()))
        .collect();
    assert_eq!(
        outputs,
        [("side_logits", Some(vec![1, 2])), ("logits", Some(vec![1, 3]))]
    );
}

#[test]
fn a_declared_architecture_with_an_unknown_layer_or_key_is_refused_with_its_line() {
    for (old, new) in [
        ("batch_norm", "batchnorm"),
        ("kind = \"max\"", "kind = \"max\", kernel = 2"),
    ] {
        let error = Declared::parse(&DECLARED.replacen(old, new, 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("line"), "{error}");
    }
}

#[test]
fn a_prefix_is_taken_off_the_names() {
    let weights = zeros(&small_resnet("model."));
    let under = Under::new(&weights, "model.");
    assert_eq!(under.shape("conv1.weight"), Some(vec![4, 3, 3, 3]));
    assert!(under.names().contains(&"linear.bias".to_owned()));
    assert!(under.read("conv2.weight").is_err());
}

#[test]
fn tensors_without_elements_cost_nothing_whatever_extents_they_state() {
    let vast = 1 << 40;
    let cases = [
        (
            "bit-resnet",
            "resnet/root_block/standardized_conv2d/kernel",
            vec![7, 7, 0, vast],
        ),
        ("bert", "embeddings.word_embeddings.weight", vec![vast, 0]),
        (
            "bert",
            "encoder.layer.0.attention.self.query.weight",
            vec![0, vast],
        ),
        ("llama", "wq", vec![vast, 0, 0]),
        ("silero-vad", "lstm_cell.weight_ih", vec![0, vast]),
    ];
    for (architecture, name, shape) in cases {
        let tensors = zeros(&[(name.to_owned(), shape)]);
        assert!(recognise(&tensors).iter().all(|m| !m.fits()), "{name}");
        let settings = Settings {
            config: Some(serde_json::json!({ "num_attention_heads": 1 })),
            ..Settings::default()
        };
        build(by_name(architecture).unwrap(), &tensors, &settings).unwrap_err();
    }
}
