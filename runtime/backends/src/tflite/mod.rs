//! TensorFlow Lite on its flatbuffers, from a library that is loaded while running.

pub(crate) mod library;
mod session;

use std::sync::Arc;

use limbic_bundle::{Dtype, GraphFormat, Role, Signature, TensorSpec};

use crate::backend::{Backend, Placement, Program, ProgramFile, ProgramReport, ProgramSource, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::tflite::library::{Described, Interpreter, Model, Runtime};
use crate::tflite::session::TfliteSession;

/// The mark of the format behind the offset of its first table.
const MARK: &[u8] = b"TFL3";

/// TensorFlow Lite on the caller's thread and others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tflite {
    runtime: &'static Runtime,
    /// Threads of a run, the caller's included.
    threads: usize,
}

impl Tflite {
    /// The library that was named.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        Ok(Self {
            runtime: library::load()?,
            threads,
        })
    }
}

impl Backend for Tflite {
    fn name(&self) -> &'static str {
        "tflite"
    }

    fn version(&self) -> String {
        format!("TensorFlow Lite {}", self.runtime.version)
    }

    fn load(&self, source: &ProgramSource<'_>) -> Result<Arc<dyn Program>> {
        if source.format != GraphFormat::Tflite {
            return Err(Error::new(
                ErrorKind::UnsupportedFormat,
                source.name,
                GraphFormat::Tflite.name(),
                source.format.name(),
            ));
        }
        let mut prepared = Vec::new();
        let mut models: Vec<(&ProgramFile, Arc<Model>)> = Vec::new();
        for signature in source.signatures {
            let place = format!("{}/{}", source.name, signature.name);
            let mut files = source.files.iter();
            let serves =
                |file: &&ProgramFile| file.signature.as_ref().is_none_or(|name| *name == signature.name);
            let file = files
                .find(serves)
                .ok_or_else(|| Error::new(ErrorKind::UnknownSignature, &place, "a file for it", "none"))?;
            let known = models.iter().find(|(known, _)| std::ptr::eq(*known, file));
            let model = match known {
                Some((_, model)) => Arc::clone(model),
                None => {
                    let model = Arc::new(read(self.runtime, &place, file)?);
                    models.push((file, Arc::clone(&model)));
                    model
                }
            };
            prepared.push(prepare(&place, model, signature, self.threads)?.1);
        }
        Ok(Arc::new(TfliteProgram(Arc::new(Loaded {
            name: source.name.to_owned(),
            signatures: source.signatures.to_vec(),
            prepared,
            threads: self.threads,
        }))))
    }

    fn describe(&self, source: &ProgramSource<'_>) -> Result<ProgramReport> {
        let program = self.load(source)?;
        let signatures = program.signatures().iter();
        Ok(ProgramReport {
            operators: Vec::new(),
            parameters: None,
            macs: signatures
                .map(|signature| (signature.name.clone(), None))
                .collect(),
        })
    }
}

/// A model, and where each tensor of a signature is in it.
#[derive(Debug)]
struct Prepared {
    model: Arc<Model>,
    /// Index of the input of each tensor of the signature, that is an input or a state, in the signature's order.
    inputs: Vec<usize>,
    /// Index of the output of each tensor of the signature, in the signature's order: of a state its next value.
    outputs: Vec<Option<usize>>,
}

/// What all sessions of a program share.
#[derive(Debug)]
struct Loaded {
    name: String,
    signatures: Vec<Signature>,
    /// One for each signature.
    prepared: Vec<Prepared>,
    threads: usize,
}

#[derive(Debug)]
struct TfliteProgram(Arc<Loaded>);

impl Program for TfliteProgram {
    fn signatures(&self) -> &[Signature] {
        &self.0.signatures
    }

    fn placement(&self) -> Placement {
        Placement {
            threads: self.0.threads,
            ..Placement::caller()
        }
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(TfliteSession::new(Arc::clone(&self.0))?))
    }
}

fn read(runtime: &'static Runtime, place: &str, file: &ProgramFile) -> Result<Model> {
    let malformed = |found: &str| Error::new(ErrorKind::Malformed, place, "a file of TensorFlow Lite", found);
    if file.content.get(4..8) != Some(MARK) {
        return Err(malformed("one without its mark, TFL3"));
    }
    Model::read(runtime, file.content.clone()).ok_or_else(|| malformed("one that the library refuses"))
}

