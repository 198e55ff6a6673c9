//! One opened bundle: its pipeline, its loaded programs and its heads.

use std::collections::BTreeMap;

use limbic_affect::{Head, LabelSpaces, LogitPool, NoAnswerReason, Prediction, Sense};
use limbic_backends::{Program, ProgramFile, ProgramSource, Session, TensorView, TensorViewMut};
use limbic_bundle::{Bundle, Dtype, Gate, Manifest, Modality, Role, Signature, Stage, Variant};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::Pipeline;

/// A bundle that is ready to answer.
pub(crate) struct Model {
    bundle: Bundle,
    pub(crate) sense: Sense,
    pub(crate) backend: String,
    pub(crate) pipeline: Pipeline,
    programs: BTreeMap<String, Loaded>,
    heads: Vec<Head>,
}

struct Loaded {
    signatures: Vec<Signature>,
    program: Arc<dyn Program>,
    session: Box<dyn Session>,
}

/// A value between two stages.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) dims: Vec<usize>,
    pub(crate) data: Data,
}

/// Elements of a value.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

/// Logits of every head, in the order of the manifest.
pub(crate) type Logits = Vec<Vec<f32>>;

impl Model {
    pub(crate) fn open(bundle: Bundle, backend: Option<&str>, threads: usize) -> Result<Self> {
        let manifest = bundle.manifest();
        let pipeline = Pipeline::of(&bundle)?;
        let sense = match &pipeline {
            Pipeline::Image(_) => Sense::Image,
            Pipeline::Audio(_) => Sense::Audio,
            Pipeline::Text(_) => Sense::Text,
        };
        let variant = choose_variant(&bundle, backend)?;
        let engine = limbic_backends::with_threads(backend.unwrap_or(&variant.backend), threads)
            .map_err(Error::backend)?;
        let mut programs = BTreeMap::new();
        for spec in &manifest.programs {
            let found = ProgramFile::of(&bundle, variant, &spec.name).map_err(Error::bundle)?;
            let Some((format, files)) = found else {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "bundle {}: variant {} has no entry for program {}",
                        manifest.name, variant.name, spec.name
                    ),
                ));
            };
            let signatures = spec.concrete();
            let program = engine
                .load(&ProgramSource {
                    name: &spec.name,
                    format,
                    files: &files,
                    signatures: &signatures,
                })
                .map_err(Error::backend)?;
            let session = program.session().map_err(Error::backend)?;
            programs.insert(
                spec.name.clone(),
                Loaded {
                    signatures,
                    program,
                    session,
                },
            );
        }
        let spaces = LabelSpaces::with_own(&manifest.label_spaces).map_err(Error::head)?;
        let heads = manifest
            .heads_of(variant)
            .iter()
            .map(|spec| Head::new(spec, &spaces, None).map_err(Error::head))
            .collect::<Result<Vec<_>>>()?;
        log::info!(
            "{} {} ({sense:?}) on {} as {}",
            manifest.name,
            manifest.version,
            engine.version(),
            variant.name
        );
        let backend = engine.name().to_owned();
        Ok(Self {
            sense,
            backend,
            pipeline,
            programs,
            heads,
            bundle,
        })
    }

    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.bundle.manifest()
    }

    /// Where each program runs, for people.
    pub(crate) fn placements(&self) -> Vec<(String, String)> {
        self.programs
            .iter()
            .map(|(name, loaded)| (name.clone(), format!("{:?}", loaded.program.placement())))
            .collect()
    }

    /// Lengths that the symbol of a token tensor is compiled for, ascending; empty when any length runs.
    pub(crate) fn token_buckets(&self) -> Vec<usize> {
        let mut lengths: Vec<usize> = self
            .programs
            .values()
            .flat_map(|loaded| &loaded.signatures)
            .flat_map(|signature| signature.bindings.values().copied())
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// Runs the stages on one item and gives the logits of every head.
    pub(crate) fn run(&mut self, mut values: BTreeMap<String, Value>) -> Result<Logits> {
        for stage in &self.bundle.manifest().stages {
            if let Stage::Program {
                program,
                signature,
                inputs,
                outputs,
            } = stage
            {
                let Some(loaded) = self.programs.get_mut(program) else {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        format!("no program {program}"),
                    ));
                };
                run_program(loaded, signature, inputs, outputs, &mut values)?;
            }
        }
        self.bundle
            .manifest()
            .heads
            .iter()
            .map(|head| match values.get(&head.tensor).map(|value| &value.data) {
                Some(Data::F32(logits)) => Ok(logits.clone()),
                _ => Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "head {}: no stage makes the float tensor {}",
                        head.name, head.tensor
                    ),
                )),
            })
            .collect()
    }

    /// An empty pool for each head.
    pub(crate) fn pools(&self) -> Vec<LogitPool> {
        // A single window is its own mean.
        let rule = self
            .manifest()
            .pooling
            .rule()
            .unwrap_or(limbic_affect::Pooling::MeanLogits);
        self.heads
            .iter()
            .map(|head| LogitPool::new(rule, head.width()))
            .collect()
    }

    /// Answers of every head from their pools.
    pub(crate) fn predict(&self, pools: &[LogitPool]) -> Result<Vec<Prediction>> {
        self.heads
            .iter()
            .zip(pools)
            .map(|(head, pool)| {
                head.predict(&pool.mean().map_err(Error::head)?)
                    .map_err(Error::head)
            })
            .collect()
    }

    /// Answers of every head from one item's logits.
    pub(crate) fn predict_one(&self, logits: &Logits) -> Result<Vec<Prediction>> {
        self.heads
            .iter()
            .zip(logits)
            .map(|(head, logits)| head.predict(logits).map_err(Error::head))
            .collect()
    }

    /// Largest share of unknown words that is still answered, and the reason given beyond it.
    pub(crate) fn max_unknown_share(&self) -> Option<(f64, NoAnswerReason)> {
        self.manifest().gates.iter().find_map(|gate| match gate {
            Gate::UnknownWords { max_share, reason } => Some((f64::from(*max_share), *reason)),
            _ => None,
        })
    }
}

