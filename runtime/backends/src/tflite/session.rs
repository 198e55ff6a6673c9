//! Running models, and the state between two runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use limbic_bundle::{Role, Signature};

use crate::backend::{Session, SessionState};
use crate::bytes::{bytes_of, fill, size};
use crate::error::{Error, ErrorKind, Result};
use crate::held::States;
use crate::matching::matched;
use crate::tflite::library::Interpreter;
use crate::tflite::{Loaded, prepare};
use crate::view::{TensorView, TensorViewMut};

/// A session of a program of TensorFlow Lite.
pub(super) struct TfliteSession {
    program: Arc<Loaded>,
    states: States,
    /// Of each signature that was used.
    interpreters: BTreeMap<usize, Interpreter>,
}

impl TfliteSession {
    pub(super) fn new(program: Arc<Loaded>) -> Result<Self> {
        let states = States::zeros(&program.name, &program.signatures)?;
        Ok(Self {
            program,
            states,
            interpreters: BTreeMap::new(),
        })
    }
}

impl Session for TfliteSession {
    fn run(
        &mut self,
        signature: &str,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> Result<()> {
        let program = Arc::clone(&self.program);
        let known = program
            .signatures
            .iter()
            .position(|known| known.name == signature);
        let found = known.and_then(|at| Some((at, program.signatures.get(at)?, program.prepared.get(at)?)));
        let Some((at, signature, prepared)) = found else {
            return Err(unknown(&program, signature));
        };
        let place = format!("{}/{}", program.name, signature.name);
        let failed = |found: &str| {
            let found = format!("{found}, of which the library may say more on the standard error");
            Error::new(ErrorKind::Engine, &place, "a run", found)
        };
        let matched = matched(&program.name, signature, inputs, outputs)?;
        // Taken out, so that one that failed is not used again.
        let mut interpreter = match self.interpreters.remove(&at) {
            Some(interpreter) => interpreter,
            None => prepare(&place, Arc::clone(&prepared.model), signature, program.threads)?.0,
        };
        let taken = signature.tensors.iter().filter(|spec| spec.role != Role::Output);
        let mut given = matched.inputs.iter().filter_map(|index| inputs.get(*index));
        for (spec, index) in taken.zip(&prepared.inputs) {
            let elements = match spec.role {
                Role::State => self.states.get(&spec.name).map(|(_, held)| held.elements()),
                _ => given.next().map(|view| view.elements),
            };
            if !elements.is_some_and(|elements| interpreter.write(*index, bytes_of(elements))) {
                return Err(failed(&format!("input {} was not taken", spec.name)));
            }
        }
        if !interpreter.invoke() {
            return Err(failed("it stopped"));
        }
        let mut asked = matched.outputs.iter();
        let mut results = Vec::new();
        for (spec, index) in signature.tensors.iter().zip(&prepared.outputs) {
            let to = match spec.role {
                Role::Input => continue,
                Role::Output => match asked.next() {
                    Some(Some(view)) => Some(*view),
                    _ => continue,
                },
                Role::State => None,
            };
            let count = spec.fixed_dims().unwrap_or_default().iter().product::<usize>();
            let mut bytes = vec![0; count * size(spec.dtype)];
            if !index.is_some_and(|index| interpreter.read(index, &mut bytes)) {
                return Err(failed(&format!("tensor {} was not given", spec.name)));
            }
            results.push((spec, to, bytes));
        }
        for (spec, to, bytes) in results {
            match to {
                Some(view) => {
                    if let Some(view) = outputs.get_mut(view) {
                        fill(&mut view.elements, &bytes);
                    }
                }
                None => self.states.set(&spec.name, &bytes),
            }
        }
        self.interpreters.insert(at, interpreter);
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

fn unknown(program: &Loaded, signature: &str) -> Error {
    let known: Vec<&str> = program
        .signatures
        .iter()
        .map(|known: &Signature| known.name.as_str())
        .collect();
    Error::new(
        ErrorKind::UnknownSignature,
        &program.name,
        format!("one of {}", known.join(", ")),
        format!("{signature:?}"),
    )
}

impl fmt::Debug for TfliteSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TfliteSession")
            .field("program", &self.program.name)
            .finish_non_exhaustive()
    }
}
