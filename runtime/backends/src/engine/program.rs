//! A loaded program: a checked plan for each signature, and which port each tensor has.

use std::sync::Arc;

use limbic_bundle::{Dtype, GraphFormat, Role, Signature, TensorSpec};
use limbic_engine::plan::Dtype as PortDtype;
use limbic_engine::step::Step;
use limbic_engine::{Cpu, Plan, Role as PortRole, Span};
use self_cell::self_cell;

use crate::backend::{Placement, Program, ProgramFile, ProgramSource, Session};
use crate::engine::pool::LEAST_PART;
use crate::engine::session::EngineSession;
use crate::error::{Error, ErrorKind, Result};

/// Nanoseconds that several threads must spare a run for them to be woken: as long as that takes.
const LEAST_SPARED: u64 = 50_000;

self_cell!(
    /// A plan and the files that it reads.
    struct Checked {
        owner: ProgramFile,
        #[covariant]
        dependent: Plan,
    }
    impl {Debug}
);

/// The plan of one signature.
#[derive(Debug)]
pub(super) struct Compiled {
    checked: Checked,
    /// Where each tensor of the signature lies in the arena, in the signature's order.
    pub(super) spans: Vec<Span>,
    /// Whether several threads make a run shorter.
    pub(super) shared: bool,
}

impl Compiled {
    pub(super) fn plan(&self) -> &Plan<'_> {
        self.checked.borrow_dependent()
    }

    pub(super) fn steps(&self, place: &str) -> Result<Vec<Step>> {
        let plan = self.plan();
        (0..plan.steps())
            .map(|index| plan.step(index).map_err(|error| malformed(place, error)))
            .collect()
    }
}

/// What all sessions of a program share.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) signatures: Vec<Signature>,
    /// One for each signature.
    pub(super) compiled: Vec<Compiled>,
    /// Threads of a run at most, the caller's included: 1 where more would not make any run shorter.
    pub(super) threads: usize,
}

#[derive(Debug)]
pub(super) struct EngineProgram(Arc<Loaded>);

impl EngineProgram {
    pub(super) fn load(source: &ProgramSource<'_>, cpu: Cpu, threads: usize) -> Result<Self> {
        if source.format != GraphFormat::Plan {
            return Err(Error::new(
                ErrorKind::UnsupportedFormat,
                source.name,
                GraphFormat::Plan.name(),
                source.format.name(),
            ));
        }
        let mut compiled = Vec::new();
        for signature in source.signatures {
            let place = format!("{}/{}", source.name, signature.name);
            let file = source
                .files
                .iter()
                .find(|file| file.signature.as_deref() == Some(signature.name.as_str()))
                .ok_or_else(|| {
                    let plans = source.files.iter().filter_map(|file| file.signature.as_deref());
                    let found = plans.collect::<Vec<_>>().join(", ");
                    Error::new(
                        ErrorKind::UnknownSignature,
                        &place,
                        "a plan for it",
                        format!("plans for {found:?}"),
                    )
                })?;
            compiled.push(prepare(&place, file, signature, cpu, threads)?);
        }
        let shared = compiled.iter().any(|compiled| compiled.shared);
        Ok(Self(Arc::new(Loaded {
            name: source.name.to_owned(),
            signatures: source.signatures.to_vec(),
            compiled,
            threads: if shared { threads } else { 1 },
        })))
    }

    pub(super) fn compiled(&self) -> impl Iterator<Item = (&Signature, &Compiled)> {
        self.0.signatures.iter().zip(&self.0.compiled)
    }
}

impl Program for EngineProgram {
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
        Ok(Box::new(EngineSession::new(Arc::clone(&self.0))?))
    }
}

fn malformed(place: &str, error: limbic_engine::Error) -> Error {
    let kind = match error.kind() {
        limbic_engine::ErrorKind::Version => ErrorKind::UnsupportedFormat,
        limbic_engine::ErrorKind::Kernel => ErrorKind::UnsupportedOperator,
        _ => ErrorKind::Malformed,
    };
    Error::new(kind, place, "a plan of this release", error)
}

