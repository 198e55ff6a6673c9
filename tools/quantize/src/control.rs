//! The whole way from a float graph to a quantized one whose answers hold.

use limbic_graph::{Graph, Tensor};

use crate::agreement::{Agreement, SPARED, SPARED_IN_CHOICE, agreements};
use crate::calibrate::{Calibration, Method, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{Recipe, Remedy, Rounding};
use crate::remedy;
use crate::report::{Report, Tried, TriedHead};
use crate::rounding;
use crate::scheme::{self, Choice, Quantized};
use crate::search::{NAME as SEARCH, search};
use crate::sensitivity;
use crate::verdict::Verdict;

/// Which data is judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What choices are made on.
    Tune,
    /// What is used for nothing but the last word.
    Eval,
}

/// Who knows the data: gives the inputs of the calibration set and judges graphs on the others.
pub trait Judge {
    /// Input `n` of the calibration set, in the order of the graph's inputs; `None` behind the last.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] if it cannot be read.
    fn calibration(&mut self, n: usize) -> Result<Option<Vec<Tensor>>>;

    /// Runs a graph on a set: a verdict for each head and data set that are judged, in the same order every time.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] or [`ErrorKind::Graph`].
    fn judge(&mut self, graph: &Graph, set: Set) -> Result<Vec<Verdict>>;

    /// Fits temperatures and thresholds to the quantized graph on the tune set; graphs are judged with them from then on.
    ///
    /// # Errors
    /// As [`Judge::judge`].
    fn refit(&mut self, float: &Graph, quantized: &Graph) -> Result<()>;

    /// Is told what happens: a stage, how much of it is done and how much there is.
    fn progress(&mut self, stage: &str, done: usize, of: usize);
}

/// A quantized graph and how it came about.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The float graph that was quantized: folded, and changed by the remedies that were kept.
    pub float: Graph,
    /// The quantized graph.
    pub quantized: Quantized,
    /// The ranges it was made with; nothing for a scheme that needs none.
    pub table: Option<Table>,
    /// Everything that is to be told.
    pub report: Report,
}

impl Outcome {
    /// Whether the answers on the eval set are within the limits.
    pub fn passed(&self) -> bool {
        !self.report.eval.is_empty() && self.report.eval.iter().all(Agreement::passed)
    }
}

/// A way to quantize, and what became of it.
struct Candidate {
    float: Graph,
    table: Option<Table>,
    choice: Choice,
    quantized: Quantized,
    agreements: Vec<Agreement>,
}

impl Candidate {
    fn passed(&self) -> bool {
        self.agreements.iter().all(Agreement::passed)
    }

    /// Mean distance of the answers from the float graph's, over heads and data sets.
    fn distance(&self) -> f64 {
        let sum: f64 = self.agreements.iter().map(|agreement| agreement.distance).sum();
        sum / self.agreements.len().max(1) as f64
    }
}

/// What was tried, and the best of it with the options that it has.
#[derive(Default)]
struct Trials {
    best: Option<(Candidate, Vec<Remedy>)>,
    tried: Vec<Tried>,
}

impl Trials {
    fn take(&mut self, candidate: Candidate, calibrator: String, remedies: &[Remedy], rounding: Rounding) {
        let kept = self
            .best
            .as_ref()
            .is_none_or(|(best, _)| better(&candidate, best));
        if kept {
            self.tried.iter_mut().for_each(|tried| tried.kept = false);
        }
        let mut options: Vec<&'static str> = remedies.iter().map(|remedy| remedy.name()).collect();
        if rounding == Rounding::Calibrated {
            options.push("calibrated-rounding");
        }
        self.tried.push(Tried {
            calibrator,
            options,
            distance: candidate.distance(),
            heads: candidate.agreements.iter().map(TriedHead::new).collect(),
            kept,
        });
        if kept {
            self.best = Some((candidate, remedies.to_vec()));
        }
    }

