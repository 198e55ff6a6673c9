//! Running graphs, and the state between two runs.

use std::fmt;
use std::sync::{Arc, PoisonError};

use limbic_bundle::{Role, TensorSpec};
use ort::session::{OutputSelector, RunOptions, SessionInputValue};
use ort::value::DynValue;

use crate::backend::{Session, SessionState};
use crate::error::{Error, ErrorKind, Result};
use crate::held::{Held, States};
use crate::matching::matched;
use crate::ort::{Loaded, elements, engine};
use crate::view::{TensorView, TensorViewMut};

/// A session of a program of ONNX Runtime.
pub(super) struct OrtSession {
    program: Arc<Loaded>,
    states: States,
}

impl OrtSession {
    pub(super) fn new(program: Arc<Loaded>) -> Result<Self> {
        let states = States::zeros(&program.name, &program.signatures)?;
        Ok(Self { program, states })
    }
}

impl Session for OrtSession {
    fn run(
        &mut self,
        signature: &str,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> Result<()> {
        let program = Arc::clone(&self.program);
        let Some(signature) = program.signatures.iter().find(|known| known.name == signature) else {
            let known: Vec<&str> = program.signatures.iter().map(|s| s.name.as_str()).collect();
            return Err(Error::new(
                ErrorKind::UnknownSignature,
                &program.name,
                format!("one of {}", known.join(", ")),
                format!("{signature:?}"),
            ));
        };
        let place = format!("{}/{}", program.name, signature.name);
        let matched = matched(&program.name, signature, inputs, outputs)?;
        let of = |role: Role| signature.tensors.iter().filter(move |spec| spec.role == role);
        let failed = |error: ort::Error| engine(&place, &error);

        let mut feeds: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(signature.tensors.len());
        for (spec, index) in of(Role::Input).zip(&matched.inputs) {
            if let Some(view) = inputs.get(*index) {
                let lent = elements::lent(view.dims, view.elements).map_err(failed)?;
                feeds.push((spec.name.as_str(), lent));
            }
        }
        for spec in of(Role::State) {
            if let Some((dims, held)) = self.states.get(&spec.name) {
                let lent = elements::lent(dims, held.elements()).map_err(failed)?;
                feeds.push((spec.name.as_str(), lent));
            }
        }
        let mut selected = OutputSelector::no_default();
        let asked = of(Role::Output).zip(&matched.outputs);
        let asked: Vec<(&TensorSpec, usize)> = asked
            .filter_map(|(spec, index)| Some((spec, (*index)?)))
            .collect();
        let nexts: Vec<(&TensorSpec, &str)> = of(Role::State)
            .filter_map(|spec| Some((spec, spec.next.as_deref()?)))
            .collect();
        for name in asked.iter().map(|(spec, _)| spec.name.as_str()) {
            selected = selected.with(name);
        }
        for (_, name) in &nexts {
            if !asked.iter().any(|(spec, _)| spec.name == *name) {
                selected = selected.with(*name);
            }
        }
        if asked.is_empty() && nexts.is_empty() {
            return Ok(());
        }

        let options = RunOptions::new().map_err(failed)?.with_outputs(selected);
        let mut graph = program.graph.lock().unwrap_or_else(PoisonError::into_inner);
        let results = graph.run_with_options(feeds, &options).map_err(failed)?;
        let result = |name: &str, dims: &[usize]| -> Result<&DynValue> {
            let place = format!("{place}: {name}");
            let missing = || Error::new(ErrorKind::Engine, &place, "an output", "none");
            let value = results.get(name).ok_or_else(missing)?;
            let shape = value.dtype().tensor_shape().ok_or_else(missing)?;
            let same = shape.len() == dims.len()
                && shape
                    .iter()
                    .zip(dims)
                    .all(|(found, size)| usize::try_from(*found) == Ok(*size));
            if !same {
                return Err(Error::new(
                    ErrorKind::Shape,
                    place,
                    format!("{:?}", &**shape),
                    format!("{dims:?}"),
                ));
            }
            Ok(value)
        };
        let mut wanted = Vec::with_capacity(asked.len());
        for (spec, index) in asked {
            if let Some(view) = outputs.get(index) {
                wanted.push((index, result(&spec.name, view.dims)?));
            }
        }
        let mut moved = Vec::with_capacity(nexts.len());
        for (spec, name) in nexts {
            if let Some((dims, _)) = self.states.get(&spec.name) {
                let mut held = Held::zeros(spec.dtype, dims.iter().product());
                elements::fill(&mut held.elements_mut(), result(name, dims)?).map_err(failed)?;
                moved.push((&spec.name, held));
            }
        }
        for (index, value) in wanted {
            if let Some(view) = outputs.get_mut(index) {
                elements::fill(&mut view.elements, value).map_err(failed)?;
            }
        }
        for (name, held) in moved {
            self.states.replace(name, held);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.states.clear();
    }

    fn save(&self) -> Result<SessionState> {
        Ok(self.states.save())
    }

    fn restore(&mut self, state: &SessionState) -> Result<()> {
        self.states.restore(&self.program.name, state)
    }
}

impl fmt::Debug for OrtSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrtSession")
            .field("program", &self.program.name)
            .finish_non_exhaustive()
    }
}
