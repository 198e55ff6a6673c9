//! Running plans in an arena of the session, and the state between two runs.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use limbic_bundle::{Dim, Dtype, Role, TensorSpec};
use limbic_engine::Span;
use limbic_engine::plan::ARENA_ALIGNMENT;

use crate::backend::{Session, SessionState, StateTensor};
use crate::bytes::{bytes_of, copy, fill};
use crate::engine::pace::Pace;
use crate::engine::pool::Pool;
use crate::engine::program::Loaded;
use crate::error::{Error, ErrorKind, Result};
use crate::matching::matched;
use crate::view::{TensorView, TensorViewMut};

/// A session of an engine's program.
pub(super) struct EngineSession {
    program: Arc<Loaded>,
    /// Elements of each state tensor by name.
    state: BTreeMap<String, Vec<u8>>,
    /// Memory of the longest arena, with room to align it.
    memory: Vec<u8>,
    arena: Range<usize>,
    /// Threads beside the caller's, where they may make some run shorter.
    pool: Option<Pool>,
    /// Of each signature, in the program's order.
    paces: Vec<Pace>,
}

impl EngineSession {
    pub(super) fn new(program: Arc<Loaded>) -> Result<Self> {
        let arenas = program
            .compiled
            .iter()
            .map(|compiled| compiled.plan().arena_bytes());
        let bytes = arenas.max().unwrap_or(0);
        let memory: Vec<u8> = vec![0; bytes + ARENA_ALIGNMENT];
        let start = memory.as_ptr().align_offset(ARENA_ALIGNMENT).min(ARENA_ALIGNMENT);
        let mut state = BTreeMap::new();
        for (name, _, span) in states(&program) {
            state.insert(name.to_owned(), vec![0; span.bytes as usize]);
        }
        let paces = vec![Pace::default(); program.compiled.len()];
        let pool = (program.threads > 1).then(|| Pool::new(program.threads - 1));
        Ok(Self {
            program,
            state,
            memory,
            arena: start..start + bytes,
            pool,
            paces,
        })
    }
}

/// Name, description and place of each state tensor of each signature.
fn states(program: &Loaded) -> impl Iterator<Item = (&str, &TensorSpec, Span)> {
    let signatures = program.signatures.iter().zip(&program.compiled);
    signatures.flat_map(|(signature, compiled)| {
        let tensors = signature.tensors.iter().zip(&compiled.spans);
        tensors
            .filter(|(spec, _)| spec.role == Role::State)
            .map(|(spec, span)| (spec.name.as_str(), spec, *span))
    })
}

/// The tensors of a signature that have a role, with their places in the arena.
fn of_role<'a>(
    tensors: &'a [TensorSpec],
    spans: &'a [Span],
    role: Role,
) -> impl Iterator<Item = (&'a TensorSpec, Span)> {
    let tensors = tensors.iter().zip(spans);
    tensors
        .filter(move |(spec, _)| spec.role == role)
        .map(|(spec, span)| (spec, *span))
}

