//! A bundle's program on a backend that the user named.

use std::sync::Arc;

use anyhow::{Context, Result};
use limbic_backends::{Backend, Program, ProgramFile, ProgramSource, choose_variant, with_threads};
use limbic_bundle::{Bundle, ProgramSpec, Variant};

/// A program, loaded.
#[derive(Debug)]
pub struct OpenedProgram<'b> {
    /// The variant whose files it is made of.
    pub variant: &'b Variant,
    /// What runs it.
    pub backend: Box<dyn Backend>,
    /// The program.
    pub program: Arc<dyn Program>,
}

impl<'b> OpenedProgram<'b> {
    /// Loads a program on a backend: `NAME`, `NAME@TIER` or `NAME@PROVIDER`, and `#VARIANT` behind it for another variant
    /// than the backend's own; a run on so many threads at most.
    pub fn open(bundle: &'b Bundle, spec: &ProgramSpec, named: &str, threads: usize) -> Result<Self> {
        let (name, variant) = match named.split_once('#') {
            Some((name, variant)) => (name, Some(variant)),
            None => (named, None),
        };
        let backend = with_threads(name, threads)?;
        let variant = choose_variant(bundle, name, variant).with_context(|| {
            let own = bundle.manifest().variants.iter();
            let own = own.map(|variant| format!("{} for {}", variant.name, variant.backend));
            format!(
                "no variant of the bundle for {named}; it has {}",
                own.collect::<Vec<_>>().join(", ")
            )
        })?;
        let (format, files) = ProgramFile::of(bundle, variant, &spec.name)?
            .context("the variant has no file of the program")?;
        let program = backend.load(&ProgramSource {
            name: &spec.name,
            format,
            files: &files,
            signatures: &spec.concrete(),
        })?;
        Ok(Self {
            variant,
            backend,
            program,
        })
    }
}
