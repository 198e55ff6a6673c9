//! The manifest: everything about a model that is not its weights, as plain data.
//!
//! The same types describe `manifest.json` inside a bundle and `model.toml` in a model folder; only the bundle's
//! lists its entries with their digests. Every parameter is explicit and an unknown key is refused, so that two
//! readers of one manifest cannot differ.

mod entry;
#[cfg(feature = "source")]
mod folder;
mod head;
mod input;
mod program;
mod stage;

pub use entry::{
    Asset, AssetKind, Entry, Golden, GraphFormat, HeadCalibration, Precision, Variant, VariantEntry,
};
pub use head::{Gate, Pooling};
pub use input::{Input, Modality, Step};
pub use limbic_affect::{HeadKind, HeadSpec, LabelSpace, NoAnswerReason};
pub use program::{
    Dim, Dtype, Layout, ProgramSpec, Quantization, Role, Signature, SignatureSpec, Symbol, TensorSpec,
    element_count,
};
pub use stage::Stage;

use limbic_json::{Kind, Value, fields};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Name of the manifest's entry in a bundle.
pub const MANIFEST_ENTRY: &str = "manifest.json";

/// Everything about a model that is not its weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// Version of the manifest's schema.
    pub format: u32,
    /// Name of the model: lower-case letters, digits and hyphens.
    pub name: String,
    /// Version of the model, as its maker counts.
    pub version: String,
    /// What the model does, in a sentence.
    pub description: String,
    /// SPDX expression of the weights' licence.
    pub license: String,
    /// What the model may be used for and what not.
    pub intended_use: String,
    /// Entry of the model card.
    pub card: String,
    /// Entry of the licence's text.
    pub license_text: String,
    /// How the answers over the windows of one long input become one.
    pub pooling: Pooling,
    /// What the model takes in; with no inputs, stages and heads the programs are there alone, from tensors to tensors.
    pub inputs: Vec<Input>,
    /// The networks.
    pub programs: Vec<ProgramSpec>,
    /// The way from inputs to heads, in order.
    pub stages: Vec<Stage>,
    /// What the outputs mean.
    pub heads: Vec<HeadSpec>,
    /// Label spaces beside the built-in ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label_spaces: Vec<LabelSpace>,
    /// Conditions under which the model gives no answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// The forms in which the programs are there, best first.
    pub variants: Vec<Variant>,
    /// Further files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// Recorded answers of the training framework, from raw input to outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub golden: Vec<Golden>,
    /// Every entry of the bundle beside the manifest, in the order they are stored; empty in a model folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// Reads and checks the `manifest.json` of a bundle.
    ///
    /// # Errors
    /// Names the key that is wrong: [`ErrorKind::NewerFormat`], [`ErrorKind::UnknownStep`], [`ErrorKind::Syntax`],
    /// or what [`Manifest::check`] finds.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > limits::MANIFEST_BYTES {
            return Err(Error::new(
                ErrorKind::Limit,
                MANIFEST_ENTRY,
                format!("at most {} bytes", limits::MANIFEST_BYTES),
                bytes.len(),
            ));
        }
        let syntax = |error| Error::new(ErrorKind::Syntax, MANIFEST_ENTRY, "a manifest", error);
        let tree = Value::from_json(bytes).map_err(syntax)?;
        scan(&tree, MANIFEST_ENTRY)?;
        let manifest: Self = tree.to().map_err(|fault| syntax(fault.locate(&tree, bytes)))?;
        manifest.check().map_err(|error| error.within(MANIFEST_ENTRY))?;
        Ok(manifest)
    }

    /// Reads and checks the text of a `model.toml`, which lists no entries.
    ///
    /// # Errors
    /// As [`Manifest::from_json`].
    #[cfg(feature = "source")]
    pub fn from_toml(text: &str) -> Result<Self> {
        const PLACE: &str = "model.toml";
        let tree = folder::tree(text, PLACE)?;
        scan(&tree, PLACE)?;
        let manifest: Self = tree.to().map_err(|fault| {
            let found = fault.locate(&tree, text.as_bytes());
            Error::new(ErrorKind::Syntax, PLACE, "a model description", found)
        })?;
        if !manifest.entries.is_empty() {
            return Err(Error::new(
                ErrorKind::Syntax,
                format!("{PLACE}: entries"),
                "no such key: packing writes it",
                format!("{} entries", manifest.entries.len()),
            ));
        }
        manifest.check().map_err(|error| error.within(PLACE))?;
        Ok(manifest)
    }

    /// The bytes of `manifest.json`, whose SHA-256 is the bundle's identity.
    ///
    /// Equal manifests give equal bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] if a number cannot be written as JSON (not finite).
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(ErrorKind::Syntax, MANIFEST_ENTRY, "numbers and strings", error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Checks that the manifest fits together: names, step order, parameters, shapes, wiring.
    ///
    /// # Errors
    /// The first contradiction, with the key it stands at.
    pub fn check(&self) -> Result<()> {
        crate::check::manifest(self)
    }

    /// The input of this name.
    pub fn input(&self, name: &str) -> Option<&Input> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Option<&ProgramSpec> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// The head of this name.
    pub fn head(&self, name: &str) -> Option<&HeadSpec> {
        self.heads.iter().find(|head| head.name == name)
    }

    /// The heads as a variant has them.
    pub fn heads_of(&self, variant: &Variant) -> Vec<HeadSpec> {
        let mut heads = self.heads.clone();
        for head in &mut heads {
            if let Some(own) = variant.heads.get(&head.name) {
                own.apply(head);
            }
        }
        heads
    }

    /// Whether a head only decides a gate, and so is no answer of the model.
    pub fn head_is_gate(&self, name: &str) -> bool {
        self.gates
            .iter()
            .any(|gate| matches!(gate, Gate::HeadProbability { head, .. } if head == name))
    }

    /// Paths of all files the manifest names, in the order a bundle stores them, each with whether it may be absent.
    pub fn files(&self) -> Vec<(&str, bool)> {
        let mut files: Vec<(&str, bool)> = vec![(&self.card, false), (&self.license_text, false)];
        for step in self.inputs.iter().flat_map(|input| &input.steps) {
            if let Step::WordPiece(params) = step {
                files.push((&params.vocabulary, false));
            }
        }
        for entry in self.variants.iter().flat_map(|variant| &variant.entries) {
            let paths = std::iter::once(&entry.path).chain(&entry.packs);
            files.extend(paths.map(|path| (path.as_str(), entry.optional)));
        }
        for head in &self.heads {
            if let HeadKind::Cosine { matrix, .. } = &head.kind {
                files.push((matrix, false));
            }
        }
        files.extend(
            self.assets
                .iter()
                .map(|asset| (asset.path.as_str(), asset.optional)),
        );
        for golden in &self.golden {
            files.extend([&golden.raw, &golden.tensors, &golden.outputs].map(|path| (path.as_str(), true)));
        }
        let mut unique: Vec<(&str, bool)> = Vec::with_capacity(files.len());
        for (path, optional) in files {
            match unique.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => *known &= optional,
                None => unique.push((path, optional)),
            }
        }
        unique
    }
}

