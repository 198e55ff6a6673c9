//! `limbic quantize`

mod board;
mod judge;
mod pack;
mod sets;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use limbic_bundle::Bundle;
use limbic_quantize::calibrate::Table;
use limbic_quantize::recipe::Recipe;
use serde::Serialize;

use crate::args::Quantize;
use crate::failure;
use crate::network::Network;
use crate::show::print_line;

use judge::Data;

/// What `--json` prints and the bundle carries.
#[derive(Debug, Serialize)]
struct Document<'a> {
    model: &'a str,
    /// How the data sets were made, in words.
    data: String,
    /// The board that the scheme was chosen for, unless it was given.
    board: Option<&'a str>,
    /// Heads that were not judged, each with the reason.
    not_judged: &'a [String],
    fitted: &'a [String],
    #[serde(flatten)]
    report: &'a limbic_quantize::report::Report,
}

/// Quantizes a bundle's network and writes the bundle where its answers hold.
pub fn run(args: &Quantize) -> Result<ExitCode> {
    let bundle =
        Bundle::open(&args.bundle).with_context(|| format!("can't use {}", args.bundle.display()))?;
    let mut recipe = recipe(args)?;
    let board = args.board.as_deref().map(board::open).transpose()?;
    let table = args
        .table
        .as_deref()
        .map(|path| anyhow::Ok(Table::from_text(&read(path)?)?))
        .transpose()?;
    let network = Network::open(&bundle, None)?;
    let (sets, words) = sets::read(args, &network)?;
    let graph = network.graph.clone();
    // What a recipe or --scheme says comes before the board.
    let mut chosen_for = None;
    if let (Some(board), None) = (&board, recipe.scheme) {
        recipe.scheme = Some(board::scheme(board, &graph)?);
        chosen_for = Some(board.name.as_str());
    }
    let mut data = Data::new(
        network,
        bundle.manifest(),
        sets,
        args.head.as_deref(),
        args.metric,
    )?;
    let outcome = limbic_quantize::control::quantize(&graph, table.as_ref(), &recipe, &mut data)?;
    data.finish();
    let document = Document {
        model: &bundle.manifest().name,
        data: words,
        board: chosen_for,
        not_judged: &data.not_judged,
        fitted: &data.fitted,
        report: &outcome.report,
    };
    let json = serde_json::to_string_pretty(&document)? + "\n";
    if args.json {
        print_line(json.trim_end())?;
    } else {
        print_line(&format!("{}: {}", document.model, document.data))?;
        if let (Some(board), Some(scheme)) = (document.board, recipe.scheme) {
            print_line(&format!("scheme {} for board {board}", scheme.name()))?;
        }
        print_line(outcome.report.to_text().trim_end())?;
        for fitted in document.fitted {
            print_line(fitted)?;
        }
        for head in document.not_judged {
            print_line(&format!("not judged: {head}"))?;
        }
    }
    if !outcome.passed() {
        eprintln!("the answers on the eval set are not within the limits; nothing is written");
        eprintln!(
            "help: calibrate on more data, allow more with --max-drop, or keep operations in float by a recipe"
        );
        return Ok(ExitCode::from(failure::SAID_NO));
    }
    let identity = pack::write(args, &bundle, &data, &outcome, &recipe, &json)?;
    if !args.json {
        print_line(&format!("{} identity {identity}", args.output.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The recipe of the file, with what the command line says in its place.
fn recipe(args: &Quantize) -> Result<Recipe> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::from_toml(&read(path)?).with_context(|| path.display().to_string())?,
        None => Recipe::default(),
    };
    if let Some(name) = &args.scheme {
        let schemes = limbic_quantize::scheme::Scheme::ALL;
        let Some(scheme) = schemes.into_iter().find(|scheme| scheme.name() == name) else {
            bail!(
                "no scheme `{name}`; there is {}",
                schemes.map(|scheme| scheme.name()).join(", ")
            );
        };
        recipe.scheme = Some(scheme);
    }
    if let Some(max_drop) = args.max_drop {
        recipe.limits.max_drop = max_drop;
    }
    recipe.check()?;
    Ok(recipe)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}
