//! The stack machine of pickles.

use std::collections::HashMap;

use limbic_graph::{Error, ErrorKind, Result};

use super::literal::long;
use super::opcode as op;
use super::{Pickle, Ref, Value};
use crate::bytes::Cursor;

/// What a pickle may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most values made, which bounds memory and time: an opcode makes at most two.
    pub(crate) values: usize,
    /// Deepest nesting of marks.
    pub(crate) marks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            values: 2 << 20,
            marks: 1000,
        }
    }
}

/// Reads the pickle that begins where the bytes begin.
///
/// # Errors
/// [`ErrorKind::Malformed`] with the offset of the opcode, [`ErrorKind::Limit`], [`ErrorKind::Unsupported`] for
/// protocols above 5, extension registries and buffers outside the pickle.
pub(crate) fn load(place: &str, bytes: &[u8], limits: Limits) -> Result<Pickle> {
    let mut machine = Machine {
        input: Cursor::new(bytes, place),
        limits,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok(Pickle {
        values: machine.values,
        root,
        bytes: machine.input.position(),
    })
}

pub(super) struct Machine<'a> {
    pub(super) input: Cursor<'a>,
    pub(super) limits: Limits,
    pub(super) values: Vec<Value>,
    pub(super) stack: Vec<Ref>,
    /// Stack heights at the open marks.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u32, Ref>,
}

