//! The stack machine of pickles.

use std::collections::HashMap;

use limbic_graph::{Error, ErrorKind, Result};

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

struct Machine<'a> {
    input: Cursor<'a>,
    limits: Limits,
    values: Vec<Value>,
    stack: Vec<Ref>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
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

    fn value(&self, at: Ref) -> Option<&Value> {
        self.values.get(at as usize)
    }

    fn push(&mut self, value: Value) -> Result<()> {
        if self.values.len() >= self.limits.values {
            return Err(self.limit(format!("at most {} values", self.limits.values)));
        }
        let at = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value);
        self.push_ref(at)
    }

    fn push_ref(&mut self, at: Ref) -> Result<()> {
        if self.stack.len() >= self.limits.values {
            return Err(self.limit(format!("at most {} values", self.limits.values)));
        }
        self.stack.push(at);
        Ok(())
    }

    /// Height below which the stack belongs to the enclosing mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Ref> {
        if self.stack.len() <= self.floor() {
            return Err(self.input.malformed("a value on the stack", "none"));
        }
        self.stack
            .pop()
            .ok_or_else(|| self.input.malformed("a value on the stack", "none"))
    }

    fn top(&self) -> Result<Ref> {
        match self.stack.last() {
            Some(&at) if self.stack.len() > self.floor() => Ok(at),
            _ => Err(self.input.malformed("a value on the stack", "none")),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Ref>> {
        let Some(height) = self.marks.pop().filter(|&height| height <= self.stack.len()) else {
            return Err(self.input.malformed("an open mark", "none"));
        };
        Ok(self.stack.split_off(height))
    }

    fn put(&mut self, at: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn get(&mut self, at: u32) -> Result<()> {
        let Some(&value) = self.memo.get(&at) else {
            return Err(self
                .input
                .malformed("a value in the memo", format!("nothing at {at}")));
        };
        self.push_ref(value)
    }

    fn pairs(&self, items: Vec<Ref>) -> Result<Vec<(Ref, Ref)>> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self
                .input
                .malformed("keys with values", format!("{} items", items.len())));
        };
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn extend(&mut self, items: Vec<Ref>) -> Result<()> {
        let target = self.top()?;
        match self.values.get_mut(target as usize) {
            Some(Value::List(list) | Value::Set(list)) => list.extend(items),
            // The items of an object that is not made.
            Some(Value::Call { .. }) => {}
            _ => return Err(self.input.malformed("a list", "another value")),
        }
        Ok(())
    }

    fn set_items(&mut self, pairs: Vec<(Ref, Ref)>) -> Result<()> {
        let target = self.top()?;
        match self.values.get_mut(target as usize) {
            Some(Value::Dict(items) | Value::Call { items, .. }) => items.extend(pairs),
            _ => return Err(self.input.malformed("a dictionary", "another value")),
        }
        Ok(())
    }

    fn small_tuple(&mut self, count: usize) -> Result<()> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items))
    }

    fn call(&mut self, callable: Ref, arguments: Ref) -> Result<()> {
        self.push(Value::Call {
            callable,
            arguments,
            state: None,
            items: Vec::new(),
        })
    }

    /// A length of one byte or of four.
    fn length(&mut self, short: bool) -> Result<u64> {
        Ok(if short {
            self.input.u8()?.into()
        } else {
            self.input.u32()?.into()
        })
    }

    fn text(&mut self, short: bool) -> Result<()> {
        let count = self.length(short)?;
        let bytes = self.input.take_u64(count)?;
        self.push_text(bytes)
    }

    /// Python 2 texts may be any bytes; what is not UTF-8 is replaced.
    fn push_text(&mut self, bytes: &[u8]) -> Result<()> {
        self.push(Value::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn bytes(&mut self, count: u64) -> Result<()> {
        let bytes = self.input.take_u64(count)?.to_vec();
        self.push(Value::Bytes(bytes))
    }

    fn line(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.input.until(b'\n')?).into_owned())
    }

    fn line_number(&mut self) -> Result<u32> {
        let line = self.line()?;
        line.trim()
            .parse()
            .map_err(|_| self.input.malformed("a number", line))
    }

    fn line_literal(&mut self, code: u8) -> Result<()> {
        let line = self.line()?;
        let text = line.trim();
        let value = match code {
            op::INT if text == "00" => Some(Value::Bool(false)),
            op::INT if text == "01" => Some(Value::Bool(true)),
            op::INT | op::LONG => text.trim_end_matches('L').parse().ok().map(Value::Int),
            op::FLOAT => text.parse().ok().map(Value::Float),
            op::STRING => {
                let inner = ['\'', '"']
                    .into_iter()
                    .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
                inner.map(|inner| Value::Text(inner.to_owned()))
            }
            _ => Some(Value::Text(line.clone())),
        };
        match value {
            Some(value) => self.push(value),
            None => Err(self.input.malformed("a literal", line)),
        }
    }

    fn global_lines(&mut self) -> Result<Value> {
        Ok(Value::Global {
            module: self.line()?,
            name: self.line()?,
        })
    }

    fn limit(&self, expected: String) -> Error {
        let error = self.input.malformed(&expected, "more");
        Error::new(ErrorKind::Limit, error.place(), expected, "more")
    }

    fn unsupported(&self, expected: &str, found: impl std::fmt::Display) -> Error {
        let error = self.input.malformed(expected, &found);
        Error::new(ErrorKind::Unsupported, error.place(), expected, found)
    }
}

/// A little-endian two's complement number.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes.to_vec());
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut full = [if negative { 0xff } else { 0 }; 8];
    if let Some(target) = full.get_mut(..bytes.len()) {
        target.copy_from_slice(bytes);
    }
    Value::Int(i64::from_le_bytes(full))
}
