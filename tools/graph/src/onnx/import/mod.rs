//! From the messages of a file to a graph.

mod array;
mod attributes;
mod builder;
mod causal;
mod control;
mod layer;
mod loss;
mod math;
mod node;
mod nodes;
mod quant;
mod recurrent;
mod resample;
mod signal;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::proto::{DimProto, GraphProto, Model, Opset, ValueInfo};
use super::wire::malformed;
use super::{tensor, versions};
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, ValueId};
use crate::tensor::Tensor;
use crate::types::{Dim, Symbol, TensorType};
use attributes::Arguments;

/// Greatest number that an extent without a number in the file may be bound to.
pub const MAX_EXTENT: usize = 1 << 20;

/// Reads a model; `folder` is where its external data lies, if it has any.
///
/// An extent without a number becomes a symbol with bounds 1 and [`MAX_EXTENT`]; equal names become one symbol. An
/// input for which the file has a default value becomes a constant. Empty and repeated names are made unique.
///
/// # Errors
/// [`ErrorKind::Malformed`] or [`ErrorKind::Limit`] for a damaged or hostile file; [`ErrorKind::Unsupported`] listing
/// every operator, version, attribute value and element type that this release does not know, with node names;
/// [`ErrorKind::Io`] for external data; those of [`crate::infer::output_types`] where operands do not fit.
pub fn read(bytes: &[u8], folder: Option<&Path>) -> Result<Graph> {
    read_bound(bytes, folder, &HashMap::new())
}

/// As [`read`], with some inputs bound to constants by name.
///
/// # Errors
/// As [`read`]; [`ErrorKind::Name`] for a name that is no input, [`ErrorKind::Dtype`] or [`ErrorKind::Shape`] for a
/// tensor that does not fit it.
pub fn read_bound(bytes: &[u8], folder: Option<&Path>, bound: &HashMap<String, Tensor>) -> Result<Graph> {
    let model = Model::read(bytes)?;
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| malformed("a model with a graph", "none"))?;
    check_opsets(&model.opsets)?;
    for name in bound.keys() {
        if !graph.inputs.iter().any(|input| input.name == name) {
            return Err(Error::new(ErrorKind::Name, "", "an input of the model", name));
        }
    }
    let mut importer = Importer::new(graph.name, &model, folder);
    let mut frame = Frame::new(&model.opsets);
    importer.inputs(&mut frame, graph, bound)?;
    importer.body(&mut frame, graph)?;
    importer.outputs(&frame, graph)?;
    let Importer { graph, problems, .. } = importer;
    if !problems.is_empty() {
        let expected = "operators, versions, attributes and element types that this release knows";
        return Err(Error::unsupported(graph.name, expected, problems));
    }
    Ok(graph)
}

/// Domain of the standard operators.
pub(super) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// Opset of the standard operators; 1 in files that state none.
fn standard_opset(opsets: &[Opset<'_>]) -> i64 {
    opsets
        .iter()
        .find(|o| is_standard(o.domain))
        .map_or(1, |o| o.version)
}

fn check_opsets(opsets: &[Opset<'_>]) -> Result<()> {
    let stated = opsets.iter().find(|o| is_standard(o.domain));
    match stated {
        Some(o) if !(versions::OLDEST..=versions::LATEST).contains(&o.version) => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            format!("opset {} to {} of ai.onnx", versions::OLDEST, versions::LATEST),
            format!("opset {}", o.version),
        )),
        _ => Ok(()),
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy)]
enum Named {
    Value(ValueId),
    /// An optional input of a function that its caller left out.
    Absent,
    /// Something unsupported should have made it.
    Unsupported,
}

/// What names mean in a graph or in the body of a function.
#[derive(Debug)]
struct Frame<'p> {
    names: HashMap<&'p str, Named>,
    opsets: &'p [Opset<'p>],
    /// In a function: what its caller gave.
    arguments: Option<Arguments<'p>>,
    /// In a function: put before names.
    prefix: String,
    calls: usize,
}

impl<'p> Frame<'p> {
    fn new(opsets: &'p [Opset<'p>]) -> Self {
        Self {
            names: HashMap::new(),
            opsets,
            arguments: None,
            prefix: String::new(),
            calls: 0,
        }
    }
}

/// Whether a tensor can stand for an input of a type.
fn fits(tensor: &Tensor, ty: &TensorType) -> Result<()> {
    if tensor.dtype() != ty.dtype {
        return Err(Error::new(ErrorKind::Dtype, "", ty.dtype, tensor.dtype()));
    }
    let Some(dims) = &ty.dims else { return Ok(()) };
    let same = |(dim, &extent): (&Dim, &usize)| dim.known().is_none_or(|n| n == extent);
    if dims.len() != tensor.rank() || !dims.iter().zip(tensor.shape()).all(same) {
        return Err(Error::new(ErrorKind::Shape, "", ty, tensor.tensor_type()));
    }
    Ok(())
}

/// A graph being read.
#[derive(Debug)]
struct Importer<'p> {
    model: &'p Model<'p>,
    folder: Option<&'p Path>,
    graph: Graph,
    value_names: HashSet<String>,
    node_names: HashSet<String>,
    symbols: HashMap<&'p str, usize>,
    /// What is not supported, in the order of the file.
    problems: Vec<String>,
}

