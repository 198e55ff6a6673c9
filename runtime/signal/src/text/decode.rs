//! Bytes to text.

use std::borrow::Cow;

/// Decodes UTF-8; each invalid sequence becomes one U+FFFD. Returns the text and the number of such sequences.
///
/// A sequence is what [`String::from_utf8_lossy`] replaces: a maximal invalid prefix, so an encoded lone surrogate
/// (three bytes) counts three times. Valid input is borrowed, not copied.
///
/// # Example
/// ```
/// use limbic_signal::text::decode_lossy_counted;
/// assert_eq!(decode_lossy_counted(b"fine"), ("fine".into(), 0));
/// assert_eq!(decode_lossy_counted(b"caf\xe9!"), ("caf\u{fffd}!".into(), 1));
/// ```
pub fn decode_lossy_counted(bytes: &[u8]) -> (Cow<'_, str>, usize) {
    let invalid = bytes
        .utf8_chunks()
        .filter(|chunk| !chunk.invalid().is_empty())
        .count();
    (String::from_utf8_lossy(bytes), invalid)
}
