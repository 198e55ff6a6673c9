//! What can be compared: a network on some backend, or recorded tensors.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_backends::{Elements, Session, TensorView, TensorViewMut};
use limbic_bundle::{Bundle, Dtype, Role, Signature, TensorSpec};
use limbic_checkpoint::Checkpoint;
use limbic_graph::{Graph, Tensor, interpret};

use crate::network::Network;
use crate::opened::OpenedProgram;

/// Name of the backend that every graph runs on without another.
const INTERPRETER: &str = "interpreter";

/// One of the two that are compared.
pub enum Side {
    /// A graph on the reference interpreter, with its bundle's preprocessing if it has one.
    Graph(Box<Graph>, Option<Box<Network>>),
    /// A bundle's program on a backend, which shows its outputs alone.
    Program(Box<Program>),
    /// Recorded tensors, by name.
    Recorded(BTreeMap<String, Tensor>),
}

/// A program with a session.
pub struct Program {
    backend: String,
    signatures: Vec<Signature>,
    session: Box<dyn Session>,
    network: Network,
}

/// What a command line names: `FILE.limbic#VARIANT@BACKEND`, the last two if wanted.
struct Named<'a> {
    path: &'a Path,
    variant: Option<&'a str>,
    backend: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn of(path: &'a Path) -> Self {
        let whole = Self {
            path,
            variant: None,
            backend: None,
        };
        let suffix = ".limbic";
        let Some((text, at)) = path.to_str().and_then(|text| Some((text, text.rfind(suffix)?))) else {
            return whole;
        };
        let (file, rest) = text.split_at(at + suffix.len());
        let (variant, backend) = match rest.split_once('@') {
            Some((variant, backend)) => (variant, Some(backend)),
            None => (rest, None),
        };
        match variant.strip_prefix('#') {
            None if !variant.is_empty() => whole,
            variant => Self {
                path: Path::new(file),
                variant,
                backend,
            },
        }
    }
}

impl Side {
    /// Opens a file by its suffix.
    pub fn open(path: &Path) -> Result<Self> {
        let context = || format!("can't use {}", path.display());
        let bytes = |path: &Path| std::fs::read(path).with_context(context);
        Ok(match path.extension().and_then(|extension| extension.to_str()) {
            Some("onnx") => {
                let graph = limbic_graph::onnx::read(&bytes(path)?, path.parent()).with_context(context)?;
                Self::Graph(Box::new(graph), None)
            }
            Some("tflite") => Self::Graph(
                Box::new(limbic_graph::tflite::read(&bytes(path)?).with_context(context)?),
                None,
            ),
            Some("npz") => {
                let file = Checkpoint::open(path).with_context(context)?;
                let tensors = file
                    .tensors()
                    .iter()
                    .map(|entry| Ok((entry.name.clone(), file.read(&entry.name)?)))
                    .collect::<Result<_>>();
                Self::Recorded(tensors.with_context(context)?)
            }
            _ => Self::bundle(&Named::of(path)).with_context(context)?,
        })
    }

    fn bundle(named: &Named<'_>) -> Result<Self> {
        let bundle = Bundle::open(named.path)?;
        match named.backend {
            None | Some(INTERPRETER) => {
                let network = Network::open(&bundle, named.variant)?;
                Ok(Self::Graph(
                    Box::new(network.graph.clone()),
                    Some(Box::new(network)),
                ))
            }
            Some(backend) => Ok(Self::Program(Box::new(Program::open(
                &bundle,
                named.variant,
                backend,
            )?))),
        }
    }

    /// What runs it; nothing for recorded tensors.
    pub fn backend(&self) -> Option<String> {
        match self {
            Self::Graph(..) => Some(INTERPRETER.to_owned()),
            Self::Program(program) => Some(program.backend.clone()),
            Self::Recorded(_) => None,
        }
    }

    /// The bundle's network with its preprocessing.
    pub fn network(&self) -> Option<&Network> {
        match self {
            Self::Graph(_, network) => network.as_deref(),
            Self::Program(program) => Some(&program.network),
            Self::Recorded(_) => None,
        }
    }

    /// The graph whose inputs are to be fed.
    pub fn graph(&self) -> Option<&Graph> {
        match self {
            Self::Graph(graph, _) => Some(graph),
            Self::Program(program) => Some(&program.network.graph),
            Self::Recorded(_) => None,
        }
    }

    /// Recorded tensors.
    pub fn recorded(&self) -> Option<&BTreeMap<String, Tensor>> {
        match self {
            Self::Recorded(tensors) => Some(tensors),
            Self::Graph(..) | Self::Program(_) => None,
        }
    }

    /// Shows every tensor there is as real numbers, in the order they are made.
    pub fn walk(
        &mut self,
        input: &BTreeMap<String, Tensor>,
        show: &mut dyn FnMut(&str, Vec<f32>),
    ) -> Result<()> {
        match self {
            // What was recorded for an input stands beside it.
            Self::Recorded(tensors) => {
                for (name, tensor) in input.iter().filter(|(name, _)| tensors.contains_key(*name)) {
                    show(name, tensor.to_f32());
                }
                Ok(())
            }
            Self::Graph(graph, _) => walk_graph(graph, input, show),
            Self::Program(program) => program.run(input, show),
        }
    }
}

