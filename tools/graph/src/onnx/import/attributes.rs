//! Attributes of a node, each of which must be read.

use std::cell::Cell;
use std::collections::HashMap;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::proto::{Attribute, GraphProto, TensorProto};
use crate::onnx::tensor;
use crate::onnx::wire::malformed;

/// Attributes that a function's caller gave, by name.
pub(super) type Arguments<'p> = HashMap<&'p str, &'p Attribute<'p>>;

/// Attributes of a node; it is noted which have been asked for.
#[derive(Debug)]
pub(super) struct Attributes<'p> {
    list: Vec<(&'p str, &'p Attribute<'p>, Cell<bool>)>,
}

impl<'p> Attributes<'p> {
    /// Of a node, inside a function with the attributes of the calling node put in.
    pub(super) fn new(list: &'p [Attribute<'p>], arguments: Option<&Arguments<'p>>) -> Self {
        let resolve = |attribute: &'p Attribute<'p>| {
            if attribute.reference.is_empty() {
                return Some((attribute.name, attribute, Cell::new(false)));
            }
            let given = arguments?.get(attribute.reference)?;
            Some((attribute.name, *given, Cell::new(false)))
        };
        Self {
            list: list.iter().filter_map(resolve).collect(),
        }
    }

    /// The attributes by name, for a function's body.
    pub(super) fn arguments(&self) -> Arguments<'p> {
        self.list
            .iter()
            .map(|(name, attribute, _)| (*name, *attribute))
            .collect()
    }

    /// The first attribute that nobody asked for.
    pub(super) fn unread(&self) -> Option<&'p str> {
        self.list
            .iter()
            .find(|(_, _, read)| !read.get())
            .map(|(name, ..)| *name)
    }

    /// An attribute of a kind of `AttributeProto.AttributeType`.
    fn get(&self, name: &str, kind: i64) -> Result<Option<&'p Attribute<'p>>> {
        let Some((_, attribute, read)) = self.list.iter().find(|(n, ..)| *n == name) else {
            return Ok(None);
        };
        read.set(true);
        if attribute.kind != 0 && attribute.kind != kind {
            return Err(malformed(
                format!("attribute {name} of kind {kind}"),
                format!("kind {}", attribute.kind),
            ));
        }
        Ok(Some(attribute))
    }

    /// Marks an attribute as read whose value does not matter here.
    pub(super) fn ignore(&self, name: &str) {
        if let Some((.., read)) = self.list.iter().find(|(n, ..)| *n == name) {
            read.set(true);
        }
    }

    pub(super) fn optional_int(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.get(name, 2)?.map(|a| a.integer))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.optional_int(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int(name, default.into())? != 0)
    }

    /// An integer that may not be negative.
    pub(super) fn size(&self, name: &str, default: usize) -> Result<usize> {
        match self.optional_int(name)? {
            None => Ok(default),
            Some(value) => size(name, value),
        }
    }

    pub(super) fn optional_float(&self, name: &str) -> Result<Option<f32>> {
        Ok(self.get(name, 1)?.map(|a| a.float))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.optional_float(name)?.unwrap_or(default))
    }

    pub(super) fn text(&self, name: &str, default: &'static str) -> Result<&'p str> {
        match self.get(name, 3)? {
            None => Ok(default),
            Some(attribute) => std::str::from_utf8(attribute.text)
                .map_err(|_| malformed(format!("attribute {name} in UTF-8"), "other bytes")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<&'p str>>> {
        let Some(attribute) = self.get(name, 8)? else {
            return Ok(None);
        };
        let text = |bytes: &&'p [u8]| std::str::from_utf8(bytes);
        let texts: std::result::Result<Vec<_>, _> = attribute.texts.iter().map(text).collect();
        texts
            .map(Some)
            .map_err(|_| malformed(format!("attribute {name} in UTF-8"), "other bytes"))
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<&'p [i64]>> {
        Ok(self.get(name, 7)?.map(|a| a.integers.as_slice()))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'p [f32]>> {
        Ok(self.get(name, 6)?.map(|a| a.floats.as_slice()))
    }

    /// Integers of which none may be negative.
    pub(super) fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let Some(list) = self.ints(name)? else {
            return Ok(None);
        };
        list.iter()
            .map(|&v| size(name, v))
            .collect::<Result<_>>()
            .map(Some)
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'p TensorProto<'p>>> {
        Ok(self.get(name, 4)?.and_then(|a| a.tensor.as_ref()))
    }

    /// # Errors
    /// [`ErrorKind::Malformed`] without it.
    pub(super) fn graph(&self, name: &str) -> Result<&'p GraphProto<'p>> {
        let attribute = self.get(name, 5)?;
        attribute
            .and_then(|a| a.graph.as_deref())
            .ok_or_else(|| malformed(format!("attribute {name}"), "none"))
    }

    /// An element type given by its number; 0 and nothing are `None`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for one that this crate does not have.
    pub(super) fn dtype(&self, name: &str) -> Result<Option<Dtype>> {
        match self.int(name, 0)? {
            0 => Ok(None),
            code => tensor::dtype(code)
                .map(Some)
                .map_err(|found| unsupported(name, "an element type of this crate", found)),
        }
    }

    /// # Errors
    /// [`ErrorKind::Malformed`] without it.
    pub(super) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| malformed(format!("attribute {name}"), "none"))
    }
}

fn size(name: &str, value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| unsupported(name, "numbers of at least 0", value))
}

/// A value of an attribute that this release does not know.
pub(super) fn unsupported(
    name: &str,
    expected: impl std::fmt::Display,
    found: impl std::fmt::Display,
) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("attribute {name}"),
        expected,
        found,
    )
}
