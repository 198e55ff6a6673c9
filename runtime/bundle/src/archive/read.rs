//! Reading the archive's structure from bytes that nobody vouches for.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::archive::layout::{
    CENTRAL_SIGNATURE, END_BYTES, END_SIGNATURE, LOCAL_SIGNATURE, Record, central_header, data_offset,
    end_record, local_header,
};
use crate::check::entry_name;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// An entry of the archive: its name and where its content lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) crc: u32,
    pub(crate) content: Range<usize>,
}

/// The entries of an archive, in order.
///
/// Reads the headers only. Every byte outside of the contents is compared with what the writer would have written.
pub(crate) fn members(bytes: &[u8]) -> Result<Vec<Member>> {
    let end = end(bytes)?;
    let mut cursor = Cursor {
        bytes,
        at: end.directory.start,
        end: end.directory.end,
    };
    let mut members = Vec::with_capacity(end.count);
    let mut names = BTreeSet::new();
    let mut next = 0u64;
    for index in 0..end.count {
        let record = central(&mut cursor, index)?;
        if !names.insert(record.name.clone()) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                record.name,
                "each entry once",
                "a second one of that name",
            ));
        }
        if u64::from(record.offset) != next {
            let expected = format!("its header at byte {next}, behind the entry before");
            return Err(Error::new(
                ErrorKind::Archive,
                record.name,
                expected,
                format!("byte {}", record.offset),
            ));
        }
        let start = data_offset(next, &record.name);
        let stop = start + u64::from(record.bytes);
        if stop > end.directory.start as u64 {
            let expected = format!("its content before byte {}", end.directory.start);
            return Err(Error::new(
                ErrorKind::Archive,
                record.name,
                expected,
                format!("bytes {start} to {stop}"),
            ));
        }
        let at = next as usize;
        same(bytes, at, &local_header(&record), &record.name)?;
        next = stop;
        members.push(Member {
            name: record.name,
            crc: record.crc,
            content: start as usize..stop as usize,
        });
    }
    if cursor.at != end.directory.end || next != end.directory.start as u64 {
        return Err(Error::new(
            ErrorKind::Archive,
            "directory",
            format!("bytes {next} to {}", cursor.at),
            format!("bytes {} to {}", end.directory.start, end.directory.end),
        ));
    }
    Ok(members)
}

struct End {
    count: usize,
    directory: Range<usize>,
}

fn end(bytes: &[u8]) -> Result<End> {
    let not_a_bundle =
        |expected: &str, found: String| Error::new(ErrorKind::NotABundle, "archive", expected, found);
    if bytes.len() as u64 > u64::from(u32::MAX) {
        return Err(Error::new(
            ErrorKind::Zip64,
            "archive",
            "less than 4 GiB",
            format!("{} bytes", bytes.len()),
        ));
    }
    let found = || format!("{} bytes that do not", bytes.len());
    let mut start = Cursor {
        bytes,
        at: 0,
        end: bytes.len(),
    };
    if start.u32("archive").ok() != Some(LOCAL_SIGNATURE) {
        return Err(not_a_bundle("bytes that start with an entry's header", found()));
    }
    let start = bytes
        .len()
        .checked_sub(END_BYTES)
        .ok_or_else(|| not_a_bundle("bytes that end with an archive's end record", found()))?;
    let mut cursor = Cursor {
        bytes,
        at: start,
        end: bytes.len(),
    };
    if cursor.u32("end record")? != END_SIGNATURE {
        return Err(not_a_bundle(
            "bytes that end with an archive's end record",
            found(),
        ));
    }
    cursor.at += 6;
    let count = cursor.u16("end record")?;
    let (length, offset) = (cursor.u32("end record")?, cursor.u32("end record")?);
    if count == u16::MAX || length == u32::MAX || offset == u32::MAX {
        return Err(Error::new(
            ErrorKind::Zip64,
            "end record",
            "32-bit counts and offsets",
            "64-bit ones",
        ));
    }
    same(bytes, start, &end_record(count, length, offset), "end record")?;
    let stop = u64::from(offset) + u64::from(length);
    if stop != start as u64 {
        return Err(Error::new(
            ErrorKind::Archive,
            "end record",
            format!("a directory that ends at byte {start}"),
            format!("one from byte {offset} to {stop}"),
        ));
    }
    if usize::from(count) > limits::ENTRIES + 1 {
        return Err(Error::new(
            ErrorKind::Limit,
            "directory",
            format!("at most {} entries", limits::ENTRIES),
            count,
        ));
    }
    Ok(End {
        count: usize::from(count),
        directory: offset as usize..start,
    })
}

