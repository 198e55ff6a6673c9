//! The text of a JSON document to a tree.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::value::{Kind, Value};

/// Most lists and tables around a value, which bounds the stack.
const DEPTH: usize = 127;

/// Reads a whole document.
pub(crate) fn document(bytes: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Error::at(error.valid_up_to(), bytes, "invalid UTF-8 text"))?;
    let mut parser = Parser { text, at: 0 };
    let found = parser.value(0).and_then(|value| {
        parser.blank();
        match parser.peek() {
            None => Ok(value),
            Some(_) => Err("trailing characters"),
        }
    });
    found.map_err(|problem| Error::at(parser.at, bytes, problem))
}

/// A problem at the parser's place.
type Parsed<T> = Result<T, &'static str>;

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes this byte, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Parsed<Value> {
        self.blank();
        let at = self.at;
        let kind = match self.peek() {
            None => return Err("EOF while parsing a value"),
            Some(b'{' | b'[') if depth == DEPTH => return Err("recursion limit exceeded"),
            Some(b'{') => self.table(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
        };
        Ok(Value::new(at, kind))
    }

    fn word(&mut self) -> Parsed<Kind> {
        let words = [
            ("null", Kind::Null),
            ("true", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
        ];
        for (word, kind) in words {
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err("expected value")
    }

    fn list(&mut self, depth: usize) -> Parsed<Kind> {
        self.at += 1;
        let mut items = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Ok(Kind::List(items));
            }
            if !self.take(b',') {
                return Err(self.or_end("expected `,` or `]`", "EOF while parsing a list"));
            }
        }
    }

    fn table(&mut self, depth: usize) -> Parsed<Kind> {
        self.at += 1;
        let mut entries: Vec<(Box<str>, Value)> = Vec::new();
        self.blank();
        if self.take(b'}') {
            return Ok(Kind::Table(entries));
        }
        loop {
            self.blank();
            if self.peek() != Some(b'"') {
                return Err(self.or_end("key must be a string", "EOF while parsing an object"));
            }
            let key = self.string()?;
            self.blank();
            if !self.take(b':') {
                return Err(self.or_end("expected `:`", "EOF while parsing an object"));
            }
            let value = self.value(depth + 1)?;
            entries.push((key, value));
            self.blank();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.or_end("expected `,` or `}`", "EOF while parsing an object"));
            }
        }
        let mut seen = BTreeSet::new();
        for (key, value) in &entries {
            if !seen.insert(&**key) {
                self.at = value.at();
                return Err("a key stands twice");
            }
        }
        drop(seen);
        Ok(Kind::Table(entries))
    }

    fn digits(&mut self) -> Parsed<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.or_end("invalid number", "EOF while parsing a value"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.take(b'-');
        if self.take(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err("invalid number");
            }
        } else {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        if !number.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err("number out of range");
        }
        Ok(Kind::Number(number.into()))
    }

    /// A string, whose quote is next.
    fn string(&mut self) -> Parsed<Box<str>> {
        self.at += 1;
        let mut out = String::new();
        loop {
            // Quotes, backslashes and control characters are never part of a longer character.
            let start = self.at;
            while self
                .peek()
                .is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
            {
                self.at += 1;
            }
            out.push_str(self.text.get(start..self.at).unwrap_or_default());
            match self.peek() {
                None => return Err("EOF while parsing a string"),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out.into_boxed_str());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.escaped()?;
                    out.push(escaped);
                }
                Some(_) => return Err("control character (\\u0000-\\u001F) found while parsing a string"),
            }
        }
    }

    /// What a backslash stands for.
    fn escaped(&mut self) -> Parsed<char> {
        let Some(byte) = self.peek() else {
            return Err("EOF while parsing a string");
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                // The first half of a pair of UTF-16 units needs its second.
                let code = if (0xD800..0xDC00).contains(&first) {
                    if !(self.take(b'\\') && self.take(b'u')) {
                        return Err("lone leading surrogate in hex escape");
                    }
                    let second = self.unit()?;
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err("lone leading surrogate in hex escape");
                    }
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                char::from_u32(code).ok_or("lone trailing surrogate in hex escape")?
            }
            _ => return Err("invalid escape"),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Parsed<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.or_end("invalid escape", "EOF while parsing a string"));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// The first problem, or the second at the end of the text.
    fn or_end(&self, problem: &'static str, end: &'static str) -> &'static str {
        if self.peek().is_none() { end } else { problem }
    }
}
