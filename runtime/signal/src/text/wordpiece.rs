//! WordPiece tokens.

use std::collections::BTreeMap;

use super::WordPieceParams;
use super::category::is_punctuation;
use super::words::words;
use crate::{Error, ErrorKind, Result};

/// Ids of the special tokens of a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Stands for a word that cannot be built.
    pub unknown: u32,
    /// Put before each window.
    pub cls: u32,
    /// Put after each window.
    pub sep: u32,
    /// Fills a window up.
    pub pad: u32,
}

/// Tokens of a text, without special tokens around them, and what the vocabulary knew of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids in the order of the text.
    pub ids: Vec<u32>,
    /// Words of the text; a punctuation character counts as one.
    pub words: usize,
    /// Words that are a punctuation character.
    pub punctuation_words: usize,
    /// Words that became the unknown token.
    pub unknown_words: usize,
}

/// WordPiece tokeniser: greedy longest match from a word's start, as `WordPiece` of the HF `tokenizers` library.
///
/// Text is only text: a special token's spelling in it (`[SEP]`) is cut like any other characters.
///
/// # Example
/// ```
/// use limbic_signal::text::{WordPiece, WordPieceParams};
/// let params = WordPieceParams {
///     vocabulary: "vocab.txt".into(),
///     unknown: "[UNK]".into(),
///     continuation: "##".into(),
///     max_chars_per_word: 100,
///     cls: "[CLS]".into(),
///     sep: "[SEP]".into(),
///     pad: "[PAD]".into(),
/// };
/// let tokeniser = WordPiece::new("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhappi\n##ness\n", &params)?;
/// let encoding = tokeniser.encode("happiness kvetch");
/// assert_eq!(encoding.ids, [4, 5, 1]);
/// assert_eq!((encoding.words, encoding.unknown_words), (2, 1));
/// # Ok::<(), limbic_signal::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WordPiece {
    /// Every token; matches at a word's start.
    tokens: BTreeMap<Box<str>, u32>,
    /// Tokens with the continuation prefix, without it; match inside a word.
    continuations: BTreeMap<Box<str>, u32>,
    special: SpecialTokens,
    /// Characters of the longest token: no longer match exists.
    longest: usize,
    max_chars_per_word: usize,
}

impl WordPiece {
    /// Reads a vocabulary of one token a line (`\n` or `\r\n`); the line number, from 0, is the token's id.
    ///
    /// # Errors
    /// [`ErrorKind::Parameter`] when `max_chars_per_word` is zero or `continuation` is empty;
    /// [`ErrorKind::Vocabulary`] when a line is empty, a token stands twice, a special token is missing or there are
    /// more tokens than ids.
    pub fn new(vocabulary: &str, params: &WordPieceParams) -> Result<Self> {
        if params.max_chars_per_word == 0 {
            return Err(Error::new(
                ErrorKind::Parameter,
                "wordpiece@1 max_chars_per_word",
                "at least 1",
                0,
            ));
        }
        if params.continuation.is_empty() {
            return Err(Error::new(
                ErrorKind::Parameter,
                "wordpiece@1 continuation",
                "a prefix",
                "an empty string",
            ));
        }
        let mut tokens = BTreeMap::new();
        let mut continuations = BTreeMap::new();
        let mut longest = 0;
        for (index, token) in vocabulary.lines().enumerate() {
            let line = || format!("vocabulary {} line {}", params.vocabulary, index + 1);
            let id = u32::try_from(index)
                .map_err(|_| Error::new(ErrorKind::Vocabulary, line(), "an id of 32 bits", index))?;
            if token.is_empty() {
                return Err(Error::new(
                    ErrorKind::Vocabulary,
                    line(),
                    "a token",
                    "an empty line",
                ));
            }
            if let Some(before) = tokens.insert(token.into(), id) {
                let found = format!("{token:?} of line {} again", u64::from(before) + 1);
                return Err(Error::new(
                    ErrorKind::Vocabulary,
                    line(),
                    "a token that is new",
                    found,
                ));
            }
            if let Some(piece) = token.strip_prefix(params.continuation.as_str()) {
                continuations.insert(piece.into(), id);
            }
            longest = longest.max(token.chars().count());
        }
        let special = |role: &str, token: &str| {
            tokens.get(token).copied().ok_or_else(|| {
                Error::new(
                    ErrorKind::Vocabulary,
                    format!("vocabulary {}", params.vocabulary),
                    format!("the {role} token {token:?}"),
                    format!("{} tokens without it", tokens.len()),
                )
            })
        };
        let special = SpecialTokens {
            unknown: special("unknown", &params.unknown)?,
            cls: special("cls", &params.cls)?,
            sep: special("sep", &params.sep)?,
            pad: special("pad", &params.pad)?,
        };
        let max_chars_per_word = usize::try_from(params.max_chars_per_word).unwrap_or(usize::MAX);
        Ok(Self {
            tokens,
            continuations,
            special,
            longest,
            max_chars_per_word,
        })
    }

    /// Number of tokens of the vocabulary; ids are below it.
    pub fn vocabulary_len(&self) -> usize {
        self.tokens.len()
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Cuts normalised text into tokens.
    ///
    /// A word of more than `max_chars_per_word` characters, and one with any stretch that no token matches, becomes
    /// one unknown token.
    #[inline(never)]
    pub fn encode(&self, normalised: &str) -> Encoding {
        let mut encoding = Encoding::default();
        let mut ends = Vec::new();
        for word in words(normalised) {
            encoding.words += 1;
            if word.chars().next().is_some_and(is_punctuation) {
                encoding.punctuation_words += 1;
            }
            let before = encoding.ids.len();
            if self.push_pieces(word, &mut ends, &mut encoding.ids).is_none() {
                encoding.ids.truncate(before);
                encoding.ids.push(self.special.unknown);
                encoding.unknown_words += 1;
            }
        }
        encoding
    }

    /// Appends the pieces of a word, or returns `None` when it is too long or cannot be built.
    fn push_pieces(&self, word: &str, ends: &mut Vec<usize>, ids: &mut Vec<u32>) -> Option<()> {
        ends.clear();
        ends.extend(word.char_indices().map(|(at, c)| at + c.len_utf8()));
        if ends.len() > self.max_chars_per_word {
            return None;
        }
        let (mut start, mut rest) = (0, ends.as_slice());
        while !rest.is_empty() {
            let pieces = if start == 0 {
                &self.tokens
            } else {
                &self.continuations
            };
            let reach = rest.get(..self.longest.min(rest.len()))?;
            let (count, end, id) = reach.iter().enumerate().rev().find_map(|(index, &end)| {
                let id = pieces.get(word.get(start..end)?)?;
                Some((index + 1, end, *id))
            })?;
            ids.push(id);
            start = end;
            rest = rest.get(count..)?;
        }
        Some(())
    }
}