fn prepare(
    place: &str,
    file: &ProgramFile,
    signature: &Signature,
    cpu: Cpu,
    threads: usize,
) -> Result<Compiled> {
    let checked = Checked::try_new(file.clone(), |file| {
        let packs: Vec<&[u8]> = file.packs.iter().map(|pack| &*pack.content).collect();
        Plan::check(&file.content, &packs, cpu)
    })
    .map_err(|error| malformed(place, error))?;
    let plan = checked.borrow_dependent();
    for (index, pack) in file.packs.iter().enumerate() {
        let named = plan.pack(index).map_err(|error| malformed(place, error))?;
        let named: String = named.digest.iter().map(|word| format!("{word:08x}")).collect();
        if let Some(listed) = pack.sha256.as_ref().filter(|listed| **listed != named) {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{place}: weight pack {index}"),
                format!("SHA-256 {named}, for which the plan was made"),
                listed,
            ));
        }
    }
    let mut spans = Vec::with_capacity(signature.tensors.len());
    for spec in &signature.tensors {
        spans.push(span(place, plan, spec)?);
    }
    for index in 0..plan.ports() {
        let port = plan.port(index).map_err(|error| malformed(place, error))?;
        let given = signature.tensors.iter().any(|spec| spec.name == port.name);
        if port.role() != PortRole::Output && !given {
            return Err(Error::new(
                ErrorKind::MissingTensor,
                format!("{place}: {}", port.name),
                "a tensor of the signature for each input of the plan",
                "none",
            ));
        }
    }
    let spared = plan
        .spared_nanoseconds(threads, LEAST_PART)
        .map_err(|error| malformed(place, error))?;
    Ok(Compiled {
        checked,
        spans,
        shared: threads > 1 && spared >= LEAST_SPARED,
    })
}

/// Where a tensor of the signature lies, its type and extents being those of the plan.
fn span(place: &str, plan: &Plan<'_>, spec: &TensorSpec) -> Result<Span> {
    let place = format!("{place}: {}", spec.name);
    let wanted = match spec.role {
        Role::Input => PortRole::Input,
        Role::Output => PortRole::Output,
        Role::State => PortRole::State,
    };
    let mut known = Vec::new();
    for index in 0..plan.ports() {
        let port = plan.port(index).map_err(|error| malformed(&place, error))?;
        if port.role() != wanted {
            continue;
        }
        if port.name != spec.name {
            known.push(port.name);
            continue;
        }
        let dims: Vec<usize> = port.dims().iter().map(|&n| n as usize).collect();
        let stated = spec.fixed_dims();
        if stated.as_ref() != Some(&dims) {
            return Err(Error::new(
                ErrorKind::Shape,
                place,
                spec.shape(),
                format!("{dims:?} in the plan"),
            ));
        }
        if port_dtype(spec.dtype) != Some(port.dtype()) {
            let found = format!("{} in the plan", port.dtype().name());
            return Err(Error::new(ErrorKind::Dtype, place, spec.dtype.name(), found));
        }
        return Ok(port.span());
    }
    let expected = format!("one of the plan's {}s", spec.role.name());
    Err(Error::new(
        ErrorKind::UnknownTensor,
        place,
        expected,
        known.join(", "),
    ))
}

fn port_dtype(dtype: Dtype) -> Option<PortDtype> {
    Some(match dtype {
        Dtype::F32 => PortDtype::F32,
        Dtype::I64 => PortDtype::I64,
        Dtype::I32 => PortDtype::I32,
        Dtype::I8 => PortDtype::I8,
        Dtype::U8 => PortDtype::U8,
        Dtype::Bool => PortDtype::Bool,
        Dtype::F16 => return None,
    })
}
