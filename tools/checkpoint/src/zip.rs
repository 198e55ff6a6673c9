//! Zip archives: members listed and checked once, inflated one at a time to a size known beforehand.

use std::collections::HashMap;
use std::io::Read;

use flate2::bufread::DeflateDecoder;
use limbic_graph::{Error, ErrorKind, Result};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipLocator};

use crate::source::Source;

/// Most members of an archive.
const MAX_MEMBERS: usize = 1 << 20;

/// Most bytes that one byte of DEFLATE can stand for.
pub(crate) const DEFLATE_RATIO: u64 = 1032;

/// A file inside an archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Bytes once inflated.
    pub(crate) size: u64,
    start: u64,
    stored: u64,
    deflated: bool,
    crc: u32,
}

/// The members of an archive whose bytes do not overlap.
#[derive(Debug)]
pub(crate) struct Archive {
    source: Source,
    members: Vec<Member>,
    index: HashMap<String, usize>,
}

impl Archive {
    /// Lists an archive.
    pub(crate) fn open(source: Source) -> Result<Self> {
        let name = source.name().to_owned();
        let malformed = |found: String| Error::new(ErrorKind::Malformed, &name, "a zip archive", found);
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipLocator::new()
            .locate_in_reader(source.clone(), &mut buffer, source.len())
            .map_err(|(_, error)| malformed(error.to_string()))?;
        let mut found = Vec::new();
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries
            .next_entry()
            .map_err(|error| malformed(error.to_string()))?
        {
            if entry.is_dir() {
                continue;
            }
            if found.len() == MAX_MEMBERS {
                return Err(Error::new(
                    ErrorKind::Limit,
                    &name,
                    format!("at most {MAX_MEMBERS} members"),
                    "more",
                ));
            }
            let path = entry.file_path();
            let text = std::str::from_utf8(path.as_bytes()).map_err(|error| malformed(error.to_string()))?;
            found.push((
                text.to_owned(),
                entry.wayfinder(),
                entry.compression_method(),
                entry.crc32(),
            ));
        }
        let mut members = Vec::with_capacity(found.len());
        for (path, wayfinder, method, crc) in found {
            let place = format!("{name}: {path}");
            let deflated = match method {
                CompressionMethod::STORE => false,
                CompressionMethod::DEFLATE => true,
                other => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        place,
                        "a stored or deflated member",
                        format!("compression method {}", other.as_u16()),
                    ));
                }
            };
            let (start, end) = archive
                .get_entry(wayfinder)
                .map_err(|error| malformed(format!("{path}: {error}")))?
                .compressed_data_range();
            let stored = end - start;
            let size = wayfinder.uncompressed_size_hint();
            let possible = if deflated {
                size <= stored.saturating_mul(DEFLATE_RATIO)
            } else {
                size == stored
            };
            if end > source.len() || !possible {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    place,
                    format!("a member inside {} bytes", source.len()),
                    format!("{size} bytes out of bytes {start} to {end}"),
                ));
            }
            members.push(Member {
                name: path,
                size,
                start,
                stored,
                deflated,
                crc,
            });
        }
        check_no_overlap(&name, &members)?;
        let mut index = HashMap::with_capacity(members.len());
        for (at, member) in members.iter().enumerate() {
            if index.insert(member.name.clone(), at).is_some() {
                return Err(Error::new(
                    ErrorKind::Name,
                    &name,
                    "members with names of their own",
                    &member.name,
                ));
            }
        }
        Ok(Self {
            source,
            members,
            index,
        })
    }

    /// The members in the order of the directory.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The bytes that hold the archive.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// A member by its path.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] where there is none.
    pub(crate) fn member(&self, path: &str) -> Result<&Member> {
        self.index
            .get(path)
            .and_then(|&at| self.members.get(at))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Name,
                    self.source.name(),
                    format!("a member `{path}`"),
                    "none",
                )
            })
    }

    /// A whole member of at most `limit` bytes, its checksum compared.
    pub(crate) fn read(&self, member: &Member, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.part(member, 0, member.size, limit)?;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        // Fuzzing must get behind the checksum.
        if crc.sum() != member.crc && !cfg!(fuzzing) {
            return Err(Error::new(
                ErrorKind::Malformed,
                self.place(member),
                format!("CRC-32 {:08x}", member.crc),
                format!("{:08x}", crc.sum()),
            ));
        }
        Ok(bytes)
    }

    /// `len` bytes of a member from `offset` on; a deflated member is inflated up to there and no further.
    pub(crate) fn part(&self, member: &Member, offset: u64, len: u64, limit: u64) -> Result<Vec<u8>> {
        let place = || self.place(member);
        let end = offset.checked_add(len).filter(|&end| end <= member.size);
        let Some(end) = end else {
            return Err(Error::new(
                ErrorKind::Malformed,
                place(),
                format!("{len} bytes at offset {offset}"),
                format!("{} bytes", member.size),
            ));
        };
        if len > limit {
            return Err(Error::new(
                ErrorKind::Limit,
                place(),
                format!("at most {limit} bytes"),
                len,
            ));
        }
        if !member.deflated {
            return self.source.read(&member.name, member.start + offset, len);
        }
        let packed = rawzip::RangeReader::new(&self.source, member.start..member.start + member.stored);
        let mut inflater = DeflateDecoder::new(std::io::BufReader::new(packed)).take(end);
        let damaged = |error: std::io::Error| {
            Error::new(ErrorKind::Malformed, place(), "DEFLATE data", error.to_string())
        };
        let passed =
            std::io::copy(&mut inflater.by_ref().take(offset), &mut std::io::sink()).map_err(damaged)?;
        let mut bytes = Vec::new();
        inflater.read_to_end(&mut bytes).map_err(damaged)?;
        if passed + bytes.len() as u64 != end {
            return Err(Error::new(
                ErrorKind::Malformed,
                place(),
                format!("{end} bytes"),
                format!("{}", passed + bytes.len() as u64),
            ));
        }
        Ok(bytes)
    }

    fn place(&self, member: &Member) -> String {
        format!("{}: {}", self.source.name(), member.name)
    }
}

/// Members that share bytes are how a small archive stands for a huge one.
fn check_no_overlap(name: &str, members: &[Member]) -> Result<()> {
    let mut ranges: Vec<&Member> = members.iter().filter(|member| member.stored > 0).collect();
    ranges.sort_by_key(|member| member.start);
    for pair in ranges.windows(2) {
        if let [first, second] = pair
            && first.start + first.stored > second.start
        {
            return Err(Error::new(
                ErrorKind::Malformed,
                name,
                "members that do not overlap",
                format!("`{}` and `{}`", first.name, second.name),
            ));
        }
    }
    Ok(())
}
