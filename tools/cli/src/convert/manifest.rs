//! The manifest of a converted bundle: what the user says about the model, and what the graph says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limbic_bundle::{
    Asset, AssetKind, Dim, Manifest, Precision, ProgramSpec, Role, Source, TensorSpec, Variant, VariantEntry,
};
use limbic_graph::passes::{self, Binding};
use limbic_graph::{Graph, ValueId};
use serde_json::{Map, Value, json};

use crate::convert::bind;
use crate::convert::labels::Answers;
use crate::convert::program::{dtype, program};

/// Entry of the graph.
pub const GRAPH: &str = "graph.onnx";

/// Entry of what was converted, and how.
pub const CONVERSION: &str = "conversion.json";

/// Entry of the golden inputs and outputs.
pub const GOLDEN: &str = "golden.npz";

/// Largest file of preprocessing steps that is read, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// What the user says about the model.
#[derive(Debug)]
pub enum Description {
    /// A whole `model.toml`, programs included, with the files beside it.
    Whole(Box<Source>),
    /// Some of its keys, and the folder its paths start from.
    Part(Map<String, Value>, PathBuf),
}

impl Description {
    /// Reads `--preprocess`; without it nothing is said.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Part(Map::new(), PathBuf::new()));
        };
        let context = || format!("can't use {}", path.display());
        let length = std::fs::metadata(path).with_context(context)?.len();
        if length > MOST_BYTES {
            bail!("{}: {length} bytes, more than {MOST_BYTES}", path.display());
        }
        let text = std::fs::read_to_string(path).with_context(context)?;
        let keys: Map<String, Value> = toml::from_str(&text).with_context(context)?;
        if keys.contains_key("programs") {
            let source = Source::open(path).with_context(context)?;
            return Ok(Self::Whole(Box::new(source)));
        }
        if let Some(key) = ["variants", "stages", "entries"]
            .iter()
            .find(|key| keys.contains_key(**key))
        {
            bail!(
                "{}: {key} are made here; a whole model.toml has programs too",
                path.display()
            );
        }
        Ok(Self::Part(
            keys,
            path.parent().unwrap_or(Path::new("")).to_path_buf(),
        ))
    }

    /// Sizes that a whole description gives to the graph's inputs.
    pub fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let Self::Whole(source) = self else {
            return Vec::new();
        };
        let signatures = source
            .manifest()
            .programs
            .iter()
            .flat_map(|program| &program.signatures);
        signatures
            .flat_map(|signature| &signature.tensors)
            .filter(|tensor| tensor.role != Role::Output)
            .filter_map(|tensor| Some((tensor.name.clone(), tensor.fixed_dims()?)))
            .collect()
    }

    /// Whether sizes of the graph may stay free.
    pub fn allows_symbols(&self) -> bool {
        match self {
            Self::Whole(source) => {
                let signatures = source
                    .manifest()
                    .programs
                    .iter()
                    .flat_map(|program| &program.signatures);
                let mut dims = signatures
                    .flat_map(|s| &s.tensors)
                    .flat_map(|tensor| &tensor.dims);
                dims.any(|dim| matches!(dim, Dim::Symbol(_)))
            }
            Self::Part(..) => false,
        }
    }

    /// A file beside the description.
    pub fn file(&self, path: &str) -> Option<Result<Vec<u8>>> {
        let folder = match self {
            Self::Whole(source) => source.folder(),
            Self::Part(_, folder) => folder,
        };
        if !folder.join(path).is_file() {
            return None;
        }
        Some(match self {
            Self::Whole(source) => source.entry(path).map_err(Into::into),
            Self::Part(..) => std::fs::read(folder.join(path))
                .with_context(|| format!("can't read {}", folder.join(path).display())),
        })
    }
}

