//! Which variant of a bundle a backend runs.

use std::collections::BTreeSet;

use limbic_bundle::{Bundle, GraphFormat, Variant};

/// The format that a backend reads, by the backend's name.
fn format(backend: &str) -> Option<GraphFormat> {
    match backend {
        "engine" => Some(GraphFormat::Plan),
        "tract" | "ort" => Some(GraphFormat::Onnx),
        "tflite" => Some(GraphFormat::Tflite),
        _ => None,
    }
}

/// The variant that a backend runs, `engine@scalar` being the engine: the first that was made for it, or else the first
/// in the format that it reads; with a name, that one if the backend reads it.
///
/// A variant whose files a thin bundle left out is taken only where there is no other.
pub fn choose_variant<'b>(bundle: &'b Bundle, backend: &str, name: Option<&str>) -> Option<&'b Variant> {
    let base = backend.split('@').next().unwrap_or_default();
    let absent = bundle.entries().filter(|info| !info.present);
    let absent: BTreeSet<&str> = absent.map(|info| info.entry.path.as_str()).collect();
    let is_whole = |variant: &Variant| {
        let mut entries = variant.entries.iter();
        entries.all(|entry| !absent.contains(entry.path.as_str()))
    };
    let is_readable = |variant: &Variant| {
        let mut entries = variant.entries.iter();
        format(base).is_some_and(|format| entries.all(|entry| entry.format == format))
    };
    let variants = &bundle.manifest().variants;
    let variants = variants
        .iter()
        .filter(|variant| name.is_none_or(|name| variant.name == name));
    let own = variants.clone().filter(|variant| variant.backend == base);
    let others = variants.filter(|variant| is_readable(variant));
    let mut all = own.chain(others);
    all.clone()
        .find(|variant| is_whole(variant))
        .or_else(|| all.next())
}
