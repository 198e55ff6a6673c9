//! Stages: whether every value exists where it is used, and has the shape it is used with.

use std::collections::{BTreeMap, BTreeSet};

use limbic_affect::{HeadKind, LabelSpaces};

use crate::check::input::{self, Shape};
use crate::check::{dangling, shorten};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Dim, Dtype, HeadSpec, Layout, Manifest, Role, SignatureSpec, Stage, TensorSpec};

/// A value on its way from stage to stage.
enum Value {
    /// Given by preprocessing.
    Produced {
        dtype: Dtype,
        shape: Shape,
        layout: Option<Layout>,
    },
    /// Given by a program.
    Output(TensorSpec),
}

pub(super) fn stages(manifest: &Manifest, spaces: &LabelSpaces) -> Result<()> {
    if manifest.stages.is_empty() {
        return Ok(());
    }
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (i, stage) in manifest.stages.iter().enumerate() {
        let place = format!("stages[{i}]");
        match stage {
            Stage::Preprocess { input: name } => {
                let known = || manifest.inputs.iter().map(|input| input.name.as_str());
                let at = known().position(|known| known == name);
                let found = at.and_then(|at| Some((at, manifest.inputs.get(at)?)));
                let (at, input) = found.ok_or_else(|| dangling(format!("{place}.input"), name, known()))?;
                once(&mut used, &place, "input", name)?;
                for tensor in input::tensors(&format!("inputs[{at}]"), input)? {
                    let (dtype, shape, layout) = (tensor.dtype, tensor.shape, tensor.layout);
                    insert(
                        &mut values,
                        &place,
                        &tensor.name,
                        Value::Produced { dtype, shape, layout },
                    )?;
                }
            }
            Stage::Program {
                program,
                signature,
                inputs,
                outputs,
            } => {
                let spec = manifest.program(program).ok_or_else(|| {
                    dangling(
                        format!("{place}.program"),
                        program,
                        manifest.programs.iter().map(|p| p.name.as_str()),
                    )
                })?;
                let signature = spec.signature(signature).ok_or_else(|| {
                    let known = spec.signatures.iter().map(|signature| signature.name.as_str());
                    dangling(format!("{place}.signature"), signature, known)
                })?;
                used.insert(("program", program));
                self::program(&place, signature, inputs, outputs, &mut values)?;
            }
            Stage::Head { head: name } => {
                let head = manifest.head(name).ok_or_else(|| {
                    dangling(
                        format!("{place}.head"),
                        name,
                        manifest.heads.iter().map(|head| head.name.as_str()),
                    )
                })?;
                once(&mut used, &place, "head", name)?;
                self::head(manifest, head, spaces, &values)?;
            }
        }
    }
    let all = (manifest.inputs.iter().map(|input| ("input", input.name.as_str())))
        .chain(
            manifest
                .programs
                .iter()
                .map(|program| ("program", program.name.as_str())),
        )
        .chain(manifest.heads.iter().map(|head| ("head", head.name.as_str())));
    for (what, name) in all {
        if !used.contains(&(what, name)) {
            let expected = format!("a stage for {what} {:?}", shorten(name));
            return Err(Error::new(ErrorKind::Reference, "stages", expected, "none"));
        }
    }
    Ok(())
}

fn once<'a>(
    used: &mut BTreeSet<(&'a str, &'a str)>,
    place: &str,
    what: &'static str,
    name: &'a str,
) -> Result<()> {
    if used.insert((what, name)) {
        return Ok(());
    }
    let found = format!("{:?} a second time", shorten(name));
    Err(Error::new(
        ErrorKind::Duplicate,
        place,
        format!("each {what} once"),
        found,
    ))
}

fn insert(values: &mut BTreeMap<String, Value>, place: &str, name: &str, value: Value) -> Result<()> {
    if values.insert(name.to_owned(), value).is_some() {
        let found = format!("{:?} a second time", shorten(name));
        return Err(Error::new(
            ErrorKind::Duplicate,
            place,
            "values of different names",
            found,
        ));
    }
    Ok(())
}

