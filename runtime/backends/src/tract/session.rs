//! Running plans, and the state between two runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use limbic_bundle::{Role, TensorSpec};
use tract_onnx::prelude::{IntoArcTensor, IntoTValue, TValue, TVec, Tensor, TypedSimpleState};

use crate::backend::{Session, SessionState, StateTensor};
use crate::error::{Error, ErrorKind, Result};
use crate::matching::matched;
use crate::tract::elements::{datum_type, fill, tensor};
use crate::tract::plan::{given, taken};
use crate::tract::{Loaded, guarded};
use crate::view::{TensorView, TensorViewMut};

/// A session of a tract program.
pub(super) struct TractSession {
    program: Arc<Loaded>,
    /// Value of each state tensor by name.
    state: BTreeMap<String, Arc<Tensor>>,
    /// Running state of each signature that was used.
    runs: BTreeMap<usize, TypedSimpleState>,
}

impl TractSession {
    pub(super) fn new(program: Arc<Loaded>) -> Result<Self> {
        let mut session = Self {
            program,
            state: BTreeMap::new(),
            runs: BTreeMap::new(),
        };
        session.state = session.zeros()?;
        Ok(session)
    }

    fn states(&self) -> impl Iterator<Item = &TensorSpec> {
        let tensors = self
            .program
            .signatures
            .iter()
            .flat_map(|signature| &signature.tensors);
        tensors.filter(|tensor| tensor.role == Role::State)
    }

    fn zeros(&self) -> Result<BTreeMap<String, Arc<Tensor>>> {
        let mut zeros = BTreeMap::new();
        for tensor in self.states() {
            let place = format!("{}: {}", self.program.name, tensor.name);
            let dims = tensor.fixed_dims().ok_or_else(|| {
                Error::new(ErrorKind::Shape, &place, "a state of fixed shape", tensor.shape())
            })?;
            let zero = guarded(ErrorKind::Engine, &place, "zeros", || {
                Tensor::zero_dt(datum_type(tensor.dtype), &dims)
            })?;
            zeros.insert(tensor.name.clone(), Arc::new(zero));
        }
        Ok(zeros)
    }
}

impl Session for TractSession {
    fn run(
        &mut self,
        signature: &str,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> Result<()> {
        let program = Arc::clone(&self.program);
        let found = program
            .signatures
            .iter()
            .position(|known| known.name == signature);
        let at = found.and_then(|at| Some((at, program.signatures.get(at)?, program.plans.get(at)?)));
        let Some((at, signature, plan)) = at else {
            let known: Vec<&str> = program
                .signatures
                .iter()
                .map(|known| known.name.as_str())
                .collect();
            let expected = format!("one of {}", known.join(", "));
            return Err(Error::new(
                ErrorKind::UnknownSignature,
                &program.name,
                expected,
                format!("{signature:?}"),
            ));
        };
        let place = format!("{}/{}", program.name, signature.name);
        let matched = matched(&program.name, signature, inputs, outputs)?;

        let mut given_inputs = matched.inputs.iter();
        let mut values: TVec<TValue> = TVec::new();
        for spec in taken(&signature.tensors) {
            let value = match spec.role {
                Role::State => self
                    .state
                    .get(&spec.name)
                    .map(|state| Arc::clone(state).into_tvalue()),
                _ => match given_inputs.next().and_then(|index| inputs.get(*index)) {
                    Some(view) => {
                        let made = guarded(ErrorKind::Engine, &place, "a tensor", || tensor(view))?;
                        Some(made.into_tvalue())
                    }
                    None => None,
                },
            };
            let missing = || {
                Error::new(
                    ErrorKind::MissingTensor,
                    format!("{place}: {}", spec.name),
                    "a value",
                    "none",
                )
            };
            values.push(value.ok_or_else(missing)?);
        }

        // Taken out, so that a run that fails leaves nothing half-done behind.
        let run = self.runs.remove(&at);
        let (run, results) = guarded(ErrorKind::Engine, &place, "a run", || {
            let mut run = match run {
                Some(run) => run,
                None => plan.0.spawn()?,
            };
            let results = run.run(values)?;
            Ok((run, results))
        })?;
        self.runs.insert(at, run);

        let shape = |name: &str, expected: &[usize], found: &[usize]| {
            let place = format!("{place}: {name}");
            Err(Error::new(
                ErrorKind::Shape,
                place,
                format!("{expected:?}"),
                format!("{found:?}"),
            ))
        };
        let asked = matched.outputs.iter().copied().chain(std::iter::repeat(None));
        let mut next_state = Vec::new();
        let mut wanted = Vec::new();
        for (((spec, name), asked), result) in given(&signature.tensors).zip(asked).zip(results) {
            if spec.role == Role::State {
                let before = self.state.get(&spec.name).map(|state| state.shape());
                if before != Some(result.shape()) {
                    return shape(name, before.unwrap_or_default(), result.shape());
                }
                next_state.push((spec.name.clone(), result));
            } else if let Some(index) = asked {
                match outputs.get(index) {
                    Some(view) if view.dims != result.shape() => {
                        return shape(name, result.shape(), view.dims);
                    }
                    _ => wanted.push((index, result)),
                }
            }
        }
        for (index, result) in wanted {
            if let Some(view) = outputs.get_mut(index) {
                guarded(ErrorKind::Engine, &place, "an output", || fill(view, &result))?;
            }
        }
        self.state.extend(
            next_state
                .into_iter()
                .map(|(name, value)| (name, value.into_arc_tensor())),
        );
        Ok(())
    }

    fn reset(&mut self) {
        // The same zeros were made when the session was opened.
        if let Ok(zeros) = self.zeros() {
            self.state = zeros;
        }
    }

    fn save(&self) -> Result<SessionState> {
        let mut tensors = Vec::new();
        for (name, value) in &self.state {
            let Some(spec) = self.states().find(|spec| spec.name == *name) else {
                continue;
            };
            tensors.push(StateTensor {
                name: name.clone(),
                dtype: spec.dtype,
                dims: value.shape().to_vec(),
                bytes: value.as_bytes().to_vec(),
            });
        }
        Ok(SessionState { tensors })
    }

    fn restore(&mut self, state: &SessionState) -> Result<()> {
        self.save()?.same_tensors(state, &self.program.name)?;
        let mut restored = BTreeMap::new();
        for saved in &state.tensors {
            let place = format!("{}: {}", self.program.name, saved.name);
            let mut value = guarded(ErrorKind::Engine, &place, "a state", || {
                Tensor::zero_dt(datum_type(saved.dtype), &saved.dims)
            })?;
            for (byte, saved) in value.as_bytes_mut().iter_mut().zip(&saved.bytes) {
                *byte = *saved;
            }
            restored.insert(saved.name.clone(), Arc::new(value));
        }
        self.state = restored;
        Ok(())
    }
}

impl fmt::Debug for TractSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TractSession")
            .field("program", &self.program.name)
            .finish_non_exhaustive()
    }
}
