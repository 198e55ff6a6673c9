//! Running graphs on the data sets and judging their answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use limbic_affect::{Head, HeadKind, HeadSpec, LabelSpaces, LogitPool, Pooling};
use limbic_bundle::Manifest;
use limbic_graph::{Graph, Tensor, interpret};
use limbic_quantize::control::{Judge, Set};
use limbic_quantize::verdict::{Class, Verdict};
use limbic_quantize::{Error, ErrorKind, heads};

use crate::args::QuantizeMetric;
use crate::inputs::Pictures;
use crate::metrics::{self, Answer, Judged, Labelling};
use crate::network::{Item, Network};

/// The data sets and the head that is judged.
pub struct Data {
    pub network: Network,
    pub calib: Vec<Item>,
    pub tune: Vec<Item>,
    pub eval: Vec<Item>,
    /// Head that is judged, as it now answers.
    pub head: HeadSpec,
    /// Output of the graph that it reads.
    output: usize,
    spaces: LabelSpaces,
    pooling: Pooling,
    labels: Vec<String>,
    metric: QuantizeMetric,
    bar: ProgressBar,
    /// Item and window of each input of the calibration set, found as far as it was read.
    windows: Vec<(usize, usize)>,
    cut: usize,
    pictures: Pictures,
    /// Greatest difference of a probability between float and quantized on the tune set.
    pub difference: f64,
    /// What was fitted, in words.
    pub fitted: Vec<String>,
}

impl Data {
    /// Chooses the head whose labels the data has.
    pub fn new(
        network: Network,
        manifest: &Manifest,
        sets: [Vec<Item>; 3],
        wanted: Option<&str>,
        metric: Option<QuantizeMetric>,
    ) -> Result<Self> {
        let spaces = LabelSpaces::with_own(&manifest.label_spaces)?;
        let data: Vec<&str> = sets
            .iter()
            .flatten()
            .flat_map(|item| &item.labels)
            .map(String::as_str)
            .collect();
        let mut seen = Vec::new();
        let mut chosen = None;
        for (n, output) in crate::network::answering_heads(manifest, &network.values) {
            let head = &manifest.heads[n];
            let labels: Vec<String> = spaces
                .by_id(&head.label_space)?
                .names()
                .map(str::to_owned)
                .collect();
            let fits = data.iter().all(|label| labels.iter().any(|own| own == label));
            if fits && wanted.is_none_or(|name| name == head.name) {
                chosen = Some((head.clone(), output, labels));
                break;
            }
            seen.push(format!("{} ({})", head.name, labels.join(" ")));
        }
        let Some((head, output, labels)) = chosen else {
            bail!("no head has all labels of the data; there is {}", seen.join(", "));
        };
        if !matches!(head.kind, HeadKind::Softmax | HeadKind::MultiLabel) {
            bail!(
                "head {} is {}; softmax and multi_label are judged",
                head.name,
                head.kind.name()
            );
        }
        let metric = metric.unwrap_or(match head.kind {
            HeadKind::MultiLabel => QuantizeMetric::MacroF1,
            _ => QuantizeMetric::Accuracy,
        });
        let [calib, tune, eval] = sets;
        Ok(Self {
            network,
            calib,
            tune,
            eval,
            head,
            output,
            spaces,
            pooling: manifest.pooling.rule().unwrap_or(Pooling::MeanLogits),
            labels,
            metric,
            bar: ProgressBar::new(0)
                .with_style(ProgressStyle::with_template("{msg:32} {bar:32} {pos}/{len}")?),
            windows: Vec::new(),
            cut: 0,
            pictures: Pictures::default(),
            difference: 0.0,
            fitted: Vec::new(),
        })
    }