/// Binds the graph as each bucket of a whole description does, and holds its outputs to what is stated there.
///
/// What shape inference cannot know of an output while sizes are free is taken from the description then.
pub fn hold_to_buckets(description: &Description, graph: &mut Graph) -> Result<()> {
    let Description::Whole(source) = description else {
        return Ok(());
    };
    let programs = &source.manifest().programs;
    let signatures = programs.iter().flat_map(ProgramSpec::concrete);
    for signature in signatures.filter(|signature| !signature.bindings.is_empty()) {
        let context = || format!("model.toml: signature {}", signature.name);
        let mut bound = graph.clone();
        for tensor in signature
            .tensors
            .iter()
            .filter(|tensor| tensor.role != Role::Output)
        {
            let shape = tensor.fixed_dims().with_context(context)?;
            passes::bind(&mut bound, &tensor.name, Binding::Shape(shape)).with_context(context)?;
        }
        passes::simplify(&mut bound).with_context(context)?;
        for tensor in signature
            .tensors
            .iter()
            .filter(|tensor| tensor.role == Role::Output)
        {
            let mut outputs = bound.outputs.iter().map(|id| bound.value(*id));
            let found = outputs.find(|value| value.name == tensor.name);
            let found = found.with_context(|| format!("the graph has no output {}", tensor.name));
            let found = found.with_context(context)?.ty.shape();
            if found.is_none() || found != tensor.fixed_dims() {
                bail!(
                    "{}: output {}: expected {}, found {found:?}",
                    context(),
                    tensor.name,
                    tensor.shape()
                );
            }
        }
    }
    for tensor in programs
        .iter()
        .flat_map(|program| &program.signatures)
        .flat_map(|s| &s.tensors)
    {
        let output = graph.outputs.iter().copied();
        let open = output.filter(|id| graph.value(*id).ty.dims.is_none());
        let named: Vec<ValueId> = open.filter(|id| graph.value(*id).name == tensor.name).collect();
        if let (Some(shape), [id]) = (tensor.fixed_dims(), named.as_slice()) {
            let dims = shape.into_iter().map(limbic_graph::Dim::Known).collect();
            graph.value_mut(*id).ty.dims = Some(dims);
        }
    }
    Ok(())
}

/// The manifest of a bundle whose one program is the graph.
pub fn manifest(
    description: &Description,
    graph: &Graph,
    answers: Option<&Answers>,
    output: &Path,
    has_golden: bool,
    tolerance: f32,
) -> Result<Manifest> {
    let mut manifest = match description {
        Description::Whole(source) => {
            if answers.is_some() {
                bail!("--labels does not go with a whole model.toml, whose heads have labels");
            }
            let mut manifest = source.manifest().clone();
            agree(&manifest, graph)?;
            manifest
                .assets
                .retain(|asset| source.folder().join(&asset.path).is_file());
            manifest.golden.clear();
            manifest
        }
        Description::Part(keys, _) => completed(keys.clone(), graph, answers, output)?,
    };
    let program = manifest
        .programs
        .first()
        .map(|p| p.name.clone())
        .unwrap_or_default();
    manifest.variants = vec![Variant {
        heads: BTreeMap::new(),
        name: "onnx-f32".to_owned(),
        backend: "tract".to_owned(),
        precision: precision(graph),
        tier: "any".to_owned(),
        tolerance: tolerance.clamp(0.0, 1.0),
        entries: vec![VariantEntry::onnx(program, GRAPH)],
    }];
    let mut assets = vec![(CONVERSION, AssetKind::Other)];
    if has_golden {
        assets.push((GOLDEN, AssetKind::Reference));
    }
    for (path, kind) in assets {
        manifest.assets.retain(|asset| asset.path != path);
        manifest.assets.push(Asset {
            path: path.to_owned(),
            kind,
            optional: true,
        });
    }
    Ok(manifest)
}

/// Integers of a quantized graph stay integers.
fn precision(graph: &Graph) -> Precision {
    let quantized = graph.values.iter().any(|value| value.ty.quantization.is_some());
    if quantized {
        Precision::Int8
    } else {
        Precision::F32
    }
}

