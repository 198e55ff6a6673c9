//! Running graphs on the data sets and judging their answers.

mod fit;
mod target;
mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use limbic_affect::{HeadSpec, LabelSpaces, LogitPool, Pooling};
use limbic_bundle::Manifest;
use limbic_graph::{Graph, Tensor, interpret};
use limbic_quantize::control::{Judge, Set};
use limbic_quantize::verdict::Verdict;
use limbic_quantize::{Error, ErrorKind};

use crate::args::QuantizeMetric;
use crate::cmd::quantize::sets::{DataSet, Sets};
use crate::inputs::Pictures;
use crate::network::{Item, Network};

use target::{Role, Target};

/// What the outputs of an item are, one vector a target.
struct Outputs {
    /// Pooled over its windows; nothing for an item without one.
    pooled: Option<Vec<Vec<f64>>>,
    /// Of each window.
    windows: Vec<Vec<Vec<f64>>>,
}

/// The data sets and the heads that are judged.
pub struct Data {
    pub network: Network,
    sets: Sets,
    targets: Vec<Target>,
    spaces: LabelSpaces,
    pooling: Pooling,
    bar: ProgressBar,
    /// Set, item and window of each input of the calibration sets, found as far as they were read.
    windows: Vec<(usize, usize, usize)>,
    /// Set and item that are read next.
    cut: (usize, usize),
    pictures: Pictures,
    /// Greatest difference of a probability between float and quantized on the tune sets.
    pub difference: f64,
    /// What was fitted, in words.
    pub fitted: Vec<String>,
    /// Heads that are not judged, each with the reason.
    pub not_judged: Vec<String>,
}

impl Data {
    /// Chooses the heads whose labels the data has.
    pub fn new(
        network: Network,
        manifest: &Manifest,
        sets: Sets,
        wanted: Option<&str>,
        metric: Option<QuantizeMetric>,
    ) -> Result<Self> {
        let (targets, not_judged) = target::targets(
            manifest,
            &network.graph,
            &network.values,
            &sets.eval,
            wanted,
            metric,
        )?;
        Ok(Self {
            network,
            sets,
            targets,
            spaces: LabelSpaces::with_own(&manifest.label_spaces)?,
            pooling: manifest.pooling.rule().unwrap_or(Pooling::MeanLogits),
            bar: ProgressBar::new(0)
                .with_style(ProgressStyle::with_template("{msg:32} {bar:32} {pos}/{len}")?),
            windows: Vec::new(),
            cut: (0, 0),
            pictures: Pictures::default(),
            difference: 0.0,
            fitted: Vec::new(),
            not_judged,
        })
    }

    /// Takes the progress bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// The heads that answer, as they were fitted.
    pub fn heads(&self) -> impl Iterator<Item = &HeadSpec> {
        self.targets.iter().filter_map(|target| match &target.role {
            Role::Head { spec, .. } => Some(spec),
            Role::Gate { .. } | Role::Distribution | Role::Embedding => None,
        })
    }

    fn sets(&self, set: Set) -> &[DataSet] {
        match set {
            Set::Tune => &self.sets.tune,
            Set::Eval => &self.sets.eval,
        }
    }

    /// What the targets read for each item of a set, on every core.
    fn outputs(&self, graph: &Graph, set: &DataSet) -> Result<Vec<Outputs>> {
        let items = &set.items;
        self.bar.set_length(items.len() as u64);
        self.bar.set_position(0);
        let next = AtomicUsize::new(0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut found: Vec<(usize, Outputs)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores.min(items.len().max(1)))
                .map(|_| {
                    scope.spawn(|| -> Result<Vec<(usize, Outputs)>> {
                        let mut pictures = Pictures::default();
                        let mut done = Vec::new();
                        loop {
                            let n = next.fetch_add(1, Ordering::Relaxed);
                            let Some(item) = items.get(n) else { return Ok(done) };
                            done.push((n, self.pooled(graph, item, &mut pictures)?));
                            self.bar.inc(1);
                        }
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| anyhow!("a worker thread died"))?)
                .collect::<Result<Vec<_>>>()
                .map(|parts| parts.into_iter().flatten().collect())
        })?;
        found.sort_by_key(|(n, _)| *n);
        Ok(found.into_iter().map(|(_, outputs)| outputs).collect())
    }

    fn pooled(&self, graph: &Graph, item: &Item, pictures: &mut Pictures) -> Result<Outputs> {
        let mut pools: Vec<LogitPool> = Vec::new();
        let mut windows = Vec::new();
        for window in &self.network.windows(item, pictures)? {
            let outputs = interpret::run(graph, &window.tensors)?;
            let mut vectors = Vec::new();
            for (n, target) in self.targets.iter().enumerate() {
                let values = outputs
                    .get(target.output)
                    .context("an output is missing")?
                    .to_f32();
                if pools.len() == n {
                    pools.push(LogitPool::new(self.pooling, values.len()));
                }
                pools[n]
                    .push(&values, window.tokens)
                    .with_context(|| format!("line {}, {}", item.line, target.name))?;
                vectors.push(values.iter().map(|&value| f64::from(value)).collect());
            }
            windows.push(vectors);
        }
        // A text of marks alone has a window but no token to weigh it by.
        if pools.iter().any(|pool| pool.windows() == 0) || pools.is_empty() {
            return Ok(Outputs {
                pooled: None,
                windows: Vec::new(),
            });
        }
        let pooled = pools.iter().map(|pool| pool.mean().ok()).collect();
        Ok(Outputs { pooled, windows })
    }

    /// The window of a number in the calibration sets; items are cut as they are reached.
    fn calibration_window(&mut self, n: usize) -> Result<Option<Vec<Tensor>>> {
        while self.windows.len() <= n
            && let Some(set) = self.sets.calib.get(self.cut.0)
        {
            let (place, item) = self.cut;
            let Some(next) = set.items.get(item) else {
                self.cut = (place + 1, 0);
                continue;
            };
            let count = self.network.windows(next, &mut self.pictures)?.len();
            self.windows
                .extend((0..count).map(|window| (place, item, window)));
            self.cut = (place, item + 1);
        }
        let Some(&(set, item, window)) = self.windows.get(n) else {
            return Ok(None);
        };
        let item = &self.sets.calib[set].items[item];
        let mut windows = self.network.windows(item, &mut self.pictures)?;
        Ok((window < windows.len()).then(|| windows.swap_remove(window).tensors))
    }
}

impl Judge for Data {
    fn calibration(&mut self, n: usize) -> limbic_quantize::Result<Option<Vec<Tensor>>> {
        self.calibration_window(n).map_err(data)
    }

    fn judge(&mut self, graph: &Graph, set: Set) -> limbic_quantize::Result<Vec<Verdict>> {
        self.verdicts(graph, set).map_err(data)
    }

    fn refit(&mut self, float: &Graph, quantized: &Graph) -> limbic_quantize::Result<()> {
        self.fit(float, quantized).map_err(data)
    }

    fn progress(&mut self, stage: &str, done: usize, of: usize) {
        self.bar.set_message(stage.to_owned());
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
    }
}

fn data(error: anyhow::Error) -> Error {
    Error::new(
        ErrorKind::Data,
        "",
        "data that the model answers to",
        format!("{error:#}"),
    )
}