/// An interpreter, and where the tensors of a signature of its sizes are.
fn prepare(
    place: &str,
    model: Arc<Model>,
    signature: &Signature,
    threads: usize,
) -> Result<(Interpreter, Prepared)> {
    let mut interpreter = Interpreter::new(Arc::clone(&model), threads).ok_or_else(|| {
        Error::new(
            ErrorKind::UnsupportedOperator,
            place,
            "operators that the library has",
            "others, which it names on the standard error",
        )
    })?;
    let declared = interpreter.inputs();
    let mut inputs = Vec::new();
    let taken = || signature.tensors.iter().filter(|spec| spec.role != Role::Output);
    for spec in taken() {
        let at = fit(place, &declared, "input", &spec.name, spec)?;
        let found = declared.get(at).map(|input| input.dims.clone());
        // The library would resize an input, and then reads the weights of some graphs with a wrong stride.
        if spec.fixed_dims() != found {
            let place = format!("{place}: {}", spec.name);
            let found = format!("{:?} in the file", found.unwrap_or_default());
            return Err(Error::new(ErrorKind::Shape, place, spec.shape(), found));
        }
        inputs.push(at);
    }
    if let Some(input) = declared
        .iter()
        .find(|input| !taken().any(|spec| spec.name == input.name))
    {
        return Err(Error::new(
            ErrorKind::MissingTensor,
            format!("{place}: {}", input.name),
            "an input or a state of this name, which the graph needs",
            "none in the signature",
        ));
    }
    if !interpreter.allocate() {
        let expected = "a graph of consistent shapes";
        let found = "another, of which the library says more on the standard error";
        return Err(Error::new(ErrorKind::Malformed, place, expected, found));
    }
    let made = interpreter.outputs();
    let mut outputs = Vec::new();
    for spec in &signature.tensors {
        let name = match spec.role {
            Role::Input => None,
            Role::Output => Some(&spec.name),
            Role::State => spec.next.as_ref(),
        };
        let Some(name) = name else {
            outputs.push(None);
            continue;
        };
        let at = fit(place, &made, "output", name, spec)?;
        let found = made.get(at).map(|output| output.dims.clone()).unwrap_or_default();
        if spec.fixed_dims().as_ref() != Some(&found) {
            let place = format!("{place}: {name}");
            let found = format!("{found:?} in the file");
            return Err(Error::new(ErrorKind::Shape, place, spec.shape(), found));
        }
        outputs.push(Some(at));
    }
    Ok((
        interpreter,
        Prepared {
            model,
            inputs,
            outputs,
        },
    ))
}

/// Index of a tensor by name, its type being the signature's.
fn fit(place: &str, all: &[Described], what: &str, name: &str, spec: &TensorSpec) -> Result<usize> {
    let place = format!("{place}: {name}");
    let Some(at) = all.iter().position(|tensor| tensor.name == name) else {
        let names: Vec<&str> = all.iter().map(|tensor| tensor.name.as_str()).collect();
        let found = format!("a graph with {what}s {}", names.join(", "));
        let expected = format!("an {what} of this name");
        return Err(Error::new(ErrorKind::UnknownTensor, place, expected, found));
    };
    let kind = all.get(at).map_or(0, |tensor| tensor.kind);
    let found = dtype(kind);
    if found != Some(spec.dtype) {
        let found = found.map_or_else(|| format!("type {kind}"), |dtype| dtype.name().to_owned());
        return Err(Error::new(ErrorKind::Dtype, place, spec.dtype.name(), found));
    }
    Ok(at)
}

/// A type by the library's number of it, `TfLiteType` in `c_api_types.h`.
fn dtype(kind: i32) -> Option<Dtype> {
    Some(match kind {
        1 => Dtype::F32,
        2 => Dtype::I32,
        3 => Dtype::U8,
        4 => Dtype::I64,
        6 => Dtype::Bool,
        9 => Dtype::I8,
        10 => Dtype::F16,
        _ => return None,
    })
}
