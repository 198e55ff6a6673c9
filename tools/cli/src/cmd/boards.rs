//! `limbic boards`

use std::process::ExitCode;

use anyhow::Result;
use limbic_boards::{Board, Facts, detect};
use serde::Serialize;

use crate::args::Boards;
use crate::show::print_line;

/// A board as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    board: &'a Board,
    /// Why this machine is one; nothing where it is another.
    this_machine: Option<&'a str>,
}

/// Lists the boards and says which one this machine is.
pub fn run(args: &Boards) -> Result<ExitCode> {
    let boards = Board::all()?;
    let found = detect(&Facts::of_this_machine(), &boards);
    for board in &boards {
        let here = found.as_ref().filter(|found| found.board.name == board.name);
        let by = here.map(|found| found.by.as_str());
        if args.json {
            let line = Line {
                board,
                this_machine: by,
            };
            print_line(&serde_json::to_string(&line)?)?;
            continue;
        }
        let mark = if here.is_some() { "*" } else { " " };
        let precision = format!(
            "{} / {}",
            board.precision.convolutions.name(),
            board.precision.transformers.name()
        );
        let line = format!("{mark} {:<20} {precision:<22} {}", board.name, board.description);
        print_line(&line)?;
    }
    if !args.json {
        let words = match &found {
            Some(found) if found.missing.is_empty() => format!("* this machine: {}", found.by),
            Some(found) => format!(
                "* this machine: {}; its kernel does not name {}",
                found.by,
                found.missing.join(", ")
            ),
            None => "this machine is none of them".to_owned(),
        };
        print_line(&words)?;
    }
    Ok(ExitCode::SUCCESS)
}
