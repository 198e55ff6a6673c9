//! HDF5: datasets under paths, and texts in attributes.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use hdf5_reader::{Dataset, Datatype, Hdf5File, OpenOptions};
use limbic_graph::{Dtype, Error, ErrorKind, Result, Tensor};

use crate::elements::{ByteOrder, tensor, to_shape};
use crate::entry::{Entry, ReadTensor, Skipped, place_of};
use crate::source::Source;
use crate::zip::DEFLATE_RATIO;

/// How a file begins, at byte 0 or at a power of two from 512 on.
pub(crate) const MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Largest chunk that is unpacked.
const MAX_CHUNK_BYTES: usize = 64 << 20;

/// Longest header of an object; attributes stand inside.
const MAX_OBJECT_HEADER_BYTES: usize = 16 << 20;

/// Most groups and datasets listed.
const MAX_OBJECTS: usize = 100_000;

/// An open file; links and data in other files are refused.
pub(crate) struct File {
    file: Hdf5File,
    name: String,
    bytes: u64,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("name", &self.name)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl File {
    /// Opens a file.
    pub(crate) fn open(source: Source) -> Result<Self> {
        let options = OpenOptions::default()
            .with_max_chunk_bytes(MAX_CHUNK_BYTES)
            .with_max_object_header_bytes(MAX_OBJECT_HEADER_BYTES)
            .with_chunk_cache_bytes(0);
        let (name, bytes) = (source.name().to_owned(), source.len());
        let file = Hdf5File::from_storage_with_options(Arc::new(source), options)
            .map_err(|error| malformed(&name, "an HDF5 file", error))?;
        Ok(Self { file, name, bytes })
    }

    /// Whether there is a group under a path.
    pub(crate) fn has_group(&self, path: &str) -> bool {
        self.file.group(path).is_ok()
    }

    /// Texts of an attribute of a group; one for a scalar, `None` where there is no such attribute.
    pub(crate) fn texts(&self, group: &str, attribute: &str) -> Result<Option<Vec<String>>> {
        let place = || format!("{}: {group}@{attribute}", self.name);
        let group = self
            .file
            .group(group)
            .map_err(|error| malformed(&place(), "a group", error))?;
        let attributes = group
            .attributes()
            .map_err(|error| malformed(&place(), "attributes", error))?;
        let Some(found) = attributes.iter().find(|candidate| candidate.name == attribute) else {
            return Ok(None);
        };
        // An empty list is written as numbers.
        if found.num_elements().is_ok_and(|count| count == 0) {
            return Ok(Some(Vec::new()));
        }
        let texts = if found.shape.is_empty() {
            found.read_string().map(|text| vec![text])
        } else {
            found.read_strings()
        };
        texts
            .map(Some)
            .map_err(|error| malformed(&place(), "texts", error))
    }

    /// The entry of a dataset; its type's name where it holds no numbers.
    pub(crate) fn entry(
        &self,
        path: &str,
        name: String,
    ) -> Result<std::result::Result<(Entry, Stored), String>> {
        let place = format!("{}: {path}", self.name);
        let dataset = self
            .file
            .dataset(path)
            .map_err(|error| malformed(&place, "a dataset", error))?;
        self.describe(&dataset, &place, path, name)
    }

    fn describe(
        &self,
        dataset: &Dataset,
        place: &str,
        path: &str,
        name: String,
    ) -> Result<std::result::Result<(Entry, Stored), String>> {
        let Some((dtype, order)) = dtype(dataset.dtype()) else {
            return Ok(Err(format!("a dataset of {:?}", dataset.dtype())));
        };
        let shape = to_shape(place, dataset.shape().iter().copied())?;
        let entry = Entry::new(name, dtype, shape).map_err(|error| error.within(&self.name))?;
        let most = match dataset.chunks() {
            Some(_) => self.bytes.saturating_mul(DEFLATE_RATIO),
            None => self.bytes,
        };
        if entry.bytes > most {
            return Err(Error::new(
                ErrorKind::Malformed,
                place,
                format!("at most {most} bytes out of a file of {}", self.bytes),
                format!("{dtype} {:?}", entry.shape),
            ));
        }
        let stored = Stored {
            path: path.to_owned(),
            order,
        };
        Ok(Ok((entry, stored)))
    }

    /// Every dataset of numbers below the root, groups in their order; an entry is called by its path.
    pub(crate) fn list(&self) -> Result<(Vec<Entry>, Vec<Stored>, Vec<Skipped>)> {
        let (mut entries, mut stored, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        let root = self
            .file
            .root_group()
            .map_err(|error| malformed(&self.name, "a root group", error))?;
        let mut open = vec![(String::new(), root)];
        // A link may lead back to a group above.
        let mut listed = HashSet::new();
        let mut seen = 0;
        while let Some((path, group)) = open.pop() {
            let place = format!("{}: {path}/", self.name);
            if !listed.insert(group.address()) {
                skipped.push(Skipped {
                    path: path.trim_start_matches('/').to_owned(),
                    what: "a second link to a group".to_owned(),
                });
                continue;
            }
            let (groups, datasets) = group
                .members()
                .map_err(|error| malformed(&place, "a group's members", error))?;
            seen += groups.len() + datasets.len();
            if seen > MAX_OBJECTS {
                return Err(Error::new(
                    ErrorKind::Limit,
                    place,
                    format!("at most {MAX_OBJECTS} groups and datasets"),
                    "more",
                ));
            }
            for dataset in datasets {
                let path = format!("{path}/{}", dataset.name());
                let name = path.trim_start_matches('/').to_owned();
                match self.describe(&dataset, &place, &path, name.clone())? {
                    Ok((entry, place)) => {
                        entries.push(entry);
                        stored.push(place);
                    }
                    Err(what) => skipped.push(Skipped { path: name, what }),
                }
            }
            let below = groups.into_iter().rev();
            open.extend(below.map(|group| (format!("{path}/{}", group.name()), group)));
        }
        Ok((entries, stored, skipped))
    }
}

fn malformed(place: &str, expected: &str, error: hdf5_reader::error::Error) -> Error {
    Error::new(ErrorKind::Malformed, place, expected, error)
}

fn dtype(datatype: &Datatype) -> Option<(Dtype, ByteOrder)> {
    let order = |order: &hdf5_reader::ByteOrder| match order {
        hdf5_reader::ByteOrder::LittleEndian => ByteOrder::Little,
        hdf5_reader::ByteOrder::BigEndian => ByteOrder::Big,
    };
    Some(match datatype {
        Datatype::FloatingPoint { size, byte_order } => {
            let dtype = match size {
                2 => Dtype::F16,
                4 => Dtype::F32,
                8 => Dtype::F64,
                _ => return None,
            };
            (dtype, order(byte_order))
        }
        Datatype::FixedPoint {
            size,
            signed,
            byte_order,
        } => {
            let dtype = match (size, signed) {
                (1, true) => Dtype::I8,
                (2, true) => Dtype::I16,
                (4, true) => Dtype::I32,
                (8, true) => Dtype::I64,
                (1, false) => Dtype::U8,
                (2, false) => Dtype::U16,
                (4, false) => Dtype::U32,
                (8, false) => Dtype::U64,
                _ => return None,
            };
            (dtype, order(byte_order))
        }
        // h5py writes booleans as an enumeration of FALSE and TRUE.
        Datatype::Enum { base, members } => {
            let bytes = matches!(**base, Datatype::FixedPoint { size: 1, .. });
            let truth = members
                .iter()
                .all(|member| ["FALSE", "TRUE"].contains(&member.name.as_str()));
            if !bytes || !truth {
                return None;
            }
            (Dtype::Bool, ByteOrder::Little)
        }
        _ => return None,
    })
}

/// Place of an entry.
#[derive(Debug)]
pub(crate) struct Stored {
    path: String,
    order: ByteOrder,
}

/// Datasets of a file, read on demand.
#[derive(Debug)]
pub(crate) struct Datasets {
    pub(crate) file: File,
    pub(crate) stored: Vec<Stored>,
}

impl ReadTensor for Datasets {
    fn read(&self, index: usize, entry: &Entry) -> Result<Tensor> {
        let stored = place_of(&self.stored, index, entry)?;
        let place = format!("{}: {}", self.file.name, stored.path);
        let dataset = self.file.file.dataset(&stored.path);
        let bytes = dataset
            .and_then(|dataset| dataset.read_raw_bytes())
            .map_err(|error| malformed(&place, "a dataset", error))?;
        tensor(&place, entry.dtype, &entry.shape, stored.order, &bytes)
    }
}