fn program(
    place: &str,
    signature: &SignatureSpec,
    inputs: &BTreeMap<String, String>,
    outputs: &BTreeMap<String, String>,
    values: &mut BTreeMap<String, Value>,
) -> Result<()> {
    let of_role = |role: Role| signature.tensors.iter().filter(move |tensor| tensor.role == role);
    for (key, names, role) in [
        ("inputs", inputs, Role::Input),
        ("outputs", outputs, Role::Output),
    ] {
        if let Some(name) = names
            .keys()
            .find(|name| !of_role(role).any(|tensor| tensor.name == **name))
        {
            let known = of_role(role).map(|tensor| tensor.name.as_str());
            return Err(dangling(format!("{place}.{key}"), name, known));
        }
    }
    for tensor in of_role(Role::Input) {
        let name = inputs.get(&tensor.name).unwrap_or(&tensor.name);
        let value = values.get(name).ok_or_else(|| {
            dangling(
                format!("{place}: input {}", shorten(&tensor.name)),
                name,
                values.keys().map(String::as_str),
            )
        })?;
        fits(
            &format!("{place}: tensor {}", shorten(&tensor.name)),
            value,
            tensor,
            signature,
        )?;
    }
    for tensor in of_role(Role::Output) {
        let name = outputs.get(&tensor.name).unwrap_or(&tensor.name);
        insert(values, place, name, Value::Output(tensor.clone()))?;
    }
    Ok(())
}

/// Checks that a program's input can take a value.
fn fits(place: &str, value: &Value, tensor: &TensorSpec, signature: &SignatureSpec) -> Result<()> {
    let (dtype, shape, fit) = match value {
        Value::Output(from) => (from.dtype, from.shape(), from.dims == tensor.dims),
        Value::Produced { dtype, shape, layout } => {
            if let (Some(given), Some(taken)) = (layout, tensor.layout)
                && *given != taken
            {
                let expected = format!("layout {given:?} as preprocessing gives it").to_lowercase();
                return Err(Error::new(
                    ErrorKind::Shape,
                    place,
                    expected,
                    format!("{taken:?}").to_lowercase(),
                ));
            }
            let fit = match shape {
                Shape::Exact(dims) => exact(dims, &tensor.dims, signature),
                Shape::Trailing(dims) => trailing(dims, &tensor.dims, signature),
                Shape::Tokens(length) => tokens(*length, &tensor.dims, signature),
            };
            (*dtype, shape.to_string(), fit)
        }
    };
    if dtype != tensor.dtype || !fit {
        let buckets = match signature.buckets.len() {
            0 => String::new(),
            count => format!(" in {count} buckets"),
        };
        return Err(Error::new(
            ErrorKind::Shape,
            place,
            format!("{} {shape}, which the stage before gives", dtype.name()),
            format!("{} {}{buckets}", tensor.dtype.name(), tensor.shape()),
        ));
    }
    Ok(())
}

fn exact(given: &[usize], taken: &[Dim], signature: &SignatureSpec) -> bool {
    given.len() == taken.len()
        && given
            .iter()
            .zip(taken)
            .all(|(size, dim)| takes(*size, dim, signature))
}

fn trailing(given: &[usize], taken: &[Dim], signature: &SignatureSpec) -> bool {
    let Some((ones, rest)) = taken
        .len()
        .checked_sub(given.len())
        .and_then(|at| taken.split_at_checked(at))
    else {
        return false;
    };
    ones.iter().all(|dim| takes(1, dim, signature)) && exact(given, rest, signature)
}

fn takes(size: usize, dim: &Dim, signature: &SignatureSpec) -> bool {
    match dim {
        Dim::Fixed(fixed) => *fixed == size,
        Dim::Symbol(symbol) if signature.buckets.is_empty() => (symbol.min..=symbol.max).contains(&size),
        Dim::Symbol(symbol) => signature
            .buckets
            .iter()
            .any(|bucket| bucket.get(&symbol.symbol) == Some(&size)),
    }
}

