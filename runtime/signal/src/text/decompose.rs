//! Canonical decomposition (NFD) whose marks are dropped.
//!
//! Only what is left matters, so the tables hold a tenth of what a whole normalisation needs.

use super::category::{holds, is_mark};
use super::decompositions::{BASES, CLASSES, LONGER, RUNS, STARTERS};

/// First of the Hangul syllables, and how many there are: in all, with a leading consonant, with it and a vowel.
const SYLLABLES: (u32, u32, u32, u32) = (0xAC00, 11172, 588, 28);
/// First leading consonant, first vowel, and what stands for no last consonant.
const JAMO: [u32; 3] = [0x1100, 0x1161, 0x11A7];

/// Appends what NFD leaves of a text once the marks (category Mn) are dropped.
///
/// Characters whose decomposition or combining class is younger than the tables must not be in it.
pub(super) fn push_without_marks(text: &str, out: &mut String) {
    // Characters of a combining class other than 0 that stand together are ordered by it, equal ones as they stood.
    let mut pending: Vec<(u8, char)> = Vec::new();
    for c in text.chars() {
        if is_mark(c) {
            if holds(STARTERS, c) {
                flush(&mut pending, out);
            }
            continue;
        }
        for part in parts(c).into_iter().flatten() {
            match class(part) {
                0 => {
                    flush(&mut pending, out);
                    out.push(part);
                }
                class => pending.push((class, part)),
            }
        }
    }
    flush(&mut pending, out);
}

fn flush(pending: &mut Vec<(u8, char)>, out: &mut String) {
    // There are six classes, and mostly nothing to order: a pass each is less code than a sort.
    let mut done = 0;
    while let Some(next) = pending
        .iter()
        .map(|&(class, _)| class)
        .filter(|&class| class > done)
        .min()
    {
        out.extend(
            pending
                .iter()
                .filter(|&&(class, _)| class == next)
                .map(|&(_, part)| part),
        );
        done = next;
    }
    pending.clear();
}

/// What a character leaves.
fn parts(c: char) -> [Option<char>; 3] {
    let code = u32::from(c);
    if code < 0xC0 {
        return [Some(c), None, None];
    }
    let (first, count, with_leading, with_vowel) = SYLLABLES;
    if let Some(syllable) = code.checked_sub(first).filter(|&n| n < count) {
        let last = syllable % with_vowel;
        return [
            char::from_u32(JAMO[0] + syllable / with_leading),
            char::from_u32(JAMO[1] + syllable % with_leading / with_vowel),
            char::from_u32(JAMO[2] + last).filter(|_| last > 0),
        ];
    }
    if let Ok(at) = LONGER.binary_search_by_key(&code, |&(code, _)| code) {
        let found = LONGER.get(at).map_or([code, 0, 0], |&(_, found)| found);
        return found.map(|code| char::from_u32(code).filter(|_| code > 0));
    }
    [base(code).and_then(char::from_u32).or(Some(c)), None, None]
}

/// What a character of the runs leaves.
fn base(code: u32) -> Option<u32> {
    let after = RUNS.partition_point(|&(first, _)| first <= code);
    let &(first, at) = RUNS.get(after.checked_sub(1)?)?;
    let next = RUNS
        .get(after)
        .map_or(BASES.len(), |&(_, next)| usize::from(next));
    let at = usize::from(at) + (code - first) as usize;
    BASES.get(at).copied().filter(|_| at < next)
}

fn class(c: char) -> u8 {
    let code = u32::from(c);
    let after = CLASSES.partition_point(|&(first, _, _)| first <= code);
    match after.checked_sub(1).and_then(|at| CLASSES.get(at)) {
        Some(&(_, last, class)) if code <= last => class,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::super::category::is_not_decomposed;
    use super::*;

    /// Another implementation.
    fn other(text: &str) -> String {
        text.nfd().filter(|&c| !is_mark(c)).collect()
    }

    fn own(text: &str) -> String {
        let mut out = String::new();
        push_without_marks(text, &mut out);
        out
    }

    #[test]
    fn every_character_leaves_what_a_whole_normalisation_leaves() {
        let all = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        for c in all.filter(|&c| !is_not_decomposed(c)) {
            // Alone, and between two that may trade places with it.
            for text in [
                c.to_string(),
                format!("a\u{302E}{c}\u{1D165}"),
                format!("\u{1D16D}\u{301}{c}\u{1D16D}\u{1D165}"),
            ] {
                assert_eq!(own(&text), other(&text), "{:#x}", u32::from(c));
            }
        }
    }

    /// Characters that have something to do with one another.
    fn related() -> impl Strategy<Value = char> {
        let classed: Vec<char> = CLASSES
            .iter()
            .flat_map(|&(first, last, _)| [first, last])
            .filter_map(char::from_u32)
            .collect();
        let starters: Vec<char> = STARTERS
            .iter()
            .filter_map(|&(first, _)| char::from_u32(first))
            .collect();
        let longer: Vec<char> = LONGER
            .iter()
            .filter_map(|&(code, _)| char::from_u32(code))
            .collect();
        prop_oneof![
            prop::sample::select(classed),
            prop::sample::select(starters),
            prop::sample::select(longer),
            prop::sample::select(vec![
                'a', 'é', '\u{301}', '\u{345}', '각', '가', '\u{f73}', '\u{344}'
            ]),
            any::<char>().prop_filter("younger", |&c| !is_not_decomposed(c)),
        ]
    }

    proptest! {
        #[test]
        fn a_text_leaves_what_a_whole_normalisation_leaves(text in prop::collection::vec(related(), 0..12)) {
            let text: String = text.into_iter().collect();
            prop_assert_eq!(own(&text), other(&text));
        }
    }
}
