//! What can be wrong with a document, and where.

use std::fmt;

use crate::value::{Kind, Value};

/// A value that is not what a type asks for.
#[derive(Debug, Clone)]
pub struct Fault<'v> {
    value: &'v Value,
    problem: String,
}

impl Fault<'_> {
    /// The fault with the path from `root` to its value, and with its line in the text that `root` was read from.
    pub fn locate(&self, root: &Value, text: &[u8]) -> Error {
        let mut error = Error::at(self.value.at(), text, self.problem.clone());
        error.path = self.path(root);
        error
    }

    /// The fault with the path from `root` to its value.
    pub fn path_only(&self, root: &Value) -> Error {
        Error {
            path: self.path(root),
            problem: self.problem.clone(),
            place: None,
        }
    }

    fn path(&self, root: &Value) -> String {
        let mut path = String::new();
        find(root, self.value, &mut path);
        path
    }
}

/// The first fault of a reading.
///
/// A type that meets a fault notes it and goes on with some value, which nobody gets to see: so reading a struct is
/// machine code for its fields, and not as well for the ways out between them.
#[derive(Debug, Default)]
pub struct Faults<'v> {
    first: Option<Fault<'v>>,
}

impl<'v> Faults<'v> {
    /// Notes a fault, unless there is one already.
    pub fn note(&mut self, value: &'v Value, problem: String) {
        if self.first.is_none() {
            self.first = Some(Fault { value, problem });
        }
    }

    /// Notes that a value is not what was expected.
    pub fn unexpected(&mut self, value: &'v Value, expected: &str) {
        if self.none() {
            self.note(
                value,
                format!("invalid type: {}, expected {expected}", value.describe()),
            );
        }
    }

    /// Whether there is none yet.
    pub fn none(&self) -> bool {
        self.first.is_none()
    }

    /// What was read, if there was no fault.
    pub(crate) fn or<T>(self, read: T) -> Result<T, Fault<'v>> {
        match self.first {
            None => Ok(read),
            Some(fault) => Err(fault),
        }
    }
}

/// Appends the way from `root` to `wanted`, which is compared by address, if it is there.
fn find(root: &Value, wanted: &Value, path: &mut String) -> bool {
    if std::ptr::eq(root, wanted) {
        return true;
    }
    let length = path.len();
    match root.kind() {
        Kind::List(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                if find(item, wanted, path) {
                    return true;
                }
                path.truncate(length);
            }
        }
        Kind::Table(entries) => {
            for (key, value) in entries {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                if find(value, wanted, path) {
                    return true;
                }
                path.truncate(length);
            }
        }
        _ => {}
    }
    false
}

/// Why a document was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    path: String,
    problem: String,
    /// Line and column, from 1.
    place: Option<(usize, usize)>,
}

impl Error {
    /// A problem at a byte of a text.
    pub(crate) fn at(at: usize, text: &[u8], problem: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Self {
            path: String::new(),
            problem: problem.into(),
            place: Some((line, column)),
        }
    }

    /// Way from the root to the value, as `inputs[0].name`; empty for the root and for a text that is no document.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        if !self.path.is_empty() {
            write!(f, " in {}", self.path)?;
        }
        match self.place {
            Some((line, column)) => write!(f, " at line {line} column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