impl Session for EngineSession {
    fn run(
        &mut self,
        signature: &str,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> Result<()> {
        let Self {
            program,
            state,
            memory,
            arena,
            pool,
            paces,
        } = self;
        let known = program.signatures.iter().zip(&program.compiled);
        let mut known = known.zip(paces);
        let found = known.find(|((known, _), _)| known.name == signature);
        let Some(((signature, compiled), pace)) = found else {
            let known: Vec<&str> = program.signatures.iter().map(|s| s.name.as_str()).collect();
            return Err(Error::new(
                ErrorKind::UnknownSignature,
                &program.name,
                format!("one of {}", known.join(", ")),
                format!("{signature:?}"),
            ));
        };
        if !fits(&signature.tensors, inputs, outputs) {
            // Finds the words for it. What it accepts all the same is found by name below.
            matched(&program.name, signature, inputs, outputs)?;
        }
        let failed = |found: &dyn fmt::Display| {
            let place = format!("{}/{}", program.name, signature.name);
            Error::new(ErrorKind::Engine, place, "a run", found)
        };
        let outside = || failed(&"a tensor outside of the arena");
        let arena = memory.get_mut(arena.clone()).ok_or_else(outside)?;
        let (tensors, spans) = (&signature.tensors, &compiled.spans);
        for (spec, span) in of_role(tensors, spans, Role::State) {
            let from = state.get(&spec.name).ok_or_else(outside)?;
            place(arena, span, from).ok_or_else(outside)?;
        }
        for (spec, span) in of_role(tensors, spans, Role::Input) {
            let view = inputs.iter().find(|view| view.name == spec.name);
            let view = view.ok_or_else(outside)?;
            place(arena, span, bytes_of(view.elements)).ok_or_else(outside)?;
        }
        match pool.as_mut().filter(|_| compiled.shared) {
            Some(pool) => {
                let began = Instant::now();
                if pace.is_shared() {
                    compiled.plan().run_with(arena, &pool.lend())
                } else {
                    compiled.plan().run(arena)
                }
                .inspect(|()| pace.ran(began.elapsed()))
            }
            None => compiled.plan().run(arena),
        }
        .map_err(|error| failed(&error))?;
        for (spec, span) in of_role(tensors, spans, Role::Output) {
            let Some(view) = outputs.iter_mut().find(|view| view.name == spec.name) else {
                continue;
            };
            fill(&mut view.elements, part(arena, span).ok_or_else(outside)?);
        }
        for (spec, span) in of_role(tensors, spans, Role::State) {
            let (to, from) = (state.get_mut(&spec.name), part(arena, span));
            let (to, from) = to.zip(from).ok_or_else(outside)?;
            copy(to, from);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.state.values_mut().for_each(|elements| elements.fill(0));
    }

    fn save(&self) -> Result<SessionState> {
        let mut tensors: Vec<StateTensor> = Vec::new();
        for (name, elements) in &self.state {
            let Some((_, spec, _)) = states(&self.program).find(|(known, ..)| known == name) else {
                continue;
            };
            tensors.push(StateTensor {
                name: name.clone(),
                dtype: spec.dtype,
                dims: spec.fixed_dims().unwrap_or_default(),
                bytes: elements.clone(),
            });
        }
        Ok(SessionState { tensors })
    }

    fn restore(&mut self, state: &SessionState) -> Result<()> {
        let mine = self.save()?;
        mine.same_tensors(state, &self.program.name)?;
        for saved in &state.tensors {
            if let Some(elements) = self.state.get_mut(&saved.name) {
                copy(elements, &saved.bytes);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for EngineSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSession")
            .field("program", &self.program.name)
            .finish_non_exhaustive()
    }
}

/// Whether each input is there once, and inputs and outputs are as the signature says; allocates nothing.
fn fits(tensors: &[TensorSpec], inputs: &[TensorView<'_>], outputs: &[TensorViewMut<'_>]) -> bool {
    let of = |role: Role| tensors.iter().filter(move |spec| spec.role == role);
    let like = |spec: &TensorSpec, name: &str, dims: &[usize], dtype: Dtype, count: usize| {
        spec.name == name
            && spec.dtype == dtype
            && spec.dims.len() == dims.len()
            && spec
                .dims
                .iter()
                .zip(dims)
                .all(|(dim, size)| *dim == Dim::Fixed(*size))
            && dims.iter().product::<usize>() == count
    };
    let input = |spec: &TensorSpec| {
        let fits = |view: &&TensorView<'_>| {
            let (dtype, count) = (view.elements.dtype(), view.elements.count());
            like(spec, view.name, view.dims, dtype, count)
        };
        inputs.iter().filter(fits).count() == 1
    };
    let output = |view: &TensorViewMut<'_>| {
        let (dtype, count) = (view.elements.dtype(), view.elements.count());
        let once = outputs.iter().filter(|other| other.name == view.name).count() == 1;
        once && of(Role::Output).any(|spec| like(spec, view.name, view.dims, dtype, count))
    };
    of(Role::Input).all(input) && of(Role::Input).count() == inputs.len() && outputs.iter().all(output)
}

fn part(arena: &[u8], span: Span) -> Option<&[u8]> {
    arena.get(span.offset as usize..)?.get(..span.bytes as usize)
}

fn place(arena: &mut [u8], span: Span, from: &[u8]) -> Option<()> {
    let to = arena
        .get_mut(span.offset as usize..)?
        .get_mut(..span.bytes as usize)?;
    // Lengths were compared with the signature's, whose shapes are the plan's.
    (to.len() == from.len()).then(|| to.copy_from_slice(from))
}
