//! Whether a manifest fits together.
//!
//! Each function returns the first contradiction with the key it stands at.

mod input;
mod paths;
mod program;
mod variant;
mod wiring;

use std::collections::BTreeSet;

use limbic_affect::LabelSpaces;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{Gate, Manifest, Modality, Pooling, Step};

pub(crate) use paths::entry_name;

/// Checks the whole manifest.
pub(crate) fn manifest(manifest: &Manifest) -> Result<()> {
    words(manifest)?;
    counts(manifest)?;
    unique("inputs", manifest.inputs.iter().map(|input| input.name.as_str()))?;
    unique(
        "programs",
        manifest.programs.iter().map(|program| program.name.as_str()),
    )?;
    unique("heads", manifest.heads.iter().map(|head| head.name.as_str()))?;
    unique(
        "variants",
        manifest.variants.iter().map(|variant| variant.name.as_str()),
    )?;
    let spaces = LabelSpaces::with_own(&manifest.label_spaces)
        .map_err(|error| Error::new(ErrorKind::Parameter, "label_spaces", "valid label spaces", error))?;
    program::programs(&manifest.programs)?;
    wiring::stages(manifest, &spaces)?;
    gates(manifest, &spaces)?;
    pooling(manifest)?;
    variant::variants(manifest, &spaces)?;
    paths::files(manifest)
}

fn words(manifest: &Manifest) -> Result<()> {
    if manifest.format != limits::FORMAT {
        let kind = if manifest.format > limits::FORMAT {
            ErrorKind::NewerFormat
        } else {
            ErrorKind::Syntax
        };
        return Err(Error::new(kind, "format", limits::FORMAT, manifest.format));
    }
    let portable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if manifest.name.is_empty() || manifest.name.len() > 64 || !manifest.name.chars().all(portable) {
        return Err(Error::new(
            ErrorKind::Parameter,
            "name",
            "1 to 64 lower-case letters, digits and hyphens",
            format!("{:?}", shorten(&manifest.name)),
        ));
    }
    let texts = [
        ("version", &manifest.version),
        ("description", &manifest.description),
        ("license", &manifest.license),
        ("intended_use", &manifest.intended_use),
    ];
    match texts.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((key, _)) => Err(Error::new(
            ErrorKind::Parameter,
            *key,
            "some text",
            "an empty one",
        )),
        None => Ok(()),
    }
}

fn counts(manifest: &Manifest) -> Result<()> {
    let pipeline = [
        ("inputs", manifest.inputs.len()),
        ("stages", manifest.stages.len()),
        ("heads", manifest.heads.len()),
    ];
    // Without a way from raw data to answers the programs alone are there: tensors in, tensors out.
    let bare = pipeline.iter().all(|(_, count)| *count == 0);
    let programs = [
        ("programs", manifest.programs.len()),
        ("variants", manifest.variants.len()),
    ];
    for (key, count) in pipeline.into_iter().filter(|_| !bare).chain(programs) {
        if count == 0 {
            return Err(Error::new(ErrorKind::Parameter, key, "at least one", "none"));
        }
        at_most(key, count, limits::ITEMS)?;
    }
    at_most("gates", manifest.gates.len(), limits::ITEMS)?;
    at_most("label_spaces", manifest.label_spaces.len(), limits::ITEMS)?;
    at_most("assets", manifest.assets.len(), limits::ENTRIES)?;
    at_most("golden", manifest.golden.len(), limits::ENTRIES)?;
    at_most("entries", manifest.entries.len(), limits::ENTRIES)
}

/// Refuses more than `limit` of something.
pub(crate) fn at_most(place: &str, count: usize, limit: usize) -> Result<()> {
    if count > limit {
        return Err(Error::new(
            ErrorKind::Limit,
            place,
            format!("at most {limit}"),
            count,
        ));
    }
    Ok(())
}

/// Refuses the second of two equal or an empty name.
pub(crate) fn unique<'a>(place: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (i, name) in names.enumerate() {
        if name.is_empty() {
            return Err(Error::new(
                ErrorKind::Parameter,
                format!("{place}[{i}]"),
                "a name",
                "an empty one",
            ));
        }
        if !seen.insert(name) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("{place}[{i}]"),
                "a name of its own",
                format!("{name:?} a second time"),
            ));
        }
    }
    Ok(())
}

/// Refuses a number outside of `least..=most`, infinities and NaN included.
pub(crate) fn within(place: &str, value: f64, least: f64, most: f64) -> Result<()> {
    if !(least..=most).contains(&value) {
        return Err(Error::new(
            ErrorKind::Parameter,
            place,
            format!("{least} to {most}"),
            value,
        ));
    }
    Ok(())
}

/// The name that refers to nothing, with the ones there are.
pub(crate) fn dangling<'a>(place: String, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.take(32).collect();
    let expected = if known.is_empty() {
        "nothing, as there is none".to_owned()
    } else {
        format!("one of {}", known.join(", "))
    };
    Error::new(
        ErrorKind::Reference,
        place,
        expected,
        format!("{:?}", shorten(name)),
    )
}

/// The start of a text, for error messages.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn gates(manifest: &Manifest, spaces: &LabelSpaces) -> Result<()> {
    for (i, gate) in manifest.gates.iter().enumerate() {
        let place = |key: &str| format!("gates[{i}].{key}");
        match gate {
            Gate::UnknownWords { max_share, .. } => {
                within(&place("max_share"), f64::from(*max_share), 0.0, 1.0)?;
                if !manifest
                    .inputs
                    .iter()
                    .any(|input| input.modality == Modality::Text)
                {
                    return Err(Error::new(
                        ErrorKind::Reference,
                        place("gate"),
                        "a text input for unknown_words@1",
                        "none",
                    ));
                }
            }
            Gate::HeadProbability {
                head,
                label,
                min_probability,
                ..
            } => {
                within(&place("min_probability"), f64::from(*min_probability), 0.0, 1.0)?;
                let spec = manifest.head(head).ok_or_else(|| {
                    dangling(
                        place("head"),
                        head,
                        manifest.heads.iter().map(|h| h.name.as_str()),
                    )
                })?;
                let space = spaces.by_id(&spec.label_space).map_err(|error| {
                    Error::new(
                        ErrorKind::Reference,
                        place("head"),
                        "a head with a known label space",
                        error,
                    )
                })?;
                if space.index_of(label).is_none() {
                    return Err(dangling(place("label"), label, space.names()));
                }
            }
        }
    }
    Ok(())
}

fn pooling(manifest: &Manifest) -> Result<()> {
    let several_windows = manifest
        .inputs
        .iter()
        .flat_map(|input| &input.steps)
        .any(|step| match step {
            Step::Window(_) => true,
            Step::TokenWindow(params) => params.max_windows > 1,
            _ => false,
        });
    let only_text = manifest
        .inputs
        .iter()
        .all(|input| input.modality == Modality::Text);
    let refused = |expected: &str| {
        Err(Error::new(
            ErrorKind::Parameter,
            "pooling",
            expected,
            format!("{:?}", manifest.pooling.name()),
        ))
    };
    match manifest.pooling {
        Pooling::None if several_windows => refused("a rule, as an input can have several windows"),
        Pooling::MeanLogits if !several_windows => refused("\"none\", as no input has several windows"),
        Pooling::MeanLogitsByTokens if !only_text => refused("a rule that does not count text tokens"),
        _ => Ok(()),
    }
}
