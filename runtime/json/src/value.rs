//! The tree of values.

use crate::error::Error;

/// A value and where it stands in its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    at: usize,
    kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as it was written: a type reads it at its own precision.
    Number(Box<str>),
    /// A text.
    Text(Box<str>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by key, in the order of the text; no key stands twice.
    Table(Vec<(Box<str>, Value)>),
}

impl Value {
    /// A value that stands at this byte of its text.
    pub const fn new(at: usize, kind: Kind) -> Self {
        Self { at, kind }
    }

    /// Reads the text of a JSON document (RFC 8259).
    ///
    /// # Errors
    /// The first place where the text is no JSON, is nested more than 127 deep, or repeats a key of a table.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        crate::parse::document(text)
    }

    /// First byte of its text.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The value of a key, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Table(entries) => entries
                .iter()
                .find(|(name, _)| **name == *key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The values of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value in a few words, for error messages.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => format!("boolean `{value}`"),
            Kind::Number(number) => format!("number `{number}`"),
            Kind::Text(text) => {
                let short: String = text.chars().take(100).collect();
                let rest = if short.len() < text.len() { "..." } else { "" };
                format!("string {short:?}{rest}")
            }
            Kind::List(_) => "sequence".to_owned(),
            Kind::Table(_) => "map".to_owned(),
        }
    }
}
