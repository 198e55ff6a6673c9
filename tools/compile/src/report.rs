//! What a plan is made of.

use std::fmt;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Name of the graph.
    pub graph: String,
    /// The steps, in order.
    pub steps: Vec<StepReport>,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes of the plan.
    pub plan_bytes: usize,
    /// Bytes of the weight packs.
    pub pack_bytes: usize,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Kernel.
    pub kernel: &'static str,
    /// Node of the graph.
    pub node: String,
    /// Types or extents that say more.
    pub detail: String,
    /// Multiply-accumulates of a run.
    pub macs: u64,
    /// Bytes that it writes.
    pub output_bytes: u32,
}

impl Report {
    /// Multiply-accumulates of a run.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|step| step.macs).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .steps
            .iter()
            .map(|s| s.node.chars().count())
            .max()
            .unwrap_or(0)
            .clamp(4, 48);
        writeln!(
            f,
            "{:>4}  {:<10}  {:<width$}  {:>12}  {:>9}  detail",
            "step", "kernel", "node", "MACs", "bytes"
        )?;
        for (n, step) in self.steps.iter().enumerate() {
            writeln!(
                f,
                "{n:>4}  {:<10}  {:<width$}  {:>12}  {:>9}  {}",
                step.kernel, step.node, step.macs, step.output_bytes, step.detail
            )?;
        }
        write!(
            f,
            "{}: {} steps, {} MACs, arena {} bytes, plan {} bytes, weights {} bytes",
            self.graph,
            self.steps.len(),
            self.macs(),
            self.arena_bytes,
            self.plan_bytes,
            self.pack_bytes
        )
    }
}
