//! Sorted string tables as LevelDB has them: blocks of key-value pairs with shared prefixes, an index block, a footer.

use limbic_graph::{Error, ErrorKind, Result};

use crate::bytes::Cursor;

/// The last eight bytes of a table.
const MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();

/// Bytes of the footer: two block places, padding, the magic number.
const FOOTER_BYTES: usize = 48;

/// Bytes behind a block: its compression and its checksum.
const TRAILER_BYTES: usize = 5;

/// Most bytes of all keys and values together, as a multiple of the file's: keys share prefixes.
const MAX_EXPANSION: usize = 64;

/// Whether a file ends as a table does.
pub(crate) fn is_table(tail: &[u8]) -> bool {
    tail.ends_with(&MAGIC)
}

/// The checksum as a table stores it: rotated and offset, so that a checksum of checksums stays useful.
pub(crate) fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// All pairs in the order of their keys.
pub(crate) fn pairs(name: &str, bytes: &[u8]) -> Result<Pairs> {
    let malformed = |expected: &str, found: &str| Error::new(ErrorKind::Malformed, name, expected, found);
    let footer = bytes
        .len()
        .checked_sub(FOOTER_BYTES)
        .and_then(|start| bytes.get(start..))
        .filter(|footer| is_table(footer))
        .ok_or_else(|| malformed("a table with its footer", "other bytes"))?;
    let mut cursor = Cursor::new(footer, name);
    // The first place is the block of filters, which TensorFlow leaves empty.
    let (_filters, index) = (place(&mut cursor)?, place(&mut cursor)?);
    let mut budget = bytes.len().saturating_mul(MAX_EXPANSION);
    let mut all: Pairs = Vec::new();
    for (_, value) in block(name, bytes, index, &mut budget)? {
        let data = place(&mut Cursor::new(&value, name))?;
        for (key, value) in block(name, bytes, data, &mut budget)? {
            if all.last().is_some_and(|(last, _)| *last >= key) {
                return Err(malformed("keys in order", "one out of order"));
            }
            all.push((key, value));
        }
    }
    Ok(all)
}

/// Offset and bytes of a block.
fn place(cursor: &mut Cursor<'_>) -> Result<(u64, u64)> {
    Ok((cursor.varint()?, cursor.varint()?))
}

/// The pairs of a block.
fn block(name: &str, bytes: &[u8], (offset, length): (u64, u64), budget: &mut usize) -> Result<Pairs> {
    let place = format!("{name}: block at byte {offset}");
    let mut whole = Cursor::new(bytes, &place);
    whole.take_u64(offset)?;
    let body = whole.take_u64(length)?;
    let trailer = whole.take(TRAILER_BYTES)?;
    let mut trailer = Cursor::new(trailer, &place);
    let compression = trailer.u8()?;
    let expected = trailer.u32()?;
    let found = mask(crc32c::crc32c_append(crc32c::crc32c(body), &[compression]));
    // Fuzzing must get behind the checksum.
    if found != expected && !cfg!(fuzzing) {
        return Err(Error::new(
            ErrorKind::Malformed,
            place,
            format!("CRC-32C {expected:08x}"),
            format!("{found:08x}"),
        ));
    }
    if compression != 0 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            place,
            "a block as TensorFlow writes it, not compressed",
            format!("compression {compression}"),
        ));
    }
    // At the end: the places where keys are written in full, then how many of them.
    let count = body
        .len()
        .checked_sub(4)
        .and_then(|start| body.get(start..))
        .map(|count| Cursor::new(count, &place).u32());
    let restarts = match count {
        Some(count) => u64::from(count?).saturating_mul(4).saturating_add(4),
        None => u64::MAX,
    };
    let end = usize::try_from(restarts)
        .ok()
        .and_then(|restarts| body.len().checked_sub(restarts));
    let Some(content) = end.and_then(|end| body.get(..end)) else {
        return Err(Error::new(
            ErrorKind::Malformed,
            place,
            "a list of restarts",
            "a damaged one",
        ));
    };
    let mut cursor = Cursor::new(content, &place);
    let mut pairs = Pairs::new();
    while cursor.left() > 0 {
        let (shared, fresh, length) = (cursor.varint()?, cursor.varint()?, cursor.varint()?);
        let last = pairs.last().map(|(key, _)| key.as_slice()).unwrap_or_default();
        let Some(prefix) = usize::try_from(shared).ok().and_then(|shared| last.get(..shared)) else {
            return Err(cursor.malformed(format!("a prefix of a key of {} bytes", last.len()), shared));
        };
        let mut key = prefix.to_vec();
        key.extend_from_slice(cursor.take_u64(fresh)?);
        let value = cursor.take_u64(length)?.to_vec();
        let Some(left) = budget.checked_sub(key.len() + value.len()) else {
            return Err(Error::new(
                ErrorKind::Limit,
                place,
                format!("keys of at most {MAX_EXPANSION} times the file"),
                "longer ones",
            ));
        };
        *budget = left;
        pairs.push((key, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_masked_as_leveldb_does() {
        // RFC 3720, B.4: 32 bytes of zeroes have CRC-32C 8a9136aa.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(mask(0), 0xa282_ead8);
        assert_eq!(mask(1), 0xa284_ead8);
    }
}
