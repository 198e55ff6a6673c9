//! Classes of characters as the BERT normaliser and pre-tokeniser of the HF `tokenizers` library know them.
//!
//! That library's categories are those of Unicode 8, and its decompositions not much younger. They decide which token a
//! character becomes, so they are tables here and do not move with a dependency.

use super::ranges::{CONTROL, MARK, NOT_DECOMPOSED, PUNCTUATION};

/// Whether `sorted` ranges (inclusive, disjoint) hold the character.
pub(super) fn holds(sorted: &[(u32, u32)], c: char) -> bool {
    let code = u32::from(c);
    let after = sorted.partition_point(|&(first, _)| first <= code);
    after
        .checked_sub(1)
        .and_then(|at| sorted.get(at))
        .is_some_and(|&(_, last)| code <= last)
}

/// Characters that cleaning drops: U+FFFD and the categories Cc, Cf and Co but for tab, line feed and return.
pub(super) fn is_dropped(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r')
    } else {
        holds(CONTROL, c)
    }
}

/// Category Mn: combining marks that take no space.
pub(super) fn is_mark(c: char) -> bool {
    !c.is_ascii() && holds(MARK, c)
}

/// ASCII punctuation and symbols, and the categories P*.
pub(super) fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_punctuation()
    } else {
        holds(PUNCTUATION, c)
    }
}

/// Characters that stay as they are under NFD because their decomposition or combining class is younger.
pub(super) fn is_not_decomposed(c: char) -> bool {
    !c.is_ascii() && holds(NOT_DECOMPOSED, c)
}

/// Ideographs that stand as a word each.
pub(super) fn is_ideograph(c: char) -> bool {
    matches!(
        u32::from(c),
        0x3400..=0x4DBF
            | 0x4E00..=0x9FFF
            | 0xF900..=0xFAFF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0x2F800..=0x2FA1F
    )
}
