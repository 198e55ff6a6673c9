//! TensorFlow's checkpoints (TensorBundle): an index table of names and places, and data files of packed tensors.

mod message;
mod table;

use std::path::{Path, PathBuf};

use limbic_graph::{Error, ErrorKind, Result, Tensor};

use self::message::{BundleEntry, BundleHeader};
use crate::elements::{ByteOrder, tensor, to_shape};
use crate::entry::{Contents, Entry, ReadTensor, Skipped, place_of};
use crate::source::Source;

pub(crate) use table::is_table;

/// Longest index.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// Most data files.
const MAX_SHARDS: u64 = 1000;

/// Lists a checkpoint by its index; the data files stand beside it.
///
/// `beside` gives the path without `.index`; a checkpoint in memory has no data files to read from.
pub(crate) fn open(index: Source, beside: Option<&Path>) -> Result<Contents> {
    if index.len() > MAX_INDEX_BYTES {
        return Err(Error::new(
            ErrorKind::Limit,
            index.name(),
            format!("an index of at most {MAX_INDEX_BYTES} bytes"),
            index.len(),
        ));
    }
    let name = index.name().to_owned();
    let bytes = index.head(MAX_INDEX_BYTES)?;
    let mut pairs = table::pairs(&name, &bytes)?.into_iter();
    // The empty key is the least, so the header comes first.
    let header = match pairs.next() {
        Some((key, value)) if key.is_empty() => BundleHeader::parse(&name, &value)?,
        _ => {
            return Err(Error::new(
                ErrorKind::Malformed,
                &name,
                "a header under the empty key",
                "none",
            ));
        }
    };
    if header.shards == 0 || header.shards > MAX_SHARDS {
        return Err(Error::new(
            ErrorKind::Limit,
            &name,
            format!("1 to {MAX_SHARDS} data files"),
            header.shards,
        ));
    }
    let mut shards = Vec::new();
    if let Some(prefix) = beside {
        for number in 0..header.shards {
            shards.push(Source::open(&shard_path(prefix, number, header.shards))?);
        }
    }
    let (mut entries, mut places, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let mut slices = false;
    for (key, value) in pairs {
        // The key of a slice is binary and begins with a zero; its variable comes later, under its name.
        if key.first() == Some(&0) {
            slices = true;
            continue;
        }
        let key = String::from_utf8(key)
            .map_err(|error| Error::new(ErrorKind::Malformed, &name, "a name in UTF-8", error))?;
        let place = format!("{name}: {key}");
        let stored = BundleEntry::parse(&place, &value)?;
        if stored.sliced {
            return Err(Error::new(
                ErrorKind::Unsupported,
                place,
                "a variable in one piece",
                "one that is stored in slices",
            ));
        }
        let Some(dtype) = stored.dtype() else {
            skipped.push(Skipped {
                path: key,
                what: format!("a tensor of TensorFlow's type {}", stored.data_type),
            });
            continue;
        };
        let entry = Entry::new(key, dtype, to_shape(&place, stored.shape.iter().copied())?)
            .map_err(|error| error.within(&name))?;
        let end = stored.offset.checked_add(stored.size);
        let shard = usize::try_from(stored.shard)
            .ok()
            .and_then(|shard| shards.get(shard));
        let inside = match (shard, end) {
            (Some(shard), Some(end)) => end <= shard.len(),
            (None, Some(_)) => shards.is_empty(),
            (_, None) => false,
        };
        if stored.size != entry.bytes || !inside || stored.shard >= header.shards {
            return Err(Error::new(
                ErrorKind::Malformed,
                place,
                format!("{} bytes inside one of {} data files", entry.bytes, header.shards),
                format!(
                    "{} bytes at {} of file {}",
                    stored.size, stored.offset, stored.shard
                ),
            ));
        }
        entries.push(entry);
        places.push(stored);
    }
    if slices {
        return Err(Error::new(
            ErrorKind::Malformed,
            &name,
            "a variable for every slice",
            "slices without one",
        ));
    }
    check_no_overlap(&name, &entries, &places)?;
    let order = header.order;
    let mut contents = Contents::new(
        entries,
        Shards {
            shards,
            places,
            order,
        },
    );
    contents.skipped = skipped;
    Ok(contents)
}

fn shard_path(prefix: &Path, number: u64, count: u64) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(format!(".data-{number:05}-of-{count:05}"));
    path.into()
}

fn check_no_overlap(name: &str, entries: &[Entry], places: &[BundleEntry]) -> Result<()> {
    let mut order: Vec<_> = entries
        .iter()
        .zip(places)
        .filter(|(_, place)| place.size > 0)
        .collect();
    order.sort_by_key(|(_, place)| (place.shard, place.offset));
    for pair in order.windows(2) {
        if let [(first, a), (second, b)] = pair
            && a.shard == b.shard
            && a.offset + a.size > b.offset
        {
            return Err(Error::new(
                ErrorKind::Malformed,
                name,
                "tensors that do not overlap",
                format!("`{}` and `{}`", first.name, second.name),
            ));
        }
    }
    Ok(())
}

#[derive(Debug)]
struct Shards {
    shards: Vec<Source>,
    places: Vec<BundleEntry>,
    order: ByteOrder,
}

impl ReadTensor for Shards {
    fn read(&self, index: usize, entry: &Entry) -> Result<Tensor> {
        let place = place_of(&self.places, index, entry)?;
        let shard = usize::try_from(place.shard)
            .ok()
            .and_then(|shard| self.shards.get(shard));
        let shard = shard.ok_or_else(|| {
            Error::new(
                ErrorKind::Io,
                &entry.name,
                format!("data file {}", place.shard),
                "none",
            )
        })?;
        let bytes = shard.read(&entry.name, place.offset, place.size)?;
        let found = table::mask(crc32c::crc32c(&bytes));
        if found != place.crc {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{}: {}", shard.name(), entry.name),
                format!("CRC-32C {:08x}", place.crc),
                format!("{found:08x}"),
            ));
        }
        tensor(&entry.name, entry.dtype, &entry.shape, self.order, &bytes)
    }
}
