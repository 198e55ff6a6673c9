//! `limbic compare`

mod side;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use limbic_graph::{Dtype, Graph, Tensor};
use limbic_quantize::sensitivity::SignalToNoise;
use serde::Serialize;

use crate::args::Compare;
use crate::dataset::{Dataset, Labels};
use crate::failure;
use crate::inputs::Pictures;
use crate::network;
use crate::show::print_line;

use side::Side;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    a: String,
    b: String,
    /// What ran each of the two; nothing for recorded tensors.
    backends: [Option<String>; 2],
    inputs: usize,
    tensors: Vec<Row>,
    /// The first tensor, in the order they are made, whose signal-to-noise ratio is under the limit.
    first_divergent: Option<String>,
    /// Tensors with NaN or infinite values, with the file they are in.
    not_finite: Vec<String>,
}

/// A tensor that both have.
#[derive(Debug, Serialize)]
struct Row {
    tensor: String,
    max_abs: f64,
    /// Nothing where the two are equal.
    snr_db: Option<f64>,
    /// Nothing where one is all zeros.
    cosine: Option<f64>,
    /// Share of the inputs whose greatest element is at the same place, in `0..=1`.
    equal_top: f64,
}

/// Differences of one tensor over all inputs.
#[derive(Debug, Default)]
struct Difference {
    max_abs: f64,
    ratio: SignalToNoise,
    products: [f64; 3],
    /// Inputs, and those whose greatest element is at the same place.
    tops: [usize; 2],
}

impl Difference {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        self.ratio.add(b, a);
        self.tops[0] += 1;
        self.tops[1] += usize::from(top(a) == top(b));
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            // A NaN is the greatest difference there is.
            let apart = (a - b).abs();
            self.max_abs = if apart.is_nan() {
                f64::INFINITY
            } else {
                self.max_abs.max(apart)
            };
            self.products[0] += a * b;
            self.products[1] += a * a;
            self.products[2] += b * b;
        }
    }

    fn row(&self, tensor: String) -> Row {
        let [ab, aa, bb] = self.products;
        let norm = (aa * bb).sqrt();
        Row {
            tensor,
            max_abs: self.max_abs,
            snr_db: Some(self.ratio.db()).filter(|db| db.is_finite()),
            cosine: (norm > 0.0).then(|| ab / norm),
            equal_top: self.tops[1] as f64 / self.tops[0].max(1) as f64,
        }
    }
}

/// Place of the greatest element, the first of equals.
fn top(values: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (n, &value) in values.iter().enumerate() {
        if best.is_none_or(|(_, most)| value > most) {
            best = Some((n, value));
        }
    }
    best.map(|(n, _)| n)
}

/// Compares two networks, or a network and recorded tensors, tensor by tensor.
pub fn run(args: &Compare) -> Result<ExitCode> {
    let (mut a, mut b) = (Side::open(&args.a)?, Side::open(&args.b)?);
    let mut differences: Vec<(String, Difference)> = Vec::new();
    let mut not_finite = Vec::new();
    let inputs = inputs(args, &a, &b)?;
    for input in &inputs {
        let mut seen: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        a.walk(input, &mut |name, values| {
            scan(&mut not_finite, &args.a, name, &values);
            seen.insert(name.to_owned(), values);
        })?;
        b.walk(input, &mut |name, values| {
            scan(&mut not_finite, &args.b, name, &values);
            let Some(expected) = seen.get(name).filter(|expected| expected.len() == values.len()) else {
                return;
            };
            let n = match differences.iter().position(|(known, _)| known == name) {
                Some(n) => n,
                None => {
                    differences.push((name.to_owned(), Difference::default()));
                    differences.len() - 1
                }
            };
            differences[n].1.add(expected, &values);
        })?;
    }
    let tensors: Vec<Row> = differences
        .into_iter()
        .map(|(name, found)| found.row(name))
        .collect();
    let first_divergent = tensors
        .iter()
        .find(|row| row.max_abs.is_infinite() || row.snr_db.is_some_and(|db| db < args.least_snr))
        .map(|row| row.tensor.clone());
    let report = Report {
        a: args.a.display().to_string(),
        b: args.b.display().to_string(),
        backends: [a.backend(), b.backend()],
        inputs: inputs.len(),
        tensors,
        first_divergent,
        not_finite,
    };
    if args.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print_table(&report)?;
    }
    if report.tensors.is_empty() {
        bail!(
            "{} and {} have no tensor of one name and size in common",
            report.a,
            report.b
        );
    }
    let passed = report.first_divergent.is_none() && report.not_finite.is_empty();
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::SAID_NO)
    })
}