/// Sense of a manifest's only input.
pub(crate) fn sense_of(manifest: &Manifest) -> Option<Sense> {
    manifest.inputs.first().map(|input| match input.modality {
        Modality::Image => Sense::Image,
        Modality::Audio => Sense::Audio,
        Modality::Text => Sense::Text,
    })
}

fn choose_variant<'a>(bundle: &'a Bundle, backend: Option<&str>) -> Result<&'a Variant> {
    let manifest = bundle.manifest();
    let compiled = limbic_backends::compiled();
    let chosen = match backend {
        Some(name) => {
            // A backend that the user named is required: an unknown name must say what there is, not what the bundle has.
            limbic_backends::by_name(name).map_err(Error::backend)?;
            limbic_backends::choose_variant(bundle, name, None)
        }
        None => manifest
            .variants
            .iter()
            .find(|variant| compiled.contains(&variant.backend.as_str())),
    };
    chosen.ok_or_else(|| {
        let has: Vec<String> = manifest
            .variants
            .iter()
            .map(|v| format!("{} ({})", v.name, v.backend))
            .collect();
        Error::new(
            ErrorKind::Backend,
            format!(
                "bundle {}: no variant for {}; it has {}",
                manifest.name,
                backend.map_or_else(
                    || format!("the compiled-in backends {}", compiled.join(", ")),
                    str::to_owned
                ),
                has.join(", ")
            ),
        )
    })
}

fn run_program(
    loaded: &mut Loaded,
    signature: &str,
    inputs: &BTreeMap<String, String>,
    outputs: &BTreeMap<String, String>,
    values: &mut BTreeMap<String, Value>,
) -> Result<()> {
    let value_name = |map: &BTreeMap<String, String>, tensor: &str| {
        map.get(tensor).map_or(tensor, String::as_str).to_owned()
    };
    let chosen = choose_signature(&loaded.signatures, signature, inputs, values)?;
    let mut feeds = Vec::new();
    for spec in chosen.tensors.iter().filter(|spec| spec.role == Role::Input) {
        let name = value_name(inputs, &spec.name);
        let Some(value) = values.get(&name) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{signature}: no stage makes its input {name}"),
            ));
        };
        // Batch axes in front are the program's; the elements and their order are the same.
        let dims = spec.fixed_dims().unwrap_or_else(|| value.dims.clone());
        feeds.push((spec.name.as_str(), dims, &value.data));
    }
    let views: Vec<TensorView<'_>> = feeds
        .iter()
        .map(|(name, dims, data)| match data {
            Data::F32(data) => TensorView::f32(name, dims, data),
            Data::I64(data) => TensorView::i64(name, dims, data),
        })
        .collect();
    let mut results = Vec::new();
    for spec in chosen.tensors.iter().filter(|spec| spec.role == Role::Output) {
        let Some(dims) = spec.fixed_dims() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{}: output {} has no fixed shape: {}",
                    chosen.name,
                    spec.name,
                    spec.shape()
                ),
            ));
        };
        if spec.dtype != Dtype::F32 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{}: output {} is {}, f32 is supported",
                    chosen.name,
                    spec.name,
                    spec.dtype.name()
                ),
            ));
        }
        let data = vec![0.0_f32; dims.iter().product()];
        results.push((spec.name.clone(), dims, data));
    }
    {
        let mut sinks: Vec<TensorViewMut<'_>> = results
            .iter_mut()
            .map(|(name, dims, data)| TensorViewMut::f32(name, dims, data))
            .collect();
        loaded
            .session
            .run(&chosen.name, &views, &mut sinks)
            .map_err(Error::backend)?;
    }
    for (name, dims, data) in results {
        values.insert(
            value_name(outputs, &name),
            Value {
                dims,
                data: Data::F32(data),
            },
        );
    }
    Ok(())
}

/// The concrete signature whose input shapes hold exactly the values' elements.
fn choose_signature<'a>(
    signatures: &'a [Signature],
    base: &str,
    inputs: &BTreeMap<String, String>,
    values: &BTreeMap<String, Value>,
) -> Result<&'a Signature> {
    let fits = |signature: &Signature| {
        signature
            .tensors
            .iter()
            .filter(|spec| spec.role == Role::Input)
            .all(|spec| {
                let name = inputs.get(&spec.name).unwrap_or(&spec.name);
                let Some(value) = values.get(name) else {
                    return true;
                };
                spec.fixed_dims()
                    .is_none_or(|dims| dims.iter().product::<usize>() == value.dims.iter().product::<usize>())
            })
    };
    let candidates = || signatures.iter().filter(|signature| signature.base == base);
    candidates().find(|signature| fits(signature)).ok_or_else(|| {
        let names: Vec<&str> = candidates().map(|signature| signature.name.as_str()).collect();
        let shapes: Vec<String> = values
            .iter()
            .map(|(name, value)| format!("{name} {:?}", value.dims))
            .collect();
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "no signature {base} fits {}; there is {}",
                shapes.join(", "),
                names.join(", ")
            ),
        )
    })
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.manifest().name)
            .field("sense", &self.sense)
            .finish_non_exhaustive()
    }
}
