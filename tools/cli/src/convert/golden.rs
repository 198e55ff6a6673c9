//! Comparing a graph with outputs that were saved in the training framework.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_checkpoint::{Checkpoint, Format};
use limbic_graph::passes::{self, Binding};
use limbic_graph::{Dtype, Element, Graph, Storage, Tensor, ValueId, for_each_storage, interpret};
use serde::Serialize;

use crate::convert::bind;

/// Most steps between integers that still count as the same.
const STEPS: f64 = 1.0;

/// Least share of integers that must be the same.
const SAME_SHARE: f64 = 0.999;

/// Samples saved in the training framework.
#[derive(Debug)]
pub struct Golden {
    arrays: BTreeMap<String, Tensor>,
}

/// What came of comparing one output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Name of the output.
    pub output: String,
    /// Elements compared.
    pub elements: usize,
    /// Largest difference.
    pub max_abs: f64,
    /// The same as a share of the largest of the golden elements.
    pub max_relative: f64,
    /// Of integers, the share that is at most one step away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_one: Option<f64>,
    /// Whether it is within the tolerance.
    pub passed: bool,
}

impl Golden {
    /// Reads an `.npz`.
    pub fn read(path: &Path) -> Result<Self> {
        let context = || format!("can't use {}", path.display());
        let file = Checkpoint::open(path).with_context(context)?;
        if file.format() != Format::Npz {
            bail!(
                "{}: expected a NumPy .npz, found {:?}",
                path.display(),
                file.format()
            );
        }
        let mut arrays = BTreeMap::new();
        for entry in file.tensors() {
            arrays.insert(entry.name.clone(), file.read(&entry.name).with_context(context)?);
        }
        Ok(Self { arrays })
    }

    /// The graph with the sizes that are still free bound to those of the saved inputs, one sample at a time.
    pub fn bound(&self, graph: &Graph) -> Result<Graph> {
        let mut bound = graph.clone();
        for id in &graph.inputs {
            let value = graph.value(*id);
            let rank = value.ty.rank();
            let Some(array) = self.arrays.get(&value.name) else {
                continue;
            };
            if value.ty.shape().is_none() && rank == Some(array.rank()) {
                let mut shape = array.shape().to_vec();
                if let Some(samples) = shape.first_mut() {
                    *samples = 1;
                }
                passes::bind(&mut bound, &value.name, Binding::Shape(shape))?;
            }
        }
        passes::simplify(&mut bound)?;
        Ok(bound)
    }

