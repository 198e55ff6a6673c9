//! Numbers out of a slice, each read checked.

use limbic_graph::{Error, ErrorKind, Result};

/// A position in a slice; every read past the end is an error with the place and the offset.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    place: &'a str,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start; `place` says what the bytes are.
    pub(crate) fn new(bytes: &'a [u8], place: &'a str) -> Self {
        Self { bytes, at: 0, place }
    }

    /// Offset from the start.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// An error of kind malformed at the current offset.
    pub(crate) fn malformed(&self, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
        Error::new(
            ErrorKind::Malformed,
            format!("{} at byte {}", self.place, self.at),
            expected,
            found,
        )
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let part = self
            .at
            .checked_add(count)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| {
                self.malformed(
                    format!("{count} more bytes"),
                    format!("{} before the end", self.left()),
                )
            })?;
        self.at += count;
        Ok(part)
    }

    /// The next `count` bytes, the count as a file states it.
    pub(crate) fn take_u64(&mut self, count: u64) -> Result<&'a [u8]> {
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The bytes up to `end`, which is passed over.
    pub(crate) fn until(&mut self, end: u8) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == end) else {
            return Err(self.malformed(format!("a line ended by byte {end}"), "the end"));
        };
        let line = self.take(length)?;
        self.at += 1;
        Ok(line)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A big-endian double, as pickles hold them.
    pub(crate) fn f64_be(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// An unsigned LEB128 number of at most 64 bits.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number of at most 64 bits", "a longer one"))
    }
}
