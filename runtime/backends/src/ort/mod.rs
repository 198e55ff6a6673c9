//! ONNX Runtime on ONNX graphs, from a library that is loaded while running.

mod cache;
mod elements;
mod interface;
pub(crate) mod library;
mod model;
mod provider;
mod session;

use std::sync::{Arc, Mutex};

use limbic_bundle::{GraphFormat, Signature};
use ort::ErrorCode;
use ort::session::Session as Graph;
use ort::session::builder::GraphOptimizationLevel;

use crate::backend::{Backend, Placement, Program, ProgramReport, ProgramSource, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::ort::library::Runtime;
use crate::ort::model::Model;
use crate::ort::provider::Provider;
use crate::ort::session::OrtSession;

/// Longest message of ONNX Runtime that is passed on, in characters.
const MESSAGE_CHARS: usize = 600;

/// ONNX Runtime with the providers that may compute.
#[derive(Debug)]
pub(crate) struct Ort {
    runtime: &'static Runtime,
    /// Tried in this order.
    providers: Vec<Provider>,
    /// Threads of a run on the processor, the caller's included.
    threads: usize,
}

impl Ort {
    /// The library that was named, with providers by name: `cuda`, or `cuda+cpu` where the second may stand in.
    pub(crate) fn with_providers(names: &str, threads: usize) -> Result<Self> {
        let providers = Provider::parse(names)?;
        let runtime = library::load()?;
        if !providers.iter().any(|provider| provider.is_built_in()) {
            let expected = format!("one of its providers: {}", Provider::built_in());
            let place = format!("ONNX Runtime {} at {}", runtime.version, runtime.path.display());
            return Err(Error::new(ErrorKind::Provider, place, expected, names));
        }
        Ok(Self {
            runtime,
            providers,
            threads,
        })
    }

    /// The first provider that takes the graph, with what stopped those before it.
    fn start(
        &self,
        source: &ProgramSource<'_>,
        content: &[u8],
        model: &Model<'_>,
    ) -> Result<(Graph, String)> {
        let mut stopped: Option<Error> = None;
        for provider in &self.providers {
            match self.start_on(*provider, source, content, model) {
                Ok(graph) => {
                    let mut device = provider.name().to_owned();
                    if let Some(error) = stopped {
                        log::warn!("{error}; {device} stands in");
                        device.push_str(&format!(" in place of {}", self.names()));
                    }
                    return Ok((graph, device));
                }
                // Another provider reads the same graph.
                Err(error) if error.kind() != ErrorKind::Provider => return Err(error),
                Err(error) => stopped = Some(error),
            }
        }
        Err(stopped.unwrap_or_else(|| Error::new(ErrorKind::Provider, source.name, "a provider", "none")))
    }

    fn start_on(
        &self,
        provider: Provider,
        source: &ProgramSource<'_>,
        content: &[u8],
        model: &Model<'_>,
    ) -> Result<Graph> {
        let refused = |found: &dyn std::fmt::Display| {
            let expected = format!("provider {} to start", provider.name());
            Error::new(ErrorKind::Provider, source.name, expected, shortened(found))
        };
        if !provider.is_built_in() {
            return Err(refused(&format_args!(
                "a library with {}: {}",
                Provider::built_in(),
                self.runtime.path.display()
            )));
        }
        let settings = provider.settings(self.runtime, content, model, source.signatures);
        let with_providers = Graph::builder(&self.runtime.environment).and_then(|builder| {
            Ok(builder
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(self.threads)?
                .with_inter_threads(1)?)
        });
        let mut builder = with_providers.map_err(|error| engine(source.name, &error))?;
        if !settings.is_empty() {
            builder = builder
                .with_execution_providers(settings)
                .map_err(|error| refused(&error))?;
        }
        builder.commit_from_memory(content).map_err(|error| {
            if provider != Provider::Cpu && error.code() == ErrorCode::EngineError {
                return refused(&error);
            }
            unread(source.name, &error)
        })
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.providers.iter().map(|provider| provider.name()).collect();
        names.join("+")
    }
}

impl Backend for Ort {
    fn name(&self) -> &'static str {
        "ort"
    }

    fn version(&self) -> String {
        format!("ONNX Runtime {} ({})", self.runtime.version, self.names())
    }

    fn load(&self, source: &ProgramSource<'_>) -> Result<Arc<dyn Program>> {
        let content = source.whole(GraphFormat::Onnx)?;
        let model = Model::read(source.name, content)?;
        let (graph, device) = self.start(source, content, &model)?;
        for signature in source.signatures {
            interface::fits(&format!("{}/{}", source.name, signature.name), &graph, signature)?;
        }
        Ok(Arc::new(OrtProgram(Arc::new(Loaded {
            name: source.name.to_owned(),
            signatures: source.signatures.to_vec(),
            graph: Mutex::new(graph),
            device,
            threads: self.threads,
        }))))
    }

    fn describe(&self, source: &ProgramSource<'_>) -> Result<ProgramReport> {
        let model = Model::read(source.name, source.whole(GraphFormat::Onnx)?)?;
        let operators = model
            .operators
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        let signatures = source.signatures.iter();
        Ok(ProgramReport {
            operators: operators.collect(),
            parameters: Some(model.parameters),
            macs: signatures
                .map(|signature| (signature.name.clone(), None))
                .collect(),
        })
    }
}