/// Fills in what a description leaves out.
fn completed(
    mut keys: Map<String, Value>,
    graph: &Graph,
    answers: Option<&Answers>,
    output: &Path,
) -> Result<Manifest> {
    let program = program(graph)?;
    for (key, value) in [
        ("format", json!(1)),
        ("name", json!(name(output))),
        ("version", json!("1.0.0")),
        ("description", json!(format!("Converted: {}", graph.name))),
        ("license", json!("LicenseRef-Not-Stated")),
        ("intended_use", json!("Not stated when it was converted.")),
        ("card", json!("card.md")),
        ("license_text", json!("LICENSE")),
        ("pooling", json!("none")),
    ] {
        keys.entry(key).or_insert(value);
    }
    if let Some(answers) = answers {
        if keys.contains_key("heads") {
            bail!("--labels does not go with heads in --preprocess");
        }
        keys.insert(
            "heads".to_owned(),
            json!([{
                "name": "answer",
                "tensor": answers.tensor,
                "kind": answers.kind,
                "label_space": answers.space,
                "temperature": 1.0,
                "abstain_below": 0.0,
            }]),
        );
        if let Some(own) = &answers.own {
            keys.insert("label_spaces".to_owned(), json!([own]));
        }
    }
    let names = |key: &str| -> Vec<String> {
        let items = keys.get(key).and_then(Value::as_array).into_iter().flatten();
        items
            .filter_map(|item| Some(item.get("name")?.as_str()?.to_owned()))
            .collect()
    };
    let (inputs, heads) = (names("inputs"), names("heads"));
    if heads.is_empty() != inputs.is_empty() {
        let (has, lacks) = if heads.is_empty() {
            ("inputs", "heads")
        } else {
            ("heads", "inputs")
        };
        bail!(
            "{has} without {lacks}: a bundle leads from raw data to labels (--preprocess with [[inputs]], and [[heads]] \
             or --labels), or holds the network alone"
        );
    }
    if !inputs.is_empty() {
        let mut stages: Vec<Value> = inputs
            .iter()
            .map(|input| json!({ "kind": "preprocess", "input": input }))
            .collect();
        stages.push(json!({
            "kind": "program",
            "program": "net",
            "signature": "main",
            "inputs": renamed(&keys, &program),
        }));
        stages.extend(heads.iter().map(|head| json!({ "kind": "head", "head": head })));
        keys.insert("stages".to_owned(), Value::Array(stages));
    }
    keys.insert("programs".to_owned(), json!([program]));
    keys.insert(
        "variants".to_owned(),
        json!([PLACEHOLDER
            .map(|(k, v)| (k, json!(v)))
            .into_iter()
            .chain([
                ("tolerance", json!(0.0)),
                (
                    "entries",
                    json!([{ "program": "net", "format": "onnx", "path": GRAPH }])
                )
            ])
            .collect::<BTreeMap<_, _>>()]),
    );
    let bytes = serde_json::to_vec(&Value::Object(keys))?;
    Manifest::from_json(&bytes).context("the bundle's manifest does not fit together")
}

/// A variant for the check of the manifest; the real one takes its place.
const PLACEHOLDER: [(&str, &str); 4] = [
    ("name", "onnx-f32"),
    ("backend", "tract"),
    ("precision", "f32"),
    ("tier", "any"),
];

/// Where preprocessing gives one tensor and the graph takes one, they are the same whatever their names.
fn renamed(keys: &Map<String, Value>, program: &ProgramSpec) -> BTreeMap<String, String> {
    let given: Vec<&str> = keys
        .get("inputs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|input| input.get("tensors")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let tensors = program.signatures.iter().flat_map(|signature| &signature.tensors);
    let taken: Vec<&TensorSpec> = tensors.filter(|tensor| tensor.role == Role::Input).collect();
    match (given.as_slice(), taken.as_slice()) {
        ([given], [taken]) if *given != taken.name => {
            BTreeMap::from([(taken.name.clone(), (*given).to_owned())])
        }
        _ => BTreeMap::new(),
    }
}

/// A name of lower-case letters, digits and hyphens from a file's.
fn name(output: &Path) -> String {
    let stem = output
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let portable = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = stem.chars().map(portable).take(64).collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "converted".to_owned()
    } else {
        name.to_owned()
    }
}

/// Refuses a whole description whose program is not the graph.
fn agree(manifest: &Manifest, graph: &Graph) -> Result<()> {
    let [program] = manifest.programs.as_slice() else {
        bail!(
            "model.toml: expected one program, found {}",
            manifest.programs.len()
        );
    };
    for signature in &program.signatures {
        for spec in &signature.tensors {
            let ids = if spec.role == Role::Output {
                &graph.outputs
            } else {
                &graph.inputs
            };
            let found = ids.iter().copied().find(|id| graph.value(*id).name == spec.name);
            let Some(id) = found else {
                let names: Vec<&str> = ids.iter().map(|id| graph.value(*id).name.as_str()).collect();
                bail!(
                    "model.toml: tensor {}: the graph has {}",
                    spec.name,
                    names.join(", ")
                );
            };
            let value = graph.value(id);
            let dims = value.ty.dims.as_deref().unwrap_or_default();
            let fits = dims.len() == spec.dims.len()
                && dims.iter().zip(&spec.dims).all(|(dim, spec)| match (dim, spec) {
                    (limbic_graph::Dim::Known(n), Dim::Fixed(m)) => n == m,
                    (limbic_graph::Dim::Symbol(_), Dim::Symbol(_)) => true,
                    _ => false,
                });
            if !fits || dtype(value.ty.dtype)? != spec.dtype {
                let words: Vec<String> = dims.iter().map(|dim| bind::word(graph, *dim)).collect();
                bail!(
                    "model.toml: tensor {}: expected {} {}, the graph has {} [{}]",
                    spec.name,
                    spec.dtype.name(),
                    spec.shape(),
                    value.ty.dtype,
                    words.join(", ")
                );
            }
        }
    }
    Ok(())
}