/// Shorter windows are padded, so the largest bucket decides.
fn tokens(length: usize, taken: &[Dim], signature: &SignatureSpec) -> bool {
    let [batch, tokens] = taken else { return false };
    let most = match tokens {
        Dim::Fixed(size) => *size,
        Dim::Symbol(symbol) if signature.buckets.is_empty() => symbol.max,
        Dim::Symbol(symbol) => signature
            .buckets
            .iter()
            .filter_map(|bucket| bucket.get(&symbol.symbol))
            .max()
            .copied()
            .unwrap_or(0),
    };
    takes(1, batch, signature) && length <= most
}

fn head(
    manifest: &Manifest,
    head: &HeadSpec,
    spaces: &LabelSpaces,
    values: &BTreeMap<String, Value>,
) -> Result<()> {
    let place = format!("heads ({})", shorten(&head.name));
    let outputs = values.iter().filter_map(|(name, value)| match value {
        Value::Output(tensor) => Some((name.as_str(), tensor)),
        Value::Produced { .. } => None,
    });
    let tensor = outputs
        .clone()
        .find(|(name, _)| *name == head.tensor)
        .map(|(_, tensor)| tensor);
    let tensor = tensor.ok_or_else(|| {
        dangling(
            format!("{place}.tensor"),
            &head.tensor,
            outputs.map(|(name, _)| name),
        )
    })?;
    let space = spaces.by_id(&head.label_space).map_err(|error| {
        Error::new(
            ErrorKind::Reference,
            format!("{place}.label_space"),
            "a known label space",
            error,
        )
    })?;
    let fixed = tensor.fixed_dims();
    let (last, ones) = match fixed.as_deref() {
        Some([ones @ .., last]) => (Some(*last), ones.iter().all(|size| *size == 1)),
        _ => (None, false),
    };
    let wanted = match head.kind {
        HeadKind::Cosine { .. } => last,
        _ => Some(space.len()),
    };
    if tensor.dtype != Dtype::F32 || !ones || last.is_none() || last != wanted {
        return Err(Error::new(
            ErrorKind::Shape,
            format!("{place}.tensor {}", shorten(&head.tensor)),
            format!("f32 [1, {}], one a label of {}", space.len(), head.label_space),
            format!("{} {}", tensor.dtype.name(), tensor.shape()),
        ));
    }
    if let HeadKind::Cosine { matrix, .. } = &head.kind {
        let wanted = 4 * space.len() as u64 * last.unwrap_or_default() as u64;
        return match manifest.entries.iter().find(|entry| entry.path == *matrix) {
            Some(entry) if entry.bytes != wanted => {
                let expected = format!(
                    "{wanted} bytes, f32 [{}, {}]",
                    space.len(),
                    last.unwrap_or_default()
                );
                let place = format!("{place}.kind.cosine.matrix {}", shorten(matrix));
                Err(Error::new(ErrorKind::Shape, place, expected, entry.bytes))
            }
            _ => Ok(()),
        };
    }
    valid(place, head, spaces)
}

/// Checks temperature, thresholds and kind of a head.
pub(super) fn valid(place: String, head: &HeadSpec, spaces: &LabelSpaces) -> Result<()> {
    if matches!(head.kind, HeadKind::Cosine { .. }) {
        // Its matrix is an entry, whose content is not there yet.
        return Ok(());
    }
    limbic_affect::Head::new(head, spaces, None)
        .map(drop)
        .map_err(|error| {
            let kind = match error.kind() {
                limbic_affect::ErrorKind::UnsupportedHead => ErrorKind::Unsupported,
                _ => ErrorKind::Parameter,
            };
            Error::new(kind, place, "a head that fits its label space", error)
        })
}
