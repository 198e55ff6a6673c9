//! The scheme that a board asks for.

use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_boards::Board;
use limbic_graph::Graph;
use limbic_quantize::scheme::Scheme;

/// The board of a name or of a TOML file.
pub fn open(name: &str) -> Result<Board> {
    if Path::new(name).extension().is_some_and(|suffix| suffix == "toml") {
        let text = std::fs::read_to_string(name).with_context(|| format!("can't read {name}"))?;
        return Board::parse(&text).with_context(|| format!("can't use {name}"));
    }
    Ok(Board::by_name(name)?)
}

/// The scheme of a board for a network.
pub fn scheme(board: &Board, graph: &Graph) -> Result<Scheme> {
    let precision = match Scheme::of_architecture(graph) {
        Scheme::Dynamic => board.precision.transformers,
        _ => board.precision.convolutions,
    };
    let named = Scheme::ALL
        .into_iter()
        .find(|scheme| scheme.name() == precision.name());
    match named {
        Some(scheme) => Ok(scheme),
        None => bail!("board {}: no scheme for {}", board.name, precision.name()),
    }
}
