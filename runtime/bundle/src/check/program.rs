//! Programs: tensors, symbols, buckets and state.

use std::collections::BTreeMap;

use crate::check::{at_most, dangling, shorten, unique, within};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{Dim, ProgramSpec, Quantization, Role, SignatureSpec, TensorSpec, element_count};

pub(super) fn programs(programs: &[ProgramSpec]) -> Result<()> {
    for (i, program) in programs.iter().enumerate() {
        let place = format!("programs[{i}].signatures");
        at_most(&place, program.signatures.len(), limits::ITEMS)?;
        if program.signatures.is_empty() {
            return Err(Error::new(ErrorKind::Parameter, place, "at least one", "none"));
        }
        unique(
            &place,
            program.signatures.iter().map(|signature| signature.name.as_str()),
        )?;
        for (j, signature) in program.signatures.iter().enumerate() {
            self::signature(&format!("{place}[{j}]"), signature)?;
        }
        shared_state(&place, program)?;
    }
    Ok(())
}

fn signature(place: &str, signature: &SignatureSpec) -> Result<()> {
    if signature.name.contains('@') {
        let found = format!("{:?}", shorten(&signature.name));
        return Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.name"),
            "no '@': buckets add it",
            found,
        ));
    }
    at_most(
        &format!("{place}.tensors"),
        signature.tensors.len(),
        limits::ITEMS,
    )?;
    let names = signature
        .tensors
        .iter()
        .flat_map(|tensor| [Some(tensor.name.as_str()), tensor.next.as_deref()]);
    unique(&format!("{place}.tensors"), names.flatten())?;
    if !signature.tensors.iter().any(|tensor| tensor.role == Role::Output) {
        return Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.tensors"),
            "at least one output",
            "none",
        ));
    }
    let mut symbols: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (i, tensor) in signature.tensors.iter().enumerate() {
        self::tensor(
            &format!("{place}.tensors[{i}] ({})", shorten(&tensor.name)),
            tensor,
            &mut symbols,
        )?;
    }
    buckets(place, signature, &symbols)
}

fn tensor<'a>(
    place: &str,
    tensor: &'a TensorSpec,
    symbols: &mut BTreeMap<&'a str, (usize, usize)>,
) -> Result<()> {
    at_most(&format!("{place}.dims"), tensor.dims.len(), limits::AXES)?;
    for dim in &tensor.dims {
        match dim {
            Dim::Fixed(0) => {
                return Err(Error::new(
                    ErrorKind::Shape,
                    format!("{place}.dims"),
                    "sizes of at least 1",
                    0,
                ));
            }
            Dim::Fixed(_) => {}
            Dim::Symbol(symbol) => {
                if symbol.min == 0 || symbol.min > symbol.max {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        format!("{place}.dims"),
                        "bounds 1 <= min <= max",
                        dim,
                    ));
                }
                let first = symbols
                    .entry(symbol.symbol.as_str())
                    .or_insert((symbol.min, symbol.max));
                if *first != (symbol.min, symbol.max) {
                    let expected = format!("{} ({}..={}) as before", symbol.symbol, first.0, first.1);
                    return Err(Error::new(
                        ErrorKind::Shape,
                        format!("{place}.dims"),
                        expected,
                        dim,
                    ));
                }
                let name = symbol.symbol.as_bytes();
                let word = name
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
                if !word || !name.first().is_some_and(u8::is_ascii_alphabetic) || name.len() > 64 {
                    let found = format!("{:?}", shorten(&symbol.symbol));
                    let expected = "a symbol of letters, digits and '_'";
                    return Err(Error::new(
                        ErrorKind::Parameter,
                        format!("{place}.dims"),
                        expected,
                        found,
                    ));
                }
            }
        }
    }
    element_count(tensor.dims.iter().map(Dim::max), &format!("{place}.dims"))?;
    if let Some(quantization) = &tensor.quantization {
        self::quantization(&format!("{place}.quantization"), tensor, quantization)?;
    }
    match (tensor.role, &tensor.next) {
        (Role::State, None) => Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.next"),
            "the output that follows it",
            "nothing",
        )),
        (Role::Input | Role::Output, Some(next)) => Err(Error::new(
            ErrorKind::Parameter,
            format!("{place}.next"),
            "nothing, as it is no state",
            format!("{:?}", shorten(next)),
        )),
        _ => Ok(()),
    }
}

