//! Inputs bound to sizes and values, and state.

use anyhow::{Context, Result, bail};
use limbic_graph::passes::{self, Binding};
use limbic_graph::{Dim, Dtype, Graph, Tensor, TensorType, ValueId};

/// Binds what `--input` says: `NAME:AxBxC` a shape, `NAME=VALUE` a value.
pub fn bind(graph: &mut Graph, options: &[String]) -> Result<()> {
    for option in options {
        let (name, binding) = parse(graph, option).with_context(|| format!("--input {option}"))?;
        passes::bind(graph, &name, binding).with_context(|| format!("--input {option}"))?;
    }
    Ok(())
}

/// The shape that `--input` gives, where it gives one: an architecture whose input has no size of its own takes it.
pub fn only_shape(options: &[String]) -> Result<Option<Vec<usize>>> {
    let shapes: Vec<&String> = options.iter().filter(|option| !option.contains('=')).collect();
    match shapes.as_slice() {
        [option] => {
            let (_, shape) = shape(option).with_context(|| format!("--input {option}"))?;
            Ok(Some(shape))
        }
        _ => Ok(None),
    }
}

fn parse(graph: &Graph, option: &str) -> Result<(String, Binding)> {
    if let Some((name, value)) = option.split_once('=') {
        return Ok((name.to_owned(), Binding::Constant(value_of(graph, name, value)?)));
    }
    let (name, shape) = shape(option)?;
    Ok((name, Binding::Shape(shape)))
}

/// The parts of `NAME:AxBxC`.
fn shape(option: &str) -> Result<(String, Vec<usize>)> {
    // The last colon: names of TensorFlow end in `:0`.
    let Some((name, shape)) = option.rsplit_once(':') else {
        bail!("expected NAME:SHAPE such as pixels:1x3x64x64, or NAME=VALUE such as sr=16000");
    };
    let shape = shape
        .split(['x', ','])
        .map(str::parse)
        .collect::<Result<Vec<usize>, _>>()
        .with_context(|| format!("expected a shape such as 1x3x64x64, found {shape:?}"))?;
    Ok((name.to_owned(), shape))
}

/// A constant of an input's type: one number for all of its elements.
fn value_of(graph: &Graph, name: &str, text: &str) -> Result<Tensor> {
    let ty = graph
        .inputs
        .iter()
        .map(|id| graph.value(*id))
        .find(|value| value.name == name)
        .map(|value| &value.ty)
        .with_context(|| format!("expected an input, {}, found {name}", input_names(graph)))?;
    let shape = ty
        .shape()
        .with_context(|| format!("expected an input of a known size, found {ty}"))?;
    let count = limbic_graph::element_count(&shape).context("the input is too large")?;
    if count > MOST_BOUND {
        bail!("expected an input of at most {MOST_BOUND} elements, found {ty}");
    }
    let number = || format!("expected a number of type {}, found {text:?}", ty.dtype);
    macro_rules! filled {
        ($type:ty) => {
            Tensor::new(
                &shape,
                vec![text.parse::<$type>().with_context(number)?; count],
            )?
        };
    }
    Ok(match ty.dtype {
        Dtype::F32 => filled!(f32),
        Dtype::F64 => filled!(f64),
        Dtype::I64 => filled!(i64),
        Dtype::I32 => filled!(i32),
        Dtype::I16 => filled!(i16),
        Dtype::I8 => filled!(i8),
        Dtype::U8 => filled!(u8),
        Dtype::Bool => filled!(bool),
        other => bail!("an input of type {other} can't be bound to a value"),
    })
}

/// Most elements of an input that is bound to a value.
const MOST_BOUND: usize = 1 << 20;

/// Names of a graph's inputs, for messages.
pub fn input_names(graph: &Graph) -> String {
    let names: Vec<&str> = graph
        .inputs
        .iter()
        .map(|id| graph.value(*id).name.as_str())
        .collect();
    names.join(", ")
}

/// Declares the state of a graph: the pairs that are named, and those that their names tell.
pub fn pair_states(graph: &mut Graph, options: &[String]) -> Result<()> {
    for option in options {
        let Some((input, output)) = option.split_once(':') else {
            bail!("--state {option}: expected INPUT:OUTPUT");
        };
        let find = |ids: &[ValueId], what: &str, name: &str| {
            ids.iter()
                .copied()
                .find(|id| graph.value(*id).name == name)
                .with_context(|| format!("--state {option}: no {what} {name}"))
        };
        let pair = (
            find(&graph.inputs, "input", input)?,
            find(&graph.outputs, "output", output)?,
        );
        declare(graph, pair).with_context(|| format!("--state {option}"))?;
    }
    let named: Vec<(ValueId, ValueId)> = graph
        .inputs
        .iter()
        .filter_map(|input| {
            let name = &graph.value(*input).name;
            let next = |output: &&ValueId| follows(name, &graph.value(**output).name);
            Some((*input, *graph.outputs.iter().find(next)?))
        })
        .collect();
    for pair in named {
        let known = graph
            .states
            .iter()
            .any(|(input, output)| *input == pair.0 || *output == pair.1);
        if !known && same(&graph.value(pair.0).ty, &graph.value(pair.1).ty) {
            log::info!(
                "state: {} becomes {} in the next run",
                graph.value(pair.1).name,
                graph.value(pair.0).name
            );
            declare(graph, pair)?;
        }
    }
    Ok(())
}

