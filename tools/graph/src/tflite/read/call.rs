//! An operator of the file, as its import looks at it.

use super::super::model::Operator;
use crate::error::{Error, ErrorKind, Result};

/// An operator with what its import asks for.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) operator: &'a Operator<'a>,
    /// Name of its first output.
    pub(super) name: &'a str,
}

impl<'a> Call<'a> {
    /// A tensor that it reads.
    pub(super) fn input(&self, n: usize) -> Result<usize> {
        self.optional(n)
            .ok_or_else(|| self.fault(ErrorKind::Malformed, format!("input {n}"), "none"))
    }

    /// A tensor that it may read.
    pub(super) fn optional(&self, n: usize) -> Option<usize> {
        self.operator.inputs.get(n).copied().flatten()
    }

    /// A tensor that it makes.
    pub(super) fn output(&self, n: usize) -> Result<usize> {
        let output = self.operator.outputs.get(n).copied();
        output.ok_or_else(|| self.fault(ErrorKind::Malformed, format!("output {n}"), "none"))
    }

    /// An option that is a whole number.
    pub(super) fn int(&self, slot: usize, default: i32) -> Result<i32> {
        self.operator
            .options
            .map_or(Ok(default), |o| o.number(slot, default))
    }

    /// An option that is a number above zero.
    pub(super) fn size(&self, slot: usize, default: i32) -> Result<usize> {
        let n = self.int(slot, default)?;
        usize::try_from(n)
            .ok()
            .filter(|&n| n > 0)
            .ok_or_else(|| self.fault(ErrorKind::Value, format!("option {slot} above zero"), n))
    }

    /// An option of an enumeration.
    pub(super) fn choice(&self, slot: usize) -> Result<i8> {
        self.operator.options.map_or(Ok(0), |o| o.number(slot, 0))
    }

    /// An option that is on or off.
    pub(super) fn flag(&self, slot: usize) -> Result<bool> {
        self.operator.options.map_or(Ok(false), |o| o.flag(slot))
    }

    /// An option that is a real number.
    pub(super) fn real(&self, slot: usize, default: f32) -> Result<f32> {
        self.operator
            .options
            .map_or(Ok(default), |o| o.number(slot, default))
    }

    pub(super) fn fault(
        &self,
        kind: ErrorKind,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Error {
        Error::new(
            kind,
            format!("{} {}", self.operator.code, self.name),
            expected,
            found,
        )
    }

    /// An error that joins the list of all that is not supported.
    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> Error {
        self.fault(ErrorKind::Unsupported, "operators that are known", what)
    }
}