    /// Runs the graph on every sample and compares every output that was saved.
    ///
    /// State that was not saved begins as zeros and goes on from sample to sample. `progress` hears of each sample.
    pub fn compare(
        &self,
        graph: &Graph,
        tolerance: f32,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Vec<Difference>> {
        let inputs = self.find(graph, &graph.inputs, "input")?;
        let outputs = self.find(graph, &graph.outputs, "output")?;
        if outputs.iter().all(Option::is_none) {
            bail!(
                "no array has the name of an output: expected one of {}, found {}",
                names(graph, &graph.outputs),
                self.names()
            );
        }
        let count = self.samples(graph, &inputs)?;
        let mut state: BTreeMap<ValueId, Tensor> = BTreeMap::new();
        let mut seen: Vec<Option<Seen>> = outputs.iter().map(|o| o.map(|_| Seen::default())).collect();
        for n in 0..count {
            progress(n, count);
            let mut given = Vec::with_capacity(inputs.len());
            for (id, array) in graph.inputs.iter().zip(&inputs) {
                given.push(match (array, state.get(id)) {
                    (Some(array), _) => sample(graph, *id, array, n, count)?,
                    (None, Some(kept)) => kept.clone(),
                    (None, None) => zeros(graph, *id)?,
                });
            }
            let found = interpret::run(graph, &given)?;
            for (input, output) in &graph.states {
                let at = graph.outputs.iter().position(|id| id == output);
                if let Some(kept) = at.and_then(|at| found.get(at)) {
                    state.insert(*input, kept.clone());
                }
            }
            for (((id, array), seen), found) in graph.outputs.iter().zip(&outputs).zip(&mut seen).zip(&found)
            {
                if let (Some(array), Some(seen)) = (array, seen) {
                    let expected = sample(graph, *id, array, n, count)?;
                    seen.add(&expected, found)
                        .with_context(|| format!("output {}", graph.value(*id).name))?;
                }
            }
        }
        let compared = graph.outputs.iter().zip(seen);
        Ok(compared
            .filter_map(|(id, seen)| Some(seen?.difference(&graph.value(*id).name, tolerance)))
            .collect())
    }

    fn names(&self) -> String {
        self.arrays
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The array of each value; where there is one value and no array of its name, the array called `word`.
    fn find(&self, graph: &Graph, ids: &[ValueId], word: &str) -> Result<Vec<Option<&Tensor>>> {
        let is_state = |id: &ValueId| {
            graph
                .states
                .iter()
                .any(|(input, output)| input == id || output == id)
        };
        let named: Vec<Option<&Tensor>> = ids
            .iter()
            .map(|id| self.arrays.get(&graph.value(*id).name))
            .collect();
        let open: Vec<usize> = (0..ids.len())
            .filter(|&i| named[i].is_none() && !is_state(&ids[i]))
            .collect();
        let mut found = named;
        if let [only] = open.as_slice()
            && let Some(array) = self.arrays.get(word)
        {
            found[*only] = Some(array);
        } else if word == "input" && !open.is_empty() {
            bail!(
                "no array for input {}: expected the inputs {}, found {}",
                graph.value(ids[open[0]]).name,
                bind::input_names(graph),
                self.names()
            );
        }
        Ok(found)
    }

    /// Number of samples that the input arrays hold.
    fn samples(&self, graph: &Graph, inputs: &[Option<&Tensor>]) -> Result<usize> {
        let mut count = None;
        for (id, array) in graph.inputs.iter().zip(inputs) {
            let Some(array) = array else { continue };
            let value = graph.value(*id);
            let shape = value
                .ty
                .shape()
                .with_context(|| format!("input {} has free sizes", value.name))?;
            let one = limbic_graph::element_count(&shape).unwrap_or(0).max(1);
            if array.is_empty() || array.len() % one != 0 {
                bail!(
                    "input {}: expected samples of shape {shape:?}, found an array of {:?}",
                    value.name,
                    array.shape()
                );
            }
            let here = array.len() / one;
            if *count.get_or_insert(here) != here {
                bail!(
                    "input {}: {here} samples, but another input has {:?}",
                    value.name,
                    count
                );
            }
        }
        count.context("no input to run the graph on")
    }
}

fn names(graph: &Graph, ids: &[ValueId]) -> String {
    let names: Vec<&str> = ids.iter().map(|id| graph.value(*id).name.as_str()).collect();
    names.join(", ")
}

/// Sample `n` of `count` in an array, in the shape and type of a value.
fn sample(graph: &Graph, id: ValueId, array: &Tensor, n: usize, count: usize) -> Result<Tensor> {
    let value = graph.value(id);
    let length = array.len() / count.max(1);
    if length * count != array.len() {
        bail!(
            "{}: an array of {:?} does not hold {count} samples",
            value.name,
            array.shape()
        );
    }
    let shape = value.ty.shape().unwrap_or_else(|| vec![length]);
    let range = n * length..(n + 1) * length;
    let part = for_each_storage!(array.storage(), elements => {
        Storage::from(elements.get(range).unwrap_or_default().to_vec())
    });
    let part = Tensor::new(&shape, part).with_context(|| {
        format!(
            "{}: an array of {:?} for {count} samples",
            value.name,
            array.shape()
        )
    })?;
    converted(part, value.ty.dtype)
        .map(|tensor| tensor.with_quantization(value.ty.quantization.clone()))
        .with_context(|| format!("array {}", value.name))
}

/// NumPy's usual float and integer types as the graph's, where no value is lost.
fn converted(tensor: Tensor, to: Dtype) -> Result<Tensor> {
    let shape = tensor.shape().to_vec();
    Ok(match (tensor.dtype(), to) {
        (from, to) if from == to => tensor,
        (Dtype::F64 | Dtype::F16, Dtype::F32) => Tensor::new(&shape, tensor.to_f32())?,
        (from, Dtype::I64) if from.is_integer() => Tensor::new(&shape, tensor.to_i64()?)?,
        (Dtype::I64, Dtype::I32) => {
            let narrow: Result<Vec<i32>, _> = tensor.to_i64()?.into_iter().map(i32::try_from).collect();
            Tensor::new(&shape, narrow?)?
        }
        (from, to) => bail!("expected {to}, found {from}"),
    })
}

fn zeros(graph: &Graph, id: ValueId) -> Result<Tensor> {
    let value = graph.value(id);
    let shape = value
        .ty
        .shape()
        .with_context(|| format!("state {} has free sizes", value.name))?;
    let count = limbic_graph::element_count(&shape).context("the state is too large")?;
    fn filled<T: Element>(shape: &[usize], count: usize) -> limbic_graph::Result<Tensor>
    where
        Storage: From<Vec<T>>,
    {
        Tensor::new(shape, vec![T::default(); count])
    }
    Ok(match value.ty.dtype {
        Dtype::F32 => filled::<f32>(&shape, count)?,
        Dtype::I64 => filled::<i64>(&shape, count)?,
        Dtype::I32 => filled::<i32>(&shape, count)?,
        Dtype::I8 => filled::<i8>(&shape, count)?,
        other => bail!("state {} of type {other}", value.name),
    })
}

/// What was seen of one output over the samples.
#[derive(Debug, Default)]
struct Seen {
    elements: usize,
    integers: bool,
    max_abs: f64,
    largest: f64,
    within_one: usize,
}

impl Seen {
    fn add(&mut self, expected: &Tensor, found: &Tensor) -> Result<()> {
        if expected.len() != found.len() {
            bail!("expected shape {:?}, found {:?}", expected.shape(), found.shape());
        }
        self.integers = !expected.dtype().is_float();
        for (a, b) in numbers(expected)?.into_iter().zip(numbers(found)?) {
            let difference = if a == b { 0.0 } else { (a - b).abs() };
            // A NaN on one side only is as far away as can be.
            let both_nan = a.is_nan() && b.is_nan();
            let difference = if difference.is_nan() && !both_nan {
                f64::INFINITY
            } else {
                difference
            };
            self.max_abs = self.max_abs.max(difference);
            self.largest = self.largest.max(a.abs());
            self.within_one += usize::from(difference <= STEPS);
            self.elements += 1;
        }
        Ok(())
    }

    fn difference(self, output: &str, tolerance: f32) -> Difference {
        let max_relative = if self.max_abs == 0.0 {
            0.0
        } else {
            self.max_abs / self.largest.max(f64::MIN_POSITIVE)
        };
        let within_one = self.within_one as f64 / self.elements.max(1) as f64;
        Difference {
            output: output.to_owned(),
            elements: self.elements,
            max_abs: self.max_abs,
            max_relative,
            within_one: self.integers.then_some(within_one),
            passed: if self.integers {
                within_one >= SAME_SHARE
            } else {
                max_relative <= f64::from(tolerance)
            },
        }
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(match tensor.storage() {
        Storage::F64(elements) => elements.to_vec(),
        storage if storage.dtype().is_float() => tensor.to_f32().into_iter().map(f64::from).collect(),
        _ => tensor.to_i64()?.into_iter().map(|n| n as f64).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use limbic_graph::op::Unary;
    use limbic_graph::{Op, TensorType};

    fn negation() -> Graph {
        let mut graph = Graph::new("g");
        let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2]));
        let y = graph.add_node(
            "y",
            Op::Unary(Unary::Neg),
            &[x],
            TensorType::new(Dtype::F32, &[1, 2]),
        );
        graph.outputs.push(y);
        graph
    }

    fn golden(arrays: &[(&str, &[usize], &[f32])]) -> Golden {
        let arrays = arrays
            .iter()
            .map(|(name, shape, values)| ((*name).to_owned(), Tensor::new(shape, values.to_vec()).unwrap()))
            .collect();
        Golden { arrays }
    }

    #[test]
    fn every_sample_is_compared_and_the_largest_difference_counts() {
        let samples = golden(&[
            ("x", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
            ("y", &[2, 2], &[-1.0, -2.0, -3.0, -4.5]),
        ]);
        let found = samples.compare(&negation(), 1e-4, |_, _| {}).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].elements, found[0].max_abs, found[0].passed),
            (4, 0.5, false)
        );
        assert!((found[0].max_relative - 0.5 / 4.5).abs() < 1e-12);
        assert!(samples.compare(&negation(), 0.2, |_, _| {}).unwrap()[0].passed);
    }

    #[test]
    fn arrays_called_input_and_output_serve_a_graph_of_one_each() {
        let samples = golden(&[
            ("input", &[1, 2], &[1.0, 2.0]),
            ("output", &[1, 2], &[-1.0, -2.0]),
        ]);
        assert!(samples.compare(&negation(), 1e-4, |_, _| {}).unwrap()[0].passed);
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused_by_name() {
        for arrays in [
            &[("z", &[1usize, 2][..], &[1.0f32, 2.0][..])][..],
            &[("x", &[1, 2], &[1.0, 2.0])],
            &[("x", &[3], &[1.0, 2.0, 3.0]), ("y", &[1, 2], &[1.0, 2.0])],
        ] {
            let error = golden(arrays).compare(&negation(), 1e-4, |_, _| {}).unwrap_err();
            assert!(format!("{error:#}").contains(['x', 'y']), "{error:#}");
        }
    }

    #[test]
    fn a_nan_that_was_not_saved_is_no_agreement() {
        let mut seen = Seen::default();
        let (a, b) = (Tensor::vector(vec![1.0f32]), Tensor::vector(vec![f32::NAN]));
        seen.add(&a, &b).unwrap();
        assert!(!seen.difference("y", 1.0).passed);
    }
}
