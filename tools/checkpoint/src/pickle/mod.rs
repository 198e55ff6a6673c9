//! Pickles, read as data.
//!
//! The machine knows every opcode of protocols 0 to 5 and calls nothing: a name of a class or a function stays a name,
//! and a call of it stays a record of the call with its arguments. What those mean is up to the reader of the result.

mod literal;
mod machine;
mod opcode;
mod stack;

pub(crate) use machine::{Limits, load};

/// A value of a [`Pickle`], by its number.
pub(crate) type Ref = u32;

/// The values a pickle made, each under its number; a container holds numbers, so sharing costs nothing and a cycle
/// can be seen.
#[derive(Debug, Default)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    /// What the pickle gives.
    pub(crate) root: Ref,
    /// Bytes from the first opcode to behind the last.
    pub(crate) bytes: usize,
}

/// A value of a pickle.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer above 64 bits, little-endian two's complement.
    Long(Vec<u8>),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Ref>),
    Tuple(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Set(Vec<Ref>),
    /// The name of a class or a function.
    Global {
        module: String,
        name: String,
    },
    /// A reference to something outside the pickle, such as a storage.
    Persistent(Ref),
    /// A call that was not made: the callable, its arguments, what would be set on the result.
    Call {
        callable: Ref,
        arguments: Ref,
        state: Option<Ref>,
        /// Items that would be set, where the object is a kind of dictionary.
        items: Vec<(Ref, Ref)>,
    },
}

impl Pickle {
    /// The value under a number.
    pub(crate) fn get(&self, at: Ref) -> &Value {
        self.values.get(at as usize).unwrap_or(&Value::None)
    }

    pub(crate) fn text(&self, at: Ref) -> Option<&str> {
        match self.get(at) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn int(&self, at: Ref) -> Option<i64> {
        match self.get(at) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Items of a tuple or a list.
    pub(crate) fn items(&self, at: Ref) -> Option<&[Ref]> {
        match self.get(at) {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Module and name of a class or a function.
    pub(crate) fn global(&self, at: Ref) -> Option<(&str, &str)> {
        match self.get(at) {
            Value::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// Numbers that are sizes: a tuple of integers from 0 on.
    pub(crate) fn sizes(&self, at: Ref) -> Option<Vec<u64>> {
        self.items(at)?
            .iter()
            .map(|&item| u64::try_from(self.int(item)?).ok())
            .collect()
    }
}
