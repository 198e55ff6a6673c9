//! `limbic eval`

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use limbic::{Answer as Recognized, Event, Origin, Recognizer, Sense};
use serde::Serialize;

use crate::args::Eval;
use crate::dataset::{Broken, Dataset, Labels, Row};
use crate::inputs::{self, Pictures, Place};
use crate::metrics::{self, Answer, Confusion, Judged, Labelling, Metrics};
use crate::show::print_line;
use crate::{bundled, failure};

use target::Target;

mod target;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    data: String,
    bundles: Vec<BundleName<'a>>,
    head: &'a str,
    label_space: &'a str,
    labels: &'a [String],
    #[serde(flatten)]
    metrics: &'a Metrics,
    /// Least probability of each label of a multi-label head; null for an exclusive one.
    thresholds: Option<BTreeMap<&'a str, f64>>,
    /// How often each reason for no answer occurred.
    no_answer_reasons: BTreeMap<String, usize>,
    /// Number of rows that could not be read; they are in no figure.
    unreadable: usize,
    unreadable_rows: &'a [Broken],
}

#[derive(Debug, Serialize)]
struct BundleName<'a> {
    name: &'a str,
    version: &'a str,
}

/// What became of one row.
enum Outcome {
    Judged(Judged, Option<String>),
    Unreadable(Broken),
}

/// Judges a bundle on a labelled set.
pub fn run(args: &Eval) -> Result<ExitCode> {
    let mut dataset = Dataset::read(&args.data, Labels::Required)?;
    if let Some(limit) = args.limit {
        dataset.rows.truncate(limit);
    }
    if dataset.rows.is_empty() && dataset.broken.is_empty() {
        bail!("{} has no rows", args.data.display());
    }
    let recognizer = open(args, &dataset)?;
    let target = Target::choose(&recognizer, &dataset, args.head.as_deref())?;
    let outcomes = judge_all(args, &dataset, &target, recognizer)?;

    let mut judged = Vec::new();
    let mut broken = std::mem::take(&mut dataset.broken);
    let mut reasons = BTreeMap::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Judged(item, reason) => {
                if let Some(reason) = reason {
                    *reasons.entry(reason).or_insert(0) += 1;
                }
                judged.push(item);
            }
            Outcome::Unreadable(row) => broken.push(row),
        }
    }
    broken.sort_by_key(|row| row.line);
    let metrics = metrics::evaluate(&judged, &target.labels, target.labelling);

    let named = open(args, &dataset)?;
    let report = Report {
        data: args.data.display().to_string(),
        bundles: named
            .manifests()
            .map(|(_, manifest)| BundleName {
                name: &manifest.name,
                version: &manifest.version,
            })
            .collect(),
        head: &target.head,
        label_space: &target.label_space,
        labels: &target.labels,
        metrics: &metrics,
        thresholds: target.thresholds.as_ref().map(|thresholds| {
            target
                .labels
                .iter()
                .map(String::as_str)
                .zip(thresholds.iter().copied())
                .collect()
        }),
        no_answer_reasons: reasons,
        unreadable: broken.len(),
        unreadable_rows: &broken,
    };
    if args.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print_table(&report)?;
    }
    for row in &broken {
        let input = row
            .input
            .as_deref()
            .map(|input| format!(" {input}:"))
            .unwrap_or_default();
        eprintln!("can't read line {}:{input} {}", row.line, row.error);
    }
    let passed = broken.is_empty() || args.skip_unreadable;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::SAID_NO)
    })
}

/// Opens the models that the data's columns need.
fn open(args: &Eval, dataset: &Dataset) -> Result<Recognizer> {
    if args.bundle.is_empty() && !dataset.by_sense {
        bail!("a CSV with a column `input` is for one model: name it with --bundle");
    }
    bundled::open_bundles(&args.bundle, args.backend.as_deref(), 1)
}