/// Finds a newer format and unknown steps before the strict reading, so that they get an error of their own.
fn scan(tree: &Value, place: &str) -> Result<()> {
    let wanted = || format!("a number from 1 to {}", limits::FORMAT);
    let refused = |found: String| {
        let place = format!("{place}: format");
        Err(Error::new(ErrorKind::Syntax, place, wanted(), found))
    };
    let Some(found) = tree.get("format") else {
        return refused("nothing".to_owned());
    };
    match found.to::<u64>() {
        Ok(format) if format > u64::from(limits::FORMAT) => {
            return Err(Error::new(ErrorKind::NewerFormat, place, limits::FORMAT, format));
        }
        Ok(0) | Err(_) => return refused(found.describe()),
        Ok(_) => {}
    }
    for (i, input) in items(tree, "inputs").iter().enumerate() {
        for (j, step) in items(input, "steps").iter().enumerate() {
            if let Some(id) = unknown(step, "step", input::STEP_IDS) {
                return Err(Error::new(
                    ErrorKind::UnknownStep,
                    format!("{place}: inputs[{i}].steps[{j}]"),
                    format!("one of {}", input::STEP_IDS.join(", ")),
                    id,
                ));
            }
        }
    }
    let supported: [(&str, &str, &[&str]); 3] = [
        ("stages", "kind", &stage::STAGE_KINDS),
        ("heads", "kind", &head::HEAD_KINDS),
        ("gates", "gate", &head::GATE_IDS),
    ];
    for (key, tag, known) in supported {
        for (i, item) in items(tree, key).iter().enumerate() {
            if let Some(id) = unknown(item, tag, known) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{place}: {key}[{i}].{tag}"),
                    format!("one of {}", known.join(", ")),
                    id,
                ));
            }
        }
    }
    Ok(())
}

/// The items of a table's list; none where it has no such list.
fn items<'v>(table: &'v Value, key: &str) -> &'v [Value] {
    table.get(key).map_or(&[], Value::items)
}

/// The kind of an item, if it is none of the known: a string, or the key of a table where it has parameters.
fn unknown<'v>(item: &'v Value, tag: &str, known: &[&str]) -> Option<&'v str> {
    let id = match item.get(tag)?.kind() {
        Kind::Text(id) => id,
        Kind::Table(entries) => &entries.first()?.0,
        _ => return None,
    };
    (!known.contains(&&**id)).then_some(id)
}

fields!(Manifest {
    format,
    name,
    version,
    description,
    license,
    intended_use,
    card,
    license_text,
    pooling,
    inputs = Vec::new(),
    programs,
    stages = Vec::new(),
    heads = Vec::new(),
    label_spaces = Vec::new(),
    gates = Vec::new(),
    variants,
    assets = Vec::new(),
    golden = Vec::new(),
    entries = Vec::new(),
});
