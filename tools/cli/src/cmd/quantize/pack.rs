//! The quantized network beside the float one in a bundle.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use limbic_bundle::{Asset, AssetKind, Bundle, HeadCalibration, Manifest, Precision, Variant, VariantEntry};
use limbic_graph::passes;
use limbic_quantize::control::Outcome;
use limbic_quantize::recipe::Recipe;

use super::judge::Data;
use crate::args::Quantize;
use crate::compiled::{self, Contents};
use crate::whole_file;

/// Name of the variant and stem of its entries.
const NAME: &str = "quantized";

/// Writes the bundle, whose identity it gives, and the other files that were asked for.
pub fn write(
    args: &Quantize,
    bundle: &Bundle,
    data: &Data,
    outcome: &Outcome,
    recipe: &Recipe,
    report: &str,
) -> Result<String> {
    let lowered = limbic_quantize::lower(&outcome.quantized.graph)?;
    let onnx = limbic_graph::onnx::write(&lowered).context("can't write ONNX")?;
    if let Some(path) = &args.onnx {
        whole_file::write(path, &onnx)?;
    }
    if let Some(path) = &args.tflite {
        // LiteRT has a kernel for products whose rows are rounded as they come; it has no symbols and no layer norm.
        let mut graph = limbic_quantize::scheme::largest(&lowered)?;
        if !lowered.symbols.is_empty() {
            passes::fold_constants(&mut graph)?;
        }
        passes::fuse_dynamic_products(&mut graph)?;
        passes::expand_layer_normalization(&mut graph)?;
        passes::remove_dead(&mut graph);
        let tflite = limbic_graph::tflite::write(&graph).context("can't write TFLite")?;
        whole_file::write(path, &tflite)?;
    }
    let table = outcome.table.as_ref().map(|table| table.to_text());
    if let (Some(path), Some(table)) = (&args.write_table, &table) {
        whole_file::write(path, table.as_bytes())?;
    }
    let mut files = vec![
        (format!("{NAME}.onnx"), onnx),
        ("quantization.json".to_owned(), report.as_bytes().to_vec()),
        ("quantization.toml".to_owned(), recipe.to_toml()?.into_bytes()),
    ];
    if let Some(table) = table {
        files.push(("calibration.txt".to_owned(), table.into_bytes()));
    }
    let manifest = manifest(bundle.manifest(), data, outcome, &files)?;
    let mut contents = Contents::new();
    for (path, _) in manifest.files() {
        let content = match files.iter().find(|(name, _)| name == path) {
            Some((_, content)) => content.clone(),
            None => bundle.entry(path)?.to_vec(),
        };
        contents.insert(path.to_owned(), content);
    }
    compiled::write(manifest, contents, &args.output)
}

/// The manifest with the quantized variant behind the float ones, which stay the default.
fn manifest(old: &Manifest, data: &Data, outcome: &Outcome, files: &[(String, Vec<u8>)]) -> Result<Manifest> {
    let mut manifest = old.clone();
    let program = manifest
        .programs
        .first()
        .context("the bundle has no program")?
        .name
        .clone();
    manifest.variants.retain(|variant| variant.name != NAME);
    manifest
        .assets
        .retain(|asset| !files.iter().any(|(name, _)| *name == asset.path));
    manifest.variants.push(Variant {
        heads: heads(old, data),
        name: NAME.to_owned(),
        backend: "ort".to_owned(),
        precision: precision(outcome),
        tier: "any".to_owned(),
        // The next thousandth above what was measured.
        tolerance: ((data.difference * 1000.0).ceil() / 1000.0).max(0.001) as f32,
        entries: vec![VariantEntry {
            optional: true,
            ..VariantEntry::onnx(program, format!("{NAME}.onnx"))
        }],
    });
    for (path, _) in files.iter().skip(1) {
        manifest.assets.push(Asset {
            path: path.clone(),
            kind: if path.ends_with(".json") {
                AssetKind::Metrics
            } else {
                AssetKind::Other
            },
            optional: true,
        });
    }
    Ok(manifest)
}

/// What was fitted, where it is not as the float network has it.
fn heads(old: &Manifest, data: &Data) -> BTreeMap<String, HeadCalibration> {
    let changed = data.heads().filter_map(|fitted| {
        let head = old.head(&fitted.name)?;
        let own = HeadCalibration {
            temperature: (fitted.temperature != head.temperature).then_some(fitted.temperature),
            thresholds: (fitted.thresholds != head.thresholds).then(|| fitted.thresholds.clone()),
            abstain_below: None,
        };
        (own != HeadCalibration::default()).then(|| (fitted.name.clone(), own))
    });
    changed.collect()
}

fn precision(outcome: &Outcome) -> Precision {
    use limbic_quantize::scheme::Arithmetic;
    let all = |wanted| {
        outcome
            .quantized
            .placements
            .iter()
            .any(|placement| placement.arithmetic == wanted)
    };
    if all(Arithmetic::Int8) {
        Precision::Int8
    } else if all(Arithmetic::F16) {
        Precision::F16
    } else {
        Precision::F32
    }
}
