//! Elements that a session owns: its state.

use std::collections::BTreeMap;

use limbic_bundle::{Dtype, Role, Signature};

use crate::backend::{SessionState, StateTensor};
use crate::bytes::{bytes_of, fill};
use crate::error::{Error, ErrorKind, Result};
use crate::view::{Elements, ElementsMut};

/// Declares what is held of each type once.
macro_rules! held {
    ($($variant:ident($element:ty, $zero:expr),)*) => {
        /// Elements of one type.
        #[derive(Debug, Clone)]
        pub(crate) enum Held {
            $($variant(Vec<$element>),)*
        }

        impl Held {
            /// As many zeros.
            pub(crate) fn zeros(dtype: Dtype, count: usize) -> Self {
                match dtype {
                    $(Dtype::$variant => Self::$variant(vec![$zero; count]),)*
                }
            }

            /// To be read.
            pub(crate) fn elements(&self) -> Elements<'_> {
                match self {
                    $(Self::$variant(elements) => Elements::$variant(elements),)*
                }
            }

            /// To be filled.
            pub(crate) fn elements_mut(&mut self) -> ElementsMut<'_> {
                match self {
                    $(Self::$variant(elements) => ElementsMut::$variant(elements),)*
                }
            }
        }
    };
}

held! {
    F32(f32, 0.0),
    F16(u16, 0),
    I64(i64, 0),
    I32(i32, 0),
    I8(i8, 0),
    U8(u8, 0),
    Bool(bool, false),
}

impl Held {
    /// Sets every element to zero.
    pub(crate) fn clear(&mut self) {
        match self.elements_mut() {
            ElementsMut::F32(elements) => elements.fill(0.0),
            ElementsMut::F16(elements) => elements.fill(0),
            ElementsMut::I64(elements) => elements.fill(0),
            ElementsMut::I32(elements) => elements.fill(0),
            ElementsMut::I8(elements) => elements.fill(0),
            ElementsMut::U8(elements) => elements.fill(0),
            ElementsMut::Bool(elements) => elements.fill(false),
        }
    }
}

/// The state tensors of a session, by name.
#[derive(Debug)]
pub(crate) struct States(BTreeMap<String, (Vec<usize>, Held)>);

impl States {
    /// Zeros for each state of the signatures.
    pub(crate) fn zeros(program: &str, signatures: &[Signature]) -> Result<Self> {
        let mut states = BTreeMap::new();
        let tensors = signatures.iter().flat_map(|signature| &signature.tensors);
        for spec in tensors.filter(|spec| spec.role == Role::State) {
            let dims = spec.fixed_dims().ok_or_else(|| {
                let place = format!("{program}: {}", spec.name);
                Error::new(ErrorKind::Shape, place, "a state of fixed shape", spec.shape())
            })?;
            let zeros = Held::zeros(spec.dtype, dims.iter().product());
            states.insert(spec.name.clone(), (dims, zeros));
        }
        Ok(Self(states))
    }

    /// Shape and value of a state.
    pub(crate) fn get(&self, name: &str) -> Option<&(Vec<usize>, Held)> {
        self.0.get(name)
    }

    /// Gives a state another value, its bytes.
    pub(crate) fn set(&mut self, name: &str, bytes: &[u8]) {
        if let Some((_, held)) = self.0.get_mut(name) {
            fill(&mut held.elements_mut(), bytes);
        }
    }

    /// Gives a state another value of the same type and size.
    #[cfg(feature = "ort")]
    pub(crate) fn replace(&mut self, name: &str, value: Held) {
        if let Some((_, held)) = self.0.get_mut(name) {
            *held = value;
        }
    }

    /// Sets every state to zero.
    pub(crate) fn clear(&mut self) {
        self.0.values_mut().for_each(|(_, held)| held.clear());
    }

    /// A copy of all.
    pub(crate) fn save(&self) -> SessionState {
        let tensor = |(name, (dims, held)): (&String, &(Vec<usize>, Held))| StateTensor {
            name: name.clone(),
            dtype: held.elements().dtype(),
            dims: dims.clone(),
            bytes: bytes_of(held.elements()).to_vec(),
        };
        SessionState {
            tensors: self.0.iter().map(tensor).collect(),
        }
    }

    /// Goes on from a copy.
    pub(crate) fn restore(&mut self, program: &str, state: &SessionState) -> Result<()> {
        self.save().same_tensors(state, program)?;
        for saved in &state.tensors {
            self.set(&saved.name, &saved.bytes);
        }
        Ok(())
    }
}