/// Judges the rows on every core, each with a recognizer of its own, and gives the outcomes in the rows' order.
fn judge_all(args: &Eval, dataset: &Dataset, target: &Target, first: Recognizer) -> Result<Vec<Outcome>> {
    let progress = ProgressBar::new(dataset.rows.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {eta} left")?);
    let cores = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(dataset.rows.len().max(1));
    let mut recognizers = vec![first];
    for _ in 1..cores {
        recognizers.push(open(args, dataset)?);
    }
    let next = AtomicUsize::new(0);
    let mut outcomes: Vec<(usize, Outcome)> = std::thread::scope(|scope| {
        let workers: Vec<_> = recognizers
            .into_iter()
            .map(|recognizer| {
                let (next, progress) = (&next, &progress);
                scope.spawn(move || {
                    let mut worker = Worker {
                        recognizer,
                        pictures: Pictures::default(),
                    };
                    let mut done = Vec::new();
                    while let Some(row) = dataset.rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                        done.push((row.index, judge(&mut worker, dataset, target, row)));
                        progress.inc(1);
                    }
                    done
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow!("a worker thread died")))
            .collect::<Result<Vec<_>>>()
            .map(|parts| parts.into_iter().flatten().collect())
    })?;
    progress.finish_and_clear();
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// What one thread judges with.
struct Worker {
    recognizer: Recognizer,
    pictures: Pictures,
}

fn judge(worker: &mut Worker, dataset: &Dataset, target: &Target, row: &Row) -> Outcome {
    let answered = if dataset.by_sense {
        fused(worker, dataset, row)
    } else {
        let sense = worker.recognizer.manifests().next().map(|(sense, _)| sense);
        let cell = row.input.as_deref().unwrap_or_default();
        sense
            .context("no model")
            .and_then(|sense| ask(worker, dataset, row, sense, cell))
    };
    let outcome = answered.and_then(|answer| {
        let reason = match &answer.event {
            Event::NoAnswer(none) => Some(none.reason.name().to_owned()),
            _ => None,
        };
        Ok((
            Judged {
                truth: target.truth(&row.labels)?,
                answer: answer_of(&answer.event, target),
            },
            reason,
        ))
    });
    match outcome {
        Ok((judged, reason)) => {
            let reason = reason.or_else(|| judged.answer.is_none().then(|| "below_threshold".to_owned()));
            Outcome::Judged(judged, reason)
        }
        Err(error) => Outcome::Unreadable(Broken {
            line: row.line,
            input: row.audio.clone().or_else(|| row.image.clone()),
            error: failure::one_line(&error),
        }),
    }
}

fn ask(worker: &mut Worker, dataset: &Dataset, row: &Row, sense: Sense, cell: &str) -> Result<Recognized> {
    let recognizer = &mut worker.recognizer;
    match sense {
        Sense::Text => Ok(recognizer.text_from(&Origin::named(format!("line {}", row.line)), cell)?),
        Sense::Audio => {
            let path = dataset.path(cell);
            let answer = inputs::audio_file(recognizer, Place::File(&path), |_| Ok(()))?;
            // A cut file was not read whole, so an answer about its beginning is no answer about the row.
            answer
                .problem
                .map_or(Ok(answer.summary), |problem| Err(problem.into()))
        }
        Sense::Image => {
            let face = inputs::parse_face(row.region.as_deref())?;
            let path = dataset.path(cell);
            let picture = worker.pictures.open(&path)?;
            Ok(recognizer.image_from(&Origin::named(path.display().to_string()), picture.view(), face)?)
        }
    }
}

/// One answer from the senses of a row; a sense without an answer is missing, and with none at all there is none.
fn fused(worker: &mut Worker, dataset: &Dataset, row: &Row) -> Result<Recognized> {
    let mut answers = Vec::new();
    for (name, cell) in row.by_sense() {
        let sense = match name {
            "text" => Sense::Text,
            "audio" => Sense::Audio,
            _ => Sense::Image,
        };
        answers.push(ask(worker, dataset, row, sense, cell)?);
    }
    let given: Vec<&Recognized> = answers.iter().collect();
    if given.iter().all(|answer| answer.opinions.is_empty()) {
        return answers.into_iter().next().context("no input");
    }
    Ok(worker.recognizer.fuse(&given)?)
}

fn answer_of(event: &Event, target: &Target) -> Option<Answer> {
    let (probabilities, selected) = match event {
        Event::NoAnswer(_) => return None,
        Event::Observation(seen) => {
            let head = seen.heads.iter().find(|head| head.head == target.head)?;
            if head.abstained {
                return None;
            }
            let probabilities: Vec<f64> = head.labels.iter().map(|label| label.probability).collect();
            let selected = target.indices(&head.selected);
            (probabilities, selected)
        }
        Event::Fused(fused) => target.of_fused(fused)?,
    };
    let mut answer = Answer {
        probabilities,
        selected,
    };
    if target.labelling == Labelling::Exclusive {
        answer.selected = vec![answer.top()];
    }
    answer.selected.sort_unstable();
    Some(answer)
}

fn print_table(report: &Report<'_>) -> Result<()> {
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let within = |interval: Option<[f64; 2]>| {
        interval.map_or_else(String::new, |[low, high]| format!("  [{low:.4}, {high:.4}]"))
    };
    let metrics = report.metrics;
    let names: Vec<String> = report
        .bundles
        .iter()
        .map(|bundle| format!("{} {}", bundle.name, bundle.version))
        .collect();
    print_line(&format!(
        "{} on {}, head {} ({})",
        names.join(" + "),
        report.data,
        report.head,
        report.label_space
    ))?;
    print_line(&format!(
        "{} items, {} without an answer, {} unreadable",
        metrics.n, metrics.no_answer, report.unreadable
    ))?;
    for (reason, count) in &report.no_answer_reasons {
        print_line(&format!("  {reason}: {count}"))?;
    }
    print_line("")?;
    let interval = &metrics.interval;
    for (name, value, interval) in [
        ("accuracy", metrics.accuracy, interval.accuracy),
        (
            "unweighted average recall",
            metrics.unweighted_average_recall,
            interval.unweighted_average_recall,
        ),
        ("macro F1", metrics.macro_f1, interval.macro_f1),
        ("micro F1", metrics.micro_f1, None),
        ("average precision", metrics.average_precision, None),
        (
            "expected calibration error",
            metrics.expected_calibration_error,
            None,
        ),
    ] {
        print_line(&format!("{name:28}{}{}", figure(value), within(interval)))?;
    }
    print_line(&format!(
        "\n{:16}{:>8}{:>11}{:>9}{:>9}{:>9}",
        "label", "support", "precision", "recall", "F1", "AP"
    ))?;
    for class in &metrics.per_class {
        print_line(&format!(
            "{:16}{:>8}{:>11}{:>9}{:>9}{:>9}",
            class.label,
            class.support,
            figure(class.precision),
            figure(class.recall),
            figure(class.f1),
            figure(class.average_precision)
        ))?;
    }
    if let Confusion::Exclusive {
        labels,
        answers,
        matrix,
    } = &metrics.confusion
    {
        print_line("\nconfusion (rows: truth, columns: answer)")?;
        let heads: Vec<String> = answers.iter().map(|name| format!("{:>8.8}", name)).collect();
        print_line(&format!("{:16}{}", "", heads.join(" ")))?;
        for (label, counts) in labels.iter().zip(matrix) {
            let cells: Vec<String> = counts.iter().map(|count| format!("{count:>8}")).collect();
            print_line(&format!("{label:16}{}", cells.join(" ")))?;
        }
    }
    Ok(())
}
