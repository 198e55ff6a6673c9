//! Writing of flatbuffers: a tree of tables, laid out from its root on.

use crate::error::{Error, ErrorKind, Result};

/// A field of a table.
#[derive(Debug, Clone)]
pub(super) enum Field {
    /// One byte: a truth value, an enumeration or a number.
    Byte(u8),
    Int(i32),
    Real(f32),
    Text(String),
    /// Bytes at a multiple of 16 in the file, as tensors want.
    Bytes(Vec<u8>),
    Ints(Vec<i32>),
    Longs(Vec<i64>),
    Reals(Vec<f32>),
    Table(Table),
    Tables(Vec<Table>),
}

/// A table: fields at the slots of the schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(Vec<(usize, Field)>);

impl Table {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The table with a field more.
    #[must_use]
    pub(super) fn with(mut self, slot: usize, field: Field) -> Self {
        self.0.push((slot, field));
        self
    }
}

/// Bytes of a file of this root table and identifier.
///
/// # Errors
/// [`ErrorKind::Limit`] above 2 GiB, which offsets do not reach.
pub(super) fn file(root: &Table, identifier: [u8; 4]) -> Result<Vec<u8>> {
    let mut out = vec![0; 4];
    out.extend(identifier);
    let at = table(&mut out, root);
    if i32::try_from(out.len()).is_err() {
        return Err(Error::new(
            ErrorKind::Limit,
            "TFLite file",
            "less than 2 GiB",
            out.len(),
        ));
    }
    patch(&mut out, 0, at);
    Ok(out)
}

/// Zeros until the place `ahead` bytes from here is a multiple of `alignment`.
fn align(out: &mut Vec<u8>, alignment: usize, ahead: usize) {
    while !(out.len() + ahead).is_multiple_of(alignment) {
        out.push(0);
    }
}

/// Makes the four bytes at `at` point to `target`.
fn patch(out: &mut [u8], at: usize, target: usize) {
    // Files above 2 GiB are refused when they are complete.
    let offset = (target - at) as u32;
    out[at..at + 4].copy_from_slice(&offset.to_le_bytes());
}

/// Bytes of a field inside its table.
fn size(field: &Field) -> usize {
    match field {
        Field::Byte(_) => 1,
        _ => 4,
    }
}

/// Lays out a table, its vtable before and what it refers to behind; gives its place.
fn table(out: &mut Vec<u8>, Table(fields): &Table) -> usize {
    let slots = fields.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
    let mut places = vec![0u16; slots];
    let mut length = 4usize;
    // Fields of four bytes first, so that none needs filling.
    let mut sorted: Vec<&(usize, Field)> = fields.iter().collect();
    sorted.sort_by_key(|(slot, field)| (4 - size(field), *slot));
    for (slot, field) in &sorted {
        places[*slot] = length as u16;
        length += size(field);
    }
    let vtable_length = 4 + 2 * slots;
    align(out, 4, vtable_length);
    let vtable = out.len();
    out.extend((vtable_length as u16).to_le_bytes());
    out.extend((length as u16).to_le_bytes());
    for place in &places {
        out.extend(place.to_le_bytes());
    }
    let at = out.len();
    out.extend(((at - vtable) as i32).to_le_bytes());
    let mut waiting = Vec::new();
    for (_, field) in sorted {
        match field {
            Field::Byte(n) => out.push(*n),
            Field::Int(n) => out.extend(n.to_le_bytes()),
            Field::Real(x) => out.extend(x.to_le_bytes()),
            other => {
                waiting.push((out.len(), other));
                out.extend([0; 4]);
            }
        }
    }
    for (place, field) in waiting {
        let target = match field {
            Field::Table(inner) => table(out, inner),
            Field::Tables(inner) => tables(out, inner),
            Field::Text(text) => vector(out, text.len(), 4, text.bytes().chain([0])),
            Field::Bytes(bytes) => vector(out, bytes.len(), 16, bytes.iter().copied()),
            Field::Ints(numbers) => vector(
                out,
                numbers.len(),
                4,
                numbers.iter().flat_map(|n| n.to_le_bytes()),
            ),
            Field::Longs(numbers) => vector(
                out,
                numbers.len(),
                8,
                numbers.iter().flat_map(|n| n.to_le_bytes()),
            ),
            Field::Reals(numbers) => vector(
                out,
                numbers.len(),
                4,
                numbers.iter().flat_map(|n| n.to_le_bytes()),
            ),
            Field::Byte(_) | Field::Int(_) | Field::Real(_) => continue,
        };
        patch(out, place, target);
    }
    at
}

/// Lays out a vector whose elements begin at a multiple of `alignment`; gives its place.
fn vector(out: &mut Vec<u8>, count: usize, alignment: usize, bytes: impl Iterator<Item = u8>) -> usize {
    align(out, alignment, 4);
    let at = out.len();
    out.extend((count as u32).to_le_bytes());
    out.extend(bytes);
    at
}

fn tables(out: &mut Vec<u8>, inner: &[Table]) -> usize {
    let zeros = std::iter::repeat_n(0, 4 * inner.len());
    let at = vector(out, inner.len(), 4, zeros);
    for (n, inner) in inner.iter().enumerate() {
        let target = table(out, inner);
        patch(out, at + 4 + 4 * n, target);
    }
    at
}
