//! A backend of the device as something that runs conformance cases.

use anyhow::bail;
use limbic_backends::{
    Elements, ElementsMut, ErrorKind, ProgramFile, ProgramSource, TensorView, TensorViewMut,
};
use limbic_bundle::{Dim, Dtype, GraphFormat, Role, Signature, TensorSpec};
use limbic_graph::conformance::{Bound, System};
use limbic_graph::{Storage, Tensor, onnx};

type Result<T> = limbic_graph::Result<T>;

/// Backends that take cases. TensorFlow Lite does not: on a graph of types that it does not expect its library ends the
/// process.
const TAKING: [&str; 2] = ["tract", "ort"];

/// A backend that is compiled in.
#[derive(Debug)]
pub struct Backend {
    backend: Box<dyn limbic_backends::Backend>,
}

impl Backend {
    /// The backend of this name.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let backend = limbic_backends::by_name(name)?;
        if !TAKING.contains(&backend.name()) {
            bail!(
                "{name} runs no cases; there are interpreter, engine, {}",
                TAKING.join(", ")
            );
        }
        Ok(Self { backend })
    }
}

impl System for Backend {
    fn run(
        &mut self,
        model: &[u8],
        bound: &Bound,
        inputs: &[Tensor],
        wanted: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let interface = onnx::interface(model)?;
        let names = interface.inputs.iter().map(|input| &input.name);
        let names: Vec<&String> = names.filter(|name| !bound.contains_key(*name)).collect();
        let mut tensors = Vec::new();
        for (name, tensor) in names.iter().zip(inputs) {
            tensors.push(spec(name, tensor, Role::Input)?);
        }
        for (name, tensor) in interface.outputs.iter().zip(wanted) {
            tensors.push(spec(name, tensor, Role::Output)?);
        }
        let signature = Signature {
            name: "main".to_owned(),
            base: "main".to_owned(),
            bindings: Default::default(),
            symbolic: tensors.clone(),
            tensors,
        };
        let bytes = onnx::with_defaults(model, bound);
        let source = ProgramSource {
            name: "case",
            format: GraphFormat::Onnx,
            files: &[ProgramFile::whole(bytes)],
            signatures: std::slice::from_ref(&signature),
        };
        let program = self.backend.load(&source).map_err(|e| refused(&e))?;
        let mut session = program.session().map_err(|e| refused(&e))?;
        let mut views = Vec::new();
        for (name, tensor) in names.iter().zip(inputs) {
            let elements = elements(tensor)?;
            views.push(TensorView {
                name,
                dims: tensor.shape(),
                elements,
            });
        }
        let mut buffers = wanted.iter().map(Buffer::like).collect::<Result<Vec<_>>>()?;
        let mut filled: Vec<TensorViewMut<'_>> = interface
            .outputs
            .iter()
            .zip(wanted.iter().zip(&mut buffers))
            .map(|(name, (tensor, buffer))| TensorViewMut {
                name,
                dims: tensor.shape(),
                elements: buffer.elements(),
            })
            .collect();
        session
            .run("main", &views, &mut filled)
            .map_err(|e| refused(&e))?;
        drop(filled);
        buffers
            .into_iter()
            .zip(wanted)
            .map(|(buffer, tensor)| buffer.tensor(tensor.shape()))
            .collect()
    }
}

/// The backend's error in the graph's words: what it refuses is unsupported, the rest broke off.
fn refused(error: &limbic_backends::Error) -> limbic_graph::Error {
    let kind = match error.kind() {
        ErrorKind::UnsupportedFormat | ErrorKind::UnsupportedOperator | ErrorKind::Malformed => {
            limbic_graph::ErrorKind::Unsupported
        }
        _ => limbic_graph::ErrorKind::Value,
    };
    limbic_graph::Error::new(kind, error.place(), error.expected(), error.found())
}

fn unsupported(tensor: &Tensor) -> limbic_graph::Error {
    let found = format!("elements of {}", tensor.dtype());
    limbic_graph::Error::new(
        limbic_graph::ErrorKind::Unsupported,
        "",
        "elements of the backend",
        found,
    )
}

fn spec(name: &str, tensor: &Tensor, role: Role) -> Result<TensorSpec> {
    let dtype = match tensor.storage() {
        Storage::F32(_) => Dtype::F32,
        Storage::I64(_) => Dtype::I64,
        Storage::I32(_) => Dtype::I32,
        Storage::I8(_) => Dtype::I8,
        Storage::U8(_) => Dtype::U8,
        Storage::Bool(_) => Dtype::Bool,
        _ => return Err(unsupported(tensor)),
    };
    Ok(TensorSpec {
        name: name.to_owned(),
        role,
        dtype,
        dims: tensor.shape().iter().map(|&n| Dim::Fixed(n)).collect(),
        layout: None,
        quantization: None,
        next: None,
    })
}

fn elements(tensor: &Tensor) -> Result<Elements<'_>> {
    Ok(match tensor.storage() {
        Storage::F32(e) => Elements::F32(e),
        Storage::I64(e) => Elements::I64(e),
        Storage::I32(e) => Elements::I32(e),
        Storage::I8(e) => Elements::I8(e),
        Storage::U8(e) => Elements::U8(e),
        Storage::Bool(e) => Elements::Bool(e),
        _ => return Err(unsupported(tensor)),
    })
}

/// Room for an output.
#[derive(Debug)]
enum Buffer {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

impl Buffer {
    fn like(tensor: &Tensor) -> Result<Self> {
        let length = tensor.len();
        Ok(match tensor.storage() {
            Storage::F32(_) => Self::F32(vec![0.0; length]),
            Storage::I64(_) => Self::I64(vec![0; length]),
            Storage::I32(_) => Self::I32(vec![0; length]),
            Storage::I8(_) => Self::I8(vec![0; length]),
            Storage::U8(_) => Self::U8(vec![0; length]),
            Storage::Bool(_) => Self::Bool(vec![false; length]),
            _ => return Err(unsupported(tensor)),
        })
    }

    fn elements(&mut self) -> ElementsMut<'_> {
        match self {
            Self::F32(e) => ElementsMut::F32(e),
            Self::I64(e) => ElementsMut::I64(e),
            Self::I32(e) => ElementsMut::I32(e),
            Self::I8(e) => ElementsMut::I8(e),
            Self::U8(e) => ElementsMut::U8(e),
            Self::Bool(e) => ElementsMut::Bool(e),
        }
    }

    fn tensor(self, shape: &[usize]) -> Result<Tensor> {
        match self {
            Self::F32(e) => Tensor::new(shape, e),
            Self::I64(e) => Tensor::new(shape, e),
            Self::I32(e) => Tensor::new(shape, e),
            Self::I8(e) => Tensor::new(shape, e),
            Self::U8(e) => Tensor::new(shape, e),
            Self::Bool(e) => Tensor::new(shape, e),
        }
    }
}
