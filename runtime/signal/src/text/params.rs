//! Parameters of the text steps, as a manifest holds them.

use limbic_json::{deserialize, fields};
use serde::Serialize;

/// Text normalisation of the BERT family.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NormaliseTextParams {
    /// Drop control characters and turn every white space into a plain space.
    pub clean: bool,
    /// Put spaces around CJK ideographs.
    pub split_cjk: bool,
    /// Lower case.
    pub lower: bool,
    /// Decompose (NFD) and drop combining marks.
    pub strip_accents: bool,
}

/// WordPiece tokens by greedy longest match.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordPieceParams {
    /// Entry of the bundle that holds the vocabulary, one token a line; the line number is the id.
    pub vocabulary: String,
    /// Token for a word that cannot be built from the vocabulary.
    pub unknown: String,
    /// Prefix of a piece that continues a word.
    pub continuation: String,
    /// Words of more characters become the unknown token.
    pub max_chars_per_word: u32,
    /// Token put before each window.
    pub cls: String,
    /// Token put after each window.
    pub sep: String,
    /// Token that fills a window up.
    pub pad: String,
}

/// Cutting tokens into consecutive windows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TokenWindowParams {
    /// Tokens of a window, the two special tokens included.
    pub length: u32,
    /// Text tokens from one window's start to the next; at most `length - 2`.
    pub stride: u32,
    /// Most windows of a text; tokens beyond are truncated and counted.
    pub max_windows: u32,
}

fields!(NormaliseTextParams {
    clean,
    split_cjk,
    lower,
    strip_accents
});
fields!(WordPieceParams {
    vocabulary,
    unknown,
    continuation,
    max_chars_per_word,
    cls,
    sep,
    pad,
});
fields!(TokenWindowParams {
    length,
    stride,
    max_windows
});
deserialize!(NormaliseTextParams, WordPieceParams, TokenWindowParams);