fn declare(graph: &mut Graph, (input, output): (ValueId, ValueId)) -> Result<()> {
    let (from, to) = (&graph.value(output).ty, &graph.value(input).ty);
    if !same(from, to) {
        bail!("a state keeps its type and size, but the output is {from} and the input {to}");
    }
    if graph.states.iter().any(|(i, o)| *i == input || *o == output) {
        bail!("{} is part of another state", graph.value(input).name);
    }
    graph.states.push((input, output));
    Ok(())
}

fn same(a: &TensorType, b: &TensorType) -> bool {
    a.dtype == b.dtype && a.dims.is_some() && a.dims == b.dims
}

/// Whether an output's name says that it is an input's next value.
fn follows(input: &str, output: &str) -> bool {
    ["N", "_n", "_out", "_next", "_new"]
        .iter()
        .any(|suffix| output.strip_suffix(suffix) == Some(input))
        || ["new_", "next_", "out_"]
            .iter()
            .any(|prefix| output.strip_prefix(prefix) == Some(input))
        || input
            .strip_suffix("_in")
            .is_some_and(|stem| output.strip_suffix("_out") == Some(stem))
}

/// Binds what is still free of the first axis of an input, the batch, to 1: a device answers for one thing at a time.
pub fn batch_of_one(graph: &mut Graph) {
    let first = |id: &ValueId| graph.value(*id).ty.dims.as_ref()?.first().copied();
    let batches: Vec<Dim> = graph.inputs.iter().filter_map(first).collect();
    for batch in batches {
        if let Dim::Symbol(symbol) = batch
            && graph.symbols.get(symbol).is_some_and(|symbol| symbol.min <= 1)
        {
            passes::bind_symbol(graph, symbol, 1);
        }
    }
}

/// Refuses sizes of inputs that nothing has bound.
pub fn refuse_free(graph: &Graph) -> Result<()> {
    for id in &graph.inputs {
        let value = graph.value(*id);
        let Some(dims) = &value.ty.dims else {
            bail!(
                "input {} has no known number of axes: give --input {}:SHAPE",
                value.name,
                value.name
            );
        };
        let words: Vec<String> = dims.iter().map(|dim| word(graph, *dim)).collect();
        if dims.iter().any(|dim| dim.known().is_none()) {
            bail!(
                "input {} has free sizes [{}]: give --input {}:SHAPE with numbers for them",
                value.name,
                words.join(", "),
                value.name
            );
        }
    }
    Ok(())
}

/// A dim as people read it.
pub fn word(graph: &Graph, dim: Dim) -> String {
    match dim {
        Dim::Known(n) => n.to_string(),
        Dim::Symbol(n) => graph.symbols.get(n).map_or_else(
            || "?".to_owned(),
            |symbol| format!("{} ({} to {})", symbol.name, symbol.min, symbol.max),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let mut graph = Graph::new("g");
        graph.add_input("state", TensorType::new(Dtype::F32, &[2, 1]));
        graph.add_input("serving:0", TensorType::new(Dtype::F32, &[1]));
        graph.add_input("sr", TensorType::new(Dtype::I64, &[]));
        let next = graph.add_value("stateN", TensorType::new(Dtype::F32, &[2, 1]));
        graph.outputs.push(next);
        graph
    }

    #[test]
    fn shapes_and_values_are_told_apart() {
        let graph = graph();
        let (name, binding) = parse(&graph, "serving:0:1x3x64x64").unwrap();
        assert_eq!(
            (name.as_str(), binding),
            ("serving:0", Binding::Shape(vec![1, 3, 64, 64]))
        );
        let (name, binding) = parse(&graph, "sr=16000").unwrap();
        assert_eq!(name, "sr");
        assert_eq!(binding, Binding::Constant(Tensor::scalar(16000i64)));
        for wrong in ["sr", "sr=fast", "rate=1", "state:1xtwo"] {
            assert!(parse(&graph, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn state_is_found_by_name_or_given() {
        let mut by_name = graph();
        pair_states(&mut by_name, &[]).unwrap();
        assert_eq!(by_name.states.len(), 1);
        let mut given = graph();
        pair_states(&mut given, &["state:stateN".to_owned()]).unwrap();
        assert_eq!(given.states, by_name.states);
        assert!(pair_states(&mut graph(), &["serving:0:stateN".to_owned()]).is_err());
        assert!(pair_states(&mut graph(), &["sr:stateN".to_owned()]).is_err());
    }
}