fn walk_graph(
    graph: &Graph,
    input: &BTreeMap<String, Tensor>,
    show: &mut dyn FnMut(&str, Vec<f32>),
) -> Result<()> {
    let feeds = graph
        .inputs
        .iter()
        .map(|id| {
            let tensor = fed(input, &graph.value(*id).name)?;
            Ok(match graph.value(*id).ty.shape() {
                Some(shape) => tensor.reshaped(&shape)?,
                None => tensor.clone(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    interpret::run_observed(graph, &feeds, &mut |id, tensor| {
        let real = match &tensor.quantization {
            Some(_) => limbic_graph::dequantize(tensor).ok(),
            None => Some(tensor.clone()).filter(|tensor| tensor.dtype().is_float()),
        };
        if let Some(real) = real {
            let name = &graph.value(id).name;
            // An ONNX file holds a quantized value as integers, and as real numbers under this name.
            show(name.strip_suffix(".dequantized").unwrap_or(name), real.to_f32());
        }
    })?;
    Ok(())
}

fn fed<'t>(input: &'t BTreeMap<String, Tensor>, name: &str) -> Result<&'t Tensor> {
    input
        .get(name)
        .with_context(|| format!("nothing for input {name}"))
}

impl Program {
    fn open(bundle: &Bundle, variant: Option<&str>, backend: &str) -> Result<Self> {
        let programs = &bundle.manifest().programs;
        let spec = programs.first().context("the bundle has no program")?;
        let named = match variant {
            Some(variant) => format!("{backend}#{variant}"),
            None => backend.to_owned(),
        };
        let OpenedProgram { backend, program, .. } = OpenedProgram::open(bundle, spec, &named, 1)?;
        Ok(Self {
            backend: backend.version(),
            signatures: program.signatures().to_vec(),
            session: program.session()?,
            network: Network::open(bundle, None)?,
        })
    }

    fn run(&mut self, input: &BTreeMap<String, Tensor>, show: &mut dyn FnMut(&str, Vec<f32>)) -> Result<()> {
        let of = |signature: &Signature, role: Role| -> Vec<TensorSpec> {
            let all = signature.tensors.iter();
            all.filter(|tensor| tensor.role == role).cloned().collect()
        };
        // The signature whose inputs are as large as the tensors.
        let fits = |signature: &&Signature| {
            of(signature, Role::Input).iter().all(|spec| {
                let count: Option<usize> = spec.fixed_dims().map(|dims| dims.iter().product());
                input
                    .get(&spec.name)
                    .is_some_and(|tensor| count == Some(tensor.len()))
            })
        };
        let signature = self
            .signatures
            .iter()
            .find(fits)
            .context("no signature takes tensors of these sizes")?;
        let fixed = |spec: &TensorSpec| {
            spec.fixed_dims()
                .with_context(|| format!("{} has no fixed shape", spec.name))
        };
        let mut feeds = Vec::new();
        for spec in of(signature, Role::Input) {
            let dims = fixed(&spec)?;
            feeds.push((fed(input, &spec.name)?, spec, dims));
        }
        let views = feeds
            .iter()
            .map(|(tensor, spec, dims)| {
                Ok(TensorView {
                    name: &spec.name,
                    dims,
                    elements: elements(tensor, spec)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut made = Vec::new();
        for spec in of(signature, Role::Output) {
            if spec.dtype != Dtype::F32 {
                bail!("output {} is {}; f32 is compared", spec.name, spec.dtype.name());
            }
            let dims = fixed(&spec)?;
            let count = dims.iter().product();
            made.push((spec.name, dims, vec![0f32; count]));
        }
        let mut outputs: Vec<TensorViewMut<'_>> = made
            .iter_mut()
            .map(|(name, dims, values)| TensorViewMut::f32(name, dims, values))
            .collect();
        self.session.run(&signature.name, &views, &mut outputs)?;
        drop(outputs);
        for (name, _, values) in made {
            show(&name, values);
        }
        Ok(())
    }
}

fn elements<'t>(tensor: &'t Tensor, spec: &TensorSpec) -> Result<Elements<'t>> {
    Ok(match spec.dtype {
        Dtype::F32 => Elements::F32(tensor.elements()?),
        Dtype::I64 => Elements::I64(tensor.elements()?),
        Dtype::I32 => Elements::I32(tensor.elements()?),
        other => bail!(
            "input {} is {}; f32, i64 and i32 are fed",
            spec.name,
            other.name()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_may_be_named_with_variant_and_backend() {
        let parts = |text: &'static str| {
            let named = Named::of(Path::new(text));
            (named.path.to_str().unwrap(), named.variant, named.backend)
        };
        assert_eq!(parts("a.limbic"), ("a.limbic", None, None));
        assert_eq!(parts("b@c/a.limbic"), ("b@c/a.limbic", None, None));
        assert_eq!(parts("a.limbic#int8"), ("a.limbic", Some("int8"), None));
        assert_eq!(
            parts("d/a.limbic#int8@engine@scalar"),
            ("d/a.limbic", Some("int8"), Some("engine@scalar"))
        );
        assert_eq!(parts("a.limbic@tract"), ("a.limbic", None, Some("tract")));
    }
}
