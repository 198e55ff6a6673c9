//! The form before PyTorch 1.6: pickles one behind the other, then the storages.

use std::collections::HashMap;

use limbic_graph::{Error, ErrorKind, Result};

use super::flatten::flatten;
use super::view::{Storages, Views, check_storages};
use crate::bytes::Cursor;
use crate::elements::ByteOrder;
use crate::entry::{Contents, Entry};
use crate::pickle::{Limits, Pickle, Value, load};
use crate::source::Source;

/// The number that the first pickle holds, 0x1950a86a20f9469cfc6c, as bytes.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Version of the form, the second pickle.
const VERSION: i64 = 1001;

/// Most bytes of all pickles.
const MAX_PICKLE_BYTES: u64 = 64 << 20;

/// Whether a file begins with the first pickle: its protocol, the number, the end.
pub(crate) fn is_legacy(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, rest @ ..] if rest.starts_with(&[0x8a, 10]) && rest.get(2..12) == Some(MAGIC.as_slice()))
}

/// Lists a file.
pub(crate) fn open(source: Source) -> Result<Contents> {
    let file = source.name().to_owned();
    let head = source.head(MAX_PICKLE_BYTES)?;
    let mut at = 0usize;
    let mut next = |what: &str| -> Result<Pickle> {
        let place = format!("{file}: {what}");
        let pickle = load(&place, head.get(at..).unwrap_or_default(), Limits::default())?;
        at += pickle.bytes;
        Ok(pickle)
    };
    next("magic number")?;
    let version = next("version")?;
    if version.int(version.root) != Some(VERSION) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            &file,
            format!("version {VERSION}"),
            "another version",
        ));
    }
    let system = next("system")?;
    let object = next("object")?;
    let keys = next("storage keys")?;

    let little = match system.get(system.root) {
        Value::Dict(items) => items
            .iter()
            .find(|(key, _)| system.text(*key) == Some("little_endian")),
        _ => None,
    };
    let order = match little.map(|&(_, value)| system.get(value)) {
        Some(Value::Bool(false)) => ByteOrder::Big,
        _ => ByteOrder::Little,
    };
    let flat = flatten(&object, &file, "")?;
    // The bytes of an element are written nowhere but in the references.
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for (name, view) in &flat.tensors {
        let size = view.storage.dtype.map_or(1, |dtype| dtype.size() as u64);
        if *sizes.entry(&view.storage.key).or_insert(size) != size {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{file}: {name}"),
                "one element type for a storage",
                "two",
            ));
        }
    }
    let storages = Regions {
        regions: regions(&source, &keys, at as u64, order, &sizes, !flat.skipped.is_empty())?,
        source,
    };
    check_storages(&file, &flat.tensors, &storages)?;
    let entries: Result<Vec<Entry>> = flat
        .tensors
        .iter()
        .map(|(name, view)| Entry::new(name.clone(), view.dtype, view.shape.clone()))
        .collect();
    let tensors = Views {
        storages,
        views: flat.tensors.into_iter().map(|(_, view)| view).collect(),
        order,
    };
    let mut contents = Contents::new(entries?, tensors);
    contents.metadata = flat.metadata;
    contents.skipped = flat.skipped;
    Ok(contents)
}

/// Offset and bytes of every storage: a count of elements, then the elements, in the order of the keys.
///
/// A storage that only skipped objects refer to has an unknown size; what stands behind it cannot be found.
fn regions(
    source: &Source,
    keys: &Pickle,
    start: u64,
    order: ByteOrder,
    sizes: &HashMap<&str, u64>,
    lenient: bool,
) -> Result<HashMap<String, (u64, u64)>> {
    let place = format!("{}: storages", source.name());
    let Some(items) = keys.items(keys.root) else {
        return Err(Error::new(
            ErrorKind::Malformed,
            place,
            "a list of keys",
            "another value",
        ));
    };
    let mut regions = HashMap::new();
    let mut at = start;
    for &item in items {
        let Some(key) = keys.text(item) else {
            return Err(Error::new(
                ErrorKind::Malformed,
                place,
                "keys that are texts",
                "another value",
            ));
        };
        let Some(&size) = sizes.get(key) else {
            if lenient {
                break;
            }
            return Err(Error::new(
                ErrorKind::Malformed,
                place,
                "storages of tensors",
                format!("storage {key}, which no tensor refers to"),
            ));
        };
        let count = source.read("number of elements", at, 8)?;
        let mut cursor = Cursor::new(&count, &place);
        let count = match order {
            ByteOrder::Little => cursor.u64()?,
            ByteOrder::Big => cursor.u64()?.swap_bytes(),
        };
        let bytes = count.checked_mul(size);
        let end = bytes.and_then(|bytes| bytes.checked_add(at.checked_add(8)?));
        let (Some(bytes), Some(end)) = (bytes, end.filter(|&end| end <= source.len())) else {
            return Err(Error::new(
                ErrorKind::Malformed,
                place,
                format!("storage {key} inside {} bytes", source.len()),
                format!("{count} elements of {size} bytes at offset {at}"),
            ));
        };
        if regions.insert(key.to_owned(), (at + 8, bytes)).is_some() {
            return Err(Error::new(
                ErrorKind::Name,
                place,
                "keys of their own",
                format!("{key} twice"),
            ));
        }
        at = end;
    }
    Ok(regions)
}

#[derive(Debug)]
struct Regions {
    source: Source,
    regions: HashMap<String, (u64, u64)>,
}

impl Storages for Regions {
    fn size(&self, key: &str) -> Option<u64> {
        self.regions.get(key).map(|&(_, bytes)| bytes)
    }

    fn read(&self, key: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        let found = self
            .regions
            .get(key)
            .filter(|&&(_, bytes)| offset.checked_add(len).is_some_and(|end| end <= bytes));
        let Some(&(start, _)) = found else {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("storage {key}"),
                format!("{len} bytes at offset {offset}"),
                "fewer",
            ));
        };
        self.source.read(key, start + offset, len)
    }
}
