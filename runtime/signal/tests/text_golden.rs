//! Text steps against the HF `tokenizers` library: token ids, word counts and normalised text are equal.
//! The expected values are written by `tests/golden/make_text.py` and `tests/golden/make_ranges.py`.
#![allow(clippy::unwrap_used)]

use limbic_signal::text::{NormaliseTextParams, WordPiece, WordPieceParams, normalise, words};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn corpus() -> Vec<String> {
    serde_json::from_str(include_str!("golden/text/corpus.json")).unwrap()
}

fn wordpiece(max_chars_per_word: u32) -> WordPieceParams {
    WordPieceParams {
        vocabulary: "vocab.txt".into(),
        unknown: "[UNK]".into(),
        continuation: "##".into(),
        max_chars_per_word,
        cls: "[CLS]".into(),
        sep: "[SEP]".into(),
        pad: "[PAD]".into(),
    }
}

fn only(clean: bool, split_cjk: bool, lower: bool, strip_accents: bool) -> NormaliseTextParams {
    NormaliseTextParams {
        clean,
        split_cjk,
        lower,
        strip_accents,
    }
}

/// Compares every line of the corpus with every configuration of a golden file; returns the number of tokens.
fn check_ids(vocabulary: &str, golden: &str) -> usize {
    let golden: Value = serde_json::from_str(golden).unwrap();
    assert_eq!(
        golden["vocabulary_sha256"],
        sha256(vocabulary.as_bytes()),
        "the vocabulary is another one"
    );
    let corpus = corpus();
    assert!(corpus.len() > 400);
    let mut tokens = 0;
    for config in golden["configs"].as_array().unwrap() {
        let flag = |name: &str| config[name].as_bool().unwrap();
        let params = only(
            flag("clean"),
            flag("split_cjk"),
            flag("lower"),
            flag("strip_accents"),
        );
        let max_chars = config["max_chars_per_word"].as_u64().unwrap() as u32;
        let tokeniser = WordPiece::new(vocabulary, &wordpiece(max_chars)).unwrap();
        let unknown = golden["unknown"].as_u64().unwrap();
        assert_eq!(u64::from(tokeniser.special().unknown), unknown);
        let rows = config["ids"].as_array().unwrap();
        assert_eq!(rows.len(), corpus.len());
        for (at, (line, ids)) in corpus.iter().zip(rows).enumerate() {
            let normalised = normalise(line, &params);
            let digest = sha256(normalised.as_bytes());
            assert_eq!(
                config["normalised"][at],
                digest[..16],
                "{params:?} {line:?} -> {normalised:?}"
            );
            let encoding = tokeniser.encode(&normalised);
            let expected: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
            assert_eq!(encoding.ids, expected, "{params:?} {line:?}");
            assert_eq!(config["words"][at], encoding.words, "{line:?}");
            let unknown_words = expected.iter().filter(|&&id| u64::from(id) == unknown).count();
            assert_eq!(encoding.unknown_words, unknown_words, "{line:?}");
            tokens += expected.len();
        }
    }
    tokens
}

#[test]
fn ids_equal_those_of_hf_tokenizers() {
    let tokens = check_ids(
        include_str!("golden/text/vocab.txt"),
        include_str!("golden/text/ids.json"),
    );
    assert!(tokens > 50_000);
}

#[test]
fn ids_equal_those_of_hf_tokenizers_with_the_bert_vocabulary() {
    let Some(shared) = limbic_tests::shared() else {
        return;
    };
    let path = shared.join("checkpoints/tokenizers/bert_vocab/vocab.txt");
    let vocabulary =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(check_ids(&vocabulary, include_str!("golden/text/ids_bert.json")) > 20_000);
}

/// Characters between two letters, alone through each step, in digests of a block each.
#[test]
fn every_character_is_treated_as_by_hf_tokenizers() {
    let golden: Value = serde_json::from_str(include_str!("golden/text/characters.json")).unwrap();
    let block = golden["block"].as_u64().unwrap() as usize;
    let without_lower_case: Vec<(u32, u32)> =
        serde_json::from_value(golden["without_lower_case"].clone()).unwrap();
    let skips_lower = |c: char| {
        without_lower_case
            .iter()
            .any(|&(first, last)| (first..=last).contains(&u32::from(c)))
    };
    let normalised = |params: NormaliseTextParams| move |text: &str, _: char| normalise(text, &params);
    type Step<'a> = (&'a str, Box<dyn Fn(&str, char) -> String + 'a>);
    let lower = normalised(only(false, false, true, false));
    let steps: [Step; 5] = [
        (
            "clean_text",
            Box::new(normalised(only(true, false, false, false))),
        ),
        (
            "handle_chinese_chars",
            Box::new(normalised(only(false, true, false, false))),
        ),
        (
            "strip_accents",
            Box::new(normalised(only(false, false, false, true))),
        ),
        (
            "lowercase",
            Box::new(|text, c| {
                if skips_lower(c) {
                    String::new()
                } else {
                    lower(text, c)
                }
            }),
        ),
        (
            "words",
            Box::new(|text, _| words(text).collect::<Vec<_>>().join("\n")),
        ),
    ];
    for (name, step) in &steps {
        let digests = golden["digests"][name].as_array().unwrap();
        // 0x110 blocks of 4096 characters, of which the surrogates leave half a block less.
        let blocks: Vec<usize> = (0..0x11_0000 / block).collect();
        assert_eq!(digests.len(), blocks.len());
        for (number, expected) in blocks.into_iter().zip(digests) {
            let mut hasher = Sha256::new();
            for c in (number * block..(number + 1) * block).filter_map(|code| char::from_u32(code as u32)) {
                hasher.update(step(&format!("a{c}b"), c));
                hasher.update([0]);
            }
            let digest: String = hasher
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(
                expected.as_str().unwrap(),
                &digest[..16],
                "{name}, block {:#x}",
                number * block
            );
        }
    }
}
