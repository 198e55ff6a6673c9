//! Properties of the text steps on arbitrary text, and the errors of wrong parameters and vocabularies.
#![allow(clippy::unwrap_used)]

use limbic_signal::ErrorKind;
use limbic_signal::text::{
    NormaliseTextParams, SpecialTokens, TokenWindowParams, WordPiece, WordPieceParams, decode_lossy_counted,
    normalise, windows, words,
};
use proptest::prelude::*;

const SPECIAL: SpecialTokens = SpecialTokens {
    unknown: 1,
    cls: 2,
    sep: 3,
    pad: 0,
};

fn wordpiece() -> WordPieceParams {
    WordPieceParams {
        vocabulary: "vocab.txt".into(),
        unknown: "[UNK]".into(),
        continuation: "##".into(),
        max_chars_per_word: 100,
        cls: "[CLS]".into(),
        sep: "[SEP]".into(),
        pad: "[PAD]".into(),
    }
}

fn tokeniser() -> WordPiece {
    WordPiece::new(include_str!("golden/text/vocab.txt"), &wordpiece()).unwrap()
}

fn any_params() -> impl Strategy<Value = NormaliseTextParams> {
    any::<[bool; 4]>().prop_map(|[clean, split_cjk, lower, strip_accents]| NormaliseTextParams {
        clean,
        split_cjk,
        lower,
        strip_accents,
    })
}

/// Text of all of Unicode, or of letters the vocabulary mostly knows.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(any::<char>(), 0..80).prop_map(String::from_iter),
        "[a-e ,.'é\u{301}好\u{200d}\u{0}İß]{0,120}",
    ]
}

