//! The Protocol Buffers wire format: fields in and out of bytes.

use crate::error::{Error, ErrorKind, Result};

/// The value of one field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The fields of a message, in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's number and value; `None` behind the last.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] where the bytes end inside a field or are no field.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| malformed("a field number", key >> 3))?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(self.array()?),
            other => return Err(malformed("wire type 0, 1, 2 or 5", other)),
        };
        Ok(Some((number, value)))
    }

    /// The next number of a packed list; `None` behind the last.
    pub(super) fn next_varint(&mut self) -> Result<Option<u64>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.varint().map(Some)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((head, tail)) = self.rest.split_at_checked(length) else {
            return Err(malformed(
                format!("{length} more bytes"),
                format!("{} bytes", self.rest.len()),
            ));
        };
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes
            .try_into()
            .map_err(|_| malformed(format!("{N} bytes"), bytes.len()))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (n, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(n + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(malformed("a number of at most 10 bytes", "none"))
    }
}

impl<'a> Wire<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(malformed("bytes", other.kind())),
        }
    }

    pub(super) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("text in UTF-8", "other bytes"))
    }

    pub(super) fn integer(self) -> Result<i64> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            other => Err(malformed("an integer", other.kind())),
        }
    }

    pub(super) fn float(self) -> Result<f32> {
        match self {
            Self::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            other => Err(malformed("a float", other.kind())),
        }
    }

    /// Adds the integers of a repeated field, packed or one by one.
    pub(super) fn integers(self, list: &mut Vec<i64>) -> Result<()> {
        if let Self::Bytes(bytes) = self {
            let mut packed = Fields::new(bytes);
            while let Some(value) = packed.next_varint()? {
                list.push(value.cast_signed());
            }
        } else {
            list.push(self.integer()?);
        }
        Ok(())
    }

    /// Adds the floats of a repeated field, packed or one by one.
    pub(super) fn floats(self, list: &mut Vec<f32>) -> Result<()> {
        if let Self::Bytes(bytes) = self {
            let (floats, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(malformed("packed floats", format!("{} bytes", bytes.len())));
            }
            list.extend(floats.iter().map(|&b| f32::from_le_bytes(b)));
        } else {
            list.push(self.float()?);
        }
        Ok(())
    }

    /// Adds the doubles of a repeated field, packed or one by one.
    pub(super) fn doubles(self, list: &mut Vec<f64>) -> Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let (doubles, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(malformed("packed doubles", format!("{} bytes", bytes.len())));
                }
                list.extend(doubles.iter().map(|&b| f64::from_le_bytes(b)));
            }
            Self::Fixed64(bytes) => list.push(f64::from_le_bytes(bytes)),
            other => return Err(malformed("a double", other.kind())),
        }
        Ok(())
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Varint(_) => "a varint",
            Self::Fixed64(_) => "8 bytes",
            Self::Bytes(_) => "a length and bytes",
            Self::Fixed32(_) => "4 bytes",
        }
    }
}

/// A damaged file.
pub(super) fn malformed(expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "", expected, found)
}

/// A message being written.
#[derive(Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn integer(&mut self, field: u32, value: i64) {
        self.varint(u64::from(field) << 3);
        self.varint(value.cast_unsigned());
    }

    pub(super) fn float(&mut self, field: u32, value: f32) {
        self.varint(u64::from(field) << 3 | 5);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub(super) fn message(&mut self, field: u32, value: Self) {
        self.bytes(field, &value.bytes);
    }
}
