//! The scheme that a board asks for.

use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_boards::{Board, Facts, detect};
use limbic_graph::Graph;
use limbic_quantize::scheme::Scheme;

/// The board of a name or of a TOML file, or the one that this machine is.
pub fn open(name: &str) -> Result<Board> {
    if name == "auto" {
        let found = detect(&Facts::of_this_machine(), &Board::all()?);
        let found =
            found.context("this machine is no board that is known; name one, `limbic boards` lists them")?;
        log::info!("board {}: {}", found.board.name, found.by);
        if !found.missing.is_empty() {
            log::warn!(
                "board {}: its kernel does not name {}",
                found.board.name,
                found.missing.join(", ")
            );
        }
        return Ok(found.board);
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use limbic_graph::{Dtype, Op, TensorType};

    use super::*;

    /// A softmax of the product of two activations, as attention has.
    fn attention() -> Graph {
        let mut graph = Graph::new("attention");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[4, 4]));
        let f32 = || TensorType::new(Dtype::F32, &[4, 4]);
        let scores = graph.add_node("scores", Op::MatMul, &[x, x], f32());
        let shares = graph.add_node("shares", Op::Softmax { axis: -1 }, &[scores], f32());
        let mixed = graph.add_node("mixed", Op::MatMul, &[shares, x], f32());
        graph.outputs.push(mixed);
        graph
    }

    #[test]
    fn every_board_has_a_scheme_for_both_kinds_of_network() {
        let transformer = attention();
        assert_eq!(Scheme::of_architecture(&transformer), Scheme::Dynamic);
        let plain = Graph::new("plain");
        for name in Board::names() {
            let board = open(name).unwrap();
            let found = [&plain, &transformer].map(|graph| scheme(&board, graph).unwrap());
            let expected = match name {
                "jetson-orin-nano" => [Scheme::Int8Symmetric, Scheme::F16],
                "jetson-nano" => [Scheme::F16, Scheme::F16],
                _ => [Scheme::Int8, Scheme::Dynamic],
            };
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_board_of_a_file_is_read_and_a_damaged_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let text = include_str!("../../../../../boards/raspberry-pi-5.toml");
        std::fs::write(&path, text.replace("raspberry-pi-5", "mine")).unwrap();
        assert_eq!(open(path.to_str().unwrap()).unwrap().name, "mine");
        std::fs::write(&path, "name = 3").unwrap();
        let error = format!("{:#}", open(path.to_str().unwrap()).unwrap_err());
        assert!(error.contains("mine.toml"), "{error}");
        assert!(open("abacus").unwrap_err().to_string().contains("raspberry-pi-4"));
    }
}
