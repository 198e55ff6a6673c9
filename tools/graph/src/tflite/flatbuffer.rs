//! Reading of flatbuffers: tables whose fields are found through offsets, each checked against the file.

use std::cell::Cell;

use crate::error::{Error, ErrorKind, Result};

/// A number that a field or the elements of a vector can be.
pub(super) trait Scalar: Copy {
    /// Its bytes in the file.
    const SIZE: usize;
    /// From its little-endian bytes, of which there are [`Scalar::SIZE`].
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($type:ty),*) => {$(
        impl Scalar for $type {
            const SIZE: usize = size_of::<$type>();
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

scalars!(i8, u8, u16, i32, u32, i64, u64, f32);

/// A table of a flatbuffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    file: &'a [u8],
    /// Bytes that may still be read as vectors and strings, over all tables: a small file can name the same vector a
    /// million times.
    budget: &'a Cell<usize>,
    at: usize,
    vtable: usize,
    /// Bytes of the vtable.
    length: usize,
}

impl<'a> Table<'a> {
    /// The table that the file begins with.
    pub(super) fn root(file: &'a [u8], budget: &'a Cell<usize>) -> Result<Self> {
        let at: u32 = scalar(file, 0)?;
        Self::at(file, budget, to_usize(at)?)
    }

    fn at(file: &'a [u8], budget: &'a Cell<usize>, at: usize) -> Result<Self> {
        let back: i32 = scalar(file, at)?;
        let vtable = i64::try_from(at)
            .ok()
            .and_then(|at| usize::try_from(at.checked_sub(back.into())?).ok())
            .ok_or_else(|| malformed(at, "a vtable in the file", format!("one {back} bytes before")))?;
        let length: u16 = scalar(file, vtable)?;
        let length = usize::from(length);
        if length < 4 || vtable.checked_add(length).is_none_or(|end| end > file.len()) {
            return Err(malformed(
                vtable,
                "a vtable in the file",
                format!("{length} bytes"),
            ));
        }
        Ok(Self {
            file,
            budget,
            at,
            vtable,
            length,
        })
    }

    /// Where a field lies; `None` where it is left out.
    fn field(&self, slot: usize) -> Result<Option<usize>> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.length {
            return Ok(None);
        }
        let offset: u16 = scalar(self.file, self.vtable + entry)?;
        Ok((offset != 0).then(|| self.at + usize::from(offset)))
    }

    /// A number, or the schema's default.
    pub(super) fn number<T: Scalar>(&self, slot: usize, default: T) -> Result<T> {
        self.field(slot)?.map_or(Ok(default), |at| scalar(self.file, at))
    }

    /// A truth value; `false` where it is left out.
    pub(super) fn flag(&self, slot: usize) -> Result<bool> {
        Ok(self.number(slot, 0u8)? != 0)
    }

    /// Where what a field refers to lies.
    fn target(&self, slot: usize) -> Result<Option<usize>> {
        self.field(slot)?.map(|at| follow(self.file, at)).transpose()
    }

    /// A table.
    pub(super) fn table(&self, slot: usize) -> Result<Option<Self>> {
        self.target(slot)?
            .map(|at| Self::at(self.file, self.budget, at))
            .transpose()
    }

    /// Count and bytes of a vector.
    fn elements(&self, slot: usize, size: usize) -> Result<Option<&'a [u8]>> {
        let Some(at) = self.target(slot)? else {
            return Ok(None);
        };
        let count: u32 = scalar(self.file, at)?;
        let start = at + 4;
        let bytes = to_usize(count)?
            .checked_mul(size)
            .and_then(|length| self.file.get(start..start.checked_add(length)?))
            .ok_or_else(|| {
                malformed(
                    at,
                    format!("at most {} bytes of a vector", self.file.len() - start),
                    format!("{count} elements of {size} bytes"),
                )
            })?;
        self.charge(bytes.len())?;
        Ok(Some(bytes))
    }

    /// Takes bytes from what may still be read.
    pub(super) fn charge(&self, bytes: usize) -> Result<()> {
        let left = self.budget.get().checked_sub(bytes).ok_or_else(|| {
            let found = "many references to the same vectors";
            Error::new(
                ErrorKind::Limit,
                "TFLite file",
                "a few references to each vector",
                found,
            )
        })?;
        self.budget.set(left);
        Ok(())
    }

    /// The bytes of a vector of bytes; empty where it is left out.
    pub(super) fn bytes(&self, slot: usize) -> Result<&'a [u8]> {
        Ok(self.elements(slot, 1)?.unwrap_or_default())
    }

    /// A vector of numbers; empty where it is left out.
    pub(super) fn numbers<T: Scalar>(&self, slot: usize) -> Result<Vec<T>> {
        let bytes = self.elements(slot, T::SIZE)?.unwrap_or_default();
        Ok(bytes.chunks_exact(T::SIZE).filter_map(T::from_bytes).collect())
    }

    /// A string; empty where it is left out.
    pub(super) fn string(&self, slot: usize) -> Result<&'a str> {
        let bytes = self.bytes(slot)?;
        std::str::from_utf8(bytes)
            .map_err(|_| malformed(self.at, "UTF-8", format!("{:?}", &bytes[..bytes.len().min(40)])))
    }

    /// A vector of tables, at most `most`; empty where it is left out.
    pub(super) fn tables(&self, slot: usize, most: usize) -> Result<Vec<Self>> {
        let Some(start) = self.target(slot)? else {
            return Ok(Vec::new());
        };
        let count = self.elements(slot, 4)?.unwrap_or_default().len() / 4;
        if count > most {
            return Err(Error::new(
                ErrorKind::Limit,
                format!("TFLite file at byte {start}"),
                format!("at most {most} tables"),
                count,
            ));
        }
        (0..count)
            .map(|n| Self::at(self.file, self.budget, follow(self.file, start + 4 + 4 * n)?))
            .collect()
    }

    /// A piece of the file outside the flatbuffer.
    pub(super) fn outside(&self, offset: u64, size: u64) -> Result<&'a [u8]> {
        let range = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(size).ok())
            .and_then(|(offset, size)| self.file.get(offset..offset.checked_add(size)?));
        let bytes = range.ok_or_else(|| {
            let found = format!("{size} bytes from {offset}");
            Error::new(
                ErrorKind::Malformed,
                "TFLite buffer",
                format!("a range inside {} bytes", self.file.len()),
                found,
            )
        })?;
        self.charge(bytes.len())?;
        Ok(bytes)
    }
}

fn to_usize(n: u32) -> Result<usize> {
    usize::try_from(n).map_err(|_| malformed(0, "an offset", n))
}

fn follow(file: &[u8], at: usize) -> Result<usize> {
    let offset: u32 = scalar(file, at)?;
    at.checked_add(to_usize(offset)?)
        .filter(|&target| target < file.len())
        .ok_or_else(|| malformed(at, "an offset inside the file", offset))
}

fn scalar<T: Scalar>(file: &[u8], at: usize) -> Result<T> {
    at.checked_add(T::SIZE)
        .and_then(|end| T::from_bytes(file.get(at..end)?))
        .ok_or_else(|| malformed(at, format!("{} more bytes", T::SIZE), "the end of the file"))
}

fn malformed(at: usize, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("TFLite file at byte {at}"),
        expected,
        found,
    )
}