/// What the networks are run on, by the names of their inputs: items of the data, recorded inputs, or noise.
fn inputs(args: &Compare, a: &Side, b: &Side) -> Result<Vec<BTreeMap<String, Tensor>>> {
    let sides = [a, b];
    let graph = sides.iter().find_map(|side| side.graph());
    let graph = graph.context("one of the two must be a network")?;
    let recorded = sides.iter().find_map(|side| side.recorded());
    if let Some(path) = &args.data {
        if recorded.is_some() {
            bail!("a .npz has its own inputs; leave --data out");
        }
        let network = sides.iter().find_map(|side| side.network());
        let network =
            network.context("--data needs a bundle, whose preprocessing makes tensors of the items")?;
        let dataset = Dataset::read(path, Labels::Optional)?;
        let mut pictures = Pictures::default();
        let mut found = Vec::new();
        for item in network.items(&dataset) {
            for window in network.windows(&item, &mut pictures)? {
                let names = network
                    .graph
                    .inputs
                    .iter()
                    .map(|id| network.graph.value(*id).name.clone());
                found.push(names.zip(window.tensors).collect());
                if found.len() == args.limit {
                    return Ok(found);
                }
            }
        }
        return Ok(found);
    }
    if let Some(recorded) = recorded {
        return rows(graph, recorded, args.limit);
    }
    let noise = (0..args.limit.min(4) as u32).map(|n| {
        graph
            .inputs
            .iter()
            .map(|id| Ok((graph.value(*id).name.clone(), noise(graph, *id, n)?)))
            .collect::<Result<_>>()
    });
    noise.collect()
}

/// One run for each row of the recorded inputs, with the rows of everything else that was recorded; a single one where
/// the arrays are as large as the network's inputs.
fn rows(
    graph: &Graph,
    recorded: &BTreeMap<String, Tensor>,
    limit: usize,
) -> Result<Vec<BTreeMap<String, Tensor>>> {
    let mut count = 1;
    for id in &graph.inputs {
        let value = graph.value(*id);
        let array = recorded
            .get(&value.name)
            .with_context(|| format!("no array {} for the input", value.name))?;
        let one: Option<usize> = value.ty.shape().map(|shape| shape.iter().product());
        if one != Some(array.len()) {
            count = array.shape().first().copied().unwrap_or(1);
        }
    }
    let row = |n: usize| -> Result<BTreeMap<String, Tensor>> {
        let all = recorded.iter().map(|(name, array)| {
            let tensor = if count > 1 && array.shape().first() == Some(&count) {
                network::row_of(array, n, None).with_context(|| format!("array {name}"))?
            } else {
                array.clone()
            };
            Ok((name.clone(), tensor))
        });
        all.collect()
    };
    (0..count.min(limit)).map(row).collect()
}

/// Deterministic numbers from -1 to 1, or ones for integers, in the shape of an input.
fn noise(graph: &Graph, id: limbic_graph::ValueId, seed: u32) -> Result<Tensor> {
    let value = graph.value(id);
    let shape = value
        .ty
        .shape()
        .with_context(|| format!("input {} has no fixed shape; give --data", value.name))?;
    let count: usize = shape.iter().product();
    Ok(match value.ty.dtype {
        Dtype::F32 => {
            let number = |n: u32| {
                let bits = n.wrapping_add(seed.wrapping_mul(97)).wrapping_mul(2_654_435_761) >> 8;
                bits as f32 / (1 << 23) as f32 - 1.0
            };
            Tensor::new(&shape, (0..count as u32).map(number).collect::<Vec<f32>>())?
        }
        Dtype::I64 => Tensor::new(&shape, vec![1i64; count])?,
        other => bail!("input {} is {other}; give --data", value.name),
    })
}

fn scan(found: &mut Vec<String>, path: &Path, name: &str, values: &[f32]) {
    if values.iter().any(|value| !value.is_finite()) {
        let line = format!("{}: {name}", path.display());
        if !found.contains(&line) {
            found.push(line);
        }
    }
}

fn print_table(report: &Report) -> Result<()> {
    let [a, b] = report
        .backends
        .each_ref()
        .map(|backend| backend.as_deref().unwrap_or("recorded"));
    print_line(&format!(
        "{} ({a}) and {} ({b}) on {} inputs",
        report.a, report.b, report.inputs
    ))?;
    print_line(&format!(
        "{:>12} {:>9} {:>9} {:>9}  tensor",
        "max abs", "SNR dB", "cosine", "equal top"
    ))?;
    for row in &report.tensors {
        let snr = row
            .snr_db
            .map_or_else(|| "equal".to_owned(), |db| format!("{db:.1}"));
        let cosine = row
            .cosine
            .map_or_else(|| "-".to_owned(), |cosine| format!("{cosine:.5}"));
        print_line(&format!(
            "{:>12.4e} {snr:>9} {cosine:>9} {:>7.2} %  {}",
            row.max_abs,
            100.0 * row.equal_top,
            row.tensor
        ))?;
    }
    for line in &report.not_finite {
        print_line(&format!("NaN or infinite: {line}"))?;
    }
    if let Some(tensor) = &report.first_divergent {
        print_line(&format!("first that diverges: {tensor}"))?;
    }
    Ok(())
}
