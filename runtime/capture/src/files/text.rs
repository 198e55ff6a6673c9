//! Text files: UTF-8, or UTF-16 with a byte order mark.
//!
//! Bytes that are no text become U+FFFD, as the Unicode standard recommends for each maximal ill-formed part, and are
//! counted. Nothing else is changed; a byte order mark is dropped.

use super::{FileKind, Limits, read_bounded};
use crate::error::{Error, ErrorKind, Result};
use std::io::Read;
use std::path::Path;

/// A text and what was wrong with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// The text, with U+FFFD where the bytes were no text.
    pub text: String,
    /// Ill-formed parts that became U+FFFD: stray bytes, cut sequences, lone surrogates.
    pub invalid: u64,
    /// Where the first ill-formed part starts, in bytes from the file's start.
    pub first_invalid_at: Option<u64>,
    /// NUL characters, which stay in the text.
    pub nuls: u64,
}

/// Reads the text at `path` within the default [`Limits`].
///
/// # Errors
/// As [`decode`], and when the file is missing, cannot be read or is beyond the limit.
pub fn open(path: &Path) -> Result<TextFile> {
    from_reader(
        &path.display().to_string(),
        super::open(path)?,
        &Limits::default(),
    )
}

/// Reads a text from a stream such as standard input; `name` is what errors call the input.
///
/// # Errors
/// As [`decode`], and when the stream cannot be read or is beyond the limit.
pub fn from_reader(name: &str, reader: impl Read, limits: &Limits) -> Result<TextFile> {
    read_bounded(reader, limits.text_bytes)
        .and_then(|bytes| decode(name, &bytes))
        .map_err(|error| error.of(name))
}

/// Decodes text bytes; `name` is what errors call the input.
///
/// # Errors
/// [`ErrorKind::Empty`] without bytes, [`ErrorKind::WrongType`] when they are a sound, a picture or another known
/// format. Ill-formed text is no error: see [`TextFile::invalid`].
pub fn decode(name: &str, bytes: &[u8]) -> Result<TextFile> {
    match FileKind::of(bytes) {
        FileKind::Text | FileKind::Unknown => {}
        other => return Err(other.refuse("text").of(name)),
    }
    let mut file = match bytes {
        [0xFF, 0xFE, rest @ ..] => decode_utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => decode_utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => decode_utf8(rest, 3),
        _ => decode_utf8(bytes, 0),
    };
    if file.text.is_empty() {
        return Err(Error::new(ErrorKind::Empty, "only a byte order mark").of(name));
    }
    file.nuls = file.text.bytes().filter(|&byte| byte == 0).count() as u64;
    Ok(file)
}

fn decode_utf8(bytes: &[u8], offset: u64) -> TextFile {
    let mut file = TextFile {
        text: String::with_capacity(bytes.len()),
        invalid: 0,
        first_invalid_at: None,
        nuls: 0,
    };
    let mut at = offset;
    for chunk in bytes.utf8_chunks() {
        file.text.push_str(chunk.valid());
        at += chunk.valid().len() as u64;
        if !chunk.invalid().is_empty() {
            file.add_invalid(at);
            at += chunk.invalid().len() as u64;
        }
    }
    file
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> TextFile {
    let mut file = TextFile {
        text: String::with_capacity(bytes.len()),
        invalid: 0,
        first_invalid_at: None,
        nuls: 0,
    };
    let (units, odd) = bytes.as_chunks();
    let mut at = 2;
    for decoded in char::decode_utf16(units.iter().map(|&pair| unit(pair))) {
        match decoded {
            Ok(character) => {
                file.text.push(character);
                at += 2 * character.len_utf16() as u64;
            }
            Err(_) => {
                file.add_invalid(at);
                at += 2;
            }
        }
    }
    if !odd.is_empty() {
        file.add_invalid(at);
    }
    file
}

impl TextFile {
    fn add_invalid(&mut self, at: u64) {
        self.text.push(char::REPLACEMENT_CHARACTER);
        self.invalid += 1;
        self.first_invalid_at.get_or_insert(at);
    }
}
