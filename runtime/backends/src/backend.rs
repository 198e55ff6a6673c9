//! The seam every inference engine stands behind.

use std::fmt::Debug;
use std::sync::Arc;

use limbic_bundle::{Bundle, Bytes, Dtype, GraphFormat, Signature, Variant};

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
    /// Elements of the floating-point constants; nothing where the file does not say.
    pub parameters: Option<u64>,
    /// Multiply-accumulates of one run of each signature; `None` where a size is free or the backend does not tell.
    pub macs: Vec<(String, Option<u64>)>,
}

/// What a backend makes a program of.
#[derive(Debug, Clone, Copy)]
pub struct ProgramSource<'a> {
    /// Name of the program, for messages.
    pub name: &'a str,
    /// Format of the files.
    pub format: GraphFormat,
    /// One file for all signatures, or one for each, as the format wants.
    pub files: &'a [ProgramFile],
    /// The signatures to prepare, buckets resolved.
    pub signatures: &'a [Signature],
}

/// A file of a program.
#[derive(Debug, Clone)]
pub struct ProgramFile {
    /// The concrete signature that it serves; nothing where it serves all.
    pub signature: Option<String>,
    /// Its content.
    pub content: Bytes,
    /// The weight packs that it reads, in its order.
    pub packs: Vec<WeightPack>,
}

/// Weights that several files of a program share.
#[derive(Debug, Clone)]
pub struct WeightPack {
    /// Its content, at an address that is a multiple of 64.
    pub content: Bytes,
    /// SHA-256 of the content as the bundle lists it, which opening the bundle compared; nothing outside of a bundle.
    pub sha256: Option<String>,
}

impl ProgramFile {
    /// A file that serves all signatures and holds its weights.
    pub fn whole(content: impl Into<Bytes>) -> Self {
        Self {
            signature: None,
            content: content.into(),
            packs: Vec::new(),
        }
    }

    /// The files of a program in a variant of a bundle, with their format; nothing if the variant has none.
    ///
    /// # Errors
    /// As [`Bundle::shared_entry`].
    pub fn of(
        bundle: &Bundle,
        variant: &Variant,
        program: &str,
    ) -> limbic_bundle::Result<Option<(GraphFormat, Vec<Self>)>> {
        let mut files = Vec::new();
        let mut format = None;
        for entry in variant.entries.iter().filter(|entry| entry.program == program) {
            format = Some(entry.format);
            files.push(Self {
                signature: entry.signature.clone(),
                content: bundle.shared_entry(&entry.path)?,
                packs: entry
                    .packs
                    .iter()
                    .map(|path| WeightPack::of(bundle, path))
                    .collect::<limbic_bundle::Result<_>>()?,
            });
        }
        Ok(format.map(|format| (format, files)))
    }
}

impl WeightPack {
    fn of(bundle: &Bundle, path: &str) -> limbic_bundle::Result<Self> {
        let listed = bundle.manifest().entries.iter().find(|entry| entry.path == path);
        Ok(Self {
            content: bundle.shared_entry(path)?,
            sha256: listed.map(|entry| entry.sha256.clone()),
        })
    }
}

impl ProgramSource<'_> {
    /// The one file that serves all signatures.
    #[allow(dead_code, reason = "used by the backends that are compiled in")]
    pub(crate) fn whole(&self, format: GraphFormat) -> Result<&[u8]> {
        match self.files {
            [file] if self.format == format && file.signature.is_none() => Ok(&file.content),
            _ => Err(Error::new(
                ErrorKind::UnsupportedFormat,
                self.name,
                format!("one file of {}", format.name()),
                format!("{} of {}", self.files.len(), self.format.name()),
            )),
        }
    }
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

impl SessionState {
    /// Refuses a state whose names, types or shapes are not this one's.
    #[allow(dead_code, reason = "used by the backends that are compiled in")]
    pub(crate) fn same_tensors(&self, given: &Self, program: &str) -> Result<()> {
        let describe = |tensors: &[StateTensor]| {
            let list = tensors
                .iter()
                .map(|t| format!("{} {} {:?}", t.name, t.dtype.name(), t.dims));
            format!("[{}]", list.collect::<Vec<_>>().join(", "))
        };
        let same =
            |a: &StateTensor, b: &StateTensor| a.name == b.name && a.dtype == b.dtype && a.dims == b.dims;
        let mut pairs = self.tensors.iter().zip(&given.tensors);
        if self.tensors.len() == given.tensors.len() && pairs.all(|(mine, given)| same(mine, given)) {
            return Ok(());
        }
        let (expected, found) = (describe(&self.tensors), describe(&given.tensors));
        Err(Error::new(ErrorKind::State, program, expected, found))
    }
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
        #[cfg(feature = "engine")]
        "engine",
        #[cfg(feature = "tract")]
        "tract",
        #[cfg(feature = "ort")]
        "ort",
        #[cfg(feature = "tflite")]
        "tflite",
    ]
}

/// Uses ONNX Runtime's library at this path in place of the one in `ORT_DYLIB_PATH`.
///
/// A process uses one library; what was loaded before stays.
#[cfg(feature = "ort")]
pub fn use_onnx_runtime(library: &std::path::Path) {
    crate::ort::library::tell(library);
}

/// Uses TensorFlow Lite's library at this path in place of the one in `TFLITE_DYLIB_PATH`.
#[cfg(feature = "tflite")]
pub fn use_tensorflow_lite(library: &std::path::Path) {
    crate::tflite::library::tell(library);
}

/// The backend of this name on the caller's thread; what stands behind an `@` narrows it down.
///
/// `engine` uses the best instructions of this processor, `engine@scalar` the named tier at most. `ort` computes on the
/// processor, `ort@cuda` and `ort@tensorrt` on the named provider alone, `ort@cuda+cpu` on the second where the first
/// does not start.
///
/// # Errors
/// [`ErrorKind::UnknownBackend`] with the names that are compiled in, the tiers that this processor has or the providers
/// there are; [`ErrorKind::Library`] or [`ErrorKind::Provider`] where a native library, or what should compute in it, is
/// not there.
pub fn by_name(name: &str) -> Result<Box<dyn Backend>> {
    with_threads(name, 1)
}

/// As [`by_name`], each session with threads of its own: so many at most, the caller's included.
///
/// [`Placement::threads`] says how many a run uses: the engine uses no more than the process may at a time, and one
/// where more would not make a run shorter; `tract` always uses one. Threads sleep between two runs and end with their
/// session.
///
/// # Errors
/// As [`by_name`].
pub fn with_threads(name: &str, threads: usize) -> Result<Box<dyn Backend>> {
    let threads = threads.max(1);
    #[cfg(feature = "engine")]
    if let Some(tier) = name.strip_prefix("engine@") {
        return Ok(Box::new(
            crate::engine::Engine::with_tier(tier)?.with_threads(threads),
        ));
    }
    #[cfg(feature = "ort")]
    if let Some(providers) = name.strip_prefix("ort@") {
        return Ok(Box::new(crate::ort::Ort::with_providers(providers, threads)?));
    }
    match name {
        #[cfg(feature = "engine")]
        "engine" => Ok(Box::new(crate::engine::Engine::detect().with_threads(threads))),
        #[cfg(feature = "tract")]
        "tract" => Ok(Box::new(crate::tract::Tract)),
        #[cfg(feature = "ort")]
        "ort" => Ok(Box::new(crate::ort::Ort::with_providers("cpu", threads)?)),
        #[cfg(feature = "tflite")]
        "tflite" => Ok(Box::new(crate::tflite::Tflite::new(threads)?)),
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
