//! tract on ONNX graphs: any graph whose operators it has, with no native library.

mod elements;
mod graph;
mod plan;
mod report;
mod session;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use limbic_bundle::{GraphFormat, Signature};
use tract_onnx::prelude::TractResult;

use crate::backend::{Backend, Placement, Program, ProgramReport, ProgramSource, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::tract::plan::Plan;
use crate::tract::session::TractSession;

/// The release that the workspace pins.
const VERSION: &str = "tract 0.23.9";

/// Longest message of tract that is passed on, in characters.
const MESSAGE_CHARS: usize = 600;

/// The tract backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tract;

impl Backend for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn version(&self) -> String {
        VERSION.to_owned()
    }

    fn load(&self, source: &ProgramSource<'_>) -> Result<Arc<dyn Program>> {
        let graph = graph::read(source.name, source.whole(GraphFormat::Onnx)?)?;
        let plans = plan::prepare(source.name, &graph, source.signatures)?;
        let loaded = Loaded {
            name: source.name.to_owned(),
            signatures: source.signatures.to_vec(),
            plans,
        };
        Ok(Arc::new(TractProgram(Arc::new(loaded))))
    }

    fn describe(&self, source: &ProgramSource<'_>) -> Result<ProgramReport> {
        report::describe(source)
    }
}

/// What all sessions of a program share.
#[derive(Debug)]
struct Loaded {
    name: String,
    signatures: Vec<Signature>,
    /// One for each signature.
    plans: Vec<Plan>,
}

#[derive(Debug)]
struct TractProgram(Arc<Loaded>);

impl Program for TractProgram {
    fn signatures(&self) -> &[Signature] {
        &self.0.signatures
    }

    fn placement(&self) -> Placement {
        Placement::caller()
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(TractSession::new(Arc::clone(&self.0))?))
    }
}

/// Calls tract, and turns its errors, and a panic in it, into errors of this crate.
///
/// A graph comes from outside, and tract has places that panic on one it did not foresee. Where a panic aborts, as in a
/// release build of this workspace, it ends the program instead.
fn guarded<T>(
    kind: ErrorKind,
    place: &str,
    expected: &str,
    call: impl FnOnce() -> TractResult<T>,
) -> Result<T> {
    let found = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("a panic in tract: {}", text.unwrap_or("without a message"))
        }
    };
    let short: String = found.chars().take(MESSAGE_CHARS).collect();
    let rest = if short.len() < found.len() { "..." } else { "" };
    Err(Error::new(kind, place, expected, format!("{short}{rest}")))
}