fn central(cursor: &mut Cursor<'_>, index: usize) -> Result<Record> {
    let place = format!("directory entry {index}");
    let start = cursor.at;
    if cursor.u32(&place)? != CENTRAL_SIGNATURE {
        return Err(Error::new(
            ErrorKind::Archive,
            place,
            "a directory header",
            "other bytes",
        ));
    }
    cursor.at += 4;
    let flags = cursor.u16(&place)?;
    let method = cursor.u16(&place)?;
    cursor.at += 4;
    let (crc, stored, bytes) = (cursor.u32(&place)?, cursor.u32(&place)?, cursor.u32(&place)?);
    let (name_bytes, extra_bytes) = (cursor.u16(&place)?, cursor.u16(&place)?);
    cursor.at += 10;
    let offset = cursor.u32(&place)?;
    let name = cursor.take(usize::from(name_bytes), &place)?;
    let name = std::str::from_utf8(name).map_err(|_| {
        Error::new(
            ErrorKind::EntryName,
            &place,
            "an ASCII name",
            format!("{:?}", String::from_utf8_lossy(name)),
        )
    })?;
    entry_name(name)?;
    let name = name.to_owned();
    if flags & 1 != 0 {
        return Err(Error::new(
            ErrorKind::Encrypted,
            name,
            "a plain entry",
            "an encrypted one",
        ));
    }
    if method != 0 {
        return Err(Error::new(
            ErrorKind::Compressed,
            name,
            "method 0, stored",
            format!("method {method}"),
        ));
    }
    if bytes == u32::MAX || stored == u32::MAX || offset == u32::MAX {
        return Err(Error::new(
            ErrorKind::Zip64,
            name,
            "32-bit sizes and offsets",
            "64-bit ones",
        ));
    }
    if stored != bytes {
        return Err(Error::new(
            ErrorKind::Archive,
            name,
            format!("{bytes} bytes stored"),
            stored,
        ));
    }
    if extra_bytes != 0 {
        return Err(Error::new(
            ErrorKind::Archive,
            name,
            "no extra field in the directory",
            extra_bytes,
        ));
    }
    let record = Record {
        name,
        crc,
        bytes,
        offset,
    };
    same(cursor.bytes, start, &central_header(&record), &record.name)?;
    Ok(record)
}

/// Checks that `expected` stands at `at`.
fn same(bytes: &[u8], at: usize, expected: &[u8], place: &str) -> Result<()> {
    let found = at
        .checked_add(expected.len())
        .and_then(|end| bytes.get(at..end))
        .ok_or_else(|| {
            let end = format!("a header of {} bytes at byte {at}", expected.len());
            Error::new(
                ErrorKind::NotABundle,
                place,
                end,
                format!("an end at byte {}", bytes.len()),
            )
        })?;
    match expected
        .iter()
        .zip(found)
        .position(|(expected, found)| expected != found)
    {
        None => Ok(()),
        Some(index) => {
            let hex = |bytes: &[u8]| {
                bytes
                    .get(index)
                    .map_or_else(String::new, |byte| format!("{byte:#04x}"))
            };
            let expected = format!("{} at byte {}", hex(expected), at + index);
            Err(Error::new(ErrorKind::Archive, place, expected, hex(found)))
        }
    }
}

/// Little-endian numbers from a part of the bytes.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, place: &str) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.end);
        let found = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| {
            let expected = format!("{count} bytes at byte {}", self.at);
            Error::new(
                ErrorKind::NotABundle,
                place,
                expected,
                format!("an end at byte {}", self.end),
            )
        })?;
        self.at += count;
        Ok(found)
    }

    fn u16(&mut self, place: &str) -> Result<u16> {
        let bytes = self.take(2, place)?.try_into();
        Ok(bytes.map_or(0, u16::from_le_bytes))
    }

    fn u32(&mut self, place: &str) -> Result<u32> {
        let bytes = self.take(4, place)?.try_into();
        Ok(bytes.map_or(0, u32::from_le_bytes))
    }
}