    /// Tries the best with calibrated rounding, which takes the place of bias correction.
    fn round(
        &mut self,
        float: &Graph,
        choice: &Choice,
        recipe: &Recipe,
        expected: &[Verdict],
        judge: &mut dyn Judge,
    ) -> Result<()> {
        let Some((best, remedies)) = &self.best else {
            return Ok(());
        };
        let kept = self.tried.iter().find(|tried| tried.kept);
        let calibrator = kept.map_or_else(String::new, |tried| tried.calibrator.clone());
        let mut remedies = remedies.clone();
        let mut changed = best.float.clone();
        if remedies.contains(&Remedy::BiasCorrection) {
            remedies.retain(|remedy| *remedy != Remedy::BiasCorrection);
            changed = float.clone();
            remedy::apply(&mut changed, &remedies, choice, judge)?;
        }
        let table = best.table.clone();
        let mut choice = choice.clone();
        rounding::calibrate(
            &changed,
            table.as_ref(),
            &mut choice,
            recipe.rounding_inputs,
            judge,
        )?;
        let candidate = judged(&changed, table, &choice, recipe, expected, judge)?;
        self.take(candidate, calibrator, &remedies, Rounding::Calibrated);
        Ok(())
    }
}

/// Quantizes a float graph by a recipe, returning operations to float until the answers on the tune set hold, and
/// judges the result on the eval set.
///
/// The table, where one is given, takes the place of calibration.
///
/// # Errors
/// Whatever stops it; an eval set that says no is no error but in the outcome's report.
pub fn quantize(
    graph: &Graph,
    table: Option<&Table>,
    recipe: &Recipe,
    judge: &mut dyn Judge,
) -> Result<Outcome> {
    recipe.check()?;
    let mut float = graph.clone();
    crate::fold::fold(&mut float)?;
    let choice = recipe.choice(&float)?;
    judge.progress("judge float on tune", 0, 1);
    let expected = judge.judge(&float, Set::Tune)?;
    let mut trials = Trials::default();
    for remedies in combinations(&recipe.options) {
        let mut changed = float.clone();
        remedy::apply(&mut changed, remedies, &choice, judge)?;
        for (name, table) in tables(&changed, table, recipe, &choice, judge)? {
            let done = trials.tried.len();
            judge.progress(&format!("judge {name} on tune"), done, done + 1);
            let candidate = judged(&changed, table, &choice, recipe, &expected, judge)?;
            trials.take(candidate, name, remedies, Rounding::Nearest);
        }
    }
    if recipe.rounding == Rounding::Calibrated {
        trials.round(&float, &choice, recipe, &expected, judge)?;
    }
    let Trials { best, tried } = trials;
    let Some((mut best, _)) = best else {
        return Err(Error::new(
            ErrorKind::Parameter,
            "methods",
            "at least one calibrator",
            "none",
        ));
    };
    let mut ranking = Vec::new();
    if !best.passed() {
        let inputs = first_inputs(judge, recipe.sensitivity_inputs)?;
        ranking = sensitivity::rank(
            &best.float,
            best.table.as_ref(),
            &best.choice,
            &inputs,
            |done, of| {
                judge.progress("rank by sensitivity", done, of);
            },
        )?;
        best = return_to_float(best, &ranking, recipe, &expected, judge)?;
    }
    judge.progress("judge float on eval", 0, 1);
    let expected = judge.judge(&float, Set::Eval)?;
    judge.progress("fit temperature and thresholds", 0, 1);
    judge.refit(&float, &best.quantized.graph)?;
    judge.progress("judge quantized on eval", 0, 1);
    let found = judge.judge(&best.quantized.graph, Set::Eval)?;
    let eval = agreements(&expected, &found, &recipe.limits, SPARED)?;
    let mut report = Report::new(
        recipe,
        &best.choice,
        &best.quantized,
        best.table.as_ref(),
        best.agreements,
        eval,
    );
    report.tried = tried;
    report.sensitivities = ranking;
    Ok(Outcome {
        float: best.float,
        quantized: best.quantized,
        table: best.table,
        report,
    })
}

/// No option, each alone, and all together.
fn combinations(options: &[Remedy]) -> Vec<&[Remedy]> {
    let mut all: Vec<&[Remedy]> = vec![&[]];
    all.extend(options.iter().map(std::slice::from_ref));
    if options.len() > 1 {
        all.push(options);
    }
    all
}

