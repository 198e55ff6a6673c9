//! Literals as the opcodes spell them.

use limbic_graph::Result;

use super::Value;
use super::machine::Machine;
use super::opcode as op;

impl Machine<'_> {
    /// A length of one byte or of four.
    pub(super) fn length(&mut self, short: bool) -> Result<u64> {
        Ok(if short {
            self.input.u8()?.into()
        } else {
            self.input.u32()?.into()
        })
    }

    pub(super) fn text(&mut self, short: bool) -> Result<()> {
        let count = self.length(short)?;
        let bytes = self.input.take_u64(count)?;
        self.push_text(bytes)
    }

    /// Python 2 texts may be any bytes; what is not UTF-8 is replaced.
    pub(super) fn push_text(&mut self, bytes: &[u8]) -> Result<()> {
        self.push(Value::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<()> {
        let bytes = self.input.take_u64(count)?.to_vec();
        self.push(Value::Bytes(bytes))
    }

    pub(super) fn line(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(self.input.until(b'\n')?).into_owned())
    }

    pub(super) fn line_number(&mut self) -> Result<u32> {
        let line = self.line()?;
        line.trim()
            .parse()
            .map_err(|_| self.input.malformed("a number", line))
    }

    pub(super) fn line_literal(&mut self, code: u8) -> Result<()> {
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

    pub(super) fn global_lines(&mut self) -> Result<Value> {
        Ok(Value::Global {
            module: self.line()?,
            name: self.line()?,
        })
    }
}

/// A little-endian two's complement number.
pub(super) fn long(bytes: &[u8]) -> Value {
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
