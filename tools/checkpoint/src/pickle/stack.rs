//! The stack, the marks and the memo, and what stands on them.

use limbic_graph::Result;

use super::machine::Machine;
use super::{Ref, Value};

impl Machine<'_> {
    pub(super) fn value(&self, at: Ref) -> Option<&Value> {
        self.values.get(at as usize)
    }

    pub(super) fn push(&mut self, value: Value) -> Result<()> {
        if self.values.len() >= self.limits.values {
            return Err(self.limit(format!("at most {} values", self.limits.values)));
        }
        let at = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value);
        self.push_ref(at)
    }

    pub(super) fn push_ref(&mut self, at: Ref) -> Result<()> {
        if self.stack.len() >= self.limits.values {
            return Err(self.limit(format!("at most {} values", self.limits.values)));
        }
        self.stack.push(at);
        Ok(())
    }

    /// Height below which the stack belongs to the enclosing mark.
    pub(super) fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn pop(&mut self) -> Result<Ref> {
        if self.stack.len() <= self.floor() {
            return Err(self.input.malformed("a value on the stack", "none"));
        }
        self.stack
            .pop()
            .ok_or_else(|| self.input.malformed("a value on the stack", "none"))
    }

    pub(super) fn top(&self) -> Result<Ref> {
        match self.stack.last() {
            Some(&at) if self.stack.len() > self.floor() => Ok(at),
            _ => Err(self.input.malformed("a value on the stack", "none")),
        }
    }

    pub(super) fn pop_mark(&mut self) -> Result<Vec<Ref>> {
        let Some(height) = self.marks.pop().filter(|&height| height <= self.stack.len()) else {
            return Err(self.input.malformed("an open mark", "none"));
        };
        Ok(self.stack.split_off(height))
    }

    pub(super) fn put(&mut self, at: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(at, top);
        if self.memo.len() > self.limits.values {
            return Err(self.limit(format!("at most {} values in the memo", self.limits.values)));
        }
        Ok(())
    }

    pub(super) fn get(&mut self, at: u32) -> Result<()> {
        let Some(&value) = self.memo.get(&at) else {
            return Err(self
                .input
                .malformed("a value in the memo", format!("nothing at {at}")));
        };
        self.push_ref(value)
    }

    pub(super) fn pairs(&self, items: Vec<Ref>) -> Result<Vec<(Ref, Ref)>> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self
                .input
                .malformed("keys with values", format!("{} items", items.len())));
        };
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    pub(super) fn extend(&mut self, items: Vec<Ref>) -> Result<()> {
        let target = self.top()?;
        match self.values.get_mut(target as usize) {
            Some(Value::List(list) | Value::Set(list)) => list.extend(items),
            // The items of an object that is not made.
            Some(Value::Call { .. }) => {}
            _ => return Err(self.input.malformed("a list", "another value")),
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, pairs: Vec<(Ref, Ref)>) -> Result<()> {
        let target = self.top()?;
        match self.values.get_mut(target as usize) {
            Some(Value::Dict(items) | Value::Call { items, .. }) => items.extend(pairs),
            _ => return Err(self.input.malformed("a dictionary", "another value")),
        }
        Ok(())
    }

    pub(super) fn small_tuple(&mut self, count: usize) -> Result<()> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Value::Tuple(items))
    }

    pub(super) fn call(&mut self, callable: Ref, arguments: Ref) -> Result<()> {
        self.push(Value::Call {
            callable,
            arguments,
            state: None,
            items: Vec::new(),
        })
    }
}