/// What all sessions of a program share.
#[derive(Debug)]
struct Loaded {
    name: String,
    signatures: Vec<Signature>,
    /// The crate lends it to one run at a time; sessions on several threads wait for each other.
    graph: Mutex<Graph>,
    device: String,
    threads: usize,
}

#[derive(Debug)]
struct OrtProgram(Arc<Loaded>);

impl Program for OrtProgram {
    fn signatures(&self) -> &[Signature] {
        &self.0.signatures
    }

    fn placement(&self) -> Placement {
        Placement {
            device: self.0.device.clone(),
            threads: self.0.threads,
        }
    }

    fn session(&self) -> Result<Box<dyn Session>> {
        Ok(Box::new(OrtSession::new(Arc::clone(&self.0))?))
    }
}

/// Why a graph was not taken.
fn unread(program: &str, error: &ort::Error) -> Error {
    let message = error.message();
    // A domain or a name that it does not know has the code of a damaged graph.
    let unknown = ["No Op registered for", "is not a registered function/op"];
    let lacks =
        error.code() == ErrorCode::NotImplemented || unknown.iter().any(|words| message.contains(words));
    let (kind, expected) = if lacks {
        (ErrorKind::UnsupportedOperator, "operators that ONNX Runtime has")
    } else {
        (ErrorKind::Malformed, "a graph that ONNX Runtime takes")
    };
    Error::new(kind, program, expected, shortened(&message))
}

fn engine(place: &str, error: &ort::Error) -> Error {
    Error::new(ErrorKind::Engine, place, "a run", shortened(&error.message()))
}

/// A message without its middle, where it is long: the place comes first and what is wrong last, behind the types of a
/// C++ function.
fn shortened(found: &dyn std::fmt::Display) -> String {
    let found = found.to_string();
    let count = found.chars().count();
    if count <= MESSAGE_CHARS {
        return found;
    }
    let first: String = found.chars().take(MESSAGE_CHARS / 3).collect();
    let last: String = found.chars().skip(count - MESSAGE_CHARS / 3 * 2).collect();
    format!("{first} ... {last}")
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_CHARS, shortened};

    #[test]
    fn long_messages_keep_their_ends() {
        assert_eq!(shortened(&"short"), "short");
        let long = format!("place{}reason", "x".repeat(5000));
        let kept = shortened(&long);
        assert!(kept.starts_with("place") && kept.ends_with("reason"), "{kept}");
        assert!(kept.chars().count() <= MESSAGE_CHARS + 5);
    }
}
