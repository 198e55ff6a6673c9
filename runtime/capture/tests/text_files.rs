//! Text bytes that are whole, cut, foreign or in another coding.

use limbic_capture::ErrorKind;
use limbic_capture::files::{FileKind, Limits, text};

#[test]
fn whole_text_comes_as_it_is() {
    let file = text::decode("input", "Grüße, 世界 🙂\r\nand more\n".as_bytes()).unwrap();
    assert_eq!(file.text, "Grüße, 世界 🙂\r\nand more\n");
    assert_eq!((file.invalid, file.first_invalid_at, file.nuls), (0, None, 0));
}

#[test]
fn ill_formed_parts_are_counted_with_their_place() {
    // A stray byte, a cut three-byte sequence (one maximal part), a lone surrogate (three parts), a NUL.
    let file = text::decode("input", b"a\xFFb\xE2\x82c\xED\xA0\x80d\0").unwrap();
    assert_eq!(file.text, "a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}\u{FFFD}d\0");
    assert_eq!((file.invalid, file.first_invalid_at, file.nuls), (5, Some(1), 1));
    assert_eq!(
        file.text,
        String::from_utf8_lossy(b"a\xFFb\xE2\x82c\xED\xA0\x80d\0")
    );
}

#[test]
fn byte_order_marks_choose_the_coding() {
    assert_eq!(text::decode("input", b"\xEF\xBB\xBFhi").unwrap().text, "hi");
    assert_eq!(text::decode("input", b"\xFF\xFEh\0i\0").unwrap().text, "hi");
    assert_eq!(
        text::decode("input", b"\xFE\xFF\0h\xD8\x3D\xDE\x42")
            .unwrap()
            .text,
        "h🙂"
    );
    let lone = text::decode("input", b"\xFE\xFF\0h\xD8\x3D\0i!").unwrap();
    assert_eq!(
        (lone.text.as_str(), lone.invalid, lone.first_invalid_at),
        ("h\u{FFFD}i\u{FFFD}", 2, Some(4))
    );
}

#[test]
fn no_text_and_foreign_bytes_are_errors() {
    assert_eq!(text::decode("input", b"").unwrap_err().kind(), ErrorKind::Empty);
    assert_eq!(
        text::decode("input", b"\xEF\xBB\xBF").unwrap_err().kind(),
        ErrorKind::Empty
    );
    let picture = text::decode("cat.txt", b"\x89PNG\r\n\x1A\n....").unwrap_err();
    assert_eq!(
        picture.to_string(),
        "cat.txt: wrong type: expected text, but this is a PNG picture"
    );
    let limits = Limits {
        text_bytes: 4,
        ..Limits::default()
    };
    let long = text::from_reader("stdin", &b"12345"[..], &limits).unwrap_err();
    assert_eq!(
        long.to_string(),
        "stdin: too large: at least 5 bytes, the limit is 4"
    );
}

#[test]
fn a_sentence_that_starts_like_a_magic_number_is_text() {
    for sentence in ["BMW is a car", "FORMAL dress", "ID3 is a tag", "GIF8 it to me"] {
        assert_eq!(FileKind::of(sentence.as_bytes()), FileKind::Text, "{sentence}");
    }
    assert_eq!(
        FileKind::of(b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0"),
        FileKind::Foreign("a BMP picture")
    );
}
