//! `limbic conformance`

mod backend;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use limbic_compile::host::Engine;
use limbic_engine::Cpu;
use limbic_graph::conformance::{self, CaseReport, Cases, Interpreter, Outcome, System};
use serde::Serialize;

use crate::args::Conformance;
use crate::failure;
use crate::show::print_line;

/// A case as `--json` prints it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    case: &'a str,
    outcome: &'static str,
    expanded: bool,
    bound_inputs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    largest_difference: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// How many cases came out how.
#[derive(Debug, Default, Serialize)]
struct Counts {
    all: usize,
    passed: usize,
    /// Of those that passed: with inputs bound as constants.
    passed_with_bound_inputs: usize,
    failed: usize,
    broken: usize,
    unsupported: usize,
}

impl Counts {
    fn add(&mut self, report: &CaseReport) {
        self.all += 1;
        match report.outcome {
            Outcome::Passed => {
                self.passed += 1;
                self.passed_with_bound_inputs += usize::from(report.bound > 0);
            }
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Broken(_) => self.broken += 1,
            Outcome::Unsupported(_) => self.unsupported += 1,
        }
    }

    fn words(&self) -> String {
        format!(
            "{} passed ({} with inputs bound as constants), {} failed, {} broke off, {} unsupported, of {}",
            self.passed, self.passed_with_bound_inputs, self.failed, self.broken, self.unsupported, self.all
        )
    }
}

/// Runs every case and prints a line each, then the counts.
pub fn run(args: &Conformance) -> Result<ExitCode> {
    let mut system = system(&args.backend)?;
    let mut cases =
        Cases::open(&args.cases).with_context(|| format!("can't use {}", args.cases.display()))?;
    let mut names = cases.names();
    if let Some(text) = &args.only {
        names.retain(|name| name.contains(text.as_str()));
    }
    if names.is_empty() {
        bail!(
            "no case has {} in its name",
            args.only.as_deref().unwrap_or_default()
        );
    }
    let progress = ProgressBar::new(names.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {eta} left")?);
    let (mut plain, mut expanded) = (Counts::default(), Counts::default());
    for name in &names {
        let report = conformance::run(&cases.load(name)?, system.as_mut());
        let counts = if report.expanded {
            &mut expanded
        } else {
            &mut plain
        };
        counts.add(&report);
        progress.suspend(|| print_case(&report, args.json))?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    if args.json {
        let counts = serde_json::json!({ "backend": args.backend, "operators": plain, "expanded": expanded });
        print_line(&counts.to_string())?;
    } else {
        print_line(&format!("operators: {}", plain.words()))?;
        print_line(&format!("expanded:  {}", expanded.words()))?;
    }
    let wrong = [&plain, &expanded]
        .iter()
        .map(|c| c.failed + c.broken)
        .sum::<usize>();
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::SAID_NO)
    })
}

fn system(name: &str) -> Result<Box<dyn System>> {
    match name {
        "interpreter" => Ok(Box::new(Interpreter)),
        "engine" => Ok(Box::new(Engine { cpu: Cpu::detect() })),
        name => Ok(Box::new(backend::Backend::new(name)?)),
    }
}

fn print_case(report: &CaseReport, json: bool) -> Result<()> {
    let (outcome, largest_difference, detail) = match &report.outcome {
        Outcome::Passed => ("passed", None, None),
        Outcome::Failed(d) => (
            "failed",
            Some(d.amount),
            Some(format!("output {}: {}", d.output, d.what)),
        ),
        Outcome::Unsupported(what) => ("unsupported", None, Some(what.clone())),
        Outcome::Broken(error) => ("broken", None, Some(error.to_string())),
    };
    if json {
        let line = Line {
            case: &report.name,
            outcome,
            expanded: report.expanded,
            bound_inputs: report.bound,
            largest_difference,
            detail,
        };
        return print_line(&serde_json::to_string(&line)?);
    }
    let mut line = format!("{outcome:11} {}", report.name);
    if let Some(amount) = largest_difference {
        line.push_str(&format!("  largest difference {amount:.3e}"));
    }
    if let Some(detail) = detail {
        line.push_str(&format!("  {}", detail.replace('\n', " ")));
    }
    print_line(&line)
}