fn quantization(place: &str, tensor: &TensorSpec, quantization: &Quantization) -> Result<()> {
    let Quantization {
        scale,
        zero_point,
        axis,
    } = quantization;
    let expected = match axis {
        None => Some(1),
        Some(axis) => tensor.dims.get(*axis).map(Dim::max),
    };
    if expected != Some(scale.len()) || zero_point.len() != scale.len() {
        return Err(Error::new(
            ErrorKind::Shape,
            place,
            expected.map_or_else(
                || format!("an axis under {}", tensor.dims.len()),
                |n| format!("{n} of each"),
            ),
            format!("{} scales and {} zero points", scale.len(), zero_point.len()),
        ));
    }
    for value in scale {
        within(
            &format!("{place}.scale"),
            f64::from(*value),
            f64::from(f32::MIN_POSITIVE),
            f64::from(f32::MAX),
        )?;
    }
    Ok(())
}

fn buckets(place: &str, signature: &SignatureSpec, symbols: &BTreeMap<&str, (usize, usize)>) -> Result<()> {
    let place = format!("{place}.buckets");
    at_most(&place, signature.buckets.len(), limits::ITEMS)?;
    for (i, bucket) in signature.buckets.iter().enumerate() {
        let place = format!("{place}[{i}]");
        for (name, value) in bucket {
            let (min, max) = *symbols
                .get(name.as_str())
                .ok_or_else(|| dangling(place.clone(), name, symbols.keys().copied()))?;
            within(&format!("{place}.{name}"), *value as f64, min as f64, max as f64)?;
        }
        if let Some(free) = symbols.keys().find(|name| !bucket.contains_key(**name)) {
            return Err(Error::new(
                ErrorKind::Parameter,
                place,
                format!("a value for {free}"),
                "none",
            ));
        }
        if bucket.is_empty() {
            return Err(Error::new(
                ErrorKind::Parameter,
                place,
                "values of symbols",
                "none",
            ));
        }
        if i.checked_sub(1)
            .and_then(|before| signature.buckets.get(before))
            .is_some_and(|before| {
                bucket
                    .iter()
                    .any(|(name, value)| before.get(name).is_some_and(|before| before > value))
                    || before == bucket
            })
        {
            return Err(Error::new(
                ErrorKind::Parameter,
                place,
                "more than the bucket before",
                "less or the same",
            ));
        }
    }
    Ok(())
}

/// A state tensor is one and the same in every signature that has it, so its type and shape cannot differ.
fn shared_state(place: &str, program: &ProgramSpec) -> Result<()> {
    let mut first: BTreeMap<&str, &TensorSpec> = BTreeMap::new();
    for (j, signature) in program.signatures.iter().enumerate() {
        for tensor in signature
            .tensors
            .iter()
            .filter(|tensor| tensor.role == Role::State)
        {
            let place = format!("{place}[{j}].tensors ({})", shorten(&tensor.name));
            if tensor.fixed_dims().is_none() {
                return Err(Error::new(
                    ErrorKind::Shape,
                    place,
                    "a state of fixed shape",
                    tensor.shape(),
                ));
            }
            let known = *first.entry(tensor.name.as_str()).or_insert(tensor);
            if known.dims != tensor.dims || known.dtype != tensor.dtype {
                return Err(Error::new(
                    ErrorKind::Shape,
                    place,
                    format!(
                        "{} {}, as in another signature",
                        known.dtype.name(),
                        known.shape()
                    ),
                    format!("{} {}", tensor.dtype.name(), tensor.shape()),
                ));
            }
        }
    }
    Ok(())
}
