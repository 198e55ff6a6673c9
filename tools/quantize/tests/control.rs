//! The whole way: what the answers lose is found on the tune set and given back to float.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use limbic_graph::op::{Convolution, Padding, PoolKind, Unary};
use limbic_graph::{Dtype, Graph, Op, Tensor, TensorType, ValueId, interpret};
use limbic_quantize::agreement::Agreement;
use limbic_quantize::calibrate::{Method, Table};
use limbic_quantize::control::{Judge, Outcome, Set, quantize};
use limbic_quantize::recipe::{Recipe, Remedy};
use limbic_quantize::scheme::{Choice, Scheme, apply};
use limbic_quantize::sensitivity::SignalToNoise;
use limbic_quantize::verdict::{Class, Measure, Verdict};
use limbic_quantize::{Error, ErrorKind, Result, search};

const CLASSES: usize = 4;

fn numbers(shape: &[usize], seed: u32) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |n: u32| {
        let mixed = n
            .wrapping_add(seed.wrapping_mul(7919))
            .wrapping_mul(2_654_435_761);
        ((mixed ^ (mixed >> 15)) >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    Tensor::new(shape, (0..count as u32).map(number).collect::<Vec<f32>>()).unwrap()
}

fn float() -> TensorType {
    TensorType::unshaped(Dtype::F32)
}

fn conv(graph: &mut Graph, name: &str, x: ValueId, shape: [usize; 4], seed: u32) -> ValueId {
    let w = graph.add_constant(format!("{name}.w"), numbers(&shape, seed));
    let b = graph.add_constant(format!("{name}.b"), numbers(&[shape[0]], seed + 1));
    let same = Convolution {
        padding: Padding::Explicit(vec![1; 4]),
        ..Convolution::unit(2)
    };
    let y = graph.add_node(name, Op::Conv(same), &[x, w, b], float());
    graph.add_node(format!("{name}.relu"), Op::Unary(Unary::Relu), &[y], float())
}

/// Three convolutions and a product to the classes.
fn network() -> Graph {
    let mut graph = Graph::new("classes");
    let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2, 8, 8]));
    let x = conv(&mut graph, "first", x, [8, 2, 3, 3], 1);
    let x = conv(&mut graph, "second", x, [8, 8, 3, 3], 3);
    let x = conv(&mut graph, "third", x, [8, 8, 3, 3], 5);
    let average = PoolKind::Average {
        include_padding: false,
    };
    let x = graph.add_node("pool", Op::GlobalPool(average), &[x], float());
    let x = graph.add_node("flat", Op::Flatten { axis: 1 }, &[x], float());
    let w = graph.add_constant("last.w", numbers(&[CLASSES, 8], 7));
    let b = graph.add_constant("last.b", Tensor::vector(vec![0f32; CLASSES]));
    let product = Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        transpose_a: false,
        transpose_b: true,
    };
    let y = graph.add_node("last", product, &[x, w, b], float());
    graph.outputs.push(y);
    limbic_graph::infer::infer(&mut graph).unwrap();
    // Without their mean the logits of all classes take turns in being the highest.
    let mut bias = vec![0f32; CLASSES];
    for n in 0..40 {
        let logits = interpret::run(&graph, &[input(5000 + n)]).unwrap()[0].to_f32();
        bias.iter_mut().zip(logits).for_each(|(b, z)| *b -= z / 40.0);
    }
    graph.value_mut(b).constant = Some(Tensor::vector(bias));
    graph
}

/// Noise around a level of its own for each channel.
fn input(n: u32) -> Tensor {
    let levels = numbers(&[2], 3 * n + 1).to_f32();
    let noise = numbers(&[1, 2, 8, 8], n).to_f32();
    let values: Vec<f32> = noise
        .iter()
        .enumerate()
        .map(|(i, v)| 0.5 * v + 2.0 * levels[i / 64])
        .collect();
    Tensor::new(&[1, 2, 8, 8], values).unwrap()
}

/// Judges by the float network's own answers.
struct OwnAnswers {
    truth: Graph,
    calibration: usize,
    refitted: bool,
}

impl OwnAnswers {
    fn logits(&self, graph: &Graph, set: Set) -> Result<Vec<Vec<f32>>> {
        let from = if set == Set::Tune { 1000 } else { 2000 };
        (from..from + 60)
            .map(|n| Ok(interpret::run(graph, &[input(n)])?[0].to_f32()))
            .collect()
    }
}

fn top(logits: &[f32]) -> usize {
    (0..logits.len())
        .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
        .unwrap()
}

impl Judge for OwnAnswers {
    fn calibration(&mut self, n: usize) -> Result<Option<Vec<Tensor>>> {
        Ok((n < self.calibration).then(|| vec![input(n as u32)]))
    }

    fn judge(&mut self, graph: &Graph, set: Set) -> Result<Vec<Verdict>> {
        let (truth, logits) = (self.logits(&self.truth, set)?, self.logits(graph, set)?);
        let tops = |logits: &[Vec<f32>]| logits.iter().map(|z| top(z)).collect::<Vec<usize>>();
        let (truth, answers) = (tops(&truth), tops(&logits));
        let right = truth.iter().zip(&answers).filter(|(a, b)| a == b).count();
        let class = |n: usize| Class {
            label: format!("class {n}"),
            support: truth.iter().filter(|&&t| t == n).count(),
            right: truth
                .iter()
                .zip(&answers)
                .filter(|(t, a)| **t == n && **a == n)
                .count(),
        };
        let vector = |z: &Vec<f32>| z.iter().map(|&z| f64::from(z)).collect();
        Ok(vec![Verdict {
            head: "classes".to_owned(),
            data: format!("{set:?}"),
            measure: Measure::Accuracy,
            metric: Some(100.0 * right as f64 / truth.len() as f64),
            vectors: logits.iter().map(vector).collect(),
            windows: None,
            classes: (0..CLASSES).map(class).collect(),
            answers: answers.into_iter().map(|n| vec![n]).collect(),
        }])
    }

