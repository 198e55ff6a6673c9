//! The two protocol buffer messages of an index.

use limbic_graph::{Dtype, Error, ErrorKind, Result};

use crate::bytes::Cursor;
use crate::elements::{ByteOrder, MAX_RANK};

/// A field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Calls `each` with the number and the content of every field.
fn fields<'a>(
    place: &str,
    bytes: &'a [u8],
    mut each: impl FnMut(u64, Field<'a>) -> Result<()>,
) -> Result<()> {
    let mut cursor = Cursor::new(bytes, place);
    while cursor.left() > 0 {
        let key = cursor.varint()?;
        let field = match key & 7 {
            0 => Field::Number(cursor.varint()?),
            1 => {
                cursor.take(8)?;
                continue;
            }
            2 => {
                let length = cursor.varint()?;
                let start = cursor.position();
                cursor.take_u64(length)?;
                Field::Bytes(bytes.get(start..cursor.position()).unwrap_or_default())
            }
            5 => Field::Fixed32(cursor.u32()?),
            other => return Err(cursor.malformed("a field of a message", format!("wire type {other}"))),
        };
        each(key >> 3, field)?;
    }
    Ok(())
}

/// What the index says of all tensors.
#[derive(Debug)]
pub(super) struct BundleHeader {
    pub(super) shards: u64,
    pub(super) order: ByteOrder,
}

impl BundleHeader {
    pub(super) fn parse(place: &str, bytes: &[u8]) -> Result<Self> {
        let mut header = Self {
            shards: 0,
            order: ByteOrder::Little,
        };
        fields(place, bytes, |number, field| {
            match (number, field) {
                (1, Field::Number(shards)) => header.shards = shards,
                (2, Field::Number(0)) => header.order = ByteOrder::Little,
                (2, Field::Number(1)) => header.order = ByteOrder::Big,
                _ => {}
            }
            Ok(())
        })?;
        Ok(header)
    }
}

/// What the index says of one tensor.
#[derive(Debug, Default)]
pub(super) struct BundleEntry {
    /// TensorFlow's number of the element type.
    pub(super) data_type: u64,
    pub(super) shape: Vec<u64>,
    pub(super) shard: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Masked CRC-32C of the bytes.
    pub(super) crc: u32,
    /// Whether the variable is stored in slices, each under a key of its own.
    pub(super) sliced: bool,
}

impl BundleEntry {
    pub(super) fn parse(place: &str, bytes: &[u8]) -> Result<Self> {
        let mut entry = Self::default();
        fields(place, bytes, |number, field| {
            match (number, field) {
                (1, Field::Number(data_type)) => entry.data_type = data_type,
                (2, Field::Bytes(shape)) => entry.shape = parse_shape(place, shape)?,
                (3, Field::Number(shard)) => entry.shard = shard,
                (4, Field::Number(offset)) => entry.offset = offset,
                (5, Field::Number(size)) => entry.size = size,
                (6, Field::Fixed32(crc)) => entry.crc = crc,
                (7, Field::Bytes(_)) => entry.sliced = true,
                _ => {}
            }
            Ok(())
        })?;
        Ok(entry)
    }

    /// The element type, where this crate has it.
    pub(super) fn dtype(&self) -> Option<Dtype> {
        Some(match self.data_type {
            1 => Dtype::F32,
            2 => Dtype::F64,
            3 => Dtype::I32,
            4 => Dtype::U8,
            5 => Dtype::I16,
            6 => Dtype::I8,
            9 => Dtype::I64,
            10 => Dtype::Bool,
            14 => Dtype::Bf16,
            17 => Dtype::U16,
            19 => Dtype::F16,
            22 => Dtype::U32,
            23 => Dtype::U64,
            _ => return None,
        })
    }
}

fn parse_shape(place: &str, bytes: &[u8]) -> Result<Vec<u64>> {
    let mut shape = Vec::new();
    fields(place, bytes, |number, field| {
        match (number, field) {
            (2, Field::Bytes(dim)) => {
                let mut size = 0;
                fields(place, dim, |number, field| {
                    if let (1, Field::Number(number)) = (number, field) {
                        size = number;
                    }
                    Ok(())
                })?;
                shape.push(size);
            }
            (3, Field::Number(unknown)) if unknown != 0 => {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    place,
                    "a known shape",
                    "an unknown one",
                ));
            }
            _ => {}
        }
        if shape.len() > MAX_RANK {
            return Err(Error::new(
                ErrorKind::Limit,
                place,
                format!("at most {MAX_RANK} extents"),
                "more",
            ));
        }
        Ok(())
    })?;
    Ok(shape)
}