impl<'p> Importer<'p> {
    fn new(name: &str, model: &'p Model<'p>, folder: Option<&'p Path>) -> Self {
        Self {
            model,
            folder,
            graph: Graph::new(name),
            value_names: HashSet::new(),
            node_names: HashSet::new(),
            symbols: HashMap::new(),
            problems: Vec::new(),
        }
    }

    /// Takes the inputs of a model.
    fn inputs(
        &mut self,
        frame: &mut Frame<'p>,
        graph: &'p GraphProto<'p>,
        bound: &HashMap<String, Tensor>,
    ) -> Result<()> {
        let constants: BTreeSet<&str> = graph.initializers.iter().map(|t| t.name).collect();
        for input in &graph.inputs {
            if constants.contains(input.name) && !bound.contains_key(input.name) {
                continue;
            }
            if frame.names.contains_key(input.name) {
                return Err(Error::new(
                    ErrorKind::Name,
                    "inputs",
                    "names that differ",
                    input.name,
                ));
            }
            let id = match self.input_type(input)? {
                Err(problem) => {
                    self.problems.push(format!("input {}: {problem}", input.name));
                    Named::Unsupported
                }
                Ok(ty) => Named::Value(match bound.get(input.name) {
                    Some(tensor) => {
                        fits(tensor, &ty).map_err(|e| e.within(format!("input {}", input.name)))?;
                        self.constant(input.name, tensor.clone())
                    }
                    None => {
                        let name = self.value_name(input.name);
                        self.graph.add_input(name, ty)
                    }
                }),
            };
            frame.names.insert(input.name, id);
        }
        Ok(())
    }

    /// Type of an input, or what of it is not supported.
    fn input_type(&mut self, input: &ValueInfo<'p>) -> Result<std::result::Result<TensorType, String>> {
        if input.kind != 1 {
            return Ok(Err("no tensor".to_owned()));
        }
        let dtype = match tensor::dtype(input.elem_type) {
            Ok(dtype) => dtype,
            Err(name) => return Ok(Err(format!("elements of {name}"))),
        };
        let Some(dims) = &input.dims else {
            return Ok(Ok(TensorType::unshaped(dtype)));
        };
        let dims = dims
            .iter()
            .enumerate()
            .map(|(n, dim)| self.dim(input.name, n, *dim));
        let dims = Some(dims.collect::<Result<_>>()?);
        Ok(Ok(TensorType {
            dims,
            ..TensorType::unshaped(dtype)
        }))
    }

    fn dim(&mut self, input: &str, n: usize, dim: DimProto<'p>) -> Result<Dim> {
        let name = match dim {
            DimProto::Number(number) => {
                let number = usize::try_from(number)
                    .map_err(|_| malformed(format!("extents of at least 0 in input {input}"), number))?;
                return Ok(Dim::Known(number));
            }
            DimProto::Symbol(name) if !name.is_empty() => {
                if let Some(&place) = self.symbols.get(name) {
                    return Ok(Dim::Symbol(place));
                }
                self.symbols.insert(name, self.graph.symbols.len());
                name.to_owned()
            }
            _ => format!("{input}.{n}"),
        };
        let mut unique = name.clone();
        let mut count = 1usize;
        while self.graph.symbols.iter().any(|s| s.name == unique) {
            count += 1;
            unique = format!("{name}_{count}");
        }
        self.graph.symbols.push(Symbol {
            name: unique,
            min: 1,
            max: MAX_EXTENT,
        });
        Ok(Dim::Symbol(self.graph.symbols.len() - 1))
    }

    /// Takes the constants and nodes of a graph.
    fn body(&mut self, frame: &mut Frame<'p>, graph: &'p GraphProto<'p>) -> Result<()> {
        if graph.sparse_initializers {
            self.problems.push("sparse constants".to_owned());
        }
        for proto in &graph.initializers {
            if frame.names.contains_key(proto.name) {
                continue;
            }
            let id = match tensor::tensor(proto, self.folder) {
                Ok(tensor) => Named::Value(self.constant(proto.name, tensor)),
                Err(e) if e.kind() == ErrorKind::Unsupported => {
                    self.problems
                        .push(format!("{}: elements of {}", e.place(), e.found()));
                    Named::Unsupported
                }
                Err(e) => return Err(e),
            };
            frame.names.insert(proto.name, id);
        }
        for node in &graph.nodes {
            self.node(frame, node)?;
        }
        Ok(())
    }

    fn outputs(&mut self, frame: &Frame<'p>, graph: &GraphProto<'p>) -> Result<()> {
        for output in &graph.outputs {
            match frame.names.get(output.name) {
                Some(Named::Value(id)) => self.graph.outputs.push(*id),
                // What should have made it is among the problems.
                Some(_) => {}
                None => {
                    return Err(Error::new(
                        ErrorKind::Name,
                        "outputs",
                        "a value of the graph",
                        output.name,
                    ));
                }
            }
        }
        Ok(())
    }
}