    fn refit(&mut self, _: &Graph, _: &Graph) -> Result<()> {
        self.refitted = true;
        Ok(())
    }

    fn progress(&mut self, _: &str, _: usize, _: usize) {}
}

fn judge() -> OwnAnswers {
    OwnAnswers {
        truth: network(),
        calibration: 24,
        refitted: false,
    }
}

fn run(table: Option<&Table>, recipe: &Recipe) -> Outcome {
    let mut judge = judge();
    let outcome = quantize(&network(), table, recipe, &mut judge).unwrap();
    assert!(judge.refitted);
    outcome
}

#[test]
fn the_best_calibrator_on_the_tune_set_is_kept_and_everything_is_integer() {
    let mut recipe = Recipe {
        options: vec![Remedy::Equalise, Remedy::BiasCorrection],
        ..Recipe::default()
    };
    recipe.limits.min_equal = 0.9;
    recipe.limits.max_drop = 10.0;
    recipe.limits.max_recall_drop = 100.0;
    recipe.limits.max_drift = 100.0;
    let outcome = run(None, &recipe);
    let report = &outcome.report;
    assert!(outcome.passed(), "{}", report.to_text());
    assert_eq!(report.integer_share, 1.0);
    assert_eq!(report.tried.len(), 16);
    let kept: Vec<_> = report.tried.iter().filter(|tried| tried.kept).collect();
    let distances = report.tried.iter().map(|tried| tried.distance);
    assert_eq!(
        (kept.len(), kept[0].distance),
        (1, distances.fold(f64::INFINITY, f64::min))
    );
    assert!(report.left_in_float.is_empty() && report.sensitivities.is_empty());
}

#[test]
fn an_operation_that_spoils_the_answers_returns_to_float_with_reason_and_cost() {
    let good = run(None, &Recipe::default()).table.unwrap().to_text();
    // A range that clips nearly everything that the third convolution reads.
    let spoiled: String = good
        .lines()
        .map(|line| match line.split('\t').next() {
            Some("second.relu") => "second.relu\t0.0\t0.01\tmanual\t0.0\t9.0\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    let table = Table::from_text(&spoiled).unwrap();
    let mut recipe = Recipe::default();
    recipe.limits.min_equal = 0.9;
    recipe.limits.max_drop = 10.0;
    recipe.limits.max_recall_drop = 100.0;
    recipe.limits.max_drift = 100.0;
    let outcome = run(Some(&table), &recipe);
    let report = &outcome.report;
    assert_eq!(report.sensitivities[0].node, "third");
    let third = report
        .left_in_float
        .iter()
        .find(|left| left.node == "third")
        .unwrap();
    assert!(third.reason.contains("returned to float"), "{}", third.reason);
    assert_eq!(third.macs, 8 * 64 * 8 * 9);
    assert!(
        report.tune.iter().all(Agreement::passed) && report.integer_share < 1.0,
        "{}",
        report.to_text()
    );
}

#[test]
fn the_same_recipe_and_data_give_the_same_graph_and_report() {
    let (a, b) = (run(None, &Recipe::default()), run(None, &Recipe::default()));
    assert_eq!(a.quantized.graph, b.quantized.graph);
    assert_eq!(
        serde_json::to_string(&a.report).unwrap(),
        serde_json::to_string(&b.report).unwrap()
    );
}

#[test]
fn a_recipe_that_names_no_node_of_the_graph_is_refused() {
    let recipe = Recipe {
        float: vec!["fourth".to_owned()],
        ..Recipe::default()
    };
    let error: Error = quantize(&network(), None, &recipe, &mut judge()).unwrap_err();
    assert_eq!((error.kind(), error.place()), (ErrorKind::Parameter, "float"));
}

#[test]
fn calibration_without_inputs_is_refused() {
    let mut judge = judge();
    judge.calibration = 0;
    let error = quantize(&network(), None, &Recipe::default(), &mut judge).unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::Data, "calibration data")
    );
}

#[test]
fn a_searched_table_leaves_no_more_error_than_any_calibrator_alone() {
    let recipe = Recipe {
        search_inputs: 12,
        ..Recipe::default()
    };
    let mut found = run(None, &recipe).report.tried;
    assert_eq!(found.len(), 5);
    let searched = found.pop().unwrap();
    assert_eq!(searched.calibrator, "search");
    let table = |method| {
        let recipe = Recipe {
            methods: vec![method],
            ..Recipe::default()
        };
        run(None, &recipe).table.unwrap()
    };
    let tables = [Method::MinMax, Method::Percentile, Method::Mse].map(table);
    let (graph, choice) = (network(), Choice::new(Scheme::Int8));
    let inputs: Vec<Vec<Tensor>> = (0..12).map(|n| vec![input(n)]).collect();
    let error = |table: &Table| {
        let quantized = apply(&graph, Some(table), &choice).unwrap();
        let mut ratio = SignalToNoise::default();
        for input in &inputs {
            let made = interpret::run(&quantized.graph, input).unwrap();
            let expected = interpret::run(&graph, input).unwrap();
            ratio.add(&made[0].to_f32(), &expected[0].to_f32());
        }
        ratio.noise_share()
    };
    let best = search(&graph, &tables, &choice, &inputs, |_, _| {})
        .unwrap()
        .unwrap();
    // Some tensor is better off with another calibrator than the best one alone.
    assert!(tables.iter().all(|table| error(&best) < error(table)));
}
