//! What a file is, judged by its first bytes.

use crate::Sense;
use crate::error::{Error, ErrorKind, Result};

/// How many first bytes [`FileKind::of`] looks at.
pub const SNIFF_BYTES: usize = 512;

/// What a file is, judged by its first bytes and never by its name.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// No bytes.
    Empty,
    /// RIFF/WAVE, or RF64 and BW64, its 64-bit forms.
    Wav,
    /// Native FLAC.
    Flac,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Text: UTF-8, or UTF-16 with a byte order mark.
    Text,
    /// A known format that is not read; the name says which.
    Foreign(&'static str),
    /// Bytes of no known format.
    Unknown,
}

/// Magic numbers of formats that are recognised only to be named: offset, bytes, name.
const FOREIGN: &[(usize, &[u8], &str)] = &[
    (0, b"OggS", "an Ogg file"),
    (0, b"FORM", "an AIFF file"),
    (0, b".snd", "an AU file"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (8, b"WEBP", "a WebP picture"),
    (8, b"AVI ", "an AVI film"),
    (4, b"ftypheic", "an HEIC picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftypM4A", "an M4A file"),
    (4, b"ftyp", "an MP4 film"),
    (0, &[0x1A, 0x45, 0xDF, 0xA3], "a Matroska or WebM film"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (0, b"%PDF", "a PDF document"),
    (0, &[0x1F, 0x8B], "a gzip file"),
    (0, b"PK\x03\x04", "a zip archive (a bundle?)"),
    (0, b"\x7FELF", "a program"),
    (0, b"ID3", "a file with an ID3 tag, such as MP3"),
    (0, &[0xFF, 0xFB], "an MP3 file"),
    (0, &[0xFF, 0xF3], "an MP3 file"),
    (0, &[0xFF, 0xF2], "an MP3 file"),
    (0, &[0xFF, 0xF1], "an AAC file"),
];

impl FileKind {
    /// The kind of a file that starts with `head` (at most the first [`SNIFF_BYTES`] bytes are used).
    pub fn of(head: &[u8]) -> Self {
        let head = head.get(..SNIFF_BYTES).unwrap_or(head);
        let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|tail| tail.starts_with(magic));
        if head.is_empty() {
            Self::Empty
        } else if (at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64")) && at(8, b"WAVE") {
            Self::Wav
        } else if at(0, b"fLaC") {
            Self::Flac
        } else if at(0, b"\x89PNG\r\n\x1A\n") {
            Self::Png
        } else if at(0, &[0xFF, 0xD8, 0xFF]) {
            Self::Jpeg
        } else if at(0, &[0xFF, 0xFE]) || at(0, &[0xFE, 0xFF]) {
            Self::Text
        } else {
            // A sentence may start with the letters of a magic number, as "BMW" or "FORMAL" do.
            let text = looks_like_text(head);
            let is = |(offset, magic, _): &&(usize, &[u8], &str)| {
                at(*offset, magic) && !(text && magic.iter().all(u8::is_ascii_alphanumeric))
            };
            match FOREIGN.iter().find(is) {
                Some((_, _, name)) => Self::Foreign(name),
                None if text => Self::Text,
                None => Self::Unknown,
            }
        }
    }

    /// The sense that reads such a file.
    pub fn sense(self) -> Option<Sense> {
        match self {
            Self::Wav | Self::Flac => Some(Sense::Audio),
            Self::Png | Self::Jpeg => Some(Sense::Image),
            Self::Text => Some(Sense::Text),
            Self::Empty | Self::Foreign(_) | Self::Unknown => None,
        }
    }

    /// The kind in words, with its article.
    pub fn words(self) -> &'static str {
        match self {
            Self::Empty => "an empty file",
            Self::Wav => "a WAV file",
            Self::Flac => "a FLAC file",
            Self::Png => "a PNG picture",
            Self::Jpeg => "a JPEG picture",
            Self::Text => "text",
            Self::Foreign(name) => name,
            Self::Unknown => "of no known format",
        }
    }

    /// The error for a file of this kind where `wanted` was expected.
    pub(crate) fn refuse(self, wanted: &str) -> Error {
        match self {
            Self::Empty => Error::new(ErrorKind::Empty, format!("0 bytes, expected {wanted}")),
            kind => Error::new(
                ErrorKind::WrongType,
                format!("expected {wanted}, but this is {}", kind.words()),
            ),
        }
    }

    /// The kind of the file at `path`.
    ///
    /// # Errors
    /// The file is missing or cannot be read.
    pub fn of_file(path: &std::path::Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut head = Vec::with_capacity(SNIFF_BYTES);
        let file = super::open(path)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, SNIFF_BYTES as u64), &mut head)
            .map_err(|error| Error::io(error).of(&name))?;
        Ok(Self::of(&head))
    }
}

/// No control characters but white space, and mostly valid UTF-8.
fn looks_like_text(head: &[u8]) -> bool {
    let controls = head
        .iter()
        .filter(|&&byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B))
        .count();
    let replaced = String::from_utf8_lossy(head)
        .chars()
        .filter(|&c| c == char::REPLACEMENT_CHARACTER)
        .count();
    controls * 10 <= head.len() && replaced * 4 <= head.len()
}
