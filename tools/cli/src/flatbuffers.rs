//! TensorFlow Lite's flatbuffers in a bundle, made of the graphs that it holds.

use anyhow::{Context, Result, bail};
use limbic_bundle::{GraphFormat, Manifest, Role, Signature, Variant, VariantEntry};
use limbic_graph::passes::{self, Binding};
use limbic_graph::{Graph, onnx, tflite};

use crate::compiled::{Contents, file_name, sources};

/// The backend that runs flatbuffers.
const TFLITE: &str = "tflite";

/// Puts a variant of flatbuffers behind the variants of a manifest for each that plans are made of, and their files among
/// the contents; those of before are dropped. Gives the paths of the files with their lengths.
///
/// # Errors
/// Names the variant, the signature and what TensorFlow Lite lacks.
pub fn add_flatbuffers(manifest: &mut Manifest, contents: &mut Contents) -> Result<Vec<(String, usize)>> {
    manifest.variants.retain(|variant| variant.backend != TFLITE);
    let mut made = Vec::new();
    let mut variants = Vec::new();
    let mut files = Contents::new();
    for source in sources(manifest) {
        let name = format!("{TFLITE}-{}", source.precision.name());
        let mut entries = Vec::new();
        for entry in &source.entries {
            let spec = manifest.program(&entry.program).context("no such program")?;
            let content = contents.get(&entry.path).with_context(|| {
                format!(
                    "{} was left out of this bundle; use the one that `limbic quantize` wrote",
                    entry.path
                )
            })?;
            let graph = onnx::read(content, None)?;
            for signature in spec.concrete() {
                let bytes = flatbuffer(&graph, &signature)
                    .with_context(|| format!("variant {}, signature {}", source.name, signature.name))?;
                let stem = format!("{TFLITE}/{}/{}", source.name, file_name(&spec.name));
                let path = format!("{stem}.{}.tflite", file_name(&signature.name));
                made.push((path.clone(), bytes.len()));
                if files.insert(path.clone(), bytes).is_some() {
                    bail!("two signatures or programs would share the file {path}");
                }
                entries.push(VariantEntry {
                    program: spec.name.clone(),
                    signature: Some(signature.name),
                    format: GraphFormat::Tflite,
                    path,
                    packs: Vec::new(),
                    optional: false,
                });
            }
        }
        variants.push(Variant {
            name,
            backend: TFLITE.to_owned(),
            precision: source.precision,
            tier: "any".to_owned(),
            tolerance: source.tolerance,
            entries,
            heads: source.heads.clone(),
        });
    }
    manifest.variants.extend(variants);
    contents.extend(files);
    Ok(made)
}

/// The graph with the sizes of a signature, in operations that TensorFlow Lite has.
fn flatbuffer(graph: &Graph, signature: &Signature) -> Result<Vec<u8>> {
    let mut bound = graph.clone();
    for tensor in signature
        .tensors
        .iter()
        .filter(|tensor| tensor.role != Role::Output)
    {
        let shape = tensor
            .fixed_dims()
            .with_context(|| format!("{} has a free size, {}", tensor.name, tensor.shape()))?;
        passes::bind(&mut bound, &tensor.name, Binding::Shape(shape))?;
    }
    passes::simplify(&mut bound)?;
    passes::fuse_quantized(&mut bound)?;
    // It has a kernel for products whose rows are rounded as they come, and none for a layer norm.
    passes::fuse_dynamic_products(&mut bound)?;
    passes::expand_layer_normalization(&mut bound)?;
    passes::remove_dead(&mut bound);
    Ok(tflite::write(&bound)?)
}
