//! Variants: whether each has the files its formats want, and heads that fit.

use std::collections::{BTreeMap, BTreeSet};

use limbic_affect::LabelSpaces;

use crate::check::{at_most, dangling, shorten, wiring, within};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{GraphFormat, Manifest, Variant, VariantEntry};

pub(super) fn variants(manifest: &Manifest, spaces: &LabelSpaces) -> Result<()> {
    let signatures: BTreeMap<&str, BTreeSet<String>> = manifest
        .programs
        .iter()
        .map(|program| (program.name.as_str(), program.concrete_names().collect()))
        .collect();
    for (i, variant) in manifest.variants.iter().enumerate() {
        let place = format!("variants[{i}]");
        for (key, text) in [("backend", &variant.backend), ("tier", &variant.tier)] {
            if text.is_empty() || text.len() > 64 {
                let found = format!("{:?}", shorten(text));
                return Err(Error::new(
                    ErrorKind::Parameter,
                    format!("{place}.{key}"),
                    "a name",
                    found,
                ));
            }
        }
        within(
            &format!("{place}.tolerance"),
            f64::from(variant.tolerance),
            0.0,
            1.0,
        )?;
        at_most(&format!("{place}.entries"), variant.entries.len(), limits::ITEMS)?;
        for (j, entry) in variant.entries.iter().enumerate() {
            let place = format!("{place}.entries[{j}]");
            let known = signatures.get(entry.program.as_str()).ok_or_else(|| {
                let known = manifest.programs.iter().map(|program| program.name.as_str());
                dangling(format!("{place}.program"), &entry.program, known)
            })?;
            self::entry(&place, entry, known)?;
        }
        for (program, signatures) in &signatures {
            complete(&format!("{place}.entries"), variant, program, signatures)?;
        }
        heads(&format!("{place}.heads"), manifest, variant, spaces)?;
    }
    Ok(())
}

/// Whether an entry names what its format wants.
fn entry(place: &str, entry: &VariantEntry, signatures: &BTreeSet<String>) -> Result<()> {
    at_most(&format!("{place}.packs"), entry.packs.len(), limits::PACKS)?;
    let format = entry.format.name();
    match (entry.format, &entry.signature) {
        (GraphFormat::Onnx | GraphFormat::Tflite, _) if !entry.packs.is_empty() => Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.packs"),
            format!("none, as {format} holds its weights"),
            entry.packs.len(),
        )),
        (GraphFormat::Plan | GraphFormat::Tflite, Some(signature)) => {
            if !signatures.contains(signature) {
                let known = signatures.iter().map(String::as_str);
                return Err(dangling(format!("{place}.signature"), signature, known));
            }
            Ok(())
        }
        (GraphFormat::Plan, None) => Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.signature"),
            format!("the signature that this {format} serves"),
            "none",
        )),
        (GraphFormat::Onnx, Some(signature)) => Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.signature"),
            format!("none, as {format} serves all"),
            format!("{:?}", shorten(signature)),
        )),
        (GraphFormat::Onnx | GraphFormat::Tflite, None) => Ok(()),
    }
}

/// Whether a program has one file, or one file for each of its concrete signatures.
fn complete(place: &str, variant: &Variant, program: &str, signatures: &BTreeSet<String>) -> Result<()> {
    let entries: Vec<&VariantEntry> = variant
        .entries
        .iter()
        .filter(|entry| entry.program == program)
        .collect();
    let served: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry.signature.as_deref())
        .collect();
    if served.is_empty() {
        if entries.len() != 1 {
            return Err(Error::new(
                ErrorKind::Reference,
                place,
                format!("one entry for program {program:?}"),
                entries.len(),
            ));
        }
        return Ok(());
    }
    let missing = signatures
        .iter()
        .find(|signature| !served.contains(signature.as_str()));
    if let Some(missing) = missing {
        let expected = format!("an entry for signature {missing:?}");
        return Err(Error::new(ErrorKind::Reference, place, expected, "none"));
    }
    if entries.len() != signatures.len() {
        return Err(Error::new(
            ErrorKind::Reference,
            place,
            format!(
                "{} entries, one for each signature of program {program:?}",
                signatures.len()
            ),
            entries.len(),
        ));
    }
    Ok(())
}

/// Whether the heads are valid with what the variant puts in place.
fn heads(place: &str, manifest: &Manifest, variant: &Variant, spaces: &LabelSpaces) -> Result<()> {
    at_most(place, variant.heads.len(), limits::ITEMS)?;
    for name in variant.heads.keys() {
        if manifest.head(name).is_none() {
            let known = manifest.heads.iter().map(|head| head.name.as_str());
            return Err(dangling(place.to_owned(), name, known));
        }
    }
    for head in manifest.heads_of(variant) {
        if variant.heads.contains_key(&head.name) {
            let place = format!("{place} ({})", shorten(&head.name));
            wiring::valid(place, &head, spaces)?;
        }
    }
    Ok(())
}
