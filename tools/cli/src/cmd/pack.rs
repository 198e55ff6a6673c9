//! `limbic pack`

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::Pack;
use crate::show;

/// Puts a model folder into one bundle, and opens that bundle to show that it is sound.
pub fn run(args: &Pack) -> Result<ExitCode> {
    let source = limbic_bundle::Source::open(&args.model)
        .with_context(|| format!("can't use {}", args.model.display()))?;
    source
        .pack(&args.output)
        .with_context(|| format!("can't pack {}", args.output.display()))?;
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