proptest! {
    #[test]
    fn any_text_gives_ids_of_the_vocabulary(text in any_text(), params in any_params()) {
        let tokeniser = tokeniser();
        let normalised = normalise(&text, &params);
        let encoding = tokeniser.encode(&normalised);
        prop_assert!(encoding.ids.iter().all(|&id| (id as usize) < tokeniser.vocabulary_len()));
        prop_assert!(encoding.ids.len() >= encoding.words);
        prop_assert!(encoding.unknown_words <= encoding.words);
        prop_assert!(encoding.punctuation_words <= encoding.words);
        let unknown = tokeniser.special().unknown;
        prop_assert_eq!(encoding.unknown_words, encoding.ids.iter().filter(|&&id| id == unknown).count());
    }

    #[test]
    fn words_hold_every_character_but_white_space(text in any_text()) {
        let joined: String = words(&text).collect();
        let kept: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        prop_assert_eq!(joined, kept);
        prop_assert!(words(&text).all(|word| !word.is_empty()));
    }

    #[test]
    fn text_is_cut_alike_whole_and_at_its_spaces(text in any_text(), more in any_text()) {
        let tokeniser = tokeniser();
        let whole = tokeniser.encode(&format!("{text} {more}"));
        let (mut first, second) = (tokeniser.encode(&text), tokeniser.encode(&more));
        first.ids.extend(second.ids);
        prop_assert_eq!(whole.ids, first.ids);
        prop_assert_eq!(whole.words, first.words + second.words);
        prop_assert_eq!(whole.unknown_words, first.unknown_words + second.unknown_words);
    }

    #[test]
    fn cleaned_text_has_no_control_characters(text in any_text()) {
        let params = NormaliseTextParams { clean: true, split_cjk: false, lower: false, strip_accents: false };
        let cleaned = normalise(&text, &params);
        let dropped = cleaned.chars().find(|&c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        prop_assert_eq!(dropped, None);
        prop_assert_eq!(normalise(&cleaned, &params), cleaned);
    }

    #[test]
    fn windows_hold_every_token_once_and_count_the_rest(
        count in 0..400usize, length in 3..40u32, max_windows in 1..12u32,
    ) {
        let ids: Vec<u32> = (100..100 + count as u32).collect();
        let params = TokenWindowParams { length, stride: length - 2, max_windows };
        let cut = windows(&ids, SPECIAL, &params).unwrap();
        prop_assert!(cut.windows.len() <= max_windows as usize);
        let mut held = Vec::new();
        for window in &cut.windows {
            prop_assert!(window.ids.len() <= length as usize && window.text_tokens > 0);
            prop_assert_eq!(window.ids.len(), window.text_tokens + 2);
            prop_assert_eq!(window.start, held.len());
            prop_assert_eq!((window.ids.first(), window.ids.last()), (Some(&2), Some(&3)));
            prop_assert_eq!(&window.mask, &vec![1; window.ids.len()]);
            held.extend_from_slice(&window.ids[1..=window.text_tokens]);
        }
        prop_assert_eq!(held.len() + cut.truncated, count);
        prop_assert_eq!(&held[..], &ids[..held.len()]);
        let room = (length as usize - 2) * max_windows as usize;
        prop_assert_eq!(cut.truncated, count.saturating_sub(room));
    }

    #[test]
    fn overlapping_windows_hold_every_token_up_to_the_truncated(
        count in 0..300usize, length in 3..30u32, stride in 1..28u32, max_windows in 1..40u32,
    ) {
        let stride = stride.min(length - 2);
        let ids: Vec<u32> = (100..100 + count as u32).collect();
        let cut = windows(&ids, SPECIAL, &TokenWindowParams { length, stride, max_windows }).unwrap();
        let mut seen = vec![false; count];
        for (number, window) in cut.windows.iter().enumerate() {
            prop_assert_eq!(window.start, number * stride as usize);
            for at in 0..window.text_tokens {
                prop_assert_eq!(window.ids[1 + at], ids[window.start + at]);
                seen[window.start + at] = true;
            }
        }
        prop_assert!(seen[..count - cut.truncated].iter().all(|&seen| seen));
        prop_assert!(seen[count - cut.truncated..].iter().all(|&seen| !seen));
        // No window lies within the one before.
        let reached = |window: &limbic_signal::text::TokenWindow| window.start + window.text_tokens;
        prop_assert!(cut.windows.windows(2).all(|pair| reached(&pair[0]) < reached(&pair[1])));
    }

    #[test]
    fn decoding_counts_each_replacement(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let (text, invalid) = decode_lossy_counted(&bytes);
        prop_assert_eq!(&text, &String::from_utf8_lossy(&bytes));
        let genuine = bytes.windows(3).filter(|three| three == b"\xef\xbf\xbd").count();
        prop_assert_eq!(text.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count(), invalid + genuine);
        prop_assert_eq!(invalid == 0, std::str::from_utf8(&bytes).is_ok());
    }
}

#[test]
fn decoding_counts_lone_surrogates_and_cut_characters() {
    assert_eq!(
        decode_lossy_counted(b"a\xed\xa0\x80b"),
        ("a\u{fffd}\u{fffd}\u{fffd}b".into(), 3)
    );
    assert_eq!(decode_lossy_counted(b"caf\xc3"), ("caf\u{fffd}".into(), 1));
    assert_eq!(decode_lossy_counted("nul \0 and \u{fffd}".as_bytes()).1, 0);
    assert_eq!(decode_lossy_counted(b""), ("".into(), 0));
}

#[test]
fn padding_is_masked() {
    let params = TokenWindowParams {
        length: 8,
        stride: 6,
        max_windows: 1,
    };
    let mut window = windows(&[9], SPECIAL, &params).unwrap().windows.remove(0);
    window.pad_to(5, SPECIAL);
    window.pad_to(2, SPECIAL);
    assert_eq!(
        (window.ids, window.mask),
        (vec![2, 9, 3, 0, 0], vec![1, 1, 1, 0, 0])
    );
}

#[test]
fn special_tokens_in_text_are_plain_characters() {
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[\n]\nSEP\n";
    let tokeniser = WordPiece::new(vocabulary, &wordpiece()).unwrap();
    assert_eq!(tokeniser.encode("[SEP]").ids, [4, 6, 5]);
}

#[test]
fn a_word_is_unknown_as_a_whole_or_not_at_all() {
    let tokeniser = WordPiece::new("[PAD]\n[UNK]\n[CLS]\n[SEP]\nab\n##c\na\n##b\n", &wordpiece()).unwrap();
    assert_eq!(tokeniser.encode("abc abx ba").ids, [4, 5, 1, 1]);
    assert_eq!(tokeniser.encode("abc").unknown_words, 0);
    let encoding = tokeniser.encode("abx , !");
    assert_eq!(
        (encoding.words, encoding.punctuation_words, encoding.unknown_words),
        (3, 2, 3)
    );
}

#[test]
fn words_up_to_the_limit_are_cut() {
    let params = WordPieceParams {
        max_chars_per_word: 3,
        ..wordpiece()
    };
    let tokeniser = WordPiece::new("[PAD]\n[UNK]\n[CLS]\n[SEP]\né\n##é\n", &params).unwrap();
    assert_eq!(tokeniser.encode("ééé éééé").ids, [4, 5, 5, 1]);
}

#[test]
fn lines_may_end_in_carriage_return_and_line_feed() {
    let tokeniser = WordPiece::new("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nyes\r\n", &wordpiece()).unwrap();
    assert_eq!(
        (tokeniser.encode("yes").ids, tokeniser.vocabulary_len()),
        (vec![4], 5)
    );
}

#[test]
fn wrong_vocabularies_are_refused() {
    let good = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n";
    for (vocabulary, message) in [
        (
            "",
            "vocabulary vocab.txt: expected the unknown token \"[UNK]\", found 0 tokens without it",
        ),
        (
            "[PAD]\n[UNK]\n[CLS]\n",
            "vocabulary vocab.txt: expected the sep token \"[SEP]\", found 3 tokens without it",
        ),
        (
            &format!("{good}a\n"),
            "vocabulary vocab.txt line 6: expected a token that is new, found \"a\" of line 5 again",
        ),
        (
            &format!("{good}\nb\n"),
            "vocabulary vocab.txt line 6: expected a token, found an empty line",
        ),
    ] {
        let error = WordPiece::new(vocabulary, &wordpiece()).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Vocabulary, message)
        );
    }
    for params in [
        WordPieceParams {
            max_chars_per_word: 0,
            ..wordpiece()
        },
        WordPieceParams {
            continuation: String::new(),
            ..wordpiece()
        },
    ] {
        assert_eq!(
            WordPiece::new(good, &params).unwrap_err().kind(),
            ErrorKind::Parameter
        );
    }
}

#[test]
fn wrong_windows_are_refused() {
    for (length, stride, max_windows) in [
        (0, 1, 1),
        (2, 1, 1),
        (5, 0, 1),
        (5, 4, 1),
        (5, 3, 0),
        (u32::MAX, u32::MAX, 1),
    ] {
        let params = TokenWindowParams {
            length,
            stride,
            max_windows,
        };
        assert_eq!(
            windows(&[7], SPECIAL, &params).unwrap_err().kind(),
            ErrorKind::Parameter,
            "{params:?}"
        );
    }
    let widest = TokenWindowParams {
        length: u32::MAX,
        stride: u32::MAX - 2,
        max_windows: u32::MAX,
    };
    assert_eq!(windows(&[7], SPECIAL, &widest).unwrap().windows[0].ids, [2, 7, 3]);
}
