//! Plans of the engine in a bundle, made of the graphs that it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_bundle::{Bundle, BundleWriter, GraphFormat, Manifest, Precision, Variant, VariantEntry};
use limbic_compile::Report;

use crate::whole_file;

/// The backend that runs plans.
const ENGINE: &str = "engine";

/// Contents of a bundle by path.
pub type Contents = BTreeMap<String, Vec<u8>>;

/// A plan that was made.
#[derive(Debug)]
pub struct Made {
    /// Variant that it belongs to.
    pub variant: String,
    /// Program that it runs.
    pub program: String,
    /// Concrete signature that it serves.
    pub signature: String,
    /// What it is made of.
    pub report: Report,
}

/// Puts plans in front of the variants of a manifest, and their files among the contents; plans of before are dropped.
///
/// Plans are made of the quantized variants, and of the first float one where there is none quantized.
///
/// # Errors
/// Names the variant and everything that the engine lacks; manifest and contents are then without plans.
pub fn add_plans(manifest: &mut Manifest, contents: &mut Contents) -> Result<Vec<Made>> {
    manifest.variants.retain(|variant| variant.backend != ENGINE);
    let files: BTreeSet<&str> = manifest.files().into_iter().map(|(path, _)| path).collect();
    contents.retain(|path, _| files.contains(path.as_str()));
    let mut made = Vec::new();
    let mut variants = Vec::new();
    let mut files = Contents::new();
    for source in sources(manifest) {
        let variant = variant(manifest, source, contents, &mut files, &mut made)
            .with_context(|| format!("the engine can't run variant {}", source.name))?;
        variants.push(variant);
    }
    manifest.variants.splice(0..0, variants);
    contents.extend(files);
    Ok(made)
}

/// Writes a bundle with plans for the engine, and gives its identity.
///
/// Where the engine lacks something the bundle has no plans, and standard error says why.
pub fn write(manifest: Manifest, contents: Contents, output: &Path) -> Result<String> {
    writer(manifest, contents, output)?
        .write(output)
        .with_context(|| format!("can't write {}", output.display()))
}

/// As [`write()`], without the optional files of variants.
pub fn write_thin(manifest: Manifest, contents: Contents, output: &Path) -> Result<String> {
    let (bytes, identity) = writer(manifest, contents, output)?.to_bytes()?;
    let bundle = Bundle::from_bytes(bytes)?;
    let entries = bundle
        .manifest()
        .variants
        .iter()
        .flat_map(|variant| &variant.entries);
    let graphs: BTreeSet<&str> = entries.map(|entry| entry.path.as_str()).collect();
    let thin = bundle.to_thin_bytes(|entry| !graphs.contains(entry.path.as_str()))?;
    whole_file::write(output, &thin)?;
    Ok(identity)
}

fn writer(mut manifest: Manifest, mut contents: Contents, output: &Path) -> Result<BundleWriter> {
    if let Err(error) = add_plans(&mut manifest, &mut contents) {
        eprintln!("note: no plans for the engine in {}: {error:#}", output.display());
        let backends: Vec<&str> = manifest.variants.iter().map(|v| v.backend.as_str()).collect();
        eprintln!("help: it runs with --backend {}", backends.join(" or "));
    }
    let mut writer = BundleWriter::new(manifest);
    for (path, content) in contents {
        writer.add(&path, content)?;
    }
    Ok(writer)
}

/// The variants that plans are made of.
pub fn sources(manifest: &Manifest) -> Vec<&Variant> {
    let graphs = manifest.variants.iter().filter(|variant| {
        variant
            .entries
            .iter()
            .all(|entry| entry.format == GraphFormat::Onnx)
    });
    let (quantized, float): (Vec<&Variant>, Vec<&Variant>) =
        graphs.partition(|variant| variant.precision == Precision::Int8);
    if quantized.is_empty() {
        return float.into_iter().take(1).collect();
    }
    quantized
}

fn variant(
    manifest: &Manifest,
    source: &Variant,
    contents: &Contents,
    files: &mut Contents,
    made: &mut Vec<Made>,
) -> Result<Variant> {
    let precision = match source.precision {
        Precision::Int8 => Precision::Int8,
        // Whatever the weights were stored as, the engine keeps them in 32 bits.
        _ => Precision::F32,
    };
    let name = format!("{ENGINE}-{}", precision.name());
    let mut entries = Vec::new();
    for entry in &source.entries {
        let spec = manifest.program(&entry.program).context("no such program")?;
        let onnx = contents.get(&entry.path).with_context(|| {
            format!(
                "{} was left out of this bundle; compile the one that `limbic quantize` wrote",
                entry.path
            )
        })?;
        let graph = limbic_graph::onnx::read(onnx, None)?;
        let signatures = spec.concrete();
        let shared = limbic_compile::compile_program(&graph, &signatures)?;
        let stem = format!("plans/{}/{}", source.name, file_name(&spec.name));
        let mut packs = Vec::new();
        for (n, pack) in shared.packs.into_iter().enumerate() {
            let path = format!("{stem}.{n}.pack");
            files.insert(path.clone(), pack);
            packs.push(path);
        }
        for (signature, (plan, report)) in signatures.into_iter().zip(shared.plans) {
            let path = format!("{stem}.{}.plan", file_name(&signature.name));
            if files.insert(path.clone(), plan).is_some() {
                bail!("two signatures or programs would share the file {path}");
            }
            entries.push(VariantEntry {
                program: spec.name.clone(),
                signature: Some(signature.name.clone()),
                format: GraphFormat::Plan,
                path,
                packs: packs.clone(),
                optional: false,
            });
            made.push(Made {
                variant: name.clone(),
                program: spec.name.clone(),
                signature: signature.name,
                report,
            });
        }
    }
    Ok(Variant {
        name,
        backend: ENGINE.to_owned(),
        precision,
        tier: "any".to_owned(),
        tolerance: source.tolerance,
        entries,
        heads: source.heads.clone(),
    })
}

/// A name of which an entry's path can be made.
pub fn file_name(name: &str) -> String {
    let portable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.chars().map(|c| if portable(c) { c } else { '-' }).collect()
}
