//! The seam every inference engine stands behind.

use std::fmt::Debug;
use std::sync::Arc;

use limbic_bundle::{Dtype, GraphFormat, Signature};

use crate::error::{Error, ErrorKind, Result};
use crate::view::{TensorView, TensorViewMut};

/// An inference engine.
pub trait Backend: Debug + Send + Sync {
    /// Name as a manifest's variant and `--backend` give it.
    fn name(&self) -> &'static str;

    /// Name and version of the engine, such as `tract 0.23.9`.
    fn version(&self) -> String;

    /// Reads a program and prepares each of its signatures.
    ///
    /// # Errors
    /// [`ErrorKind::UnsupportedFormat`], [`ErrorKind::Malformed`], [`ErrorKind::UnsupportedOperator`] naming operators
    /// and nodes, or [`ErrorKind::UnknownTensor`], [`ErrorKind::Dtype`] or [`ErrorKind::Shape`] where the graph is not
    /// what the signatures say.
    fn load(&self, source: &ProgramSource<'_>) -> Result<Arc<dyn Program>>;

    /// Counts what a program is made of, without running it.
    ///
    /// # Errors
    /// As [`Backend::load`].
    fn describe(&self, source: &ProgramSource<'_>) -> Result<ProgramReport>;
}

/// What a program is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramReport {
    /// Operators of the file and how many nodes have each, by name.
    pub operators: Vec<(String, usize)>,
    /// Elements of the floating-point constants.
    pub parameters: u64,
    /// Multiply-accumulates of one run of each signature; `None` where a size is free.
    pub macs: Vec<(String, Option<u64>)>,
}

/// What a backend makes a program of.
#[derive(Debug, Clone, Copy)]
pub struct ProgramSource<'a> {
    /// Name of the program, for messages.
    pub name: &'a str,
    /// Format of the file.
    pub format: GraphFormat,
    /// Content of the file.
    pub bytes: &'a [u8],
    /// The signatures to prepare, buckets resolved.
    pub signatures: &'a [Signature],
}

/// A loaded program: its weights, shared by all sessions.
pub trait Program: Debug + Send + Sync {
    /// The signatures it can run.
    fn signatures(&self) -> &[Signature];

    /// What it runs on.
    fn placement(&self) -> Placement;

    /// A new session, its state all zeros.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`].
    fn session(&self) -> Result<Box<dyn Session>>;
}

/// What a program runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placement {
    /// Device, such as `cpu`.
    pub device: String,
    /// Threads a run uses, the caller's included.
    pub threads: usize,
}

impl Placement {
    /// A run on the caller's thread alone.
    #[allow(dead_code, reason = "used by the backends that are compiled in")]
    pub(crate) fn caller() -> Self {
        Self {
            device: "cpu".to_owned(),
            threads: 1,
        }
    }
}

/// One user of a program, with state tensors of its own.
pub trait Session: Debug + Send {
    /// Runs a signature: reads every input, fills the outputs that are asked for, and moves the state on.
    ///
    /// Tensors are matched by name, in any order. Each input of the signature must be there; state tensors are neither
    /// inputs nor outputs. Sizes of free symbols follow from the inputs.
    ///
    /// # Errors
    /// Names the signature and tensor, what was expected and what was found; state and outputs are then as before,
    /// but that outputs may be partly filled after [`ErrorKind::Engine`].
    fn run(
        &mut self,
        signature: &str,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> Result<()>;

    /// Sets the state back to zeros.
    fn reset(&mut self);

    /// A copy of the state.
    ///
    /// # Errors
    /// [`ErrorKind::Engine`].
    fn save(&self) -> Result<SessionState>;

    /// Goes on from a saved state, of this session or another of the same program.
    ///
    /// # Errors
    /// [`ErrorKind::State`] if names, types or shapes are not this program's; the state is then as before.
    fn restore(&mut self, state: &SessionState) -> Result<()>;
}

/// Copy of a session's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SessionState {
    pub(crate) tensors: Vec<StateTensor>,
}

/// Value of one state tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StateTensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) dims: Vec<usize>,
    /// Elements in the machine's byte order.
    pub(crate) bytes: Vec<u8>,
}

/// All backends that are compiled in, the default first.
pub fn compiled() -> Vec<&'static str> {
    vec![
        #[cfg(feature = "tract")]
        "tract",
    ]
}

/// The backend of this name.
///
/// # Errors
/// [`ErrorKind::UnknownBackend`] with the names that are compiled in.
pub fn by_name(name: &str) -> Result<Box<dyn Backend>> {
    match name {
        #[cfg(feature = "tract")]
        "tract" => Ok(Box::new(crate::tract::Tract)),
        other => {
            let compiled = compiled();
            let expected = match compiled.as_slice() {
                [] => "nothing, as no backend is compiled in".to_owned(),
                names => format!("one of {}", names.join(", ")),
            };
            Err(Error::new(
                ErrorKind::UnknownBackend,
                "backend",
                expected,
                format!("{other:?}"),
            ))
        }
    }
}