impl Machine<'_> {
    /// One opcode; whether there is another.
    fn step(&mut self) -> Result<bool> {
        let code = self.input.u8()?;
        match code {
            op::STOP => return Ok(false),
            op::PROTO => {
                let protocol = self.input.u8()?;
                if protocol > 5 {
                    return Err(self.unsupported("a protocol of at most 5", protocol));
                }
            }
            op::FRAME => {
                self.input.u64()?;
            }
            op::MARK => {
                if self.marks.len() == self.limits.marks {
                    return Err(self.limit(format!("at most {} open marks", self.limits.marks)));
                }
                self.marks.push(self.stack.len());
            }
            // As in Python, a mark on top goes instead of a value.
            op::POP if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            op::POP => {
                self.pop()?;
            }
            op::POP_MARK => {
                self.pop_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.push_ref(top)?;
            }
            op::NONE => self.push(Value::None)?,
            op::NEWTRUE => self.push(Value::Bool(true))?,
            op::NEWFALSE => self.push(Value::Bool(false))?,
            op::INT | op::LONG | op::FLOAT | op::STRING | op::UNICODE => self.line_literal(code)?,
            op::BININT => {
                let number = self.input.i32()?;
                self.push(Value::Int(number.into()))?;
            }
            op::BININT1 => {
                let number = self.input.u8()?;
                self.push(Value::Int(number.into()))?;
            }
            op::BININT2 => {
                let number = self.input.u16()?;
                self.push(Value::Int(number.into()))?;
            }
            op::LONG1 | op::LONG4 => {
                let count = self.length(code == op::LONG1)?;
                let bytes = self.input.take_u64(count)?;
                self.push(long(bytes))?;
            }
            op::BINFLOAT => {
                let number = self.input.f64_be()?;
                self.push(Value::Float(number))?;
            }
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => self.text(true)?,
            op::BINUNICODE | op::BINSTRING => self.text(false)?,
            op::BINUNICODE8 => {
                let count = self.input.u64()?;
                let bytes = self.input.take_u64(count)?;
                self.push_text(bytes)?;
            }
            op::SHORT_BINBYTES | op::BINBYTES => {
                let count = self.length(code == op::SHORT_BINBYTES)?;
                self.bytes(count)?;
            }
            op::BINBYTES8 | op::BYTEARRAY8 => {
                let count = self.input.u64()?;
                self.bytes(count)?;
            }
            op::EMPTY_LIST => self.push(Value::List(Vec::new()))?,
            op::EMPTY_TUPLE => self.push(Value::Tuple(Vec::new()))?,
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new()))?,
            op::EMPTY_SET => self.push(Value::Set(Vec::new()))?,
            op::LIST => {
                let items = self.pop_mark()?;
                self.push(Value::List(items))?;
            }
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))?;
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => self.small_tuple(usize::from(code - op::TUPLE1) + 1)?,
            op::FROZENSET => {
                let items = self.pop_mark()?;
                self.push(Value::Set(items))?;
            }
            op::DICT => {
                let items = self.pop_mark()?;
                let pairs = self.pairs(items)?;
                self.push(Value::Dict(pairs))?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            op::APPENDS | op::ADDITEMS => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![(key, value)])?;
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                let pairs = self.pairs(items)?;
                self.set_items(pairs)?;
            }
            op::PUT => {
                let at = self.line_number()?;
                self.put(at)?;
            }
            op::BINPUT => {
                let at = self.input.u8()?;
                self.put(at.into())?;
            }
            op::LONG_BINPUT => {
                let at = self.input.u32()?;
                self.put(at)?;
            }
            op::MEMOIZE => {
                let at = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                self.put(at)?;
            }
            op::GET => {
                let at = self.line_number()?;
                self.get(at)?;
            }
            op::BINGET => {
                let at = self.input.u8()?;
                self.get(at.into())?;
            }
            op::LONG_BINGET => {
                let at = self.input.u32()?;
                self.get(at)?;
            }
            op::PERSID => {
                let id = self.input.until(b'\n')?;
                self.push_text(id)?;
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }
            op::BINPERSID => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))?;
            }
            op::GLOBAL => {
                let global = self.global_lines()?;
                self.push(global)?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(Value::Text(name)), Some(Value::Text(module))) =
                    (self.value(name), self.value(module))
                else {
                    return Err(self.input.malformed("two texts", "other values"));
                };
                let global = Value::Global {
                    module: module.clone(),
                    name: name.clone(),
                };
                self.push(global)?;
            }
            op::REDUCE | op::NEWOBJ => {
                let arguments = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, arguments)?;
            }
            // Keyword arguments are dropped: nothing is called.
            op::NEWOBJ_EX => {
                self.pop()?;
                let arguments = self.pop()?;
                let callable = self.pop()?;
                self.call(callable, arguments)?;
            }
            op::INST => {
                let global = self.global_lines()?;
                let arguments = self.pop_mark()?;
                self.push(global)?;
                self.push(Value::Tuple(arguments))?;
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            op::OBJ => {
                let mut items = self.pop_mark()?;
                if items.is_empty() {
                    return Err(self.input.malformed("a class", "nothing"));
                }
                let callable = items.remove(0);
                self.push(Value::Tuple(items))?;
                let arguments = self.pop()?;
                self.call(callable, arguments)?;
            }
            op::BUILD => {
                let state = self.pop()?;
                let target = self.top()?;
                // On anything but a call the state is attributes, such as a state dict's `_metadata`.
                if let Some(Value::Call { state: slot, .. }) = self.values.get_mut(target as usize) {
                    *slot = Some(state);
                }
            }
            op::EXT1 | op::EXT2 | op::EXT4 => {
                return Err(self.unsupported("names in full", "an extension code"));
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                return Err(self.unsupported("bytes inside the pickle", "a buffer outside of it"));
            }
            other => return Err(self.input.malformed("an opcode", format!("byte {other:#04x}"))),
        }
        Ok(true)
    }

    pub(super) fn limit(&self, expected: String) -> Error {
        let error = self.input.malformed(&expected, "more");
        Error::new(ErrorKind::Limit, error.place(), expected, "more")
    }

    fn unsupported(&self, expected: &str, found: impl std::fmt::Display) -> Error {
        let error = self.input.malformed(expected, &found);
        Error::new(ErrorKind::Unsupported, error.place(), expected, found)
    }
}