    /// Takes the progress bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn items(&self, set: Set) -> &[Item] {
        match set {
            Set::Tune => &self.tune,
            Set::Eval => &self.eval,
        }
    }

    /// Pooled logits of the judged head for each item of a set, on every core; none for an item without a window.
    fn logits(&self, graph: &Graph, set: Set) -> Result<Vec<Option<Vec<f64>>>> {
        let items = self.items(set);
        self.bar.set_length(items.len() as u64);
        self.bar.set_position(0);
        let next = AtomicUsize::new(0);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut found: Vec<(usize, Option<Vec<f64>>)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores.min(items.len().max(1)))
                .map(|_| {
                    scope.spawn(|| -> Result<Vec<(usize, Option<Vec<f64>>)>> {
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
        Ok(found.into_iter().map(|(_, logits)| logits).collect())
    }

    fn pooled(&self, graph: &Graph, item: &Item, pictures: &mut Pictures) -> Result<Option<Vec<f64>>> {
        let windows = self.network.windows(item, pictures)?;
        let mut pool = LogitPool::new(self.pooling, self.labels.len());
        for window in &windows {
            let outputs = interpret::run(graph, &window.tensors)?;
            let logits = outputs.get(self.output).context("an output is missing")?.to_f32();
            pool.push(&logits, window.tokens)
                .with_context(|| format!("line {}", item.line))?;
        }
        // A text of marks alone has a window but no token to weigh it by.
        Ok(if pool.windows() > 0 {
            pool.mean().ok()
        } else {
            None
        })
    }

    fn truth(&self, item: &Item) -> Vec<usize> {
        let mut truth: Vec<usize> = item
            .labels
            .iter()
            .filter_map(|label| self.labels.iter().position(|own| own == label))
            .collect();
        truth.sort_unstable();
        truth.dedup();
        truth
    }

    fn answers(&self, logits: &[Option<Vec<f64>>]) -> Result<Vec<Option<Answer>>> {
        let head = Head::new(&self.head, &self.spaces, None)?;
        let answer = |logits: &Vec<f64>| -> Result<Option<Answer>> {
            let prediction = head.predict(logits)?;
            Ok((!prediction.abstained()).then(|| Answer {
                probabilities: prediction.probabilities().to_vec(),
                selected: {
                    let mut selected = prediction.selected().to_vec();
                    selected.sort_unstable();
                    selected
                },
            }))
        };
        logits
            .iter()
            .map(|logits| logits.as_ref().map_or(Ok(None), answer))
            .collect()
    }

    fn verdict(&self, graph: &Graph, set: Set) -> Result<Verdict> {
        let answers = self.answers(&self.logits(graph, set)?)?;
        let judged: Vec<Judged> = self
            .items(set)
            .iter()
            .zip(&answers)
            .map(|(item, answer)| Judged {
                truth: self.truth(item),
                answer: answer.clone(),
            })
            .collect();
        let labelling = match self.head.kind {
            HeadKind::MultiLabel => Labelling::MultiLabel,
            _ => Labelling::Exclusive,
        };
        let found = metrics::evaluate(&judged, &self.labels, labelling);
        let metric = match self.metric {
            QuantizeMetric::Accuracy => found.accuracy,
            QuantizeMetric::Uar => found.unweighted_average_recall,
            QuantizeMetric::MacroF1 => found.macro_f1,
            QuantizeMetric::MicroF1 => found.micro_f1,
        };
        let classes = self
            .labels
            .iter()
            .enumerate()
            .map(|(n, label)| {
                let with = judged.iter().filter(|item| item.truth.contains(&n));
                let right = |item: &&Judged| {
                    item.answer
                        .as_ref()
                        .is_some_and(|answer| answer.selected.contains(&n))
                };
                Class {
                    label: label.clone(),
                    support: with.clone().count(),
                    right: with.filter(right).count(),
                }
            })
            .collect();
        Ok(Verdict {
            metric: 100.0 * metric.context("the data has no items that the metric can be stated on")?,
            answers: answers
                .into_iter()
                .map(|answer| answer.map_or_else(Vec::new, |answer| answer.selected))
                .collect(),
            classes,
        })
    }

    fn fit(&mut self, float: &Graph, quantized: &Graph) -> Result<()> {
        let before = self.logits(float, Set::Tune)?;
        let after = self.logits(quantized, Set::Tune)?;
        let (old, new) = (self.answers(&before)?, self.answers(&after)?);
        let mut fitted = self.head.clone();
        let pairs: Vec<(&Answer, &Answer)> = old
            .iter()
            .zip(&new)
            .filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?)))
            .collect();
        if self.head.kind == HeadKind::MultiLabel {
            let thresholds = if fitted.thresholds.is_empty() {
                vec![0.5; self.labels.len()]
            } else {
                fitted.thresholds.clone()
            };
            fitted.thresholds = thresholds
                .iter()
                .enumerate()
                .map(|(n, &threshold)| {
                    let probabilities: Vec<f64> = pairs.iter().map(|(_, b)| b.probabilities[n]).collect();
                    let decisions: Vec<bool> = pairs
                        .iter()
                        .map(|(a, _)| a.probabilities[n] >= threshold)
                        .collect();
                    heads::fit_threshold(&probabilities, &decisions, threshold)
                })
                .collect();
            self.fitted
                .push(format!("thresholds of {}: {:?}", fitted.name, fitted.thresholds));
        } else {
            let (logits, truth): (Vec<Vec<f64>>, Vec<usize>) = after
                .iter()
                .zip(&self.tune)
                .filter_map(|(logits, item)| Some((logits.clone()?, *self.truth(item).first()?)))
                .unzip();
            if let Some(temperature) = heads::fit_temperature(&logits, &truth) {
                fitted.temperature = temperature;
                self.fitted
                    .push(format!("temperature of {}: {temperature:.4}", fitted.name));
            }
        }
        self.difference = pairs
            .iter()
            .flat_map(|(a, b)| a.probabilities.iter().zip(&b.probabilities))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        self.head = fitted;
        Ok(())
    }

    /// The window of a number in the calibration set; items are cut as they are reached.
    fn calibration_window(&mut self, n: usize) -> Result<Option<Vec<Tensor>>> {
        while self.windows.len() <= n && self.cut < self.calib.len() {
            let count = self
                .network
                .windows(&self.calib[self.cut], &mut self.pictures)?
                .len();
            self.windows.extend((0..count).map(|window| (self.cut, window)));
            self.cut += 1;
        }
        let Some(&(item, window)) = self.windows.get(n) else {
            return Ok(None);
        };
        let mut windows = self.network.windows(&self.calib[item], &mut self.pictures)?;
        Ok((window < windows.len()).then(|| windows.swap_remove(window).tensors))
    }
}

impl Judge for Data {
    fn calibration(&mut self, n: usize) -> limbic_quantize::Result<Option<Vec<Tensor>>> {
        self.calibration_window(n).map_err(data)
    }

    fn judge(&mut self, graph: &Graph, set: Set) -> limbic_quantize::Result<Verdict> {
        self.verdict(graph, set).map_err(data)
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
