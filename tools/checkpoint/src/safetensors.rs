//! safetensors: a JSON header, then packed little-endian tensors without gaps.

use std::fmt;

use limbic_graph::{Dtype, Error, ErrorKind, Result, Tensor};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::elements::{ByteOrder, tensor, to_shape};
use crate::entry::{Contents, Entry, ReadTensor, place_of};
use crate::source::Source;

/// Longest header, as the format's own reader has it.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Length of the header where a file begins as this format does.
pub(crate) fn header_bytes(head: &[u8], file_bytes: u64) -> Option<u64> {
    let (length, rest) = head.split_first_chunk::<8>()?;
    let length = u64::from_le_bytes(*length);
    (rest.first() == Some(&b'{') && length >= 2 && length <= file_bytes.checked_sub(8)?).then_some(length)
}

#[derive(Debug, Default)]
struct Header {
    tensors: Vec<(String, Info)>,
    metadata: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Text values of `__metadata__`, in the order of the file.
#[derive(Debug)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = map.next_value::<Pairs>()?.0;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Lists a file.
pub(crate) fn open(source: Source) -> Result<Contents> {
    let name = source.name().to_owned();
    let malformed = |expected: &str, found: String| Error::new(ErrorKind::Malformed, &name, expected, found);
    let head = source.head(9)?;
    let length = header_bytes(&head, source.len())
        .ok_or_else(|| malformed("a header length and a JSON header", format!("{head:02x?}")))?;
    if length > MAX_HEADER_BYTES {
        return Err(Error::new(
            ErrorKind::Limit,
            &name,
            format!("a header of at most {MAX_HEADER_BYTES} bytes"),
            length,
        ));
    }
    let bytes = source.read("header", 8, length)?;
    let mut header: Header = serde_json::from_slice(&bytes)
        .map_err(|error| malformed("a JSON header of tensors", error.to_string()))?;
    header
        .tensors
        .sort_by_key(|(_, info)| (info.data_offsets.0, info.data_offsets.1));
    let start = 8 + length;
    let mut next = 0;
    let mut entries = Vec::with_capacity(header.tensors.len());
    let mut offsets = Vec::with_capacity(header.tensors.len());
    for (tensor, info) in header.tensors {
        let dtype = dtype(&info.dtype).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("{name}: {tensor}"),
                "an element type of 8 to 64 bits",
                &info.dtype,
            )
        })?;
        let shape = to_shape(&tensor, info.shape)?;
        let entry = Entry::new(tensor, dtype, shape).map_err(|error| error.within(&name))?;
        let (from, to) = info.data_offsets;
        if from != next || to.checked_sub(from) != Some(entry.bytes) {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{name}: {}", entry.name),
                format!("{} bytes from {next} on, without gap or overlap", entry.bytes),
                format!("offsets {from} to {to}"),
            ));
        }
        next = to;
        entries.push(entry);
        offsets.push(start + from);
    }
    if source.len() - start != next {
        return Err(malformed(
            &format!("{next} bytes of tensors"),
            format!("{} bytes", source.len() - start),
        ));
    }
    let mut contents = Contents::new(entries, Packed { source, offsets });
    contents.metadata = header.metadata;
    Ok(contents)
}

fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        "F64" => Dtype::F64,
        "I8" => Dtype::I8,
        "I16" => Dtype::I16,
        "I32" => Dtype::I32,
        "I64" => Dtype::I64,
        "U8" => Dtype::U8,
        "U16" => Dtype::U16,
        "U32" => Dtype::U32,
        "U64" => Dtype::U64,
        "BOOL" => Dtype::Bool,
        _ => return None,
    })
}

/// Packed little-endian tensors at offsets of one file.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) source: Source,
    pub(crate) offsets: Vec<u64>,
}

impl ReadTensor for Packed {
    fn read(&self, index: usize, entry: &Entry) -> Result<Tensor> {
        let offset = *place_of(&self.offsets, index, entry)?;
        let bytes = self.source.read(&entry.name, offset, entry.bytes)?;
        tensor(&entry.name, entry.dtype, &entry.shape, ByteOrder::Little, &bytes)
    }
}
