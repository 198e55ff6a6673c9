//! `limbic pack`

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::Pack;
use crate::compiled::{self, Contents};
use crate::show;

/// Puts a model folder into one bundle with plans for the engine, and opens that bundle to show that it is sound.
pub fn run(args: &Pack) -> Result<ExitCode> {
    let source = limbic_bundle::Source::open(&args.model)
        .with_context(|| format!("can't use {}", args.model.display()))?;
    let mut contents = Contents::new();
    for (path, _) in source.manifest().files() {
        contents.insert(path.to_owned(), source.entry(path)?);
    }
    compiled::write(source.manifest().clone(), contents, &args.output)?;
    let bundle = limbic_bundle::Bundle::open(&args.output).context("the packed bundle does not open")?;
    let bytes = std::fs::metadata(&args.output)?.len();
    show::print_line(&format!(
        "{} {} bytes, identity {}",
        args.output.display(),
        bytes,
        bundle.identity()
    ))?;
    Ok(ExitCode::SUCCESS)
}