/// The tables to try, each with the name of what made it.
fn tables(
    graph: &Graph,
    given: Option<&Table>,
    recipe: &Recipe,
    choice: &Choice,
    judge: &mut dyn Judge,
) -> Result<Vec<(String, Option<Table>)>> {
    if !choice.scheme.needs_ranges() {
        return Ok(vec![("none".to_owned(), None)]);
    }
    if let Some(table) = given {
        return Ok(vec![("given table".to_owned(), Some(table.clone()))]);
    }
    let mut calibrators = recipe.calibrators.clone();
    calibrators.symmetric |= choice.scheme == scheme::Scheme::Int8Symmetric;
    let wanted = scheme::wanted(graph, choice);
    let mut n = 0;
    let inputs = std::iter::from_fn(|| {
        let input = judge.calibration(n).transpose();
        judge.progress("calibrate", n, n + 1);
        n += 1;
        input
    });
    let calibration = Calibration::collect(graph, wanted.iter().map(String::as_str), inputs, &calibrators)?;
    // Half precision only looks at what was seen.
    let methods = if choice.scheme == scheme::Scheme::F16 {
        &[Method::MinMax]
    } else {
        recipe.methods.as_slice()
    };
    let made = methods
        .iter()
        .map(|&method| calibration.table(method, 256))
        .collect::<Result<Vec<Table>>>()?;
    let names = methods.iter().map(|method| method.name().to_owned());
    let mut tables: Vec<_> = names.zip(made.iter().cloned().map(Some)).collect();
    if recipe.search_inputs > 0 && made.len() > 1 {
        let inputs = first_inputs(judge, recipe.search_inputs)?;
        let found = search(graph, &made, choice, &inputs, |done, of| {
            judge.progress("search each tensor's calibrator", done, of);
        })?;
        tables.push((SEARCH.to_owned(), found));
    }
    Ok(tables)
}

fn judged(
    float: &Graph,
    table: Option<Table>,
    choice: &Choice,
    recipe: &Recipe,
    expected: &[Verdict],
    judge: &mut dyn Judge,
) -> Result<Candidate> {
    let quantized = scheme::apply(float, table.as_ref(), choice)?;
    let found = judge.judge(&quantized.graph, Set::Tune)?;
    Ok(Candidate {
        float: float.clone(),
        table,
        choice: choice.clone(),
        quantized,
        agreements: agreements(expected, &found, &recipe.limits, SPARED_IN_CHOICE)?,
    })
}

/// Within the limits where the other is not, or nearer to the float graph.
///
/// Distances of probabilities tell more than equal answers do: a handful of items near a border decides how many of those
/// there are, and chance decides which.
fn better(a: &Candidate, b: &Candidate) -> bool {
    (!a.passed(), a.distance()) < (!b.passed(), b.distance())
}

fn first_inputs(judge: &mut dyn Judge, count: usize) -> Result<Vec<Vec<Tensor>>> {
    let mut inputs = Vec::new();
    while inputs.len() < count
        && let Some(input) = judge.calibration(inputs.len())?
    {
        inputs.push(input);
    }
    Ok(inputs)
}

/// Returns the most sensitive operations to float, one more group at a time, until the answers hold or none is left.
///
/// A group is a twentieth of the operations, at least one.
fn return_to_float(
    mut best: Candidate,
    ranking: &[sensitivity::Sensitivity],
    recipe: &Recipe,
    expected: &[Verdict],
    judge: &mut dyn Judge,
) -> Result<Candidate> {
    let group = ranking.len().div_ceil(20).max(1);
    for (n, nodes) in ranking.chunks(group).enumerate() {
        let mut choice = best.choice.clone();
        for node in nodes {
            let reason = format!(
                "returned to float: quantized alone, it leaves {:.1} dB between the outputs and their error",
                node.snr_db
            );
            choice.float.insert(node.node.clone(), reason);
        }
        judge.progress("return operations to float", n * group, ranking.len());
        best = judged(&best.float, best.table.take(), &choice, recipe, expected, judge)?;
        if best.passed() {
            break;
        }
    }
    Ok(best)
}
