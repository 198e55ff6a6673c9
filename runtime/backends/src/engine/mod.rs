//! The engine on compiled plans: read in place, run with the instructions that the processor has.

mod pace;
mod pool;
mod program;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use limbic_engine::Cpu;

use crate::backend::{Backend, Program, ProgramReport, ProgramSource};
use crate::engine::program::EngineProgram;
use crate::error::{Error, ErrorKind, Result};

/// The engine on one processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Engine {
    cpu: Cpu,
    /// Threads of a run at most, the caller's included.
    threads: usize,
}

impl Engine {
    /// All instructions of this processor.
    pub(crate) fn detect() -> Self {
        Self {
            cpu: Cpu::detect(),
            threads: 1,
        }
    }

    /// On so many threads at most, the caller's included: no more than this process may use at a time.
    pub(crate) fn with_threads(self, threads: usize) -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: threads.clamp(1, most),
            ..self
        }
    }

    /// No instructions above a tier.
    pub(crate) fn with_tier(name: &str) -> Result<Self> {
        let cpu = Cpu::detect();
        if let Some(cpu) = cpu.tiers().find(|cpu| cpu.tier().name() == name) {
            return Ok(Self { cpu, threads: 1 });
        }
        let tiers: Vec<&str> = cpu.tiers().map(|cpu| cpu.tier().name()).collect();
        Err(Error::new(
            ErrorKind::UnknownBackend,
            "engine",
            format!("a tier of this processor: {}", tiers.join(", ")),
            format!("{name:?}"),
        ))
    }
}

impl Backend for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn version(&self) -> String {
        format!(
            "engine {} ({})",
            env!("CARGO_PKG_VERSION"),
            self.cpu.tier().name()
        )
    }

    fn load(&self, source: &ProgramSource<'_>) -> Result<Arc<dyn Program>> {
        Ok(Arc::new(EngineProgram::load(source, self.cpu, self.threads)?))
    }

    fn describe(&self, source: &ProgramSource<'_>) -> Result<ProgramReport> {
        let program = EngineProgram::load(source, self.cpu, 1)?;
        let mut operators = BTreeMap::new();
        let mut macs = Vec::new();
        for (signature, compiled) in program.compiled() {
            let mut sum = 0;
            for step in compiled.steps(source.name)? {
                *operators.entry(step.name().to_owned()).or_insert(0) += 1;
                sum += step.macs();
            }
            macs.push((signature.name.clone(), Some(sum)));
        }
        Ok(ProgramReport {
            operators: operators.into_iter().collect(),
            parameters: None,
            macs,
        })
    }
}
