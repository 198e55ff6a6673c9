//! The bytes of the archive's headers, for writing and for comparing.
//!
//! Field numbers are those of APPNOTE.TXT 6.3, the zip format's description.

/// Contents start at multiples of this.
pub(crate) const ALIGNMENT: u64 = 64;
/// Length of a local header without name and extra field (4.3.7).
pub(crate) const LOCAL_BYTES: usize = 30;
/// Length of a central header without name (4.3.12); bundles have no extra field or comment there.
pub(crate) const CENTRAL_BYTES: usize = 46;
/// Length of the end record without comment (4.3.16).
pub(crate) const END_BYTES: usize = 22;
/// Signatures of the three headers.
pub(crate) const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
pub(crate) const CENTRAL_SIGNATURE: u32 = 0x0201_4b50;
pub(crate) const END_SIGNATURE: u32 = 0x0605_4b50;

/// Version needed to extract: 1.0, plain storing.
const VERSION: u16 = 10;
/// 1980-01-01, the zip format's first day, at midnight.
const DATE: u16 = 0x0021;
/// Id of the extra field that pads for alignment, in use for Android packages.
const PADDING_ID: u16 = 0xD935;
/// Id, size and alignment of the padding field.
const PADDING_HEADER: u64 = 6;

/// What the headers say about an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) crc: u32,
    pub(crate) bytes: u32,
    /// Where the local header starts.
    pub(crate) offset: u32,
}

/// Where the content of an entry starts whose local header stands at `offset`.
pub(crate) fn data_offset(offset: u64, name: &str) -> u64 {
    (offset + LOCAL_BYTES as u64 + name.len() as u64 + PADDING_HEADER).next_multiple_of(ALIGNMENT)
}

/// Local header with name and padding, up to the content.
pub(crate) fn local_header(record: &Record) -> Vec<u8> {
    let start = u64::from(record.offset);
    let length = (data_offset(start, &record.name) - start) as usize;
    let extra = length - LOCAL_BYTES - record.name.len();
    let mut header = Vec::with_capacity(length);
    put32(&mut header, LOCAL_SIGNATURE);
    for value in [VERSION, 0, 0, 0, DATE] {
        put16(&mut header, value);
    }
    for value in [record.crc, record.bytes, record.bytes] {
        put32(&mut header, value);
    }
    put16(&mut header, record.name.len() as u16);
    put16(&mut header, extra as u16);
    header.extend_from_slice(record.name.as_bytes());
    for value in [PADDING_ID, (extra - 4) as u16, ALIGNMENT as u16] {
        put16(&mut header, value);
    }
    header.resize(length, 0);
    header
}

/// Central header with name.
pub(crate) fn central_header(record: &Record) -> Vec<u8> {
    let mut header = Vec::with_capacity(CENTRAL_BYTES + record.name.len());
    put32(&mut header, CENTRAL_SIGNATURE);
    for value in [VERSION, VERSION, 0, 0, 0, DATE] {
        put16(&mut header, value);
    }
    for value in [record.crc, record.bytes, record.bytes] {
        put32(&mut header, value);
    }
    // Name, then no extra field, no comment, first disk, no attributes.
    for value in [record.name.len() as u16, 0, 0, 0, 0] {
        put16(&mut header, value);
    }
    put32(&mut header, 0);
    put32(&mut header, record.offset);
    header.extend_from_slice(record.name.as_bytes());
    header
}

/// End record of an archive of `count` entries.
pub(crate) fn end_record(count: u16, directory_bytes: u32, directory_offset: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(END_BYTES);
    put32(&mut header, END_SIGNATURE);
    for value in [0, 0, count, count] {
        put16(&mut header, value);
    }
    put32(&mut header, directory_bytes);
    put32(&mut header, directory_offset);
    put16(&mut header, 0);
    header
}

fn put16(header: &mut Vec<u8>, value: u16) {
    header.extend_from_slice(&value.to_le_bytes());
}

fn put32(header: &mut Vec<u8>, value: u32) {
    header.extend_from_slice(&value.to_le_bytes());
}
