//! The container: a zip archive whose bytes follow from its names and contents.
//!
//! Entries are stored, not compressed, one behind the other, and each content starts at a multiple of 64 bytes. Any
//! zip tool can list and unpack it. Nothing else is left open: times, attributes and padding have one value, 64-bit
//! records do not occur, the end record is the last 22 bytes. So the reader compares every header with the one it
//! would have written, and a changed byte anywhere is found: in a header here, in a content by its digest.

mod checksum;
mod layout;
mod read;

pub(crate) use checksum::{Crc32, sha256_hex};
#[cfg(feature = "write")]
pub(crate) use layout::{Record, central_header, data_offset, end_record, local_header};
pub(crate) use read::{Member, members};
